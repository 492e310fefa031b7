// The WeChat browser for people: a proxy around the shop that looks like WeChat to the shop and keeps the walk
// inside itself.

import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorld, type World } from './world.ts';

let w: World;
let shop: Server;
let origin: string;
let seen: { method: string; url: string; headers: IncomingHttpHeaders; body: string };

beforeAll(async () => {
  shop = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const url = request.url ?? '';
    seen = {
      method: request.method ?? '',
      url,
      headers: request.headers,
      body: Buffer.concat(parts).toString(),
    };
    if (url === '/login') {
      response.writeHead(302, {
        Location: `${w.url}/connect/oauth2/authorize?${new URLSearchParams({
          appid: w.config.official_account.appid,
          redirect_uri: `${origin}/back`,
          response_type: 'code',
          scope: 'snsapi_base',
          state: 's',
        })}#wechat_redirect`,
      });
      response.end();
    } else if (url === '/moved') {
      response.writeHead(307, { Location: `${origin}/there?x=1` }).end();
    } else if (url === '/away') {
      response.writeHead(302, { Location: 'https://elsewhere.example.com/' }).end();
    } else if (url === '/data') {
      response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"head":"<head>"}');
    } else if (url === '/slow') {
      response.writeHead(200, { 'Content-Type': 'text/html' });
      for (const part of [
        '<!doctype html><ht',
        'ml><he',
        'ad lang="x"><title>a</title>',
        '</head><body>店</body></html>',
      ]) {
        response.write(part);
        await new Promise((done) => setTimeout(done, 20));
      }
      response.end();
    } else {
      response
        .writeHead(200, {
          'Content-Type': 'text/html; charset=utf-8',
          'Content-Security-Policy': "default-src 'self'",
          'Set-Cookie': ['a=1; Path=/; Secure; HttpOnly; Domain=127.0.0.1', '__Host-b=2; Path=/; Secure'],
          'X-Kept': 'yes',
        })
        .end('<html><head><title>店</title></head><body></body></html>');
    }
  });
  await new Promise<void>((done) => shop.listen(0, '127.0.0.1', done));
  origin = `http://127.0.0.1:${(shop.address() as AddressInfo).port}`;
  w = await openWorld({ shop_origin: origin });
});
afterAll(async () => {
  await w.close();
  shop.closeAllConnections();
  shop.close();
});

const phone = (path: string, init: RequestInit = {}) =>
  fetch(w.config.phone_url.replace('localhost', '127.0.0.1') + path, { redirect: 'manual', ...init });

describe('towards the shop', () => {
  it('is addressed as localhost, so that its cookies are its own', () => {
    expect(w.config.phone_url).toMatch(/^http:\/\/localhost:\d+$/);
  });

  it('sends WeChat’s User-Agent, the shop’s Host and Origin, and the body', async () => {
    await phone('/api/orders?x=1', {
      method: 'POST',
      body: '{"a":1}',
      headers: { Origin: w.config.phone_url, Referer: `${w.config.phone_url}/cart`, Cookie: 'sid=7' },
    });
    expect(seen).toMatchObject({ method: 'POST', url: '/api/orders?x=1', body: '{"a":1}' });
    expect(seen.headers).toMatchObject({
      host: origin.slice('http://'.length),
      origin,
      referer: `${origin}/cart`,
      cookie: 'sid=7',
    });
    expect(seen.headers['user-agent']).toMatch(/MicroMessenger\/8\.0\.\d+/);
  });
});

describe('an iPhone or an Android phone', () => {
  const play = async (path: string, headers: Record<string, string>) => {
    const text = await (await phone(path, { headers })).text();
    return [/iPhone/.test(seen.headers['user-agent'] ?? ''), /"platform":"(\w+)"/.exec(text)?.[1]];
  };

  it('Android unless the browser is an iPhone', async () => {
    expect(await play('/', { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64)' })).toEqual([false, 'android']);
    expect(await play('/', { 'user-agent': 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1)' })).toEqual([
      true,
      'ios',
    ]);
  });

  it('or as it was chosen', async () => {
    const chosen = await phone('/_sim/as?device=ios');
    const cookie = chosen.headers.getSetCookie()[0]?.split(';')[0] ?? '';
    expect(await play('/', { Cookie: cookie })).toEqual([true, 'ios']);
  });

  it('a page that names itself in a query names its address in the shop', async () => {
    await phone(`/api/x?url=${encodeURIComponent(`${w.config.phone_url}/pay/1?a=b`)}`);
    expect(seen.url).toBe(`/api/x?url=${encodeURIComponent(`${origin}/pay/1?a=b`)}`);
  });
});

describe('towards the person', () => {
  it('puts the bridge into the head, drops the policy, keeps the rest', async () => {
    const answer = await phone('/');
    const page = await answer.text();
    expect(page).toMatch(/^<html><head><script data-sim-bridge>/);
    expect(page).toContain('<title>店</title>');
    expect(page).toContain(`"page_origin":"${origin}"`);
    expect(page).toContain(`"openid":"${w.user.openid}"`);
    expect(answer.headers.get('content-security-policy')).toBeNull();
    expect(answer.headers.get('x-kept')).toBe('yes');
  });

  it('fits the cookies to plain localhost', async () => {
    const answer = await phone('/');
    expect(answer.headers.getSetCookie()).toEqual(['a=1; Path=/; HttpOnly', '__Host-b=2; Path=/; Secure']);
  });

  it('finds the head across chunks', async () => {
    const page = await (await phone('/slow')).text();
    expect(page).toMatch(/^<!doctype html><html><head lang="x"><script data-sim-bridge>/);
    expect(page).toContain('<title>a</title></head><body>店</body></html>');
  });

  it('leaves everything but pages alone', async () => {
    expect(await (await phone('/data')).text()).toBe('{"head":"<head>"}');
  });

  it('keeps redirects inside, and lets others go', async () => {
    expect((await phone('/moved')).headers.get('location')).toBe(`${w.config.phone_url}/there?x=1`);
    expect((await phone('/away')).headers.get('location')).toBe('https://elsewhere.example.com/');
  });

  it('goes through the authorise page and comes back inside, as the chosen user', async () => {
    const out = (await phone('/login')).headers.get('location') ?? '';
    expect(out).toMatch(new RegExp(`^${w.config.phone_url}/connect/oauth2/authorize\\?.*#wechat_redirect$`));
    const become = await phone(`/_sim/as?openid=${w.other.openid}&to=/login`);
    expect(become.headers.get('location')).toBe('/login');
    const cookie = become.headers.getSetCookie()[0]?.split(';')[0] ?? '';
    const { pathname, search } = new URL(out);
    const back =
      (await phone(pathname + search, { headers: { Cookie: cookie } })).headers.get('location') ?? '';
    expect(back).toMatch(new RegExp(`^${w.config.phone_url}/back\\?code=\\w+&state=s$`));
    const code = new URL(back).searchParams.get('code') ?? '';
    const { appid, secret } = w.config.official_account;
    const token = await fetch(
      `${w.url}/sns/oauth2/access_token?${new URLSearchParams({ appid, secret, code, grant_type: 'authorization_code' })}`,
    );
    expect(((await token.json()) as { openid: string }).openid).toBe(w.other.openid);
    expect(await (await phone('/', { headers: { Cookie: cookie } })).text()).toContain(
      `"openid":"${w.other.openid}"`,
    );
  });

  it('is no open redirect', async () => {
    const answer = await phone(`/_sim/as?openid=${w.other.openid}&to=//evil.example.com`);
    expect(answer.headers.get('location')).toBe('/');
  });

  it('says so when the shop is unknown or silent', async () => {
    const lone = await openWorld();
    try {
      const at = lone.config.phone_url.replace('localhost', '127.0.0.1');
      expect((await fetch(`${at}/`)).status).toBe(503);
      await lone.control('PUT', 'shop', { origin: 'http://127.0.0.1:1' });
      const answer = await fetch(`${at}/`);
      expect(answer.status).toBe(502);
      expect(await answer.text()).toContain('http://127.0.0.1:1');
    } finally {
      await lone.close();
    }
  });
});
