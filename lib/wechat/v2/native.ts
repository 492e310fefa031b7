/**
 * NATIVE mode 1: a printed code names a product; a scan of it makes WeChat ask the merchant for an order, and waits for
 * the answer. Knows the words of link, question and answer; which order it becomes is the business's.
 *
 * Source: WeChat Pay v2, 扫码支付 模式一, 转换短链接.
 */
import { NotificationError, WechatError } from '../errors.ts';
import type { Exchange, NativeAnswer, NativeScan, Ports } from '../types.ts';
import { parseXml, serialiseXml, XmlError, type XmlFields } from '../xml.ts';
import { type Caller, orBadAnswer } from './call.ts';
import { checkFields, FieldError, mustBe, required } from './fields.ts';
import { type SignTypeV2, signTypeOfLength, signV2, verifyV2 } from './sign.ts';

interface Merchant {
  appid: string;
  mch_id: string;
  api_v2_key: string;
  sign_type: SignTypeV2;
}

/** At most 32 bytes; what a shop prints it chose itself, so letters, digits, `_` and `-` are enough. */
const PRODUCT_ID = /^[A-Za-z0-9_-]{1,32}$/;
const NATIVE_LINK = /^weixin:\/\/wxpay\/bizpayurl\?[\x21-\x7e]{1,490}$/;

/** The address in a mode 1 code. It is signed once and lives for ever. */
export function nativeLink(merchant: Merchant, ports: Ports, product_id: string): string {
  if (!PRODUCT_ID.test(product_id)) {
    throw new WechatError(
      'refused',
      'PARAM_ERROR',
      'product_id is not as WeChat wants it; nothing was signed',
    );
  }
  const fields = {
    appid: merchant.appid,
    mch_id: merchant.mch_id,
    nonce_str: ports.nonce(),
    product_id,
    time_stamp: String(Math.floor(ports.now().getTime() / 1000)),
  };
  const sign = signV2(fields, merchant.api_v2_key, merchant.sign_type);
  return `weixin://wxpay/bizpayurl?${new URLSearchParams({ ...fields, sign })}`;
}

/** Makes a mode 1 link short, for a code that is easier to scan. */
export async function shortUrl(
  caller: Caller,
  long_url: string,
): Promise<{ short_url: string; exchange: Exchange }> {
  if (!NATIVE_LINK.test(long_url)) {
    throw new WechatError('refused', 'PARAM_ERROR', 'long_url is no link of a native code; nothing was sent');
  }
  const { fields, exchange } = await caller.call('shorturl', { long_url });
  return orBadAnswer('shorturl', exchange, () => ({ short_url: required(fields, 'short_url'), exchange }));
}

/** A scan whose signature holds and that is for this merchant and account. Throws `NotificationError`. */
export function readNativeScan(merchant: Merchant, raw: Uint8Array): NativeScan {
  const fields = readXml(raw);
  const sign_type = signTypeOfLength(fields.sign);
  if (sign_type === undefined || !verifyV2(fields, merchant.api_v2_key, sign_type)) {
    throw new NotificationError('bad_signature', 'the signature does not hold');
  }
  try {
    checkFields(fields);
    mustBe(fields, 'appid', merchant.appid);
    mustBe(fields, 'mch_id', merchant.mch_id);
    const product_id = required(fields, 'product_id');
    if (!PRODUCT_ID.test(product_id)) throw new FieldError('product_id is misshapen');
    return { openid: required(fields, 'openid'), product_id, nonce_str: required(fields, 'nonce_str') };
  } catch (cause) {
    if (!(cause instanceof FieldError)) throw cause;
    throw new NotificationError('malformed', cause.message, cause);
  }
}

/** The signed answer to a scan, as XML. */
export function nativeAnswer(merchant: Merchant, ports: Ports, answer: NativeAnswer): string {
  const failed = answer.result_code === 'FAIL';
  const fields: Record<string, string> = {
    return_code: 'SUCCESS',
    return_msg: 'OK',
    appid: merchant.appid,
    mch_id: merchant.mch_id,
    nonce_str: ports.nonce(),
    result_code: answer.result_code,
    ...(failed
      ? { err_code_des: answer.err_code_des.replace(/[&=\p{Cc}]/gu, ' ').slice(0, 100) }
      : { prepay_id: answer.prepay_id }),
  };
  return serialiseXml({ ...fields, sign: signV2(fields, merchant.api_v2_key, merchant.sign_type) });
}

function readXml(raw: Uint8Array): XmlFields {
  try {
    return parseXml(raw);
  } catch (cause) {
    if (!(cause instanceof XmlError)) throw cause;
    throw new NotificationError('malformed', cause.message, cause);
  }
}
