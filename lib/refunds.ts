/**
 * Money going back: how much of it may, and the wish for it. A refund is reserved under the order's lock before WeChat
 * hears of it and keeps its number through every retry. It refuses to give back more than was paid.
 */
import type { Context } from './context.ts';
import { isDuplicate, Prisma, type Tx } from './db.ts';
import { AppError } from './errors.ts';
import { addEvent } from './events.ts';
import { formatFen, isFen } from './money.ts';
import { newNumber } from './numbers.ts';
import { enqueue } from './queues.ts';
import { reservingRefundStates } from './states.ts';

/** WeChat's limits: refunds of one trade, and how long after the payment. */
export const mostRefunds = 50;
export const refundableFor_ms = 365 * 86_400_000;

export interface RefundWish {
  out_trade_no: string;
  refund_fen: number;
  reason: string;
  /** One wish, one refund: repeated with the same key it returns the same refund. */
  command_key: string;
  origin: 'operator' | 'surplus';
  requested_by?: string;
}

export interface RequestedRefund {
  out_refund_no: string;
  /** False when this wish had been taken before. */
  made: boolean;
}

/**
 * Reserves a refund and puts it on its way. Throws `refund_too_much` with what is left, `refund_not_paid`,
 * `refund_too_many`, `refund_too_old`, `refund_key_reused`; nothing is reserved then.
 */
export async function requestRefund(ctx: Context, wish: RefundWish): Promise<RequestedRefund> {
  const { out_trade_no, refund_fen } = wish;
  if (!isFen(refund_fen)) {
    throw new AppError('bad_request', { field: 'refund_fen', detail: 'refund_fen: whole fen from 1 up' });
  }
  const found = await ctx.db.trade.findUnique({ where: { out_trade_no }, select: { order_no: true } });
  if (found === null) throw new AppError('not_found', { field: 'out_trade_no' });
  const reserve = reserveRefund(ctx, wish, found.order_no);
  return reserve.catch((thrown: unknown) => {
    // Under this order's lock nobody else has the key: another order's refund took it a moment ago.
    if (isDuplicate(thrown)) throw new AppError('refund_key_reused', { field: 'command_key', cause: thrown });
    throw thrown;
  });
}

function reserveRefund(ctx: Context, wish: RefundWish, order_no: string): Promise<RequestedRefund> {
  const { out_trade_no, refund_fen, command_key } = wish;
  return ctx.db.$transaction(async (tx) => {
    const now = ctx.now();
    await tx.$queryRaw`SELECT order_no FROM "order" WHERE order_no = ${order_no} FOR UPDATE`;
    const known = await tx.refund.findUnique({ where: { command_key } });
    if (known !== null) {
      if (known.out_trade_no !== out_trade_no || known.refund_fen !== refund_fen) {
        throw new AppError('refund_key_reused', { field: 'command_key' });
      }
      return { out_refund_no: known.out_refund_no, made: false };
    }
    const trade = await refundable(tx, out_trade_no, now);
    if (refund_fen > trade.left_fen) {
      throw new AppError('refund_too_much', {
        field: 'refund_fen',
        detail: `refund_fen: ${formatFen(trade.left_fen)} left`,
      });
    }
    const out_refund_no = newNumber(now);
    await tx.refund.create({
      data: {
        out_refund_no,
        out_trade_no,
        order_no,
        command_key,
        origin: wish.origin,
        state: 'REQUESTED',
        refund_fen,
        total_fen: trade.total_fen,
        reason: wish.reason,
        requested_by: wish.requested_by ?? null,
        created_at: now,
      },
      select: { out_refund_no: true },
    });
    await addEvent(tx, {
      at: now,
      order_no,
      out_trade_no,
      kind: 'refund_requested',
      source: wish.origin === 'operator' ? 'operator' : 'worker',
      data: { out_refund_no, refund_fen, reason: wish.reason, origin: wish.origin },
    });
    await tx.$executeRaw(enqueue('refund_follow', { out_refund_no }, out_refund_no, now));
    return { out_refund_no, made: true };
  });
}

export interface RefundableTrade {
  total_fen: number;
  /** What can still be refunded: paid, less what went back or is on its way. */
  left_fen: number;
  refunds: number;
}

/** What is left of a paid trade; throws the coded reason when nothing may be refunded at all. */
async function refundable(tx: Tx, out_trade_no: string, now: Date): Promise<RefundableTrade> {
  const trade = await tx.trade.findUniqueOrThrow({
    where: { out_trade_no },
    select: {
      trade_state: true,
      total_fen: true,
      success_at: true,
      refunds: { select: { state: true, refund_fen: true } },
    },
  });
  if ((trade.trade_state !== 'SUCCESS' && trade.trade_state !== 'REFUND') || trade.success_at === null) {
    throw new AppError('refund_not_paid');
  }
  if (now.getTime() - trade.success_at.getTime() > refundableFor_ms) throw new AppError('refund_too_old');
  const reserving = trade.refunds.filter(({ state }) => isReserving(state));
  // WeChat counts what it accepted, closed ones too.
  const counted = trade.refunds.filter(({ state }) => state !== 'REFUSED').length;
  if (counted >= mostRefunds) throw new AppError('refund_too_many');
  return {
    total_fen: trade.total_fen,
    left_fen: trade.total_fen - reserving.reduce((sum, { refund_fen }) => sum + refund_fen, 0),
    refunds: counted,
  };
}

export function isReserving(state: string): boolean {
  return (reservingRefundStates as readonly string[]).includes(state);
}

/**
 * Gives surplus money back, whatever is left of it; the trade's number is the key, so it happens once. What WeChat
 * refused or closed after that is the operator's to decide.
 */
export async function refundSurplus(ctx: Context, out_trade_no: string): Promise<void> {
  const trade = await ctx.db.trade.findUnique({
    where: { out_trade_no },
    select: {
      surplus: true,
      total_fen: true,
      refunds: { select: { command_key: true, state: true, refund_fen: true } },
    },
  });
  const command_key = `surplus:${out_trade_no}`;
  if (trade === null || trade.surplus === null) return;
  if (trade.refunds.some((refund) => refund.command_key === command_key)) return;
  const gone_fen = trade.refunds
    .filter(({ state }) => isReserving(state))
    .reduce((sum, { refund_fen }) => sum + refund_fen, 0);
  if (gone_fen >= trade.total_fen) return;
  await requestRefund(ctx, {
    out_trade_no,
    refund_fen: trade.total_fen - gone_fen,
    reason: trade.surplus === 'late' ? '订单已关闭，款项退回' : '重复支付，款项退回',
    command_key,
    origin: 'surplus',
  });
}

/** Sums of an order's refunds: what arrived back, and what is on its way. */
export async function refundSums(
  ctx: Context,
  order_no: string,
): Promise<{ refunded_fen: number; refunding_fen: number }> {
  const [sums] = await ctx.db.$queryRaw<{ refunded_fen: number; refunding_fen: number }[]>(Prisma.sql`
    SELECT coalesce(sum(refund_fen) FILTER (WHERE state = 'SUCCESS'), 0)::int AS refunded_fen,
           coalesce(sum(refund_fen) FILTER (WHERE state IN ('REQUESTED', 'PROCESSING', 'ABNORMAL')), 0)::int
             AS refunding_fen
    FROM refund WHERE order_no = ${order_no}`);
  return sums ?? { refunded_fen: 0, refunding_fen: 0 };
}
