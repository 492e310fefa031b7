// WeChat's in-app browser for people at a desktop: a reverse proxy around the shop that sends WeChat's User-Agent,
// keeps every redirect inside itself and puts the bridge script into each page. It talks to the shop's origin and
// to nobody else.

import * as http from 'node:http';
import * as https from 'node:https';
import type { Duplex } from 'node:stream';
import { Transform } from 'node:stream';
import { bridgeScript } from './bridge_script.ts';
import { cookie, escapeHtml, html, redirect, send } from './http.ts';
import { type Platform, userOf } from './platform.ts';

export const WECHAT_USER_AGENT =
  'Mozilla/5.0 (Linux; Android 14; PHK110 Build/UKQ1.230924.001; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.6723.103 Mobile Safari/537.36 XWEB/1300409 MMWEBSDK/20241202 MMWEBID/1024 MicroMessenger/8.0.56.2800(0x28003855) WeChat/arm64 Weixin NetType/WIFI Language/zh_CN ABI/arm64';

export const WECHAT_IPHONE_USER_AGENT =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.56(0x18003830) NetType/WIFI Language/zh_CN';

type Device = 'ios' | 'android';

/** Which phone this browser plays: the one chosen at /_sim/as, else what its own User-Agent says, else Android. */
function deviceOf(headers: http.IncomingHttpHeaders): Device {
  const chosen = cookie(headers, '_sim_device');
  if (chosen === 'ios' || chosen === 'android') return chosen;
  return /iPhone|iPad|iPod/.test(headers['user-agent'] ?? '') ? 'ios' : 'android';
}

function userAgent(headers: http.IncomingHttpHeaders): string {
  return deviceOf(headers) === 'ios' ? WECHAT_IPHONE_USER_AGENT : WECHAT_USER_AGENT;
}

const HEAD_WITHIN = 64 * 1024;
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];
/** Policies that would keep the bridge or plain http out; the rest passes unchanged. */
const DROPPED = [
  'content-security-policy',
  'content-security-policy-report-only',
  'strict-transport-security',
  'x-frame-options',
];

export type Phone = ReturnType<typeof createPhone>;

/** `toPlatform` answers the paths that belong to WeChat itself. */
export function createPhone(
  platform: Platform,
  toPlatform: (request: http.IncomingMessage, response: http.ServerResponse) => Promise<void>,
) {
  const agents = {
    'http:': new http.Agent({ keepAlive: false }),
    'https:': new https.Agent({ keepAlive: false }),
  };

  /** An address of the shop or of the authorise page, as an address of this phone; others unchanged. */
  function inside(location: string): string {
    const { url, phone_url } = platform.addresses;
    const { shop_origin } = platform.store.state;
    if (!URL.canParse(location, shop_origin)) return location;
    const target = new URL(location, shop_origin);
    const authorize = target.origin === url && target.pathname === '/connect/oauth2/authorize';
    const mine = target.origin === shop_origin || authorize || target.hostname === 'open.weixin.qq.com';
    return mine ? `${phone_url}${target.pathname}${target.search}${target.hash}` : location;
  }

  /** A page that names itself in a query means its address in the shop, not on this phone. */
  function outside(path: string, shop: URL): string {
    const { phone_url } = platform.addresses;
    return path.replaceAll(encodeURIComponent(phone_url), encodeURIComponent(shop.origin));
  }

  function outbound(request: http.IncomingMessage, shop: URL): http.OutgoingHttpHeaders {
    const { phone_url } = platform.addresses;
    const headers: http.OutgoingHttpHeaders = { ...request.headers };
    for (const name of HOP_BY_HOP) delete headers[name];
    headers.host = shop.host;
    headers['user-agent'] = userAgent(request.headers);
    headers['accept-encoding'] = 'identity';
    for (const name of ['origin', 'referer'] as const) {
      const value = headers[name];
      if (typeof value === 'string' && value.startsWith(phone_url)) {
        headers[name] = shop.origin + value.slice(phone_url.length);
      }
    }
    return headers;
  }

  function inbound(response: http.IncomingMessage): http.OutgoingHttpHeaders {
    const headers: http.OutgoingHttpHeaders = { ...response.headers };
    for (const name of [...HOP_BY_HOP, ...DROPPED]) delete headers[name];
    if (typeof headers.location === 'string') headers.location = inside(headers.location);
    const cookies = response.headers['set-cookie'];
    if (cookies !== undefined) headers['set-cookie'] = cookies.map(localCookie);
    return headers;
  }

  function proxy(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const shop = new URL(platform.store.state.shop_origin);
    return new Promise((resolve) => {
      const onward = requestTo(shop, request);
      response.on('close', () => {
        onward.destroy();
        resolve();
      });
      onward.on('error', (cause) => {
        if (response.headersSent) response.destroy();
        else {
          send(
            response,
            html(
              502,
              `<!doctype html><meta charset="utf-8"><p>商店没有应答 · The shop does not answer at ${escapeHtml(shop.origin)}: ${escapeHtml(cause.message)}</p>`,
            ),
          );
        }
        resolve();
      });
      onward.on('response', (answer) => {
        const headers = inbound(answer);
        const packed = (answer.headers['content-encoding'] ?? 'identity') !== 'identity';
        const isPage = !packed && /^text\/html\b/.test(answer.headers['content-type'] ?? '');
        answer.on('error', () => response.destroy());
        if (!isPage || request.method === 'HEAD') {
          response.writeHead(answer.statusCode ?? 502, headers);
          answer.pipe(response);
          return;
        }
        delete headers['content-length'];
        delete headers.etag;
        response.writeHead(answer.statusCode ?? 502, headers);
        answer
          .pipe(injecting(tag(cookie(request.headers, '_sim_openid'), deviceOf(request.headers))))
          .pipe(response);
      });
      request.pipe(onward);
    });
  }

  function requestTo(shop: URL, request: http.IncomingMessage, extra: http.OutgoingHttpHeaders = {}) {
    const secure = shop.protocol === 'https:';
    return (secure ? https : http).request({
      protocol: shop.protocol,
      hostname: shop.hostname.replace(/^\[|\]$/g, ''),
      port: shop.port,
      method: request.method,
      path: outside(request.url ?? '/', shop),
      headers: { ...outbound(request, shop), ...extra },
      agent: secure ? agents['https:'] : agents['http:'],
    });
  }

  function tag(openid: string, device: Device): string {
    const { state } = platform.store;
    const user = userOf(platform, openid) ?? state.users[0];
    const script = bridgeScript('', {
      openid: user?.openid ?? '',
      page_origin: state.shop_origin,
      platform: device,
    });
    return `<script data-sim-bridge>${script}</script>`;
  }

  /** Chooses who holds this phone, and goes to a page of it. */
  function become(query: URLSearchParams, response: http.ServerResponse): void {
    const user = userOf(platform, query.get('openid') ?? '');
    const to = query.get('to') ?? '/';
    const safe = /^\/(?![/\\])/.test(to) ? to : '/';
    const device = query.get('device');
    const cookies = [
      ...(user ? [`_sim_openid=${encodeURIComponent(user.openid)}; Path=/; SameSite=Lax`] : []),
      ...(device === 'ios' || device === 'android' ? [`_sim_device=${device}; Path=/; SameSite=Lax`] : []),
    ];
    const answer = redirect(safe);
    if (cookies.length > 0) answer.headers['Set-Cookie'] = cookies;
    send(response, answer);
  }

  return {
    async handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
      const target = new URL(request.url ?? '/', 'http://phone');
      if (target.pathname === '/_sim/as') {
        become(target.searchParams, response);
        return;
      }
      if (target.pathname.startsWith('/_sim/') || target.pathname === '/connect/oauth2/authorize') {
        if (target.pathname === '/connect/oauth2/authorize') {
          const write = response.writeHead.bind(response);
          // The answer leaves for the shop; inside the phone it must come back here.
          response.writeHead = ((status: number, headers: http.OutgoingHttpHeaders = {}) =>
            write(
              status,
              typeof headers.Location === 'string'
                ? { ...headers, Location: inside(headers.Location) }
                : headers,
            )) as typeof response.writeHead;
          request.headers['user-agent'] = userAgent(request.headers);
        }
        await toPlatform(request, response);
        return;
      }
      if (platform.store.state.shop_origin === '') {
        send(
          response,
          html(
            503,
            '<!doctype html><meta charset="utf-8"><p>还没有商店 · No shop yet: start with --shop-origin, or PUT /_sim/shop {"origin":"http://127.0.0.1:3000"}</p>',
          ),
        );
        return;
      }
      await proxy(request, response);
    },

    /** WebSockets, which development servers use, are passed through as they are. */
    upgrade(request: http.IncomingMessage, socket: Duplex): void {
      const { shop_origin } = platform.store.state;
      socket.on('error', () => socket.destroy());
      if (shop_origin === '') {
        socket.destroy();
        return;
      }
      const onward = requestTo(new URL(shop_origin), request, {
        connection: 'Upgrade',
        upgrade: request.headers.upgrade,
      });
      onward.on('error', () => socket.destroy());
      onward.on('response', () => socket.destroy());
      onward.on('upgrade', (answer, far) => {
        const lines = answer.rawHeaders.map((v, i) => (i % 2 === 0 ? `${v}: ` : `${v}\r\n`)).join('');
        socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines}\r\n`);
        far.on('error', () => socket.destroy());
        socket.on('close', () => far.destroy());
        far.on('close', () => socket.destroy());
        far.pipe(socket).pipe(far);
      });
      onward.end();
    },

    close(): void {
      agents['http:'].destroy();
      agents['https:'].destroy();
    },
  };
}

/** A cookie that fits http://localhost: no Domain, and Secure only where the name demands it. */
function localCookie(header: string): string {
  const demands = /^__(Host|Secure)-/.test(header);
  return header
    .split(';')
    .filter((part) => !/^\s*domain=/i.test(part) && (demands || !/^\s*secure\s*$/i.test(part)))
    .join(';');
}

/** Puts `inserted` right after the opening head tag, wherever the chunks fall. */
function injecting(inserted: string): Transform {
  let held: Buffer | undefined = Buffer.alloc(0);
  function place(seen: Buffer): Buffer {
    const text = seen.toString('latin1');
    const match =
      /<head(\s[^>]*)?>/i.exec(text) ?? /<html(\s[^>]*)?>/i.exec(text) ?? /<!doctype[^>]*>/i.exec(text);
    const at = match === null ? 0 : match.index + match[0].length;
    return Buffer.concat([seen.subarray(0, at), Buffer.from(inserted, 'utf8'), seen.subarray(at)]);
  }
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (held === undefined) {
        done(null, chunk);
        return;
      }
      held = Buffer.concat([held, chunk]);
      if (!/<head(\s[^>]*)?>/i.test(held.toString('latin1')) && held.length < HEAD_WITHIN) {
        done();
        return;
      }
      const whole = place(held);
      held = undefined;
      done(null, whole);
    },
    flush(done) {
      if (held === undefined || held.length === 0) done();
      else done(null, place(held));
    },
  });
}
