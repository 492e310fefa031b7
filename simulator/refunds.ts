// What may become of a refund, whichever API or console asks for it: limits, acceptance, its end on the platform's
// clock, the money going back. Refusals carry API v2's code and text; it knows no XML, no JSON and no HTTP.

import type { Where } from './faults.ts';
import { Refusal } from './orders.ts';
import { merchantOf, type Platform, purseOf, type RefundTimeline, userOf } from './platform.ts';
import type { Order, Refund, RefundState } from './records.ts';
import { nextPacketDue, runPackets } from './redpack.ts';
import { orderKey } from './store.ts';

const MOST_REFUNDS = 50;
const LONGEST_MS = 365 * 24 * 3600 * 1000;
const SPACING_MS = 60_000;

export type RefundWanted = {
  out_refund_no: string;
  refund_fen: number;
  /** What the caller believes the order was worth; undefined from the console, which knows. */
  total_fen: number | undefined;
  reason: string;
  notify_url: string;
  api: 'v2' | 'v3';
  source: 'API' | 'VENDOR_PLATFORM';
  account: string;
  /** Overrides the rule which API words the notification. */
  notify_api?: 'v2' | 'v3';
};

export function findRefund(platform: Platform, mch_id: string, out_refund_no: string): Refund | undefined {
  return platform.store.state.refunds[orderKey(mch_id, out_refund_no)];
}

export function findRefundById(platform: Platform, mch_id: string, refund_id: string): Refund | undefined {
  return Object.values(platform.store.state.refunds).find(
    (r) => r.mch_id === mch_id && r.refund_id === refund_id,
  );
}

/** The refunds of one order, oldest first. */
export function refundsOf(platform: Platform, order: Order): Refund[] {
  return Object.values(platform.store.state.refunds).filter(
    (r) => r.mch_id === order.mch_id && r.out_trade_no === order.out_trade_no,
  );
}

/** What has been taken out of the order already or is on its way out: everything but closed refunds. */
function takenBack(refunds: Refund[]): { refund_fen: number; cash_fen: number } {
  const counted = refunds.filter((r) => r.state !== 'CLOSED');
  return {
    refund_fen: counted.reduce((sum, r) => sum + r.refund_fen, 0),
    cash_fen: counted.reduce((sum, r) => sum + r.cash_fen, 0),
  };
}

/** Accepts a refund, or gives back the one that already has this number when the amounts are the same. */
export function applyRefund(
  platform: Platform,
  order: Order,
  wanted: RefundWanted,
  where: Where,
): { refund: Refund; struck: string[] } {
  const { store, clock, faults, ids } = platform;
  const now = clock.now();
  const { payment } = order;
  if (payment === undefined) {
    throw new Refusal('ORDERNOTEXIST', '订单不存在', `${order.out_trade_no} was never paid`);
  }
  if (order.state === 'REVOKED') {
    throw new Refusal('ORDERNOTEXIST', '订单已撤销', `${order.out_trade_no} was reversed, its money is back`);
  }
  const known = findRefund(platform, order.mch_id, wanted.out_refund_no);
  if (known !== undefined) {
    if (known.out_trade_no !== order.out_trade_no) {
      const why = `${wanted.out_refund_no} already refunds ${known.out_trade_no}`;
      throw new Refusal('REFUND_FEE_MISMATCH', MISMATCH, why);
    }
    if (known.refund_fen !== wanted.refund_fen || (wanted.total_fen ?? order.total_fen) !== order.total_fen) {
      const why = `${wanted.out_refund_no} was first applied for with ${known.refund_fen} of ${order.total_fen} fen`;
      throw new Refusal('REFUND_FEE_MISMATCH', MISMATCH, why);
    }
    return { refund: known, struck: [] };
  }
  if (wanted.total_fen !== undefined && wanted.total_fen !== order.total_fen) {
    const why = `the order was worth ${order.total_fen} fen, the request says ${wanted.total_fen}`;
    throw new Refusal('REFUND_FEE_MISMATCH', MISMATCH, why);
  }
  if (now - payment.paid_at_ms > LONGEST_MS) {
    throw new Refusal('TRADE_OVERDUE', '订单已经超过可退款的最大期限', 'it was paid more than a year ago');
  }
  const before = refundsOf(platform, order);
  const taken = takenBack(before);
  const left_fen = order.total_fen - taken.refund_fen;
  if (left_fen === 0) {
    throw new Refusal('ERROR', '订单已全额退款', `all ${order.total_fen} fen are refunded or on their way`);
  }
  if (wanted.refund_fen > left_fen) {
    const why = `${left_fen} fen are left of ${order.total_fen}, ${wanted.refund_fen} are asked for`;
    throw new Refusal('ERROR', '申请退款金额大于订单剩余可退金额', why);
  }
  if (before.length >= MOST_REFUNDS) {
    throw new Refusal(
      'INVALID_REQUEST',
      '该订单退款次数已达上限',
      `an order has at most ${MOST_REFUNDS} refunds`,
    );
  }
  const last = before.at(-1);
  if (platform.strict && last !== undefined && now - last.made_at_ms < SPACING_MS) {
    throw new Refusal('FREQUENCY_LIMITED', '频率限制', 'strict: refunds of one order are a minute apart');
  }
  const struck: string[] = [];
  const strike = (name: string) => {
    const fault = faults.take(name, where);
    if (fault !== undefined) struck.push(fault.name);
    return fault;
  };
  const merchant = merchantOf(platform, order.mch_id);
  const purse = purseOf(platform, order);
  if (merchant === undefined || purse === undefined) throw new Error(`no merchant ${order.mch_id}`);
  const bound = platform.refunds.unfinished(order.mch_id, order.sub_mch_id);
  const bound_fen = bound.reduce((sum, r) => sum + r.refund_fen, 0);
  const short = strike('refund_not_enough');
  if (short !== undefined || purse.balance_fen - bound_fen < wanted.refund_fen) {
    const why =
      short !== undefined
        ? `the fault ${short.name}`
        : `the merchant has ${purse.balance_fen} fen of which ${bound_fen} wait for other refunds`;
    throw new Refusal('NOTENOUGH', '基本账户余额不足，请充值后重新发起', why);
  }
  if (strike('refund_need_retry') !== undefined) {
    throw new Refusal('BIZERR_NEED_RETRY', '退款业务流程错误，需要商户触发重试来解决', 'a fault was armed');
  }
  if (strike('refund_account_abnormal') !== undefined) {
    throw new Refusal('USER_ACCOUNT_ABNORMAL', '用户账号注销', 'a fault was armed');
  }
  // The payer's share of all refunds so far, less what went back before, so that the last one leaves no odd fen.
  const whole_fen = taken.refund_fen + wanted.refund_fen;
  const cash_fen = Math.round((whole_fen * payment.cash_fen) / order.total_fen) - taken.cash_fen;
  const slow = strike('refund_slow');
  const ends_as: RefundState = strike('refund_abnormal')
    ? 'ABNORMAL'
    : strike('refund_closed')
      ? 'CLOSED'
      : 'SUCCESS';
  const notify_url = wanted.notify_url === '' ? merchant.refund_notify_url : wanted.notify_url;
  const refund: Refund = {
    mch_id: order.mch_id,
    appid: order.appid,
    sub_mch_id: order.sub_mch_id,
    sub_appid: order.sub_appid,
    out_trade_no: order.out_trade_no,
    transaction_id: payment.transaction_id,
    out_refund_no: wanted.out_refund_no,
    refund_id: ids.refundId(now),
    api: wanted.api,
    source: wanted.source,
    total_fen: order.total_fen,
    refund_fen: wanted.refund_fen,
    cash_fen,
    coupon_fen: wanted.refund_fen - cash_fen,
    reason: wanted.reason,
    account: wanted.account,
    notify_url,
    // The address set in the merchant's console is always served in v2's words.
    notify_api: wanted.notify_api ?? (wanted.notify_url === '' ? 'v2' : wanted.api),
    received_account: '支付用户零钱',
    state: 'PROCESSING',
    ends_as,
    made_at_ms: now,
    due_at_ms: now + (slow?.number('delay_s') ?? platform.refund_delay_s) * 1000,
  };
  store.state.refunds[orderKey(refund.mch_id, refund.out_refund_no)] = refund;
  order.state = 'REFUND';
  platform.refunds.book(refund);
  store.touch();
  platform.notifier.pump();
  return { refund, struck };
}

const MISMATCH = '订单金额或退款金额与之前请求不一致，请核实后再试';

/** Sends an abnormal refund on its way again, to another account, as the merchant decides. */
export function reviveRefund(platform: Platform, refund: Refund, received_account: string): void {
  if (refund.state !== 'ABNORMAL') {
    throw new Refusal('INVALID_REQUEST', '退款单状态不是退款异常', `the refund is ${refund.state}`);
  }
  refund.state = 'PROCESSING';
  refund.ends_as = 'SUCCESS';
  refund.received_account = received_account;
  refund.due_at_ms = platform.clock.now() + platform.refund_delay_s * 1000;
  platform.refunds.book(refund);
  platform.store.touch();
  platform.notifier.pump();
}

/** Ends a refund: on SUCCESS the money moves; in every case the merchant is told. */
export function endRefund(platform: Platform, refund: Refund, as: RefundState, at_ms: number): void {
  if (refund.state === 'SUCCESS' || refund.state === 'CLOSED') {
    throw new Refusal('INVALID_REQUEST', '退款单已终态', `the refund is ${refund.state}`);
  }
  const { store } = platform;
  const order = store.state.orders[orderKey(refund.mch_id, refund.out_trade_no)];
  const purse = purseOf(platform, refund);
  const payer = order?.payment && userOf(platform, order.payment.openid);
  if (order?.payment === undefined || purse === undefined || payer === undefined) {
    throw new Error(`refund ${refund.out_refund_no} has lost its order, merchant or payer`);
  }
  refund.state = as;
  refund.ended_at_ms = at_ms;
  if (as === 'SUCCESS') {
    payer.balance_fen += refund.cash_fen;
    purse.balance_fen -= refund.refund_fen;
    store.state.ledger.push({
      entry_id: store.number(),
      at_ms,
      kind: 'refund',
      mch_id: refund.mch_id,
      sub_mch_id: refund.sub_mch_id,
      appid: refund.appid,
      openid: order.payment.openid,
      out_trade_no: refund.out_trade_no,
      transaction_id: refund.transaction_id,
      out_refund_no: refund.out_refund_no,
      refund_id: refund.refund_id,
      amount_fen: refund.refund_fen,
      cash_fen: refund.cash_fen,
      user_balance_fen: payer.balance_fen,
      merchant_balance_fen: purse.balance_fen,
    });
  }
  platform.refunds.settled(refund);
  store.touch();
  if (as !== 'PROCESSING' && refund.notify_url !== '') platform.notifier.refunded(order, refund);
}

/** Refunds, and red packets coming back. `platform` is asked for late, since it holds the timeline itself. */
export function createRefundTimeline(getPlatform: () => Platform): RefundTimeline {
  let waiting: Set<Refund> | undefined;

  function all(): Set<Refund> {
    waiting ??= new Set(
      Object.values(getPlatform().store.state.refunds).filter(
        (r) => r.state === 'PROCESSING' || r.state === 'ABNORMAL',
      ),
    );
    return waiting;
  }

  function due(): Refund[] {
    return [...all()].filter((r) => r.state === 'PROCESSING').sort((a, b) => a.due_at_ms - b.due_at_ms);
  }

  return {
    book: (refund: Refund) => void all().add(refund),
    settled(refund: Refund): void {
      if (refund.state === 'SUCCESS' || refund.state === 'CLOSED') all().delete(refund);
    },
    unfinished: (mch_id, sub_mch_id) =>
      [...all()].filter((r) => r.mch_id === mch_id && r.sub_mch_id === sub_mch_id),
    nextDue(): number | null {
      const refund = due()[0]?.due_at_ms ?? null;
      const packet = nextPacketDue(getPlatform());
      return refund === null || (packet !== null && packet < refund) ? packet : refund;
    },
    run(): void {
      const platform = getPlatform();
      const now = platform.clock.now();
      runPackets(platform);
      for (const refund of due()) {
        if (refund.due_at_ms > now) break;
        if (refund.state === 'PROCESSING') endRefund(platform, refund, refund.ends_as, refund.due_at_ms);
      }
    },
    forget(): void {
      waiting = undefined;
    },
  };
}
