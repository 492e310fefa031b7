/**
 * The page's own account of what WeChat's bridge answered. It stands on the timeline beside the facts, because a
 * shopper who says "I paid" and a bridge that said `cancel` are a support case; it never changes a state.
 */
import type { Context } from './context.ts';
import { AppError } from './errors.ts';
import { addEvent } from './events.ts';
import { numberPattern } from './numbers.ts';
import type { Session } from './sessions.ts';

/** A page that repeats itself is not worth more than this many rows of one trade. */
const mostRows = 50;

export async function recordBridgeResult(
  ctx: Context,
  session: Session | undefined,
  order_no: string,
  { out_trade_no, err_msg }: { out_trade_no: string; err_msg: string },
): Promise<void> {
  if (!numberPattern.test(order_no) || session?.openid == null) throw new AppError('not_found');
  const trade = await ctx.db.trade.findUnique({
    where: { out_trade_no },
    select: { order_no: true, openid: true },
  });
  if (trade === null || trade.order_no !== order_no || trade.openid !== session.openid) {
    throw new AppError('not_found');
  }
  if ((await ctx.db.event.count({ where: { order_no, kind: 'bridge_result' } })) >= mostRows) return;
  await addEvent(ctx.db, {
    at: ctx.now(),
    order_no,
    out_trade_no,
    kind: 'bridge_result',
    source: 'shopper',
    data: { err_msg: err_msg.toWellFormed().replaceAll('\u0000', '') },
  });
}
