// What happens when a page inside WeChat calls the bridge: the checks WeChat makes before it shows the payment
// sheet, and the end of each call. It believes nothing the page says but its parameters.

import { Hash } from 'wechatpay-axios-plugin';
import { type Answer, type Call, type Door, type Family, json } from './http.ts';
import { orderBehind, payerFor, payersAppid, payOrder, Refusal } from './orders.ts';
import { type Invocation, merchantOf, type Platform, purseOf, userOf } from './platform.ts';
import type { Order } from './records.ts';
import { signV2 } from './sign_v2.ts';
import { merchantSigned } from './sign_v3.ts';
import { orderKey } from './store.ts';

const NAME = 'get_brand_wcpay_request';
const WAIT_MS = 15_000;
/** The console takes no more. */
const MOST_DIRECTORIES = 5;

/** Ends every open call on this order; tells how many there were. */
export function wakeInvocations(platform: Platform, order: Order, outcome: 'paid' | 'cancelled'): number {
  let woken = 0;
  for (const one of platform.invocations.values()) {
    if (one.mch_id !== order.mch_id || one.out_trade_no !== order.out_trade_no || one.outcome !== 'open')
      continue;
    one.outcome = outcome;
    woken += 1;
    for (const wake of one.wake.splice(0)) wake();
  }
  return woken;
}

/** A call WeChat turns away: what the callback gets, what the screen says, and why in plain words. */
class TurnedAway extends Error {
  readonly err_msg: string;
  readonly screen: string;
  readonly why: string;
  constructor(err_msg: string, screen: string, why: string) {
    super(why);
    this.err_msg = err_msg;
    this.screen = screen;
    this.why = why;
  }
}

type Invoked = {
  method: string;
  params: Record<string, unknown>;
  page_url: string;
  first_url: string;
  platform: string;
  openid: string;
};

/**
 * Whether a page may start a payment: a bare domain compares scheme and host, a directory must be the page's own
 * directory to the letter.
 */
export function withinDirectories(page_url: string, directories: string[]): boolean {
  if (!URL.canParse(page_url)) return false;
  const page = new URL(page_url);
  const own = page.pathname.slice(0, page.pathname.lastIndexOf('/') + 1);
  return directories.slice(0, MOST_DIRECTORIES).some((directory) => {
    if (!URL.canParse(directory) || !directory.endsWith('/')) return false;
    const registered = new URL(directory);
    if (registered.origin !== page.origin) return false;
    return registered.pathname === '/' || registered.pathname === own;
  });
}

const lacking = (name: string, why: string) =>
  new TurnedAway(`调用支付JSAPI缺少参数: ${name}`, `调用支付JSAPI缺少参数: ${name}`, why);

/** All that is looked at before the sheet appears. */
function checkPayment(platform: Platform, invoked: Invoked): { order: Order; prepay_id: string } {
  const judged = invoked.platform === 'ios' ? invoked.first_url : invoked.page_url;
  const { payment_directories } = platform.store.state;
  if (!withinDirectories(judged, payment_directories)) {
    const whose =
      invoked.platform === 'ios' ? 'iOS judges the first page opened' : 'Android judges the present page';
    throw new TurnedAway(
      '当前页面的URL未注册',
      `当前页面的URL未注册：${judged}`,
      `${judged} lies in none of the payment directories ${payment_directories.join(', ') || '(none registered)'}; ${whose}`,
    );
  }
  const p: Record<string, string> = {};
  for (const name of ['appId', 'timeStamp', 'nonceStr', 'package', 'signType', 'paySign']) {
    const value = invoked.params[name];
    if (value === undefined || value === null || value === '')
      throw lacking(name, `${name} is missing or empty`);
    // Android takes a number for its text.
    if (typeof value !== 'string' && (invoked.platform === 'ios' || typeof value !== 'number')) {
      throw lacking(name, `${name} is a ${typeof value}, it must be a string (iOS fails on anything else)`);
    }
    p[name] = String(value);
  }
  const prepay_id = /^prepay_id=(.+)$/.exec(p.package ?? '')?.[1];
  if (prepay_id === undefined) throw lacking('total_fee', `package is ${p.package}, it must be prepay_id=…`);
  const { order, prepay } = found(platform, prepay_id);
  const meant_appid = payersAppid(order);
  if (p.appId !== meant_appid) {
    throw lacking('total_fee', `appId ${p.appId} is not ${meant_appid}, the account of the order's openid`);
  }
  if (order.trade_type !== 'JSAPI')
    throw lacking('total_fee', `the prepay_id is for ${order.trade_type}, not JSAPI`);
  if (!/^\d{10}$/.test(p.timeStamp ?? '')) {
    throw lacking('timeStamp', `timeStamp ${p.timeStamp} is not a 10-digit number of seconds`);
  }
  const merchant = merchantOf(platform, order.mch_id);
  if (merchant === undefined) throw lacking('total_fee', `merchant ${order.mch_id} is gone`);
  const { paySign = '', ...signed } = p;
  // A prepay_id of API v3 is started with the merchant's RSA key, one of v2 with the API v2 key, never crosswise.
  const expected = order.api === 'v3' ? 'RSA' : order.sign_type;
  const right =
    p.signType === expected &&
    (order.api === 'v3'
      ? merchantSigned(
          platform,
          order.mch_id,
          `${p.appId}\n${p.timeStamp}\n${p.nonceStr}\n${p.package}\n`,
          paySign,
        )
      : signV2(signed, order.sign_type, merchant.api_v2_key) === paySign);
  if (!right) {
    const why =
      p.signType !== expected
        ? `signType is ${p.signType}, the order is of API ${order.api} and was placed with ${expected}`
        : order.api === 'v3'
          ? "paySign does not fit appId, timeStamp, nonceStr, package and the merchant certificate's key"
          : 'paySign does not fit appId, nonceStr, package, signType, timeStamp and the API v2 key';
    throw new TurnedAway(`${NAME}:cancel`, '支付验证签名失败', why);
  }
  if (order.payment !== undefined) {
    throw new TurnedAway(`${NAME}:fail`, '该订单已支付', `${order.out_trade_no} is already paid`);
  }
  if (order.state !== 'NOTPAY') {
    throw new TurnedAway(
      `${NAME}:fail`,
      '该订单已关闭',
      `${order.out_trade_no} is closed by ${order.closed_by ?? '?'}`,
    );
  }
  if (prepay.dead_at_ms <= platform.clock.now())
    throw lacking('total_fee', 'the prepay_id is older than 2 hours');
  const payer = userOf(platform, invoked.openid);
  const meant = order.sub_openid ?? order.openid;
  const fits = meant === '' || Object.values(payer?.openids ?? {}).includes(meant);
  if (payer?.openids[order.appid] === undefined || !fits) {
    throw new TurnedAway(
      `${NAME}:fail`,
      '支付失败：下单帐号与支付帐号不一致',
      `the order is for ${order.openid}, the phone belongs to ${invoked.openid || 'nobody'}`,
    );
  }
  return { order, prepay_id };
}

/** Whether a page lies on one of these domains; an entry without a port fits every port, one with a path what lies in it. */
function onDomains(page_url: string, domains: string[]): boolean {
  if (!URL.canParse(page_url)) return false;
  const page = new URL(page_url);
  return domains.some((entry) => {
    const cut = entry.indexOf('/');
    const host = cut < 0 ? entry : entry.slice(0, cut);
    const path = cut < 0 ? '/' : entry.slice(cut).replace(/\/*$/, '/');
    return (host === page.host || host === page.hostname) && `${page.pathname}/`.startsWith(path);
  });
}

/** The check behind wx.config: domain, then the SHA-1 over ticket, nonce, time and the page's address before #. */
function preVerify(platform: Platform, invoked: Invoked): { err_msg: string; why: string } {
  const word = (name: string) => String(invoked.params[name] ?? '');
  const judged = (invoked.platform === 'ios' ? invoked.first_url : invoked.page_url).replace(/#.*$/, '');
  const no = (text: string, why: string) => ({ err_msg: `preVerifyJSAPI:${text}`, why });
  const { js_domains } = platform.store.state;
  if (!onDomains(judged, js_domains)) {
    return no('invalid url domain', `${judged} is on none of the JS domains ${js_domains.join(', ')}`);
  }
  const now = platform.clock.now();
  const tickets = Object.values(platform.store.state.tokens).filter(
    (t) => t.kind === 'ticket' && t.appid === word('verifyAppId') && t.dead_at_ms > now,
  );
  const fits = tickets.some((t) => {
    const signed = `jsapi_ticket=${t.token}&noncestr=${word('verifyNonceStr')}&timestamp=${word('verifyTimestamp')}&url=${judged}`;
    return Hash.equals(Hash.sha1(signed), word('verifySignature'));
  });
  return fits
    ? { err_msg: 'preVerifyJSAPI:ok', why: '' }
    : no(
        'invalid signature',
        `no living jsapi_ticket of ${word('verifyAppId')} gives this signature for ${judged}`,
      );
}

function found(platform: Platform, prepay_id: string) {
  try {
    const { order, prepay } = orderBehind(platform, { prepay_id });
    if (prepay !== undefined) return { order, prepay };
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
  }
  throw lacking('total_fee', `nobody was given the prepay_id ${prepay_id}`);
}

function note(
  platform: Platform,
  call: Call,
  answer: unknown,
  code: string,
  why: string,
  out_trade_no: string,
): void {
  platform.log.add({
    at_ms: call.at_ms,
    kind: 'bridge',
    method: 'BRIDGE',
    path: call.path,
    request: call.body.toString('utf8'),
    status: 200,
    answer: JSON.stringify(answer),
    out_trade_no,
    code,
    why,
    faults: [],
  });
}

function invoke(platform: Platform, call: Call, body: Record<string, unknown>): Answer {
  const word = (name: string) => (typeof body[name] === 'string' ? body[name] : '');
  const { params } = body;
  const invoked: Invoked = {
    method: word('method'),
    params: typeof params === 'object' && params !== null ? Object.fromEntries(Object.entries(params)) : {},
    page_url: word('page_url'),
    first_url: word('first_url') || word('page_url'),
    platform: word('platform') || 'android',
    openid: word('openid') || (platform.store.state.users[0]?.openid ?? ''),
  };
  if (invoked.method === 'preVerifyJSAPI') {
    const answer = preVerify(platform, invoked);
    note(platform, call, answer, answer.why === '' ? '' : answer.err_msg, answer.why, '');
    return json(200, answer);
  }
  if (invoked.method !== 'getBrandWCPayRequest') {
    return json(200, { err_msg: 'system:function_not_exist' });
  }
  try {
    const { order, prepay_id } = checkPayment(platform, invoked);
    const one: Invocation = {
      invocation_id: platform.ids.hex(24),
      mch_id: order.mch_id,
      out_trade_no: order.out_trade_no,
      prepay_id,
      openid: invoked.openid,
      outcome: 'open',
      wake: [],
    };
    platform.invocations.set(one.invocation_id, one);
    const user = userOf(platform, invoked.openid);
    const answer = {
      invocation_id: one.invocation_id,
      out_trade_no: order.out_trade_no,
      sheet: {
        total_fen: order.total_fen,
        merchant: purseOf(platform, order)?.name ?? '',
        body: order.body,
        payer: user?.nickname ?? '',
        balance_fen: user?.balance_fen ?? 0,
      },
    };
    note(platform, call, answer, '', '', order.out_trade_no);
    return json(200, answer);
  } catch (cause) {
    if (!(cause instanceof TurnedAway)) throw cause;
    const answer = { err_msg: cause.err_msg, screen: cause.screen, why: cause.why };
    note(platform, call, answer, cause.err_msg, cause.why, '');
    return json(200, answer);
  }
}

/** The thumb on 支付 or 关闭: `action` pay or cancel. */
function finish(platform: Platform, call: Call, body: Record<string, unknown>): Answer {
  const one = platform.invocations.get(String(body.invocation_id ?? ''));
  if (one === undefined) return json(404, { code: 'NOT_FOUND', message: 'no such bridge call' });
  const order = platform.store.state.orders[orderKey(one.mch_id, one.out_trade_no)];
  if (order === undefined) return json(404, { code: 'NOT_FOUND', message: 'the order is gone' });
  if (body.action !== 'pay') {
    one.outcome = 'cancelled';
    const answer = { err_msg: `${NAME}:cancel` };
    note(platform, call, answer, '', '', order.out_trade_no);
    return json(200, answer);
  }
  try {
    const { prepay } = orderBehind(platform, { prepay_id: one.prepay_id });
    payOrder(platform, order, prepay, payerFor(platform, order, one.openid));
    wakeInvocations(platform, order, 'paid');
    const answer = { err_msg: `${NAME}:ok` };
    note(platform, call, answer, '', '', order.out_trade_no);
    return json(200, answer);
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    const answer = {
      err_msg: `${NAME}:fail`,
      err_desc: cause.text,
      code: cause.code,
      screen: cause.text,
      why: cause.why,
    };
    note(platform, call, answer, cause.code, cause.why, order.out_trade_no);
    return json(200, answer);
  }
}

/** Waits until the control door pays or cancels; answers `open` after a while, to be asked again. */
async function wait(platform: Platform, _call: Call, body: Record<string, unknown>): Promise<Answer> {
  const one = platform.invocations.get(String(body.invocation_id ?? ''));
  if (one === undefined) return json(404, { code: 'NOT_FOUND', message: 'no such bridge call' });
  if (one.outcome === 'open') {
    await Promise.race([new Promise<void>((wake) => one.wake.push(wake)), platform.clock.sleep(WAIT_MS)]);
  }
  return json(200, { outcome: one.outcome });
}

/** Any page may call these: WeChat's bridge has no origin of its own. */
function open(
  handle: (platform: Platform, call: Call, body: Record<string, unknown>) => Answer | Promise<Answer>,
): Door {
  return async (platform, call) => {
    const cors = {
      'Access-Control-Allow-Origin': '*',
      'Access-Control-Allow-Headers': 'content-type',
      'Access-Control-Allow-Methods': 'POST',
      'Access-Control-Allow-Private-Network': 'true',
    };
    if (call.method === 'OPTIONS') return { status: 204, headers: cors, body: '' };
    if (call.method !== 'POST') return json(405, { code: 'METHOD_NOT_ALLOWED', message: 'POST only' }, cors);
    let body: Record<string, unknown>;
    try {
      body = Object.fromEntries(Object.entries(JSON.parse(call.body.toString('utf8')) as object));
    } catch (cause) {
      return json(
        400,
        { code: 'BAD_REQUEST', message: cause instanceof Error ? cause.message : String(cause) },
        cors,
      );
    }
    const answer = await handle(platform, call, body);
    return { ...answer, headers: { ...answer.headers, ...cors } };
  };
}

export const bridge: Family = {
  name: 'bridge',
  logged: false,
  doors: {
    '/_sim/bridge/invoke': open(invoke),
    '/_sim/bridge/finish': open(finish),
    '/_sim/bridge/wait': open(wait),
  },
};
