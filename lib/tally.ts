/**
 * Counting what strangers may begin: one row per name and window, counted in the database, so that every instance
 * counts together and a restart forgets nothing. It decides nothing about who a shopper is.
 */
import { isIPv6 } from 'node:net';
import type { Context } from './context.ts';
import { Prisma } from './db.ts';
import { AppError } from './errors.ts';
import { clientIp } from './http.ts';

/** How long a window of counting is. */
export const window_ms = 60_000;

/**
 * An address as limits count it. Whoever has one IPv6 address has the 64 bits below it too, so those count as one.
 */
export function addressOf(ip: string): string {
  if (!isIPv6(ip)) return ip;
  const [head = '', tail] = ip.toLowerCase().split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  // A last group that is written as IPv4 stands for two.
  const written = before.length + after.length + (ip.includes('.') ? 1 : 0);
  const whole = tail === undefined ? before : [...before, ...Array(8 - written).fill('0'), ...after];
  return `${whole
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}

/** Counts one more in this window and returns how many there are now, this one included. */
export async function countOne(ctx: Context, name: string): Promise<number> {
  const window_at = new Date(Math.floor(ctx.now().getTime() / window_ms) * window_ms);
  const [row] = await ctx.db.$queryRaw<{ count: number }[]>(Prisma.sql`
    INSERT INTO tally AS t (name, window_at, count) VALUES (${name}, ${window_at}, 1)
    ON CONFLICT (name, window_at) DO UPDATE SET count = t.count + 1 RETURNING count`);
  if (row === undefined) throw new Error('a tally was not counted');
  return row.count;
}

/** Counts what this caller begins; throws `too_many_requests` when its address has begun too much this minute. */
export async function limitCaller(
  ctx: Context,
  headers: Headers,
  what: 'order' | 'pay' | 'sign_in',
): Promise<void> {
  const begun = await countOne(ctx, `${what} ${addressOf(clientIp(ctx, headers))}`);
  if (begun > ctx.config.ADDRESS_LIMIT_PER_MINUTE) throw new AppError('too_many_requests');
}
