// After `npm install` on a machine whose registry lacks packages of other systems: npm silently leaves those out of
// package-lock.json, and then `npm ci` refuses. This puts the optional packages back, by name and version.
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { Fault, runScript } from './fault.ts';
import { inProject } from './paths.ts';

export interface LockedPackage {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
}

export type Lock = { packages: Record<string, LockedPackage> };

export const lock_file = inProject('package-lock.json');
const systems = [
  'android',
  'darwin',
  'win32',
  'linux',
  'freebsd',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'aix',
];
const processors = ['arm64', 'x64', 'arm', 'ia32', 'ppc64', 'riscv64', 's390x', 'loong64', 'mips64el'];

/** Optional packages that some locked package names and the lock does not hold. */
export function missingOptional({ packages }: Lock): { name: string; version: string; dev: boolean }[] {
  return Object.entries(packages).flatMap(([path, { optionalDependencies = {}, dev = false }]) =>
    Object.entries(optionalDependencies)
      .filter(([name]) => !isHeld(packages, path, name))
      .map(([name, version]) => ({ name, version, dev })),
  );
}

/** Node looks for a package beside and above the one that wants it. */
function isHeld(packages: Record<string, LockedPackage>, path: string, name: string): boolean {
  for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('node_modules/') - 1))) {
    if (packages[`${folder === '' ? '' : `${folder}/`}node_modules/${name}`] !== undefined) return true;
    if (folder === '') return false;
  }
}

/** The lock with an entry for each missing one; system and processor are read from its name. */
export function completed(lock: Lock): Lock {
  const packages = { ...lock.packages };
  for (const { name, version, dev } of missingOptional(lock)) {
    const words = name.split(/[/-]/);
    const os = systems.filter((system) => words.includes(system));
    const cpu = processors.filter((processor) => words.includes(processor));
    if (!/^\d+\.\d+\.\d+/.test(version) || os.length === 0 || cpu.length === 0) {
      throw new Fault(`${name}@${version} is missing in package-lock.json and cannot be told from its name.`);
    }
    const libc = words.includes('musl') ? { libc: ['musl'] } : {};
    packages[`node_modules/${name}`] = { version, cpu, ...(dev ? { dev } : {}), ...libc, optional: true, os };
  }
  const sorted = Object.entries(packages).sort(([one], [other]) => (one < other ? -1 : 1));
  return { ...lock, packages: Object.fromEntries(sorted) };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await runScript(async () => {
    const lock = JSON.parse(readFileSync(lock_file, 'utf8')) as Lock;
    const missing = missingOptional(lock);
    if (missing.length > 0) writeFileSync(lock_file, `${JSON.stringify(completed(lock), null, 2)}\n`);
    process.stdout.write(`${missing.length} optional packages put back into package-lock.json\n`);
    return 0;
  });
}
