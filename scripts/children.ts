// A long-lived child process: its output goes to a log file, its end is noticed, it stops when told and when we die.
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { exitCodeOf, Fault } from './fault.ts';
import { type Environment, inProject, project_dir } from './paths.ts';

export interface ChildOptions {
  name: string;
  /** Of the project. */
  script: string;
  args?: string[];
  environment: Environment;
  log_dir: string;
  /** Called for each line of output. */
  onLine?: (line: string) => void;
  /** It ended without being told to. */
  onDeath: (fault: Fault) => void;
}

export interface Child {
  name: string;
  /** Undefined when it did not start. */
  pid: number | undefined;
  /** Ends it within about the given time. */
  stop(): Promise<void>;
  /** Resolves with the first message the child sends us. */
  message: Promise<unknown>;
}

const remembered_lines = 30;
const patience_ms = 12_000;

export function startChild(options: ChildOptions): Child {
  const { name, script, args = [], environment, log_dir } = options;
  const with_parent = pathToFileURL(inProject('scripts', 'die_with_parent.ts')).href;
  const own_environment: Environment = { ...environment, GUITAI_PARENT: String(process.pid) };
  const child = spawn(process.execPath, ['--import', with_parent, inProject(script), ...args], {
    cwd: project_dir,
    env: own_environment as NodeJS.ProcessEnv,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // Out of reach of the terminal's Ctrl-C: we stop children in our own order.
    detached: process.platform !== 'win32',
    windowsHide: true,
  });
  const last_lines = keepOutput(child, join(log_dir, `${name}.log`), options.onLine);
  let told_to_stop = false;
  const ended = new Promise<void>((resolve) => {
    child.once('error', (cause) => {
      options.onDeath(new Fault(`${name} did not start: ${cause.message}`, { cause }));
      resolve();
    });
    child.once('close', (code, signal) => {
      if (!told_to_stop) options.onDeath(unexpectedEnd(name, exitCodeOf(code, signal), last_lines));
      resolve();
    });
  });
  return {
    name,
    pid: child.pid,
    message: new Promise((resolve) => child.once('message', resolve)),
    stop: async () => {
      told_to_stop = true;
      child.kill('SIGTERM');
      const in_time = await Promise.race([ended.then(() => true), sleep(patience_ms, false, { ref: false })]);
      if (!in_time) child.kill('SIGKILL');
      await ended;
    },
  };
}

function keepOutput(child: ChildProcess, log_file: string, onLine?: (line: string) => void): string[] {
  mkdirSync(join(log_file, '..'), { recursive: true });
  const log = createWriteStream(log_file, { flags: 'w', mode: 0o600 });
  const last_lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (line) => {
      log.write(`${line}\n`);
      last_lines.push(line);
      if (last_lines.length > remembered_lines) last_lines.shift();
      onLine?.(line);
    });
  }
  child.once('close', () => log.end());
  return last_lines;
}

function unexpectedEnd(name: string, code: number, last_lines: readonly string[]): Fault {
  const said = last_lines.length === 0 ? 'It said nothing.' : `It said last:\n${last_lines.join('\n')}`;
  return new Fault(`${name} ended by itself with code ${code}. ${said}`);
}
