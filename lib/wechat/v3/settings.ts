/**
 * What one merchant brings to API v3, as text from a configuration, and the same with every key parsed once.
 * It refuses wrong keys when the client is made, not at the first payment, and never repeats a key in an error.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { TradeAccount } from '../types.ts';
import { apiV3Key } from './cipher.ts';
import { type PlatformCertificate, readCertificate, readPublicKey } from './platform_keys.ts';

export interface WechatPayV3Settings {
  /** The account's appid; in partner mode `sp_appid`. */
  appid: string;
  /** The merchant who signs; in partner mode `sp_mchid`. */
  mch_id: string;
  /** Partner mode: set `sub_mch_id`, and `sub_appid` where payers are known under the sub-merchant's account. */
  sub_mch_id?: string | undefined;
  sub_appid?: string | undefined;
  /** `apiclient_key.pem`. */
  merchant_private_key_pem: string;
  merchant_serial_no: string;
  /** 32 ASCII characters, set in the console. */
  api_v3_key: string;
  /** Platform certificates already at hand; missing ones are downloaded when first named. */
  platform_certificates?: readonly string[] | undefined;
  /** The WeChat Pay public key and its `PUB_KEY_ID_…`. With it every request asks for answers signed by it. */
  platform_public_key?: { id: string; pem: string } | undefined;
  /** Scheme and host only: `https://api.mch.weixin.qq.com`. */
  base_url: string;
  /** Longest wait for one whole answer; 10 s unless told. */
  timeout_ms?: number | undefined;
  /** Least time between two downloads of the platform's certificates; 10 minutes unless told. */
  certificate_refresh_interval_ms?: number | undefined;
  /** Hosts besides `base_url`'s own that may serve bill files, over https. */
  bill_hosts?: readonly string[] | undefined;
  /** Largest bill we read, in bytes of plain text; 1 GiB unless told. */
  max_bill_bytes?: number | undefined;
  user_agent?: string | undefined;
}

/** The settings with keys instead of text. */
export interface Merchant {
  appid: string;
  mch_id: string;
  partner: { sub_mch_id: string; sub_appid: string | undefined } | undefined;
  serial_no: string;
  private_key: KeyObject;
  api_v3_key: KeyObject;
  platform_certificates: readonly PlatformCertificate[];
  platform_public_key: { id: string; key: KeyObject } | undefined;
  /** Scheme and host, no slash at the end. */
  origin: string;
  timeout_ms: number;
  certificate_refresh_interval_ms: number;
  bill_hosts: readonly string[];
  max_bill_bytes: number;
  user_agent: string;
}

/** The same merchant speaking of another account's trades; throws `TypeError` when a number is malformed. */
export function withAccount(merchant: Merchant, account: TradeAccount): Merchant {
  return { ...merchant, appid: account.appid, partner: readAccount(account) };
}

const MERCHANT_NUMBER = /^[0-9A-Za-z_-]{1,32}$/;

/** Parses and checks; throws `TypeError` naming the setting. */
export function readSettings(settings: WechatPayV3Settings): Merchant {
  const { platform_public_key } = settings;
  if (!MERCHANT_NUMBER.test(settings.mch_id)) throw new TypeError('mch_id is malformed');
  if (!/^[0-9A-Fa-f]{8,64}$/.test(settings.merchant_serial_no)) {
    throw new TypeError('merchant_serial_no is not a hexadecimal serial number');
  }
  if (platform_public_key !== undefined && !/^PUB_KEY_ID_[0-9A-Za-z]{1,64}$/.test(platform_public_key.id)) {
    throw new TypeError('platform_public_key.id does not begin with PUB_KEY_ID_');
  }
  return {
    appid: settings.appid,
    mch_id: settings.mch_id,
    partner: readAccount(settings),
    serial_no: settings.merchant_serial_no.toUpperCase(),
    private_key: readPrivateKey(settings.merchant_private_key_pem),
    api_v3_key: apiV3Key(settings.api_v3_key),
    platform_certificates: (settings.platform_certificates ?? []).map(readCertificate),
    platform_public_key:
      platform_public_key === undefined
        ? undefined
        : { id: platform_public_key.id, key: readPublicKey(platform_public_key.pem) },
    origin: readOrigin(settings.base_url),
    timeout_ms: settings.timeout_ms ?? 10_000,
    certificate_refresh_interval_ms: settings.certificate_refresh_interval_ms ?? 600_000,
    bill_hosts: settings.bill_hosts ?? [],
    max_bill_bytes: settings.max_bill_bytes ?? 1024 ** 3,
    user_agent: settings.user_agent ?? 'Guitai (Node.js; WeChat Pay API v3)',
  };
}

function readAccount(account: {
  appid: string;
  sub_mch_id?: string | undefined;
  sub_appid?: string | undefined;
}): Merchant['partner'] {
  const { sub_mch_id, sub_appid } = account;
  for (const name of ['appid', 'sub_mch_id', 'sub_appid'] as const) {
    const value = account[name];
    if (value !== undefined && !MERCHANT_NUMBER.test(value)) throw new TypeError(`${name} is malformed`);
  }
  if (sub_appid !== undefined && sub_mch_id === undefined) {
    throw new TypeError('sub_appid needs sub_mch_id');
  }
  return sub_mch_id === undefined ? undefined : { sub_mch_id, sub_appid };
}

function readPrivateKey(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new TypeError('merchant_private_key_pem is not a private key in PEM', { cause });
  }
  if (key.asymmetricKeyType !== 'rsa') throw new TypeError('merchant_private_key_pem is not an RSA key');
  return key;
}

/** The path is part of what is signed, so a base address may not bring one of its own. */
function readOrigin(base_url: string): string {
  const url = URL.canParse(base_url) ? new URL(base_url) : undefined;
  const plain = url !== undefined && ['', '/'].includes(url.pathname) && `${url.search}${url.hash}` === '';
  if (!plain || !['http:', 'https:'].includes(url.protocol) || url.username !== '') {
    throw new TypeError('base_url is not an http(s) address of scheme and host only');
  }
  return url.origin;
}
