/**
 * What an operator sees of orders: a list that is equally fast at any depth, and one order with everything that
 * happened to it. Reading only.
 */
import { z } from 'zod';
import { cursor } from './admin_cursor.ts';
import { refundsOfOrder } from './admin_refunds.ts';
import { beijingDayStart } from './beijing.ts';
import type { Context } from './context.ts';
import { Prisma } from './db.ts';
import { orderStates } from './states.ts';

/** The list's address is its state; anything unknown in it is dropped, anything malformed means "no filter". */
export const orderFilter = z.object({
  q: z
    .string()
    .trim()
    .regex(/^[\w*|@-]{4,64}$/)
    .optional()
    .catch(undefined),
  state: z.enum(orderStates).optional().catch(undefined),
  surplus: z.enum(['yes']).optional().catch(undefined),
  from: z.iso.date().optional().catch(undefined),
  to: z.iso.date().optional().catch(undefined),
  after: cursor('[0-9A-Z]{30}'),
  size: z.coerce
    .number()
    .pipe(z.union([z.literal(20), z.literal(50), z.literal(100)]))
    .default(20)
    .catch(20),
});
export type OrderFilter = z.output<typeof orderFilter>;

export interface ListedOrder {
  order_no: string;
  state: (typeof orderStates)[number];
  title: string;
  total_fen: number;
  created_at: Date;
  paid_at: Date | null;
  served_at: Date | null;
  openid: string | null;
  out_trade_no: string | null;
  transaction_id: string | null;
  trade_type: string | null;
  api_version: string | null;
  /** The one its payer stands under. */
  appid: string | null;
  surplus_fen: number;
  /** What has gone back of the payment that serves the order. */
  refunded_fen: number;
}

export interface OrderPage {
  orders: ListedOrder[];
  /** The `after` of the next page. */
  next: string | undefined;
  /** Capped: `count_is_capped` says that there are more than `count`. */
  count: number;
  count_is_capped: boolean;
  paid_fen: number;
  surplus_fen: number;
}

const countCap = 10_000;

/** One page, newest first, by keyset on (created_at, order_no): page 20,000 costs what page 1 costs. */
export async function listOrders(ctx: Context, filter: OrderFilter): Promise<OrderPage> {
  const where = await whereOf(ctx, filter);
  const cursor = filter.after?.split('_');
  const beyond =
    cursor?.[0] === undefined || cursor[1] === undefined
      ? Prisma.empty
      : Prisma.sql`AND (o.created_at, o.order_no) < (${new Date(Number(cursor[0]))}, ${cursor[1]})`;
  const [rows, [totals]] = await Promise.all([
    ctx.db.$queryRaw<ListedOrder[]>(Prisma.sql`
      SELECT o.order_no, o.state, o.title, o.total_fen, o.created_at, o.paid_at, o.served_at, o.openid,
             t.out_trade_no, t.transaction_id, t.trade_type, t.api_version,
             coalesce(t.sub_appid, t.appid) AS appid,
             (SELECT coalesce(sum(s.total_fen), 0)::int FROM trade s
               WHERE s.order_no = o.order_no AND s.surplus IS NOT NULL) AS surplus_fen,
             (SELECT coalesce(sum(r.refund_fen), 0)::int FROM refund r
               WHERE r.out_trade_no = o.paid_trade_no AND r.state = 'SUCCESS') AS refunded_fen
      FROM "order" o
      LEFT JOIN LATERAL (SELECT * FROM trade t WHERE t.order_no = o.order_no
        ORDER BY (t.out_trade_no = o.paid_trade_no) DESC NULLS LAST, t.created_at DESC LIMIT 1) t ON true
      WHERE ${where} ${beyond}
      ORDER BY o.created_at DESC, o.order_no DESC LIMIT ${filter.size + 1}`),
    ctx.db.$queryRaw<{ count: number; paid_fen: bigint; surplus_fen: bigint }[]>(Prisma.sql`
      SELECT count(*)::int AS count,
        coalesce(sum(total_fen) FILTER (WHERE state IN ('SUCCESS', 'REFUND')), 0)::bigint AS paid_fen,
        coalesce(sum(surplus), 0)::bigint AS surplus_fen
      FROM (SELECT o.total_fen, o.state, (SELECT sum(s.total_fen) FROM trade s
               WHERE s.order_no = o.order_no AND s.surplus IS NOT NULL) AS surplus
            FROM "order" o WHERE ${where} ORDER BY o.created_at DESC LIMIT ${countCap + 1}) x`),
  ]);
  const orders = rows.slice(0, filter.size);
  const last = orders.at(-1);
  const count = totals?.count ?? 0;
  return {
    orders,
    next:
      rows.length > filter.size && last !== undefined
        ? `${last.created_at.getTime()}_${last.order_no}`
        : undefined,
    count: Math.min(count, countCap),
    count_is_capped: count > countCap,
    paid_fen: Number(totals?.paid_fen ?? 0),
    surplus_fen: Number(totals?.surplus_fen ?? 0),
  };
}

/** A search by number is resolved to order numbers first, each by its own unique index (whole or prefix). */
async function whereOf(ctx: Context, filter: OrderFilter): Promise<Prisma.Sql> {
  const parts = [Prisma.sql`true`];
  if (filter.state !== undefined) parts.push(Prisma.sql`o.state = ${filter.state}`);
  if (filter.surplus === 'yes') {
    parts.push(Prisma.sql`o.order_no IN (SELECT s.order_no FROM trade s WHERE s.surplus IS NOT NULL)`);
  }
  const from = filter.from === undefined ? undefined : beijingDayStart(filter.from);
  const to = filter.to === undefined ? undefined : beijingDayStart(filter.to);
  if (from !== undefined) parts.push(Prisma.sql`o.created_at >= ${from}`);
  if (to !== undefined) parts.push(Prisma.sql`o.created_at < ${new Date(to.getTime() + 86_400_000)}`);
  if (filter.q !== undefined) {
    const upper = `${filter.q}\u{10FFFF}`;
    const found = await ctx.db.$queryRaw<{ order_no: string }[]>(Prisma.sql`
      SELECT order_no FROM "order" WHERE order_no >= ${filter.q} AND order_no < ${upper}
      UNION SELECT order_no FROM trade WHERE out_trade_no >= ${filter.q} AND out_trade_no < ${upper}
      UNION SELECT order_no FROM trade WHERE transaction_id >= ${filter.q} AND transaction_id < ${upper}
      UNION SELECT order_no FROM refund WHERE out_refund_no >= ${filter.q} AND out_refund_no < ${upper}
      UNION SELECT order_no FROM refund WHERE refund_id >= ${filter.q} AND refund_id < ${upper}
      UNION SELECT order_no FROM "order" WHERE openid = ${filter.q}
      LIMIT 1000`);
    parts.push(
      found.length === 0
        ? Prisma.sql`false`
        : Prisma.sql`o.order_no IN (${Prisma.join(found.map(({ order_no }) => order_no))})`,
    );
  }
  return Prisma.join(parts, ' AND ');
}

/** Everything about one order, its timeline oldest first; notifications stand in it beside our own steps. */
export async function readOrder(ctx: Context, order_no: string) {
  const order = await ctx.db.order.findUnique({
    where: { order_no },
    include: { items: { orderBy: { line: 'asc' } }, trades: { orderBy: { created_at: 'asc' } } },
  });
  if (order === null) return undefined;
  const numbers = order.trades.map(({ out_trade_no }) => out_trade_no);
  const [events, notifications, refunds] = await Promise.all([
    readEvents(ctx, order_no),
    ctx.db.notification.findMany({
      where: { out_trade_no: { in: numbers } },
      orderBy: { received_at: 'asc' },
      take: 500,
    }),
    refundsOfOrder(ctx, order_no),
  ]);
  return { order, events, notifications, refunds, read_at: ctx.now() };
}

/** Steps that a page or a job can repeat without end; their newest are shown, what moved money always is. */
const repeatable = ['query', 'unified_order', 'bridge_result', 'refund_query', 'refund_sent'];

async function readEvents(ctx: Context, order_no: string) {
  const [moves, repeats] = await Promise.all([
    ctx.db.event.findMany({
      where: { order_no, kind: { notIn: repeatable } },
      orderBy: { id: 'asc' },
      take: 1_000,
    }),
    ctx.db.event.findMany({
      where: { order_no, kind: { in: repeatable } },
      orderBy: { id: 'desc' },
      take: 500,
    }),
  ]);
  return [...moves, ...repeats].sort((a, b) => Number(a.id - b.id));
}
