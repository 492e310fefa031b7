/**
 * Collecting the money of an order: at any moment one trade, of one way of paying, under a number that was committed
 * before WeChat heard it. Taking another way gives the earlier trade up first; nothing here decides that one was paid.
 */
import type { Context } from './context.ts';
import { Prisma, type Tx } from './db.ts';
import { AppError } from './errors.ts';
import { addEvent } from './events.ts';
import { newNumber, numberPattern } from './numbers.ts';
import { standingOf } from './orders.ts';
import { ensurePlaced, nearestExpiry_ms } from './placing.ts';
import { enqueue } from './queues.ts';
import type { Session } from './sessions.ts';
import { type HeldTradeState, type OrderState, openTradeStates } from './states.ts';
import { closeLater, giveUp } from './superseded.ts';
import {
  answerOf,
  type PlacedTrade,
  payerAppid,
  payerOf,
  requestOf,
  requireOpened,
  type Started,
  tradeTypeOf,
  type Way,
} from './ways.ts';
import type { PlaceTrade, WechatPay } from './wechat/index.ts';

/** A trade begun at the last second may outlive its order by this much. */
const shortestTrade_ms = nearestExpiry_ms + 30_000;
/** Two devices that take the order from each other in turns are told to wait before they do it for ever. */
const mostTurns = 4;
/** Each trade costs WeChat calls and may stay payable for minutes: whoever has the link may not begin them for ever. */
const mostTrades = 8;
const mostTradesWithin_ms = 10 * 60_000;

/** Who wants to pay, and from where. */
export interface Payer {
  session: Session | undefined;
  payer_client_ip: string;
}

/**
 * Opens, or takes up again, the trade of an order for one way of paying, and returns what that way's payer is handed.
 * However often and from however many instances it is called, WeChat hears one number. An earlier trade of another way
 * is given up first: `order_paid` when that one turns out paid, `trade_closing` when what became of it is not known;
 * `too_many_requests` when the order has moved between ways too often.
 */
export async function startTrade<W extends Way>(
  ctx: Context,
  payer: Payer,
  order_no: string,
  way: W,
): Promise<Started[W]> {
  const { account, placed } = await placeTrade(ctx, payer, order_no, way);
  return answerOf(way, ctx, account, placed);
}

/** As `startTrade`, for who wants WeChat's own handle on the trade. */
export async function placeTrade(ctx: Context, payer: Payer, order_no: string, way: Way): Promise<Begun> {
  requireOpened(ctx.config, way);
  if (!numberPattern.test(order_no)) throw new AppError('not_found');
  const openid = payerOf(way, payer.session);
  // Taps that come while one is under way join it: each alone would wait for the order's lock on a connection.
  const key = `${order_no} ${way} ${payer.session?.id ?? payer.payer_client_ip}`;
  const starting = startingOf(ctx);
  const placing =
    starting.get(key) ?? start(ctx, { ...payer, openid, way, order_no }).finally(() => starting.delete(key));
  starting.set(key, placing);
  return placing;
}

export interface Begun {
  account: WechatPay;
  placed: PlacedTrade;
}

const startingByContext = new WeakMap<Context, Map<string, Promise<Begun>>>();

function startingOf(ctx: Context): Map<string, Promise<Begun>> {
  const known = startingByContext.get(ctx) ?? new Map<string, Promise<Begun>>();
  startingByContext.set(ctx, known);
  return known;
}

interface Wish extends Payer {
  order_no: string;
  way: Way;
  openid: string | null;
}

async function start(ctx: Context, wish: Wish): Promise<Begun> {
  /** Numbers that died, or went stale, while we were at it. */
  const dead = new Set<string>();
  /** Earlier trades that WeChat would not close yet although they are unpaid: they are closed by a job. */
  const stubborn = new Set<string>();
  for (let turn = 1; turn <= mostTurns; turn += 1) {
    const opened = await openTrade(ctx, wish, dead, stubborn);
    if ('in_the_way' in opened) {
      const outcome = await giveUp(ctx, opened.in_the_way);
      if (outcome === 'paid') throw new AppError('order_paid');
      if (outcome === 'unknown') throw new AppError('trade_closing');
      if (outcome === 'refused') stubborn.add(opened.in_the_way);
      continue;
    }
    const ensured = await ensurePlaced(ctx, opened.out_trade_no);
    if (ensured.outcome === 'placed') return { account: ctx.payFor(ensured.trade), placed: ensured.placed };
    dead.add(opened.out_trade_no);
  }
  throw new AppError('busy');
}

type Opened = { out_trade_no: string } | { in_the_way: string };

/** Finds the trade to pay by or makes one, all under the order's lock; committed before WeChat hears of it. */
async function openTrade(
  ctx: Context,
  wish: Wish,
  dead: ReadonlySet<string>,
  stubborn: ReadonlySet<string>,
): Promise<Opened> {
  const { order_no, way, openid } = wish;
  return ctx.db.$transaction(async (tx) => {
    const now = ctx.now();
    const order = await lockOrder(tx, order_no);
    // What was rung up at the counter is collected there and nowhere else.
    if (order === undefined || order.session_id === null) throw new AppError('not_found');
    if (standingOf({ ...order, session_id: order.session_id }, wish.session) === 'stranger')
      throw new AppError('other_payer');
    refuseUnpayable(order, now);
    if (openid !== null) await claimOrder(tx, now, order_no, order.openid, openid);

    const account = ctx.payAs(payerAppid(ctx.config, way), order.sub_mch_id);
    const [newest, ...older] = await tradesOf(tx, order_no);
    if (newest !== undefined && !dead.has(newest.out_trade_no) && isSame(newest, wish, account)) {
      return { out_trade_no: newest.out_trade_no };
    }
    // Before the newest is given up: it stays payable.
    refuseTooMany([newest, ...older], now);
    if (newest !== undefined && isOpen(newest) && !stubborn.has(newest.out_trade_no)) {
      return { in_the_way: newest.out_trade_no };
    }
    // An older one that is open was given up when a newer took its place: WeChat refused, and its close is planned.
    for (const trade of [newest, ...older]) {
      if (trade !== undefined && isOpen(trade)) await closeLater(tx, trade, now);
    }
    // Whatever the clocks of two instances say, a later trade is the newer one: everything here goes by that order.
    const created_at = new Date(Math.max(now.getTime(), (newest?.created_at.getTime() ?? 0) + 1));
    return { out_trade_no: await createTrade(tx, { now, created_at }, ctx, wish, order, account) };
  });
}

function refuseTooMany(trades: readonly (HeldTrade | undefined)[], now: Date): void {
  const since_ms = now.getTime() - mostTradesWithin_ms;
  const begun = trades.filter((trade) => trade !== undefined && trade.created_at.getTime() > since_ms);
  if (begun.length < mostTrades) return;
  throw new AppError('too_many_requests', {
    detail: `at most ${mostTrades} payments of an order are begun in 10 minutes; go on with the last one`,
  });
}

/** Begun in another browser: the first WeChat account that pays makes the order its own. */
async function claimOrder(tx: Tx, at: Date, order_no: string, held: string | null, openid: string) {
  if (held === openid) return;
  if (held !== null) throw new AppError('other_payer');
  await tx.order.updateMany({ where: { order_no, openid: null }, data: { openid } });
  await addEvent(tx, { at, order_no, kind: 'order_claimed', source: 'shopper', data: {} });
}

interface HeldTrade {
  out_trade_no: string;
  trade_type: string;
  trade_state: HeldTradeState;
  appid: string;
  sub_appid: string | null;
  openid: string | null;
  payer_client_ip: string | null;
  created_at: Date;
}

/** Newest first; only the newest may be paid by, any older one has been given up. */
function tradesOf(tx: Tx, order_no: string): Promise<HeldTrade[]> {
  return tx.$queryRaw<HeldTrade[]>(Prisma.sql`
    SELECT out_trade_no, trade_type, trade_state, appid, sub_appid, openid,
           request->>'payer_client_ip' AS payer_client_ip, created_at
    FROM trade WHERE order_no = ${order_no} ORDER BY created_at DESC, out_trade_no DESC`);
}

const isOpen = ({ trade_state }: HeldTrade): boolean => openTradeStates.some((open) => open === trade_state);

/** Whether this trade is what the wish would make. H5 is paid from the very address it was placed for. */
function isSame(trade: HeldTrade, { way, openid, payer_client_ip }: Wish, account: WechatPay): boolean {
  return (
    isOpen(trade) &&
    trade.trade_type === tradeTypeOf(way) &&
    trade.appid === account.appid &&
    trade.sub_appid === (account.sub_appid ?? null) &&
    trade.openid === openid &&
    (way !== 'MWEB' || trade.payer_client_ip === payer_client_ip)
  );
}

async function createTrade(
  tx: Tx,
  { now, created_at }: { now: Date; created_at: Date },
  ctx: Context,
  { order_no, way, openid, payer_client_ip }: Wish,
  order: LockedOrder,
  account: WechatPay,
): Promise<string> {
  const out_trade_no = newNumber(now);
  const expires_at = new Date(Math.max(order.expires_at.getTime(), now.getTime() + shortestTrade_ms));
  const request: PlaceTrade = {
    out_trade_no,
    trade_type: tradeTypeOf(way),
    description: order.title,
    total_fen: order.total_fen,
    payer_client_ip,
    notify_url: `${ctx.config.PUBLIC_URL}/api/notify/${account.api_version}/payment`,
    time_start_at: now,
    time_expire_at: expires_at,
    ...requestOf(way, ctx.config, account, openid),
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
      trade_type: tradeTypeOf(way),
      trade_state: 'NOTPAY',
      total_fen: order.total_fen,
      openid,
      request: JSON.parse(JSON.stringify(request)) as Prisma.InputJsonObject,
      created_at,
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
    data: { trade_type: way, total_fen: order.total_fen },
  });
  await tx.$executeRaw(enqueue('trade_ask', { out_trade_no }, out_trade_no, new Date(now.getTime() + 5_000)));
  return out_trade_no;
}

interface LockedOrder {
  state: OrderState;
  session_id: string | null;
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
    WHERE order_no = ${order_no} AND origin = 'shop' FOR UPDATE`);
  return order;
}

function refuseUnpayable(order: LockedOrder, now: Date): void {
  if (order.state === 'SUCCESS' || order.state === 'REFUND') throw new AppError('order_paid');
  if (order.state === 'CLOSED') throw new AppError('order_closed');
  if (order.expires_at <= now) throw new AppError('order_expired');
}
