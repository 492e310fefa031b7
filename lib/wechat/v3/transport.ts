/**
 * One signed request and its raw answer. It believes nothing yet: whether an answer is the platform's is decided by
 * its callers.
 */
import { type Request, sendRequest } from '../http.ts';
import type { Exchange, Ports } from '../types.ts';
import type { MissingCode } from './answer_codes.ts';
import { authorization } from './authorization.ts';
import type { Merchant } from './settings.ts';

/** What may be asked of the platform. */
export interface Call {
  method: 'GET' | 'POST';
  /** Path and query, percent-encoded as they go on the wire. */
  path: string;
  /** The body, serialised once: what is signed is what is sent. */
  body?: string | undefined;
  /** `Wechatpay-Serial`: the key sensitive fields were encrypted with, or the public key to answer with. */
  platform_serial?: string | undefined;
  /** What the error code for "no such thing" is called here. */
  missing?: MissingCode;
}

export interface RawAnswer {
  status: number;
  headers: Headers;
  body: Uint8Array;
  exchange: Exchange;
}

/** The request with headers made anew for every sending: time, nonce and signature belong to one sending only. */
export function signedRequest(merchant: Merchant, ports: Ports, call: Call): Request {
  const { method, path, body, platform_serial } = call;
  const timestamp = Math.floor(ports.now().getTime() / 1000);
  return {
    method,
    base_url: merchant.origin,
    path,
    headers: {
      Authorization: authorization(merchant, {
        method,
        path,
        body: body ?? '',
        timestamp,
        nonce: ports.nonce(),
      }),
      Accept: 'application/json',
      // The signature covers the body: no step in between shall re-encode it.
      'Accept-Encoding': 'identity',
      'User-Agent': merchant.user_agent,
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...(platform_serial === undefined ? {} : { 'Wechatpay-Serial': platform_serial }),
    },
    ...(body === undefined ? {} : { body }),
    timeout_ms: merchant.timeout_ms,
  };
}

/** Sends and reads the whole answer; rejects with an `unknown` `WechatError` when there is none to read. */
export async function send(merchant: Merchant, ports: Ports, call: Call): Promise<RawAnswer> {
  let headers = new Headers();
  const fetch: Ports['fetch'] = async (url, init) => {
    const response = await ports.fetch(url, init);
    headers = response.headers;
    return response;
  };
  const answer = await sendRequest(fetch, ports.now, signedRequest(merchant, ports, call));
  return { ...answer, headers };
}
