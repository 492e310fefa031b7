// The demo world: one service account, one merchant, four people, made from a seed so that they are the same on
// every machine. Nothing here is a real credential; all of it is public.

import { createHash } from 'node:crypto';
import { otherMerchants } from './demo_merchants.ts';
import type { Account, Merchant, MerchantMode, User } from './registers.ts';
import type { State } from './store.ts';

export const DEMO_SEED = 'guitai';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

export type DemoOptions = {
  seed: string;
  shop_origin: string;
  payment_directories?: string[] | undefined;
  oauth_domains?: string[] | undefined;
  js_domains?: string[] | undefined;
  merchant_mode?: MerchantMode | undefined;
  refund_notify_url?: string | undefined;
};

/** A whole fresh state: accounts, merchant, users with balances, nothing bought yet. */
export function demoState(options: DemoOptions): State {
  const draw = (what: string, alphabet: string, length: number) =>
    drawn(options.seed, what, alphabet, length);
  const account = (what: string, name: string, kind?: Account['kind']): Account => ({
    appid: `wx${draw(`${what} appid`, '0123456789abcdef', 16)}`,
    secret: draw(`${what} secret`, '0123456789abcdef', 32),
    token: draw(`${what} token`, BASE62, 24),
    encoding_aes_key: `${draw(`${what} aes`, BASE62, 42)}A`,
    name,
    ...(kind === undefined ? {} : { kind }),
  });
  const shop = account('account', '柜台演示服务号');
  const stranger = account('stranger', '另一个公众号（未与商户绑定）');
  const mini = account('mini program', '柜台演示小程序', 'mini_program');
  const app = account('app', '柜台演示 App', 'app');
  const others = otherMerchants(draw, account, shop.appid, [mini.appid, app.appid]);
  const accounts = [shop, stranger, mini, app, ...others.accounts];
  const merchant: Merchant = {
    mch_id: '1900000109',
    appid: shop.appid,
    appids: [shop.appid, mini.appid, app.appid],
    name: '柜台演示商户',
    api_v2_key: draw('v2 key', BASE62, 32),
    api_v3_key: draw('v3 key', BASE62, 32),
    sign_type: 'HMAC-SHA256',
    products: ['JSAPI', 'NATIVE', 'MWEB', 'APP', 'MICROPAY', 'FACEPAY', 'REDPACK'],
    balance_fen: 0,
    modes: ['merchant'],
    mode: options.merchant_mode ?? 'public_key',
    refund_notify_url: options.refund_notify_url ?? '',
  };
  const person = (nickname: string, balance_fen: number, is_subscribe: 'Y' | 'N'): User => {
    const openid = (appid: string) => `o${draw(`${nickname} ${appid}`, BASE62, 27)}`;
    return {
      openid: openid(shop.appid),
      openids: Object.fromEntries(accounts.map(({ appid }) => [appid, openid(appid)])),
      nickname,
      unionid: `o${draw(`${nickname} unionid`, BASE62, 27)}`,
      is_subscribe,
      balance_fen,
    };
  };
  return {
    layout: 1,
    clock_offset_ms: 0,
    drawn: 0,
    next_number: 0,
    accounts,
    merchants: [merchant, ...others.merchants],
    users: [
      person('小明', 100_000_000, 'Y'),
      person('李雷', 5_000_000, 'Y'),
      person('韩梅梅', 200_000, 'N'),
      person('月光族', 0, 'N'),
    ],
    ...shopSettings(options.shop_origin, options),
    orders: {},
    refunds: {},
    notifications: {},
    ledger: [],
    payment_codes: {},
    red_packets: {},
    short_urls: {},
    oauth_codes: {},
    tokens: {},
    official: {
      ip_whitelist: [],
      quotas: {
        '/cgi-bin/token': 2_000,
        '/cgi-bin/stable_token': 500_000,
        '/cgi-bin/ticket/getticket': 1_000_000,
        '/cgi-bin/message/template/send': 100_000,
        '/cgi-bin/message/subscribe/bizsend': 100_000,
      },
      calls: {},
      server_url: '',
      server_mode: 'safe',
      templates: (['template', 'subscribe'] as const).map((kind) => ({
        template_id: draw(`${kind} template`, BASE62, 43),
        kind,
        title: '订单支付成功通知',
        fields: ['character_string1', 'thing2', 'amount3', 'time4'],
      })),
      refusing: [],
      sent: [],
    },
  };
}

/** What stands in the consoles of a shop; what is not named is registered as the shop at `shop_origin` needs it. */
export type ShopSettings = Pick<
  State,
  'shop_origin' | 'payment_directories' | 'oauth_domains' | 'js_domains'
>;

export function shopSettings(
  shop_origin: string,
  named: { [Name in keyof ShopSettings]?: ShopSettings[Name] | undefined } = {},
): ShopSettings {
  const hosts = shop_origin === '' ? ['127.0.0.1', 'localhost'] : [new URL(shop_origin).host];
  return {
    shop_origin,
    payment_directories: named.payment_directories ?? (shop_origin === '' ? [] : [`${shop_origin}/pay/`]),
    oauth_domains: named.oauth_domains ?? hosts,
    js_domains: named.js_domains ?? hosts,
  };
}

function drawn(seed: string, what: string, alphabet: string, length: number): string {
  const bytes: number[] = [];
  for (let block = 0; bytes.length < length; block += 1) {
    bytes.push(...createHash('sha256').update(`${seed}|${what}|${block}`).digest());
  }
  return Array.from(bytes.slice(0, length), (b) => alphabet[b % alphabet.length]).join('');
}
