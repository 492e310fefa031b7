/**
 * Paid orders and refunds of them, made as shopper and operator make them: through the doorways and the console's
 * own functions, with the simulator as WeChat. Reads both books, ours and the simulator's.
 */
import { refundByOperator } from '../../lib/admin_actions.ts';
import { randomText } from '../../lib/numbers.ts';
import type { Counter, Shopper } from './counter.ts';

export interface PaidOrder {
  order_no: string;
  out_trade_no: string;
  total_fen: number;
}

/** Orders, pays at the simulator and waits for the notification: paid in both books. */
export async function paidOrder(
  counter: Counter,
  shopper: Shopper,
  product_id = 'longjing',
): Promise<PaidOrder> {
  const { order_no, total_fen } = await shopper.order(product_id);
  const { out_trade_no } = await shopper.pay(order_no);
  await counter.control('pay', { out_trade_no });
  await passTime(counter, 0);
  return { order_no, out_trade_no, total_fen };
}

/** Moves both clocks; the simulator ends refunds and sends notifications on the way, and waits for them. */
export async function passTime(counter: Counter, seconds: number): Promise<void> {
  counter.advance(seconds);
  await counter.control('clock', { advance_s: seconds });
}

/** Lets time pass, then takes whatever steps of refunds are due; throws when there is none. */
export async function followed(counter: Counter, seconds: number): Promise<void> {
  await passTime(counter, seconds);
  if ((await counter.work('refund_follow')) === 0) throw new Error('no step of a refund was due');
}

export const operator = {
  admin: { id: 'ADMIN-OF-THIS-TEST', username: '掌柜' },
  ip: '127.0.0.1',
};

/** The console's refund form, submitted. */
export function submitRefund(
  counter: Counter,
  { order_no, out_trade_no }: PaidOrder,
  refund_fen: number,
  command_key = randomText(20),
) {
  return refundByOperator(counter.ctx, operator, order_no, {
    out_trade_no,
    refund_fen,
    reason: '少了一件',
    command_key,
  });
}

export const refundRow = (counter: Counter, out_refund_no: string) =>
  counter.ctx.db.refund.findUniqueOrThrow({ where: { out_refund_no } });

export const refundRows = (counter: Counter, out_trade_no: string) =>
  counter.ctx.db.refund.findMany({ where: { out_trade_no }, orderBy: { created_at: 'asc' } });

export async function statesOf(counter: Counter, { order_no, out_trade_no }: PaidOrder) {
  const [order, trade] = await Promise.all([
    counter.ctx.db.order.findUniqueOrThrow({ where: { order_no } }),
    counter.ctx.db.trade.findUniqueOrThrow({ where: { out_trade_no } }),
  ]);
  return { order: order.state, trade: trade.trade_state };
}

/** Kinds on an order's timeline, oldest first. */
export const kindsOf = async (counter: Counter, order_no: string): Promise<string[]> =>
  (await counter.ctx.db.event.findMany({ where: { order_no }, orderBy: { id: 'asc' } })).map(
    ({ kind }) => kind,
  );

export interface SimulatedRefund {
  out_refund_no: string;
  out_trade_no: string;
  refund_id: string;
  refund_fen: number;
  state: string;
  notify_url: string;
}

/** What the simulator holds of a trade's refunds, oldest first. */
export async function simulatedRefunds(counter: Counter, out_trade_no: string): Promise<SimulatedRefund[]> {
  const { refunds } = await counter.control<{ refunds: SimulatedRefund[] }>(
    `refunds?out_trade_no=${out_trade_no}&limit=1000`,
  );
  return refunds;
}

export interface LedgerSums {
  paid_fen: number;
  refunded_fen: number;
}

/** Money that moved at the simulator, of one trade or of all. */
export function simulatedLedger(counter: Counter, out_trade_no = ''): Promise<LedgerSums> {
  return counter.control<LedgerSums>(`ledger?out_trade_no=${out_trade_no}`);
}

/** The refund applications the simulator heard for a trade: one word per call. */
export async function applications(
  counter: Counter,
  out_trade_no: string,
): Promise<{ out_refund_no: string | undefined; code: string; faults: string[] }[]> {
  const { entries } = await counter.control<{
    entries: { kind: string; path: string; request: string; code: string; faults: string[] }[];
  }>(`log?out_trade_no=${out_trade_no}&limit=1000`);
  return entries
    .filter(({ kind, path }) => kind === 'call' && /\/pay\/refund$|\/domestic\/refunds$/.test(path))
    .map(({ request, code, faults }) => ({
      out_refund_no: /out_refund_no(?:>(?:<!\[CDATA\[)?|":")([^<\]"]+)/.exec(request)?.[1],
      code,
      faults,
    }));
}
