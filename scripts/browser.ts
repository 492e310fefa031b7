// Finds a Chromium on any machine and launches it: the one CHROMIUM_PATH names, an installed one, else the
// one that npm brought. Downloads nothing and unpacks nowhere but into node_modules/.cache.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type LaunchOptions } from 'playwright-core';
import { inProject } from './paths.ts';

interface Chromium {
  path: string;
  /** What its process needs beside ours. */
  environment: Record<string, string>;
}

const installed_names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];
const mac_path = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome';
// Root may not use Chromium's sandbox; the rest keeps a closed network from being asked for Google's hosts.
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
];

/** A headless browser; the caller closes it. More options are playwright's, such as `ignoreDefaultArgs`. */
export async function launchBrowser(options: LaunchOptions = {}): Promise<Browser> {
  const { path, environment } = await findChromium();
  return chromium.launch({
    ...options,
    executablePath: path,
    args: [...flags, ...(options.args ?? [])],
    env: { ...process.env, ...environment },
  });
}

async function findChromium(): Promise<Chromium> {
  const named = process.env.CHROMIUM_PATH;
  if (named !== undefined && named !== '') {
    if (!existsSync(named)) throw new Error(`CHROMIUM_PATH names ${named}, which does not exist`);
    return { path: named, environment: {} };
  }
  const folders = (process.env.PATH ?? '').split(delimiter);
  const candidates = [
    ...folders.flatMap((folder) => installed_names.map((name) => join(folder, name))),
    mac_path,
  ];
  const path = candidates.find((candidate) => existsSync(candidate));
  return path === undefined ? packagedChromium() : { path, environment: {} };
}

/** Where the package's own libraries are needed, because the system is bare, they come along. */
async function packagedChromium(): Promise<Chromium> {
  const folder = await unpack();
  const path = join(folder, 'chromium');
  const fonts: Record<string, string> = existsSync('/etc/fonts')
    ? {}
    : { FONTCONFIG_PATH: join(folder, 'fonts') };
  const libraries = { ...fonts, LD_LIBRARY_PATH: join(folder, 'al2023', 'lib') };
  for (const environment of [fonts, libraries]) {
    const tried = spawnSync(path, ['--version'], {
      env: { ...process.env, ...environment },
      encoding: 'utf8',
    });
    if (tried.status === 0) return { path, environment };
    if (environment === libraries) {
      throw new Error(`no Chromium runs here; install one or name it in CHROMIUM_PATH (${tried.stderr})`);
    }
  }
  throw new Error('unreachable: the last attempt returns or throws');
}

async function unpack(): Promise<string> {
  const package_dir = join(dirname(fileURLToPath(import.meta.resolve('@sparticuz/chromium'))), '..');
  const { version } = JSON.parse(readFileSync(join(package_dir, 'package.json'), 'utf8')) as {
    version: string;
  };
  const folder = inProject('node_modules', '.cache', `chromium-${version}-${process.arch}`);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  const temporary = process.env.TMPDIR;
  // The package unpacks into the system's temporary folder, wherever that is.
  process.env.TMPDIR = unfinished;
  try {
    const { default: packaged, inflate } = await import('@sparticuz/chromium');
    await packaged.executablePath();
    await inflate(join(package_dir, 'bin', 'al2023.tar.br'));
  } finally {
    if (temporary === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = temporary;
  }
  if (existsSync(folder)) rmSync(unfinished, { recursive: true });
  else renameSync(unfinished, folder);
  return folder;
}
