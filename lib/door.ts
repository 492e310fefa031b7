/**
 * The notify doors without Next: in front of it in `npm start`, and on a server of their own, for a busy deployment's
 * reverse proxy to send `/api/notify/` to. The handlers are the ones Next mounts; it serves nothing else but health.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import { isSecure } from './config.ts';
import type { Context } from './context.ts';
import { readiness } from './health.ts';
import { answerJson } from './http.ts';
import { type Handler, nodeListener } from './node_host.ts';
import { notificationLimit_bytes, receivePayment, receiveRefund } from './notify.ts';

/** How long a caller may take over one message; WeChat sends a kilobyte and waits five seconds. */
const request_timeout_ms = 15_000;
/** Longer than reverse proxies keep an idle connection, so that it is never we who close it under their request. */
const keep_alive_ms = 75_000;

interface Doorway {
  method: 'GET' | 'POST';
  handle: Handler;
}

/** Answers every notify address; 404 and 405 for the rest. */
export function doorHandler(ctx: Context): Handler {
  const doorways: ReadonlyMap<string, Doorway> = new Map<string, Doorway>([
    ['/api/notify/v2/payment', { method: 'POST', handle: (request) => receivePayment(ctx, 'v2', request) }],
    ['/api/notify/v2/refund', { method: 'POST', handle: (request) => receiveRefund(ctx, 'v2', request) }],
    ['/api/notify/v3/payment', { method: 'POST', handle: (request) => receivePayment(ctx, 'v3', request) }],
    ['/api/notify/v3/refund', { method: 'POST', handle: (request) => receiveRefund(ctx, 'v3', request) }],
    ['/api/health/live', { method: 'GET', handle: () => answerJson({ live: true }) }],
    ['/api/health/ready', { method: 'GET', handle: () => ready(ctx) }],
  ]);
  return (request) => {
    const doorway = doorways.get(new URL(request.url).pathname);
    if (doorway === undefined) return new Response(null, { status: 404 });
    if (doorway.method !== request.method) {
      return new Response(null, { status: 405, headers: { Allow: doorway.method } });
    }
    return doorway.handle(request);
  };
}

async function ready(ctx: Context): Promise<Response> {
  const state = await readiness(ctx);
  return answerJson(state, state.ready ? 200 : 503);
}

/** The doors as a listener for node's own servers. */
export function doorListener(ctx: Context): RequestListener {
  return nodeListener(doorHandler(ctx), {
    body_limit_bytes: notificationLimit_bytes,
    trusted_proxies: ctx.config.TRUSTED_PROXIES,
    secure: isSecure(ctx.config),
    onFault: (err) => ctx.log.error({ err }, 'the door failed'),
  });
}

export interface Door {
  /** Where it listens. */
  origin: string;
  /** Takes no new connection, finishes what has begun, at the most for `patience_ms`. */
  close: (patience_ms?: number) => Promise<void>;
}

/** Opens the door on an address; port 0 picks a free one. Rejects with node's error when the port is taken. */
export async function openDoor(ctx: Context, host: string, port: number): Promise<Door> {
  const server = createServer(
    {
      headersTimeout: request_timeout_ms,
      requestTimeout: request_timeout_ms,
      connectionsCheckingInterval: 2_000,
      keepAliveTimeout: keep_alive_ms,
    },
    doorListener(ctx),
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server without a port');
  const name = host.includes(':') ? `[${host}]` : host;
  return {
    origin: `http://${name}:${address.port}`,
    close: (patience_ms = 10_000) => close(server, patience_ms),
  };
}

function close(server: Server, patience_ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const force = setTimeout(() => server.closeAllConnections(), patience_ms);
    // A connection that is busy now would be kept alive by its next request.
    const idle = setInterval(() => server.closeIdleConnections(), 100);
    server.close((error) => {
      clearTimeout(force);
      clearInterval(idle);
      if (error === undefined) resolve();
      else reject(error);
    });
  });
}
