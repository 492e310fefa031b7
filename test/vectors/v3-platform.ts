/**
 * A platform of a few lines for tests of the client: it signs and seals with wechatpay-axios-plugin, not with the
 * code under test, and answers each request from a list of replies. It keeps no state of orders.
 */
import { createPrivateKey, createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import { Aes, Formatter, Rsa } from 'wechatpay-axios-plugin';
import { createWechatPayV3, type WechatPayV3 } from '../../lib/wechat/v3/client.ts';
import type { WechatPayV3Settings } from '../../lib/wechat/v3/settings.ts';
import { CERTIFICATE_A, CERTIFICATE_B, STRANGER_KEY_PEM } from './v3-platform-keys.ts';
import { MERCHANT_KEY_PEM, PLATFORM_KEY_PEM, PLATFORM_PUBLIC_KEY_PEM } from './v3-published.ts';

export const PUBLIC_KEY_ID = 'PUB_KEY_ID_0119000072912026091000000000000001';
export const API_V3_KEY = 'a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb';
export const MCH_ID = '1900007291';
export const APPID = 'wxd678efh567hg6787';
export const NOW = new Date('2026-09-10T08:26:40+08:00');
export const ORIGIN = 'http://platform.test';

const merchant_public_key = createPublicKey(MERCHANT_KEY_PEM);

/** A name to sign under and the key to do it with; usually they belong together. */
export interface PlatformSigner {
  serial: string;
  key: KeyObject;
}

export const signers = {
  public_key: { serial: PUBLIC_KEY_ID, key: createPrivateKey(PLATFORM_KEY_PEM) },
  a: { serial: CERTIFICATE_A.serial, key: createPrivateKey(CERTIFICATE_A.private_key_pem) },
  b: { serial: CERTIFICATE_B.serial, key: createPrivateKey(CERTIFICATE_B.private_key_pem) },
  stranger: { serial: 'FFFF0123456789ABCDEF0123456789ABCDEF0123', key: createPrivateKey(STRANGER_KEY_PEM) },
} satisfies Record<string, PlatformSigner>;

/** The platform's five headers over a body. */
export function signedHeaders(
  body: string,
  signer: PlatformSigner = signers.public_key,
  at: Date = NOW,
): Record<string, string> {
  const timestamp = String(Math.floor(at.getTime() / 1000));
  const nonce = randomBytes(16).toString('hex');
  return {
    'Wechatpay-Serial': signer.serial,
    'Wechatpay-Timestamp': timestamp,
    'Wechatpay-Nonce': nonce,
    'Wechatpay-Signature': Rsa.sign(Formatter.response(timestamp, nonce, body), signer.key),
    'Wechatpay-Signature-Type': 'WECHATPAY2-SHA256-RSA2048',
  };
}

/** A resource sealed with the APIv3 key. */
export function sealed(plaintext: string, associated_data: string, key = API_V3_KEY) {
  const nonce = randomBytes(6).toString('hex');
  return {
    algorithm: 'AEAD_AES_256_GCM',
    ciphertext: Aes.AesGcm.encrypt(plaintext, key, nonce, associated_data),
    associated_data,
    nonce,
  };
}

/** `/v3/certificates`' answer for these certificates. */
export function certificateList(
  certificates: readonly { serial: string; pem: string }[],
  dates = { effective_time: '2026-01-01T00:00:00+08:00', expire_time: '2030-12-31T00:00:00+08:00' },
): string {
  return JSON.stringify({
    data: certificates.map(({ serial, pem }) => ({
      serial_no: serial,
      ...dates,
      encrypt_certificate: sealed(pem, 'certificate'),
    })),
  });
}

export interface SeenRequest {
  method: string;
  url: URL;
  body: string;
  headers: Headers;
}

export type Reply = (request: SeenRequest) => Response | Promise<Response>;

/** A signed answer; an object is sent as JSON, a string as it is. */
export function reply(status: number, body: object | string = '', signer?: PlatformSigner, at?: Date): Reply {
  return () => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return new Response(text === '' ? null : text, { status, headers: signedHeaders(text, signer, at) });
  };
}

/** What a gateway says: no signature. */
export function unsignedReply(status: number, body = ''): Reply {
  return () => new Response(body === '' ? null : body, { status });
}

/** The line fails, before or after the platform acted. */
export function lostReply(): Reply {
  return () => {
    throw new TypeError('fetch failed', { cause: new Error('ECONNRESET') });
  };
}

export interface Platform {
  pay: WechatPayV3;
  seen: SeenRequest[];
  clock: { now: Date };
}

/**
 * A client whose every request is checked as WeChat would check it (signature over the raw path and body) and then
 * answered by the next of `replies`; certificates have a reply of their own.
 */
export function platform(
  replies: Reply[],
  { certificates, settings = {} }: { certificates?: Reply; settings?: Partial<WechatPayV3Settings> } = {},
): Platform {
  const seen: SeenRequest[] = [];
  const clock = { now: NOW };
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const request = {
      method: init?.method ?? 'GET',
      url: new URL(String(input)),
      body: String(init?.body ?? ''),
      headers: new Headers(init?.headers),
    };
    seen.push(request);
    checkAuthorization(request);
    if (init?.redirect !== 'manual') throw new Error('a redirect would be followed');
    const next = request.url.pathname === '/v3/certificates' ? certificates : replies.shift();
    if (next === undefined) throw new Error(`no reply left for ${request.method} ${request.url.pathname}`);
    return next(request);
  };
  const pay = createWechatPayV3(
    {
      appid: APPID,
      mch_id: MCH_ID,
      merchant_private_key_pem: MERCHANT_KEY_PEM,
      merchant_serial_no: '408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB',
      api_v3_key: API_V3_KEY,
      platform_public_key: { id: PUBLIC_KEY_ID, pem: PLATFORM_PUBLIC_KEY_PEM },
      base_url: ORIGIN,
      timeout_ms: 200,
      ...settings,
    },
    {
      fetch,
      now: () => clock.now,
      nonce: (length = 32) => randomBytes(length).toString('hex').slice(0, length),
    },
  );
  return { pay, seen, clock };
}

function checkAuthorization({ method, url, body, headers }: SeenRequest): void {
  const value = headers.get('authorization') ?? '';
  const fields = Object.fromEntries(
    [...value.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, content]) => [name, content]),
  );
  const { timestamp = '', nonce_str = '', signature = '', mchid } = fields;
  const text = Formatter.request(method, `${url.pathname}${url.search}`, Number(timestamp), nonce_str, body);
  if (!value.startsWith('WECHATPAY2-SHA256-RSA2048 ') || mchid !== MCH_ID) {
    throw new Error('SIGN_ERROR: the header is malformed');
  }
  if (!Rsa.verify(text, signature, merchant_public_key))
    throw new Error('SIGN_ERROR: the signature is wrong');
}
