/**
 * A refund's notification asks WeChat about that refund. v2's carries no signature, so one that was overheard can be
 * sent again for ever: however often it comes, WeChat is asked at most once in a while about one number.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from './context.ts';
import { askRefund } from './refund_call.ts';
import { countOne } from './tally.ts';

const gap_ms = 3_000;
const look_ms = 100;
const looks = 10;
/** Of a refund that is not in our books: it was made in WeChat's console, or its payment has not come yet. */
const mostOfUnknown_per_minute = 6;

/** `unknown` when it was asked about a moment ago and is not over: WeChat's next delivery will be asked about. */
export async function askNotifiedRefund(
  ctx: Context,
  out_refund_no: string,
  out_trade_no: string | undefined,
): Promise<Awaited<ReturnType<typeof askRefund>>> {
  const now = ctx.now();
  const { count } = await ctx.db.refund.updateMany({
    where: {
      out_refund_no,
      OR: [{ asked_at: null }, { asked_at: { lte: new Date(now.getTime() - gap_ms) } }],
    },
    data: { asked_at: now },
  });
  if (count === 1) return askRefund(ctx, out_refund_no, 'notification', out_trade_no);
  // Copies are delivered together: what the one that asks learns is the others' answer too.
  for (let looked = 1; looked <= looks; looked += 1) {
    const held = await ctx.db.refund.findUnique({ where: { out_refund_no }, select: { state: true } });
    if (held === null) {
      const asked = await countOne(ctx, `refund notice ${out_refund_no}`);
      if (asked > mostOfUnknown_per_minute) return 'unknown';
      return askRefund(ctx, out_refund_no, 'notification', out_trade_no);
    }
    if (held.state === 'SUCCESS' || held.state === 'CLOSED') return 'already';
    if (looked < looks) await sleep(look_ms);
  }
  return 'unknown';
}
