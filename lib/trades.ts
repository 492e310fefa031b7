/**
 * Collecting the money of an order: one trade per way of paying, placed at WeChat under a number that was
 * committed before WeChat heard it. A lost answer is repeated with the stored request; nothing here decides that
 * a trade was paid.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { speechColumns, type TradeSpeech } from './accounts.ts';
import { askTrade } from './ask.ts';
import { closeTrade } from './close.ts';
import type { Context } from './context.ts';
import { Prisma, type Tx } from './db.ts';
import { AppError } from './errors.ts';
import { addEvent, asWechatError, exchangeData } from './events.ts';
import { newNumber, numberPattern } from './numbers.ts';
import { standingOf } from './orders.ts';
import { enqueue } from './queues.ts';
import type { Session } from './sessions.ts';
import { type HeldTradeState, type OrderState, openTradeStates } from './states.ts';
import type { JsapiParameters, Placed, PlaceTrade, WechatError } from './wechat/index.ts';

/** WeChat keeps a prepay_id for two hours; ours is renewed a little earlier, so that a payer can still finish. */
const prepayLife_ms = 115 * 60_000;
/** WeChat refuses a `time_expire` nearer than five minutes (v2) and a close before that age. */
const nearestExpiry_ms = 5 * 60_000;
/** A trade begun at the last second may outlive its order by this much. */
const shortestTrade_ms = nearestExpiry_ms + 30_000;
const waitStep_ms = 150;

export interface StartedTrade {
  out_trade_no: string;
  jsapi: JsapiParameters;
}

/** The columns of a trade that placing it needs. */
interface PlacingTrade extends TradeSpeech {
  out_trade_no: string;
  order_no: string;
  trade_state: HeldTradeState;
  request: Prisma.JsonValue;
  prepay_id: string | null;
  prepay_at: Date | null;
  placing_until: Date | null;
  created_at: Date;
  expires_at: Date;
}

/**
 * Opens, or takes up again, the JSAPI trade of an order for this shopper and returns the parameters for the
 * bridge. However often and from however many instances it is called, WeChat hears one number.
 */
export async function startJsapiTrade(
  ctx: Context,
  session: Session,
  order_no: string,
  payer_client_ip: string,
): Promise<StartedTrade> {
  const { openid } = session;
  if (!numberPattern.test(order_no)) throw new AppError('not_found');
  if (openid === null) throw new AppError('openid_required');
  // Taps that come while one is under way join it: each alone would wait for the order's lock on a connection.
  const key = `${order_no} ${session.id}`;
  const starting = startingOf(ctx);
  const joined = starting.get(key);
  if (joined !== undefined) return joined;
  const started = startTrade(ctx, { ...session, openid }, order_no, payer_client_ip).finally(() =>
    starting.delete(key),
  );
  starting.set(key, started);
  return started;
}

const startingByContext = new WeakMap<Context, Map<string, Promise<StartedTrade>>>();

function startingOf(ctx: Context): Map<string, Promise<StartedTrade>> {
  const known = startingByContext.get(ctx) ?? new Map<string, Promise<StartedTrade>>();
  startingByContext.set(ctx, known);
  return known;
}

async function startTrade(
  ctx: Context,
  session: Session & { openid: string },
  order_no: string,
  payer_client_ip: string,
): Promise<StartedTrade> {
  for (let attempt = 1; ; attempt += 1) {
    const out_trade_no = await openTrade(ctx, session, order_no, payer_client_ip);
    const placed = await ensurePlaced(ctx, out_trade_no);
    if (placed.outcome === 'placed') {
      return { out_trade_no, jsapi: ctx.payFor(placed.trade).jsapiParameters(placed.prepay_id) };
    }
    // The number died between two taps (closed at WeChat); one new number, then the shopper is told.
    if (attempt === 2) throw new AppError('busy');
  }
}

/** Finds the open trade of the order or makes one, all under the order's lock; committed before WeChat hears of it. */
async function openTrade(
  ctx: Context,
  session: Session & { openid: string },
  order_no: string,
  payer_client_ip: string,
): Promise<string> {
  return ctx.db.$transaction(async (tx) => {
    const now = ctx.now();
    const order = await lockOrder(tx, order_no);
    if (order === undefined) throw new AppError('not_found');
    if (standingOf(order, session) === 'stranger') throw new AppError('other_payer');
    refuseUnpayable(order, now);
    if (order.openid === null) {
      // Begun in another browser: the first WeChat account that pays makes the order its own.
      await tx.order.updateMany({ where: { order_no, openid: null }, data: { openid: session.openid } });
      await addEvent(tx, { at: now, order_no, kind: 'order_claimed', source: 'shopper', data: {} });
    } else if (order.openid !== session.openid) {
      throw new AppError('other_payer');
    }
    const open = await tx.trade.findFirst({
      where: {
        order_no,
        trade_type: 'JSAPI',
        trade_state: { in: [...openTradeStates] },
        openid: session.openid,
      },
      select: { out_trade_no: true },
      orderBy: { created_at: 'desc' },
    });
    if (open !== null) return open.out_trade_no;

    const account = ctx.payAs(ctx.config.WECHAT_APPID, order.sub_mch_id);
    const out_trade_no = newNumber(now);
    const expires_at = new Date(Math.max(order.expires_at.getTime(), now.getTime() + shortestTrade_ms));
    const request: PlaceTrade = {
      out_trade_no,
      trade_type: 'JSAPI',
      description: order.title,
      total_fen: order.total_fen,
      payer_client_ip,
      notify_url: `${ctx.config.PUBLIC_URL}/api/notify/${account.api_version}/payment`,
      time_start_at: now,
      time_expire_at: expires_at,
      ...(account.sub_appid === undefined ? { openid: session.openid } : { sub_openid: session.openid }),
    };
    await tx.trade.create({
      data: {
        out_trade_no,
        order_no,
        mch_id: account.mch_id,
        appid: account.appid,
        sub_mch_id: account.sub_mch_id ?? null,
        sub_appid: account.sub_appid ?? null,
        api_version: account.api_version,
        sign_type: account.sign_type,
        trade_type: 'JSAPI',
        trade_state: 'NOTPAY',
        total_fen: order.total_fen,
        openid: session.openid,
        request: JSON.parse(JSON.stringify(request)) as Prisma.InputJsonObject,
        created_at: now,
        expires_at,
      },
      select: { out_trade_no: true },
    });
    await addEvent(tx, {
      at: now,
      order_no,
      out_trade_no,
      kind: 'trade_created',
      source: 'shopper',
      data: { trade_type: 'JSAPI', total_fen: order.total_fen },
    });
    await tx.$executeRaw(
      enqueue('trade_ask', { out_trade_no }, out_trade_no, new Date(now.getTime() + 5_000)),
    );
    return out_trade_no;
  });
}

interface LockedOrder {
  state: OrderState;
  session_id: string;
  openid: string | null;
  title: string;
  total_fen: number;
  sub_mch_id: string | null;
  expires_at: Date;
}

/** The order's row lock is the mutex of everything that hangs on it. */
export async function lockOrder(tx: Tx, order_no: string): Promise<LockedOrder | undefined> {
  const [order] = await tx.$queryRaw<LockedOrder[]>(Prisma.sql`
    SELECT state, session_id, openid, title, total_fen, sub_mch_id, expires_at FROM "order"
    WHERE order_no = ${order_no} FOR UPDATE`);
  return order;
}

function refuseUnpayable(order: LockedOrder, now: Date): void {
  if (order.state === 'SUCCESS' || order.state === 'REFUND') throw new AppError('order_paid');
  if (order.state === 'CLOSED') throw new AppError('order_closed');
  if (order.expires_at <= now) throw new AppError('order_expired');
}

type Ensured = { outcome: 'placed'; trade: PlacingTrade; prepay_id: string } | { outcome: 'dead' };

/** Returns a live prepay_id of the trade; one caller places it, the others wait for what that one learns. */
async function ensurePlaced(ctx: Context, out_trade_no: string): Promise<Ensured> {
  const patience_ms = ctx.config.WECHAT_TIMEOUT_MS + 2_000;
  for (let waited_ms = 0; waited_ms <= patience_ms; waited_ms += waitStep_ms) {
    const trade = await ctx.db.trade.findUnique({ where: { out_trade_no }, select: placingColumns });
    if (trade === null) throw new Error(`trade ${out_trade_no} vanished`);
    const held = trade as PlacingTrade;
    if (held.trade_state === 'SUCCESS' || held.trade_state === 'REFUND') throw new AppError('order_paid');
    if (held.trade_state !== 'NOTPAY' && held.trade_state !== 'USERPAYING') return { outcome: 'dead' };
    const prepay_id = livePrepayId(held, ctx.now());
    if (prepay_id !== undefined) return { outcome: 'placed', trade: held, prepay_id };
    if (await claim(ctx, out_trade_no)) return place(ctx, held);
    await sleep(waitStep_ms);
  }
  throw new AppError('wechat_unknown');
}

const placingColumns = {
  out_trade_no: true,
  order_no: true,
  ...speechColumns,
  trade_state: true,
  request: true,
  prepay_id: true,
  prepay_at: true,
  placing_until: true,
  created_at: true,
  expires_at: true,
} as const;

function livePrepayId(trade: PlacingTrade, now: Date): string | undefined {
  if (trade.prepay_id === null || trade.prepay_at === null) return undefined;
  return now.getTime() - trade.prepay_at.getTime() < prepayLife_ms ? trade.prepay_id : undefined;
}

/** Wins for one caller the right to talk to WeChat about placing this trade; it lapses if that caller dies. */
async function claim(ctx: Context, out_trade_no: string): Promise<boolean> {
  const now = ctx.now();
  const stale_at = new Date(now.getTime() - prepayLife_ms);
  const { count } = await ctx.db.trade.updateMany({
    where: {
      out_trade_no,
      trade_state: 'NOTPAY',
      AND: [
        { OR: [{ prepay_id: null }, { prepay_at: { lte: stale_at } }] },
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
      const placed = await ctx.payFor(trade).placeTrade(request);
      const { prepay_id } = placed;
      if (prepay_id === undefined) throw new Error(`WeChat placed ${out_trade_no} without a prepay_id`);
      await ctx.db.$transaction([
        ctx.db.trade.updateMany({
          where: { out_trade_no },
          data: { prepay_id, prepay_at: bornAt(trade, placed), placing_until: null },
        }),
        addEvent(ctx.db, {
          at: ctx.now(),
          order_no,
          out_trade_no,
          kind: 'unified_order',
          source: 'shopper',
          data: { ...exchangeData(placed.exchange), attempt },
        }),
      ]);
      return { outcome: 'placed', trade, prepay_id };
    } catch (thrown) {
      error = asWechatError(thrown);
      await addEvent(ctx.db, {
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
  await ctx.db.trade.updateMany({ where: { out_trade_no }, data: { placing_until: null } });
  return afterFailure(ctx, trade, error);
}

/**
 * Since when this prepay_id may have existed, at the earliest. A repeat is answered with the one WeChat made before, so
 * the one we hold keeps its age, and the first to reach us may come from an answer that was lost.
 */
function bornAt(trade: PlacingTrade, { prepay_id, exchange }: Placed): Date {
  if (trade.prepay_id === null) return trade.created_at;
  return trade.prepay_id === prepay_id && trade.prepay_at !== null ? trade.prepay_at : exchange.started_at;
}

/** WeChat said no, or nothing: what it says of the number itself decides what the shopper hears. */
async function afterFailure(
  ctx: Context,
  { out_trade_no, order_no, expires_at }: PlacingTrade,
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
