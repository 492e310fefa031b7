/**
 * What a waiting page is told: the order's state from our rows, and when to come back. It asks WeChat itself only
 * for the buyer, and for a payer who says "I have paid", through the shared throttle: polling never multiplies calls.
 */
import { askTrade } from './ask.ts';
import type { Context } from './context.ts';
import { AppError } from './errors.ts';
import { type ShownOrder, type Standing, showOrder } from './orders.ts';
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
  /** `trade_type` of what can be paid now; a page that shows a code must not go on when it is another way's turn. */
  open_way: string | null;
}

/**
 * `confirm`: after a tap, quick and for a minute. `returned`: the same for who says he has paid in another place.
 * `watch`: a code on a desktop, until the order ends.
 */
export const pollModes = ['confirm', 'returned', 'watch'] as const;
export type PollMode = (typeof pollModes)[number];

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

/** Somebody with the link alone may have paid by it, and says so; waiting is no reason to ask. */
const bearerGap_ms = 3_000;
const mayAsk = (standing: Standing, mode: PollMode): boolean => standing === 'buyer' || mode === 'returned';

/** Throws `not_found` for a number that does not exist and for another WeChat account's order alike. */
export async function pollOrder(
  ctx: Context,
  session: Session | undefined,
  order_no: string,
  { mode, poll }: { mode: PollMode; poll: number },
): Promise<OrderStatus> {
  let order = await visible(ctx, session, order_no);
  if (order.state === 'NOTPAY' && order.open_trade !== undefined && mayAsk(order.standing, mode)) {
    const asked = await askTrade(ctx, order.open_trade.out_trade_no, {
      source: 'shopper',
      min_gap_ms: order.standing === 'buyer' ? askingGap_ms(mode, poll) : bearerGap_ms,
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
    open_way: order.open_trade?.trade_type ?? null,
  };
}

async function visible(ctx: Context, session: Session | undefined, order_no: string): Promise<ShownOrder> {
  const order = await showOrder(ctx, session, order_no);
  if (order === undefined || order.standing === 'stranger') throw new AppError('not_found');
  return order;
}
