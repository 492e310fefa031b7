/**
 * Every doorway of the application against everybody who may knock: what each of them may do is written in one table,
 * and a doorway that the table does not list fails here. Nothing of a shopper's is ever told to another.
 */
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { setAdmin, signIn } from '../../lib/admin_account.ts';
import { createContext } from '../../lib/context.ts';
import { beginSession } from '../../lib/sessions.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';

type Method = 'GET' | 'POST';
type Handler = (request: Request, route: { params: Promise<Record<string, string>> }) => Promise<Response>;

/**
 * `anyone`: nothing personal. `visitor`: a browser acts for itself alone. `order`: shows A's order to its buyer, as a
 * bearer to who has no WeChat account, and 404 to another account. `payer`: only A. `wechat`: only what is signed.
 * `keyed`: cookies count for nothing; only a key or a code of WeChat's opens it (see ways.test.ts). `operator`: only a
 * signed-in operator.
 */
type Policy = 'anyone' | 'visitor' | 'order' | 'payer' | 'wechat' | 'keyed' | 'operator';

const table: Record<string, { method: Method; policy: Policy; body?: () => unknown }[]> = {
  'admin/login': [{ method: 'POST', policy: 'anyone', body: () => ({ username: 'nobody', password: 'x' }) }],
  'admin/logout': [{ method: 'POST', policy: 'visitor' }],
  // Whether, and as whom, the asking browser is signed in.
  'admin/session': [{ method: 'GET', policy: 'visitor' }],
  'app/mini/session': [{ method: 'POST', policy: 'keyed', body: () => ({ code: 'made-up' }) }],
  'app/orders': [{ method: 'POST', policy: 'keyed', body: () => ({}) }],
  'app/orders/[order_no]': [{ method: 'GET', policy: 'keyed' }],
  'app/orders/[order_no]/pay': [
    { method: 'POST', policy: 'keyed', body: () => ({ payer_client_ip: '203.0.113.9' }) },
  ],
  'health/live': [{ method: 'GET', policy: 'anyone' }],
  'health/ready': [{ method: 'GET', policy: 'anyone' }],
  'notify/v2/payment': [{ method: 'POST', policy: 'wechat' }],
  'notify/v2/refund': [{ method: 'POST', policy: 'wechat' }],
  'notify/v3/payment': [{ method: 'POST', policy: 'wechat' }],
  'notify/v3/refund': [{ method: 'POST', policy: 'wechat' }],
  orders: [
    {
      method: 'POST',
      policy: 'visitor',
      body: () => ({
        items: [{ product_id: 'penny-candy', quantity: 1 }],
        checkout_key: crypto.randomUUID(),
      }),
    },
  ],
  'orders/[order_no]': [{ method: 'GET', policy: 'order' }],
  'orders/[order_no]/bridge': [
    {
      method: 'POST',
      policy: 'payer',
      body: () => ({ out_trade_no, err_msg: 'get_brand_wcpay_request:ok' }),
    },
  ],
  'orders/[order_no]/pay': [{ method: 'POST', policy: 'payer', body: () => ({ trade_type: 'JSAPI' }) }],
  products: [{ method: 'GET', policy: 'anyone' }],
  signout: [{ method: 'POST', policy: 'visitor' }],
  // For pages of this shop, which this knock does not name; see wechat_server.test.ts.
  'wechat/jssdk': [{ method: 'GET', policy: 'anyone' }],
  'wechat/native': [{ method: 'POST', policy: 'wechat' }],
  'wechat/oauth': [{ method: 'GET', policy: 'visitor' }],
  // No token is set here, so there is nothing to receive; see wechat_server.test.ts.
  'wechat/server': [
    { method: 'GET', policy: 'wechat' },
    { method: 'POST', policy: 'wechat' },
  ],
};

const api = new URL('../../app/api/', import.meta.url);
/** Every route file under app/api, as `orders/[order_no]/pay`. */
const routes = readdirSync(api, { recursive: true, encoding: 'utf8' })
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => /\/route\.tsx?$/.test(path))
  .map((path) => path.replace(/\/route\.tsx?$/, ''))
  .sort();

let counter: Counter;
let alice: Shopper;
let order_no = '';
let out_trade_no = '';

/** A route file's exports; the address is computed, so that a new file needs no line here. */
const load = (route: string): Promise<Record<string, Handler | undefined>> =>
  import(/* @vite-ignore */ new URL(`${route}/route.ts`, api).pathname);

/** Who knocks, by the Cookie header that he brings. */
const identities = [
  'nobody',
  'a fresh browser',
  'A',
  'B',
  'an operator',
  'an operator in the shopper’s place',
  'A in the operator’s place',
  'A signed out',
  'A expired',
  'A tampered with',
  'A sealed with another password',
  'a disabled operator',
  'an operator signed out',
  'an operator after eight hours',
] as const;
type Identity = (typeof identities)[number];
const cookies = new Map<Identity, string>();

beforeAll(async () => {
  counter = await openCounter({ environment: { WECHAT_PRODUCTS: 'JSAPI,NATIVE,MWEB,APP,MINIPROGRAM' } });
  const { ctx } = counter;
  const cookieValue = (set_cookie: string): string =>
    set_cookie.slice(set_cookie.indexOf('=') + 1, set_cookie.indexOf(';'));
  const signedIn = async (openid?: string): Promise<Shopper> => {
    const browser = counter.shopper(openid);
    await browser.signIn();
    return browser;
  };
  const cookieOf = (browser: Shopper): string => browser.cookies.get('guitai_shopper') ?? '';
  const operator = async (username: string): Promise<string> => {
    const password = await setAdmin(ctx.db, username, ctx.now());
    return cookieValue(
      (await signIn(ctx, { username, password }, { ip: '127.0.0.1', request: new Request('http://shop') }))
        .set_cookie,
    );
  };

  alice = await signedIn();
  ({ order_no } = await alice.order('longjing'));
  ({ out_trade_no } = await alice.pay(order_no));
  const bob = await signedIn(counter.simulator_config.users[1]?.openid);
  const left = await signedIn();
  const left_cookie = cookieOf(left);
  await left.post('/api/signout', {});
  const old = await signedIn();
  const { id: old_id } = await ctx.db.session.findFirstOrThrow({
    where: { openid: old.openid },
    orderBy: { created_at: 'desc' },
  });
  await ctx.db.session.update({ where: { id: old_id }, data: { expires_at: ctx.now() } });
  const fresh = counter.shopper();
  await fresh.order();
  const other = createContext({
    ...ctx.config,
    SESSION_PASSWORD: 'another password, long enough to seal a cookie',
  });
  const forged = cookieValue((await beginSession(other, 'shopper', { openid: alice.openid })).set_cookie);
  await other.close();

  const boss = await operator('boss');
  const fired = await operator('fired');
  await ctx.db.admin.update({ where: { username: 'fired' }, data: { disabled: true } });
  const gone = await operator('gone');
  const tired = await operator('tired');
  const idOf = async (username: string) => (await ctx.db.admin.findUniqueOrThrow({ where: { username } })).id;
  await ctx.db.session.updateMany({ where: { admin_id: await idOf('gone') }, data: { ended_at: ctx.now() } });
  await ctx.db.session.updateMany({
    where: { admin_id: await idOf('tired') },
    data: { expires_at: ctx.now() },
  });

  const good = cookieOf(alice);
  const tampered = `${good.slice(0, 60)}${good[60] === 'A' ? 'B' : 'A'}${good.slice(61)}`;
  const shopper = (value: string): string => `guitai_shopper=${value}`;
  const admin = (value: string): string => `guitai_admin=${value}`;
  cookies.set('nobody', '');
  cookies.set('a fresh browser', shopper(cookieOf(fresh)));
  cookies.set('A', shopper(good));
  cookies.set('B', shopper(cookieOf(bob)));
  cookies.set('an operator', admin(boss));
  cookies.set('an operator in the shopper’s place', shopper(boss));
  cookies.set('A in the operator’s place', admin(good));
  cookies.set('A signed out', shopper(left_cookie));
  cookies.set('A expired', shopper(cookieOf(old)));
  cookies.set('A tampered with', shopper(tampered));
  cookies.set('A sealed with another password', shopper(forged));
  cookies.set('a disabled operator', admin(fired));
  cookies.set('an operator signed out', admin(gone));
  cookies.set('an operator after eight hours', admin(tired));
});
afterAll(() => counter.close());

async function knock(
  route: string,
  method: string,
  who: Identity,
  extra: { body?: unknown; headers?: Record<string, string>; order_no?: string } = {},
): Promise<{ status: number; text: string; headers: Headers }> {
  const number = extra.order_no ?? order_no;
  const module = await load(route);
  const handler = module[method];
  if (handler === undefined) return { status: 405, text: '', headers: new Headers() };
  const answer = await handler(
    new Request(`${counter.host.origin}/api/${route.replace(/\[\w+\]/g, encodeURIComponent(number))}`, {
      method,
      headers: {
        cookie: cookies.get(who) ?? '',
        origin: counter.host.origin,
        'content-type': 'application/json',
        ...extra.headers,
      },
      ...(method === 'GET' ? {} : { body: JSON.stringify(extra.body ?? {}) }),
    }),
    {
      params: Promise.resolve(
        new Proxy<Record<string, string>>({}, { get: (_, name) => (name === 'then' ? undefined : number) }),
      ),
    },
  );
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}

const isAlice = (who: Identity): boolean => who === 'A';
/** A WeChat account other than A's; everybody else here has none. */
const isOther = (who: Identity): boolean => who === 'B';

function expected(policy: Policy, route: string, who: Identity): number[] {
  switch (policy) {
    case 'anyone':
      if (route === 'wechat/jssdk') return [400];
      return route === 'admin/login' ? [401, 429] : [200];
    case 'visitor':
      return [200, 201, 302];
    case 'order':
      return isOther(who) ? [404] : [200];
    case 'payer':
      if (isAlice(who)) return [200];
      return route.endsWith('/pay') ? [403] : [404];
    case 'wechat':
      if (route === 'wechat/server') return [404];
      return route.includes('/v3/') ? [400] : [200];
    case 'keyed':
      return [401];
    case 'operator':
      return who === 'an operator' ? [200, 400, 404, 409] : [401];
  }
}

test('every route file under app/api stands in the table, and every line of the table is a route', () => {
  const own = routes.filter((route) => !route.startsWith('admin/') || table[route] !== undefined);
  expect(Object.keys(table).sort()).toEqual(own);
});

test('every route exports just the methods the table knows', async () => {
  for (const [route, lines] of Object.entries(table)) {
    const module = await load(route);
    const methods = Object.keys(module).filter((name) => /^[A-Z]+$/.test(name));
    expect([route, methods.sort()]).toEqual([route, lines.map(({ method }) => method).sort()]);
  }
});

describe.each(identities)('%s', (who) => {
  const shown = Object.entries(table)
    // Signing A out would end the session the other probes use.
    .filter(([route]) => !(route === 'signout' || route === 'admin/logout'))
    .flatMap(([route, lines]) => lines.map((line) => ({ route, ...line })));

  test.each(shown)('$method $route', async ({ route, method, policy, body }) => {
    const before = await rows();
    const answer = await knock(route, method, who, { body: body?.() });
    expect(expected(policy, route, who)).toContain(answer.status);
    if (!isAlice(who)) {
      for (const secret of [alice.openid, out_trade_no, 'prepay_id', 'paySign']) {
        expect(answer.text).not.toContain(secret);
      }
      // Nobody but A moves A's order.
      expect(await rows()).toBe(before);
    }
    if (route === 'admin/session') {
      expect(JSON.parse(answer.text)).toEqual({ username: who === 'an operator' ? 'boss' : null });
    }
    if (answer.status === 404 || answer.status === 403) expect(answer.text).not.toContain('12800');
    if (policy !== 'wechat' && answer.status !== 302) {
      expect(answer.headers.get('cache-control')).toBe('private, no-store');
    }
  });

  // Whatever else the console offers: without an operator there is nothing.
  const console_routes = routes.filter((route) => route.startsWith('admin/') && table[route] === undefined);
  test.each(console_routes)('operator’s %s', async (route) => {
    const module = await load(route);
    const methods = Object.keys(module).filter((name) => /^[A-Z]+$/.test(name));
    expect(methods.length).toBeGreaterThan(0);
    for (const method of methods) {
      if (who === 'an operator') continue;
      const before = await rows();
      const answer = await knock(route, method, who);
      expect([method, answer.status]).toEqual([method, 401]);
      for (const secret of [alice.openid, out_trade_no, order_no, '12800']) {
        expect(answer.text).not.toContain(secret);
      }
      expect(await rows()).toBe(before);
    }
  });
});

/** A's order with everything that hangs on it. */
async function rows(): Promise<string> {
  const { db } = counter.ctx;
  const [order, events] = await Promise.all([
    db.order.findUnique({ where: { order_no }, include: { trades: true } }),
    db.event.count({ where: { order_no } }),
  ]);
  const { asked_at: _, ...trade } = order?.trades[0] ?? {};
  return JSON.stringify([
    order?.state,
    order?.openid,
    order?.session_id,
    order?.trades.length,
    trade,
    events,
  ]);
}

describe('writes from elsewhere', () => {
  const writes = Object.entries(table).flatMap(([route, lines]) =>
    lines
      .filter(({ method, policy }) => method === 'POST' && policy !== 'wechat' && policy !== 'keyed')
      .map((line) => ({ route, ...line })),
  );
  test.each(writes)('$route: another origin, null or none is 403, whoever asks', async ({ route, body }) => {
    for (const origin of ['https://evil.example', 'null', '', `${counter.host.origin}.evil.example`]) {
      for (const who of ['A', 'an operator'] as const) {
        const answer = await knock(route, 'POST', who, { body: body?.(), headers: { origin } });
        expect([origin, answer.status]).toEqual([origin, 403]);
      }
    }
  });

  const forms = writes.filter(({ body }) => body !== undefined);
  test.each(forms)('$route: what a form of another site could send is 415', async ({ route, body }) => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
    ]) {
      const answer = await knock(route, 'POST', 'A', { body: body?.(), headers: { 'content-type': type } });
      expect([type, answer.status]).toEqual([type, 415]);
    }
  });
});

describe('numbers that are guessed', () => {
  const guesses = () => [
    '20261123120000AAAAAAAAAAAAAAAA',
    order_no.toLowerCase(),
    order_no.slice(0, -1),
    `${order_no}0`,
    out_trade_no,
    '%',
    "' OR '1'='1",
    '__proto__',
    '\u0000',
    '../orders',
    '9'.repeat(2_000),
  ];
  test('are 404 at every door of an order, letter by letter the same', async () => {
    for (const [route, lines] of Object.entries(table)) {
      if (!route.includes('[order_no]') || route.startsWith('app/')) continue;
      for (const { method, body } of lines) {
        const told = new Set<string>();
        for (const guess of guesses()) {
          const answer = await knock(route, method, 'B', { body: body?.(), order_no: guess });
          told.add(`${answer.status} ${answer.text}`);
        }
        expect([...told]).toHaveLength(1);
        expect([...told][0]).toMatch(/^404 /);
      }
    }
  });

  test('another’s trade number at one’s own order is 404', async () => {
    const bob = counter.shopper(counter.simulator_config.users[1]?.openid);
    await bob.signIn();
    const own = await bob.order();
    const answer = await bob.post(`/api/orders/${own.order_no}/bridge`, { out_trade_no, err_msg: 'x' });
    expect(answer.status).toBe(404);
  });
});

describe('what may not become a 500', () => {
  const odd: [string, string, unknown][] = [
    ['bridge with half a character', 'orders/[order_no]/bridge', () => ({ out_trade_no, err_msg: '\ud800' })],
    ['bridge with NUL', 'orders/[order_no]/bridge', () => ({ out_trade_no, err_msg: 'a\u0000b' })],
    ['bridge with emoji', 'orders/[order_no]/bridge', () => ({ out_trade_no, err_msg: '🍬'.repeat(100) })],
    ['login with NUL', 'admin/login', () => ({ username: 'a\u0000', password: 'x' })],
    ['login with half a character', 'admin/login', () => ({ username: '\udc00', password: '\ud800' })],
    ['login with an operator', 'admin/login', () => ({ username: { contains: '' }, password: 'x' })],
    ['login with 64 emoji', 'admin/login', () => ({ username: '🍬'.repeat(32), password: 'x' })],
  ];
  test.each(odd)('%s', async (_what, route, body) => {
    const answer = await knock(route, 'POST', 'A', { body: (body as () => unknown)() });
    expect(answer.status).toBeLessThan(500);
  });
});
