// How an API v2 message is heard and answered: method, body, XML, merchant, signature, account, in WeChat's order;
// refusals on its two levels; level-2 answers signed with the request's sign type. It knows no order.

import type { FieldFault } from './fields_v2.ts';
import type { Answer, Call } from './http.ts';
import { Refusal } from './orders.ts';
import { actingFor, needSubAppid, UnknownSub } from './parties.ts';
import { accountOf, merchantOf, type Platform } from './platform.ts';
import type { Merchant, SubMerchant } from './registers.ts';
import { type SignType, signedV2, spoiled, verifiesV2 } from './sign_v2.ts';
import { type Fields, readXml, writeXml } from './xml.ts';

const BODY_CAP_BYTES = 64 * 1024;

export type Verified = {
  fields: Fields;
  merchant: Merchant;
  /** Whom a service provider acts for. */
  sub?: SubMerchant;
  sign_type: SignType;
};

/** Thrown inside a door to answer at level 1. */
export class Unheard extends Error {
  readonly code: string;
  readonly text: string;
  readonly why: string;
  constructor(code: string, text: string, why: string) {
    super(why);
    this.code = code;
    this.text = text;
    this.why = why;
  }
}

export function xmlAnswer(platform: Platform, fields: Fields): Answer {
  return {
    status: 200,
    headers: { 'Content-Type': 'text/xml; charset=utf-8', 'Request-ID': platform.ids.requestId() },
    body: writeXml(fields),
  };
}

function levelOne(
  platform: Platform,
  call: Call,
  fault: { code: string; text: string; why: string },
): Answer {
  call.note.code = fault.code;
  call.note.why = fault.why;
  return xmlAnswer(platform, { return_code: 'FAIL', return_msg: fault.text });
}

export function levelTwo(platform: Platform, verified: Verified, own: Fields): Answer {
  const { fields, merchant, sign_type } = verified;
  const message: Fields = {
    return_code: 'SUCCESS',
    return_msg: 'OK',
    appid: fields.appid ?? '',
    mch_id: merchant.mch_id,
    ...(verified.sub === undefined
      ? {}
      : {
          ...(fields.sub_appid ? { sub_appid: fields.sub_appid } : {}),
          sub_mch_id: verified.sub.sub_mch_id,
        }),
    ...(fields.device_info ? { device_info: fields.device_info } : {}),
    nonce_str: platform.ids.nonce(),
    result_code: 'SUCCESS',
    ...own,
  };
  return xmlAnswer(platform, signedV2(message, sign_type, merchant.api_v2_key));
}

function refused(
  platform: Platform,
  call: Call,
  verified: Verified,
  code: string,
  text: string,
  why: string,
): Answer {
  call.note.code = code;
  call.note.why = why;
  return levelTwo(platform, verified, { result_code: 'FAIL', err_code: code, err_code_des: text });
}

/** Method, body, UTF-8, XML, merchant, signature: what makes a message heard at all. */
export function verify(platform: Platform, call: Call): Verified {
  if (call.method !== 'POST') {
    throw new Unheard('REQUIRE_POST_METHOD', '请使用post方法', `the method is ${call.method}`);
  }
  if (call.body.length === 0) throw new Unheard('POST_DATA_EMPTY', 'post数据为空', 'the body is empty');
  if (call.body.length > BODY_CAP_BYTES)
    throw new Unheard('XML_FORMAT_ERROR', 'XML格式错误', 'more than 64 KiB');
  const read = readXml(call.body);
  if ('fault' in read) {
    throw new Unheard(read.fault, read.fault === 'NOT_UTF8' ? '编码格式错误' : 'XML格式错误', read.why);
  }
  const { fields } = read;
  call.out_trade_no = fields.out_trade_no ?? '';
  const merchant = merchantOf(platform, fields.mch_id ?? '');
  if (merchant === undefined) {
    throw new Unheard(
      'MCHID_NOT_EXIST',
      '商户号mch_id或sub_mch_id不存在',
      fields.mch_id ? `mch_id ${fields.mch_id} is unknown here` : 'mch_id is missing',
    );
  }
  const named = fields.sign_type ?? '';
  if (named !== '' && named !== 'MD5' && named !== 'HMAC-SHA256') {
    throw new Unheard('SIGNERROR', '签名错误', `sign_type ${named} is neither MD5 nor HMAC-SHA256`);
  }
  if (merchant.api_v2_key === '') {
    throw new Unheard(
      'SIGNERROR',
      '签名错误',
      `${merchant.mch_id} has set no API v2 key: it speaks API v3 only`,
    );
  }
  const sign_type = named === '' ? 'MD5' : named;
  if (!verifiesV2(fields, sign_type, merchant.api_v2_key)) {
    throw new Unheard('SIGNERROR', '签名错误', whyUnsigned(fields, sign_type, merchant));
  }
  return { fields, merchant, sign_type };
}

/** Guesses what went wrong with a signature, for the log only. */
function whyUnsigned(fields: Fields, sign_type: SignType, merchant: Merchant): string {
  const sign = fields.sign ?? '';
  if (sign === '') return 'sign is missing';
  const other: SignType = sign_type === 'MD5' ? 'HMAC-SHA256' : 'MD5';
  if (verifiesV2(fields, other, merchant.api_v2_key)) {
    return `it is signed with ${other}, but sign_type says ${fields.sign_type ?? 'nothing, which means MD5'}`;
  }
  if (verifiesV2(fields, sign_type, merchant.api_v3_key)) return 'it is signed with the APIv3 key';
  if (verifiesV2({ ...fields, sign: sign.toUpperCase() }, sign_type, merchant.api_v2_key)) {
    return 'the signature is right but in lower case';
  }
  const { sign_type: _left, ...without } = fields;
  if (verifiesV2(without, sign_type, merchant.api_v2_key))
    return 'sign_type was left out of the signed string';
  return `the ${sign_type} signature over ${Object.keys(fields).sort().join(', ')} does not fit the API v2 key of ${merchant.mch_id}`;
}

/** Whom a provider acts for; at a door `for_all` it may speak for all of its merchants at once. */
function withSub(platform: Platform, verified: Verified, for_all: boolean): Verified {
  const { fields, merchant } = verified;
  const sub_mch_id = fields.sub_mch_id ?? '';
  if (for_all && sub_mch_id === '') return verified;
  try {
    const sub = actingFor(platform, merchant, sub_mch_id);
    if (sub === undefined) return verified;
    needSubAppid(platform, sub, fields.sub_appid ?? '');
    return { ...verified, sub };
  } catch (cause) {
    if (!(cause instanceof UnknownSub)) throw cause;
    throw new Unheard('MCHID_NOT_EXIST', '商户号mch_id或sub_mch_id不存在', cause.message);
  }
}

/** Wraps a door: verifies, checks the accounts, runs it, and puts every refusal in its place. */
export function door(
  handle: (platform: Platform, call: Call, verified: Verified) => Answer | Promise<Answer>,
  for_all = false,
) {
  return async (platform: Platform, call: Call): Promise<Answer> => {
    let verified: Verified | undefined;
    try {
      verified = verify(platform, call);
      const appid = verified.fields.appid ?? '';
      if (appid === '' || accountOf(platform, appid) === undefined) {
        const why = appid === '' ? 'appid is missing' : `appid ${appid} is unknown here`;
        throw new Refusal('APPID_NOT_EXIST', 'APPID不存在', why);
      }
      if (!verified.merchant.appids.includes(appid)) {
        throw new Refusal(
          'APPID_MCHID_NOT_MATCH',
          'appid和mch_id不匹配',
          `appid ${appid} is not bound to mch_id ${verified.merchant.mch_id}`,
        );
      }
      verified = withSub(platform, verified, for_all);
      return await handle(platform, call, verified);
    } catch (cause) {
      if (cause instanceof Unheard) return levelOne(platform, call, cause);
      if (cause instanceof Refusal && verified !== undefined) {
        if (cause.code === 'TIME_EXPIRE_TOO_SHORT')
          return levelOne(platform, call, { ...cause, code: 'PARAM_ERROR' });
        return refused(platform, call, verified, cause.code, cause.text, cause.why);
      }
      throw cause;
    }
  };
}

export function heed(fault: FieldFault | undefined): void {
  if (fault === undefined) return;
  if (fault.level === 1) throw new Unheard(fault.code, fault.text, fault.why);
  throw new Refusal(fault.code, fault.text, fault.why);
}

/** SYSTEMERROR, signed where the request can be heard at all. */
export function systemError(platform: Platform, call: Call): Answer {
  try {
    const verified = verify(platform, call);
    return refused(platform, call, verified, 'SYSTEMERROR', '系统错误', 'a fault was armed');
  } catch (cause) {
    if (cause instanceof Unheard) return levelOne(platform, call, cause);
    throw cause;
  }
}

/** The same answer with its signature made wrong. */
export function spoil(answer: Answer): Answer {
  const body = answer.body
    .toString()
    .replace(/(<sign><!\[CDATA\[)([0-9A-F]+)/, (_all, open, sign) => open + spoiled(sign));
  return { ...answer, body };
}
