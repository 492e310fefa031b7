/**
 * What stands between a socket and every handler, Next's and ours: who is calling, which requests nobody should see,
 * and how long a caller may take. It answers only what it refuses, and knows no address of the shop.
 */
import http, { type IncomingMessage, type RequestListener, type Server, type ServerOptions } from 'node:http';

/** A page's own requests are a kilobyte; nobody needs longer to send one. Node looks at its connections this often. */
export const patience = {
  headersTimeout: 15_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 2_000,
} as const satisfies ServerOptions;

const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const hostPattern = /^(?:[\w.-]{1,255}|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i;

/** The status of a request that no handler may see, because the web's `Request` or Next would throw on it. */
export function refusalOf({ method = 'GET', url = '/', headers }: IncomingMessage): 400 | 405 | undefined {
  if (!methods.has(method)) return 405;
  const { host = 'localhost' } = headers;
  if (!url.startsWith('/') || !hostPattern.test(host) || !URL.canParse(`http://${host}${url}`)) return 400;
  try {
    decodeURIComponent(url.split('?', 1)[0] ?? '');
  } catch {
    // `%E0%A4%A`: not the beginning of any character.
    return 400;
  }
  return undefined;
}

/**
 * Makes X-Forwarded-For true: behind proxies of ours it is theirs and stays; without one it is whatever the client
 * says, and gives way to the socket's own address.
 */
export function nameCaller(incoming: IncomingMessage, trusted_proxies: number): void {
  if (trusted_proxies > 0 && incoming.headers['x-forwarded-for'] !== undefined) return;
  incoming.headers['x-forwarded-for'] = incoming.socket.remoteAddress ?? '';
}

export interface FrontOptions {
  /** How many proxies of ours write X-Forwarded-For. */
  trusted_proxies: number;
  /** The shop's address is https: browsers are told never to come any other way. */
  secure: boolean;
  /** Who answers a path (with its query) instead of the listener, if anybody does. */
  direct?: (path: string) => RequestListener | undefined;
}

/** A year, and this host alone: what else runs on the domain is not ours to decide. */
const strictTransport = 'max-age=31536000';

/** A listener that lets through what `listener` may see. */
export function frontListener(
  listener: RequestListener,
  { trusted_proxies, secure, direct }: FrontOptions,
): RequestListener {
  return (incoming, outgoing) => {
    if (secure) outgoing.setHeader('Strict-Transport-Security', strictTransport);
    const status = refusalOf(incoming);
    if (status === undefined) {
      nameCaller(incoming, trusted_proxies);
      (direct?.(incoming.url ?? '') ?? listener)(incoming, outgoing);
      return;
    }
    outgoing.writeHead(status, {
      ...(status === 405 ? { Allow: [...methods].join(', ') } : {}),
      'Content-Length': 0,
      Connection: 'close',
    });
    outgoing.end();
  };
}

/**
 * Puts the front before the next server this process makes. Next makes its own and offers no way to stand before it
 * but to take its place, which would lose its orderly end.
 */
export function standInFront(options: FrontOptions): void {
  const { createServer } = http;
  const guarded = (...made: Parameters<typeof createServer>): Server => {
    http.createServer = createServer;
    const listener = made.find((part) => typeof part === 'function');
    if (listener === undefined) throw new Error('a server was made without its listener');
    return createServer(
      // A request to speak another protocol would pass by the listener and every time-out; it is an ordinary one here.
      { ...patience, shouldUpgradeCallback: () => false },
      frontListener(listener, options),
    );
  };
  http.createServer = guarded as typeof createServer;
}
