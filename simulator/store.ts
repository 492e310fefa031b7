// Everything the platform remembers: merchants, accounts, users, orders, payments, notifications, tokens, ledger.
// One plain object, kept in a file when asked, written whole to a neighbour and renamed; it refuses a file of
// another layout.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { SignType } from './sign_v2.ts';

export type TradeType = 'JSAPI' | 'NATIVE' | 'MWEB' | 'APP' | 'MICROPAY' | 'FACEPAY';
/** What a merchant may have opened: the ways of paying, and paying out. */
export type Product = TradeType | 'REDPACK';
export type TradeState = 'NOTPAY' | 'SUCCESS' | 'CLOSED' | 'REFUND' | 'USERPAYING' | 'PAYERROR' | 'REVOKED';

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

export type Prepay = {
  prepay_id: string;
  code_url?: string;
  h5_url?: string;
  made_at_ms: number;
  dead_at_ms: number;
};

/** An 18-digit payment code on a payer's phone, or a face_code of a payer's face. */
export type PaymentCode = {
  code: string;
  kind: 'MICROPAY' | 'FACEPAY';
  /** The user's openid under the demo account. */
  openid: string;
  /** Whether the password is asked for; undefined: by the amount. */
  password?: boolean;
  /** Only this merchant may charge it, after it asked for the openid. */
  bound_to?: string;
  used: boolean;
  made_at_ms: number;
  dead_at_ms: number;
};

export type RedPacketState = 'SENDING' | 'SENT' | 'FAILED' | 'RECEIVED' | 'RFUND_ING' | 'REFUND';

export type RedPacket = {
  mch_id: string;
  /** Whose money it is, when a provider sends it. */
  sub_mch_id?: string | undefined;
  mch_billno: string;
  appid: string;
  send_listid: string;
  hb_type: 'NORMAL' | 'GROUP';
  /** Who gets it, or who shares it out. */
  re_openid: string;
  total_fen: number;
  total_num: number;
  /** The shares still to be had, first come first served. */
  shares_fen: number[];
  taken: { openid: string; amount_fen: number; at_ms: number }[];
  send_name: string;
  wishing: string;
  act_name: string;
  remark: string;
  /** The first request, for the comparison when the number comes again. */
  request: Record<string, string>;
  state: RedPacketState;
  /** Why it fails; empty when it does not. */
  reason: string;
  made_at_ms: number;
  /** When SENDING ends. */
  sent_at_ms: number;
  /** When what nobody took goes back. */
  dead_at_ms: number;
  /** When RFUND_ING becomes REFUND. */
  back_at_ms?: number;
  ended_at_ms?: number;
  refund_fen: number;
};

export type Payment = {
  transaction_id: string;
  /** Under the order's appid. */
  openid: string;
  /** Under the order's sub_appid. */
  sub_openid?: string;
  paid_at_ms: number;
  bank_type: string;
  total_fen: number;
  cash_fen: number;
  coupon_fen: number;
  coupon_id?: string;
};

export type Order = {
  /** Who signed for it: the merchant, or the provider of sub_mch_id. */
  mch_id: string;
  appid: string;
  sub_mch_id?: string | undefined;
  sub_appid?: string | undefined;
  out_trade_no: string;
  trade_type: TradeType;
  api: 'v2' | 'v3';
  sign_type: SignType;
  total_fen: number;
  fee_type: string;
  body: string;
  attach: string;
  device_info: string;
  /** Empty when nobody is told, as with payment codes. */
  notify_url: string;
  /** The payer's address as the merchant saw it. */
  client_ip: string;
  /** Who must pay; empty when anybody may. */
  openid: string;
  /** The same, named under the sub_appid. */
  sub_openid?: string | undefined;
  /** The first request, for the comparison when the number comes again. */
  request: Record<string, string>;
  state: TradeState;
  made_at_ms: number;
  expires_at_ms: number;
  closed_by?: 'merchant' | 'expiry';
  prepays: Prepay[];
  payment?: Payment;
  /** While USERPAYING: who is asked for the password, and until when. */
  prompt?: { openid: string; until_ms: number; never_ends: boolean };
  /** When a payment-code order was reversed, and the number under which its money went back. */
  revoked_at_ms?: number;
  revoked_refund_id?: string;
};

export type RefundState = 'PROCESSING' | 'SUCCESS' | 'ABNORMAL' | 'CLOSED';

export type Refund = {
  mch_id: string;
  appid: string;
  sub_mch_id?: string | undefined;
  sub_appid?: string | undefined;
  out_trade_no: string;
  transaction_id: string;
  out_refund_no: string;
  refund_id: string;
  api: 'v2' | 'v3';
  source: 'API' | 'VENDOR_PLATFORM';
  total_fen: number;
  refund_fen: number;
  /** What goes back to the payer; the rest goes back to the coupon. */
  cash_fen: number;
  coupon_fen: number;
  reason: string;
  account: string;
  /** Empty when nobody is told. */
  notify_url: string;
  notify_api: 'v2' | 'v3';
  received_account: string;
  state: RefundState;
  /** What becomes of it at due_at_ms. */
  ends_as: RefundState;
  made_at_ms: number;
  due_at_ms: number;
  ended_at_ms?: number;
};

export type Attempt = {
  at_ms: number;
  due_at_ms: number;
  copy: number;
  fault?: string;
  request_headers: Record<string, string>;
  request_body: string;
  status?: number;
  answer?: string;
  took_ms: number;
  accepted: boolean;
  why: string;
};

export type Notification = {
  notification_id: string;
  kind: 'payment' | 'refund';
  api: 'v2' | 'v3';
  mch_id: string;
  out_trade_no: string;
  /** Of a refund. */
  out_refund_no?: string;
  /** Of a refund: how it had ended when this was booked. */
  refund_state?: RefundState;
  notify_url: string;
  request_id: string;
  nonce_str: string;
  made_at_ms: number;
  /** pending: more attempts come. exhausted: all 16 failed. withheld: a fault said never. */
  state: 'pending' | 'delivered' | 'exhausted' | 'undeliverable' | 'withheld';
  why: string;
  tries: number;
  next_attempt_at_ms: number | null;
  attempts: Attempt[];
};

export type LedgerEntry = {
  entry_id: number;
  at_ms: number;
  /**
   * A red packet leaves its merchant when it is sent (`redpack`) and stands with the platform until it reaches a
   * payer (`redpack_claim`) or comes back (`redpack_return`).
   */
  kind: 'payment' | 'refund' | 'reversal' | 'redpack' | 'redpack_claim' | 'redpack_return';
  mch_id: string;
  /** Whose money it is, when a provider acts for a sub-merchant. */
  sub_mch_id?: string | undefined;
  appid: string;
  openid: string;
  out_trade_no: string;
  transaction_id: string;
  /** Of a red packet. */
  mch_billno?: string;
  /** Of a refund. */
  out_refund_no?: string;
  refund_id?: string;
  /** What the order was worth, or the refund; cash_fen is what left the payer's balance, the rest a coupon paid. */
  amount_fen: number;
  cash_fen: number;
  user_balance_fen: number;
  merchant_balance_fen: number;
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

export type State = {
  layout: 1;
  clock_offset_ms: number;
  drawn: number;
  next_number: number;
  accounts: Account[];
  merchants: Merchant[];
  users: User[];
  shop_origin: string;
  payment_directories: string[];
  oauth_domains: string[];
  orders: Record<string, Order>;
  refunds: Record<string, Refund>;
  notifications: Record<string, Notification>;
  ledger: LedgerEntry[];
  payment_codes: Record<string, PaymentCode>;
  red_packets: Record<string, RedPacket>;
  /** What a weixin://wxpay/s/… stands for. */
  short_urls: Record<string, string>;
  oauth_codes: Record<string, OauthCode>;
  tokens: Record<string, Token>;
  official: Official;
};

export type Store = {
  state: State;
  /** Says that something changed; the file follows shortly. */
  touch(): void;
  /** Writes the file now, if there is one and something changed. */
  flush(): void;
  /** A number never given before: notification ids, ledger entries. */
  number(): number;
};

/** The key of an order or of a refund: numbers are unique per merchant only. */
export function orderKey(mch_id: string, out_trade_no: string): string {
  return `${mch_id}/${out_trade_no}`;
}

/** Opens the state, from `file` when it exists, else from `fresh`. */
export function openStore(file: string | undefined, fresh: () => State): Store {
  let state = fresh();
  if (file !== undefined && existsSync(file)) {
    const stored: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (!isState(stored)) throw new Error(`${file} is not a simulator state of layout 1; move it away`);
    // What a later version remembers too is taken from the fresh world.
    state = { ...state, ...stored };
    const [pattern] = fresh().merchants;
    state.merchants = state.merchants.map((m) => ({ ...pattern, ...m }));
  }
  let dirty = false;
  let timer: NodeJS.Timeout | undefined;
  let last_write_ms = 0;

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    if (!dirty || file === undefined) return;
    dirty = false;
    const started = performance.now();
    const beside = `${file}.${process.pid}.tmp`;
    writeFileSync(beside, JSON.stringify(state), { mode: 0o600 });
    renameSync(beside, file);
    last_write_ms = performance.now() - started;
  }

  return {
    state,
    flush,
    touch() {
      dirty = true;
      // A long history is written less often, so that writing never takes more than a small part of the time.
      if (file !== undefined && timer === undefined) timer = setTimeout(flush, 100 + 20 * last_write_ms);
    },
    number() {
      state.next_number += 1;
      return state.next_number;
    },
  };
}

function isState(thing: unknown): thing is State {
  return typeof thing === 'object' && thing !== null && 'layout' in thing && thing.layout === 1;
}
