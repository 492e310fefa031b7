/**
 * One table: WeChat Pay v3's error codes and whether "no" can be believed. A code that is not here, any 5xx, any
 * 429 and any answer whose signature does not hold mean that we do not know what happened.
 *
 * Codes the business acts on are spelled as API v2 spells them (`ORDERPAID`, `ORDERNOTEXIST`), so that it never
 * branches on the version; the others keep v3's spelling.
 *
 * Sources: WeChat Pay v3, 状态码和错误码, and the error lists of the order, query, close, refund and bill pages.
 */
import type { Outcome } from '../errors.ts';

const OUTCOMES: Readonly<Record<string, Outcome>> = {
  // every API
  PARAM_ERROR: 'refused',
  INVALID_REQUEST: 'refused',
  SIGN_ERROR: 'refused',
  NOAUTH: 'refused',
  RULE_LIMIT: 'refused',
  REQUEST_BLOCKED: 'refused',
  MCH_NOT_EXISTS: 'refused',
  NOT_FOUND: 'refused',
  RESOURCE_NOT_EXISTS: 'refused',
  SYSTEM_ERROR: 'unknown',
  SERVICE_UNAVAILABLE: 'unknown',
  FREQUENCY_LIMITED: 'unknown',
  RATELIMIT_EXCEEDED: 'unknown',
  RATELIMIT_EXCEED: 'unknown',
  FREQUENCY_LIMIT_EXCEED: 'unknown',
  BIZ_ERR_NEED_RETRY: 'unknown',
  // orders, query, close
  APPID_MCHID_NOT_MATCH: 'refused',
  OUT_TRADE_NO_USED: 'refused',
  ORDERCLOSED: 'refused',
  ORDERPAID: 'refused',
  ORDER_REVERSED: 'refused',
  ORDERNOTEXIST: 'refused',
  ACCOUNT_ERROR: 'refused',
  TRADE_ERROR: 'refused',
  BANK_ERROR: 'unknown',
  INVALID_TRANSACTIONID: 'unknown',
  OPENID_MISMATCH: 'unknown',
  USERPAYING: 'unknown',
  // refunds
  NOTENOUGH: 'refused',
  USER_ACCOUNT_ABNORMAL: 'refused',
  USER_NOT_EXISTS: 'refused',
  REFUNDNOTEXIST: 'refused',
  TRADE_OVERDUE: 'refused',
  REFUND_FEE_MISMATCH: 'refused',
  // Something stands under that number already: what, only a query can say.
  ALREADY_EXISTS: 'unknown',
  // bills
  NO_STATEMENT_EXIST: 'refused',
  STATEMENT_CREATING: 'refused',
};

/** What is missing, by call: v3 says `RESOURCE_NOT_EXISTS` of orders and refunds alike. */
export type MissingCode = 'ORDERNOTEXIST' | 'REFUNDNOTEXIST';

const NOT_FOUND_CODES: ReadonlySet<string> = new Set([
  'NOT_FOUND',
  'RESOURCE_NOT_EXISTS',
  'REFUND_NOT_EXISTS',
  'ORDERNOTEXIST',
]);

/** Old pages and some answers leave the underscores out: `ORDERPAID`, `NOAUTH`, `SYSTEMERROR`. */
const bare = (code: string): string => code.replaceAll('_', '');

const SPELLINGS: ReadonlyMap<string, string> = new Map(
  Object.keys(OUTCOMES).map((code) => [bare(code), code]),
);

/**
 * The code as the table spells it, or as it came when the table does not have it.
 *
 * @param missing what "not found" means to this call
 */
export function tableCode(code: string, missing?: MissingCode): string {
  const spelled = SPELLINGS.get(bare(code)) ?? code;
  return missing !== undefined && NOT_FOUND_CODES.has(spelled) ? missing : spelled;
}

/**
 * Whether an error answer means "no, and nothing was done".
 *
 * @param code as `tableCode` gives it
 * @param trusted the answer's signature was verified, or it is the gateway's `SIGN_ERROR`, which is never signed
 */
export function outcomeOf(status: number, code: string | undefined, trusted: boolean): Outcome {
  if (!trusted || status < 400 || status >= 500 || status === 429 || code === undefined) return 'unknown';
  return (Object.hasOwn(OUTCOMES, code) ? OUTCOMES[code] : undefined) ?? 'unknown';
}
