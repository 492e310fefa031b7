/**
 * Wrong passwords, counted where they come from. An address that guesses is refused; a name that is guessed at from
 * everywhere only answers more slowly, because refusing it would let any stranger lock its operator out.
 */
import type { Context } from './context.ts';
import type { Db } from './db.ts';
import { AppError } from './errors.ts';
import { addressOf } from './tally.ts';

const address_window_ms = 15 * 60_000;
const name_window_ms = 60 * 60_000;
/** Wrong guesses within the window after which an address hears nothing but no: at one name, and at any. */
const most_here = 5;
const most_from_address = 20;
/** Wrong guesses at a name, from everywhere, that cost nobody anything; each further one doubles the wait. */
const free_guesses = 10;
const first_delay_ms = 250;
const longest_delay_ms = 8_000;

/** How long a browser that the operator never used before waits, after so many wrong guesses within the hour. */
export function delayAfter(wrong_guesses: number): number {
  const beyond = wrong_guesses - free_guesses;
  return beyond <= 0 ? 0 : Math.min(longest_delay_ms, first_delay_ms * 2 ** (beyond - 1));
}

export interface Guess {
  /** How long to wait before looking at the password, unless the device is known. */
  delay_ms: number;
  /** It was right: it counts no more. */
  right: () => Promise<void>;
}

/** Counts a guess before it is looked at. Throws `too_many_attempts` for an address that has had its share. */
export async function countGuess(ctx: Context, username: string, ip: string): Promise<Guess> {
  const now = ctx.now();
  const address = addressOf(ip);
  const since = (ms: number) => ({ gt: new Date(now.getTime() - ms) });
  // Written first and counted with itself, so that guesses sent together do not all look like the first.
  const { id } = await ctx.db.login_attempt.create({
    data: { username, ip: address, at: now, ok: false },
    select: { id: true },
  });
  const wrong = (where: { username?: string; ip?: string }, ms: number) =>
    ctx.db.login_attempt.count({ where: { ...where, ok: false, at: since(ms) } });
  const [here, from_address, at_name] = await Promise.all([
    wrong({ username, ip: address }, address_window_ms),
    wrong({ ip: address }, address_window_ms),
    wrong({ username }, name_window_ms),
  ]);
  if (here > most_here || from_address > most_from_address) {
    // A guess that was not looked at does not lengthen the wait.
    await ctx.db.login_attempt.deleteMany({ where: { id } });
    throw new AppError('too_many_attempts');
  }
  return {
    delay_ms: delayAfter(at_name - 1),
    right: async () => {
      // Somebody may have forgiven all guesses meanwhile; then there is nothing left to mark.
      await ctx.db.login_attempt.updateMany({ where: { id }, data: { ok: true } });
    },
  };
}

/** Forgets the wrong guesses at a name, or all of them; returns how many there were. */
export async function forgiveGuesses(db: Db, username?: string): Promise<number> {
  const { count } = await db.login_attempt.deleteMany({
    where: { ok: false, ...(username === undefined ? {} : { username }) },
  });
  return count;
}
