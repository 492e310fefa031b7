/**
 * Checks the fields of a message whose signature held. The signed string has no escaping, so `attach=1&total_fee=2`
 * signs the same as two fields; no value that could be read as two fields is let through.
 */
import type { XmlFields } from '../xml.ts';

/** A field is missing, misshapen, or not what we asked about. Its message names the field, never its value. */
export class FieldError extends Error {
  override readonly name = 'FieldError';
}

const FEN = /^\d{1,10}$/;
const COUNT = /^\d{1,3}$/;
const ACCOUNT = /^[A-Za-z0-9_-]{1,32}$/;
const OPENID = /^[A-Za-z0-9_-]{1,128}$/;
const OUR_NUMBER = /^[A-Za-z0-9_\-|*@]{1,64}$/;
const PLATFORM_NUMBER = /^[A-Za-z0-9]{1,32}$/;
const WORD = /^[A-Za-z0-9_.-]{1,64}$/;
const CURRENCY = /^[A-Z]{3}$/;
const FLAG = /^[YN]$/;
const SPACED_TIME = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/;
/** Words for people. */
const TEXT = /^[^&]*$/;
/** The two links of a placed trade have parameters of their own, so `&` is theirs; nothing else has it. */
const LINK = /^[a-z]{4,10}:\/\/[\x21-\x7e]{1,2000}$/;

/** `…_0` and `…_0_1` of refunds and coupons are checked as the name before the numbers. */
const SHAPES: ReadonlyMap<string, RegExp> = new Map([
  ['return_code', WORD],
  ['result_code', WORD],
  ['return_msg', TEXT],
  ['err_code', WORD],
  ['err_code_des', TEXT],
  ['result_msg', TEXT],
  ['appid', ACCOUNT],
  ['sub_appid', ACCOUNT],
  ['mch_id', ACCOUNT],
  ['sub_mch_id', ACCOUNT],
  ['nonce_str', WORD],
  ['sign', /^([0-9A-F]{32}|[0-9A-F]{64})$/],
  ['sign_type', /^(MD5|HMAC-SHA256)$/],
  ['openid', OPENID],
  ['sub_openid', OPENID],
  ['is_subscribe', FLAG],
  ['sub_is_subscribe', FLAG],
  ['trade_type', WORD],
  ['trade_state', WORD],
  ['trade_state_desc', TEXT],
  ['bank_type', WORD],
  ['total_fee', FEN],
  ['settlement_total_fee', FEN],
  ['cash_fee', FEN],
  ['coupon_fee', FEN],
  ['coupon_count', COUNT],
  ['fee_type', CURRENCY],
  ['cash_fee_type', CURRENCY],
  ['transaction_id', PLATFORM_NUMBER],
  ['out_trade_no', OUR_NUMBER],
  // Ours holds nothing else (see `PlaceTrade.attach`), and text a payer chose must not reach a signed string.
  ['attach', /^[A-Za-z0-9_-]{0,127}$/],
  ['time_end', /^\d{14}$/],
  ['prepay_id', /^[A-Za-z0-9_-]{1,64}$/],
  ['code_url', LINK],
  ['mweb_url', LINK],
  ['short_url', LINK],
  ['out_refund_no', OUR_NUMBER],
  ['refund_id', PLATFORM_NUMBER],
  ['refund_fee', FEN],
  ['settlement_refund_fee', FEN],
  ['cash_refund_fee', FEN],
  ['coupon_refund_fee', FEN],
  ['refund_count', COUNT],
  ['total_refund_count', COUNT],
  ['refund_status', WORD],
  ['refund_account', WORD],
  ['refund_channel', WORD],
  ['refund_recv_accout', TEXT],
  ['refund_success_time', SPACED_TIME],
  ['success_time', SPACED_TIME],
  ['recall', FLAG],
  ['authinfo', /^[\w+/=.-]{1,4096}$/],
  ['expires_in', /^\d{1,9}$/],
]);
const UNKNOWN_FIELD = /^[^&=]*$/;

/**
 * Throws `FieldError` unless every field has its shape; unknown fields are allowed, but not with `&` or `=` in them.
 * Two different messages that pass never have the same signed string, except that a link may lose a parameter of its
 * own to an unknown field.
 */
export function checkFields(fields: XmlFields): void {
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    if (value === undefined || value === '') continue;
    if (!hasItsShape(name, value)) throw new FieldError(`${name} is misshapen`);
  }
  for (const name of ['code_url', 'mweb_url', 'short_url']) {
    const parameters = fields[name]?.split('&').slice(1) ?? [];
    if (parameters.some((parameter) => SHAPES.has(parameter.split('=', 1)[0] ?? ''))) {
      throw new FieldError(`${name} has a parameter named like a field`);
    }
  }
}

function hasItsShape(name: string, value: string): boolean {
  if (name === 'promotion_detail') return isJsonObject(value);
  const shape = SHAPES.get(name) ?? SHAPES.get(name.replace(/_\d{1,3}(_\d{1,3})?$/, ''));
  return (shape ?? UNKNOWN_FIELD).test(value);
}

/** JSON may hold `&` in a shop's own words; cut anywhere it is no JSON any more, so it too reads in one way only. */
function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && text.trim() === text;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

/** The field's text; empty counts as absent. */
export function optional(fields: XmlFields, name: string): string | undefined {
  const value = fields[name];
  return value === '' ? undefined : value;
}

export function required(fields: XmlFields, name: string): string {
  const value = optional(fields, name);
  if (value === undefined) throw new FieldError(`${name} is missing`);
  return value;
}

/** An amount in fen. */
export function optionalFen(fields: XmlFields, name: string): number | undefined {
  const text = optional(fields, name);
  if (text === undefined) return undefined;
  if (!FEN.test(text)) throw new FieldError(`${name} is no amount in fen`);
  return Number(text);
}

export function requiredFen(fields: XmlFields, name: string): number {
  const fen = optionalFen(fields, name);
  if (fen === undefined) throw new FieldError(`${name} is missing`);
  return fen;
}

/** Throws `FieldError` when the message speaks of something else than we asked about. */
export function mustBe(fields: XmlFields, name: string, expected: string): void {
  if (fields[name] !== expected) throw new FieldError(`${name} is not ours`);
}
