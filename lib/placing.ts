/**
 * Placing a trade at WeChat under a number that was committed before: one caller talks, the others wait for what it
 * learns, and a lost answer is repeated with the stored request. It decides nothing about an order.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { noteAccountWorks, noteFault } from './account_faults.ts';
import { speechColumns, type TradeSpeech } from './accounts.ts';
import { askTrade } from './ask.ts';
import { closeTrade } from './close.ts';
import type { Context } from './context.ts';
import type { Prisma } from './db.ts';
import { AppError } from './errors.ts';
import { addEvent, addRepeatable, asWechatError, exchangeData } from './events.ts';
import type { HeldTradeState } from './states.ts';
import type { PlacedTrade } from './ways.ts';
import type { Placed, PlaceTrade, WechatError } from './wechat/index.ts';

/**
 * How long what WeChat hands out is used: a prepay_id and a code live for two hours, an H5 link for five minutes. Ours
 * is renewed a little earlier, so that a payer can still finish.
 */
export const handleLife_ms = { prepay: 115 * 60_000, h5: 280_000 } as const;
/** WeChat refuses a `time_expire` nearer than five minutes (v2) and a close before that age. */
export const nearestExpiry_ms = 5 * 60_000;
const waitStep_ms = 150;
/** Nothing a shopper or we can do: the way of paying is not opened at WeChat, or the account not bound. */
const notGranted: ReadonlySet<string> = new Set(['NOAUTH', 'NO_AUTH', 'APPID_MCHID_NOT_MATCH']);

/** How long WeChat is left alone about a trade it did not place so often in a row; a shopper's second try is free. */
export function pauseAfter(failures: number): number {
  return failures < 3 ? 0 : Math.min(300_000, 5_000 * 2 ** (failures - 3));
}

/** The columns of a trade that placing it needs. */
interface PlacingTrade extends TradeSpeech {
  out_trade_no: string;
  order_no: string;
  trade_type: string;
  trade_state: HeldTradeState;
  request: Prisma.JsonValue;
  prepay_id: string | null;
  code_url: string | null;
  h5_url: string | null;
  prepay_at: Date | null;
  placing_until: Date | null;
  place_failures: number;
  place_failed: string | null;
  place_after: Date | null;
  created_at: Date;
  expires_at: Date;
}

const placingColumns = {
  out_trade_no: true,
  order_no: true,
  ...speechColumns,
  trade_type: true,
  trade_state: true,
  request: true,
  prepay_id: true,
  code_url: true,
  h5_url: true,
  prepay_at: true,
  placing_until: true,
  place_failures: true,
  place_failed: true,
  place_after: true,
  created_at: true,
  expires_at: true,
} as const;

/** `dead`: the number cannot be paid any more, or what WeChat hands out for it is stale; another number is needed. */
export type Ensured = { outcome: 'placed'; trade: TradeSpeech; placed: PlacedTrade } | { outcome: 'dead' };

/** Returns a live handle on the trade; one caller places it, the others wait for what that one learns. */
export async function ensurePlaced(ctx: Context, out_trade_no: string): Promise<Ensured> {
  const patience_ms = ctx.config.WECHAT_TIMEOUT_MS + 2_000;
  for (let waited_ms = 0; waited_ms <= patience_ms; waited_ms += waitStep_ms) {
    const trade = await ctx.db.trade.findUnique({ where: { out_trade_no }, select: placingColumns });
    if (trade === null) throw new Error(`trade ${out_trade_no} vanished`);
    const held = trade as PlacingTrade;
    if (held.trade_state === 'SUCCESS' || held.trade_state === 'REFUND') throw new AppError('order_paid');
    if (held.trade_state !== 'NOTPAY' && held.trade_state !== 'USERPAYING') return { outcome: 'dead' };
    const live = liveHandle(held, ctx.now());
    if (live !== undefined) return { outcome: 'placed', trade: held, placed: live };
    if (held.place_after !== null && held.place_after > ctx.now()) {
      throw new AppError(held.place_failed === 'refused' ? 'wechat_refused' : 'wechat_unknown');
    }
    if (await claim(ctx, held)) return place(ctx, held);
    await sleep(waitStep_ms);
  }
  throw new AppError('wechat_unknown');
}

function liveHandle(trade: PlacingTrade, now: Date): PlacedTrade | undefined {
  const handle = handleOf(trade);
  if (handle === null || trade.prepay_at === null) return undefined;
  const good_until = new Date(trade.prepay_at.getTime() + lifeOf(trade));
  const { out_trade_no, order_no, prepay_id } = trade;
  return now < good_until ? { out_trade_no, order_no, handle, prepay_id, good_until } : undefined;
}

/** What the payer's side is handed: an address where the way has one, else the prepay_id. */
function handleOf(made: { prepay_id?: string | null; code_url?: string | null; h5_url?: string | null }) {
  return made.code_url ?? made.h5_url ?? made.prepay_id ?? null;
}

const lifeOf = ({ trade_type }: PlacingTrade): number =>
  trade_type === 'MWEB' ? handleLife_ms.h5 : handleLife_ms.prepay;

/** Wins for one caller the right to talk to WeChat about placing this trade; it lapses if that caller dies. */
async function claim(ctx: Context, trade: PlacingTrade): Promise<boolean> {
  const now = ctx.now();
  const stale_at = new Date(now.getTime() - lifeOf(trade));
  const { count } = await ctx.db.trade.updateMany({
    where: {
      out_trade_no: trade.out_trade_no,
      trade_state: 'NOTPAY',
      AND: [
        { OR: [{ prepay_at: null }, { prepay_at: { lte: stale_at } }] },
        { OR: [{ placing_until: null }, { placing_until: { lte: now } }] },
      ],
    },
    // Twice the time-out: a lost answer is repeated once under the same claim.
    data: { placing_until: new Date(now.getTime() + 2 * ctx.config.WECHAT_TIMEOUT_MS + 1_000) },
  });
  return count === 1;
}

/** Calls WeChat with the stored request; an unknown outcome is repeated once, unchanged. */
async function place(ctx: Context, trade: PlacingTrade): Promise<Ensured> {
  const { out_trade_no, order_no } = trade;
  const request = storedRequest(trade.request);
  let error: WechatError | undefined;
  for (let attempt = 1; attempt <= 2; attempt += 1) {
    try {
      const asked_at = ctx.now();
      const placed = await ctx.payFor(trade).placeTrade(request);
      return await keep(ctx, trade, placed, { asked_at, attempt });
    } catch (thrown) {
      error = asWechatError(thrown);
      await addRepeatable(ctx.db, {
        at: ctx.now(),
        order_no,
        out_trade_no,
        kind: 'unified_order',
        source: 'shopper',
        data: { ...exchangeData(error.exchange, error), attempt },
      });
      if (error.outcome === 'refused') break;
    }
  }
  const place_failures = trade.place_failures + 1;
  await ctx.db.trade.updateMany({
    where: { out_trade_no },
    data: {
      placing_until: null,
      place_failures,
      place_failed: error?.outcome ?? 'unknown',
      place_after: new Date(ctx.now().getTime() + pauseAfter(place_failures)),
    },
  });
  return afterFailure(ctx, trade, error);
}

/** Writes down what WeChat handed out, and looks at what became of the trade meanwhile. */
async function keep(
  ctx: Context,
  trade: PlacingTrade,
  made: Placed,
  { asked_at, attempt }: { asked_at: Date; attempt: number },
): Promise<Ensured> {
  const { out_trade_no, order_no } = trade;
  const { prepay_id = null, code_url = null, h5_url = null } = made;
  const handle = handleOf(made);
  if (handle === null) throw new Error(`WeChat placed ${out_trade_no} and handed out nothing to pay it by`);
  const prepay_at = bornAt(trade, handle, asked_at);
  const [after] = await ctx.db.$transaction([
    ctx.db.trade.update({
      where: { out_trade_no },
      data: {
        prepay_id,
        code_url,
        h5_url,
        prepay_at,
        placing_until: null,
        place_failures: 0,
        place_failed: null,
        place_after: null,
      },
      select: { trade_state: true },
    }),
    addEvent(ctx.db, {
      at: ctx.now(),
      order_no,
      out_trade_no,
      kind: 'unified_order',
      source: 'shopper',
      data: { ...exchangeData(made.exchange), attempt },
    }),
  ]);
  await noteAccountWorks(ctx, `place ${trade.trade_type}`);
  if (after.trade_state === 'SUCCESS' || after.trade_state === 'REFUND') throw new AppError('order_paid');
  if (after.trade_state === 'CLOSED') {
    // Given up while WeChat was being told of it: what it now knows must not stay payable.
    await ctx
      .payFor(trade)
      .closeTrade(out_trade_no)
      .catch((thrown: unknown) => asWechatError(thrown));
    return { outcome: 'dead' };
  }
  // WeChat may repeat what it handed out before: a prepay_id in its last minutes still serves, a dead link does not.
  const good_until = new Date(prepay_at.getTime() + lifeOf(trade));
  if (trade.trade_type === 'MWEB' && good_until <= ctx.now()) return { outcome: 'dead' };
  return { outcome: 'placed', trade, placed: { out_trade_no, order_no, handle, prepay_id, good_until } };
}

/**
 * Since when this handle may have existed, at the earliest. A repeat is answered with the one WeChat made before, so
 * the one we hold keeps its age, and the first to reach us may come from an answer that was lost.
 */
function bornAt(trade: PlacingTrade, handle: string, asked_at: Date): Date {
  const held = handleOf(trade);
  if (held === null) return trade.created_at;
  return held === handle && trade.prepay_at !== null ? trade.prepay_at : asked_at;
}

/** WeChat said no, or nothing: what it says of the number itself decides what the shopper hears. */
async function afterFailure(
  ctx: Context,
  { out_trade_no, order_no, expires_at, trade_type }: PlacingTrade,
  error: WechatError | undefined,
): Promise<Ensured> {
  if (error?.code === 'ORDERPAID' || error?.code === 'ORDERCLOSED' || error?.code === 'OUT_TRADE_NO_USED') {
    const asked = await askTrade(ctx, out_trade_no, { source: 'shopper', min_gap_ms: 0 });
    if (asked.outcome === 'told' && (asked.said === 'SUCCESS' || asked.said === 'REFUND')) {
      throw new AppError('order_paid');
    }
    if (asked.outcome === 'told' && asked.said === 'CLOSED') return { outcome: 'dead' };
  }
  if (error?.outcome === 'refused' && expires_at.getTime() - ctx.now().getTime() < nearestExpiry_ms) {
    // A number WeChat never heard is no use any more when its stored time_expire has come too near: it is given up.
    const closed = await closeTrade(ctx, out_trade_no, 'shopper');
    if (closed === 'paid') throw new AppError('order_paid');
    if (closed === 'closed') return { outcome: 'dead' };
  }
  ctx.log.warn({ order_no, out_trade_no, code: error?.code, outcome: error?.outcome }, 'trade not placed');
  if (error !== undefined && notGranted.has(error.code)) {
    await noteFault(ctx, `place ${trade_type}`, { code: error.code, errmsg: error.message });
    throw new AppError('product_not_granted', { detail: trade_type, cause: error });
  }
  throw new AppError(error?.outcome === 'refused' ? 'wechat_refused' : 'wechat_unknown', { cause: error });
}

/** The request as it was stored: the same fields with the same values, dates restored. */
function storedRequest(stored: Prisma.JsonValue): PlaceTrade {
  const request = stored as unknown as Omit<PlaceTrade, 'time_start_at' | 'time_expire_at'> & {
    time_start_at: string;
    time_expire_at: string;
  };
  return {
    ...request,
    time_start_at: new Date(request.time_start_at),
    time_expire_at: new Date(request.time_expire_at),
  };
}
