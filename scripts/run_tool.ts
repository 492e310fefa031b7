// Runs another program of the project to its end and hands back what it said. Dies with us when a signal aborts it.
import { spawn } from 'node:child_process';
import { exitCodeOf } from './fault.ts';
import { type Environment, inProject, project_dir } from './paths.ts';

export interface ToolEnd {
  code: number;
  output: string;
}

export interface ToolOptions {
  environment?: Environment;
  signal?: AbortSignal;
  /** Default: the project. */
  cwd?: string;
  /** Show the output while it comes, instead of only returning it. */
  show?: boolean;
}

/** `node <script> …args` in the project's folder, on the Node that runs us. */
export function runNode(script: string, args: string[], options: ToolOptions = {}): Promise<ToolEnd> {
  const { environment = process.env, signal, show = false, cwd = project_dir } = options;
  signal?.throwIfAborted();
  const child = spawn(process.execPath, [inProject(script), ...args], {
    cwd,
    env: environment as NodeJS.ProcessEnv,
    stdio: ['ignore', show ? 'inherit' : 'pipe', show ? 'inherit' : 'pipe'],
  });
  const stop = (): void => void child.kill('SIGTERM');
  signal?.addEventListener('abort', stop, { once: true });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, killed_by) => {
      signal?.removeEventListener('abort', stop);
      if (signal?.aborted === true) reject(signal.reason);
      else resolve({ code: exitCodeOf(code, killed_by), output });
    });
  });
}
