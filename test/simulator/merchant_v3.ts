// A merchant's hand for API v3, written from the rule alone with node:crypto: signs requests, verifies what comes
// back, opens what is sealed.

import { createDecipheriv, createPublicKey, sign, verify, X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SimulatorOptions } from '../../simulator/server.ts';
import { openWorld, type World } from './world.ts';

export type Answered = { status: number; headers: Headers; text: string; body: Record<string, unknown> };
export type Wrong = {
  authorization?: string;
  timestamp?: string;
  serial_no?: string;
  mchid?: string;
  signed?: string;
};

/** Who signed this: 'certificate', 'public_key', or nobody we know. */
export function signer(
  w: World,
  headers: Headers,
  body: string,
): 'certificate' | 'public_key' | 'unsigned' | 'wrong' {
  const serial = headers.get('wechatpay-serial');
  const signature = headers.get('wechatpay-signature');
  if (serial === null || signature === null) return 'unsigned';
  const message = `${headers.get('wechatpay-timestamp')}\n${headers.get('wechatpay-nonce')}\n${body}\n`;
  const { merchant } = w;
  const by_key = serial === merchant.platform_public_key_id;
  if (!by_key && serial !== merchant.platform_cert_serial) return 'wrong';
  const key = by_key
    ? createPublicKey(merchant.platform_public_key_pem)
    : new X509Certificate(merchant.platform_cert_pem).publicKey;
  if (!verify('sha256', Buffer.from(message), key, Buffer.from(signature, 'base64'))) return 'wrong';
  return by_key ? 'public_key' : 'certificate';
}

/** Opens an AEAD_AES_256_GCM resource. */
export function openSealed(
  w: World,
  r: { ciphertext: string; nonce: string; associated_data: string },
): string {
  const bytes = Buffer.from(r.ciphertext, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', w.merchant.api_v3_key, r.nonce);
  decipher.setAuthTag(bytes.subarray(-16)).setAAD(Buffer.from(r.associated_data));
  return Buffer.concat([decipher.update(bytes.subarray(0, -16)), decipher.final()]).toString('utf8');
}

export type WorldV3 = Awaited<ReturnType<typeof openWorldV3>>;

/** A world and the v3 hand in it. */
export async function openWorldV3(options: SimulatorOptions = {}, mch_id?: string) {
  const w = await openWorld(options, mch_id);
  w.sink.answer = () => ({ status: 204, body: '' });

  async function call(
    method: 'GET' | 'POST' | 'PUT',
    target: string,
    value?: unknown,
    headers: Record<string, string> = {},
    wrong: Wrong = {},
  ): Promise<Answered> {
    const text = value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
    const timestamp = wrong.timestamp ?? String(Math.floor(Date.now() / 1000));
    const nonce = 'N0123456789abcdef0123456789abcde';
    const message = wrong.signed ?? `${method}\n${target}\n${timestamp}\n${nonce}\n${text}\n`;
    const signature = sign('sha256', Buffer.from(message), w.merchant.merchant_key_pem).toString('base64');
    const serial_no = wrong.serial_no ?? w.merchant.merchant_cert_serial;
    const mchid = wrong.mchid ?? w.merchant.mch_id;
    const authorization =
      wrong.authorization ??
      `WECHATPAY2-SHA256-RSA2048 mchid="${mchid}",nonce_str="${nonce}",signature="${signature}",timestamp="${timestamp}",serial_no="${serial_no}"`;
    const response = await fetch(w.url + target, {
      method,
      headers: {
        Accept: 'application/json',
        'User-Agent': 'test',
        ...(authorization === '' ? {} : { Authorization: authorization }),
        ...(text === '' ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(text === '' ? {} : { body: text }),
    });
    const answer = await response.text();
    const json = response.headers.get('content-type')?.startsWith('application/json') ?? false;
    return {
      status: response.status,
      headers: response.headers,
      text: answer,
      body: json && answer !== '' ? JSON.parse(answer) : {},
    };
  }

  const order = (own: Record<string, unknown> = {}) => ({
    appid: w.merchant.appid,
    mchid: w.merchant.mch_id,
    description: '柜台-苹果',
    out_trade_no: w.newNumber(),
    notify_url: w.sink.url,
    amount: { total: 1288, currency: 'CNY' },
    payer: { openid: w.user.openid },
    ...own,
  });

  return {
    ...w,
    call3: call,
    order3: order,
    signer: (a: Answered) => signer(w, a.headers, a.text),
    /** A JSAPI order taken over v3. */
    place3: async (own: Record<string, unknown> = {}) => {
      const body = order(own);
      const answer = await call('POST', '/v3/pay/transactions/jsapi', body);
      if (answer.status !== 200) throw new Error(answer.text);
      return { ...body, prepay_id: String(answer.body.prepay_id) };
    },
    query3: (out_trade_no: string) =>
      call('GET', `/v3/pay/transactions/out-trade-no/${out_trade_no}?mchid=${w.merchant.mch_id}`),
    mode: (mode: string) => w.control('PUT', 'merchant', { mode }),
    /** Waits for `count` notifications on the wall clock. */
    arrivals: async (count: number) => {
      for (let i = 0; w.sink.arrivals.length < count && i < 100; i += 1) await sleep(20);
      return w.sink.arrivals;
    },
  };
}
