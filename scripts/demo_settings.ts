// The settings of a shop that talks to the simulator: addresses of this machine, the simulator's own demo merchant,
// and secrets made once per data folder. Never used for a shop that takes real money.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from './fault.ts';
import type { Environment } from './paths.ts';

/** What we read of the simulator's `/_sim/config`. */
export interface SimulatorConfig {
  official_account: {
    appid: string;
    secret: string;
    token: string;
    encoding_aes_key: string;
    templates: { template_id: string; kind: string }[];
  };
  payment_directories: string[];
  oauth_domains: string[];
  js_domains: string[];
  mini_program: { appid: string; secret: string };
  app: { appid: string };
  tls_url: string;
  ca_pem: string;
  merchants: {
    mch_id: string;
    appid: string;
    api_v2_key: string;
    api_v3_key: string;
    sign_type: string;
    merchant_cert_pem: string;
    merchant_key_pem: string;
    platform_public_key_id: string;
    platform_public_key_pem: string;
  }[];
}

export interface Addresses {
  database_url: string;
  public_url: string;
  simulator_url: string;
}

export function demoEnvironment(
  data_dir: string,
  { database_url, public_url, simulator_url }: Addresses,
  {
    official_account,
    mini_program,
    app,
    payment_directories,
    oauth_domains,
    js_domains,
    merchants,
    tls_url,
    ca_pem,
  }: SimulatorConfig,
): Environment {
  const merchant = merchants.find(({ appid }) => appid === official_account.appid);
  if (merchant === undefined) throw new Fault('The simulator has no merchant bound to its official account.');
  const { PORT: _, SIMULATOR_PORT: __, ...inherited } = process.env;
  return {
    ...inherited,
    NEXT_TELEMETRY_DISABLED: '1',
    DATABASE_URL: database_url,
    PUBLIC_URL: public_url,
    SESSION_PASSWORD: keptSecret(data_dir, 'session-password'),
    SHOP_NAME: process.env.SHOP_NAME ?? '柜台小店',
    // Everybody in a demo comes from this machine.
    ADDRESS_LIMIT_PER_MINUTE: process.env.ADDRESS_LIMIT_PER_MINUTE ?? '6000',
    WECHAT_APPID: official_account.appid,
    WECHAT_APP_SECRET: official_account.secret,
    WECHAT_MCH_ID: merchant.mch_id,
    WECHAT_PRODUCTS: 'JSAPI,NATIVE,MWEB,APP,MINIPROGRAM,MICROPAY,FACEPAY',
    RED_PACKET_DAILY_LIMIT_FEN: '50000',
    WECHAT_MINI_APPID: mini_program.appid,
    WECHAT_MINI_SECRET: mini_program.secret,
    WECHAT_APP_APPID: app.appid,
    APP_API_KEYS: process.env.APP_API_KEYS ?? `demo:${keptSecret(data_dir, 'app-api-key')}`,
    WECHAT_API_V2_KEY: merchant.api_v2_key,
    WECHAT_SIGN_TYPE: merchant.sign_type,
    WECHAT_API_V3_KEY: merchant.api_v3_key,
    WECHAT_MERCHANT_CERTIFICATE: merchant.merchant_cert_pem,
    WECHAT_MERCHANT_KEY: merchant.merchant_key_pem,
    WECHAT_PAY_PUBLIC_KEY_ID: merchant.platform_public_key_id,
    WECHAT_PAY_PUBLIC_KEY: merchant.platform_public_key_pem,
    WECHAT_PAY_BASE_URL: simulator_url,
    WECHAT_PAY_CERTIFICATE_BASE_URL: tls_url,
    WECHAT_PAY_CA: ca_pem,
    WECHAT_API_BASE_URL: simulator_url,
    WECHAT_OPEN_BASE_URL: simulator_url,
    WECHAT_SERVER_TOKEN: official_account.token,
    WECHAT_SERVER_AES_KEY: official_account.encoding_aes_key,
    WECHAT_JS_SDK_URL: `${simulator_url}/open/js/jweixin-1.6.0.js`,
    WECHAT_MESSAGE_TEMPLATE_ID: official_account.templates.find(({ kind }) => kind === 'template')
      ?.template_id,
    WECHAT_PAYMENT_DIRECTORIES: payment_directories.join(','),
    WECHAT_OAUTH_DOMAIN: oauth_domains[0],
    WECHAT_JS_DOMAINS: js_domains.join(','),
    GUITAI_ALLOW_SIMULATOR: 'yes',
    GUITAI_NO_REAL_MONEY: 'yes',
  };
}

/** Kept beside the database, so that a restart does not sign everybody out, or lock an APP's server out. */
function keptSecret(data_dir: string, name: string): string {
  const file = join(data_dir, name);
  if (!existsSync(file)) writeFileSync(file, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 });
  return readFileSync(file, 'utf8').trim();
}
