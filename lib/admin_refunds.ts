/**
 * Refunds as an operator reads them: all of them newest first, those of one order, and what is still left to give
 * back of a trade. Reading only; whether a refund is taken is decided under the order's lock, elsewhere.
 */
import { z } from 'zod';
import { cursor } from './admin_cursor.ts';
import type { Context } from './context.ts';
import { Prisma } from './db.ts';
import type { ErrorCode } from './errors.ts';
import { isReserving, mostRefunds, refundableFor_ms } from './refunds.ts';
import { type HeldRefundState, paidTradeStates, refundStates } from './states.ts';

export interface RefundRow {
  out_refund_no: string;
  out_trade_no: string;
  order_no: string;
  origin: string;
  state: HeldRefundState;
  refund_fen: number;
  total_fen: number;
  reason: string;
  /** The operator's name, when one asked for it. */
  requested_by: string | null;
  refund_id: string | null;
  refused_code: string | null;
  user_received_account: string | null;
  created_at: Date;
  success_at: Date | null;
  ended_at: Date | null;
  /** The trade's money was more than the order asked for. */
  surplus: string | null;
  /** Of its trade: v2 knows no way out of an abnormal refund. */
  api_version: string;
}

const columns = Prisma.sql`r.out_refund_no, r.out_trade_no, r.order_no, r.origin, r.state, r.refund_fen, r.total_fen,
  r.reason, coalesce(a.username, r.requested_by) AS requested_by, r.refund_id, r.refused_code,
  r.user_received_account, r.created_at, r.success_at, r.ended_at, t.surplus, t.api_version
  FROM refund r JOIN trade t USING (out_trade_no) LEFT JOIN admin a ON a.id = r.requested_by`;

export const refundFilter = z.object({
  state: z.enum(refundStates).optional().catch(undefined),
  after: cursor('[\\w*|@-]{1,64}'),
});
export type RefundFilter = z.output<typeof refundFilter>;

export const refundPageSize = 50;

/** One page, newest first, by keyset on (created_at, out_refund_no); `next` is the `after` of the following page. */
export async function listRefunds(
  ctx: Context,
  { state, after }: RefundFilter,
): Promise<{ refunds: RefundRow[]; next: string | undefined }> {
  const cut = after?.indexOf('_') ?? -1;
  const parts = [Prisma.sql`true`];
  if (state !== undefined) parts.push(Prisma.sql`r.state = ${state}`);
  if (after !== undefined) {
    const at = new Date(Number(after.slice(0, cut)));
    parts.push(Prisma.sql`(r.created_at, r.out_refund_no) < (${at}, ${after.slice(cut + 1)})`);
  }
  const rows = await ctx.db.$queryRaw<RefundRow[]>(Prisma.sql`
    SELECT ${columns} WHERE ${Prisma.join(parts, ' AND ')}
    ORDER BY r.created_at DESC, r.out_refund_no DESC LIMIT ${refundPageSize + 1}`);
  const refunds = rows.slice(0, refundPageSize);
  const last = refunds.at(-1);
  return {
    refunds,
    next:
      rows.length > refundPageSize && last !== undefined
        ? `${last.created_at.getTime()}_${last.out_refund_no}`
        : undefined,
  };
}

/** Refunds of one order, oldest first. */
export function refundsOfOrder(ctx: Context, order_no: string): Promise<RefundRow[]> {
  return ctx.db.$queryRaw<RefundRow[]>(Prisma.sql`
    SELECT ${columns} WHERE r.order_no = ${order_no} ORDER BY r.created_at, r.out_refund_no LIMIT 500`);
}

export interface Refundability {
  refunded_fen: number;
  /** Reserved, not arrived: WeChat may still be doing it. */
  refunding_fen: number;
  left_fen: number;
  /** Refunds that count towards the fifty. */
  refunds: number;
  most_refunds: number;
  /** The last moment at which WeChat takes a refund of it. */
  until_at: Date | null;
  /** Why nothing may be refunded now; the refund itself would be refused with the same code. */
  blocked: Extract<
    ErrorCode,
    'refund_not_paid' | 'refund_too_old' | 'refund_too_many' | 'refund_too_much'
  > | null;
}

/** What a refund of this trade would find if it were asked for now. */
export function refundabilityOf(
  trade: { out_trade_no: string; trade_state: string; total_fen: number; success_at: Date | null },
  refunds: readonly Pick<RefundRow, 'out_trade_no' | 'state' | 'refund_fen'>[],
  now: Date,
): Refundability {
  const own = refunds.filter(({ out_trade_no }) => out_trade_no === trade.out_trade_no);
  const reserving = own.filter(({ state }) => isReserving(state));
  const sum = (rows: readonly { refund_fen: number }[]): number =>
    rows.reduce((total, { refund_fen }) => total + refund_fen, 0);
  const refunded_fen = sum(own.filter(({ state }) => state === 'SUCCESS'));
  const refunding_fen = sum(reserving) - refunded_fen;
  const paid = paidTradeStates.some((state) => state === trade.trade_state) && trade.success_at !== null;
  const left_fen = paid ? trade.total_fen - refunded_fen - refunding_fen : 0;
  const until_at = trade.success_at === null ? null : new Date(trade.success_at.getTime() + refundableFor_ms);
  const blocked = !paid
    ? 'refund_not_paid'
    : until_at !== null && now > until_at
      ? 'refund_too_old'
      : reserving.length >= mostRefunds
        ? 'refund_too_many'
        : left_fen <= 0
          ? 'refund_too_much'
          : null;
  return {
    refunded_fen,
    refunding_fen,
    left_fen,
    refunds: reserving.length,
    most_refunds: mostRefunds,
    until_at,
    blocked,
  };
}
