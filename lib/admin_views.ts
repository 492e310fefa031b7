/**
 * Orders as the console shows them, in the page and in its JSON alike: no whole openid, no stored request, no cookie
 * of anybody. What is not named here does not leave the server.
 */
import type { ListedOrder, OrderPage, readOrder } from './admin_orders.ts';
import { refundabilityOf } from './admin_refunds.ts';
import { timelineOf } from './admin_timeline.ts';
import { maskOpenid } from './log.ts';
import type { HeldTradeState, OrderState } from './states.ts';

type OrderRead = NonNullable<Awaited<ReturnType<typeof readOrder>>>;

export function listedView({ openid, ...order }: ListedOrder) {
  return { ...order, openid: masked(openid) };
}

export function pageView({ orders, ...page }: OrderPage) {
  return { ...page, orders: orders.map(listedView) };
}

const masked = (openid: string | null): string | null => (openid === null ? null : maskOpenid(openid));

/**
 * Money of one order, in fen. `paid_fen` is what serves it, `surplus_fen` what WeChat took beyond that, of either
 * `refunded_fen` went back and `refunding_fen` is on its way.
 */
export function moneyOf({ order, refunds, read_at }: OrderRead) {
  const sum = (fens: number[]): number => fens.reduce((total, fen) => total + fen, 0);
  const back = order.trades.map((trade) => refundabilityOf(trade, refunds, read_at));
  return {
    total_fen: order.total_fen,
    paid_fen: order.paid_trade_no === null ? 0 : order.total_fen,
    surplus_fen: sum(
      order.trades.filter(({ surplus }) => surplus !== null).map(({ total_fen }) => total_fen),
    ),
    refunded_fen: sum(back.map(({ refunded_fen }) => refunded_fen)),
    refunding_fen: sum(back.map(({ refunding_fen }) => refunding_fen)),
  };
}

/** One trade, with what WeChat last said of it beside what we hold. */
function tradeView(read: OrderRead, trade: OrderRead['order']['trades'][number]) {
  return {
    out_trade_no: trade.out_trade_no,
    transaction_id: trade.transaction_id,
    trade_type: trade.trade_type,
    api_version: trade.api_version,
    sign_type: trade.sign_type,
    appid: trade.appid,
    sub_mch_id: trade.sub_mch_id,
    sub_appid: trade.sub_appid,
    trade_state: trade.trade_state as HeldTradeState,
    total_fen: trade.total_fen,
    payer_total_fen: trade.payer_total_fen,
    bank_type: trade.bank_type,
    surplus: trade.surplus,
    prepay_id: trade.prepay_id,
    prepay_at: trade.prepay_at,
    asked_at: trade.asked_at,
    created_at: trade.created_at,
    expires_at: trade.expires_at,
    success_at: trade.success_at,
    closed_at: trade.closed_at,
    openid: masked(trade.openid),
    wechat_said: lastSaid(read, trade.out_trade_no),
    refundable: refundabilityOf(trade, read.refunds, read.read_at),
  };
}

export interface LastSaid {
  /** WeChat's word, or `unknown` when the last question got no usable answer. */
  trade_state: string;
  by: 'query' | 'notification';
  at: Date;
}

/** The latest word of WeChat about a trade: a query's answer, or a notification we believed. */
function lastSaid({ events, notifications }: OrderRead, out_trade_no: string): LastSaid | null {
  let said: LastSaid | null = null;
  for (const { kind, at, data, ...event } of events) {
    if (kind !== 'query' || event.out_trade_no !== out_trade_no) continue;
    const { trade_state } = Object(data) as { trade_state?: unknown };
    said = { trade_state: typeof trade_state === 'string' ? trade_state : 'unknown', by: 'query', at };
  }
  for (const { verdict, received_at, ...notification } of notifications) {
    const believed = verdict === 'applied' || verdict === 'already';
    if (!believed || notification.out_trade_no !== out_trade_no) continue;
    if (said === null || said.at < received_at) {
      said = { trade_state: 'SUCCESS', by: 'notification', at: received_at };
    }
  }
  return said;
}

/** One order with its trades, its money and its timeline. */
export function orderView(read: OrderRead) {
  const { order } = read;
  const trades = order.trades.map((trade) => tradeView(read, trade));
  const paying = trades.find(({ out_trade_no }) => out_trade_no === order.paid_trade_no);
  return {
    order_no: order.order_no,
    state: order.state as OrderState,
    /** What has gone back of the payment that serves it; `money` counts surplus too. */
    refunded_fen: paying?.refundable.refunded_fen ?? 0,
    title: order.title,
    openid: masked(order.openid),
    paid_trade_no: order.paid_trade_no,
    created_at: order.created_at,
    expires_at: order.expires_at,
    paid_at: order.paid_at,
    served_at: order.served_at,
    closed_at: order.closed_at,
    money: moneyOf(read),
    items: order.items.map(({ line, product_id, title, price_fen, quantity }) => ({
      line,
      product_id,
      title,
      price_fen,
      quantity,
    })),
    trades,
    refunds: read.refunds,
    timeline: timelineOf(read),
  };
}
export type OrderView = ReturnType<typeof orderView>;
