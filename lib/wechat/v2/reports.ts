/**
 * v2's flat fields reshaped to the reports the business knows: fen, Dates, WeChat's state words of both versions.
 * Takes only fields that `checkFields` has passed; throws `FieldError` on what is missing or does not fit together.
 */
import { parseCompactTime, parseSpacedTime } from '../beijing_time.ts';
import type { RefundReport, RefundStatus, TradeReport, TradeState, TradeType } from '../types.ts';
import type { XmlFields } from '../xml.ts';
import { FieldError, mustBe, optional, optionalFen, required, requiredFen } from './fields.ts';

const TRADE_STATES: ReadonlySet<string> = new Set<TradeState>([
  'NOTPAY',
  'USERPAYING',
  'SUCCESS',
  'REFUND',
  'CLOSED',
  'REVOKED',
  'PAYERROR',
  'ACCEPT',
]);

const TRADE_TYPES: ReadonlySet<string> = new Set<TradeType>([
  'JSAPI',
  'NATIVE',
  'APP',
  'MWEB',
  'MICROPAY',
  'FACEPAY',
]);

const REFUND_STATUSES: ReadonlyMap<string, RefundStatus> = new Map([
  ['SUCCESS', 'SUCCESS'],
  ['PROCESSING', 'PROCESSING'],
  ['REFUNDCLOSE', 'CLOSED'],
  ['CHANGE', 'ABNORMAL'],
]);

/** A trade as a query reply tells it. */
export function queriedTrade(fields: XmlFields): TradeReport {
  const trade_state = required(fields, 'trade_state');
  if (!isTradeState(trade_state)) throw new FieldError('trade_state is a word we do not know');
  return trade_state === 'SUCCESS' || trade_state === 'REFUND'
    ? paidTrade(fields, trade_state)
    : tradeBasics(fields, trade_state);
}

/** A trade that was paid: the money fields are required. */
export function paidTrade(fields: XmlFields, trade_state: TradeState): TradeReport {
  const success_at = parseCompactTime(required(fields, 'time_end'));
  if (success_at === undefined) throw new FieldError('time_end is no time');
  return {
    ...tradeBasics(fields, trade_state),
    transaction_id: required(fields, 'transaction_id'),
    trade_type: tradeType(required(fields, 'trade_type')),
    total_fen: requiredFen(fields, 'total_fee'),
    fee_type: optional(fields, 'fee_type') ?? 'CNY',
    success_at,
  };
}

function tradeBasics(fields: XmlFields, trade_state: TradeState): TradeReport {
  const trade_type = optional(fields, 'trade_type');
  return withoutUndefined({
    appid: required(fields, 'appid'),
    mch_id: required(fields, 'mch_id'),
    sub_appid: optional(fields, 'sub_appid'),
    sub_mch_id: optional(fields, 'sub_mch_id'),
    out_trade_no: required(fields, 'out_trade_no'),
    trade_state,
    trade_state_desc: optional(fields, 'trade_state_desc'),
    trade_type: trade_type === undefined ? undefined : tradeType(trade_type),
    total_fen: optionalFen(fields, 'total_fee'),
    payer_total_fen: optionalFen(fields, 'cash_fee'),
    openid: optional(fields, 'openid'),
    sub_openid: optional(fields, 'sub_openid'),
    bank_type: optional(fields, 'bank_type'),
    attach: optional(fields, 'attach'),
  });
}

/** One refund of a query reply, found by our number among the numbered records. */
export function queriedRefund(fields: XmlFields, out_refund_no: string): RefundReport {
  const count = Number(required(fields, 'refund_count'));
  for (let n = 0; n < count; n += 1) {
    if (fields[`out_refund_no_${n}`] !== out_refund_no) continue;
    const status = refundStatus(required(fields, `refund_status_${n}`));
    const success_time = optional(fields, `refund_success_time_${n}`);
    return withoutUndefined({
      out_refund_no,
      refund_id: required(fields, `refund_id_${n}`),
      out_trade_no: required(fields, 'out_trade_no'),
      transaction_id: required(fields, 'transaction_id'),
      status,
      refund_fen: requiredFen(fields, `refund_fee_${n}`),
      total_fen: requiredFen(fields, 'total_fee'),
      success_at: success_time === undefined ? undefined : spacedTime(success_time),
      user_received_account: optional(fields, `refund_recv_accout_${n}`),
    });
  }
  throw new FieldError('out_refund_no is not among the refunds');
}

/** The answer to a refund request: WeChat has accepted it, which is not yet money on its way back. */
export function acceptedRefund(
  fields: XmlFields,
  asked: { out_refund_no: string; out_trade_no: string; refund_fen: number; total_fen: number },
): RefundReport {
  mustBe(fields, 'out_refund_no', asked.out_refund_no);
  mustBe(fields, 'out_trade_no', asked.out_trade_no);
  mustBe(fields, 'refund_fee', String(asked.refund_fen));
  mustBe(fields, 'total_fee', String(asked.total_fen));
  return {
    out_refund_no: asked.out_refund_no,
    refund_id: required(fields, 'refund_id'),
    out_trade_no: asked.out_trade_no,
    transaction_id: required(fields, 'transaction_id'),
    status: 'PROCESSING',
    refund_fen: asked.refund_fen,
    total_fen: asked.total_fen,
  };
}

/** v2's refund word in v3's spelling; throws `FieldError` on a word we do not know. */
export function refundStatus(word: string): RefundStatus {
  const status = REFUND_STATUSES.get(word);
  if (status === undefined) throw new FieldError('refund_status is a word we do not know');
  return status;
}

function tradeType(word: string): TradeType {
  if (!isTradeType(word)) throw new FieldError('trade_type is a word we do not know');
  return word;
}

function spacedTime(text: string): Date {
  const at = parseSpacedTime(text);
  if (at === undefined) throw new FieldError('refund_success_time is no time');
  return at;
}

function isTradeState(word: string): word is TradeState {
  return TRADE_STATES.has(word);
}

function isTradeType(word: string): word is TradeType {
  return TRADE_TYPES.has(word);
}

/** Drops absent members, so that "not said" never looks like a value. */
function withoutUndefined<T extends object>(value: T): T;
function withoutUndefined(value: object): object {
  const present: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    if (member !== undefined) present[name] = member;
  }
  return present;
}
