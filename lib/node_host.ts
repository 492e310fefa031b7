/**
 * Our handlers on a plain node:http server, without Next: node's messages become `Request` and `Response` and back.
 * A body is read up to a cap and cut there, so nobody can make us hold more; the handler sees that it is too long.
 */
import type { IncomingMessage, OutgoingHttpHeaders, RequestListener, ServerResponse } from 'node:http';
import { type FrontOptions, frontListener } from './front.ts';

export type Handler = (request: Request) => Response | Promise<Response>;

export interface NodeHostOptions extends FrontOptions {
  /** A body is cut one byte after this many, which is enough for a handler with this limit to refuse it. */
  body_limit_bytes: number;
  /** What a handler throws is answered with a bare 500 and told here. */
  onFault: (thrown: unknown) => void;
}

/** A listener for `createServer` that answers with what `handle` returns. */
export function nodeListener(
  handle: Handler,
  { body_limit_bytes, onFault, ...front }: NodeHostOptions,
): RequestListener {
  const listen: RequestListener = async (incoming, outgoing) => {
    try {
      await send(await handle(await readRequest(incoming, body_limit_bytes)), incoming, outgoing);
    } catch (thrown) {
      // A caller that hung up in the middle of its body is nobody's fault of ours, and nobody is there to answer.
      if (incoming.destroyed && !incoming.complete) return;
      onFault(thrown);
      if (outgoing.headersSent) outgoing.destroy();
      else outgoing.writeHead(500).end();
    }
  };
  return frontListener(listen, front);
}

async function readRequest(incoming: IncomingMessage, limit_bytes: number): Promise<Request> {
  const { method = 'GET', url = '/', headers } = incoming;
  const address = `http://${headers.host ?? 'localhost'}${url}`;
  const bodiless = method === 'GET' || method === 'HEAD';
  return new Request(address, {
    method,
    headers: readHeaders(incoming),
    ...(bodiless ? {} : { body: await readBody(incoming, limit_bytes) }),
  });
}

function readHeaders(incoming: IncomingMessage): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  return headers;
}

function readBody(incoming: IncomingMessage, limit_bytes: number): Promise<Buffer<ArrayBuffer>> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const finish = (): void => resolve(Buffer.concat(chunks));
    incoming.on('data', (chunk: Buffer) => {
      if (length > limit_bytes) return;
      chunks.push(chunk.subarray(0, limit_bytes + 1 - length));
      length += chunk.length;
      if (length > limit_bytes) {
        incoming.pause();
        finish();
      }
    });
    incoming.once('end', finish);
    incoming.once('error', reject);
  });
}

async function send(answer: Response, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const body = answer.body === null ? undefined : Buffer.from(await answer.arrayBuffer());
  const headers: OutgoingHttpHeaders = {};
  for (const [name, value] of answer.headers) headers[name] = value;
  const cookies = answer.headers.getSetCookie();
  if (cookies.length > 0) headers['set-cookie'] = cookies;
  if (body !== undefined) headers['content-length'] = body.length;
  // What was not read would be taken for the next request.
  if (!incoming.complete) headers.connection = 'close';
  outgoing.writeHead(answer.status, headers);
  await new Promise<void>((resolve, reject) => {
    outgoing.once('close', resolve).once('error', reject);
    outgoing.end(body, () => {
      if (!incoming.complete) incoming.destroy();
      resolve();
    });
  });
}
