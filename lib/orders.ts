/**
 * What a shopper buys. An order is priced from our shelf, made once per checkout, and shown only to its buyer;
 * collecting its money is the business of its trades.
 */
import { z } from 'zod';
import type { Context } from './context.ts';
import { isDuplicate, Prisma } from './db.ts';
import { AppError } from './errors.ts';
import { addEvent } from './events.ts';
import { isFen } from './money.ts';
import { newNumber, numberPattern } from './numbers.ts';
import { enqueue } from './queues.ts';
import { sellerOf } from './sellers.ts';
import type { Session } from './sessions.ts';
import type { HeldTradeState, OrderState } from './states.ts';
import { fitDescription } from './wechat/index.ts';

/** Of one product in one order, however many lines name it. */
const mostOfOne = 99;

export const orderInput = z.strictObject({
  items: z
    .array(
      z.strictObject({
        product_id: z.string().regex(/^[a-z0-9-]{1,32}$/, 'must be a product_id of the catalogue'),
        quantity: z.number().int().min(1).max(mostOfOne),
      }),
    )
    .min(1)
    .max(20),
  checkout_key: z.string().regex(/^[A-Za-z0-9_-]{16,64}$/, 'must be 16 to 64 letters, digits, _ or -'),
});
export type OrderInput = z.output<typeof orderInput>;

export interface PlacedOrder {
  order_no: string;
  total_fen: number;
  expires_at: Date;
}

/** Makes the order of a checkout, or returns the one this checkout made before. */
export async function placeOrder(ctx: Context, session: Session, input: OrderInput): Promise<PlacedOrder> {
  // Before the shelf is asked: what this checkout made stands, whatever became of goods and prices since.
  const known = await findCheckout(ctx, session, input);
  if (known !== undefined) return known;
  const items = await priceItems(ctx, input.items);

  const total_fen = items.reduce((sum, { price_fen, quantity }) => sum + price_fen * quantity, 0);
  if (!isFen(total_fen))
    throw new AppError('bad_request', { field: 'items', detail: 'the total is too large' });
  const sub_mch_id = sellerOf(ctx.config, items);
  const created_at = ctx.now();
  const order_no = newNumber(created_at);
  const expires_at = new Date(created_at.getTime() + ctx.config.ORDER_EXPIRES_MINUTES * 60_000);
  const first = items[0]?.title ?? '';
  const title = items.length === 1 ? first : `${first} 等${items.length}件`;
  try {
    await ctx.db.$transaction([
      ctx.db.order.create({
        data: {
          order_no,
          session_id: session.id,
          checkout_key: input.checkout_key,
          openid: session.openid,
          state: 'NOTPAY',
          title: fitDescription(`${ctx.config.SHOP_NAME}-${title}`),
          total_fen,
          sub_mch_id,
          created_at,
          expires_at,
          items: {
            createMany: { data: items.map(({ sub_mch_id: _, ...item }, line) => ({ ...item, line })) },
          },
        },
        select: { order_no: true },
      }),
      addEvent(ctx.db, {
        at: created_at,
        order_no,
        kind: 'order_created',
        source: 'shopper',
        data: { total_fen, expires_at: expires_at.toISOString() },
      }),
      ctx.db.$executeRaw(enqueue('order_expire', { order_no }, order_no, expires_at)),
    ]);
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    const raced = await findCheckout(ctx, session, input);
    if (raced === undefined) throw error;
    return raced;
  }
  return { order_no, total_fen, expires_at };
}

/** The items as the shelf prices them now, one line per product; throws `no_such_product`. */
export async function priceItems(ctx: Context, wanted: OrderInput['items']) {
  const quantities = new Map<string, number>();
  for (const { product_id, quantity } of wanted) {
    const sum = (quantities.get(product_id) ?? 0) + quantity;
    if (sum > mostOfOne) {
      throw new AppError('bad_request', { field: 'items', detail: `${product_id}: at most ${mostOfOne}` });
    }
    quantities.set(product_id, sum);
  }
  const found = await ctx.db.product.findMany({
    where: { product_id: { in: [...quantities.keys()] }, on_sale: true },
    select: { product_id: true, title: true, price_fen: true, sub_mch_id: true },
    orderBy: { position: 'asc' },
  });
  const missing = [...quantities.keys()].find((id) => !found.some(({ product_id }) => product_id === id));
  if (missing !== undefined) throw new AppError('no_such_product', { field: 'items', detail: missing });
  return found.map((product) => ({ ...product, quantity: quantities.get(product.product_id) ?? 0 }));
}

async function findCheckout(
  ctx: Context,
  session: Session,
  input: OrderInput,
): Promise<PlacedOrder | undefined> {
  const row = await ctx.db.order.findUnique({
    where: { session_id_checkout_key: { session_id: session.id, checkout_key: input.checkout_key } },
    select: {
      order_no: true,
      total_fen: true,
      expires_at: true,
      items: { select: { product_id: true, quantity: true } },
    },
  });
  if (row === null) return undefined;
  if (quantities(row.items) !== quantities(input.items))
    throw new AppError('checkout_key_reused', { field: 'checkout_key' });
  return { order_no: row.order_no, total_fen: row.total_fen, expires_at: row.expires_at };
}

/** How much of what, as text to compare: neither order nor repeated lines count. */
export function quantities(list: readonly { product_id: string; quantity: number }[]): string {
  const sums = new Map<string, number>();
  for (const { product_id, quantity } of list) sums.set(product_id, (sums.get(product_id) ?? 0) + quantity);
  return JSON.stringify([...sums].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * How much of an order a visitor may see. `buyer`: everything of theirs. `bearer`: whoever holds the unguessable
 * link outside WeChat: what is bought, how much, whether it is paid. `stranger`: another WeChat account.
 */
export type Standing = 'buyer' | 'bearer' | 'stranger';

export function standingOf(
  order: { session_id: string; openid: string | null },
  session: Session | undefined,
): Standing {
  if (session === undefined || (session.openid === null && session.id !== order.session_id)) return 'bearer';
  if (session.id === order.session_id) return 'buyer';
  if (order.openid === null || order.openid === session.openid) return 'buyer';
  return 'stranger';
}

export interface OpenTrade {
  out_trade_no: string;
  trade_type: string;
  trade_state: HeldTradeState;
}

export interface ShownOrder {
  order_no: string;
  state: OrderState;
  title: string;
  total_fen: number;
  refunded_fen: number;
  created_at: Date;
  expires_at: Date;
  paid_at: Date | null;
  /** The order's time is over although its last trade is not closed yet. */
  expired: boolean;
  /** Money that arrived after the order was closed or paid; it goes back. */
  surplus_fen: number;
  standing: Standing;
  items: { title: string; price_fen: number; quantity: number }[];
  /** The attempt a status poll asks WeChat about, if one is open. */
  open_trade: OpenTrade | undefined;
}

/** One database round trip; undefined for a number that is not ours, does not exist, or was rung up at the counter. */
export async function showOrder(
  ctx: Context,
  session: Session | undefined,
  order_no: string,
): Promise<ShownOrder | undefined> {
  if (!numberPattern.test(order_no)) return undefined;
  const [row] = await ctx.db.$queryRaw<OrderRow[]>(Prisma.sql`
    SELECT o.order_no, o.session_id, o.openid, o.state, o.title, o.total_fen, o.created_at, o.expires_at, o.paid_at,
      (SELECT json_agg(json_build_object('title', i.title, 'price_fen', i.price_fen, 'quantity', i.quantity)
                       ORDER BY i.line) FROM order_item i WHERE i.order_no = o.order_no) AS items,
      (SELECT json_build_object('out_trade_no', t.out_trade_no, 'trade_type', t.trade_type,
                                'trade_state', t.trade_state) FROM trade t
        WHERE t.order_no = o.order_no AND t.trade_state IN ('NOTPAY', 'USERPAYING')
        ORDER BY t.created_at DESC LIMIT 1) AS open_trade,
      (SELECT coalesce(sum(t.total_fen), 0)::int FROM trade t
        WHERE t.order_no = o.order_no AND t.surplus IS NOT NULL) AS surplus_fen,
      (SELECT coalesce(sum(r.refund_fen), 0)::int FROM refund r
        WHERE r.out_trade_no = o.paid_trade_no AND r.state = 'SUCCESS') AS refunded_fen
    FROM "order" o WHERE o.order_no = ${order_no} AND o.origin = 'shop'`);
  if (row === undefined) return undefined;
  const { session_id, openid, open_trade, ...shown } = row;
  return {
    ...shown,
    expired: row.state === 'NOTPAY' && row.expires_at <= ctx.now(),
    standing: standingOf({ session_id, openid }, session),
    open_trade: open_trade ?? undefined,
  };
}

interface OrderRow {
  order_no: string;
  session_id: string;
  openid: string | null;
  state: OrderState;
  title: string;
  total_fen: number;
  created_at: Date;
  expires_at: Date;
  paid_at: Date | null;
  items: { title: string; price_fen: number; quantity: number }[];
  open_trade: OpenTrade | null;
  surplus_fen: number;
  refunded_fen: number;
}

export type OwnOrder = Pick<
  ShownOrder,
  'order_no' | 'state' | 'title' | 'total_fen' | 'refunded_fen' | 'created_at' | 'expires_at'
>;

/** A shopper's own orders, newest first: those of this browser and those of this WeChat account. */
export function listOwnOrders(ctx: Context, session: Session): Promise<OwnOrder[]> {
  const own =
    session.openid === null
      ? Prisma.sql`o.session_id = ${session.id}`
      : Prisma.sql`o.openid = ${session.openid}`;
  return ctx.db.$queryRaw<OwnOrder[]>(Prisma.sql`
    SELECT o.order_no, o.state, o.title, o.total_fen, o.created_at, o.expires_at,
      (SELECT coalesce(sum(r.refund_fen), 0)::int FROM refund r
        WHERE r.out_trade_no = o.paid_trade_no AND r.state = 'SUCCESS') AS refunded_fen
    FROM "order" o WHERE ${own}
    ORDER BY o.created_at DESC, o.order_no DESC LIMIT 50`);
}
