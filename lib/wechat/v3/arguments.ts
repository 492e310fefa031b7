/**
 * What our own side hands in, checked before anything is signed or sent: numbers that become part of a path, text that
 * becomes part of a signed line, amounts. It refuses what WeChat would refuse and what must never be signed.
 */
import { isDate } from '../beijing_time.ts';
import { WechatError } from '../errors.ts';
import { MAX_FEN } from './fields.ts';

const PATTERNS = {
  // No `/` and no `.`: a number cannot climb the path it is put into.
  out_trade_no: /^[0-9A-Za-z_\-|*]{6,32}$/,
  out_refund_no: /^[0-9A-Za-z_\-|*@]{1,64}$/,
  transaction_id: /^[0-9A-Za-z]{1,32}$/,
  refund_id: /^[0-9A-Za-z]{1,32}$/,
  // The signed text has no escapes: a line feed here would make it another message.
  prepay_id: /^[0-9A-Za-z_-]{1,64}$/,
  openid: /^[0-9A-Za-z_-]{1,128}$/,
  payer_client_ip: /^[0-9A-Fa-f.:]{2,45}$/,
  // WeChat refuses a query string, and a fragment never reaches it.
  notify_url: /^https?:\/\/[^\s?#]{1,240}$/,
  attach: /^[0-9A-Za-z_-]{1,128}$/,
} as const;

/** Nothing went out, so nothing was done. */
export function notSent(why: string): WechatError {
  return new WechatError('refused', 'PARAM_ERROR', `${why}; nothing was sent`);
}

/** The value itself, when it is as WeChat wants it; else throws. */
export function checked(name: keyof typeof PATTERNS, value: string | undefined): string {
  if (value === undefined || !PATTERNS[name].test(value)) throw notSent(`${name} is not as WeChat wants it`);
  return value;
}

/** As `checked`; absent and empty are the same. */
export function checkedIfAny(name: keyof typeof PATTERNS, value: string | undefined): string | undefined {
  return value ? checked(name, value) : undefined;
}

/** A positive amount of fen, at most `max_fen`. */
export function checkedFen(name: string, fen: number, max_fen = MAX_FEN): number {
  if (!Number.isInteger(fen) || fen < 1 || fen > Math.min(max_fen, MAX_FEN)) {
    throw notSent(`${name} is not a positive amount of fen, or too large`);
  }
  return fen;
}

/** A real day, `YYYY-MM-DD`. */
export function checkedDate(bill_date: string): string {
  if (!isDate(bill_date)) throw notSent('bill_date is not YYYY-MM-DD');
  return bill_date;
}
