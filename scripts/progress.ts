// Tells a person what a long command is doing and for how long: one living line on a terminal, plain lines in a file
// or in CI. It writes to stderr, so that stdout holds only answers.
import { styleText } from 'node:util';

const out = process.stderr;
const alive = out.isTTY === true && (process.env.CI ?? '') === '';
const redraw_ms = 200;
const plain_reminder_ms = 10_000;

/** Shows `title` while `work` runs and how long it took; a failure is marked and passed on. */
export async function step<T>(title: string, work: () => Promise<T>): Promise<T> {
  const began_at = performance.now();
  const elapsed = (): string => `${((performance.now() - began_at) / 1000).toFixed(1)} s`;
  const show = (): void => {
    out.write(alive ? `\r\x1b[K… ${title}  ${elapsed()}` : `… ${title}, ${elapsed()}\n`);
  };
  if (alive) show();
  const timer = setInterval(show, alive ? redraw_ms : plain_reminder_ms);
  try {
    const result = await work();
    finish(styleText('green', '✓', { stream: out }), title, elapsed());
    return result;
  } catch (error) {
    finish(styleText('red', '✗', { stream: out }), title, elapsed());
    throw error;
  } finally {
    clearInterval(timer);
  }
}

/** One line beside the steps. */
export function note(text: string): void {
  out.write(`  ${text}\n`);
}

function finish(mark: string, title: string, elapsed: string): void {
  out.write(`${alive ? '\r\x1b[K' : ''}${mark} ${title}  ${elapsed}\n`);
}
