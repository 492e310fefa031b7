/**
 * The ways of paying that begin with us, over the simulator: whose order it is, what the payer's side is handed for any
 * order, and the payer's finger on it. What comes of it in our books is the test's business.
 */

import type { Way } from '../../lib/ways.ts';
import { app_key, type Counter, type Shopper } from './counter.ts';

export interface OnlineDesk {
  counter: Counter;
  /** Signed in inside WeChat. */
  shopper: Shopper;
}

/** A door's answer to who wants to pay, refused or not. */
export interface BegunAnswer {
  out_trade_no?: string;
  jsapi?: Record<string, string>;
  code_url?: string;
  h5_url?: string;
  mini_program?: Record<string, string>;
  app?: Record<string, string>;
  error?: { code: string; message: string };
}

export interface Begun {
  order_no: string;
  status: number;
  body: BegunAnswer;
}

export interface OnlineWay {
  way: Way;
  /** Orders as people of this way do; the order is theirs. */
  order: (desk: OnlineDesk) => Promise<string>;
  /** Asks to pay an order this way. */
  begin: (desk: OnlineDesk, order_no: string) => Promise<Begun>;
  /** Pays on the phone, or leaves, with what was handed out; throws when the phone does not get so far. */
  tap: (desk: OnlineDesk, begun: Begun, action: 'pay' | 'cancel') => Promise<void>;
}

const goods = { items: [{ product_id: 'bookmark', quantity: 1 }] };

async function json<Answer>(asked: Promise<Response>): Promise<Answer> {
  const answer = await asked;
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.url}: ${answer.status} ${text}`);
  return JSON.parse(text) as Answer;
}

async function begun(order_no: string, asked: Promise<Response>): Promise<Begun> {
  const answer = await asked;
  return { order_no, status: answer.status, body: (await answer.json()) as BegunAnswer };
}

/** A caller that is no browser: a key, no cookie, no Origin. */
const callWith = (counter: Counter, key: string, path: string, body: unknown, more: HeadersInit = {}) =>
  fetch(counter.host.origin + path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(key === '' ? {} : { authorization: `Bearer ${key}` }),
      ...more,
    },
    body: JSON.stringify(body),
  });

/** The page inside WeChat: the bridge judges address, parameters, signature and payer before anybody can pay. */
const inWechat: OnlineWay = {
  way: 'JSAPI',
  order: async ({ shopper }) => (await shopper.order('bookmark')).order_no,
  begin: ({ shopper }, order_no) =>
    begun(order_no, shopper.post(`/api/orders/${order_no}/pay`, { trade_type: 'JSAPI' })),
  tap: async ({ counter, shopper }, { order_no, body: { out_trade_no, jsapi } }, action) => {
    const { invocation_id, why } = await counter.control<{ invocation_id?: string; why?: string }>(
      'bridge/invoke',
      {
        method: 'getBrandWCPayRequest',
        params: jsapi,
        page_url: `${counter.host.origin}/pay/${order_no}`,
        openid: shopper.openid,
      },
    );
    if (invocation_id === undefined) throw new Error(`the bridge turned the page away: ${why}`);
    const { err_msg } = await counter.control('bridge/finish', { invocation_id, action });
    await json(shopper.post(`/api/orders/${order_no}/bridge`, { out_trade_no, err_msg }));
  },
};

/** WeChat's page behind an H5 address, which judges the browser and where it came from. */
async function throughGate(h5_url: string, referer: string): Promise<void> {
  const page = await (await fetch(h5_url, { headers: { 'user-agent': 'Safari/604.1', referer } })).text();
  if (!page.includes('data-testid="h5-open-wechat"')) throw new Error(`the H5 gate stayed shut: ${page}`);
}

/** A browser outside WeChat, signed in nowhere, gets an address to pay at. */
const atAddress = (way: 'NATIVE' | 'MWEB', name: 'code_url' | 'h5_url'): OnlineWay => ({
  way,
  order: async ({ counter }) => (await counter.shopper().order('bookmark')).order_no,
  begin: ({ counter }, order_no) =>
    begun(order_no, counter.shopper().post(`/api/orders/${order_no}/pay`, { trade_type: way })),
  tap: async ({ counter }, { order_no, body }, action) => {
    const address = body[name] ?? '';
    if (name === 'h5_url') await throughGate(address, `${counter.host.origin}/pay/${order_no}`);
    await counter.control(action, { [name]: address });
  },
});

async function miniKey({ counter }: OnlineDesk): Promise<string> {
  const { code } = await counter.control<{ code: string }>('mini_code', {});
  return (await json<{ token: string }>(callWith(counter, '', '/api/app/mini/session', { code }))).token;
}

/** Call parameters, handed to the phone as the client's SDK would. */
const tapSdk =
  (door: 'mini_pay' | 'app_pay', name: 'mini_program' | 'app'): OnlineWay['tap'] =>
  async ({ counter }, { body }, action) => {
    const parameters = body[name];
    await counter.control(door, action === 'pay' ? parameters : { ...parameters, action });
  };

const inMiniProgram: OnlineWay = {
  way: 'MINIPROGRAM',
  order: async (desk) => {
    const wish = { ...goods, checkout_key: crypto.randomUUID() };
    const key = await miniKey(desk);
    return (await json<{ order_no: string }>(callWith(desk.counter, key, '/api/orders', wish))).order_no;
  },
  begin: async (desk, order_no) => {
    const path = `/api/orders/${order_no}/pay`;
    return begun(order_no, callWith(desk.counter, await miniKey(desk), path, { trade_type: 'JSAPI' }));
  },
  tap: tapSdk('mini_pay', 'mini_program'),
};

const inApp: OnlineWay = {
  way: 'APP',
  order: async ({ counter }) => {
    const key = { 'idempotency-key': crypto.randomUUID() };
    const made = callWith(counter, app_key, '/api/app/orders', goods, key);
    return (await json<{ order_no: string }>(made)).order_no;
  },
  begin: ({ counter }, order_no) =>
    begun(
      order_no,
      callWith(counter, app_key, `/api/app/orders/${order_no}/pay`, { payer_client_ip: '203.0.113.9' }),
    ),
  tap: tapSdk('app_pay', 'app'),
};

/** `wx.chooseWXPay` is begun at the door of JSAPI and handed the same parameters, so JSAPI stands for both. */
export const onlineWays = {
  JSAPI: inWechat,
  NATIVE: atAddress('NATIVE', 'code_url'),
  MWEB: atAddress('MWEB', 'h5_url'),
  MINIPROGRAM: inMiniProgram,
  APP: inApp,
} as const satisfies Record<Way, OnlineWay>;
