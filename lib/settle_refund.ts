/**
 * The refund's side of the one door: what WeChat says of a refund, from an answer, a query or a notification that led to
 * one, compared with our row and written under the order's lock. A refund made in WeChat's console becomes a row here.
 * It asks WeChat nothing and decides nothing that the report does not say.
 */
import type { Context } from './context.ts';
import type { Tx } from './db.ts';
import { addEvent, type EventSource } from './events.ts';
import { type HeldRefundState, refundMoves } from './states.ts';
import type { RefundReport } from './wechat/index.ts';

/** What became of a piece of evidence about a refund. */
export type RefundVerdict = 'applied' | 'already' | 'mismatch' | 'unknown_order';

/**
 * The refund's side of the one door: compares WeChat's report with our row under the order's lock and moves it. A
 * refund we never asked for (made in WeChat's console) becomes a row of its own.
 */
export async function settleRefund(
  ctx: Context,
  report: RefundReport,
  source: EventSource,
): Promise<RefundVerdict> {
  const now = ctx.now();
  const known = await ctx.db.refund.findUnique({
    where: { out_refund_no: report.out_refund_no },
    select: { out_trade_no: true, order_no: true },
  });
  const trade =
    known === null && report.out_trade_no !== undefined
      ? await ctx.db.trade.findUnique({
          where: { out_trade_no: report.out_trade_no },
          select: { out_trade_no: true, order_no: true },
        })
      : known;
  if (trade === null) return 'unknown_order';
  const { order_no, out_trade_no } = trade;
  return ctx.db.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT order_no FROM "order" WHERE order_no = ${order_no} FOR UPDATE`;
    const row =
      (await tx.refund.findUnique({ where: { out_refund_no: report.out_refund_no } })) ??
      (await adoptConsoleRefund(tx, report, { order_no, out_trade_no }, now));
    if (row === undefined) return 'mismatch';
    const differs = [
      ...(report.out_trade_no !== undefined && report.out_trade_no !== row.out_trade_no
        ? ['out_trade_no']
        : []),
      ...(report.refund_fen !== row.refund_fen ? ['refund_fee'] : []),
      ...(report.total_fen !== undefined && report.total_fen !== row.total_fen ? ['total_fee'] : []),
      ...(row.refund_id !== null && report.refund_id !== undefined && report.refund_id !== row.refund_id
        ? ['refund_id']
        : []),
    ];
    if (differs.length > 0) {
      ctx.log.error({ out_refund_no: row.out_refund_no, differs }, 'WeChat describes this refund otherwise');
      return 'mismatch';
    }
    const held = row.state as HeldRefundState;
    const move = refundMoves[held][report.status];
    if (move === 'stay') return 'already';
    const { count } = await tx.refund.updateMany({
      where: { out_refund_no: row.out_refund_no, state: held },
      data: {
        state: move,
        refused_code: null,
        ...(report.refund_id === undefined ? {} : { refund_id: report.refund_id }),
        ...(report.user_received_account === undefined
          ? {}
          : { user_received_account: report.user_received_account }),
        ...(move === 'SUCCESS' ? { success_at: report.success_at ?? now } : {}),
        ...(move === 'SUCCESS' || move === 'CLOSED' ? { ended_at: now } : {}),
      },
    });
    if (count !== 1) throw new Error(`refund ${row.out_refund_no} moved under its order's lock`);
    if (move === 'SUCCESS') {
      await tx.trade.updateMany({
        where: { out_trade_no, trade_state: 'SUCCESS' },
        data: { trade_state: 'REFUND' },
      });
      await tx.order.updateMany({
        where: { order_no, paid_trade_no: out_trade_no, state: 'SUCCESS' },
        data: { state: 'REFUND' },
      });
    }
    await addEvent(tx, {
      at: now,
      order_no,
      out_trade_no,
      kind: 'refund_moved',
      source,
      data: {
        out_refund_no: row.out_refund_no,
        from: held,
        to: move,
        refund_fen: row.refund_fen,
        refund_id: report.refund_id ?? row.refund_id,
      },
    });
    return 'applied';
  });
}

/** A refund nobody asked us for: kept when it is of a paid trade of ours and describes it as we do. */
async function adoptConsoleRefund(
  tx: Tx,
  report: RefundReport,
  { order_no, out_trade_no }: { order_no: string; out_trade_no: string },
  now: Date,
) {
  const trade = await tx.trade.findUniqueOrThrow({
    where: { out_trade_no },
    select: { trade_state: true, total_fen: true },
  });
  if (trade.trade_state !== 'SUCCESS' && trade.trade_state !== 'REFUND') return undefined;
  // A row that is not followed by its move would be one to send.
  if (report.total_fen !== undefined && report.total_fen !== trade.total_fen) return undefined;
  const row = await tx.refund.create({
    data: {
      out_refund_no: report.out_refund_no,
      out_trade_no,
      order_no,
      command_key: `console:${report.out_refund_no}`,
      origin: 'console',
      state: 'REQUESTED',
      refund_fen: report.refund_fen,
      total_fen: trade.total_fen,
      reason: '商户平台退款',
      created_at: now,
    },
  });
  await addEvent(tx, {
    at: now,
    order_no,
    out_trade_no,
    kind: 'refund_requested',
    source: 'query',
    data: { out_refund_no: report.out_refund_no, refund_fen: report.refund_fen, origin: 'console' },
  });
  return row;
}
