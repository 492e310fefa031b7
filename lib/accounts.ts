/**
 * The merchant's account over each API version and sign type it may have trades in: made once, keys parsed once. New
 * trades use the configured one; old trades finish over what they began with.
 */
import { X509Certificate } from 'node:crypto';
import type { Config } from './config.ts';
import {
  createWechatPayV2,
  createWechatPayV3,
  type Ports,
  type SignType,
  type WechatPay,
} from './wechat/index.ts';

export interface Spoken {
  api_version: string;
  sign_type: string;
}

/** A trade's own columns: how it speaks, and whose it is. */
export interface TradeSpeech extends Spoken {
  appid: string;
  sub_mch_id: string | null;
  sub_appid: string | null;
}

/** The columns a query selects to be able to speak of a trade. */
export const speechColumns = {
  api_version: true,
  sign_type: true,
  appid: true,
  sub_mch_id: true,
  sub_appid: true,
} as const;

/** v3 knows one way of signing. */
export const v3SignType: SignType = 'WECHATPAY2-SHA256-RSA2048';

export interface Accounts {
  /** The configured merchant over the configured version; in partner mode the provider, for all its sub-merchants. */
  pay: WechatPay;
  /** The account a trade was placed with; throws when its keys are not configured any more. */
  payFor: (trade: TradeSpeech) => WechatPay;
  /** The configured merchant over a version and sign type of which there are trades. */
  payOver: (spoken: Spoken) => WechatPay;
  /**
   * What a new trade is placed with, for a payer known under `payer_appid` and, in partner mode, for a sub-merchant.
   */
  payAs: (payer_appid: string, sub_mch_id: string | null) => WechatPay;
}

export function createAccounts(config: Config, ports: Ports): Accounts {
  const made = new Map<string, WechatPay>();
  const payOver = ({ api_version, sign_type }: Spoken): WechatPay => {
    const key = `${api_version} ${sign_type}`;
    const account = made.get(key) ?? make(config, ports, { api_version, sign_type });
    made.set(key, account);
    return account;
  };
  const sign_type = config.WECHAT_API_VERSION === 'v3' ? v3SignType : config.WECHAT_SIGN_TYPE;
  const pay = payOver({ api_version: config.WECHAT_API_VERSION, sign_type });

  const accounts = new Map<string, WechatPay>();
  const payFor = ({ appid, sub_mch_id, sub_appid, ...spoken }: TradeSpeech): WechatPay => {
    const { api_version, sign_type } = spoken;
    const key = JSON.stringify([api_version, sign_type, appid, sub_mch_id, sub_appid]);
    const account =
      accounts.get(key) ??
      payOver(spoken).forAccount({
        appid,
        ...(sub_mch_id === null ? {} : { sub_mch_id }),
        ...(sub_appid === null ? {} : { sub_appid }),
      });
    accounts.set(key, account);
    return account;
  };
  const payAs = (payer_appid: string, sub_mch_id: string | null): WechatPay => {
    const provider = sub_mch_id === null ? undefined : config.WECHAT_SP_APPID;
    return payFor({
      api_version: pay.api_version,
      sign_type: pay.sign_type,
      appid: provider ?? payer_appid,
      sub_mch_id,
      sub_appid: provider === undefined ? null : payer_appid,
    });
  };
  return { pay, payFor, payOver, payAs };
}

function make(config: Config, ports: Ports, { api_version, sign_type }: Spoken): WechatPay {
  const certificate = config.WECHAT_MERCHANT_CERTIFICATE;
  const key = config.WECHAT_MERCHANT_KEY;
  const common = {
    appid: config.WECHAT_SP_APPID ?? config.WECHAT_APPID,
    mch_id: config.WECHAT_MCH_ID,
    base_url: config.WECHAT_PAY_BASE_URL,
    timeout_ms: config.WECHAT_TIMEOUT_MS,
  };
  if (api_version === 'v2' && (sign_type === 'MD5' || sign_type === 'HMAC-SHA256')) {
    if (config.WECHAT_API_V2_KEY === undefined) throw missing('WECHAT_API_V2_KEY', api_version);
    return createWechatPayV2(
      {
        ...common,
        api_v2_key: config.WECHAT_API_V2_KEY,
        sign_type,
        ...(config.WECHAT_PAY_CERTIFICATE_BASE_URL === undefined
          ? {}
          : { certificate_base_url: config.WECHAT_PAY_CERTIFICATE_BASE_URL }),
        ...(certificate === undefined || key === undefined
          ? {}
          : {
              client_certificate: {
                cert_pem: certificate,
                key_pem: key,
                ...(config.WECHAT_PAY_CA === undefined ? {} : { ca_pem: config.WECHAT_PAY_CA }),
              },
            }),
      },
      ports,
    );
  }
  if (api_version !== 'v3') throw new Error(`no trade is placed over ${api_version} ${sign_type}`);
  if (config.WECHAT_API_V3_KEY === undefined) throw missing('WECHAT_API_V3_KEY', api_version);
  if (certificate === undefined) throw missing('WECHAT_MERCHANT_CERTIFICATE', api_version);
  if (key === undefined) throw missing('WECHAT_MERCHANT_KEY', api_version);
  const { WECHAT_PAY_PUBLIC_KEY_ID: id, WECHAT_PAY_PUBLIC_KEY: public_key } = config;
  return createWechatPayV3(
    {
      ...common,
      api_v3_key: config.WECHAT_API_V3_KEY,
      merchant_private_key_pem: key,
      merchant_serial_no: new X509Certificate(certificate).serialNumber,
      platform_certificates:
        config.WECHAT_PLATFORM_CERTIFICATES?.match(
          /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g,
        ) ?? [],
      platform_public_key: id === undefined || public_key === undefined ? undefined : { id, pem: public_key },
    },
    ports,
  );
}

function missing(setting: string, api_version: string): Error {
  return new Error(`${setting} is not set, but there are trades that speak API ${api_version}`);
}
