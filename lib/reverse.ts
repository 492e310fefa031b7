/**
 * Taking a charge of the counter back while its outcome is unknown: what was not paid never will be, what was paid goes
 * back whole. From the first call on a trade counts as paid only when WeChat refuses to reverse it and says so after;
 * this room never reverses what we know to be paid.
 */
import { askTrade } from './ask.ts';
import type { Context } from './context.ts';
import { Prisma } from './db.ts';
import { addEvent, asWechatError, type EventSource, exchangeData } from './events.ts';
import { openTradeStates } from './states.ts';
import type { CounterCalls, CounterPayer, WechatPay } from './wechat/index.ts';

/** 付款码支付: no reversal earlier than this after the charge. */
export const reversibleAfter_ms = 15_000;

export type CounterTradeType = CounterPayer['trade_type'];

export function isCounterTrade(trade_type: string): trade_type is CounterTradeType {
  return trade_type === 'MICROPAY' || trade_type === 'FACEPAY';
}

/** What happens face to face; throws for an account over a version that has none of it. */
export function counterOf(pay: WechatPay): CounterCalls {
  if (pay.counter === undefined) throw new Error(`API ${pay.api_version} has no counter`);
  return pay.counter;
}

const columns = {
  out_trade_no: true,
  order_no: true,
  api_version: true,
  sign_type: true,
  appid: true,
  mch_id: true,
  sub_mch_id: true,
  sub_appid: true,
  trade_type: true,
  trade_state: true,
  expires_at: true,
  reverse_answer: true,
} as const;

const read = (ctx: Context, out_trade_no: string) =>
  ctx.db.trade.findUniqueOrThrow({ where: { out_trade_no }, select: columns });

const isOpen = (trade_state: string): boolean => openTradeStates.some((open) => open === trade_state);

/** One reversal and the query after it. `unknown`: nothing was decided; do it again a little later. */
export async function reverseTrade(
  ctx: Context,
  out_trade_no: string,
  source: EventSource,
): Promise<'closed' | 'paid' | 'unknown'> {
  if (!(await claim(ctx, out_trade_no))) return settledAs((await read(ctx, out_trade_no)).trade_state);
  const trade = await read(ctx, out_trade_no);
  const answer = trade.reverse_answer === 'done' ? 'done' : await callReverse(ctx, trade, source);
  await ctx.db.trade.updateMany({
    where: { out_trade_no },
    data: { reversing_until: null, ...(answer === undefined ? {} : { reverse_answer: answer }) },
  });
  const asked = await askTrade(ctx, out_trade_no, { source, min_gap_ms: 0 });
  const { trade_state } = await read(ctx, out_trade_no);
  if (!isOpen(trade_state)) return settledAs(trade_state);

  const unpaid = asked.outcome === 'told' && asked.said !== 'SUCCESS' && asked.said !== 'REFUND';
  if (answer === 'done' && (unpaid || asked.outcome === 'not_found')) {
    return decide(ctx, trade, 'REVOKED');
  }
  // WeChat never heard the number, and would not take a charge under it any more.
  if (answer === 'refused' && asked.outcome === 'not_found' && ctx.now() > trade.expires_at) {
    return decide(ctx, trade, 'CLOSED');
  }
  return 'unknown';
}

function settledAs(trade_state: string): 'closed' | 'paid' | 'unknown' {
  if (isOpen(trade_state)) return 'unknown';
  return trade_state === 'SUCCESS' || trade_state === 'REFUND' ? 'paid' : 'closed';
}

/**
 * Wins for one caller the right to reverse. Not in the first moments, nor while the charge itself is on the line: it
 * could arrive after. What an earlier call learned is forgotten, unless it was that the reversal is done.
 */
async function claim(ctx: Context, out_trade_no: string): Promise<boolean> {
  const now = ctx.now();
  const until = new Date(now.getTime() + ctx.config.WECHAT_TIMEOUT_MS + 1_000);
  const won = await ctx.db.$executeRaw(Prisma.sql`
    UPDATE trade SET reversing_at = coalesce(reversing_at, ${now}), reversing_until = ${until},
      reverse_calls = reverse_calls + 1, reverse_answer = nullif(reverse_answer, 'refused')
    WHERE out_trade_no = ${out_trade_no} AND trade_state IN ('NOTPAY', 'USERPAYING')
      AND created_at <= ${new Date(now.getTime() - reversibleAfter_ms)}
      AND (placing_until IS NULL OR placing_until <= ${now})
      AND (reversing_until IS NULL OR reversing_until <= ${now})`);
  return won === 1;
}

type ReadTrade = Awaited<ReturnType<typeof read>>;

/** `done`, `refused` for good, or undefined: not known, or WeChat wants to be asked again. */
async function callReverse(
  ctx: Context,
  trade: ReadTrade,
  source: EventSource,
): Promise<'done' | 'refused' | undefined> {
  const { out_trade_no, order_no, trade_type } = trade;
  if (!isCounterTrade(trade_type)) throw new Error(`${out_trade_no} is no trade of the counter`);
  const tell = (data: Prisma.InputJsonObject) =>
    addEvent(ctx.db, { at: ctx.now(), order_no, out_trade_no, kind: 'reverse', source, data });
  try {
    const { recall, exchange } = await counterOf(ctx.payFor(trade)).reverseTrade(out_trade_no, trade_type);
    await tell({ ...exchangeData(exchange), recall });
    return recall ? undefined : 'done';
  } catch (thrown) {
    const error = asWechatError(thrown);
    await tell(exchangeData(error.exchange, error));
    return error.outcome === 'refused' ? 'refused' : undefined;
  }
}

/** WeChat has accepted the end of this trade, or never began it, and the query after shows no payment. */
async function decide(
  ctx: Context,
  trade: ReadTrade,
  trade_state: 'REVOKED' | 'CLOSED',
): Promise<'closed' | 'unknown'> {
  const { verdict } = await ctx.settle({ source: 'query', report: { ...ownReport(trade), trade_state } });
  return verdict === 'applied' ? 'closed' : 'unknown';
}

/** What a report needs to be recognised as being about this trade. */
export function ownReport(trade: {
  appid: string;
  mch_id: string;
  sub_mch_id: string | null;
  out_trade_no: string;
}) {
  return {
    appid: trade.appid,
    mch_id: trade.mch_id,
    ...(trade.sub_mch_id === null ? {} : { sub_mch_id: trade.sub_mch_id }),
    out_trade_no: trade.out_trade_no,
  };
}
