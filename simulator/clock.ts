// The platform's own clock: real time plus an offset that only moves forward, and a wake-up for whatever falls
// due. It refuses to go back.

import { setTimeout as sleepFor } from 'node:timers/promises';

const LONGEST_TIMER_MS = 2 ** 31 - 1;

export type Clock = ReturnType<typeof createClock>;

/** `stored` keeps the offset across restarts. */
export function createClock(stored: { clock_offset_ms: number }) {
  const closing = new AbortController();
  let timer: NodeJS.Timeout | undefined;

  function now(): number {
    return Date.now() + stored.clock_offset_ms;
  }

  return {
    now,
    /** Jumps to `at_ms` when that is ahead of now. */
    jumpTo(at_ms: number): void {
      stored.clock_offset_ms += Math.max(0, at_ms - now());
    },
    /** Calls `wake` once when the clock reaches `due_at_ms` by real time; replaces any earlier wake-up. */
    wakeAt(due_at_ms: number | null, wake: () => void): void {
      clearTimeout(timer);
      timer = undefined;
      if (due_at_ms === null || closing.signal.aborted) return;
      timer = setTimeout(wake, Math.min(Math.max(0, due_at_ms - now()), LONGEST_TIMER_MS));
    },
    /** Waits real milliseconds; ends early when the simulator closes. */
    async sleep(duration_ms: number): Promise<void> {
      if (closing.signal.aborted) return;
      await sleepFor(duration_ms, undefined, { signal: closing.signal }).catch((cause: unknown) => {
        if (!closing.signal.aborted) throw cause;
      });
    },
    closing: closing.signal,
    close(): void {
      clearTimeout(timer);
      closing.abort();
    },
  };
}
