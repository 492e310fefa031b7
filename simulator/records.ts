// What happens on the platform and is kept: orders and their payments, refunds, notifications with their attempts,
// payment codes, red packets, the ledger. Shapes alone; nothing here does anything.

import type { SignType } from './sign_v2.ts';

export type TradeType = 'JSAPI' | 'NATIVE' | 'MWEB' | 'APP' | 'MICROPAY' | 'FACEPAY';
export type TradeState = 'NOTPAY' | 'SUCCESS' | 'CLOSED' | 'REFUND' | 'USERPAYING' | 'PAYERROR' | 'REVOKED';

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
