// The API v3 routes for money coming in: the four ways of placing an order, both queries, close. What they do to an
// order is decided in orders.ts; how they are heard and answered, in envelope_v3.ts.

import { isIP } from 'node:net';
import { type Heard, plain, RefusalV3, type Route } from './envelope_v3.ts';
import { APP_ORDER, CLOSE, H5_ORDER, JSAPI_ORDER, NATIVE_ORDER, PARTNER, type Schema } from './fields_v3.ts';
import type { Call } from './http.ts';
import { closeOrder, findByTransaction, findOrder, ofSub, payerFor, payOrder, Refusal } from './orders.ts';
import { askedFor, partiesOf, subOf, word } from './parties_v3.ts';
import { placeOrder, type Wanted } from './placing.ts';
import type { Platform } from './platform.ts';
import { needProduct } from './products.ts';
import type { Order, Prepay, TradeState, TradeType } from './records.ts';
import { beijingIso } from './time.ts';

const LONGEST_MS = 15 * 24 * 3600 * 1000;

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
    openid: ['openid', 'sp_openid', 'sub_openid'].map((name) => word(body, 'payer', name)).join(''),
  };
}

function wantedOrder(platform: Platform, heard: Heard, trade_type: TradeType): Wanted {
  const { body, merchant } = heard;
  const { appid, sub, sub_appid, openid, sub_openid } = partiesOf(platform, heard);
  needProduct(merchant, sub, trade_type);
  if (trade_type === 'JSAPI' && openid === '' && sub_openid === undefined) {
    throw parameter('sp_openid和sub_openid必须二选一传入', 'nobody is named as the payer', '/payer', '');
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
    sub_mch_id: sub?.sub_mch_id,
    sub_appid,
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
    ...(sub_openid === undefined ? {} : { sub_openid }),
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

/** Who the parties of an order are, as API v3 names them. */
export function partyMembers(order: Pick<Order, 'mch_id' | 'appid' | 'sub_mch_id' | 'sub_appid'>) {
  if (order.sub_mch_id === undefined) return { mchid: order.mch_id, appid: order.appid };
  return {
    sp_mchid: order.mch_id,
    sp_appid: order.appid,
    sub_mchid: order.sub_mch_id,
    ...(order.sub_appid === undefined ? {} : { sub_appid: order.sub_appid }),
  };
}

/** A trade as queries and notifications word it; `unpaid` hides the payment. */
export function transactionV3(order: Order, unpaid = false): Record<string, unknown> {
  const { payment } = order;
  const state: TradeState = unpaid ? 'NOTPAY' : order.state;
  const head = { ...partyMembers(order), out_trade_no: order.out_trade_no };
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
    payer:
      order.sub_mch_id === undefined
        ? { openid: payment.openid }
        : {
            sp_openid: payment.openid,
            ...(payment.sub_openid === undefined ? {} : { sub_openid: payment.sub_openid }),
          },
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
  const sub = 'sp_mchid' in heard.body ? subOf(platform, heard, word(heard.body, 'sub_mchid')) : undefined;
  const slow = platform.faults.take('close_slow', call);
  if (slow !== undefined) {
    call.note.faults.push(slow.name);
    await platform.clock.sleep(slow.number('delay_ms'));
  }
  const open = ofSub(findOrder(platform, mch_id, out_trade_no), sub);
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
    const order = closeOrder(platform, mch_id, out_trade_no, sub);
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

const byPrepay = (prepay: Prepay) => ({ prepay_id: prepay.prepay_id });

/** The routes of orders under one base, with the schemas of who speaks there. */
function ordersAt(
  base: string,
  schemas: Record<'jsapi' | 'app' | 'native' | 'h5' | 'close', Schema>,
): Route[] {
  const place = (word: 'jsapi' | 'app' | 'native' | 'h5', handle: Route['handle']): Route => ({
    method: 'POST',
    path: new RegExp(`^${base}/${word}$`),
    schema: schemas[word],
    handle,
  });
  return [
    place('jsapi', placing('JSAPI', byPrepay)),
    place('app', placing('APP', byPrepay)),
    place(
      'native',
      placing('NATIVE', (prepay) => ({ code_url: prepay.code_url })),
    ),
    place(
      'h5',
      placing('MWEB', (prepay) => ({ h5_url: prepay.h5_url })),
    ),
    {
      method: 'GET',
      path: new RegExp(`^${base}/id/([^/]+)$`),
      handle(platform, call, heard) {
        const [transaction_id = ''] = heard.named;
        const sub = askedFor(platform, call, heard);
        if (!/^\d{10,32}$/.test(transaction_id)) {
          const why = `${transaction_id} is no number of WeChat's`;
          throw new RefusalV3(400, 'PARAM_ERROR', '微信订单号非法', why);
        }
        const order = findByTransaction(platform, heard.merchant.mch_id, transaction_id);
        return queried(platform, call, ofSub(order, sub), transaction_id);
      },
    },
    {
      method: 'GET',
      path: new RegExp(`^${base}/out-trade-no/([^/]+)$`),
      handle(platform, call, heard) {
        const [out_trade_no = ''] = heard.named;
        const sub = askedFor(platform, call, heard);
        numberFault(out_trade_no);
        const order = findOrder(platform, heard.merchant.mch_id, out_trade_no);
        return queried(platform, call, ofSub(order, sub), out_trade_no);
      },
    },
    {
      method: 'POST',
      path: new RegExp(`^${base}/out-trade-no/([^/]+)/close$`),
      schema: schemas.close,
      handle: close,
    },
  ];
}

export const PAY_ROUTES: Route[] = [
  ...ordersAt('/v3/pay/transactions', {
    jsapi: JSAPI_ORDER,
    app: APP_ORDER,
    native: NATIVE_ORDER,
    h5: H5_ORDER,
    close: CLOSE,
  }),
  ...ordersAt('/v3/pay/partner/transactions', PARTNER),
];
