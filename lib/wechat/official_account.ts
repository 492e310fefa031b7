/**
 * Calls to the official account's API: JSON over HTTPS, errors with status 200 and an errcode. Records no exchange,
 * since secret and tokens travel in address and body, and caches nothing.
 *
 * Source: WeChat Official Accounts, 获取稳定版接口调用凭据, JS-SDK 说明文档.
 */
import { WechatError } from './errors.ts';
import { DEFAULT_TIMEOUT_MS, sendRequest } from './http.ts';
import { OfficialAccountError } from './official_account_errors.ts';
import type { Ports } from './types.ts';

export type Json = Record<string, unknown>;

interface JsonCall {
  /** `https://api.weixin.qq.com`, or a simulator. */
  api_base_url: string;
  path: string;
  query?: Record<string, string>;
  /** Makes it a POST. */
  json?: Json;
  timeout_ms?: number | undefined;
}

/** One call; resolves with the answer's object when its errcode is 0 or absent, else rejects with `OfficialAccountError`. */
export async function callOfficialAccount(call: JsonCall, ports: Ports): Promise<Json> {
  const query = call.query === undefined ? '' : `?${new URLSearchParams(call.query)}`;
  const answer = await sendRequest(ports.fetch, ports.now, {
    method: call.json === undefined ? 'GET' : 'POST',
    base_url: call.api_base_url.replace(/\/+$/, ''),
    path: `${call.path}${query}`,
    ...(call.json === undefined
      ? {}
      : { headers: { 'content-type': 'application/json; charset=utf-8' }, body: JSON.stringify(call.json) }),
    timeout_ms: call.timeout_ms ?? DEFAULT_TIMEOUT_MS,
    secret: true,
  }).catch((cause: unknown) => {
    if (!(cause instanceof WechatError)) throw cause;
    throw new OfficialAccountError(undefined, cause.code, cause.message, cause);
  });
  if (answer.status !== 200) {
    throw new OfficialAccountError(undefined, `HTTP_${answer.status}`, `HTTP status ${answer.status}`);
  }
  const json = readJson(answer.body);
  const errcode = json.errcode ?? 0;
  if (errcode === 0) return json;
  if (typeof errcode !== 'number') throw badAnswer('errcode is no number');
  throw new OfficialAccountError(errcode, String(errcode), textOr(json.errmsg, ''));
}

/**
 * The basic access_token, the stable kind: asking twice gives the same one while it lives. Up to 512 characters.
 * `force_refresh` ends the present one at once; WeChat allows it 20 times a day, 30 seconds apart.
 */
export async function fetchStableToken(
  account: {
    api_base_url: string;
    appid: string;
    secret: string;
    force_refresh?: boolean;
    timeout_ms?: number;
  },
  ports: Ports,
): Promise<{ access_token: string; expires_in_s: number }> {
  const { api_base_url, appid, secret, force_refresh = false, timeout_ms } = account;
  const json = await callOfficialAccount(
    {
      api_base_url,
      path: '/cgi-bin/stable_token',
      json: { grant_type: 'client_credential', appid, secret, force_refresh },
      timeout_ms,
    },
    ports,
  );
  return { access_token: textOf(json, 'access_token'), expires_in_s: secondsOf(json, 'expires_in') };
}

/** The ticket that `wx.config` signatures are made with. */
export async function fetchJsapiTicket(
  account: { api_base_url: string; access_token: string; timeout_ms?: number },
  ports: Ports,
): Promise<{ ticket: string; expires_in_s: number }> {
  const { api_base_url, access_token, timeout_ms } = account;
  const json = await callOfficialAccount(
    { api_base_url, path: '/cgi-bin/ticket/getticket', query: { access_token, type: 'jsapi' }, timeout_ms },
    ports,
  );
  return { ticket: textOf(json, 'ticket'), expires_in_s: secondsOf(json, 'expires_in') };
}

export function textOf(json: Json, name: string): string {
  const value = json[name];
  if (typeof value !== 'string' || value === '' || value.length > 2048) throw badAnswer(`${name} is no text`);
  return value;
}

export function textOr<T>(value: unknown, fallback: T): string | T {
  return typeof value === 'string' && value !== '' ? value.slice(0, 512) : fallback;
}

export function badAnswer(why: string, cause?: unknown): OfficialAccountError {
  return new OfficialAccountError(undefined, 'BAD_ANSWER', why, cause);
}

function secondsOf(json: Json, name: string): number {
  const value = json[name];
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0)
    throw badAnswer(`${name} is no time`);
  return value;
}

function readJson(body: Uint8Array): Json {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    // A msgid may be longer than a number of JavaScript can hold exactly.
    const value: unknown = JSON.parse(text.replace(/("msgid"\s*:\s*)(\d{1,20})(?=\s*[,}])/, '$1"$2"'));
    if (isJsonObject(value)) return value;
  } catch (cause) {
    throw badAnswer('no JSON', cause);
  }
  throw badAnswer('no JSON object');
}

function isJsonObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
