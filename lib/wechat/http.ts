/**
 * One HTTP exchange with WeChat: a time limit over all of it, a cap while reading, and a record of what went over the
 * line. Never retries, never follows a redirect, and never reads sense into an answer.
 */
import { WechatError } from './errors.ts';
import type { Exchange, Ports } from './types.ts';

/** Far above any answer of WeChat's API; bills are streamed and do not come through here. */
export const MAX_ANSWER_BYTES = 1024 * 1024;

/** WeChat publishes no number; SDKs read for 8–15 seconds. */
export const DEFAULT_TIMEOUT_MS = 10_000;

export interface Request {
  method: 'GET' | 'POST';
  base_url: string;
  /** Path and query. */
  path: string;
  headers?: Record<string, string>;
  body?: string;
  timeout_ms: number;
  /** Keys or tokens travel in it, so neither its query nor its bodies are recorded. */
  secret?: boolean;
}

export interface Answer {
  status: number;
  body: Uint8Array;
  exchange: Exchange;
}

/**
 * Sends and reads the whole answer. Rejects with an `unknown` `WechatError`: `NO_ANSWER` when the line failed or the
 * time ran out, `BAD_ANSWER` when the answer never ended within the cap. Any HTTP status resolves.
 */
export async function sendRequest(
  fetch: Ports['fetch'],
  now: Ports['now'],
  request: Request,
): Promise<Answer> {
  const exchange = beginExchange(now, request);
  const signal = AbortSignal.timeout(request.timeout_ms);
  let body: Uint8Array | undefined;
  try {
    const response = await openResponse(fetch, request, signal);
    noteAnswer(exchange, response);
    body = await readCapped(response, MAX_ANSWER_BYTES);
  } catch (cause) {
    throw noAnswer(exchange, cause);
  } finally {
    exchange.duration_ms = now().getTime() - exchange.started_at.getTime();
  }
  if (body === undefined) {
    throw new WechatError('unknown', 'BAD_ANSWER', 'the answer is too long', { exchange });
  }
  if (!request.secret) {
    exchange.response_body = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString();
  }
  return { status: exchange.status ?? 0, body, exchange };
}

export function beginExchange(now: Ports['now'], request: Request): Exchange {
  return {
    method: request.method,
    path: request.secret ? pathOnly(request.path) : request.path,
    request_body: request.secret ? '' : (request.body ?? ''),
    started_at: now(),
    duration_ms: 0,
  };
}

export function openResponse(
  fetch: Ports['fetch'],
  request: Request,
  signal: AbortSignal,
): Promise<Response> {
  return fetch(`${request.base_url}${request.path}`, {
    method: request.method,
    cache: 'no-store',
    redirect: 'manual',
    signal,
    ...(request.headers === undefined ? {} : { headers: request.headers }),
    ...(request.body === undefined ? {} : { body: request.body }),
  });
}

export function noteAnswer(exchange: Exchange, response: Response): void {
  exchange.status = response.status;
  const request_id = response.headers.get('request-id');
  if (request_id !== null) exchange.request_id = request_id;
}

/** The request may have arrived and been acted on; a failure of the line proves nothing. */
export function noAnswer(exchange: Exchange, cause: unknown): WechatError {
  return new WechatError('unknown', 'NO_ANSWER', `no answer to ${pathOnly(exchange.path)}`, {
    exchange,
    cause,
  });
}

function pathOnly(path: string): string {
  return path.split('?', 1)[0] ?? '';
}

/** The whole body, or undefined when it is longer than `max_bytes`; then the rest is not read. */
async function readCapped(response: Response, max_bytes: number): Promise<Uint8Array | undefined> {
  if (response.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body) {
    length += chunk.byteLength;
    if (length > max_bytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}
