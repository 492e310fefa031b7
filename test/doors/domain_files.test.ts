/** The files by which WeChat checks a domain, and the content policy that lets the JS-SDK in. */
import { NextRequest } from 'next/server';
import { expect, test, vi } from 'vitest';

vi.hoisted(() => {
  // The front of every page reads the settings of its own process.
  Object.assign(process.env, {
    DATABASE_URL: 'postgresql://guitai@127.0.0.1:5432/guitai',
    PUBLIC_URL: 'https://shop.example.com',
    SESSION_PASSWORD: 'a password that only this test knows, 0123456789',
    SHOP_NAME: '柜台小店',
    WECHAT_APPID: 'wx5c1e0d7a9b3f2468',
    WECHAT_APP_SECRET: '3b7e9d1f5a2c8e4b6d0f1a3c5e7b9d2f',
    WECHAT_MCH_ID: '1900000109',
    WECHAT_API_V2_KEY: '7d1f3b5e9a2c4e6d8b0f2a4c6e8d1b3f',
    WECHAT_DOMAIN_FILES: 'MP_verify_Wm3WZYTPz0wzccnW.txt,WW_verify_a1.txt=content-of-it',
  });
});

import { proxy } from '../../proxy.ts';

const get = (path: string) => proxy(new NextRequest(`https://shop.example.com${path}`));

test.each([
  ['/MP_verify_Wm3WZYTPz0wzccnW.txt', 'Wm3WZYTPz0wzccnW'],
  ['/MP_verify_Wm3WZYTPz0wzccnW.txt?x=1', 'Wm3WZYTPz0wzccnW'],
  ['/WW_verify_a1.txt', 'content-of-it'],
])('%s is its content to the letter', async (path, content) => {
  const answer = get(path);
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8']);
  expect(await answer.text()).toBe(content);
});

test.each(['/MP_verify_other.txt', '/mp_verify_wm3wzytpz0wzccnw.txt', '/__proto__.txt', '/toString.txt'])(
  '%s is 404',
  async (path) => {
    const answer = get(path);
    expect([answer.status, await answer.text()]).toEqual([404, '']);
  },
);

test.each(['/', '/orders', '/pay/MP_verify_Wm3WZYTPz0wzccnW.txt'])('%s is a page', (path) => {
  const answer = get(path);
  expect(answer.headers.get('x-middleware-next')).toBe('1');
  expect(answer.headers.get('content-security-policy')).toContain(
    "script-src 'self' https://res.wx.qq.com 'nonce-",
  );
});
