// API v3 signatures and encryption on a third party's primitives, and the choice of the identity the platform signs
// with. It refuses nothing itself: it only says whether a signature fits.

import { createPublicKey } from 'node:crypto';
import { Aes, Rsa } from 'wechatpay-axios-plugin';
import type { Platform } from './platform.ts';
import type { Merchant } from './registers.ts';

export const SCHEME = 'WECHATPAY2-SHA256-RSA2048';
export const PROBE_PREFIX = 'WECHATPAY/SIGNTEST/';

/** What the platform signs with: a serial of 40 hex digits, or a PUB_KEY_ID. */
export type Identity = { serial: string; key: 'platform' | 'platform public key' };

/** The id of a merchant's WeChat Pay public key. It is no hexadecimal number. */
export function publicKeyId(mch_id: string): string {
  return `PUB_KEY_ID_0${mch_id}2024010100000000000000000000`;
}

export function platformCertificate(platform: Platform) {
  return platform.keyring.certificate('platform', 'Tenpay.com sign platform');
}

export function merchantCertificate(platform: Platform, mch_id: string) {
  return platform.keyring.certificate(`merchant ${mch_id}`, mch_id, 'client');
}

/** The identity for one message, by the merchant's mode; `wants_key` is what decides while it is switching. */
export function identityFor(platform: Platform, merchant: Merchant, wants_key: boolean): Identity {
  const by_key = merchant.mode === 'public_key' || (merchant.mode === 'switching' && wants_key);
  return by_key
    ? { serial: publicKeyId(merchant.mch_id), key: 'platform public key' }
    : { serial: platformCertificate(platform).serial, key: 'platform' };
}

/** The four headers over `body`. Their time is the wall clock's, as a merchant's own is. */
export function signatureHeaders(
  platform: Platform,
  identity: Identity,
  nonce: string,
  body: string,
  at_s = Math.floor(Date.now() / 1000),
): Record<string, string> {
  const key_pem = platform.keyring.key(identity.key).export({ type: 'pkcs8', format: 'pem' }).toString();
  return {
    'Wechatpay-Nonce': nonce,
    'Wechatpay-Signature': Rsa.sign(`${at_s}\n${nonce}\n${body}\n`, key_pem),
    'Wechatpay-Timestamp': String(at_s),
    'Wechatpay-Serial': identity.serial,
    'Wechatpay-Signature-Type': SCHEME,
  };
}

/** Whether a merchant's own key made this signature. */
export function merchantSigned(
  platform: Platform,
  mch_id: string,
  message: string,
  signature: string,
): boolean {
  const key = createPublicKey(platform.keyring.key(`merchant ${mch_id}`));
  return Rsa.verify(message, signature, key);
}

/** AEAD_AES_256_GCM in Base64, the tag behind the text. */
export function sealed(text: string, api_v3_key: string, nonce: string, associated_data: string): string {
  return Aes.AesGcm.encrypt(text, api_v3_key, nonce, associated_data);
}

/** A deliberately wrong signature, as the platform sends to see whether merchants look. */
export function probe(signature: string): string {
  return PROBE_PREFIX + signature.slice(0, 336);
}
