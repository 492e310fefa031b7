/**
 * Decides whether the platform signed a message, an answer or a notification, over its raw bytes. It fails closed:
 * anything missing, odd, old, early or signed by a key we do not hold is a refusal with a reason, never an exception
 * and never "probably fine".
 */
import { type KeyObject, verify } from 'node:crypto';
import { SCHEME } from './authorization.ts';

/** Both sides of our clock. WeChat's Java and Go libraries refuse at exactly this distance too. */
export const CLOCK_WINDOW_MS = 300_000;

/** The platform now and then signs wrongly on purpose, to see who verifies (签名探测流量). */
export const PROBE_PREFIX = 'WECHATPAY/SIGNTEST/';

export type Refusal = 'unsigned' | 'bad_signature' | 'stale' | 'unknown_serial' | 'probe';

export type Verification = { verdict: 'verified'; serial: string } | { verdict: Refusal; reason: string };

/** The platform's public key of that name, if we hold it and it is in its validity. */
export type FindPlatformKey = (serial: string) => Promise<KeyObject | undefined>;

const SIGNATURE_HEADERS = ['serial', 'timestamp', 'nonce', 'signature'].map((name) => `wechatpay-${name}`);
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Whether a message claims no signature at all, as gateway errors and bill files do. */
export function isUnsigned(headers: Headers): boolean {
  return SIGNATURE_HEADERS.every((name) => !headers.has(name));
}

/** The signed bytes: timestamp, nonce and raw body, each ended by a line feed; an empty body is an empty line. */
export function signedBytes(timestamp: string, nonce: string, body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${timestamp}\n${nonce}\n`), body, Buffer.from('\n')]);
}

/**
 * Verifies one message. The key is looked up last of all cheap checks, because a lookup may cost a download.
 *
 * @param body the bytes as they arrived, before any parser
 */
export async function verifyMessage(
  headers: Headers,
  body: Uint8Array,
  find: FindPlatformKey,
  now: Date,
): Promise<Verification> {
  if (isUnsigned(headers)) return { verdict: 'unsigned', reason: 'no Wechatpay-* signature headers' };
  const [serial, timestamp, nonce, signature] = SIGNATURE_HEADERS.map((name) => headers.get(name) ?? '');
  if (!serial || !timestamp || !nonce || !signature) {
    return { verdict: 'bad_signature', reason: 'a signature header is missing' };
  }
  if (signature.startsWith(PROBE_PREFIX)) {
    return { verdict: 'probe', reason: 'a deliberately wrong signature of the platform' };
  }
  // Absent in old traffic; another algorithm is never accepted.
  if ((headers.get('wechatpay-signature-type') ?? SCHEME) !== SCHEME) {
    return { verdict: 'bad_signature', reason: 'another signature type' };
  }
  if (!/^\d{1,12}$/.test(timestamp) || !/^[\x21-\x7e]{1,128}$/.test(nonce)) {
    return { verdict: 'bad_signature', reason: 'timestamp or nonce is malformed' };
  }
  if (Math.abs(now.getTime() - Number(timestamp) * 1000) >= CLOCK_WINDOW_MS) {
    return { verdict: 'stale', reason: `signed at ${timestamp}, five minutes or more from our clock` };
  }
  if (!BASE64.test(signature)) return { verdict: 'bad_signature', reason: 'the signature is not Base64' };
  const key = await find(serial);
  if (key === undefined)
    return { verdict: 'unknown_serial', reason: `no valid platform key ${printable(serial)}` };
  const genuine = verify(
    'RSA-SHA256',
    signedBytes(timestamp, nonce, body),
    key,
    Buffer.from(signature, 'base64'),
  );
  if (!genuine) return { verdict: 'bad_signature', reason: `the signature does not fit key ${serial}` };
  return { verdict: 'verified', serial };
}

/** A stranger's header, fit for an error message. */
function printable(text: string): string {
  return text.replace(/[^\x21-\x7e]/g, '?').slice(0, 80);
}
