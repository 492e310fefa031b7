/**
 * What an operator can do to an order: refund, close. Each limit is checked by the business itself, each action and
 * each attempt that was refused leaves an audit row. Nothing here decides what WeChat did.
 */
import { z } from 'zod';
import { addAudit, auditingRefusals, type Operator } from './admin_audit.ts';
import { closeOrder, closeTrade } from './close.ts';
import type { Context } from './context.ts';
import { AppError } from './errors.ts';
import { isStorable, notStorable } from './http.ts';
import { numberPattern } from './numbers.ts';
import { followRefund } from './refund_call.ts';
import { requestRefund } from './refunds.ts';
import { type HeldRefundState, type OrderState, openTradeStates } from './states.ts';

export const refundInput = z.strictObject({
  out_trade_no: z.string().regex(numberPattern, 'must be one of our numbers'),
  refund_fen: z.number().int('must be whole fen').min(1, 'must be at least 1 fen'),
  reason: z
    .string()
    .trim()
    .min(1, 'must say why')
    .max(26, 'must be at most 26 characters')
    .refine(isStorable, notStorable),
  /** Made by the page once per wish, so that a repeated submit is the same refund. */
  command_key: z.string().regex(/^[A-Za-z0-9_-]{16,64}$/, 'must be 16 to 64 letters, digits, _ or -'),
});

/** Nothing to say but "this one"; an object all the same, so that only a JSON request closes. */
export const closeInput = z.strictObject({});

export interface OperatorRefund {
  out_refund_no: string;
  state: HeldRefundState;
  /** WeChat's code when it refused, or refuses for now. */
  refused_code: string | null;
  made: boolean;
}

/** Reserves a refund, sends it at once, and says how it stands; the queue follows it from there. */
export async function refundByOperator(
  ctx: Context,
  operator: Operator,
  order_no: string,
  input: z.output<typeof refundInput>,
): Promise<OperatorRefund> {
  if (!numberPattern.test(order_no)) throw new AppError('not_found');
  const { out_trade_no, refund_fen, reason } = input;
  const wish = { refund_fen, reason, out_trade_no };
  return auditingRefusals(ctx, operator, 'refund_refused', order_no, wish, async () => {
    const trade = await ctx.db.trade.findUnique({ where: { out_trade_no }, select: { order_no: true } });
    if (trade === null || trade.order_no !== order_no) {
      throw new AppError('not_found', { field: 'out_trade_no' });
    }
    const { out_refund_no, made } = await requestRefund(ctx, {
      ...input,
      command_key: `operator:${input.command_key}`,
      origin: 'operator',
      requested_by: operator.admin.id,
    });
    await addAudit(ctx, operator, 'refund', order_no, { ...wish, out_refund_no, made });
    if (made) await followRefund(ctx, out_refund_no);
    const refund = await ctx.db.refund.findUniqueOrThrow({
      where: { out_refund_no },
      select: { state: true, refused_code: true },
    });
    return { out_refund_no, state: refund.state as HeldRefundState, refused_code: refund.refused_code, made };
  });
}

export interface ClosedByOperator {
  before: OrderState;
  after: OrderState;
  /** `unknown`: WeChat has not said enough yet; nothing was decided, the queue goes on. */
  outcome: 'closed' | 'paid' | 'unknown';
}

/** Closes an unpaid order: every trade by query, close, query, then the order. Throws `order_paid`, `order_closed`. */
export async function closeByOperator(
  ctx: Context,
  operator: Operator,
  order_no: string,
): Promise<ClosedByOperator> {
  if (!numberPattern.test(order_no)) throw new AppError('not_found');
  return auditingRefusals(ctx, operator, 'close_refused', order_no, {}, async () => {
    const order = await ctx.db.order.findUnique({
      where: { order_no },
      select: {
        state: true,
        trades: { where: { trade_state: { in: [...openTradeStates] } }, select: { out_trade_no: true } },
      },
    });
    if (order === null) throw new AppError('not_found');
    if (order.state === 'SUCCESS' || order.state === 'REFUND') throw new AppError('order_paid');
    if (order.state === 'CLOSED') throw new AppError('order_closed');
    let outcome: ClosedByOperator['outcome'] = 'closed';
    for (const { out_trade_no } of order.trades) {
      const ended = await closeTrade(ctx, out_trade_no, 'operator');
      outcome = ended === 'refused' ? 'unknown' : ended;
      if (outcome !== 'closed') break;
    }
    if (outcome === 'closed' && !(await closeOrder(ctx, order_no, 'operator'))) outcome = 'unknown';
    const after = await ctx.db.order.findUniqueOrThrow({ where: { order_no }, select: { state: true } });
    await addAudit(ctx, operator, 'close', order_no, { outcome, before: order.state, after: after.state });
    return { before: 'NOTPAY', after: after.state as OrderState, outcome };
  });
}
