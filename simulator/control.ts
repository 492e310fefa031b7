// The control door under /_sim/: what the merchant's console, the payer's thumb and the test's hand do. It is no
// part of WeChat; everything here answers JSON.

import { wakeInvocations } from './bridge.ts';
import { shopSettings } from './demo.ts';
import { UnknownFault } from './faults.ts';
import { type Answer, type Call, type Door, type Family, json } from './http.ts';
import { isModeOne, resolved, scanModeOne } from './native_one.ts';
import { type Handle, orderBehind, payerFor, payOrder, Refusal, settledByTime } from './orders.ts';
import { type Platform, userOf } from './platform.ts';
import { heldFen } from './redpack.ts';
import { showConfig, showNotification, showOrder } from './show.ts';
import { beijingIso } from './time.ts';

/** A mistake in a control request, answered with 400. */
export class BadRequest extends Error {}

const STATUS: Record<string, number> = {
  ORDERNOTEXIST: 404,
  ORDERPAID: 409,
  ORDERCLOSED: 409,
  NOTENOUGH: 402,
  BUYER_MISMATCH: 403,
  NOAUTH: 403,
  ORDERREVERSED: 409,
  USERPAYING: 409,
};

export function bodyOf(call: Call): Record<string, unknown> {
  if (call.body.length === 0) return {};
  let parsed: unknown;
  try {
    parsed = JSON.parse(call.body.toString('utf8'));
  } catch (cause) {
    throw new BadRequest(`the body is no JSON: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new BadRequest('the body must be a JSON object');
  }
  return Object.fromEntries(Object.entries(parsed));
}

export function text(body: Record<string, unknown>, name: string): string | undefined {
  const value = body[name];
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string') throw new BadRequest(`${name} must be a string`);
  return value;
}

export function texts(body: Record<string, unknown>, name: string): string[] | undefined {
  const value = body[name];
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || !value.every((v) => typeof v === 'string')) {
    throw new BadRequest(`${name} must be a list of strings`);
  }
  return value;
}

export function handleOf(body: Record<string, unknown>): Handle {
  const handle: Handle = {};
  for (const name of ['out_trade_no', 'mch_id', 'prepay_id', 'code_url', 'h5_url'] as const) {
    const value = text(body, name);
    if (value !== undefined) handle[name] = value;
  }
  if (handle.h5_url !== undefined && !URL.canParse(handle.h5_url))
    throw new BadRequest('h5_url is no address');
  const named = ['out_trade_no', 'prepay_id', 'code_url', 'h5_url'].filter((n) => n in handle);
  if (named.length !== 1)
    throw new BadRequest('name the order by one of out_trade_no, prepay_id, code_url, h5_url');
  return handle;
}

/** The order in the payer's hand; scanning a NATIVE mode 1 code asks the merchant for one. */
export async function behind(platform: Platform, handle: Handle, openid: string | undefined) {
  if (handle.code_url === undefined) return orderBehind(platform, handle);
  const code_url = resolved(platform, handle.code_url);
  if (!isModeOne(code_url)) return orderBehind(platform, { code_url });
  const user = openid === undefined ? platform.store.state.users[0] : userOf(platform, openid);
  if (user === undefined) throw new BadRequest(`no user has the openid ${openid}`);
  return scanModeOne(platform, code_url, user);
}

async function pay(platform: Platform, call: Call): Promise<Answer> {
  const body = bodyOf(call);
  const { order, prepay } = await behind(platform, handleOf(body), text(body, 'openid'));
  call.out_trade_no = order.out_trade_no;
  const coupon_fen = body.coupon_fen;
  if (coupon_fen !== undefined && typeof coupon_fen !== 'number')
    throw new BadRequest('coupon_fen must be a number');
  const user = payerFor(platform, order, text(body, 'openid'));
  payOrder(platform, order, prepay, user, {
    ...(coupon_fen === undefined ? {} : { coupon_fen }),
    late: body.late === true,
  });
  wakeInvocations(platform, order, 'paid');
  return json(200, showOrder(platform, order));
}

function cancel(platform: Platform, call: Call): Answer {
  const { order } = orderBehind(platform, handleOf(bodyOf(call)));
  call.out_trade_no = order.out_trade_no;
  const released = wakeInvocations(platform, order, 'cancelled');
  return json(200, { ...showOrder(platform, order), released });
}

async function clock(platform: Platform, call: Call): Promise<Answer> {
  if (call.method !== 'GET') {
    const { advance_s } = bodyOf(call);
    if (typeof advance_s !== 'number' || !(advance_s >= 0) || advance_s > 10 * 366 * 86400) {
      throw new BadRequest('advance_s must be a number of seconds, 0 or more: the clock never goes back');
    }
    await platform.notifier.advance(advance_s * 1000);
    for (const order of Object.values(platform.store.state.orders)) settledByTime(platform, order);
  }
  const now_ms = platform.clock.now();
  return json(200, {
    now: beijingIso(now_ms),
    now_ms,
    ahead_s: Math.round(platform.store.state.clock_offset_ms / 1000),
  });
}

function ledger(platform: Platform, call: Call): Answer {
  const { state } = platform.store;
  const since = Number(call.query.get('since') ?? 0);
  const number = call.query.get('out_trade_no') ?? '';
  const entries = state.ledger.filter(
    (e) => e.entry_id > since && (number === '' || e.out_trade_no === number),
  );
  return json(200, {
    now: beijingIso(platform.clock.now()),
    entries: entries.map((e) => ({ ...e, at: beijingIso(e.at_ms) })),
    paid_fen: entries.filter((e) => e.kind === 'payment').reduce((sum, e) => sum + e.amount_fen, 0),
    refunded_fen: entries.filter((e) => e.kind === 'refund').reduce((sum, e) => sum + e.amount_fen, 0),
    merchants: state.merchants.flatMap((m) => [
      { mch_id: m.mch_id, balance_fen: m.balance_fen },
      ...(m.sub_merchants ?? []).map(({ sub_mch_id, balance_fen }) => ({
        mch_id: m.mch_id,
        sub_mch_id,
        balance_fen,
      })),
    ]),
    red_packets_fen: heldFen(platform),
    users: state.users.map((u) => ({ openid: u.openid, nickname: u.nickname, balance_fen: u.balance_fen })),
  });
}

function orders(platform: Platform, call: Call): Answer {
  const number = call.path.slice('/_sim/orders/'.length);
  const found = Object.values(platform.store.state.orders).filter(
    (o) => number === '' || o.out_trade_no === number,
  );
  if (number !== '' && found.length === 0)
    throw new Refusal('ORDERNOTEXIST', '订单不存在', `nobody placed ${number}`);
  const shown = found.slice(-Number(call.query.get('limit') ?? 1000)).map((o) => showOrder(platform, o));
  return json(200, number === '' ? { orders: shown } : shown[0]);
}

function log(platform: Platform, call: Call): Answer {
  return json(200, {
    entries: platform.log.read({
      since: Number(call.query.get('since') ?? 0),
      limit: Number(call.query.get('limit') ?? 200),
      out_trade_no: call.query.get('out_trade_no') ?? '',
      path: call.query.get('path') ?? '',
    }),
  });
}

function faults(platform: Platform, call: Call): Answer {
  if (call.method === 'DELETE') platform.faults.clear();
  else if (call.method !== 'GET') platform.faults.set(bodyOf(call));
  return json(200, platform.faults.list());
}

function notifications(platform: Platform, call: Call): Answer {
  const number = call.query.get('out_trade_no') ?? '';
  const found = platform.notifier.all().filter((n) => number === '' || n.out_trade_no === number);
  return json(200, {
    notifications: found.slice(-Number(call.query.get('limit') ?? 200)).map(showNotification),
  });
}

async function oneNotification(platform: Platform, call: Call): Promise<Answer> {
  const [id = '', verb = ''] = call.path.slice('/_sim/notifications/'.length).split('/');
  const n = platform.store.state.notifications[id];
  if (n === undefined) return json(404, { code: 'NOT_FOUND', message: `no notification ${id}` });
  if (verb === 'redeliver' && call.method === 'POST') {
    const attempts = await platform.notifier.redeliver(n);
    return json(200, { ...showNotification(n), attempts_now: attempts });
  }
  return verb === ''
    ? json(200, showNotification(n))
    : json(404, { code: 'NOT_FOUND', message: `no ${verb} here` });
}

function shop(platform: Platform, call: Call): Answer {
  const { state } = platform.store;
  if (call.method !== 'GET') {
    const body = bodyOf(call);
    const origin = text(body, 'origin');
    if (origin !== undefined && (!URL.canParse(origin) || new URL(origin).origin !== origin)) {
      throw new BadRequest(`origin must look like http://127.0.0.1:3000, not ${origin}`);
    }
    const named = {
      payment_directories: texts(body, 'payment_directories'),
      oauth_domains: texts(body, 'oauth_domains'),
      js_domains: texts(body, 'js_domains'),
    };
    if (origin !== undefined) Object.assign(state, shopSettings(origin, named));
    for (const name of ['payment_directories', 'oauth_domains', 'js_domains'] as const) {
      state[name] = named[name] ?? state[name];
    }
    platform.store.touch();
  }
  return json(200, {
    origin: state.shop_origin,
    payment_directories: state.payment_directories,
    oauth_domains: state.oauth_domains,
    js_domains: state.js_domains,
    phone_url: platform.addresses.phone_url,
  });
}

function users(platform: Platform, call: Call): Answer {
  if (call.method !== 'GET') {
    const body = bodyOf(call);
    const user = userOf(platform, text(body, 'openid') ?? '');
    const { balance_fen } = body;
    if (user === undefined) throw new BadRequest('openid names no user');
    if (typeof balance_fen !== 'number' || !Number.isSafeInteger(balance_fen) || balance_fen < 0) {
      throw new BadRequest('balance_fen must be a whole number of fen');
    }
    user.balance_fen = balance_fen;
    platform.store.touch();
  }
  return json(200, { users: platform.store.state.users });
}

async function reset(platform: Platform): Promise<Answer> {
  await platform.notifier.settle();
  platform.reset();
  return json(200, { ok: true, now: beijingIso(platform.clock.now()) });
}

/** Allows the methods, and turns every refusal into a 4xx with WeChat's code and the reason in plain words. */
export function guarded(methods: string, handle: Door): Door {
  return async (platform, call) => {
    if (!methods.split(',').includes(call.method)) {
      return json(
        405,
        { code: 'METHOD_NOT_ALLOWED', message: `${call.method} is not served here` },
        { Allow: methods },
      );
    }
    try {
      return await handle(platform, call);
    } catch (cause) {
      if (cause instanceof Refusal) {
        platform.log.add({
          at_ms: call.at_ms,
          kind: 'payer',
          method: call.method,
          path: call.path,
          request: call.body.toString('utf8'),
          status: STATUS[cause.code] ?? 400,
          answer: cause.text,
          out_trade_no: call.out_trade_no,
          code: cause.code,
          why: cause.why,
          faults: [],
        });
        return json(STATUS[cause.code] ?? 400, { code: cause.code, message: cause.text, why: cause.why });
      }
      if (cause instanceof BadRequest || cause instanceof UnknownFault) {
        return json(400, { code: 'BAD_REQUEST', message: cause.message });
      }
      throw cause;
    }
  };
}

export const control: Family = {
  name: 'control',
  logged: false,
  doors: {
    '/_sim/config': guarded('GET', (platform) => json(200, showConfig(platform))),
    '/_sim/pay': guarded('POST', pay),
    '/_sim/cancel': guarded('POST', cancel),
    '/_sim/clock': guarded('GET,POST', clock),
    '/_sim/ledger': guarded('GET', ledger),
    '/_sim/orders': guarded('GET', orders),
    '/_sim/orders/*': guarded('GET', orders),
    '/_sim/log': guarded('GET', log),
    '/_sim/faults': guarded('GET,PUT,DELETE', faults),
    '/_sim/notifications': guarded('GET', notifications),
    '/_sim/notifications/*': guarded('GET,POST', oneNotification),
    '/_sim/shop': guarded('GET,PUT', shop),
    '/_sim/users': guarded('GET,PUT', users),
    '/_sim/reset': guarded('POST', reset),
  },
};
