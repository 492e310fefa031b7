/**
 * Turns raw answers into believed ones. A success counts only when its signature verifies; an error counts as
 * `refused` only when it is signed and its code is in the table. The single unsigned answer believed is the
 * gateway's 401 `SIGN_ERROR`, which WeChat never signs.
 */
import { WechatError } from '../errors.ts';
import type { Exchange, Ports } from '../types.ts';
import { type MissingCode, outcomeOf, tableCode } from './answer_codes.ts';
import { type Fields, readFields } from './fields.ts';
import { JsonRefused } from './json.ts';
import type { PlatformKeys } from './platform_keys.ts';
import type { Merchant } from './settings.ts';
import { type Call, type RawAnswer, send } from './transport.ts';
import { type Verification, verifyMessage } from './verify.ts';

/** A verified 200 or 204. */
export interface Answer {
  status: 200 | 204;
  body: Uint8Array;
  exchange: Exchange;
}

export type Ask = (call: Call) => Promise<Answer>;

/** Asks with this merchant's keys; in public-key mode every request names the public key. */
export function asking(merchant: Merchant, ports: Ports, keys: PlatformKeys): Ask {
  return async (call) => {
    const named = { ...call, platform_serial: call.platform_serial ?? keys.public_key_id };
    const first = await sendAndVerify(merchant, ports, keys, named);
    // The platform does not probe a repetition, and every call here may be repeated with the same number.
    const { raw, verification } =
      first.verification.verdict === 'probe' ? await sendAndVerify(merchant, ports, keys, named) : first;
    return judge(raw, verification, call.missing);
  };
}

async function sendAndVerify(
  merchant: Merchant,
  ports: Ports,
  keys: PlatformKeys,
  call: Call,
): Promise<{ raw: RawAnswer; verification: Verification }> {
  const raw = await send(merchant, ports, call);
  const find = (serial: string) => keys.resolve(serial);
  return { raw, verification: await verifyMessage(raw.headers, raw.body, find, ports.now()) };
}

/** The one place where status, code and signature become an answer or an outcome. */
export function judge(
  { status, body, exchange }: RawAnswer,
  verification: Verification,
  missing?: MissingCode,
): Answer {
  const { verdict } = verification;
  if ((status === 200 || status === 204) && verdict === 'verified') return { status, body, exchange };

  const claimed = errorBody(body, missing);
  const said = `HTTP ${status}${claimed.code === undefined ? '' : ` ${claimed.code}`}${
    claimed.message === undefined ? '' : `: ${claimed.message}`
  }`;
  if (verdict !== 'verified' && (status < 300 || verdict !== 'unsigned')) {
    throw new WechatError('unknown', 'BAD_SIGNATURE', `${said} (not believed: ${verification.reason})`, {
      exchange,
    });
  }
  const trusted = verdict === 'verified' || (status === 401 && claimed.code === 'SIGN_ERROR');
  const outcome = outcomeOf(status, claimed.code, trusted);
  throw new WechatError(outcome, claimed.code ?? `HTTP_${status}`, said, { exchange });
}

/** Code and message of an error body, if it has any: gateways send empty bodies and HTML. */
function errorBody(
  body: Uint8Array,
  missing: MissingCode | undefined,
): { code?: string | undefined; message?: string | undefined } {
  try {
    const fields = readFields(body);
    const code = fields.optionalIdentifier('code');
    const message = fields.optionalText('message', 16_384)?.slice(0, 300);
    return { code: code === undefined ? undefined : tableCode(code, missing), message };
  } catch (cause) {
    if (cause instanceof JsonRefused) return {};
    throw cause;
  }
}

/** Reads a verified body; one that does not fit its description is `unknown`, not refused. */
export function readAnswer<T>(answer: Answer, read: (fields: Fields) => T): T {
  try {
    return read(readFields(answer.body));
  } catch (cause) {
    if (!(cause instanceof JsonRefused)) throw cause;
    throw new WechatError('unknown', 'BAD_ANSWER', `the answer does not fit: ${cause.message}`, {
      exchange: answer.exchange,
      cause,
    });
  }
}
