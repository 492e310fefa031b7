/**
 * One API v2 call: signs and sends the fields, then judges the reply in WeChat's documented order: return_code,
 * signature, whose it is, result_code. Gives back checked fields, or throws a `WechatError`.
 */
import { WechatError } from '../errors.ts';
import { type Answer, DEFAULT_TIMEOUT_MS, type Request, sendRequest } from '../http.ts';
import type { Exchange, Ports, TradeAccount } from '../types.ts';
import { parseXml, serialiseXml, XmlError, type XmlFields } from '../xml.ts';
import { type ClientCertificate, fetchWithCertificate } from './certificate.ts';
import { type CallV2, codeOfReturnMessage, outcomeOfCode } from './errors.ts';
import { checkFields, FieldError } from './fields.ts';
import { type SignTypeV2, signV2, verifyV2 } from './sign.ts';

export interface WechatPayV2Config {
  /** The account's appid; in partner mode the provider's. */
  appid: string;
  mch_id: string;
  /** Partner mode: the account the payer is in. JSAPI trades then need `sub_openid`, and the page gets this appid. */
  sub_appid?: string;
  sub_mch_id?: string;
  /** API密钥, not the APIv3 key; in partner mode the provider's. */
  api_v2_key: string;
  sign_type: SignTypeV2;
  /** `https://api.mch.weixin.qq.com`, or a simulator. */
  base_url: string;
  /** Where calls with the client certificate go; `base_url` unless told. */
  certificate_base_url?: string;
  /** Needed to refund and to fetch the fund-flow bill. */
  client_certificate?: ClientCertificate;
  /** For each whole exchange; 10 seconds unless told. */
  timeout_ms?: number;
}

/** A request's own fields; an absent value is not sent. */
export type RequestFields = Readonly<Record<string, string | undefined>>;

export interface Reply {
  fields: XmlFields;
  exchange: Exchange;
}

export interface Door {
  path: string;
  /** Whether this call wants the merchant's client certificate. */
  certificate: boolean;
  /** WeChat's host for face devices; a simulator plays it at the same address as the rest. */
  host?: 'face';
}

export const DOORS: Readonly<Record<CallV2, Door>> = {
  unifiedorder: { path: '/pay/unifiedorder', certificate: false },
  orderquery: { path: '/pay/orderquery', certificate: false },
  closeorder: { path: '/pay/closeorder', certificate: false },
  refund: { path: '/secapi/pay/refund', certificate: true },
  refundquery: { path: '/pay/refundquery', certificate: false },
  downloadbill: { path: '/pay/downloadbill', certificate: false },
  downloadfundflow: { path: '/pay/downloadfundflow', certificate: true },
  shorturl: { path: '/tools/shorturl', certificate: false },
  micropay: { path: '/pay/micropay', certificate: false },
  reverse: { path: '/secapi/pay/reverse', certificate: true },
  authcodetoopenid: { path: '/tools/authcodetoopenid', certificate: false },
  get_wxpayface_authinfo: { path: '/face/get_wxpayface_authinfo', certificate: false, host: 'face' },
  facepay: { path: '/pay/facepay', certificate: false },
  facepayquery: { path: '/pay/facepayquery', certificate: false },
  facepayreverse: { path: '/secapi/pay/facepayreverse', certificate: true },
  sendredpack: { path: '/mmpaymkttransfers/sendredpack', certificate: true },
  sendgroupredpack: { path: '/mmpaymkttransfers/sendgroupredpack', certificate: true },
  gethbinfo: { path: '/mmpaymkttransfers/gethbinfo', certificate: true },
};

/** Face devices are let in elsewhere than at the pay platform. */
const FACE_BASE_URL = 'https://payapp.weixin.qq.com';

/** Everything the calls of one merchant have in common. */
export interface Caller {
  config: WechatPayV2Config;
  ports: Ports;
  /** The same line and certificate for another account's trades. */
  forAccount(account: TradeAccount): Caller;
  /** Sends and judges; the reply is verified, ours and successful. */
  call(call: CallV2, fields: RequestFields): Promise<Reply>;
  /** What goes over the line, for answers that are not such a reply. */
  prepare(
    call: CallV2,
    fields: RequestFields,
    sign_type: SignTypeV2,
  ): { request: Request; fetch: Ports['fetch'] };
}

export function createCaller(config: WechatPayV2Config, ports: Ports): Caller {
  const certified =
    ports.fetch_with_certificate ??
    (config.client_certificate === undefined ? undefined : fetchWithCertificate(config.client_certificate));
  return callerOf(config, ports, certified);
}

function callerOf(config: WechatPayV2Config, ports: Ports, certified: Ports['fetch'] | undefined): Caller {
  const caller: Caller = {
    config,
    ports,
    forAccount({ appid, sub_mch_id, sub_appid }) {
      const { sub_mch_id: _one, sub_appid: _other, ...merchant } = config;
      const account = {
        appid,
        ...(sub_mch_id === undefined ? {} : { sub_mch_id }),
        ...(sub_appid === undefined ? {} : { sub_appid }),
      };
      return callerOf({ ...merchant, ...account }, ports, certified);
    },
    prepare(call, fields, sign_type) {
      const { path, certificate, host } = DOORS[call];
      const base_url =
        host === 'face' && /\.weixin\.qq\.com\/*$/.test(config.base_url)
          ? FACE_BASE_URL
          : ((certificate ? config.certificate_base_url : undefined) ?? config.base_url);
      const body = serialiseXml(signedFields(config, fields, sign_type, ports.nonce()));
      const request: Request = {
        method: 'POST',
        base_url: base_url.replace(/\/+$/, ''),
        path,
        headers: { 'content-type': 'text/xml; charset=utf-8' },
        body,
        timeout_ms: config.timeout_ms ?? DEFAULT_TIMEOUT_MS,
      };
      // Without TLS there is nothing to show a certificate to; only a simulator is spoken to like that.
      const fetch = certificate && base_url.startsWith('https:') ? certified : ports.fetch;
      if (fetch === undefined) {
        throw new WechatError('refused', 'NO_CERTIFICATE', `${call} needs the client certificate`);
      }
      return { request, fetch };
    },
    async call(call, fields) {
      const { request, fetch } = caller.prepare(call, fields, config.sign_type);
      const answer = await sendRequest(fetch, ports.now, request);
      return { fields: judge(config, call, answer), exchange: answer.exchange };
    },
  };
  return caller;
}

function signedFields(
  config: WechatPayV2Config,
  fields: RequestFields,
  sign_type: SignTypeV2,
  nonce_str: string,
): Record<string, string> {
  const all = {
    appid: config.appid,
    mch_id: config.mch_id,
    sub_appid: config.sub_appid,
    sub_mch_id: config.sub_mch_id,
    nonce_str,
    sign_type,
    ...fields,
  };
  const sent: Record<string, string> = {};
  for (const [name, value] of Object.entries(all)) {
    if (value !== undefined && value !== '') sent[name] = value;
  }
  return { ...sent, sign: signV2(sent, config.api_v2_key, sign_type) };
}

function judge(config: WechatPayV2Config, call: CallV2, { status, body, exchange }: Answer): XmlFields {
  if (status !== 200) {
    throw httpFailure(call, exchange);
  }
  const fields = readAnswer(call, body, exchange);
  if (fields.return_code === 'FAIL') throw returnFailure(call, fields, exchange);
  if (fields.return_code !== 'SUCCESS') throw badAnswer(call, exchange, 'no return_code');
  if (!verifyV2(fields, config.api_v2_key, config.sign_type)) {
    throw new WechatError('unknown', 'BAD_SIGNATURE', `${call}: the answer's signature is wrong`, {
      exchange,
    });
  }
  refuseForeignAnswer(config, call, fields, exchange);
  if (fields.result_code === 'FAIL') throw resultFailure(call, fields, exchange);
  if (fields.result_code !== 'SUCCESS') throw badAnswer(call, exchange, 'no result_code');
  return orBadAnswer(call, exchange, () => {
    checkFields(fields);
    return fields;
  });
}

/** The XML of an answer; `BAD_ANSWER` when it is none. */
export function readAnswer(call: CallV2, body: Uint8Array, exchange: Exchange): XmlFields {
  try {
    return parseXml(body);
  } catch (cause) {
    if (!(cause instanceof XmlError)) throw cause;
    throw badAnswer(call, exchange, 'no XML of WeChat', cause);
  }
}

/** `return_code=FAIL` carries no signature and no code; its text decides. */
export function returnFailure(call: CallV2, fields: XmlFields, exchange: Exchange): WechatError {
  const return_msg = fields.return_msg ?? '';
  const code = codeOfReturnMessage(return_msg);
  return new WechatError(outcomeOfCode(call, code), code, `${call}: ${return_msg}`, { exchange });
}

/** `result_code=FAIL`: the code decides; `err_code_des` is for people. */
export function resultFailure(call: CallV2, fields: XmlFields, exchange: Exchange): WechatError {
  const code = fields.err_code || 'NO_ERR_CODE';
  const message = `${call}: ${code} ${fields.err_code_des ?? ''}`.trimEnd();
  return new WechatError(outcomeOfCode(call, code), code, message, { exchange });
}

/** WeChat says everything with status 200; any other comes from the way there, and proves nothing. */
export function httpFailure(call: CallV2, exchange: Exchange): WechatError {
  return new WechatError('unknown', `HTTP_${exchange.status}`, `${call}: HTTP status ${exchange.status}`, {
    exchange,
  });
}

/** Runs what reads the reply's own fields; a field that does not fit is a `BAD_ANSWER`. */
export function orBadAnswer<T>(call: CallV2, exchange: Exchange, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof FieldError)) throw cause;
    throw badAnswer(call, exchange, cause.message, cause);
  }
}

/** The right key may have signed an answer to another account's question. */
function refuseForeignAnswer(
  config: WechatPayV2Config,
  call: CallV2,
  fields: XmlFields,
  exchange: Exchange,
): void {
  const { appid, mch_id, sub_appid, sub_mch_id } = config;
  const foreign =
    fields.appid !== appid ||
    fields.mch_id !== mch_id ||
    (fields.sub_mch_id || sub_mch_id) !== sub_mch_id ||
    (fields.sub_appid || sub_appid) !== sub_appid;
  if (foreign) throw badAnswer(call, exchange, 'it answers another merchant');
}

/** An answer that is none of WeChat's, or none to our question. */
export function badAnswer(call: CallV2, exchange: Exchange, why: string, cause?: unknown): WechatError {
  return new WechatError('unknown', 'BAD_ANSWER', `${call}: ${why}`, { exchange, cause });
}
