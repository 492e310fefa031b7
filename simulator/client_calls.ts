// What WeChat checks when a mobile app or a mini-program starts a payment with the parameters its server signed, and
// how each is answered. A phone's two other ways in, beside the bridge of web pages; control addresses both.

import { wakeInvocations } from './bridge.ts';
import { bodyOf, guarded } from './control.ts';
import { type Answer, type Call, type Family, json } from './http.ts';
import { orderBehind, payerFor, payersAppid, payOrder, Refusal } from './orders.ts';
import { merchantOf, type Platform, userOf } from './platform.ts';
import type { Order, Prepay, TradeType } from './records.ts';
import { showOrder } from './show.ts';
import { signV2 } from './sign_v2.ts';
import { merchantSigned } from './sign_v3.ts';

type Params = Record<string, string>;

/** What WeChat would say on the phone, beside the reason in plain words. */
class Turned extends Error {
  readonly screen: string;
  readonly why: string;
  constructor(screen: string, why: string) {
    super(why);
    this.screen = screen;
    this.why = why;
  }
}

function strings(given: Record<string, unknown>, names: readonly string[]): Params {
  const p: Params = {};
  for (const name of names) {
    const value = given[name];
    if (value === undefined || value === null || value === '') {
      throw new Turned(`缺少参数${name}`, `${name} is missing or empty`);
    }
    if (typeof value !== 'string') {
      throw new Turned(
        `parameter.${name} should be String instead of ${value === null ? 'Null' : typeof value}`,
        `${name} is a ${typeof value}, it must be a string`,
      );
    }
    p[name] = value;
  }
  return p;
}

function startable(
  platform: Platform,
  prepay_id: string,
  appid: string,
  trade_type: TradeType,
): { order: Order; prepay: Prepay } {
  const lost = (why: string) => new Turned('缺少参数total_fee', why);
  let order: Order;
  let prepay: Prepay | undefined;
  try {
    ({ order, prepay } = orderBehind(platform, { prepay_id }));
  } catch (cause) {
    if (cause instanceof Refusal) throw lost(`nobody was given the prepay_id ${prepay_id}`);
    throw cause;
  }
  if (prepay === undefined) throw lost(`nobody was given the prepay_id ${prepay_id}`);
  if (order.trade_type !== trade_type) {
    throw lost(`the prepay_id is for ${order.trade_type}, not ${trade_type}`);
  }
  const own = trade_type === 'APP' ? [order.appid, order.sub_appid] : [payersAppid(order)];
  if (!own.includes(appid)) throw lost(`appid ${appid} is not the order's, which is ${own.at(-1) ?? own[0]}`);
  if (prepay.dead_at_ms <= platform.clock.now()) throw lost('the prepay_id is older than 2 hours');
  return { order, prepay };
}

function seconds(timestamp: string): void {
  if (!/^\d{10}$/.test(timestamp)) {
    throw new Turned('参数错误', `the time ${timestamp} is not a 10-digit number of seconds`);
  }
}

/** Whether the call is signed by who placed the order, in the way of the API it was placed with. */
function signedRightly(
  platform: Platform,
  order: Order,
  signature: string,
  v2: Params,
  v3_lines: string[],
): void {
  const merchant = merchantOf(platform, order.mch_id);
  const right =
    order.api === 'v3'
      ? merchantSigned(platform, order.mch_id, v3_lines.map((line) => `${line}\n`).join(''), signature)
      : merchant !== undefined && signV2(v2, order.sign_type, merchant.api_v2_key) === signature;
  if (right) return;
  const how =
    order.api === 'v3'
      ? `the merchant certificate's key over ${JSON.stringify(v3_lines)}`
      : `${order.sign_type} over ${Object.keys(v2).sort().join(', ')} and the API v2 key`;
  throw new Turned('支付验证签名失败', `the order is of API ${order.api}: the signature does not fit ${how}`);
}

/** Pays as the phone's holder, or leaves; a refusal of the order is the payer's to see. */
function finished(
  platform: Platform,
  call: Call,
  body: Record<string, unknown>,
  found: { order: Order; prepay: Prepay },
): 'paid' | 'cancelled' {
  const { order, prepay } = found;
  call.out_trade_no = order.out_trade_no;
  if (body.action === 'cancel') {
    wakeInvocations(platform, order, 'cancelled');
    return 'cancelled';
  }
  const openid = typeof body.openid === 'string' ? body.openid : '';
  if (openid !== '' && userOf(platform, openid) === undefined) {
    throw new Refusal('PARAM_ERROR', 'invalid openid', `no user has the openid ${openid}`);
  }
  payOrder(platform, order, prepay, payerFor(platform, order, openid));
  wakeInvocations(platform, order, 'paid');
  return 'paid';
}

const APP_NAMES = ['appid', 'partnerid', 'prepayid', 'package', 'noncestr', 'timestamp', 'sign'] as const;

/** Names as the SDKs of Android and iOS spell them, brought to the spelling that is signed. */
function lowered(body: Record<string, unknown>): Record<string, unknown> {
  const given = Object.fromEntries(Object.entries(body).map(([k, v]) => [k.toLowerCase(), v]));
  return { ...given, package: given.package ?? given.packagevalue };
}

/** An app's PayReq: `errCode` 0 paid, −1 turned away, −2 left. */
function appPay(platform: Platform, call: Call): Answer {
  const body = bodyOf(call);
  try {
    const p = strings(lowered(body), APP_NAMES);
    if (p.package !== 'Sign=WXPay') {
      throw new Turned('参数错误', `package is ${p.package}, it must be Sign=WXPay`);
    }
    const found = startable(platform, p.prepayid ?? '', p.appid ?? '', 'APP');
    const { order } = found;
    if (![order.mch_id, order.sub_mch_id].includes(p.partnerid)) {
      throw new Turned('商户号错误', `partnerid ${p.partnerid} is not the order's merchant ${order.mch_id}`);
    }
    seconds(p.timestamp ?? '');
    const { sign = '', ...v2 } = p;
    const lines = [p.appid ?? '', p.timestamp ?? '', p.noncestr ?? '', p.prepayid ?? ''];
    signedRightly(platform, order, sign, v2, lines);
    const outcome = finished(platform, call, body, found);
    return json(200, { errCode: outcome === 'paid' ? 0 : -2, ...showOrder(platform, order) });
  } catch (cause) {
    if (cause instanceof Turned) return turnedAway(platform, call, cause, { errCode: -1 });
    throw cause;
  }
}

const MINI_NAMES = ['timeStamp', 'nonceStr', 'package', 'signType', 'paySign'] as const;

/** wx.requestPayment in a mini-program; `appid` says which one runs, by default the demo's. */
function miniPay(platform: Platform, call: Call): Answer {
  const body = bodyOf(call);
  try {
    const mini = platform.store.state.accounts.find((a) => a.kind === 'mini_program');
    const appId = typeof body.appid === 'string' && body.appid !== '' ? body.appid : (mini?.appid ?? '');
    const p = strings(body, MINI_NAMES);
    const prepay_id = /^prepay_id=(.+)$/.exec(p.package ?? '')?.[1];
    if (prepay_id === undefined) {
      throw new Turned('缺少参数total_fee', `package is ${p.package}, it must be prepay_id=…`);
    }
    const found = startable(platform, prepay_id, appId, 'JSAPI');
    const { order } = found;
    seconds(p.timeStamp ?? '');
    const expected = order.api === 'v3' ? 'RSA' : order.sign_type;
    if (p.signType !== expected) {
      throw new Turned(
        '支付验证签名失败',
        `signType is ${p.signType}, the order is of API ${order.api} and was placed with ${expected}`,
      );
    }
    const { paySign = '', ...rest } = p;
    const lines = [appId, p.timeStamp ?? '', p.nonceStr ?? '', p.package ?? ''];
    signedRightly(platform, order, paySign, { appId, ...rest }, lines);
    const outcome = finished(platform, call, body, found);
    const errMsg = outcome === 'paid' ? 'requestPayment:ok' : 'requestPayment:fail cancel';
    return json(200, { errMsg, ...showOrder(platform, order) });
  } catch (cause) {
    if (cause instanceof Turned) {
      return turnedAway(platform, call, cause, { errMsg: `requestPayment:fail ${cause.screen}` });
    }
    throw cause;
  }
}

function turnedAway(platform: Platform, call: Call, cause: Turned, own: Record<string, unknown>): Answer {
  const answer = { ...own, code: 'TURNED_AWAY', message: cause.screen, why: cause.why };
  platform.log.add({
    at_ms: call.at_ms,
    kind: 'payer',
    method: call.method,
    path: call.path,
    request: call.body.toString('utf8'),
    status: 400,
    answer: cause.screen,
    out_trade_no: call.out_trade_no,
    code: 'TURNED_AWAY',
    why: cause.why,
    faults: [],
  });
  return json(400, answer);
}

export const clientCalls: Family = {
  name: 'client_calls',
  logged: false,
  doors: { '/_sim/app_pay': guarded('POST', appPay), '/_sim/mini_pay': guarded('POST', miniPay) },
};
