// How an API v3 request is heard and answered: the checks in WeChat's order, the signature over every business
// answer, refusals as status and code. It knows no order and no refund.

import { type Schema, schemaFault } from './fields_v3.ts';
import type { Answer, Call } from './http.ts';
import { Refusal } from './orders.ts';
import { merchantOf, type Platform } from './platform.ts';
import type { Merchant } from './registers.ts';
import {
  identityFor,
  merchantCertificate,
  merchantSigned,
  platformCertificate,
  probe,
  publicKeyId,
  SCHEME,
  signatureHeaders,
} from './sign_v3.ts';

const CLOCK_WINDOW_S = 300;

export type Body = Record<string, unknown>;
export type Heard = {
  merchant: Merchant;
  /** The parsed JSON body, checked against the route's schema; empty for a GET. */
  body: Body;
  /** What the route's pattern caught of the path, decoded. */
  named: string[];
  /** The request's Wechatpay-Serial names the public key. */
  wants_key: boolean;
};

/** A refusal after authentication: signed, with a status, a code and a text. */
export class RefusalV3 extends Error {
  readonly status: number;
  readonly code: string;
  readonly text: string;
  readonly why: string;
  readonly detail: unknown;
  constructor(status: number, code: string, text: string, why: string, detail?: unknown) {
    super(`${code}: ${why}`);
    this.status = status;
    this.code = code;
    this.text = text;
    this.why = why;
    this.detail = detail;
  }
}

/** A refusal before or by authentication: unsigned. `bare` has no body at all. */
class Unheard extends Error {
  readonly status: number;
  readonly code: string;
  readonly text: string;
  readonly detail: unknown;
  constructor(status: number, code: string, text: string, why: string, detail?: unknown) {
    super(why);
    this.status = status;
    this.code = code;
    this.text = text;
    this.detail = detail;
  }
}

export type Route = {
  method: 'GET' | 'POST';
  path: RegExp;
  schema?: Schema;
  /** A file: answered as it is, without signature and without Request-ID. */
  file?: boolean;
  handle(platform: Platform, call: Call, heard: Heard): Answer | Promise<Answer>;
};

/** The numbers that end a Request-ID, by code. */
const INTERNAL: Record<string, number> = {
  SIGN_ERROR: 268443699,
  PARAM_ERROR: 268435461,
  ORDERPAID: 268449538,
  ORDER_PAID: 268449538,
  ORDER_NOT_EXIST: 268512771,
  ORDER_CLOSED: 268447914,
  INVALID_REQUEST: 268498688,
  FREQUENCY_LIMITED: 268447840,
  APPID_MCHID_NOT_MATCH: 268445527,
};

/** What API v2's codes are called in v3, with their status. */
const TRANSLATED: Record<string, [number, string]> = {
  ORDERPAID: [400, 'ORDERPAID'],
  ORDERCLOSED: [400, 'ORDER_CLOSED'],
  OUT_TRADE_NO_USED: [400, 'INVALID_REQUEST'],
  ORDERNOTEXIST: [404, 'ORDER_NOT_EXIST'],
  NOAUTH: [403, 'NO_AUTH'],
  NOTENOUGH: [403, 'NOT_ENOUGH'],
  TRADE_STATE_ERROR: [403, 'TRADE_ERROR'],
  TRADE_OVERDUE: [400, 'TRADE_OVERDUE'],
  REFUND_FEE_MISMATCH: [400, 'INVALID_REQUEST'],
  ERROR: [400, 'INVALID_REQUEST'],
  BIZERR_NEED_RETRY: [500, 'BIZ_ERR_NEED_RETRY'],
  USER_ACCOUNT_ABNORMAL: [403, 'USER_ACCOUNT_ABNORMAL'],
  FREQUENCY_LIMITED: [429, 'FREQUENCY_LIMITED'],
  AUTHCODEEXPIRE: [403, 'AUTH_CODE_EXPIRE'],
  AUTH_CODE_ERROR: [400, 'AUTH_CODE_INVALID'],
  USERPAYING: [202, 'USERPAYING'],
  ORDERREVERSED: [400, 'ORDER_REVERSED'],
  BANKERROR: [500, 'BANK_ERROR'],
  BUYER_MISMATCH: [400, 'INVALID_REQUEST'],
  TRADE_ERROR: [403, 'TRADE_ERROR'],
};

/** The same refusal in API v3's words; what has no translation is a 400 under its own name. */
export function translated(refusal: Refusal): RefusalV3 {
  const [status, code] = TRANSLATED[refusal.code] ?? [400, refusal.code];
  const text =
    code === 'NO_AUTH' ? '商户号该产品权限未开通，请前往商户平台>产品中心检查后重试' : refusal.text;
  return new RefusalV3(status, code, text, refusal.why);
}

/** A JSON answer to be signed; undefined is a 204. */
export function plain(status: number, value: unknown): Answer {
  return {
    status,
    headers: value === undefined ? {} : { 'Content-Type': 'application/json; charset=utf-8' },
    body: value === undefined ? '' : JSON.stringify(value),
  };
}

/** Signs a business answer as the platform does, the armed faults of signatures worked in. */
function signed(platform: Platform, call: Call, heard: Heard, answer: Answer, code: string): Answer {
  const strike = (name: string) => {
    const struck = platform.faults.take(name, call);
    if (struck !== undefined) call.note.faults.push(struck.name);
    return struck;
  };
  const request_id = platform.ids
    .requestId()
    .replace(/\d+$/, String(INTERNAL[code] ?? (code === '' ? 0 : 268435463)));
  const common = {
    ...answer.headers,
    'Cache-Control': 'no-cache, must-revalidate',
    'X-Content-Type-Options': 'nosniff',
    'Content-Language': 'zh-CN',
    'Request-ID': request_id,
  };
  if (strike('answer_unsigned')) return { ...answer, headers: common };
  const stale = strike('answer_stale');
  const at_s = Math.floor(Date.now() / 1000) - (stale?.number('age_s') ?? 0);
  const body = answer.body.toString();
  const identity = identityFor(platform, heard.merchant, heard.wants_key);
  const headers = signatureHeaders(platform, identity, platform.ids.hex(32), body, at_s);
  if (strike('answer_wrong_serial')) headers['Wechatpay-Serial'] = strangeSerial(identity.serial);
  if (strike('answer_probe')) headers['Wechatpay-Signature'] = probe(headers['Wechatpay-Signature'] ?? '');
  const sent = strike('answer_tampered') === undefined ? body : tampered(body);
  return { ...answer, headers: { ...common, ...headers }, body: sent };
}

/** Another text of the same shape: its last digit changed, or without one the end of its last string. */
function tampered(body: string): string {
  return /\d/.test(body)
    ? body.replace(/\d(?=\D*$)/, (digit) => (digit === '9' ? '8' : '9'))
    : body.replace(/[^"](?="[^"]*$)/, '*');
}

/** A serial of the same kind that nobody was ever given. */
export function strangeSerial(serial: string): string {
  return serial.startsWith('PUB_KEY_ID_') ? `PUB_KEY_ID_${'9'.repeat(28)}` : 'F'.repeat(40);
}

function unheard(call: Call, fault: Unheard): Answer {
  call.note.code = fault.code || String(fault.status);
  call.note.why = fault.message;
  if (fault.code === '') return { status: fault.status, headers: {}, body: '' };
  return plain(fault.status, {
    code: fault.code,
    ...(fault.detail === undefined ? {} : { detail: fault.detail }),
    message: fault.text,
  });
}

function refusedAnswer(platform: Platform, call: Call, heard: Heard, refusal: RefusalV3): Answer {
  call.note.code = refusal.code;
  call.note.why = refusal.why;
  const { code, text, detail, status } = refusal;
  const value = { code, ...(detail === undefined ? {} : { detail }), message: text };
  return signed(platform, call, heard, plain(status, value), code);
}

const signError = (text: string, why: string, detail?: unknown) =>
  new Unheard(401, 'SIGN_ERROR', text, why, detail);

/** Steps 1 to 8: path, method, headers, the form of Authorization, time, serial, signature. */
function authenticate(platform: Platform, call: Call, routes: Route[]): { route: Route; heard: Heard } {
  const matching = routes.filter((r) => r.path.test(call.path));
  if (matching.length === 0) throw new Unheard(404, '', '', `${call.path} is no door of API v3 here`);
  const route = matching.find((r) => r.method === call.method);
  if (route === undefined) throw new Unheard(405, '', '', `${call.method} is not served at ${call.path}`);
  const order_door = call.path.startsWith('/v3/pay/transactions');
  if (!order_door && (!call.headers['user-agent'] || !call.headers.accept)) {
    throw new Unheard(
      400,
      'INVALID_REQUEST',
      'Http头缺少Accept或User-Agent',
      'Accept or User-Agent is missing',
    );
  }
  const header = call.headers.authorization ?? '';
  const [scheme = ''] = header.split(' ', 1);
  const pairs = Object.fromEntries(
    [...header.slice(scheme.length + 1).matchAll(/([a-z_]+)="([^"]*)"(?:,|$)/g)].map((m) => [m[1], m[2]]),
  ) as Record<string, string>;
  const { mchid = '', nonce_str = '', signature = '', timestamp = '', serial_no = '' } = pairs;
  const rebuilt = header.slice(scheme.length + 1).replace(/([a-z_]+)="([^"]*)"(?:,|$)/g, '');
  if (header === '' || rebuilt !== '' || [mchid, nonce_str, signature, timestamp, serial_no].includes('')) {
    throw signError(
      order_door
        ? '签名信息错误，验签失败'
        : 'Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》',
      header === '' ? 'Authorization is missing' : 'Authorization is not scheme and five key="value" pairs',
    );
  }
  if (scheme !== SCHEME)
    throw signError('Http头Authorization中的认证类型不正确', `the scheme is ${scheme}, not ${SCHEME}`);
  const now_s = Date.now() / 1000;
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now_s - Number(timestamp)) > CLOCK_WINDOW_S) {
    throw signError(
      'Http头Authorization中的timestamp与发起请求的时间不得超过5分钟',
      `timestamp ${timestamp} is not within ${CLOCK_WINDOW_S} seconds of ${Math.floor(now_s)}`,
    );
  }
  const merchant = merchantOf(platform, mchid);
  if (merchant === undefined || merchant.mode === 'v2') {
    const why =
      merchant === undefined ? `mchid ${mchid} is unknown here` : `${mchid} has no API v3 certificate`;
    throw signError('商户未申请过证书', why);
  }
  const own = merchantCertificate(platform, mchid);
  if (serial_no.toUpperCase() !== own.serial) {
    throw signError(
      '商户证书序列号有误。请使用签名私钥匹配的证书序列号',
      `serial_no ${serial_no} is not ${mchid}'s; its certificate is ${own.serial}`,
    );
  }
  const message = `${call.method}\n${call.target}\n${timestamp}\n${nonce_str}\n${call.body.toString('utf8')}\n`;
  if (!merchantSigned(platform, mchid, message, signature)) {
    throw signError(
      '签名错误，请检查后再试',
      `the signature does not fit ${JSON.stringify(message.slice(0, 200))}`,
      {
        detail: { issue: 'sign not match' },
        field: 'signature',
        location: 'authorization',
        sign_information: {
          method: call.method,
          sign_message_length: Buffer.byteLength(message),
          truncated_sign_message: message.slice(0, 128),
          url: call.target,
        },
      },
    );
  }
  const wechatpay_serial = String(call.headers['wechatpay-serial'] ?? '');
  const named = (route.path.exec(call.path) ?? []).slice(1).map((part) => decoded(part));
  return {
    route,
    heard: { merchant, body: {}, named, wants_key: wechatpay_serial === publicKeyId(mchid) },
  };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // A malformed escape is looked up as it stands and found nowhere.
    return part;
  }
}

/** Step 9 and 10: the platform serial, the body's schema, and whose body it is. */
function readBody(platform: Platform, call: Call, route: Route, heard: Heard): void {
  const { merchant } = heard;
  const serial = String(call.headers['wechatpay-serial'] ?? '');
  const known = [
    ...(merchant.mode === 'public_key' ? [] : [platformCertificate(platform).serial]),
    publicKeyId(merchant.mch_id),
  ];
  if (serial !== '' && !known.includes(serial)) {
    const why = `Wechatpay-Serial is ${serial}, this merchant knows ${known.join(', ')}`;
    throw new RefusalV3(400, 'PARAM_ERROR', '平台证书序列号Wechatpay-Serial错误', why);
  }
  if (route.schema === undefined) return;
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(call.body));
  } catch (cause) {
    const why = `the body is no JSON in UTF-8: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new RefusalV3(400, 'PARAM_ERROR', '请求体不是合法的JSON', why, { location: 'body', value: '' });
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new RefusalV3(400, 'PARAM_ERROR', '请求体不是合法的JSON', 'the body is no object', {
      location: 'body',
      value: '',
    });
  }
  heard.body = Object.fromEntries(Object.entries(parsed));
  const fault = schemaFault(heard.body, route.schema);
  if (fault !== undefined) throw new RefusalV3(400, 'PARAM_ERROR', fault.message, fault.why, fault.detail);
  const mchid = heard.body.sp_mchid ?? heard.body.mchid;
  if (typeof mchid === 'string' && mchid !== merchant.mch_id) {
    throw new RefusalV3(
      400,
      'PARAM_ERROR',
      'http header中的mchid与post payload中的mchid不匹配',
      `the header is ${merchant.mch_id}'s, the body ${mchid}'s`,
    );
  }
}

/** The door behind every path of API v3; `failing` answers SYSTEM_ERROR to whoever is authenticated. */
export function serve(routes: Route[], failing = false) {
  return async (platform: Platform, call: Call): Promise<Answer> => {
    let heard: Heard | undefined;
    try {
      const found = authenticate(platform, call, routes);
      heard = found.heard;
      if (failing) throw new RefusalV3(500, 'SYSTEM_ERROR', '系统错误', 'a fault was armed');
      const limited = platform.faults.take('frequency_limited', call);
      if (limited !== undefined) {
        call.note.faults.push(limited.name);
        throw new RefusalV3(429, 'FREQUENCY_LIMITED', '频率超限', 'a fault was armed');
      }
      readBody(platform, call, found.route, heard);
      const answer = await found.route.handle(platform, call, heard);
      return found.route.file ? answer : signed(platform, call, heard, answer, '');
    } catch (cause) {
      if (cause instanceof Unheard) return unheard(call, cause);
      if (heard !== undefined && cause instanceof RefusalV3)
        return refusedAnswer(platform, call, heard, cause);
      if (heard !== undefined && cause instanceof Refusal)
        return refusedAnswer(platform, call, heard, translated(cause));
      throw cause;
    }
  };
}

/** The mchid (or sp_mchid) a GET must carry in its query, equal to the signer's. */
export function needMchid(call: Call, heard: Heard, name: 'mchid' | 'sp_mchid' = 'mchid'): void {
  const mchid = call.query.get(name) ?? '';
  if (mchid === '') {
    const label = name === 'mchid' ? '直连商户号' : '服务商户号';
    throw new RefusalV3(
      400,
      'PARAM_ERROR',
      `输入源“/query/${name}”映射到字段“${label}”必填性规则校验失败，此字段为必填项`,
      `${name} is missing in the query`,
      { location: 'query', value: '' },
    );
  }
  if (mchid !== heard.merchant.mch_id) {
    throw new RefusalV3(
      404,
      'ORDER_NOT_EXIST',
      '订单不存在',
      `the order would be ${mchid}'s, not the signer's`,
    );
  }
}
