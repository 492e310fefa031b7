// API v2 signatures, on a third party's primitives, so that this side and the client are two witnesses who
// never met. It refuses a signature of another length or another case.

import { Hash } from 'wechatpay-axios-plugin';
import type { Fields } from './xml.ts';

export type SignType = 'MD5' | 'HMAC-SHA256';

/** The upper-case signature over every non-empty field but `sign`. */
export function signV2(fields: Fields, sign_type: SignType, api_v2_key: string): string {
  return Hash.sign(sign_type, { ...fields }, api_v2_key);
}

/** The same message with its signature added. */
export function signedV2(fields: Fields, sign_type: SignType, api_v2_key: string): Fields {
  return { ...fields, sign: signV2(fields, sign_type, api_v2_key) };
}

/** Whether `fields.sign` is the signature of the rest, compared in constant time. */
export function verifiesV2(fields: Fields, sign_type: SignType, api_v2_key: string): boolean {
  return Hash.equals(signV2(fields, sign_type, api_v2_key), fields.sign ?? '');
}

/** A signature that is wrong in its first character only, as the hardest kind to notice. */
export function spoiled(sign: string): string {
  return (sign.startsWith('0') ? '1' : '0') + sign.slice(1);
}
