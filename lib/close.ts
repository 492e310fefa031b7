/**
 * Closing: query, close, query. A trade counts as closed only when WeChat cannot take money for it any more, and
 * money that was taken always wins over our wish to close.
 */
import { speechColumns } from './accounts.ts';
import { type AskableTrade, askTrade } from './ask.ts';
import type { Context } from './context.ts';
import { Prisma } from './db.ts';
import { addRepeatable, asWechatError, type EventSource, exchangeData } from './events.ts';
import { isCounterTrade, reverseTrade } from './reverse.ts';
import { openTradeStates } from './states.ts';
import type { ClosedTrade } from './wechat/index.ts';

/** `refused`: WeChat would not close it although it is unpaid. `unknown`: nothing was decided. Both: try again later. */
export type CloseOutcome = 'closed' | 'paid' | 'refused' | 'unknown';

/** Closes one trade at WeChat and then here. */
export async function closeTrade(
  ctx: Context,
  out_trade_no: string,
  source: EventSource,
): Promise<CloseOutcome> {
  const first = await askTrade(ctx, out_trade_no, { source, min_gap_ms: 0 });
  const trade = await held(ctx, out_trade_no);
  if (trade.trade_state === 'SUCCESS' || trade.trade_state === 'REFUND') return 'paid';
  if (trade.trade_state !== 'NOTPAY' && trade.trade_state !== 'USERPAYING') return 'closed';
  // What was charged at the counter cannot be closed, only reversed; for that WeChat need not have answered first.
  if (isCounterTrade(trade.trade_type)) return reverseTrade(ctx, out_trade_no, source);
  if (first.outcome === 'unknown') return 'unknown';

  let closed: ClosedTrade;
  try {
    closed = await ctx.payFor(trade).closeTrade(out_trade_no);
  } catch (thrown) {
    const error = asWechatError(thrown);
    await addRepeatable(ctx.db, {
      at: ctx.now(),
      order_no: trade.order_no,
      out_trade_no,
      kind: 'close',
      source,
      data: exchangeData(error.exchange, error),
    });
    // Its state did not allow it (v2, a trade in its first five minutes), or the call was refused: still payable.
    const answered = error.outcome === 'refused' || error.code === 'TRADE_STATE_ERROR';
    return answered ? afterRefusedClose(ctx, out_trade_no, source) : 'unknown';
  }
  await addRepeatable(ctx.db, {
    at: ctx.now(),
    order_no: trade.order_no,
    out_trade_no,
    kind: 'close',
    source,
    data: { ...exchangeData(closed.exchange), outcome: closed.outcome },
  });
  const second = await askTrade(ctx, out_trade_no, { source, min_gap_ms: 0 });
  const after = await held(ctx, out_trade_no);
  if (after.trade_state === 'SUCCESS' || after.trade_state === 'REFUND') return 'paid';
  if (after.trade_state === 'CLOSED' || after.trade_state === 'REVOKED') return 'closed';
  // WeChat refused to close because it is paid, but a query does not say so yet: only a later query decides.
  if (closed.outcome === 'paid' || second.outcome === 'unknown') return 'unknown';

  // WeChat accepted the close (or never knew the number) and the query after it shows no payment.
  const { verdict } = await ctx.settle({
    source: 'query',
    report: {
      appid: trade.appid,
      mch_id: trade.mch_id,
      ...(trade.sub_mch_id === null ? {} : { sub_mch_id: trade.sub_mch_id }),
      ...(trade.sub_appid === null ? {} : { sub_appid: trade.sub_appid }),
      out_trade_no,
      trade_state: 'CLOSED',
    },
  });
  return verdict === 'applied' ? 'closed' : 'unknown';
}

/** What a query says of a trade that WeChat did not close. */
async function afterRefusedClose(
  ctx: Context,
  out_trade_no: string,
  source: EventSource,
): Promise<CloseOutcome> {
  const asked = await askTrade(ctx, out_trade_no, { source, min_gap_ms: 0 });
  const { trade_state } = await held(ctx, out_trade_no);
  if (trade_state === 'SUCCESS' || trade_state === 'REFUND') return 'paid';
  if (trade_state !== 'NOTPAY' && trade_state !== 'USERPAYING') return 'closed';
  return asked.outcome === 'told' && asked.said === 'NOTPAY' ? 'refused' : 'unknown';
}

async function held(ctx: Context, out_trade_no: string) {
  const trade = await ctx.db.trade.findUniqueOrThrow({
    where: { out_trade_no },
    select: {
      out_trade_no: true,
      order_no: true,
      ...speechColumns,
      trade_type: true,
      trade_state: true,
      mch_id: true,
    },
  });
  return trade as typeof trade & Pick<AskableTrade, 'trade_state'>;
}

/** When to try again what has failed since then: after ten seconds at first, later by half as long again, hourly at last. */
export function retryAt(failing_since: Date, now: Date): Date {
  const failing_ms = now.getTime() - failing_since.getTime();
  return new Date(now.getTime() + Math.min(3_600_000, Math.max(10_000, failing_ms / 2)));
}

/** Since when the worker has tried to end an order that was due: its first step of that kind on the timeline. */
async function triedSince(ctx: Context, order_no: string, due_at: Date): Promise<Date> {
  const first = await ctx.db.event.findFirst({
    where: { order_no, kind: { in: ['query', 'close'] }, source: 'worker', at: { gte: due_at } },
    select: { at: true },
    orderBy: { id: 'asc' },
  });
  return first?.at ?? ctx.now();
}

/**
 * Ends an order whose time is over: every open trade is closed first, then the order. An order already paid or closed
 * may have open trades too, and money may still come by them. Returns when to try again, or undefined when order and
 * trades are decided.
 */
export async function expireOrder(ctx: Context, order_no: string): Promise<Date | undefined> {
  const order = await ctx.db.order.findUnique({
    where: { order_no },
    select: {
      state: true,
      expires_at: true,
      trades: {
        where: { trade_state: { in: [...openTradeStates] } },
        select: { out_trade_no: true, expires_at: true },
      },
    },
  });
  if (order === null || (order.state !== 'NOTPAY' && order.trades.length === 0)) return undefined;
  const now = ctx.now();
  const due_at = new Date(
    Math.max(...[order, ...order.trades].map(({ expires_at }) => expires_at.getTime())),
  );
  if (due_at > now) return due_at;
  const outcomes: CloseOutcome[] = [];
  for (const { out_trade_no } of order.trades) outcomes.push(await closeTrade(ctx, out_trade_no, 'worker'));
  const again_at = retryAt(await triedSince(ctx, order_no, due_at), ctx.now());
  if (outcomes.includes('unknown') || outcomes.includes('refused')) return again_at;
  if (order.state !== 'NOTPAY' || outcomes.includes('paid')) return undefined;
  return (await closeOrder(ctx, order_no, 'worker')) ? undefined : again_at;
}

/**
 * Closes an order none of whose trades can take money or has taken it. The lock comes first and in a statement of its
 * own: what the second one sees of the trades is then as it stands, and neither payment nor new trade slips between.
 */
export async function closeOrder(ctx: Context, order_no: string, source: EventSource): Promise<boolean> {
  const now = ctx.now();
  return ctx.db.$transaction(async (tx) => {
    await tx.$queryRaw(Prisma.sql`SELECT FROM "order" WHERE order_no = ${order_no} FOR UPDATE`);
    const closed = await tx.$queryRaw<{ order_no: string }[]>(Prisma.sql`
      WITH closed AS (
        UPDATE "order" o SET state = 'CLOSED', closed_at = ${now}
        WHERE o.order_no = ${order_no} AND o.state = 'NOTPAY' AND NOT EXISTS (
          SELECT FROM trade t WHERE t.order_no = o.order_no
            AND t.trade_state IN ('NOTPAY', 'USERPAYING', 'SUCCESS', 'REFUND'))
        RETURNING o.order_no
      ), told AS (
        INSERT INTO event (at, order_no, kind, source, data)
        SELECT ${now}, order_no, 'order_closed', ${source}, '{"from":"NOTPAY","to":"CLOSED"}'::jsonb FROM closed
      )
      SELECT order_no FROM closed`);
    return closed.length === 1;
  });
}
