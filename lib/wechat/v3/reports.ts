/**
 * What WeChat says of a trade or a refund, from an answer or a decrypted notification, reshaped to the business's
 * words: `amount.total` to `total_fen`, `mchid` to `mch_id`, `sp_…` to plain names, RFC 3339 to `Date`.
 * It compares nothing with our rows; a word it does not know is refused, not guessed.
 */
import type { RefundReport, RefundStatus, TradeReport, TradeState, TradeType } from '../types.ts';
import type { Fields } from './fields.ts';

const TRADE_STATES = {
  NOTPAY: 'NOTPAY',
  USERPAYING: 'USERPAYING',
  SUCCESS: 'SUCCESS',
  REFUND: 'REFUND',
  CLOSED: 'CLOSED',
  REVOKED: 'REVOKED',
  PAYERROR: 'PAYERROR',
  ACCEPT: 'ACCEPT',
} as const satisfies Record<TradeState, TradeState>;

const TRADE_TYPES: Readonly<Record<string, TradeType>> = {
  JSAPI: 'JSAPI',
  NATIVE: 'NATIVE',
  APP: 'APP',
  MWEB: 'MWEB',
  H5: 'MWEB',
  MICROPAY: 'MICROPAY',
  FACEPAY: 'FACEPAY',
};

export const REFUND_STATUSES = {
  PROCESSING: 'PROCESSING',
  SUCCESS: 'SUCCESS',
  CLOSED: 'CLOSED',
  ABNORMAL: 'ABNORMAL',
} as const satisfies Record<RefundStatus, RefundStatus>;

/**
 * A trade as the query and the payment notification describe it. A paid one must bring its number and amount;
 * an unpaid one brings little more than its state. Throws `JsonRefused`.
 */
export function readTrade(fields: Fields): TradeReport {
  const partner = fields.has('sp_mchid');
  const trade_state = fields.word('trade_state', TRADE_STATES);
  const paid = trade_state === 'SUCCESS' || trade_state === 'REFUND';
  const amount = paid ? fields.object('amount') : fields.optionalObject('amount');
  const payer = fields.optionalObject('payer');
  return defined({
    appid: fields.identifier(partner ? 'sp_appid' : 'appid'),
    mch_id: fields.identifier(partner ? 'sp_mchid' : 'mchid'),
    sub_appid: fields.optionalIdentifier('sub_appid'),
    // A merchant of his own has none; one that is named all the same is kept, so that comparing finds it.
    sub_mch_id: partner ? fields.identifier('sub_mchid') : fields.optionalIdentifier('sub_mchid'),
    out_trade_no: fields.identifier('out_trade_no'),
    trade_state,
    trade_state_desc: fields.optionalText('trade_state_desc'),
    transaction_id: paid ? fields.identifier('transaction_id') : fields.optionalIdentifier('transaction_id'),
    trade_type: fields.optionalWord('trade_type', TRADE_TYPES),
    total_fen: paid ? amount?.fen('total') : amount?.optionalFen('total'),
    payer_total_fen: amount?.optionalFen('payer_total'),
    fee_type: amount === undefined ? undefined : (amount.optionalIdentifier('currency') ?? 'CNY'),
    openid: payer?.optionalOpenid(partner ? 'sp_openid' : 'openid'),
    sub_openid: payer?.optionalOpenid('sub_openid'),
    bank_type: fields.optionalIdentifier('bank_type'),
    attach: fields.optionalText('attach'),
    success_at: fields.optionalTime('success_time'),
  });
}

/** A refund as the application's answer and the refund query describe it. Throws `JsonRefused`. */
export function readRefund(fields: Fields): RefundReport {
  const amount = fields.object('amount');
  return defined({
    out_refund_no: fields.identifier('out_refund_no'),
    refund_id: fields.identifier('refund_id'),
    out_trade_no: fields.optionalIdentifier('out_trade_no'),
    transaction_id: fields.optionalIdentifier('transaction_id'),
    status: fields.word('status', REFUND_STATUSES),
    refund_fen: amount.fen('refund'),
    total_fen: amount.optionalFen('total'),
    success_at: fields.optionalTime('success_time'),
    user_received_account: fields.optionalText('user_received_account'),
  });
}

/** Leaves absent members out, so that "not said" is never a member with a value. */
function defined<T extends object>(report: T): T {
  for (const [name, value] of Object.entries(report)) {
    if (value === undefined) Reflect.deleteProperty(report, name);
  }
  return report;
}
