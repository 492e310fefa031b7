// What API v2 asks of each field of the unified order: presence, bytes, format. Where the real text of a refusal
// was observed it is used, at the level it was observed; everything else is PARAM_ERROR.

import { isIP } from 'node:net';
import { parseBeijing14 } from './time.ts';
import type { Fields } from './xml.ts';

/** Level 1 is return_code=FAIL, unsigned; level 2 is result_code=FAIL, signed. `code` is WeChat's name for it. */
export type FieldFault = { level: 1 | 2; code: string; text: string; why: string };

const REQUIRED = [
  'nonce_str',
  'body',
  'out_trade_no',
  'total_fee',
  'spbill_create_ip',
  'notify_url',
  'trade_type',
];

/** Byte lengths from the field tables. */
const MOST_BYTES: Record<string, number> = {
  appid: 32,
  mch_id: 32,
  device_info: 32,
  nonce_str: 32,
  sign_type: 32,
  detail: 6000,
  attach: 127,
  out_trade_no: 32,
  fee_type: 16,
  spbill_create_ip: 64,
  goods_tag: 32,
  notify_url: 256,
  trade_type: 16,
  product_id: 32,
  limit_pay: 32,
  openid: 128,
  sub_openid: 128,
  sub_appid: 32,
  sub_mch_id: 32,
  scene_info: 256,
  auth_code: 128,
  face_code: 128,
};

const BODY_MOST_BYTES = 127;
const MOST_FEN = 2 ** 31 - 1;

/** The first fault of a unified order's fields, in the order WeChat is taken to look: missing, then malformed. */
export function unifiedorderFault(f: Fields, strict: boolean): FieldFault | undefined {
  return missing(f) ?? tooLong(f) ?? malformed(f, strict);
}

/** The first fault of a charge at a counter; `own` are the fields that stand for the payer. */
export function counterFault(f: Fields, strict: boolean, own: string[]): FieldFault | undefined {
  const required = REQUIRED.filter((name) => name !== 'notify_url' && name !== 'trade_type');
  return lacking(f, [...required, ...own]) ?? tooLong(f) ?? goodsFault(f, strict);
}

/** Whether a required field is absent or empty. */
export function lacking(f: Fields, names: string[]): FieldFault | undefined {
  const name = names.find((n) => (f[n] ?? '') === '');
  if (name === undefined) return undefined;
  return {
    level: 1,
    code: 'LACK_PARAMS',
    text: `缺少参数：${name}`,
    why: `${name} is required and is missing or empty`,
  };
}

/** Formats of the fields that queries and closes share. */
export function numberFault(f: Fields): FieldFault | undefined {
  return tooLong(f) ?? outTradeNo(f, false);
}

function missing(f: Fields): FieldFault | undefined {
  const lack = lacking(f, REQUIRED);
  if (lack !== undefined) return lack;
  const payer = f.sub_mch_id ? f.openid || f.sub_openid : f.openid;
  if (f.trade_type === 'JSAPI' && !payer) {
    return {
      level: 1,
      code: 'LACK_PARAMS',
      text: 'JSAPI支付必须传openid',
      why: 'trade_type JSAPI needs the openid of the payer',
    };
  }
  if (f.trade_type === 'NATIVE') return lacking(f, ['product_id']);
  if (f.trade_type === 'MWEB') return lacking(f, ['scene_info']);
  return undefined;
}

function tooLong(f: Fields): FieldFault | undefined {
  for (const [name, most] of Object.entries(MOST_BYTES)) {
    const size = Buffer.byteLength(f[name] ?? '', 'utf8');
    if (size > most) return parameter(name, `${name} is ${size} bytes of UTF-8, at most ${most} are allowed`);
  }
  return undefined;
}

function malformed(f: Fields, strict: boolean): FieldFault | undefined {
  return goodsFault(f, strict) ?? notifyUrl(f.notify_url ?? '', strict) ?? tradeType(f);
}

/** What every way of paying says of the goods, the amount and the time. */
function goodsFault(f: Fields, strict: boolean): FieldFault | undefined {
  const bytes = Buffer.byteLength(f.body ?? '', 'utf8');
  if (bytes > BODY_MOST_BYTES) {
    return observed(
      'body参数长度有误',
      `body is ${bytes} bytes of UTF-8, at most ${BODY_MOST_BYTES} are allowed`,
    );
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u001f]/.test(f.body ?? ''))
    return observed('body参数格式错误', 'body holds control characters');
  const total = f.total_fee ?? '';
  if (!/^[1-9]\d{0,9}$/.test(total) || Number(total) > MOST_FEN) {
    return observed(
      'invalid total_fee',
      `total_fee is ${total}; it is a whole number of fen from 1 to ${MOST_FEN}`,
    );
  }
  if (isIP(f.spbill_create_ip ?? '') === 0) {
    return observed(
      'invalid spbill_create_ip',
      `spbill_create_ip ${f.spbill_create_ip} is no IPv4 or IPv6 address`,
    );
  }
  return (
    outTradeNo(f, strict) ??
    times(f) ??
    currency(f) ??
    jsonField(f, 'detail') ??
    jsonField(f, 'scene_info') ??
    choice(f, 'limit_pay', ['no_credit']) ??
    choice(f, 'profit_sharing', ['Y', 'N']) ??
    choice(f, 'receipt', ['Y'])
  );
}

function outTradeNo(f: Fields, strict: boolean): FieldFault | undefined {
  const value = f.out_trade_no ?? '';
  if (value === '') return undefined;
  if (!/^[0-9A-Za-z_\-|*]{1,32}$/.test(value)) {
    return parameter(
      'out_trade_no',
      `out_trade_no ${value} has characters other than digits, letters and _-|*`,
    );
  }
  return strict && value.length < 6
    ? parameter('out_trade_no', 'strict: out_trade_no has at least 6 characters')
    : undefined;
}

function notifyUrl(value: string, strict: boolean): FieldFault | undefined {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    return parameter('notify_url', `notify_url ${value} is no http or https address`);
  }
  if (value.includes('?') || value.includes('#')) {
    return parameter('notify_url', 'notify_url must carry no query string and no fragment');
  }
  return strict && url.protocol !== 'https:'
    ? parameter('notify_url', 'strict: notify_url must be https')
    : undefined;
}

function times(f: Fields): FieldFault | undefined {
  for (const name of ['time_start', 'time_expire']) {
    const value = f[name] ?? '';
    if (value !== '' && parseBeijing14(value) === undefined) {
      return parameter(name, `${name} ${value} is no yyyyMMddHHmmss time`);
    }
  }
  const [start, end] = [f.time_start ?? '', f.time_expire ?? ''];
  return start !== '' && end !== '' && end <= start
    ? parameter('time_expire', 'time_expire is not after time_start')
    : undefined;
}

function currency(f: Fields): FieldFault | undefined {
  return choice(f, 'fee_type', ['CNY']);
}

function tradeType(f: Fields): FieldFault | undefined {
  return choice(f, 'trade_type', ['JSAPI', 'NATIVE', 'APP', 'MWEB']);
}

function jsonField(f: Fields, name: string): FieldFault | undefined {
  const value = f[name] ?? '';
  if (value === '') return undefined;
  try {
    JSON.parse(value);
    return undefined;
  } catch (cause) {
    return parameter(name, `${name} is no JSON: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

function choice(f: Fields, name: string, allowed: string[]): FieldFault | undefined {
  const value = f[name] ?? '';
  if (value === '' || allowed.includes(value)) return undefined;
  return parameter(name, `${name} is ${value}; allowed here: ${allowed.join(', ')}`);
}

function parameter(name: string, why: string): FieldFault {
  return { level: 2, code: 'PARAM_ERROR', text: `参数错误：${name}`, why };
}

function observed(text: string, why: string): FieldFault {
  return { level: 1, code: 'PARAM_ERROR', text, why };
}
