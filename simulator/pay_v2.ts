// The API v2 doors for money coming in: unified order, order query, close. What they do to an order is decided in
// orders.ts; how they are heard and answered, in envelope_v2.ts.

import { door, heed, levelTwo, spoil, systemError, Unheard } from './envelope_v2.ts';
import { lacking, numberFault, unifiedorderFault } from './fields_v2.ts';
import type { Family } from './http.ts';
import { paymentFields } from './notify_v2.ts';
import { closeOrder, findByTransaction, findOrder, ofSub, payerFor, payOrder, Refusal } from './orders.ts';
import { placeOrder, type Wanted } from './placing.ts';
import { type Platform, userOf } from './platform.ts';
import { needProduct } from './products.ts';
import type { Order, TradeState, TradeType } from './records.ts';
import { parseBeijing14 } from './time.ts';

/** Left out of the comparison when a number comes again. */
export const NOT_COMPARED: ReadonlySet<string> = new Set([
  'nonce_str',
  'sign',
  'sign_type',
  'spbill_create_ip',
  'time_start',
]);

/** Refuses an openid that is nobody's, or somebody's under another appid. */
function needOpenid(platform: Platform, openid: string, appid: string): void {
  if (openid === '' || userOf(platform, openid, appid) !== undefined) return;
  if (userOf(platform, openid) === undefined) {
    throw new Unheard('PARAM_ERROR', 'invalid openid', `nobody has the openid ${openid}`);
  }
  const why = `${openid} belongs to another appid than ${appid}`;
  throw new Unheard('PARAM_ERROR', 'appid and openid not match', why);
}

const unifiedorder = door(async (platform, call, verified) => {
  const { fields: f, merchant, sub, sign_type } = verified;
  heed(unifiedorderFault(f, platform.strict));
  const trade_type = f.trade_type as TradeType;
  needProduct(merchant, sub, trade_type);
  const appid = f.appid ?? '';
  const openid = trade_type === 'JSAPI' ? (f.openid ?? '') : '';
  needOpenid(platform, openid, appid);
  const sub_openid = trade_type === 'JSAPI' && sub !== undefined ? (f.sub_openid ?? '') : '';
  if (sub_openid !== '') heed(lacking(f, ['sub_appid']));
  needOpenid(platform, sub_openid, f.sub_appid ?? '');
  const wanted: Wanted = {
    mch_id: merchant.mch_id,
    appid,
    sub_mch_id: sub?.sub_mch_id,
    sub_appid: sub === undefined ? undefined : f.sub_appid || undefined,
    out_trade_no: f.out_trade_no ?? '',
    trade_type,
    api: 'v2',
    sign_type,
    total_fen: Number(f.total_fee),
    fee_type: f.fee_type || 'CNY',
    body: f.body ?? '',
    attach: f.attach ?? '',
    device_info: f.device_info ?? '',
    notify_url: f.notify_url ?? '',
    client_ip: f.spbill_create_ip ?? '',
    openid,
    ...(sub_openid === '' ? {} : { sub_openid }),
    request: Object.fromEntries(Object.entries(f).filter(([k, v]) => v !== '' && !NOT_COMPARED.has(k))),
    time_expire_ms: f.time_expire ? parseBeijing14(f.time_expire) : undefined,
  };
  const { order, prepay } = placeOrder(platform, wanted);
  const early = platform.faults.take('notify_before_answer', call);
  if (early !== undefined) {
    call.note.faults.push(early.name);
    payOrder(platform, order, prepay, payerFor(platform, order, early.text('openid')));
    await platform.notifier.settleOrder(order);
    await platform.clock.sleep(early.number('hold_ms'));
  }
  return levelTwo(platform, verified, {
    prepay_id: prepay.prepay_id,
    trade_type,
    ...(prepay.code_url === undefined ? {} : { code_url: prepay.code_url }),
    ...(prepay.h5_url === undefined ? {} : { mweb_url: prepay.h5_url }),
  });
});

const STATE_TEXT: Record<TradeState, string> = {
  SUCCESS: '支付成功',
  REFUND: '订单发生过退款，退款详情请查询退款单',
  NOTPAY: '订单未支付',
  CLOSED: '订单已关闭',
  REVOKED: '订单已撤销',
  USERPAYING: '需要用户输入支付密码',
  PAYERROR: '支付失败，请重新下单支付',
};

export const orderquery = door((platform, call, verified) => {
  const { fields: f, merchant, sub } = verified;
  heed(lacking(f, ['nonce_str']));
  heed(numberFault(f));
  const transaction_id = f.transaction_id ?? '';
  const out_trade_no = f.out_trade_no ?? '';
  if (transaction_id === '' && out_trade_no === '') heed(lacking(f, ['out_trade_no']));
  const order =
    transaction_id !== ''
      ? findByTransaction(platform, merchant.mch_id, transaction_id)
      : findOrder(platform, merchant.mch_id, out_trade_no);
  if (order === undefined || ofSub(order, sub) === undefined || order.appid !== f.appid) {
    throw new Refusal(
      'ORDERNOTEXIST',
      'order not exist',
      `no order ${transaction_id || out_trade_no} of this merchant`,
    );
  }
  call.out_trade_no = order.out_trade_no;
  const stale = order.payment === undefined ? undefined : platform.faults.take('query_stale', call);
  if (stale !== undefined) call.note.faults.push(stale.name);
  return levelTwo(platform, verified, {
    ...(order.device_info === '' ? {} : { device_info: order.device_info }),
    ...(stale === undefined ? paymentFields(platform, order) : {}),
    out_trade_no: order.out_trade_no,
    attach: order.attach,
    trade_state: stale === undefined ? order.state : 'NOTPAY',
    trade_state_desc: STATE_TEXT[stale === undefined ? order.state : 'NOTPAY'],
  });
});

const closeorder = door(async (platform, call, verified) => {
  const { fields: f, merchant, sub } = verified;
  heed(lacking(f, ['nonce_str', 'out_trade_no']));
  heed(numberFault(f));
  const out_trade_no = f.out_trade_no ?? '';
  const slow = platform.faults.take('close_slow', call);
  if (slow !== undefined) {
    call.note.faults.push(slow.name);
    await platform.clock.sleep(slow.number('delay_ms'));
  }
  const open = ofSub(findOrder(platform, merchant.mch_id, out_trade_no), sub);
  const beaten = open?.state === 'NOTPAY' ? platform.faults.take('close_order_paid', call) : undefined;
  if (open !== undefined && beaten !== undefined) {
    call.note.faults.push(beaten.name);
    if (!beaten.flag('pay'))
      throw new Refusal('ORDERPAID', '订单已支付，不能发起关单', 'the fault says so; it is not paid');
    payOrder(platform, open, undefined, payerFor(platform, open, beaten.text('openid')));
  }
  const order: Order = closeOrder(platform, merchant.mch_id, out_trade_no, sub);
  const revived = platform.faults.take('close_then_paid', call);
  if (revived !== undefined) {
    call.note.faults.push(revived.name);
    payOrder(platform, order, undefined, payerFor(platform, order, revived.text('openid')), { late: true });
  }
  return levelTwo(platform, verified, { result_msg: 'OK' });
});

export const payV2: Family = {
  name: 'pay_v2',
  logged: true,
  doors: {
    '/pay/unifiedorder': unifiedorder,
    '/pay/orderquery': orderquery,
    '/pay/closeorder': closeorder,
  },
  systemError,
  spoil,
};
