// Installs the WeChat Pay clients of other people that test/foreign puts in front of the simulator. They have a lock
// file of their own, so that nothing of them is ever shipped. Does nothing when they are there.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { exitCodeOf, Fault } from './fault.ts';
import { fingerprint } from './fingerprint.ts';
import { inProject } from './paths.ts';

const sources = ['test/foreign/package.json', 'test/foreign/package-lock.json'];
const folder = inProject('test', 'foreign');
const stamp_file = inProject('test', 'foreign', 'node_modules', '.installed');
const npm_ci = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', '.'];

/** Not in a tree without tests, and not in one that was installed without what tests need. */
export function wantForeignClients(): boolean {
  if (process.env.NODE_ENV === 'production') return false;
  return (
    existsSync(inProject('test', 'foreign', 'package.json')) &&
    existsSync(inProject('node_modules', 'vitest'))
  );
}

/** Whether they are installed just as their lock file says. */
export function haveForeignClients(): boolean {
  return existsSync(stamp_file) && readFileSync(stamp_file, 'utf8') === fingerprint(sources);
}

/** Installs them where they are missing, with the npm that runs us; needs the network then. */
export async function ensureForeignClients(): Promise<void> {
  if (haveForeignClients()) return;
  const { code, output } = await runNpm(npm_ci);
  if (code !== 0) throw notInstalled(output.trim());
  writeFileSync(stamp_file, fingerprint(sources));
}

function notInstalled(reason: string, cause?: Error): Fault {
  const outcome = 'The clients in test/foreign could not be installed, so the tests with them cannot run.';
  return new Fault(`${outcome} \`npm test\` tries again.\n${reason}`, { cause });
}

function runNpm(args: string[]): Promise<{ code: number; output: string }> {
  const { npm_execpath = '', npm_node_execpath = process.execPath } = process.env;
  const child = /npm-cli\.[cm]?js$/.test(npm_execpath)
    ? spawn(npm_node_execpath, [npm_execpath, ...args], { cwd: folder })
    : // Started without npm, or by another of its kind. On Windows npm is a batch file, which only a shell starts.
      spawn('npm', args, { cwd: folder, shell: process.platform === 'win32' });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => reject(notInstalled(`npm did not start: ${cause.message}`, cause)));
    child.once('close', (code, signal) => resolve({ code: exitCodeOf(code, signal), output }));
  });
}
