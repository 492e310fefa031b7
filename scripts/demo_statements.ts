// The demo's mornings: when somebody moves the simulator's clock past ten, the bills of the days that went by are fetched
// and compared at once, as the worker does on real mornings. The shop itself stays on real time.
import { setTimeout as sleep } from 'node:timers/promises';
import { beijingDay, beijingDayStart } from '../lib/beijing.ts';
import { readConfig } from '../lib/config.ts';
import { reconcileDay } from '../lib/statements.ts';
import { explain } from './fault.ts';
import type { Life } from './life.ts';
import type { Environment } from './paths.ts';
import { note } from './progress.ts';
import { aheadOfUs, createContextOnItsClock } from './simulated_clock.ts';

const look_every_ms = 2_000;
const day_ms = 86_400_000;
/** Whoever moves the clock by a year does not wait for a year of bills. */
const mostDays = 7;

/** Watches until the life ends. `settings` are the shop's. */
export async function followMornings(
  life: Life,
  settings: Environment,
  simulator_url: string,
): Promise<void> {
  const newest = async (): Promise<string | undefined> => {
    const ahead_ms = await aheadOfUs(simulator_url);
    return ahead_ms === undefined ? undefined : newestBill(new Date(Date.now() + ahead_ms));
  };
  let done = await newest();
  const watching = (async () => {
    for (;;) {
      await sleep(look_every_ms, undefined, { signal: life.signal });
      const now = await newest();
      const was = done;
      done = now ?? was;
      if (now === undefined || was === undefined) continue;
      for (const day of daysAfter(was, now)) {
        life.signal.throwIfAborted();
        await reconcile(settings, day);
      }
    }
  })().catch((thrown: unknown) => {
    if (!life.signal.aborted) life.fail(thrown instanceof Error ? thrown : new Error(String(thrown)));
  });
  life.onEnd('the statements', () => watching);
}

/** The newest day whose bill is there at this moment: a bill is, from ten of the next morning. */
export function newestBill(now: Date): string {
  return beijingDay(new Date(now.getTime() - 34 * 3_600_000));
}

/** The days after `was` up to `now`, the newest few of them; none when the clock was put back. */
export function daysAfter(was: string, now: string): string[] {
  const last = beijingDayStart(now)?.getTime() ?? 0;
  const days: string[] = [];
  for (let at = last; days.length < mostDays && beijingDay(new Date(at)) > was; at -= day_ms) {
    days.unshift(beijingDay(new Date(at)));
  }
  return days;
}

async function reconcile(settings: Environment, day: string): Promise<void> {
  const ctx = await createContextOnItsClock(readConfig({ ...settings, LOG_LEVEL: 'silent' }));
  try {
    const { state, rows, settled, differences, problem } = await reconcileDay(ctx, day);
    const told = problem === '' ? '' : `; ${problem}`;
    note(
      `statement ${day}: ${state}, ${rows} rows, ${settled} settled by it, ${differences} differences${told}`,
    );
  } catch (thrown) {
    note(`statement ${day}: ${explain(thrown)}`);
  } finally {
    await ctx.close();
  }
}
