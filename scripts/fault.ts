// A fault a person can act on: its message is printed alone. Anything else that is thrown keeps its stack.
import { constants } from 'node:os';

/** Something outside the program is not as it must be; `message` says what, and what to do about it. */
export class Fault extends Error {
  override name = 'Fault';
}

// Errors whose message is written for the person at the keyboard; the configuration's own lists every setting.
const readable = new Set(['Fault', 'ConfigError']);

/** The words to print for anything thrown: a Fault's message, else the whole stack with its causes. */
export function explain(thrown: unknown): string {
  if (thrown instanceof Error && readable.has(thrown.name)) return thrown.message;
  const known = thrown instanceof Error ? explainErrno(thrown as NodeJS.ErrnoException) : undefined;
  if (known !== undefined) return known;
  if (!(thrown instanceof Error)) return String(thrown);
  const cause = thrown.cause === undefined ? '' : `\ncaused by: ${explain(thrown.cause)}`;
  return `${thrown.stack ?? thrown.message}${cause}`;
}

function explainErrno(error: NodeJS.ErrnoException): string | undefined {
  const where = error.path ?? 'a file';
  if (error.code === 'ENOSPC') return `No space left on the disk (while writing ${where}).`;
  if (error.code === 'EROFS')
    return `${where} lies on a read-only disk; name another folder in GUITAI_DATA_DIR.`;
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    return `No permission for ${where}. It may belong to another user, for instance after a run as root.`;
  }
  return undefined;
}

/**
 * Runs a script's work and ends the process with its exit code; a failure is explained on stderr. Undefined lets the
 * process live on. It ends at once, for a library may hold a timer that nobody waits for.
 */
export async function runScript(work: () => Promise<number | undefined>): Promise<void> {
  let code: number | undefined = 1;
  try {
    code = await work();
  } catch (thrown) {
    process.stderr.write(`${explain(thrown)}\n`);
  }
  if (code === undefined) return;
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  process.exit(code);
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}

/** The exit code a shell shows for a child that ended by itself or by a signal. */
export function exitCodeOf(code: number | null, signal: NodeJS.Signals | null): number {
  if (code !== null) return code;
  return 128 + (signal === null ? 0 : constants.signals[signal]);
}
