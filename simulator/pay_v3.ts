// The API v3 routes for money coming in: the four ways of placing an order, both queries, close. What they do to an
// order is decided in orders.ts; how they are heard and answered, in envelope_v3.ts.

import { isIP } from 'node:net';
import { type Heard, needMchid, plain, RefusalV3, type Route } from './envelope_v3.ts';
import { APP_ORDER, CLOSE, H5_ORDER, JSAPI_ORDER, NATIVE_ORDER } from './fields_v3.ts';
import type { Call } from './http.ts';
import { closeOrder, findByTransaction, findOrder, payerFor, payOrder, Refusal } from './orders.ts';
import { placeOrder, type Wanted } from './placing.ts';
import { accountOf, type Platform, userOf } from './platform.ts';
import { needProduct } from './products.ts';
import type { Merchant, Order, Prepay, TradeState, TradeType } from './store.ts';
import { beijingIso } from './time.ts';

const LONGEST_MS = 15 * 24 * 3600 * 1000;

export function word(body: Record<string, unknown>, ...path: string[]): string {
  let value: unknown = body;
  for (const name of path) {
    value =
      typeof value === 'object' && value !== null
        ? Object.entries(value).find(([k]) => k === name)?.[1]
        : undefined;
  }
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

const parameter = (text: string, why: string, pointer: string, value: unknown) =>
  new RefusalV3(400, 'PARAM_ERROR', text, why, { location: 'body', value, field: pointer });

/** RFC 3339 with an offset, in milliseconds. */
function expiry(text: string, now_ms: number): number | undefined {
  if (text === '') return undefined;
  const at_ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (Number.isNaN(at_ms)) {
    throw parameter(
      'time_expire格式错误',
      `time_expire ${text} is not RFC 3339 with an offset`,
      '/time_expire',
      text,
    );
  }
  // Too early or too late is moved, not refused.
  return Math.min(Math.max(at_ms, now_ms + 60_000), now_ms + LONGEST_MS);
}

/** Two requests for one number are compared by these. */
export function compared(body: Record<string, unknown>, trade_type: TradeType): Record<string, string> {
  const { amount: _amount, payer: _payer, scene_info: _scene, ...rest } = body;
  return {
    ...Object.fromEntries(
      Object.entries(rest).map(([k, v]) => [k, typeof v === 'string' ? v : JSON.stringify(v)]),
    ),
    api: 'v3',
    trade_type,
    total_fee: word(body, 'amount', 'total'),
    fee_type: word(body, 'amount', 'currency') || 'CNY',
    openid: word(body, 'payer', 'openid'),
  };
}

/** Refuses an appid nobody has, or that this merchant has not bound. */
export function needBoundAppid(platform: Platform, merchant: Merchant, appid: string): void {
  if (accountOf(platform, appid) !== undefined && merchant.appids.includes(appid)) return;
  const why = `appid ${appid} is not bound to mchid ${merchant.mch_id}`;
  throw new RefusalV3(400, 'APPID_MCHID_NOT_MATCH', 'appid和mch_id不匹配，请检查后再试', why);
}

function wantedOrder(platform: Platform, heard: Heard, trade_type: TradeType): Wanted {
  const { body, merchant } = heard;
  const appid = word(body, 'appid');
  needBoundAppid(platform, merchant, appid);
  needProduct(merchant, undefined, trade_type);
  const openid = word(body, 'payer', 'openid');
  if (openid !== '' && userOf(platform, openid, appid) === undefined) {
    const elsewhere = userOf(platform, openid) !== undefined;
    const why = elsewhere
      ? `${openid} belongs to another appid than ${appid}`
      : `nobody has the openid ${openid}`;
    throw parameter(elsewhere ? 'appid与openid不匹配' : '无效的openid', why, '/payer/openid', openid);
  }
  const notify_url = word(body, 'notify_url');
  const url = URL.canParse(notify_url) ? new URL(notify_url) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || /[?#]/.test(notify_url)) {
    throw parameter(
      'notify_url格式错误',
      `${notify_url} is no plain http or https address`,
      '/notify_url',
      notify_url,
    );
  }
  if (platform.strict && url.protocol !== 'https:') {
    throw parameter('notify_url格式错误', 'strict: notify_url must be https', '/notify_url', notify_url);
  }
  const ip = word(body, 'scene_info', 'payer_client_ip');
  if (ip !== '' && isIP(ip) === 0) {
    throw parameter(
      '用户终端IP格式错误',
      `${ip} is no IPv4 or IPv6 address`,
      '/scene_info/payer_client_ip',
      ip,
    );
  }
  return {
    mch_id: merchant.mch_id,
    appid,
    out_trade_no: word(body, 'out_trade_no'),
    trade_type,
    api: 'v3',
    sign_type: merchant.sign_type,
    total_fen: Number(word(body, 'amount', 'total')),
    fee_type: word(body, 'amount', 'currency') || 'CNY',
    body: word(body, 'description'),
    attach: word(body, 'attach'),
    device_info: word(body, 'scene_info', 'device_id'),
    notify_url,
    client_ip: ip,
    openid,
    request: compared(body, trade_type),
    time_expire_ms: expiry(word(body, 'time_expire'), platform.clock.now()),
  };
}

/** One way of placing an order; `shown` is what it answers. */
function placing(trade_type: TradeType, shown: (prepay: Prepay) => Record<string, unknown>) {
  return async (platform: Platform, call: Call, heard: Heard) => {
    const wanted = wantedOrder(platform, heard, trade_type);
    call.out_trade_no = wanted.out_trade_no;
    const { order, prepay } = placeOrder(platform, wanted);
    const early = platform.faults.take('notify_before_answer', call);
    if (early !== undefined) {
      call.note.faults.push(early.name);
      payOrder(platform, order, prepay, payerFor(platform, order, early.text('openid')));
      await platform.notifier.settleOrder(order);
      await platform.clock.sleep(early.number('hold_ms'));
    }
    return plain(200, shown(prepay));
  };
}

const STATE_TEXT: Record<TradeState, string> = {
  SUCCESS: '支付成功',
  REFUND: '订单发生过退款',
  NOTPAY: '订单未支付',
  CLOSED: '订单已关闭',
  REVOKED: '订单已撤销',
  USERPAYING: '用户支付中',
  PAYERROR: '支付失败',
};

/** A trade as queries and notifications word it; `unpaid` hides the payment. */
export function transactionV3(order: Order, unpaid = false): Record<string, unknown> {
  const { payment } = order;
  const state: TradeState = unpaid ? 'NOTPAY' : order.state;
  const head = { mchid: order.mch_id, appid: order.appid, out_trade_no: order.out_trade_no };
  const standing = { trade_state: state, trade_state_desc: STATE_TEXT[state] };
  if (payment === undefined || unpaid) return { ...head, ...standing, attach: order.attach };
  return {
    ...head,
    transaction_id: payment.transaction_id,
    trade_type: order.trade_type,
    ...standing,
    bank_type: payment.bank_type,
    attach: order.attach,
    success_time: beijingIso(payment.paid_at_ms),
    payer: { openid: payment.openid },
    amount: {
      total: payment.total_fen,
      payer_total: payment.cash_fen,
      currency: order.fee_type,
      payer_currency: order.fee_type,
    },
    ...(order.device_info === '' ? {} : { scene_info: { device_id: order.device_info } }),
    ...(payment.coupon_fen === 0
      ? {}
      : {
          promotion_detail: [
            {
              coupon_id: payment.coupon_id,
              name: '充值代金券',
              scope: 'GLOBAL',
              type: 'CASH',
              amount: payment.coupon_fen,
              stock_id: '9300000',
              wechatpay_contribute: 0,
              merchant_contribute: payment.coupon_fen,
              other_contribute: 0,
              currency: order.fee_type,
            },
          ],
        }),
  };
}

function queried(platform: Platform, call: Call, order: Order | undefined, number: string) {
  if (order === undefined)
    throw new RefusalV3(404, 'ORDER_NOT_EXIST', '订单不存在', `no order ${number} of this merchant`);
  call.out_trade_no = order.out_trade_no;
  const stale = order.payment === undefined ? undefined : platform.faults.take('query_stale', call);
  if (stale !== undefined) call.note.faults.push(stale.name);
  return plain(200, transactionV3(order, stale !== undefined));
}

export function numberFault(number: string): void {
  const bytes = Buffer.byteLength(number, 'utf8');
  const head = '输入源“/uri_template/out_trade_no”映射到值字段“商户订单号”字符串规则校验失败，';
  const bad = (rest: string, value: unknown) =>
    new RefusalV3(400, 'PARAM_ERROR', head + rest, `out_trade_no ${number}: ${rest}`, {
      location: 'uri_template',
      value,
    });
  if (bytes > 32) throw bad(`字节数 ${bytes}，大于最大值 32`, bytes);
  if (bytes < 6) throw bad(`字节数 ${bytes}，小于最小值 6`, bytes);
}

async function close(platform: Platform, call: Call, heard: Heard) {
  const [out_trade_no = ''] = heard.named;
  numberFault(out_trade_no);
  call.out_trade_no = out_trade_no;
  const { mch_id } = heard.merchant;
  const slow = platform.faults.take('close_slow', call);
  if (slow !== undefined) {
    call.note.faults.push(slow.name);
    await platform.clock.sleep(slow.number('delay_ms'));
  }
  const open = findOrder(platform, mch_id, out_trade_no);
  // Closing what is closed is answered as the first time.
  if (open?.state === 'CLOSED') return plain(204, undefined);
  const paid = (why: string) => new RefusalV3(400, 'ORDER_PAID', '订单已支付', why);
  const beaten = open?.state === 'NOTPAY' ? platform.faults.take('close_order_paid', call) : undefined;
  if (open !== undefined && beaten !== undefined) {
    call.note.faults.push(beaten.name);
    if (!beaten.flag('pay')) throw paid('the fault says so; it is not paid');
    payOrder(platform, open, undefined, payerFor(platform, open, beaten.text('openid')));
  }
  try {
    const order = closeOrder(platform, mch_id, out_trade_no);
    const revived = platform.faults.take('close_then_paid', call);
    if (revived !== undefined) {
      call.note.faults.push(revived.name);
      payOrder(platform, order, undefined, payerFor(platform, order, revived.text('openid')), { late: true });
    }
  } catch (cause) {
    if (cause instanceof Refusal && cause.code === 'ORDERPAID') throw paid(cause.why);
    throw cause;
  }
  return plain(204, undefined);
}

const ORDERS = '/v3/pay/transactions';
const byPrepay = (prepay: Prepay) => ({ prepay_id: prepay.prepay_id });

export const PAY_ROUTES: Route[] = [
  {
    method: 'POST',
    path: new RegExp(`^${ORDERS}/jsapi$`),
    schema: JSAPI_ORDER,
    handle: placing('JSAPI', byPrepay),
  },
  {
    method: 'POST',
    path: new RegExp(`^${ORDERS}/app$`),
    schema: APP_ORDER,
    handle: placing('APP', byPrepay),
  },
  {
    method: 'POST',
    path: new RegExp(`^${ORDERS}/native$`),
    schema: NATIVE_ORDER,
    handle: placing('NATIVE', (prepay) => ({ code_url: prepay.code_url })),
  },
  {
    method: 'POST',
    path: new RegExp(`^${ORDERS}/h5$`),
    schema: H5_ORDER,
    handle: placing('MWEB', (prepay) => ({ h5_url: prepay.h5_url })),
  },
  {
    method: 'GET',
    path: new RegExp(`^${ORDERS}/id/([^/]+)$`),
    handle(platform, call, heard) {
      const [transaction_id = ''] = heard.named;
      needMchid(call, heard);
      if (!/^\d{10,32}$/.test(transaction_id)) {
        throw new RefusalV3(
          400,
          'PARAM_ERROR',
          '微信订单号非法',
          `${transaction_id} is no number of WeChat's`,
        );
      }
      const order = findByTransaction(platform, heard.merchant.mch_id, transaction_id);
      return queried(platform, call, order, transaction_id);
    },
  },
  {
    method: 'GET',
    path: new RegExp(`^${ORDERS}/out-trade-no/([^/]+)$`),
    handle(platform, call, heard) {
      const [out_trade_no = ''] = heard.named;
      needMchid(call, heard);
      numberFault(out_trade_no);
      return queried(platform, call, findOrder(platform, heard.merchant.mch_id, out_trade_no), out_trade_no);
    },
  },
  {
    method: 'POST',
    path: new RegExp(`^${ORDERS}/out-trade-no/([^/]+)/close$`),
    schema: CLOSE,
    handle: close,
  },
];
