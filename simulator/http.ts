// What a door is: a call in, an answer out, with a note in plain words for the log. Reading is capped; nothing
// here knows WeChat.

import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Platform } from './platform.ts';

export const BODY_CAP_BYTES = 1024 * 1024;

export type Call = {
  id: number;
  at_ms: number;
  method: string;
  path: string;
  query: URLSearchParams;
  /** Path and query as they came on the wire. */
  target: string;
  headers: IncomingHttpHeaders;
  /** The caller's address. */
  ip: string;
  /** What the TLS handshake showed; absent on the plain listener. */
  tls?: { certificate_of: string; why: string };
  body: Buffer;
  /** The order number standing in the body, as far as a glance can tell; for limiting faults. */
  out_trade_no: string;
  note: { code: string; why: string; faults: string[] };
};

export type Answer = { status: number; headers: Record<string, string | string[]>; body: string | Buffer };

export type Door = (platform: Platform, call: Call) => Answer | Promise<Answer>;

/** Doors that fail alike: how this family words a system error, and how one of its answers is spoiled. */
export type Family = {
  name: string;
  logged: boolean;
  doors: Record<string, Door>;
  systemError?: Door;
  spoil?(answer: Answer): Answer;
};

/** The whole body, or undefined when it is larger than the cap. */
export async function readBody(
  request: IncomingMessage,
  cap_bytes = BODY_CAP_BYTES,
): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > cap_bytes) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Sends the answer whole; with `half` only its first half, then the line is cut. */
export function send(response: ServerResponse, answer: Answer, half = false): void {
  const body = Buffer.isBuffer(answer.body) ? answer.body : Buffer.from(answer.body, 'utf8');
  response.writeHead(answer.status, { ...answer.headers, 'Content-Length': String(body.length) });
  if (!half) {
    response.end(body);
    return;
  }
  response.write(body.subarray(0, Math.floor(body.length / 2)), () => response.destroy());
}

export function json(status: number, value: unknown, headers: Record<string, string> = {}): Answer {
  return {
    status,
    headers: { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store', ...headers },
    body: `${JSON.stringify(value)}\n`,
  };
}

export function html(status: number, body: string): Answer {
  return {
    status,
    headers: { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' },
    body,
  };
}

export function redirect(location: string, headers: Record<string, string> = {}): Answer {
  return { status: 302, headers: { Location: location, 'Cache-Control': 'no-store', ...headers }, body: '' };
}

/** Text made safe for HTML. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** One cookie's value, decoded; empty when absent. */
export function cookie(headers: IncomingHttpHeaders, name: string): string {
  for (const pair of (headers.cookie ?? '').split(';')) {
    const at = pair.indexOf('=');
    if (pair.slice(0, at).trim() !== name) continue;
    const value = pair.slice(at + 1).trim();
    try {
      return decodeURIComponent(value);
    } catch {
      // A malformed escape is somebody else's cookie: taken as it stands.
      return value;
    }
  }
  return '';
}
