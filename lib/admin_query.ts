/**
 * An operator asks WeChat again. The asking, the deciding and the timeline are those of every other query; here is
 * only which trade, and what stood before and after. It closes nothing and refunds nothing.
 */
import { z } from 'zod';
import { addAudit, type Operator } from './admin_audit.ts';
import { type Asked, askTrade } from './ask.ts';
import type { Context } from './context.ts';
import { AppError } from './errors.ts';
import { numberPattern } from './numbers.ts';
import { openTradeStates } from './states.ts';

export const requeryInput = z.strictObject({
  /** Which trade; without it the open one, else the one that paid, else the latest. */
  out_trade_no: z.string().regex(numberPattern, 'must be one of our numbers').optional(),
});

export type Standing = {
  order_state: string;
  trade_state: string;
  transaction_id: string | null;
};

export interface Requeried {
  out_trade_no: string;
  outcome: Asked['outcome'];
  /** WeChat's own word for the trade, when it answered. */
  said?: string;
  before: Standing;
  after: Standing;
  asked_at: Date | null;
}

/** Two clicks, or two operators, within this time are one question. */
const gap_ms = 1_500;

/** Leaves an audit row. Throws `not_found` for an unknown order, one without a trade, or a number of another order. */
export async function requeryOrder(
  ctx: Context,
  operator: Operator,
  order_no: string,
  { out_trade_no }: z.output<typeof requeryInput> = {},
): Promise<Requeried> {
  const order = await readStanding(ctx, order_no);
  const open: readonly string[] = openTradeStates;
  const trade =
    out_trade_no === undefined
      ? (order?.trades.find(({ trade_state }) => open.includes(trade_state)) ??
        order?.trades.find((each) => each.out_trade_no === order.paid_trade_no) ??
        order?.trades[0])
      : order?.trades.find((each) => each.out_trade_no === out_trade_no);
  if (order === undefined || trade === undefined) throw new AppError('not_found');

  const asked = await askTrade(ctx, trade.out_trade_no, { source: 'operator', min_gap_ms: gap_ms });
  const later = await readStanding(ctx, order_no);
  const after = later?.trades.find((each) => each.out_trade_no === trade.out_trade_no);
  if (later === undefined || after === undefined) throw new Error(`order ${order_no} vanished`);
  const told = {
    out_trade_no: trade.out_trade_no,
    ...asked,
    before: standing(order, trade),
    after: standing(later, after),
  };
  await addAudit(ctx, operator, 'requery', order_no, told);
  return { ...told, asked_at: after.asked_at };
}

interface StandingTrade {
  out_trade_no: string;
  trade_state: string;
  transaction_id: string | null;
  asked_at: Date | null;
}

interface StandingOrder {
  state: string;
  paid_trade_no: string | null;
  trades: StandingTrade[];
}

function standing(order: StandingOrder, { trade_state, transaction_id }: StandingTrade): Standing {
  return { order_state: order.state, trade_state, transaction_id };
}

async function readStanding(ctx: Context, order_no: string): Promise<StandingOrder | undefined> {
  if (!numberPattern.test(order_no)) return undefined;
  const order = await ctx.db.order.findUnique({
    where: { order_no },
    select: {
      state: true,
      paid_trade_no: true,
      trades: {
        select: { out_trade_no: true, trade_state: true, transaction_id: true, asked_at: true },
        orderBy: { created_at: 'desc' },
      },
    },
  });
  return order ?? undefined;
}
