/**
 * What each API v2 error means for us: `refused` (this call did nothing) or `unknown` (it may have acted: repeat with
 * identical parameters, or query). A code that is not in the table is `unknown`.
 *
 * `refused` speaks of this one call. When an earlier call with the same number ended `unknown`, query before believing
 * that nothing was done.
 *
 * Source: WeChat Pay v2, the err_code table of each call.
 */
import type { Outcome } from '../errors.ts';

export type CallV2 =
  | 'unifiedorder'
  | 'orderquery'
  | 'closeorder'
  | 'refund'
  | 'refundquery'
  | 'downloadbill'
  | 'downloadfundflow'
  | 'shorturl'
  | 'micropay'
  | 'reverse'
  | 'authcodetoopenid'
  | 'get_wxpayface_authinfo'
  | 'facepay'
  | 'facepayquery'
  | 'facepayreverse'
  | 'sendredpack'
  | 'sendgroupredpack'
  | 'gethbinfo';

type CodeTable = ReadonlyMap<string, Outcome>;

/** Faults of the message itself, found before any business is done; any call may give them. */
const MESSAGE_FAULTS = refused(
  'SIGNERROR',
  'XML_FORMAT_ERROR',
  'REQUIRE_POST_METHOD',
  'POST_DATA_EMPTY',
  'NOT_UTF8',
  'LACK_PARAMS',
  'PARAM_ERROR',
  'APPID_NOT_EXIST',
  'MCHID_NOT_EXIST',
  'APPID_MCHID_NOT_MATCH',
);
const PLATFORM_FAULTS = unknown('SYSTEMERROR');

/**
 * A charge at the counter. That the number is paid, used, closed or reversed may be the doing of this very charge,
 * delivered twice on its way, so those codes are left for a query.
 */
const CHARGE_CODES = [
  refused(
    'NOAUTH',
    'INVALID_REQUEST',
    'AUTHCODEEXPIRE',
    'AUTH_CODE_ERROR',
    'AUTH_CODE_INVALID',
    'NOTENOUGH',
    'NOTSUPORTCARD',
    'BUYER_MISMATCH',
    'TRADE_ERROR',
  ),
  unknown('USERPAYING', 'BANKERROR', 'ORDERPAID', 'OUT_TRADE_NO_USED', 'ORDERCLOSED', 'ORDERREVERSED'),
];
const REVERSE_CODES = [
  refused(
    'REVERSE_EXPIRE',
    'INVALID_TRANSACTIONID',
    'INVALID_REQUEST',
    'ORDERNOTEXIST',
    'TRADE_ERROR',
    'NOAUTH',
    'CERT_ERROR',
    'CA_ERROR',
  ),
  // Speaks of the moment; the same reversal is asked for again.
  unknown('USERPAYING'),
];
/** FATAL_ERROR: something stands under this number already, with other values; PROCESSING: it may be on its way. */
const RED_PACKET_CODES = [
  refused(
    'NO_AUTH',
    'SENDNUM_LIMIT',
    'ILLEGAL_APPID',
    'MONEY_LIMIT',
    'SEND_FAILED',
    'CA_ERROR',
    'CERT_ERROR',
    'SIGN_ERROR',
    'XML_ERROR',
    'FREQ_LIMIT',
    'NOTENOUGH',
    'OPENID_ERROR',
    'SECOND_OVER_LIMITED',
    'DAY_OVER_LIMITED',
  ),
  unknown('FATAL_ERROR', 'PROCESSING'),
];

export const ERR_CODES: Readonly<Record<CallV2, CodeTable>> = {
  unifiedorder: table(
    refused('INVALID_REQUEST', 'NOAUTH', 'NOTENOUGH', 'ORDERPAID', 'ORDERCLOSED', 'OUT_TRADE_NO_USED'),
  ),
  orderquery: table(refused('ORDERNOTEXIST', 'INVALID_TRANSACTIONID')),
  // TRADE_STATE_ERROR says only that the state does not allow closing, so the state has to be queried.
  closeorder: table(refused('ORDERPAID', 'ORDERCLOSED', 'ORDERNOTEXIST'), unknown('TRADE_STATE_ERROR')),
  // ERROR is a bag: 订单已全额退款 among its texts may be our own earlier call. BIZERR_NEED_RETRY asks for a repeat.
  refund: table(
    refused(
      'TRADE_OVERDUE',
      'USER_ACCOUNT_ABNORMAL',
      'INVALID_REQ_TOO_MUCH',
      'NOTENOUGH',
      'INVALID_TRANSACTIONID',
      'ORDERNOTEXIST',
      'FREQUENCY_LIMITED',
      'NOAUTH',
      'CERT_ERROR',
      'CA_ERROR',
      'REFUND_FEE_MISMATCH',
      'INVALID_REQUEST',
      'ORDER_NOT_READY',
    ),
    unknown('BIZERR_NEED_RETRY', 'ERROR'),
  ),
  refundquery: table(refused('REFUNDNOTEXIST', 'INVALID_TRANSACTIONID')),
  downloadbill: table(refused('NO_BILL_EXIST', 'BILL_CREATING')),
  downloadfundflow: table(
    refused('NO_BILL_EXIST', 'BILL_CREATING', 'CERT_ERROR', 'CA_ERROR', 'NOAUTH'),
    unknown('COMPRESS_GZIP_ERROR', 'UNCOMPRESS_GZIP_ERROR', 'ERROR'),
  ),
  shorturl: table(),
  micropay: table(...CHARGE_CODES),
  facepay: table(...CHARGE_CODES),
  reverse: table(...REVERSE_CODES),
  facepayreverse: table(...REVERSE_CODES),
  facepayquery: table(refused('ORDERNOTEXIST', 'INVALID_TRANSACTIONID')),
  authcodetoopenid: table(refused('AUTHCODEEXPIRE', 'AUTH_CODE_ERROR', 'AUTH_CODE_INVALID')),
  get_wxpayface_authinfo: table(refused('NOAUTH', 'INVALID_REQUEST')),
  sendredpack: table(...RED_PACKET_CODES),
  sendgroupredpack: table(...RED_PACKET_CODES),
  gethbinfo: table(
    refused('NOT_FOUND', 'CA_ERROR', 'CERT_ERROR', 'SIGN_ERROR', 'NO_AUTH', 'FREQ_LIMIT', 'XML_ERROR'),
  ),
};

/** Whether `err_code` of `call` tells us that nothing was done. */
export function outcomeOfCode(call: CallV2, err_code: string): Outcome {
  return ERR_CODES[call].get(err_code) ?? 'unknown';
}

/** `return_code=FAIL` has no code, only a text; these are the texts seen in real traffic, each with the code it stands for. */
const RETURN_MESSAGES: readonly (readonly [RegExp, string])[] = [
  [/^(签名错误|sign ?error)$/i, 'SIGNERROR'],
  [/^(缺少参数|missing parameter|JSAPI支付必须传openid)/i, 'LACK_PARAMS'],
  [/^商户号mch_id或sub_mch_id不存在/, 'MCHID_NOT_EXIST'],
  [/^\w*参数格式错误|^data format error$|^invalid [a-z_]+$|^time_expire时间过短/i, 'PARAM_ERROR'],
  [/^no bill exist$/i, 'NO_BILL_EXIST'],
  [/^bill creating$/i, 'BILL_CREATING'],
];

/** The code a level-1 failure stands for: one of the table's, or `RETURN_FAIL` (which is in no table, so `unknown`). */
export function codeOfReturnMessage(return_msg: string): string {
  const text = return_msg.trim();
  if (/^[A-Z][A-Z0-9_]{2,31}$/.test(text)) return text;
  return RETURN_MESSAGES.find(([pattern]) => pattern.test(text))?.[1] ?? 'RETURN_FAIL';
}

function refused(...codes: string[]): [string, Outcome][] {
  return codes.map((code) => [code, 'refused']);
}

function unknown(...codes: string[]): [string, Outcome][] {
  return codes.map((code) => [code, 'unknown']);
}

function table(...own: [string, Outcome][][]): CodeTable {
  return new Map([...MESSAGE_FAULTS, ...PLATFORM_FAULTS, ...own.flat()]);
}
