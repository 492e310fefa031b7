/**
 * What a waiting page is told: the order's state from our rows, and when to come back. It asks WeChat itself only
 * for the buyer, through the shared throttle, so that polling can never multiply calls.
 */
import { askTrade } from './ask.ts';
import type { Context } from './context.ts';
import { AppError } from './errors.ts';
import { type ShownOrder, showOrder } from './orders.ts';
import type { Session } from './sessions.ts';
import type { OrderState } from './states.ts';

export interface OrderStatus {
  order_no: string;
  state: OrderState;
  /** When to ask again; null when there is nothing to wait for, or the plan is over. */
  next_poll_ms: number | null;
  expires_at: Date;
  expired: boolean;
  /** Only for the buyer and the bearer of the link. */
  total_fen: number;
  refunded_fen: number;
  surplus_fen: number;
  paid_at: Date | null;
}

/** `confirm`: after a tap, quick and for a minute. `watch`: a code on a desktop, until the order ends. */
export type PollMode = 'confirm' | 'watch';

const confirmPlan_ms = [1_000, 1_000, 2_000, 2_000, 3_000, 3_000, ...Array<number>(10).fill(5_000)];

/** The n-th answer of a plan says how long to wait for the next; about sixteen answers make a minute. */
export function nextPoll(mode: PollMode, poll: number): number | null {
  if (mode === 'watch') return poll < 30 ? 2_000 : 5_000;
  return confirmPlan_ms[poll] ?? null;
}

/** The first poll after a tap asks WeChat at once; later ones at most every two seconds, watchers every ten. */
function askingGap_ms(mode: PollMode, poll: number): number {
  if (mode === 'watch') return 10_000;
  return poll === 0 ? 500 : 1_900;
}

/** Throws `not_found` for a number that does not exist and for another WeChat account's order alike. */
export async function pollOrder(
  ctx: Context,
  session: Session | undefined,
  order_no: string,
  { mode, poll }: { mode: PollMode; poll: number },
): Promise<OrderStatus> {
  let order = await visible(ctx, session, order_no);
  if (order.state === 'NOTPAY' && order.open_trade !== undefined && order.standing === 'buyer') {
    const asked = await askTrade(ctx, order.open_trade.out_trade_no, {
      source: 'shopper',
      min_gap_ms: askingGap_ms(mode, poll),
    });
    if (asked.outcome === 'told' && asked.said !== 'NOTPAY') order = await visible(ctx, session, order_no);
  }
  return {
    order_no: order.order_no,
    state: order.state,
    next_poll_ms: order.state === 'NOTPAY' ? nextPoll(mode, poll) : null,
    expires_at: order.expires_at,
    expired: order.expired,
    total_fen: order.total_fen,
    refunded_fen: order.refunded_fen,
    surplus_fen: order.surplus_fen,
    paid_at: order.paid_at,
  };
}

async function visible(ctx: Context, session: Session | undefined, order_no: string): Promise<ShownOrder> {
  const order = await showOrder(ctx, session, order_no);
  if (order === undefined || order.standing === 'stranger') throw new AppError('not_found');
  return order;
}
