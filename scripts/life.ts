// The life of a command that runs until it is told to stop: signals and failures end it, and whatever was started is
// stopped in the opposite order, also when the end comes in the middle of starting.
import { explain } from './fault.ts';
import { note, step } from './progress.ts';

export interface Life {
  /** Aborts when the end has come; long work watches it. */
  signal: AbortSignal;
  /** Something now runs: how to stop it at the end. */
  onEnd(name: string, stop: () => Promise<void>): void;
  /** Something broke for good: everything stops and the command fails with this. */
  fail(fault: Error): void;
}

interface Stop {
  name: string;
  stop: () => Promise<void>;
}

class AskedToStop extends Error {}

const parent_check_ms = 1_000;

/** Runs `start`, then waits for the end; `tell` shows what is being stopped. Returns the exit code: 0 if we were asked to stop, 1 after a failure. */
export async function live(start: (life: Life) => Promise<void>, tell = step): Promise<number> {
  const controller = new AbortController();
  const { signal } = controller;
  const stops: Stop[] = [];
  const end = (reason: Error): void => controller.abort(reason);
  // npm passes on the Ctrl-C that the terminal has already sent us: a second one says nothing new.
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.on(name, () => end(new AskedToStop(name)));
  const watch = watchNpm(() => end(new AskedToStop('npm is gone')));
  let failure: unknown;
  try {
    await start({ signal, onEnd: (name, stop) => stops.push({ name, stop }), fail: end });
    await untilAborted(signal);
    failure = signal.reason;
  } catch (error) {
    failure = signal.aborted ? signal.reason : error;
  }
  clearInterval(watch);
  const asked = failure instanceof AskedToStop;
  if (!asked) process.stderr.write(`${explain(failure)}\n`);
  const clean = await stopAll(stops, tell);
  return asked && clean ? 0 : 1;
}

/**
 * The same for work that ends by itself: its exit code, when everything it started has stopped; 1 when it failed or
 * was told to stop before.
 */
export async function liveWhile(work: (life: Life) => Promise<number>, tell = step): Promise<number> {
  let code = 1;
  const ended = await live(async (life) => {
    code = await work(life);
    life.fail(new AskedToStop('the work is done'));
  }, tell);
  return ended === 0 ? code : ended;
}

async function stopAll(stops: Stop[], tell: typeof step): Promise<boolean> {
  let clean = true;
  for (const { name, stop } of stops.reverse()) {
    try {
      await tell(`stopping ${name}`, stop);
    } catch (error) {
      clean = false;
      note(explain(error));
    }
  }
  return clean;
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    // A timer keeps the process alive while it waits.
    const awake = setInterval(() => undefined, 60_000);
    const wake = (): void => {
      clearInterval(awake);
      resolve();
    };
    if (signal.aborted) wake();
    else signal.addEventListener('abort', wake, { once: true });
  });
}

/** A shell between npm and us may keep a signal to itself; that npm has gone shows in our parent's number. */
function watchNpm(gone: () => void): NodeJS.Timeout | undefined {
  if (process.env.npm_lifecycle_event === undefined || process.platform === 'win32') return undefined;
  const parent = process.ppid;
  return setInterval(() => {
    if (process.ppid !== parent) gone();
  }, parent_check_ms).unref();
}
