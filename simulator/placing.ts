// Placing an order: what makes a repeated number the same order, and what a merchant gets to hand to its payer. It
// takes no money and knows no XML, no JSON and no HTTP.

import { findOrder, ORDER_LIFE_MS, PREPAY_LIFE_MS, Refusal } from './orders.ts';
import type { Platform } from './platform.ts';
import type { Order, Prepay } from './records.ts';
import { orderKey } from './store.ts';
import { beijing14 } from './time.ts';

export type Wanted = Omit<
  Order,
  'state' | 'made_at_ms' | 'prepays' | 'payment' | 'closed_by' | 'expires_at_ms'
> & {
  /** When the merchant set time_expire. */
  time_expire_ms: number | undefined;
};

/** Which of the compared fields differ between two requests for one number. */
export function differences(first: Record<string, string>, again: Record<string, string>): string[] {
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
    if (known.state === 'REVOKED') {
      throw new Refusal('ORDERREVERSED', '该订单已撤销', `${wanted.out_trade_no} was reversed`);
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
