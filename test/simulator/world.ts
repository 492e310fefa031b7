// What the simulator's own tests stand on: a few-line signer that shares nothing with the simulator, a merchant's
// hand for the v2 doors, and a place where notifications arrive. It keeps no secrets and no state between tests.

import { createHash, createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../simulator/server.ts';

export type Fields = Record<string, string>;
export type SignType = 'MD5' | 'HMAC-SHA256';

/** The v2 signature, written from the rule alone. */
export function sign(fields: Fields, key: string, sign_type: SignType = 'MD5'): string {
  const joined = Object.keys(fields)
    .filter((name) => name !== 'sign' && fields[name] !== '')
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .map((name) => `${name}=${fields[name]}`)
    .join('&');
  const whole = `${joined}&key=${key}`;
  const hash = sign_type === 'MD5' ? createHash('md5') : createHmac('sha256', key);
  return hash.update(whole, 'utf8').digest('hex').toUpperCase();
}

export function toXml(fields: Fields): string {
  const inner = Object.entries(fields).map(([name, value]) => `<${name}><![CDATA[${value}]]></${name}>`);
  return `<xml>${inner.join('')}</xml>`;
}

/** Reads the flat XML of an answer with a plain pattern, not with the simulator's parser. */
export function fromXml(text: string): Fields {
  const fields: Fields = {};
  for (const m of text.matchAll(/<(\w+)>(?:<!\[CDATA\[([\s\S]*?)\]\]>|([^<]*))<\/\1>/g)) {
    if (m[1] !== undefined) fields[m[1]] = m[2] ?? m[3] ?? '';
  }
  return fields;
}

export type Arrival = { headers: IncomingHttpHeaders; raw: string; fields: Fields; url: string };

/** A notify door: answers SUCCESS unless told otherwise. */
export type Sink = {
  url: string;
  arrivals: Arrival[];
  answer: (
    arrival: Arrival,
  ) => { status?: number; body: string; delay_ms?: number } | Promise<{ body: string }>;
  close(): Promise<void>;
};

export const ACCEPTED = '<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>';

async function openSink(): Promise<Sink> {
  const server: Server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    try {
      for await (const part of request) parts.push(part);
    } catch {
      // A body cut in the middle is one of the faults under test; nothing arrived.
      return;
    }
    const raw = Buffer.concat(parts).toString('utf8');
    const arrival = { headers: request.headers, raw, fields: fromXml(raw), url: request.url ?? '' };
    sink.arrivals.push(arrival);
    const answer: { status?: number; body: string; delay_ms?: number } = await sink.answer(arrival);
    if (answer.delay_ms) await new Promise((done) => setTimeout(done, answer.delay_ms));
    response.writeHead(answer.status ?? 200, { 'Content-Type': 'text/xml' }).end(answer.body);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const sink: Sink = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/notify`,
    arrivals: [],
    answer: () => ({ body: ACCEPTED }),
    close: () => {
      server.closeAllConnections();
      return new Promise((done) => server.close(() => done()));
    },
  };
  return sink;
}

export type Config = {
  base_url: string;
  tls_url: string;
  ca_pem: string;
  phone_url: string;
  official_account: { appid: string; secret: string };
  mini_program: { appid: string; secret: string };
  app: { appid: string; secret: string };
  other_accounts: { appid: string }[];
  merchants: {
    mch_id: string;
    appid: string;
    name: string;
    mode: string;
    products: string[];
    sub_mch_id?: string;
    sub_merchants?: { sub_mch_id: string; sub_appids: string[]; balance_fen: number }[];
    api_v2_key: string;
    api_v3_key: string;
    merchant_cert_pem: string;
    merchant_key_pem: string;
    merchant_cert_serial: string;
    merchant_p12_base64: string;
    platform_cert_pem: string;
    platform_cert_serial: string;
    platform_public_key_id: string;
    platform_public_key_pem: string;
  }[];
  users: { openid: string; nickname: string; balance_fen: number; openids: Record<string, string> }[];
  payment_directories: string[];
  oauth_domains: string[];
  now: string;
};

/** A notification as the control door tells it. */
export type NotificationTold = {
  notification_id: string;
  state: string;
  why: string;
  tries: number;
  made_at_ms: number;
  next_attempt_at: string | null;
  attempts: { copy: number; due_at_ms: number; accepted: boolean; status?: number; why: string }[];
};

/** A line of the log. */
export type LogTold = { log_id: number; code: string; why: string; request: string; answer: string };

type Purse = { openid: string; mch_id: string; sub_mch_id?: string; balance_fen: number };

/** What the control door's answers hold, all doors together; a test reads what its own door tells. */
export type Told = {
  code: string;
  message: string;
  why: string;
  now: string;
  now_ms: number;
  ahead_s: number;
  trade_state: string;
  out_trade_no: string;
  openid: string;
  transaction_id: string;
  time_end: string;
  released: number;
  paid_fen: number;
  refunded_fen: number;
  refund_fen: number;
  refund_id: string;
  state: string;
  refunds: { out_refund_no: string; state: string }[];
  orders: { out_trade_no: string }[];
  users: Purse[];
  merchants: Purse[];
  entries: LogTold[];
  notifications: NotificationTold[];
  attempts_now: unknown[];
  armed: Record<string, unknown>;
};

/** An order just placed: its request and what came back. */
export type Placed = {
  out_trade_no: string;
  prepay_id: string;
  code_url?: string;
  mweb_url?: string;
  fields: Fields;
};

export type World = Awaited<ReturnType<typeof openWorld>>;

/** A running simulator with its notify door, and the hands of one merchant, by default the first, and of a tester. */
export async function openWorld(options: SimulatorOptions = {}, mch_id = '1900000109') {
  const simulator: Simulator = await startSimulator(options);
  const sink = await openSink();
  const config = (await (await fetch(`${simulator.url}/_sim/config`)).json()) as Config;
  const merchant = config.merchants.find((m) => m.mch_id === mch_id);
  const [user, other, , poor] = config.users;
  if (!merchant || !user || !other || !poor) throw new Error('the demo world lacks its people');
  let count = 0;

  async function control(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: Told }> {
    const response = await fetch(`${simulator.url}/_sim/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Told };
  }

  /** Signs and posts a v2 message; `sign` and ids may be overridden to be wrong. */
  async function call(path: string, own: Fields, how: { sign_type?: SignType; key?: string } = {}) {
    const sign_type = how.sign_type ?? 'MD5';
    const fields: Fields = {
      appid: merchant?.appid ?? '',
      mch_id: merchant?.mch_id ?? '',
      nonce_str: `n${Math.random().toString(36).slice(2)}`,
      ...(sign_type === 'MD5' ? {} : { sign_type }),
      ...own,
    };
    fields.sign ??= sign(fields, how.key ?? merchant?.api_v2_key ?? '', sign_type);
    return raw(path, toXml(fields));
  }

  async function raw(path: string, body: string | Buffer, method = 'POST') {
    const response = await fetch(simulator.url + path, {
      method,
      ...(method === 'POST' ? { body: body as BodyInit, headers: { 'Content-Type': 'text/xml' } } : {}),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, fields: fromXml(text) };
  }

  const world = {
    simulator,
    url: simulator.url,
    config,
    merchant,
    user,
    other,
    poor,
    sink,
    control,
    call,
    raw,
    newNumber: () => {
      count += 1;
      return `ORDER${String(count).padStart(6, '0')}`;
    },
    /** The fields of an ordinary JSAPI order. */
    order: (own: Fields = {}): Fields => ({
      body: '柜台-苹果',
      out_trade_no: world.newNumber(),
      total_fee: '1288',
      spbill_create_ip: '14.23.150.211',
      notify_url: sink.url,
      trade_type: 'JSAPI',
      openid: user.openid,
      ...own,
    }),
    /** Places an order and expects it to be taken. */
    place: async (own: Fields = {}, how: { sign_type?: SignType } = {}): Promise<Placed> => {
      const fields = world.order(own);
      const answer = await call('/pay/unifiedorder', fields, how);
      if (answer.fields.result_code !== 'SUCCESS') throw new Error(answer.text);
      const { prepay_id = '', code_url, mweb_url } = answer.fields;
      return {
        out_trade_no: fields.out_trade_no ?? '',
        prepay_id,
        ...(code_url === undefined ? {} : { code_url }),
        ...(mweb_url === undefined ? {} : { mweb_url }),
        fields,
      };
    },
    pay: (body: Record<string, unknown>) => control('POST', 'pay', body),
    query: (out_trade_no: string) => call('/pay/orderquery', { out_trade_no }),
    advance: (advance_s: number) => control('POST', 'clock', { advance_s }),
    faults: (wanted: Record<string, unknown>) => control('PUT', 'faults', wanted),
    /** Waits until every notification that is due has been tried. */
    settle: () => simulator.platform.notifier.settle(),
    notification: async (out_trade_no: string): Promise<NotificationTold> => {
      const told = (await control('GET', `notifications?out_trade_no=${out_trade_no}`)).body.notifications.at(
        -1,
      );
      if (told === undefined) throw new Error(`no notification of ${out_trade_no}`);
      return told;
    },
    lastLog: async (): Promise<LogTold> => {
      const [last] = (await control('GET', 'log?limit=1')).body.entries;
      if (last === undefined) throw new Error('the log is empty');
      return last;
    },
    verifies: (fields: Fields, sign_type: SignType = 'MD5') =>
      fields.sign === sign(fields, merchant.api_v2_key, sign_type),
    close: async () => {
      await simulator.close();
      await sink.close();
    },
  };
  return world;
}
