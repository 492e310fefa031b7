// The API v2 doors for money going back: refund, which wants the merchant's client certificate, and refund query.
// What becomes of a refund is decided in refunds.ts.

import { door, heed, levelTwo, spoil, systemError, type Verified } from './envelope_v2.ts';
import { type FieldFault, lacking, numberFault } from './fields_v2.ts';
import type { Call, Family } from './http.ts';
import { findByTransaction, findOrder, ofSub, Refusal } from './orders.ts';
import { merchantOf, type Platform } from './platform.ts';
import type { Order, Refund, RefundState } from './records.ts';
import { applyRefund, findRefund, findRefundById, refundsOf } from './refunds.ts';
import { beijingIso } from './time.ts';
import type { Fields } from './xml.ts';

const PAGE = 10;
const MOST_WITHOUT_OFFSET = 50;

/** API v2's word for how a refund stands. */
export function refundStatusV2(state: RefundState): string {
  return state === 'ABNORMAL' ? 'CHANGE' : state === 'CLOSED' ? 'REFUNDCLOSE' : state;
}

/** Refuses a call that must come with the merchant's own client certificate and does not. */
export function needCertificate(platform: Platform, call: Call, mch_id: string): void {
  const refuse = (why: string) => new Refusal('CERT_ERROR', '证书校验错误', why);
  if (call.tls === undefined) {
    if (!platform.certificate_required) return;
    throw refuse(
      `${call.path} needs the client certificate, so it must be called over TLS at ${platform.addresses.tls_url}; --refund-without-certificate lifts this`,
    );
  }
  const { certificate_of, why } = call.tls;
  if (certificate_of === '') throw refuse(why);
  if (certificate_of !== mch_id)
    throw refuse(`the client certificate belongs to ${certificate_of}, the message to ${mch_id}`);
}

/** The paid order a message names; transaction_id wins. */
function paidOrder(platform: Platform, f: Fields): Order {
  const mch_id = f.mch_id ?? '';
  const transaction_id = f.transaction_id ?? '';
  const out_trade_no = f.out_trade_no ?? '';
  if (transaction_id === '' && out_trade_no === '') heed(lacking(f, ['out_trade_no']));
  if (transaction_id !== '' && !/^\d{10,32}$/.test(transaction_id)) {
    throw new Refusal(
      'INVALID_TRANSACTIONID',
      '无效transaction_id',
      `${transaction_id} is no number of WeChat's`,
    );
  }
  const order =
    transaction_id !== ''
      ? findByTransaction(platform, mch_id, transaction_id)
      : findOrder(platform, mch_id, out_trade_no);
  const ours = order !== undefined && (order.sub_mch_id ?? '') === (f.sub_mch_id ?? '');
  if (!ours || order.appid !== f.appid || order.payment === undefined) {
    const why = !ours
      ? `no order ${transaction_id || out_trade_no} of this merchant`
      : order.appid !== f.appid
        ? `the order belongs to appid ${order.appid}`
        : 'the order is not paid';
    throw new Refusal('ORDERNOTEXIST', '订单不存在', why);
  }
  return order;
}

function amountFault(f: Fields): FieldFault | undefined {
  for (const name of ['total_fee', 'refund_fee']) {
    const value = f[name] ?? '';
    if (/^[1-9]\d{0,9}$/.test(value) && Number(value) < 2 ** 31) continue;
    const why = `${name} is ${value}; it is a whole number of fen from 1 to ${2 ** 31 - 1}`;
    return { level: 2, code: 'PARAM_ERROR', text: `参数错误：${name}`, why };
  }
  return undefined;
}

const MOST_BYTES: Record<string, number> = { out_refund_no: 64, refund_desc: 80, notify_url: 256 };
const ACCOUNTS = ['REFUND_SOURCE_UNSETTLED_FUNDS', 'REFUND_SOURCE_RECHARGE_FUNDS'];

function refundFault(f: Fields): FieldFault | undefined {
  const parameter = (name: string, why: string): FieldFault => ({
    level: 2,
    code: 'PARAM_ERROR',
    text: `参数错误：${name}`,
    why,
  });
  for (const [name, most] of Object.entries(MOST_BYTES)) {
    const bytes = Buffer.byteLength(f[name] ?? '', 'utf8');
    if (bytes > most)
      return parameter(name, `${name} is ${bytes} bytes of UTF-8, at most ${most} are allowed`);
  }
  if (!/^[0-9A-Za-z_\-|*@]{1,64}$/.test(f.out_refund_no ?? '')) {
    return parameter('out_refund_no', 'out_refund_no has characters other than digits, letters and _-|*@');
  }
  const url = f.notify_url ?? '';
  if (url !== '' && (!URL.canParse(url) || !/^https?:/.test(url) || /[?#]/.test(url))) {
    return parameter('notify_url', `notify_url ${url} is no plain http or https address`);
  }
  const account = f.refund_account ?? '';
  if (account !== '' && !ACCOUNTS.includes(account)) {
    return parameter('refund_account', `refund_account is ${account}; allowed here: ${ACCOUNTS.join(', ')}`);
  }
  const currency = f.refund_fee_type ?? '';
  return currency === '' || currency === 'CNY'
    ? amountFault(f)
    : parameter('refund_fee_type', `refund_fee_type is ${currency}, only CNY is known here`);
}

const refund = door((platform, call, verified) => {
  const { fields: f, merchant } = verified;
  heed(lacking(f, ['nonce_str', 'out_refund_no', 'total_fee', 'refund_fee']));
  heed(numberFault(f));
  heed(refundFault(f));
  needCertificate(platform, call, merchant.mch_id);
  const order = paidOrder(platform, f);
  call.out_trade_no = order.out_trade_no;
  const { refund: made, struck } = applyRefund(
    platform,
    order,
    {
      out_refund_no: f.out_refund_no ?? '',
      refund_fen: Number(f.refund_fee),
      total_fen: Number(f.total_fee),
      reason: f.refund_desc ?? '',
      notify_url: f.notify_url ?? '',
      api: 'v2',
      source: 'API',
      account: f.refund_account || 'REFUND_SOURCE_UNSETTLED_FUNDS',
    },
    call,
  );
  call.note.faults.push(...struck);
  return levelTwo(platform, verified, {
    transaction_id: made.transaction_id,
    out_trade_no: made.out_trade_no,
    out_refund_no: made.out_refund_no,
    refund_id: made.refund_id,
    refund_channel: '',
    refund_fee: String(made.refund_fen),
    settlement_refund_fee: String(made.refund_fen),
    coupon_refund_fee: String(made.coupon_fen),
    ...couponFields(order, made, ''),
    total_fee: String(order.total_fen),
    settlement_total_fee: String(order.total_fen),
    fee_type: order.fee_type,
    cash_fee: String(order.payment?.cash_fen ?? 0),
    cash_refund_fee: String(made.cash_fen),
    coupon_refund_count: made.coupon_fen > 0 ? '1' : '0',
  });
});

/** The coupon's share, numbered from 0 behind `suffix`. */
function couponFields(order: Order, made: Refund, suffix: string): Fields {
  const coupon_id = order.payment?.coupon_id;
  if (made.coupon_fen === 0 || coupon_id === undefined) return {};
  return {
    [`coupon_type${suffix}_0`]: 'CASH',
    [`coupon_refund_id${suffix}_0`]: coupon_id,
    [`coupon_refund_fee${suffix}_0`]: String(made.coupon_fen),
  };
}

/** refund_id before out_refund_no before transaction_id before out_trade_no. */
function asked(platform: Platform, verified: Verified): { order: Order; refunds: Refund[] } {
  const { fields: f, merchant } = verified;
  const none = (what: string) => new Refusal('REFUNDNOTEXIST', '退款订单不存在', what);
  const one = f.refund_id
    ? findRefundById(platform, merchant.mch_id, f.refund_id)
    : f.out_refund_no
      ? findRefund(platform, merchant.mch_id, f.out_refund_no)
      : undefined;
  if (f.refund_id || f.out_refund_no) {
    if (one === undefined) throw none(`no refund ${f.refund_id || f.out_refund_no} of this merchant`);
    const order = findOrder(platform, merchant.mch_id, one.out_trade_no);
    if (order === undefined) throw new Error(`refund ${one.out_refund_no} has lost its order`);
    return { order, refunds: [one] };
  }
  if (!f.transaction_id && !f.out_trade_no) heed(lacking(f, ['out_trade_no']));
  const order = f.transaction_id
    ? findByTransaction(platform, merchant.mch_id, f.transaction_id)
    : findOrder(platform, merchant.mch_id, f.out_trade_no ?? '');
  const refunds = order === undefined ? [] : refundsOf(platform, order);
  if (order === undefined || refunds.length === 0) {
    throw none(`nothing was refunded of ${f.transaction_id || f.out_trade_no}`);
  }
  return { order, refunds };
}

function refundFields(order: Order, made: Refund, n: number, processing: boolean): Fields {
  const state: RefundState = processing ? 'PROCESSING' : made.state;
  return {
    [`out_refund_no_${n}`]: made.out_refund_no,
    [`refund_id_${n}`]: made.refund_id,
    [`refund_channel_${n}`]: 'ORIGINAL',
    [`refund_fee_${n}`]: String(made.refund_fen),
    [`settlement_refund_fee_${n}`]: String(made.refund_fen),
    [`coupon_refund_fee_${n}`]: String(made.coupon_fen),
    [`coupon_refund_count_${n}`]: made.coupon_fen > 0 ? '1' : '0',
    ...couponFields(order, made, `_${n}`),
    [`refund_status_${n}`]: refundStatusV2(state),
    [`refund_account_${n}`]: made.account,
    [`refund_recv_accout_${n}`]: made.received_account,
    ...(state === 'SUCCESS' && made.ended_at_ms !== undefined
      ? { [`refund_success_time_${n}`]: beijingIso(made.ended_at_ms).slice(0, 19).replace('T', ' ') }
      : {}),
  };
}

const refundquery = door((platform, call, verified) => {
  const { fields: f } = verified;
  heed(lacking(f, ['nonce_str']));
  heed(numberFault(f));
  const offset = f.offset ?? '';
  if (offset !== '' && !/^\d{1,3}$/.test(offset)) {
    throw new Refusal('PARAM_ERROR', '参数错误：offset', `offset ${offset} is no small whole number`);
  }
  const { order, refunds } = asked(platform, verified);
  if (
    merchantOf(platform, order.mch_id)?.appids.includes(f.appid ?? '') !== true ||
    ofSub(order, verified.sub) === undefined
  ) {
    throw new Refusal(
      'REFUNDNOTEXIST',
      '退款订单不存在',
      `the order belongs to appid ${order.appid}, sub-merchant ${order.sub_mch_id ?? 'none'}`,
    );
  }
  call.out_trade_no = order.out_trade_no;
  const stale = platform.faults.take('refund_query_stale', call);
  if (stale !== undefined) call.note.faults.push(stale.name);
  const shown =
    offset === ''
      ? refunds.slice(0, MOST_WITHOUT_OFFSET)
      : refunds.slice(Number(offset), Number(offset) + PAGE);
  const sum = (part: (r: Refund) => number) => String(refunds.reduce((total, r) => total + part(r), 0));
  return levelTwo(platform, verified, {
    ...(offset === '' ? {} : { total_refund_count: String(refunds.length) }),
    transaction_id: order.payment?.transaction_id ?? '',
    out_trade_no: order.out_trade_no,
    total_fee: String(order.total_fen),
    settlement_total_fee: String(order.total_fen),
    fee_type: order.fee_type,
    cash_fee: String(order.payment?.cash_fen ?? 0),
    refund_count: String(shown.length),
    refund_fee: sum((r) => r.refund_fen),
    cash_refund_fee: sum((r) => r.cash_fen),
    coupon_refund_fee: sum((r) => r.coupon_fen),
    ...Object.assign({}, ...shown.map((r, n) => refundFields(order, r, n, stale !== undefined))),
  });
});

export const refundV2: Family = {
  name: 'refund_v2',
  logged: true,
  doors: { '/secapi/pay/refund': refund, '/pay/refundquery': refundquery },
  systemError,
  spoil,
};
