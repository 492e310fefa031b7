// From a request to an answer: finds the door, lets the armed faults have their way with the call, logs it. It
// decides nothing about money.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { Struck } from './faults.ts';
import { type Answer, type Call, type Door, type Family, html, json, readBody, send } from './http.ts';
import type { Platform } from './platform.ts';

let calls = 0;

function findDoor(families: Family[], path: string): { family: Family; door: Door } | undefined {
  for (const family of families) {
    const exact = family.doors[path];
    if (exact !== undefined && Object.hasOwn(family.doors, path)) return { family, door: exact };
    for (const [pattern, door] of Object.entries(family.doors)) {
      if (pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1))) return { family, door };
    }
  }
  return undefined;
}

/** Answers one request to the platform. */
export async function dispatch(
  platform: Platform,
  families: Family[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const target = new URL(request.url ?? '/', 'http://simulator');
  const body = await readBody(request);
  if (body === undefined) {
    send(response, json(413, { code: 'TOO_LARGE', message: 'more than 1 MiB' }, { Connection: 'close' }));
    return;
  }
  const found = findDoor(families, target.pathname);
  calls += 1;
  const call: Call = {
    id: calls,
    at_ms: platform.clock.now(),
    method: request.method ?? 'GET',
    path: target.pathname,
    query: target.searchParams,
    target: request.url ?? '/',
    ...handshake(request),
    headers: request.headers,
    ip: (request.socket.remoteAddress ?? '').replace(/^::ffff:/, ''),
    body,
    out_trade_no: glance(body),
    note: { code: '', why: '', faults: [] },
  };
  if (found === undefined) {
    call.note.code = '404';
    call.note.why = `${call.path} is no door of this platform`;
    const answer = json(404, { code: 'NOT_FOUND', message: call.note.why });
    record(platform, call, answer);
    send(response, answer);
    return;
  }
  const { family, door } = found;
  if (!family.logged) {
    send(response, await door(platform, call));
    return;
  }
  await withFaults(platform, family, door, call, response);
}

/** Whose certificate came with the connection, when it is a TLS one. */
function handshake(request: IncomingMessage): Pick<Call, 'tls'> {
  const { socket } = request;
  if (!(socket instanceof TLSSocket)) return {};
  const shown = socket.getPeerCertificate();
  if (shown.subject === undefined) return { tls: { certificate_of: '', why: 'no client certificate came' } };
  const name = shown.subject.CN;
  return socket.authorized && typeof name === 'string'
    ? { tls: { certificate_of: name, why: '' } }
    : {
        tls: {
          certificate_of: '',
          why: `the client certificate is not of this platform's authority: ${String(socket.authorizationError)}`,
        },
      };
}

/** The order number as it stands in an XML or JSON body, without trusting either. */
function glance(body: Buffer): string {
  const text = body.subarray(0, 65536).toString('utf8');
  return (
    /<out_trade_no>(?:<!\[CDATA\[)?([^<\]]{1,64})/.exec(text)?.[1] ??
    /"out_trade_no"\s*:\s*"([^"]{1,64})"/.exec(text)?.[1] ??
    ''
  );
}

async function withFaults(
  platform: Platform,
  family: Family,
  door: Door,
  call: Call,
  response: ServerResponse,
): Promise<void> {
  const strike = (name: string): Struck | undefined => {
    const struck = platform.faults.take(name, call);
    if (struck !== undefined) call.note.faults.push(struck.name);
    return struck;
  };
  if (strike('line_cut')) {
    record(platform, call, { status: 0, headers: {}, body: '' });
    response.destroy();
    return;
  }
  let answer: Answer;
  const gateway = strike('http_502');
  if (gateway !== undefined) {
    if (gateway.flag('done')) await door(platform, call);
    answer = html(
      502,
      '<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center><h1>502 Bad Gateway</h1></center></body>\r\n</html>\r\n',
    );
  } else if (family.systemError !== undefined && strike('system_error')) {
    answer = await family.systemError(platform, call);
  } else {
    answer = await door(platform, call);
    if (family.systemError !== undefined && strike('system_error_done'))
      answer = await family.systemError(platform, call);
  }
  if (family.spoil !== undefined && strike('answer_bad_signature')) answer = family.spoil(answer);
  const slow = strike('answer_slow');
  if (slow !== undefined) await platform.clock.sleep(slow.number('delay_ms'));
  const lost = strike('answer_lost');
  const half = lost === undefined && strike('answer_truncated') !== undefined;
  record(platform, call, answer);
  if (lost !== undefined) {
    response.destroy();
    return;
  }
  send(response, answer, half);
}

function record(platform: Platform, call: Call, answer: Answer): void {
  const query = call.query.toString();
  platform.log.add({
    at_ms: call.at_ms,
    kind: 'call',
    method: call.method,
    path: call.path,
    request: call.body.length > 0 ? call.body.toString('utf8') : query,
    status: answer.status,
    answer: answer.body.toString() || String(answer.headers.Location ?? ''),
    out_trade_no: call.out_trade_no,
    code: call.note.code,
    why: call.note.why,
    faults: call.note.faults,
  });
}
