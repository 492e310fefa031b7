/**
 * API v2's signature: every parameter but `sign`, empty ones dropped, sorted by name, joined raw, the API key at the
 * end. Knows nothing of XML or of what a field means.
 *
 * Source: WeChat Pay v2, 安全规范 / 签名算法.
 */
import { createHmac, hash, timingSafeEqual } from 'node:crypto';

export type SignTypeV2 = 'MD5' | 'HMAC-SHA256';

/**
 * The string that is signed, without the key. An empty value counts as absent; `sign_type` takes part like any other.
 *
 * Values are not escaped, so a value with `&` in it can be read as two fields. Whoever acts on a verified message has
 * to check its fields as well; `v2/fields.ts` does.
 */
export function canonicalString(fields: Readonly<Record<string, string>>): string {
  let canonical = '';
  for (const name of Object.keys(fields).sort()) {
    const value = fields[name];
    if (name === 'sign' || value === undefined || value === '') continue;
    canonical += canonical === '' ? `${name}=${value}` : `&${name}=${value}`;
  }
  return canonical;
}

/** The signature: 32 upper-case hex digits for MD5, 64 for HMAC-SHA256 (there the key stands twice: in the text and as HMAC key). */
export function signV2(
  fields: Readonly<Record<string, string>>,
  api_v2_key: string,
  sign_type: SignTypeV2,
): string {
  const text = `${canonicalString(fields)}&key=${api_v2_key}`;
  const digest =
    sign_type === 'MD5'
      ? hash('md5', text, 'hex')
      : createHmac('sha256', api_v2_key).update(text).digest('hex');
  return digest.toUpperCase();
}

/** True only when `fields.sign` is this key's signature of all the others. No sign, or one of another length, is false. */
export function verifyV2(
  fields: Readonly<Record<string, string>>,
  api_v2_key: string,
  sign_type: SignTypeV2,
): boolean {
  const given = Buffer.from(fields.sign ?? '');
  const expected = Buffer.from(signV2(fields, api_v2_key, sign_type));
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** The algorithm a signature's length tells, for messages that do not name it; undefined for any other length. */
export function signTypeOfLength(sign: string | undefined): SignTypeV2 | undefined {
  if (sign?.length === 32) return 'MD5';
  if (sign?.length === 64) return 'HMAC-SHA256';
  return undefined;
}
