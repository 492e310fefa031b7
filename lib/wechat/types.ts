/**
 * The words the business and the protocol share: trades, refunds and what WeChat says of them, free of any
 * API version. Nothing here knows XML, JSON or a signature; both versions are reshaped to this at the border.
 *
 * Money is an integer of fen. Time is a `Date`. Names are WeChat's.
 */

export type ApiVersion = 'v2' | 'v3';

/** v2 signs with MD5 or HMAC-SHA256; v3 always with RSA. */
export type SignType = 'MD5' | 'HMAC-SHA256' | 'WECHATPAY2-SHA256-RSA2048';

/** WeChat's `trade_type`. H5 is spelled `MWEB`, as both versions' answers and bills spell it. */
export type TradeType = 'JSAPI' | 'NATIVE' | 'APP' | 'MWEB' | 'MICROPAY' | 'FACEPAY';

/** WeChat's `trade_state`, the union of both versions. */
export type TradeState =
  | 'NOTPAY'
  | 'USERPAYING'
  | 'SUCCESS'
  | 'REFUND'
  | 'CLOSED'
  | 'REVOKED'
  | 'PAYERROR'
  | 'ACCEPT';

/** A refund's state as WeChat reports it; v2's REFUNDCLOSE and CHANGE are reshaped to v3's CLOSED and ABNORMAL. */
export type RefundStatus = 'PROCESSING' | 'SUCCESS' | 'CLOSED' | 'ABNORMAL';

/** One HTTP exchange, kept as evidence for the timeline. Bodies hold no key; signatures are left in. */
export interface Exchange {
  method: 'GET' | 'POST';
  /** Path and query as sent, without the host. */
  path: string;
  request_body: string;
  /** Absent when no answer came. */
  status?: number;
  response_body?: string;
  /** WeChat's `Request-ID` answer header. */
  request_id?: string;
  started_at: Date;
  duration_ms: number;
}

/**
 * Whose trade it is. An ordinary merchant has only an appid; a service provider names the sub-merchant who sells, and
 * `sub_appid` when the payer is known under the sub-merchant's account instead of the provider's.
 */
export interface TradeAccount {
  appid: string;
  sub_mch_id?: string;
  sub_appid?: string;
}

/** What one collection attempt asks for. Stored whole before the call and sent again unchanged after a lost answer. */
export interface PlaceTrade {
  out_trade_no: string;
  trade_type: 'JSAPI' | 'NATIVE' | 'APP' | 'MWEB';
  /** The goods text the payer sees: v2 `body`, v3 `description`; at most 127 bytes of UTF-8, no 4-byte characters. */
  description: string;
  total_fen: number;
  /** IPv4 or IPv6 of the payer's device (v2 `spbill_create_ip`, v3 `payer_client_ip`). */
  payer_client_ip: string;
  notify_url: string;
  time_start_at: Date;
  time_expire_at: Date;
  /** JSAPI only: the payer under the account's appid. */
  openid?: string;
  /** Partner mode: the payer under `sub_appid`. */
  sub_openid?: string;
  /** NATIVE in v2: the goods id in the code. */
  product_id?: string;
  /** MWEB only. */
  h5?: { wap_url: string; wap_name: string };
  /** Echoed in query and notification; letters, digits, `_` and `-` only. */
  attach?: string;
}

export interface Placed {
  prepay_id?: string;
  code_url?: string;
  h5_url?: string;
  exchange: Exchange;
}

/** What WeChat says of a trade, from a query, a notification or a bill. Unpaid trades carry only the first fields. */
export interface TradeReport {
  appid: string;
  mch_id: string;
  sub_appid?: string;
  sub_mch_id?: string;
  out_trade_no: string;
  trade_state: TradeState;
  trade_state_desc?: string;
  transaction_id?: string;
  trade_type?: TradeType;
  /** The order's amount (v2 `total_fee`, v3 `amount.total`): the one to compare. */
  total_fen?: number;
  /** What the payer paid after coupons (v2 `cash_fee`, v3 `amount.payer_total`). */
  payer_total_fen?: number;
  /** `CNY`; v2 leaves it out often, then this is `CNY` as well. */
  fee_type?: string;
  openid?: string;
  sub_openid?: string;
  bank_type?: string;
  attach?: string;
  success_at?: Date;
}

export interface QueriedTrade {
  report: TradeReport;
  exchange: Exchange;
}

/** `closed`: it cannot be paid any more. `paid`: WeChat refused to close because it is paid: query it. */
export interface ClosedTrade {
  outcome: 'closed' | 'paid' | 'not_found';
  exchange: Exchange;
}

export interface PlaceRefund {
  out_refund_no: string;
  out_trade_no: string;
  transaction_id?: string;
  /** The trade's original total. */
  total_fen: number;
  refund_fen: number;
  reason?: string;
  notify_url?: string;
}

export interface RefundReport {
  out_refund_no: string;
  refund_id?: string;
  out_trade_no?: string;
  transaction_id?: string;
  status: RefundStatus;
  refund_fen: number;
  total_fen?: number;
  success_at?: Date;
  user_received_account?: string;
}

export interface ReportedRefund {
  report: RefundReport;
  exchange: Exchange;
}

/** The six call parameters of `getBrandWCPayRequest`, signed on the server. Every value is a string. */
export interface JsapiParameters {
  appId: string;
  timeStamp: string;
  nonceStr: string;
  package: string;
  signType: string;
  paySign: string;
}

/** `wx.requestPayment`: as the bridge's, without `appId`, which is signed all the same. */
export type MiniProgramParameters = Omit<JsapiParameters, 'appId'>;

/** `PayReq` of the mobile SDKs; iOS names `packageValue` `package`. */
export interface AppParameters {
  appId: string;
  /** The merchant the app's appid belongs to. */
  partnerId: string;
  prepayId: string;
  packageValue: 'Sign=WXPay';
  nonceStr: string;
  timeStamp: string;
  sign: string;
}

/** What a scan of a printed code tells: who scanned, and which product the code names. */
export interface NativeScan {
  openid: string;
  product_id: string;
  /** WeChat's nonce: the same scan told twice carries the same one. */
  nonce_str: string;
}

/** `err_code_des` is shown to the payer. */
export type NativeAnswer =
  | { result_code: 'SUCCESS'; prepay_id: string }
  | { result_code: 'FAIL'; err_code_des: string };

/** NATIVE mode 1, which only v2 has: a printed code names a product, and a scan asks the merchant for its order. */
export interface NativeCodes {
  /** The address in the code; `product_id` of letters, digits, `_` and `-`, at most 32. */
  link(product_id: string): string;
  /** Makes such an address short, for a code that is easier to scan. */
  shortUrl(long_url: string): Promise<{ short_url: string; exchange: Exchange }>;
  /** Verifies and reads what WeChat posts when a code is scanned; throws `NotificationError`. */
  readScan(raw: Uint8Array): NativeScan;
  /** The signed answer to a scan, as XML. */
  answer(answer: NativeAnswer): string;
}

/** A verified payment notification; `sign_type` is the algorithm that verified, to be compared with the stored one. */
export interface PaymentNotification {
  report: TradeReport;
  sign_type: SignType;
  /** v3: the notification's `id`. v2 has none. */
  notification_id?: string;
}

/** v2's refund notification proves little (ECB, no signature); both versions' only trigger a query. */
export interface RefundNotification {
  out_refund_no: string;
  out_trade_no: string;
  refund_id?: string;
  status: RefundStatus;
  notification_id?: string;
}

/** Which rows a trade bill holds. */
export type TradeBillType = 'ALL' | 'SUCCESS' | 'REFUND';

/** Whose flow of funds: the basic account, the operation account or the fee account; v2 spells them `Basic` … at the border. */
export type FundFlowAccount = 'BASIC' | 'OPERATION' | 'FEES';

/**
 * One day's bill, or the two ways of there being none. `no_bill` is an empty day, `creating` means ask again
 * later (bills of yesterday are fetched after 10:00 Beijing time).
 *
 * `stream` gives plain bytes (unzipped, UTF-8, perhaps with a BOM). It fails with a `WechatError` when the bill is
 * cut short or its digest is wrong, so nothing of it counts before it has ended.
 */
export type DownloadedBill =
  | { outcome: 'bill'; stream: ReadableStream<Uint8Array>; exchange: Exchange }
  | { outcome: 'no_bill' | 'creating'; exchange: Exchange };

/** Who pays at the counter: the code on the payer's telephone, or a face that WeChat's device has recognised. */
export type CounterPayer =
  | { trade_type: 'MICROPAY'; auth_code: string }
  | { trade_type: 'FACEPAY'; face_code: string; openid: string };

/** One charge at the counter. It is sent once; what became of it afterwards only a query tells. */
export interface ChargeTrade {
  out_trade_no: string;
  description: string;
  total_fen: number;
  /** The cash desk's address (v2 `spbill_create_ip`). */
  client_ip: string;
  time_start_at: Date;
  /** At least a minute away. */
  time_expire_at: Date;
  payer: CounterPayer;
}

/** WeChat took the money at once. `exchange` holds no usable payment code. */
export interface ChargedTrade {
  report: TradeReport;
  exchange: Exchange;
}

/** `recall`: WeChat wants the same reversal asked for again. */
export interface ReversedTrade {
  recall: boolean;
  exchange: Exchange;
}

export interface CodeOwner {
  openid: string;
  sub_openid?: string;
  exchange: Exchange;
}

/** What the face device's `initWxpayface` and `getWxpayfaceRawdata` ask the merchant's server to exchange. */
export interface FaceDevice {
  store_id: string;
  store_name: string;
  device_id: string;
  rawdata: string;
}

export interface FaceAuthInfo {
  authinfo: string;
  expires_in_s: number;
  exchange: Exchange;
}

/** One cash red packet, or one shared by lot among `total_num` people. Repeated under the same number it pays once. */
export interface SendRedPacket {
  mch_billno: string;
  re_openid: string;
  total_fen: number;
  /** 1: one person's. 3 and more: the recipient shares it with others. */
  total_num: number;
  send_name: string;
  wishing: string;
  act_name: string;
  remark: string;
  client_ip: string;
  /** WeChat wants to know the occasion below 1 and above 200 yuan: `PRODUCT_1` … `PRODUCT_8`. */
  scene_id?: string;
}

export interface SentRedPacket {
  send_listid: string | undefined;
  exchange: Exchange;
}

export type RedPacketStatus = 'SENDING' | 'SENT' | 'FAILED' | 'RECEIVED' | 'RFUND_ING' | 'REFUND';

export interface RedPacketReport {
  mch_billno: string;
  detail_id: string | undefined;
  status: RedPacketStatus;
  total_fen: number;
  total_num: number;
  reason: string | undefined;
  refund_fen: number | undefined;
  /** Who took how much. */
  taken: { openid: string; amount_fen: number; received_at: Date | undefined }[];
}

export interface QueriedRedPacket {
  report: RedPacketReport;
  exchange: Exchange;
}

/** What happens face to face: payment codes, faces, red packets. API v2 alone has it. */
export interface CounterCalls {
  /** Refused: nothing was taken. Everything else that is not an answer (`USERPAYING` too) is unknown. */
  chargeTrade(trade: ChargeTrade): Promise<ChargedTrade>;
  /** Needs the client certificate. What was not paid never will be, and what was paid goes back whole. */
  reverseTrade(out_trade_no: string, trade_type: CounterPayer['trade_type']): Promise<ReversedTrade>;
  /** Ties the code to this merchant until it is refreshed. */
  openidOfCode(auth_code: string): Promise<CodeOwner>;
  queryFaceTrade(out_trade_no: string): Promise<QueriedTrade>;
  faceAuthInfo(device: FaceDevice): Promise<FaceAuthInfo>;
  /** Needs the client certificate, as the query of it does. */
  sendRedPacket(packet: SendRedPacket): Promise<SentRedPacket>;
  queryRedPacket(mch_billno: string): Promise<QueriedRedPacket>;
}

/**
 * WeChat Pay for one merchant over one API version. Every call either resolves with what WeChat said, its
 * signature checked, or rejects with a `WechatError` that says whether we know what happened.
 */
export interface WechatPay {
  readonly api_version: ApiVersion;
  readonly sign_type: SignType;
  readonly appid: string;
  readonly mch_id: string;
  /** Partner mode only. */
  readonly sub_mch_id?: string;
  readonly sub_appid?: string;
  /** The same merchant, keys and certificates, speaking of another account's trades. */
  forAccount(account: TradeAccount): WechatPay;
  /** Payment codes, faces, red packets: present over v2 only. */
  readonly counter?: CounterCalls;
  placeTrade(trade: PlaceTrade): Promise<Placed>;
  queryTrade(out_trade_no: string): Promise<QueriedTrade>;
  closeTrade(out_trade_no: string): Promise<ClosedTrade>;
  placeRefund(refund: PlaceRefund): Promise<ReportedRefund>;
  queryRefund(out_refund_no: string): Promise<ReportedRefund>;
  /** `prepay_id` to the parameters a page hands to the bridge; nonce and time are made here. */
  jsapiParameters(prepay_id: string): JsapiParameters;
  /** The same for `wx.requestPayment` of a mini-program whose appid this account's is. */
  miniProgramParameters(prepay_id: string): MiniProgramParameters;
  /** The same for the SDK of a mobile app whose appid this account's is. */
  appParameters(prepay_id: string): AppParameters;
  /** Absent over v3, which has no mode 1. */
  readonly native?: NativeCodes;
  /** Verifies and reads a payment notification; throws `NotificationError` with a verdict when it must not be believed. */
  readPaymentNotification(raw: Uint8Array, headers: Headers): Promise<PaymentNotification>;
  readRefundNotification(raw: Uint8Array, headers: Headers): Promise<RefundNotification>;
  /** `bill_date` is `YYYY-MM-DD` in Beijing; `ALL` unless told. */
  downloadTradeBill(bill_date: string, bill_type?: TradeBillType): Promise<DownloadedBill>;
  /** `bill_date` is `YYYY-MM-DD` in Beijing; `BASIC` unless told. */
  downloadFundFlowBill(bill_date: string, account?: FundFlowAccount): Promise<DownloadedBill>;
}

/** What time it is, and the network: handed in so that tests can move one and break the other. */
export interface Ports {
  fetch: typeof globalThis.fetch;
  /** v2 only: a fetch that shows the merchant's client certificate. Absent, v2 makes its own of the configured PEM. */
  fetch_with_certificate?: typeof globalThis.fetch;
  now: () => Date;
  /** Random letters and digits; 32 characters unless told. */
  nonce: (length?: number) => string;
}
