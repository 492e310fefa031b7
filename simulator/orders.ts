// What may become of an order, whichever API speaks of it: placing and placing again, expiry, paying, closing.
// Refusals carry WeChat's code and text and say why in plain words. It knows no XML, no JSON and no HTTP.

import { merchantOf, type Platform, userOf } from './platform.ts';
import { type Order, orderKey, type Prepay, type User } from './store.ts';
import { beijing14 } from './time.ts';

const PREPAY_LIFE_MS = 2 * 3600 * 1000;
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

export type Wanted = Omit<
  Order,
  'state' | 'made_at_ms' | 'prepays' | 'payment' | 'closed_by' | 'expires_at_ms'
> & {
  /** When the merchant set time_expire. */
  time_expire_ms: number | undefined;
};

/** The order as it stands now: an unpaid one past its time is closed by the platform. */
export function settledByTime(platform: Platform, order: Order): Order {
  if (order.state === 'NOTPAY' && platform.clock.now() >= order.expires_at_ms) {
    order.state = 'CLOSED';
    order.closed_by = 'expiry';
    platform.store.touch();
  }
  return order;
}

/** Finds an order by its merchant's number. */
export function findOrder(platform: Platform, mch_id: string, out_trade_no: string): Order | undefined {
  const order = platform.store.state.orders[orderKey(mch_id, out_trade_no)];
  return order && settledByTime(platform, order);
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

/** Which of the compared fields differ between two requests for one number. */
function differences(first: Record<string, string>, again: Record<string, string>): string[] {
  const names = new Set([...Object.keys(first), ...Object.keys(again)]);
  return [...names].filter((n) => (first[n] ?? '') !== (again[n] ?? ''));
}

/** Places an order, or answers an unpaid one's prepay again when every compared field is the same. */
export function placeOrder(
  platform: Platform,
  wanted: Wanted,
): { order: Order; prepay: Prepay; again: boolean } {
  const { clock, store } = platform;
  const now = clock.now();
  const known = findOrder(platform, wanted.mch_id, wanted.out_trade_no);
  if (known !== undefined) {
    if (known.payment !== undefined) {
      throw new Refusal('ORDERPAID', '该订单已支付', `${wanted.out_trade_no} is already paid`);
    }
    if (known.state === 'CLOSED') {
      const by = known.closed_by === 'expiry' ? 'it ran out of time' : 'the merchant closed it';
      throw new Refusal('ORDERCLOSED', '该订单已关闭', `${wanted.out_trade_no} is closed: ${by}`);
    }
    const changed = differences(known.request, wanted.request);
    if (changed.length > 0) {
      const why = `${wanted.out_trade_no} was first placed with another ${changed.join(', ')}`;
      if (changed.some((name) => REUSE.has(name))) {
        throw new Refusal('OUT_TRADE_NO_USED', '201 商户订单号重复', why);
      }
      throw new Refusal('INVALID_REQUEST', '201 订单重入时，要求参数值与原请求一致', why);
    }
    known.sign_type = wanted.sign_type;
    const last = known.prepays.at(-1);
    const prepay = last !== undefined && last.dead_at_ms > now ? last : newPrepay(platform, known);
    store.touch();
    return { order: known, prepay, again: true };
  }
  const { time_expire_ms, ...rest } = wanted;
  if (time_expire_ms !== undefined) {
    const least_ms = platform.strict ? 5 * 60_000 : 60_000;
    if (time_expire_ms - now < least_ms - 1000) {
      throw new Refusal(
        'TIME_EXPIRE_TOO_SHORT',
        'time_expire时间过短，刷卡至少1分钟，其他5分钟',
        `time_expire is ${beijing14(time_expire_ms)}, the platform clock says ${beijing14(now)} (Beijing time)`,
      );
    }
  }
  const order: Order = {
    ...rest,
    state: 'NOTPAY',
    made_at_ms: now,
    expires_at_ms: time_expire_ms ?? now + ORDER_LIFE_MS,
    prepays: [],
  };
  store.state.orders[orderKey(order.mch_id, order.out_trade_no)] = order;
  const prepay = newPrepay(platform, order);
  store.touch();
  return { order, prepay, again: false };
}

/** A change in one of these is another order under a used number; in any other field, a faulty re-entry. */
const REUSE: ReadonlySet<string> = new Set(['total_fee', 'trade_type', 'openid', 'appid', 'fee_type']);

function newPrepay(platform: Platform, order: Order): Prepay {
  const now = platform.clock.now();
  const prepay: Prepay = {
    prepay_id: platform.ids.prepayId(now),
    made_at_ms: now,
    dead_at_ms: now + PREPAY_LIFE_MS,
  };
  if (order.trade_type === 'NATIVE') prepay.code_url = platform.ids.codeUrl();
  if (order.trade_type === 'MWEB') {
    prepay.h5_url = `${platform.addresses.url}/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=${prepay.prepay_id}&package=${platform.ids.digits(10)}`;
  }
  order.prepays.push(prepay);
  return prepay;
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
  const merchant = merchantOf(platform, order.mch_id);
  const openid = user.openids[order.appid];
  if (merchant === undefined || openid === undefined) {
    throw new Refusal('NOAUTH', '商户无此接口权限', `no openid of ${user.nickname} under ${order.appid}`);
  }
  if (order.payment !== undefined) {
    throw new Refusal('ORDERPAID', '该订单已支付', `${order.out_trade_no} is already paid`);
  }
  if (order.state !== 'NOTPAY' && !(order.state === 'CLOSED' && options.late === true)) {
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
  if (order.openid !== '' && order.openid !== openid) {
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
  merchant.balance_fen += order.total_fen;
  order.state = 'SUCCESS';
  delete order.closed_by;
  order.payment = {
    transaction_id: platform.ids.transactionId(now),
    openid,
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
    appid: order.appid,
    openid,
    out_trade_no: order.out_trade_no,
    transaction_id: order.payment.transaction_id,
    amount_fen: order.total_fen,
    cash_fen,
    user_balance_fen: user.balance_fen,
    merchant_balance_fen: merchant.balance_fen,
  });
  store.touch();
  platform.notifier.paid(order);
  return order;
}

/** The user a fault or the control door means: the named one, else whom the order is for, else the first. */
export function payerFor(platform: Platform, order: Order, openid = ''): User {
  const named = openid === '' ? order.openid : openid;
  const user = named === '' ? platform.store.state.users[0] : userOf(platform, named);
  if (user === undefined)
    throw new Refusal('PARAM_ERROR', 'invalid openid', `no user has the openid ${named}`);
  return user;
}

/** Closes an unpaid order. */
export function closeOrder(platform: Platform, mch_id: string, out_trade_no: string): Order {
  const order = findOrder(platform, mch_id, out_trade_no);
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
