/**
 * Asking WeChat what became of a trade. Many pages, jobs and instances may want to know at once: a guarded write
 * lets one of them ask, and what WeChat says goes through the one door.
 */
import type { TradeSpeech } from './accounts.ts';
import type { Context } from './context.ts';
import { Prisma } from './db.ts';
import { addRepeatable, asWechatError, type EventSource, exchangeData } from './events.ts';
import type { HeldTradeState } from './states.ts';
import type { QueriedTrade } from './wechat/index.ts';

/** `recently`: somebody asked less than the gap ago. `not_found`: WeChat does not know the number. */
export type Asked =
  | { outcome: 'recently' }
  | { outcome: 'not_found' }
  | { outcome: 'unknown' }
  | { outcome: 'told'; said: string };

/** The columns of a trade needed to talk about it. */
export interface AskableTrade extends TradeSpeech {
  out_trade_no: string;
  order_no: string;
  trade_type: string;
  trade_state: HeldTradeState;
  /** What WeChat said at last when it was asked to reverse the trade. */
  reverse_answer: string | null;
}

/** Asks unless somebody did within `min_gap_ms`; 0 always asks. */
export async function askTrade(
  ctx: Context,
  out_trade_no: string,
  { source, min_gap_ms }: { source: EventSource; min_gap_ms: number },
): Promise<Asked> {
  const now = ctx.now();
  const [trade] = await ctx.db.$queryRaw<AskableTrade[]>(Prisma.sql`
    UPDATE trade SET asked_at = ${now}
    WHERE out_trade_no = ${out_trade_no}
      AND (asked_at IS NULL OR asked_at <= ${new Date(now.getTime() - min_gap_ms)})
    RETURNING out_trade_no, order_no, api_version, sign_type, appid, sub_mch_id, sub_appid, trade_type,
      trade_state, reverse_answer`);
  if (trade === undefined) return { outcome: 'recently' };

  let told: QueriedTrade;
  try {
    told = await query(ctx, trade);
  } catch (thrown) {
    const error = asWechatError(thrown);
    await addRepeatable(ctx.db, {
      at: ctx.now(),
      order_no: trade.order_no,
      out_trade_no,
      kind: 'query',
      source,
      data: exchangeData(error.exchange, error),
    });
    return { outcome: error.code === 'ORDERNOTEXIST' ? 'not_found' : 'unknown' };
  }
  const { verdict, differs } = await ctx.settle({
    source: 'query',
    report: told.report,
    after_reverse: trade.reverse_answer === 'refused',
  });
  await addRepeatable(ctx.db, {
    at: ctx.now(),
    order_no: trade.order_no,
    out_trade_no,
    kind: 'query',
    source,
    data: { ...exchangeData(told.exchange), trade_state: told.report.trade_state, verdict, differs },
  });
  if (verdict === 'mismatch') {
    ctx.log.error({ out_trade_no, differs }, 'WeChat describes this trade otherwise than we do');
  }
  return { outcome: 'told', said: told.report.trade_state };
}

/** What WeChat says of the trade; that money it took went back with a reversal is what makes a trade reversed. */
async function query(ctx: Context, trade: AskableTrade): Promise<QueriedTrade> {
  const pay = ctx.payFor(trade);
  const told =
    trade.trade_type === 'FACEPAY' && pay.counter !== undefined
      ? await pay.counter.queryFaceTrade(trade.out_trade_no)
      : await pay.queryTrade(trade.out_trade_no);
  if (trade.reverse_answer !== 'done' || told.report.trade_state !== 'REFUND') return told;
  return { ...told, report: { ...told.report, trade_state: 'REVOKED' } };
}

/**
 * When to ask again about an unpaid trade of this age: at 5, 10, 20, 40 and 60 s, then every minute up to ten
 * minutes, then every five.
 */
export function nextAsk(created_at: Date, now: Date): Date {
  const age_s = (now.getTime() - created_at.getTime()) / 1_000;
  const soon = [5, 10, 20, 40, 60].find((each) => each > age_s);
  if (soon !== undefined) return new Date(created_at.getTime() + soon * 1_000);
  return new Date(now.getTime() + (age_s < 600 ? 60 : 300) * 1_000);
}
