// What is registered with the platform or given out by it: merchants, accounts, users, codes, tokens, and what stands in
// their consoles. Shapes alone; nothing here does anything.

import type { TradeType } from './records.ts';
import type { SignType } from './sign_v2.ts';

/** What a merchant may have opened: the ways of paying, and paying out. */
export type Product = TradeType | 'REDPACK';

export type Account = {
  appid: string;
  secret: string;
  token: string;
  encoding_aes_key: string;
  name: string;
  /** Absent means an official account. */
  kind?: 'mini_program' | 'app';
};

/** A merchant whom a service provider acts for: it signs nothing itself, the money is its own. */
export type SubMerchant = {
  sub_mch_id: string;
  name: string;
  /** Its own accounts, bound to it in the provider's console; none when the provider's account serves it. */
  sub_appids: string[];
  products: Product[];
  balance_fen: number;
};

export type Merchant = {
  mch_id: string;
  /** The appid the demo uses; `appids` holds every bound one. */
  appid: string;
  appids: string[];
  name: string;
  api_v2_key: string;
  api_v3_key: string;
  sign_type: SignType;
  products: Product[];
  balance_fen: number;
  modes: string[];
  /** Which of WeChat's identities this merchant has, and whether it has API v3 at all. */
  mode: MerchantMode;
  /** When `switching` becomes `public_key` by itself; absent: never. */
  switch_ends_at_ms?: number;
  /** Set in the console: where refunds are told that name no address themselves. */
  refund_notify_url: string;
  /** Set in the console: which hosts may lead to the H5 gate. Absent: the shop's own host. */
  h5_domains?: string[];
  /** The H5 gate compares the browser's address with the one the order was placed with. */
  h5_check_ip?: boolean;
  /** Set in the console: who is asked for a prepay_id when a NATIVE mode 1 code is scanned. */
  native_callback_url?: string;
  /** A service provider's merchants; absent for an ordinary merchant. */
  sub_merchants?: SubMerchant[];
};

/**
 * `v2` has no API v3; `certificate` knows the platform by certificates, `public_key` by its public key; `switching`
 * is the week in between, when both are in use.
 */
export type MerchantMode = 'v2' | 'certificate' | 'public_key' | 'switching';
export const MERCHANT_MODES: readonly MerchantMode[] = ['v2', 'certificate', 'public_key', 'switching'];

export type User = {
  /** Under the demo account; `openids` holds the one under every account. */
  openid: string;
  openids: Record<string, string>;
  nickname: string;
  unionid: string;
  is_subscribe: 'Y' | 'N';
  balance_fen: number;
};

export type OauthCode = {
  code: string;
  appid: string;
  openid: string;
  scope: string;
  dead_at_ms: number;
  used: boolean;
};

export type Token = {
  token: string;
  kind: 'basic' | 'stable' | 'web' | 'refresh' | 'ticket';
  appid: string;
  openid: string;
  scope: string;
  made_at_ms: number;
  dead_at_ms: number;
};

/** A template the demo account may send, with the fields it has. */
export type Template = {
  template_id: string;
  kind: 'template' | 'subscribe';
  title: string;
  fields: string[];
};

/** A message that a user of the account got. */
export type SentMessage = {
  msgid: string;
  kind: Template['kind'];
  appid: string;
  openid: string;
  template_id: string;
  client_msg_id: string;
  url: string;
  data: Record<string, string>;
  at_ms: number;
};

/** What is set and counted in the official account's console. */
export type Official = {
  /** Addresses that may ask for tokens; none means that nobody looks. */
  ip_whitelist: string[];
  /** Calls a day by path. */
  quotas: Record<string, number>;
  /** Calls made, by Beijing day, appid and path. */
  calls: Record<string, number>;
  /** 服务器配置: where messages are pushed; empty means the shop's own /api/wechat/server. */
  server_url: string;
  server_mode: 'plain' | 'compatible' | 'safe';
  templates: Template[];
  /** Openids that refuse subscription notices, or everything from the account. */
  refusing: string[];
  sent: SentMessage[];
};
