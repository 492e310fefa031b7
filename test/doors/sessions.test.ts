/** The cookies of a shop on https, and which addresses get the pages' policy. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { beginSession, endSession, readSession } from '../../lib/sessions.ts';
import { config as proxyConfig } from '../../proxy.ts';
import { type Counter, openCounter } from '../setup/counter.ts';

let counter: Counter;
beforeAll(async () => {
  counter = await openCounter({ environment: { PUBLIC_URL: 'https://shop.example.com' } });
});
afterAll(() => counter.close());

test.each(['shopper', 'admin'] as const)('over https the %s’s cookie is bound to this host', async (kind) => {
  const { set_cookie } = await beginSession(counter.ctx, kind);
  expect(set_cookie).toMatch(new RegExp(`^__Host-guitai_${kind}=.+; Path=/;.*Secure`));
  expect(set_cookie).not.toMatch(/Domain/i);
  const [pair = ''] = set_cookie.split(';');
  const asked = (cookie: string) => new Request('https://shop.example.com', { headers: { cookie } });
  expect(await readSession(counter.ctx, kind, asked(pair))).toMatchObject({ kind });
  // A neighbour on the domain could plant the plain name; it means nothing.
  expect(await readSession(counter.ctx, kind, asked(pair.replace('__Host-', '')))).toBeUndefined();
  expect(await endSession(counter.ctx, kind, asked(pair))).toMatch(
    new RegExp(`^__Host-guitai_${kind}=; Path=/; Max-Age=0;.*Secure`),
  );
});

test.each([
  ['/', true],
  ['/admin/orders', true],
  ['/favicon.icon', true],
  ['/robots.txt/x', true],
  ['/apiary', true],
  ['/favicon.ico', false],
  ['/icon.svg', false],
  ['/robots.txt', false],
  ['/api/orders', false],
  ['/_next/static/chunks/a.js', false],
])('%s is a page: %s', (path, page) => {
  const [matcher = ''] = proxyConfig.matcher;
  expect(new RegExp(`^${matcher}$`).test(path)).toBe(page);
});
