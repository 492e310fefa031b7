/**
 * Giving up a trade because its order goes on by another one, or is paid already. As any closing it asks first and
 * asks again after; beyond that it keeps out of the way of whoever is just placing the trade, and tries again later
 * where WeChat does not close yet.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type CloseOutcome, closeTrade } from './close.ts';
import type { Context } from './context.ts';
import { Prisma, type Tx } from './db.ts';
import { enqueue } from './queues.ts';
import { openTradeStates } from './states.ts';

/** v2's documents want five minutes between placing and closing. */
const closableAfter_ms = 5 * 60_000 + 5_000;
const again_ms = 30_000;
const waitStep_ms = 150;

/**
 * Closes an earlier trade so that another can take its place. `refused`: WeChat says it is unpaid and would not close
 * it, as v2 may in a trade's first five minutes; `unknown`: nobody may open another yet.
 */
export async function giveUp(ctx: Context, out_trade_no: string): Promise<CloseOutcome> {
  const patience_ms = ctx.config.WECHAT_TIMEOUT_MS + 2_000;
  for (let waited_ms = 0; waited_ms <= patience_ms; waited_ms += waitStep_ms) {
    if (await hold(ctx, out_trade_no)) {
      try {
        return await closeTrade(ctx, out_trade_no, 'shopper');
      } finally {
        await ctx.db.trade.updateMany({ where: { out_trade_no }, data: { placing_until: null } });
      }
    }
    const trade = await ctx.db.trade.findUniqueOrThrow({
      where: { out_trade_no },
      select: { trade_state: true },
    });
    if (trade.trade_state === 'SUCCESS' || trade.trade_state === 'REFUND') return 'paid';
    if (!openTradeStates.some((open) => open === trade.trade_state)) return 'closed';
    await sleep(waitStep_ms);
  }
  return 'unknown';
}

/** Wins the right to talk to WeChat about the trade, which whoever places it wants too; it lapses by itself. */
async function hold(ctx: Context, out_trade_no: string): Promise<boolean> {
  const now = ctx.now();
  const { count } = await ctx.db.trade.updateMany({
    where: {
      out_trade_no,
      trade_state: { in: [...openTradeStates] },
      OR: [{ placing_until: null }, { placing_until: { lte: now } }],
    },
    data: { placing_until: new Date(now.getTime() + 3 * ctx.config.WECHAT_TIMEOUT_MS + 1_000) },
  });
  return count === 1;
}

/** Plans the close of a trade that WeChat did not close yet. */
export async function closeLater(
  tx: Tx,
  { out_trade_no, created_at }: { out_trade_no: string; created_at: Date },
  now: Date,
): Promise<void> {
  const at = new Date(Math.max(now.getTime() + again_ms, created_at.getTime() + closableAfter_ms));
  await tx.$executeRaw(enqueue('trade_close', { out_trade_no }, out_trade_no, at));
}

/**
 * The job: closes a trade that its order does not need any more, because a newer one took its place or the order is
 * decided. Returns when to try again, or undefined when it is done or the trade is needed after all.
 */
export async function closeSuperseded(ctx: Context, out_trade_no: string): Promise<Date | undefined> {
  const trade = await ctx.db.trade.findUnique({
    where: { out_trade_no },
    select: { trade_state: true, created_at: true, order: { select: { order_no: true, state: true } } },
  });
  if (trade === null || !openTradeStates.some((open) => open === trade.trade_state)) return undefined;
  if (trade.order.state === 'NOTPAY') {
    const newer = await ctx.db.trade.count({
      where: { order_no: trade.order.order_no, created_at: { gt: trade.created_at } },
    });
    if (newer === 0) return undefined;
  }
  const outcome = await closeTrade(ctx, out_trade_no, 'worker');
  return outcome === 'closed' || outcome === 'paid' ? undefined : new Date(ctx.now().getTime() + again_ms);
}

/** Superseded trades that ought to have been closed by now: their job was lost. */
export async function findSuperseded(ctx: Context): Promise<string[]> {
  const old_at = new Date(ctx.now().getTime() - 2 * closableAfter_ms);
  const rows = await ctx.db.$queryRaw<{ out_trade_no: string }[]>(Prisma.sql`
    SELECT t.out_trade_no FROM trade t JOIN "order" o ON o.order_no = t.order_no
    WHERE t.trade_state IN ('NOTPAY', 'USERPAYING') AND t.trade_type NOT IN ('MICROPAY', 'FACEPAY')
      AND t.created_at < ${old_at}
      AND (o.state <> 'NOTPAY'
        OR EXISTS (SELECT FROM trade n WHERE n.order_no = t.order_no AND n.created_at > t.created_at))
    LIMIT 500`);
  return rows.map(({ out_trade_no }) => out_trade_no);
}

/** Trades that are still payable although their order is paid: closed at once, before somebody pays twice. */
export async function closeLeftovers(ctx: Context, order_no: string): Promise<void> {
  const left = await ctx.db.trade.findMany({
    where: { order_no, trade_state: { in: [...openTradeStates] } },
    select: { out_trade_no: true },
  });
  for (const { out_trade_no } of left) {
    await ctx.db.$executeRaw(enqueue('trade_close', { out_trade_no }, out_trade_no, ctx.now()));
  }
}
