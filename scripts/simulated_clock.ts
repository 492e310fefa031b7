// The clock of the simulator a shop talks to. Moved to tomorrow, it has today's bill already, and who reconciles by hand
// means that one. The shop's own clock stays real, and against WeChat there is no other.
import { createAccounts } from '../lib/accounts.ts';
import type { Config } from '../lib/config.ts';
import { type Context, createContext } from '../lib/context.ts';
import { note } from './progress.ts';

/** A context on the simulator's clock where a simulator is allowed and answers, else on the real one. */
export async function createContextOnItsClock(config: Config): Promise<Context> {
  const simulated = config.GUITAI_ALLOW_SIMULATOR === 'yes';
  const ahead_ms = simulated ? await aheadOfUs(config.WECHAT_PAY_BASE_URL) : undefined;
  if (ahead_ms === undefined) return createContext(config);
  const made = createContext(config, { now: () => new Date(Date.now() + ahead_ms) });
  // What is signed is signed now: the simulator judges signatures by the real clock as well.
  return { ...made, ...createAccounts(config, { ...made.ports, now: () => new Date() }) };
}

/** How far, in milliseconds; undefined when nothing at the address tells. */
export async function aheadOfUs(base_url: string): Promise<number | undefined> {
  try {
    const answer = await fetch(`${base_url}/_sim/clock`, { signal: AbortSignal.timeout(5_000) });
    const clock = answer.ok ? ((await answer.json()) as { ahead_s?: unknown }) : {};
    return typeof clock.ahead_s === 'number' ? clock.ahead_s * 1_000 : undefined;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    note(`the simulator's clock cannot be read at ${base_url}: ${why}`);
    return undefined;
  }
}
