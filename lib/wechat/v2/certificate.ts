/**
 * A `fetch` that shows the merchant's client certificate, which v2 demands where money goes back. The platform's own
 * fetch cannot do that, so this one stands on node:https. Follows no redirect and trusts only the normal roots, unless
 * it is given another one.
 */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request as openRequest } from 'node:https';
import { Readable } from 'node:stream';
import { createSecureContext } from 'node:tls';

export interface ClientCertificate {
  /** The merchant's API certificate (`apiclient_cert.pem`). */
  cert_pem: string;
  /** Its private key (`apiclient_key.pem`). */
  key_pem: string;
  /** Root of a platform with its own certificate, such as a simulator; replaces the normal roots. */
  ca_pem?: string;
}

/** Throws at once when certificate and key cannot be read or do not belong together. */
export function fetchWithCertificate(certificate: ClientCertificate): typeof globalThis.fetch {
  const secureContext = createSecureContext({
    cert: certificate.cert_pem,
    key: certificate.key_pem,
    ...(certificate.ca_pem === undefined ? {} : { ca: certificate.ca_pem }),
    minVersion: 'TLSv1.2',
  });
  const agent = new Agent({ keepAlive: true, secureContext });

  return async function fetch(input, init) {
    const request = new Request(input, init);
    const body = Buffer.from(await request.arrayBuffer());
    const { url, method, headers } = request;
    // The caller's own: what a Request makes of it dies with the Request, and the limit of time with it.
    const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined);
    const outgoing = openRequest(url, {
      method,
      headers: Object.fromEntries(headers),
      agent,
      ...(signal === undefined ? {} : { signal }),
    });
    const answered = once(outgoing, 'response');
    outgoing.end(body);
    const [message]: IncomingMessage[] = await answered;
    if (message === undefined) throw new TypeError('no response');
    return asResponse(message);
  };
}

function asResponse(message: IncomingMessage): Response {
  const headers = new Headers();
  for (const [name, values] of Object.entries(message.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  const status = message.statusCode ?? 0;
  const has_body = status !== 204 && status !== 205 && status !== 304;
  if (!has_body) message.resume();
  return new Response(has_body ? asStream(message) : null, { status, headers });
}

function asStream(message: IncomingMessage): ReadableStream<Uint8Array> {
  const chunks = Readable.toWeb(message).getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await chunks.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => chunks.cancel(reason),
  });
}
