// What may become of an order once it is placed, whichever API speaks of it: expiry, paying, closing. Refusals
// carry WeChat's code and text and say why in plain words. It knows no XML, no JSON and no HTTP.

import { type Platform, purseOf, userOf } from './platform.ts';
import type { Order, Prepay } from './records.ts';
import type { User } from './registers.ts';
import { orderKey } from './store.ts';

export const PREPAY_LIFE_MS = 2 * 3600 * 1000;
const H5_LIFE_MS = 5 * 60 * 1000;
export const ORDER_LIFE_MS = 7 * 24 * 3600 * 1000;
const EARLIEST_CLOSE_MS = 5 * 60 * 1000;

/** A business refusal in WeChat's words; `why` is for the log. */
export class Refusal extends Error {
  readonly code: string;
  readonly text: string;
  readonly why: string;
  constructor(code: string, text: string, why: string) {
    super(`${code}: ${why}`);
    this.code = code;
    this.text = text;
    this.why = why;
  }
}

/** The order as it stands now: an unpaid one past its time is closed by the platform. */
export function settledByTime(platform: Platform, order: Order): Order {
  if (order.state === 'NOTPAY' && platform.clock.now() >= order.expires_at_ms) {
    order.state = 'CLOSED';
    order.closed_by = 'expiry';
    platform.store.touch();
  }
  const { prompt } = order;
  if (
    order.state === 'USERPAYING' &&
    prompt &&
    !prompt.never_ends &&
    platform.clock.now() >= prompt.until_ms
  ) {
    order.state = 'NOTPAY';
    delete order.prompt;
    platform.store.touch();
  }
  return order;
}

/** Finds an order by its merchant's number. */
export function findOrder(platform: Platform, mch_id: string, out_trade_no: string): Order | undefined {
  const order = platform.store.state.orders[orderKey(mch_id, out_trade_no)];
  return order && settledByTime(platform, order);
}

/** The order when it was placed for this sub-merchant; with none, when it was placed for none. */
export function ofSub(order: Order | undefined, sub: { sub_mch_id: string } | undefined): Order | undefined {
  return order?.sub_mch_id === sub?.sub_mch_id ? order : undefined;
}

/** The account under which the payer was named, in which the page that starts the payment must run. */
export function payersAppid(order: Order): string {
  return (order.sub_openid === undefined ? undefined : order.sub_appid) ?? order.appid;
}

/** Finds a paid order by WeChat's number. */
export function findByTransaction(
  platform: Platform,
  mch_id: string,
  transaction_id: string,
): Order | undefined {
  return Object.values(platform.store.state.orders).find(
    (o) => o.mch_id === mch_id && o.payment?.transaction_id === transaction_id,
  );
}

/** What a payer holds in hand: exactly one of these names the order. */
export type Handle = {
  out_trade_no?: string;
  mch_id?: string;
  prepay_id?: string;
  code_url?: string;
  h5_url?: string;
};

/** The order behind a number, a prepay_id, a scanned code or an opened H5 link, and that prepay where one was named. */
export function orderBehind(
  platform: Platform,
  handle: Handle,
): { order: Order; prepay: Prepay | undefined } {
  const { state } = platform.store;
  if (handle.out_trade_no !== undefined) {
    const { out_trade_no } = handle;
    const found = state.merchants
      .filter((m) => handle.mch_id === undefined || m.mch_id === handle.mch_id)
      .flatMap((m) => state.orders[orderKey(m.mch_id, out_trade_no)] ?? []);
    const [order] = found;
    if (order === undefined)
      throw new Refusal('ORDERNOTEXIST', '订单不存在', `nobody placed ${handle.out_trade_no}`);
    if (found.length > 1) {
      throw new Refusal('INVALID_REQUEST', '参数错误', 'several merchants use this number: say mch_id too');
    }
    return { order: settledByTime(platform, order), prepay: undefined };
  }
  const h5_id =
    handle.h5_url === undefined ? undefined : new URL(handle.h5_url).searchParams.get('prepay_id');
  const wanted = handle.prepay_id ?? h5_id;
  for (const order of Object.values(state.orders)) {
    const prepay = order.prepays.find((p) =>
      handle.code_url !== undefined ? p.code_url === handle.code_url : p.prepay_id === wanted,
    );
    if (prepay !== undefined) return { order: settledByTime(platform, order), prepay };
  }
  throw new Refusal('ORDERNOTEXIST', '订单不存在', 'no order stands behind that prepay_id, code or link');
}

export type PayOptions = {
  /** Part of the amount paid by a recharged coupon. */
  coupon_fen?: number;
  /** The payer was already at the password panel when the order ran out or was closed. */
  late?: boolean;
  /** A counter's code is being charged now. */
  charged?: boolean;
};

/** Takes the money: balance, ledger, order and notification in one step. Refuses as the payer would see it. */
export function payOrder(
  platform: Platform,
  order: Order,
  prepay: Prepay | undefined,
  user: User,
  options: PayOptions = {},
): Order {
  const { store, clock } = platform;
  const now = clock.now();
  const purse = purseOf(platform, order);
  const openid = user.openids[order.appid];
  if (purse === undefined || openid === undefined) {
    throw new Refusal('NOAUTH', '商户无此接口权限', `no openid of ${user.nickname} under ${order.appid}`);
  }
  if (order.payment !== undefined) {
    throw new Refusal('ORDERPAID', '该订单已支付', `${order.out_trade_no} is already paid`);
  }
  if (order.state === 'REVOKED') {
    throw new Refusal('ORDERREVERSED', '该订单已撤销', `${order.out_trade_no} was reversed`);
  }
  const { prompt } = order;
  if (order.state === 'USERPAYING' && prompt?.never_ends) {
    throw new Refusal('USERPAYING', '需要用户输入支付密码', 'the fault userpaying_forever holds the prompt');
  }
  const counter = order.trade_type === 'MICROPAY' || order.trade_type === 'FACEPAY';
  if (counter && order.state === 'NOTPAY' && options.charged !== true) {
    throw new Refusal(
      'INVALID_REQUEST',
      '没有待确认的付款',
      `${order.out_trade_no} is charged by a code: this payer is asked for nothing`,
    );
  }
  const asked = order.state === 'USERPAYING' && order.prompt?.openid === user.openid;
  if (order.state !== 'NOTPAY' && !asked && !(order.state === 'CLOSED' && options.late === true)) {
    throw new Refusal(
      'ORDERCLOSED',
      '该订单已关闭',
      `${order.out_trade_no} is closed by ${order.closed_by ?? 'now'}`,
    );
  }
  if (prepay !== undefined && options.late !== true) {
    const life_ms = prepay.h5_url === undefined ? PREPAY_LIFE_MS : H5_LIFE_MS;
    if (prepay.made_at_ms + life_ms <= now) {
      throw new Refusal(
        'INVALID_REQUEST',
        '支付请求已失效，请重新发起支付',
        'the prepay_id, code or link is too old',
      );
    }
  }
  const sub_openid = order.sub_appid === undefined ? undefined : user.openids[order.sub_appid];
  const another = order.sub_openid !== undefined && order.sub_openid !== sub_openid;
  if (another || (order.openid !== '' && order.openid !== openid)) {
    throw new Refusal(
      'BUYER_MISMATCH',
      '支付失败：下单帐号与支付帐号不一致',
      `the order was placed for another openid than ${user.nickname}'s`,
    );
  }
  const coupon_fen = options.coupon_fen ?? 0;
  if (!Number.isInteger(coupon_fen) || coupon_fen < 0 || coupon_fen >= order.total_fen) {
    throw new Refusal('PARAM_ERROR', '参数错误', 'coupon_fen must be at least 0 and less than the order');
  }
  const cash_fen = order.total_fen - coupon_fen;
  if (user.balance_fen < cash_fen) {
    throw new Refusal(
      'NOTENOUGH',
      '余额不足',
      `${user.nickname} has ${user.balance_fen} fen, needs ${cash_fen}`,
    );
  }
  user.balance_fen -= cash_fen;
  purse.balance_fen += order.total_fen;
  order.state = 'SUCCESS';
  delete order.closed_by;
  delete order.prompt;
  order.payment = {
    transaction_id: platform.ids.transactionId(now),
    openid,
    ...(sub_openid === undefined ? {} : { sub_openid }),
    paid_at_ms: now,
    bank_type: 'OTHERS',
    total_fen: order.total_fen,
    cash_fen,
    coupon_fen,
    ...(coupon_fen > 0 ? { coupon_id: platform.ids.digits(12) } : {}),
  };
  store.state.ledger.push({
    entry_id: store.number(),
    at_ms: now,
    kind: 'payment',
    mch_id: order.mch_id,
    sub_mch_id: order.sub_mch_id,
    appid: order.appid,
    openid,
    out_trade_no: order.out_trade_no,
    transaction_id: order.payment.transaction_id,
    amount_fen: order.total_fen,
    cash_fen,
    user_balance_fen: user.balance_fen,
    merchant_balance_fen: purse.balance_fen,
  });
  store.touch();
  if (order.notify_url !== '') platform.notifier.paid(order);
  return order;
}

/** The user a fault or the control door means: the named one, else whom the order is for, else the first. */
export function payerFor(platform: Platform, order: Order, openid = ''): User {
  const meant = order.prompt?.openid ?? (order.openid || (order.sub_openid ?? ''));
  const named = openid === '' ? meant : openid;
  const user = named === '' ? platform.store.state.users[0] : userOf(platform, named);
  if (user === undefined)
    throw new Refusal('PARAM_ERROR', 'invalid openid', `no user has the openid ${named}`);
  return user;
}

/** Closes an unpaid order. */
export function closeOrder(
  platform: Platform,
  mch_id: string,
  out_trade_no: string,
  sub?: { sub_mch_id: string },
): Order {
  const order = ofSub(findOrder(platform, mch_id, out_trade_no), sub);
  if (order === undefined) throw new Refusal('ORDERNOTEXIST', '订单不存在', `nobody placed ${out_trade_no}`);
  if (order.payment !== undefined) {
    throw new Refusal('ORDERPAID', '订单已支付，不能发起关单', `${out_trade_no} is paid`);
  }
  if (order.state === 'CLOSED') {
    throw new Refusal(
      'ORDERCLOSED',
      '订单已关闭，无法重复关闭',
      `${out_trade_no} is closed by ${order.closed_by ?? '?'}`,
    );
  }
  if (order.state !== 'NOTPAY') {
    throw new Refusal(
      'TRADE_STATE_ERROR',
      '订单状态错误',
      `${out_trade_no} is ${order.state}: an order of a payment code is reversed, not closed`,
    );
  }
  if (platform.strict && platform.clock.now() - order.made_at_ms < EARLIEST_CLOSE_MS) {
    throw new Refusal(
      'TRADE_STATE_ERROR',
      '订单状态错误',
      'strict: an order is not closed in its first 5 minutes',
    );
  }
  order.state = 'CLOSED';
  order.closed_by = 'merchant';
  platform.store.touch();
  return order;
}
