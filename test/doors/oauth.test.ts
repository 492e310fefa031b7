/**
 * Signing in with WeChat's silent authorisation: our own state, spent once, in the browser it was made for; a way
 * back that is a page of ours; and whatever goes wrong ends on a page with a button, never in a circle.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { allowedReturnPath } from '../../lib/oauth.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';

let counter: Counter;
/** What WeChat's answer to a code becomes on its way to us; a snapshot user cannot be had from the simulator. */
let onTheWay: ((answer: Record<string, unknown>) => Record<string, unknown>) | undefined;

beforeAll(async () => {
  counter = await openCounter({
    environment: { WECHAT_TIMEOUT_MS: '500' },
    fetch: async (input, init) => {
      const answer = await fetch(input, init);
      if (onTheWay === undefined || !String(input).includes('/sns/oauth2/access_token')) return answer;
      return Response.json(onTheWay((await answer.json()) as Record<string, unknown>));
    },
  });
});
beforeEach(async () => {
  onTheWay = undefined;
  await counter.control('faults', undefined, 'DELETE');
});
afterAll(() => counter.close());

const door = '/api/wechat/oauth';
const locationOf = (answer: Response): string => answer.headers.get('location') ?? '';

/** Starts signing in; returns the state that WeChat is given. */
async function begin(browser: Shopper, return_to = '/'): Promise<string> {
  const answer = await browser.go(`${door}?return_to=${encodeURIComponent(return_to)}`);
  expect(answer.status).toBe(302);
  return new URL(locationOf(answer)).searchParams.get('state') ?? '';
}

/** Lets WeChat send the browser back; returns our address with code and state. */
async function authorise(browser: Shopper, state: string): Promise<URL> {
  const back = encodeURIComponent(counter.host.origin + door);
  const answer = await browser.go(
    `${counter.simulator_url}/connect/oauth2/authorize?appid=${counter.ctx.config.WECHAT_APPID}&redirect_uri=${back}&response_type=code&scope=snsapi_base&state=${state}`,
  );
  return new URL(locationOf(answer));
}

/** Comes back to us; where the browser is sent then, on our own host. */
async function comeBack(browser: Shopper, query: Record<string, string>): Promise<string> {
  const answer = await browser.go(`${door}?${new URLSearchParams(query)}`);
  expect(answer.status).toBe(302);
  const location = locationOf(answer);
  expect(location.startsWith(`${counter.host.origin}/`)).toBe(true);
  expect(answer.headers.get('cache-control')).toBe('private, no-store');
  return location.slice(counter.host.origin.length);
}

const signedIn = async (browser: Shopper): Promise<boolean> =>
  (await browser.go(`${door}?return_to=/orders`)).headers.get('location') === `${counter.host.origin}/orders`;

async function codeAndState(browser: Shopper): Promise<{ code: string; state: string }> {
  const back = await authorise(browser, await begin(browser));
  return { code: back.searchParams.get('code') ?? '', state: back.searchParams.get('state') ?? '' };
}

describe('all goes well', () => {
  test('two redirects to WeChat and back, and the browser is where it wanted to be', async () => {
    const browser = counter.shopper();
    expect(await browser.signIn('/orders')).toBe('/orders');
    expect(await signedIn(browser)).toBe(true);
  });

  test('the openid stands in no address and in no cookie', async () => {
    const browser = counter.shopper();
    const seen: string[] = [];
    const state = await begin(browser);
    const back = await authorise(browser, state);
    seen.push(back.href);
    const answer = await browser.go(back.href);
    seen.push(locationOf(answer), ...answer.headers.getSetCookie());
    expect(seen.join('\n')).not.toContain(browser.openid);
    expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
  });

  test('who is signed in is not sent to WeChat again', async () => {
    const browser = counter.shopper();
    await browser.signIn();
    expect(await browser.signIn('/orders')).toBe('/orders');
  });

  test('the state is 128 random bits in letters WeChat takes, another one each time', async () => {
    const browser = counter.shopper();
    const states = await Promise.all(Array.from({ length: 10 }, () => begin(browser)));
    expect(new Set(states).size).toBe(10);
    for (const state of states) expect(state).toMatch(/^[0-9a-f]{32}$/);
  });
});

describe('the state is not one of this browser', () => {
  test('foreign: a victim who opens the attacker’s way back is not signed in as the attacker', async () => {
    const attacker = counter.shopper(counter.simulator_config.users[1]?.openid);
    const planted = await codeAndState(attacker);
    const victim = counter.shopper();
    await begin(victim);
    expect(await comeBack(victim, planted)).toMatch(/^\/signin\?fault=cookies/);
    expect(await signedIn(victim)).toBe(false);
    expect(await comeBack(attacker, planted)).toBe('/');
  });

  test('the cookie is gone when WeChat comes back: said so, nobody signed in, the code not spent', async () => {
    const browser = counter.shopper();
    const back = await codeAndState(browser);
    const kept = [...browser.cookies];
    browser.cookies.clear();
    expect(await comeBack(browser, back)).toMatch(/^\/signin\?fault=cookies/);
    for (const [name, value] of kept) browser.cookies.set(name, value);
    expect(await comeBack(browser, back)).toBe('/');
  });

  test('missing: it starts again instead of believing a bare code', async () => {
    const browser = counter.shopper();
    const { code } = await codeAndState(browser);
    const answer = await browser.go(`${door}?code=${code}`);
    expect(locationOf(answer)).toMatch(/connect\/oauth2\/authorize/);
    expect(await signedIn(browser)).toBe(false);
  });

  test.each(['x', 'ffffffffffffffffffffffffffffffff', 'F'.repeat(32), '', "'", '%00', 'a'.repeat(5_000)])(
    'made up (%s): expired, nobody signed in',
    async (state) => {
      const browser = counter.shopper();
      const { code } = await codeAndState(browser);
      expect(await comeBack(browser, { code, state })).toMatch(/^\/signin\?fault=expired/);
      expect(await signedIn(browser)).toBe(false);
    },
  );

  test('reused: the second time it signs nobody in', async () => {
    const browser = counter.shopper();
    const back = await codeAndState(browser);
    expect(await comeBack(browser, back)).toBe('/');
    const other = counter.shopper();
    await begin(other);
    expect(await comeBack(other, back)).toMatch(/^\/signin\?fault=(expired|cookies)/);
  });

  test('reused by the back button of who is signed in: simply home', async () => {
    const browser = counter.shopper();
    const back = await codeAndState(browser);
    await comeBack(browser, back);
    expect(await comeBack(browser, back)).toBe('/');
  });

  test('twice at the same moment: one of them spends it', async () => {
    const browser = counter.shopper();
    const back = await codeAndState(browser);
    const twin = counter.shopper();
    for (const [name, value] of browser.cookies) twin.cookies.set(name, value);
    const ends = await Promise.all([comeBack(browser, back), comeBack(twin, back)]);
    expect(ends.filter((end) => end === '/')).toHaveLength(1);
  });

  test('older than five minutes: expired', async () => {
    const browser = counter.shopper();
    const back = await codeAndState(browser);
    counter.advance(5 * 60 + 1);
    expect(await comeBack(browser, back)).toMatch(/^\/signin\?fault=expired/);
  });
});

describe('WeChat says no', () => {
  test('the shopper refused: state without a code', async () => {
    const browser = counter.shopper();
    const state = await begin(browser, '/orders');
    expect(await comeBack(browser, { state })).toBe('/signin?fault=refused&return_to=%2Forders');
    expect(await signedIn(browser)).toBe(false);
  });

  test.each(['', ' ', 'a b', 'x'.repeat(129), '<script>'])(
    'a code that is none (%j): refused',
    async (code) => {
      const browser = counter.shopper();
      const state = await begin(browser);
      expect(await comeBack(browser, { state, code })).toMatch(/^\/signin\?fault=refused/);
    },
  );

  test('a code WeChat never gave out: 40029', async () => {
    const browser = counter.shopper();
    const state = await begin(browser);
    expect(await comeBack(browser, { state, code: 'made0up' })).toMatch(/^\/signin\?fault=expired/);
  });

  test('WeChat’s refusal stands before the operator until a shopper signs in; a spent code never does', async () => {
    const troubles = () =>
      counter.ctx.db.account_fault.findMany({ where: { call: 'oauth', ended_at: null } });
    await counter.ctx.db.account_fault.deleteMany();
    for (const [errcode, waiting] of [
      [40163, 0],
      [40029, 0],
      [40125, 1],
    ] as const) {
      await counter.control('faults', { access_token_api_errcode: { errcode, times: 1 } }, 'PUT');
      const refused = counter.shopper();
      await comeBack(refused, await codeAndState(refused));
      expect([errcode, (await troubles()).length]).toEqual([errcode, waiting]);
    }
    const browser = counter.shopper();
    await comeBack(browser, await codeAndState(browser));
    expect(await troubles()).toEqual([]);
  });

  test('a code that was exchanged already: 40163', async () => {
    const browser = counter.shopper();
    const { code, state } = await codeAndState(browser);
    expect(await comeBack(browser, { code, state })).toBe('/');
    const other = counter.shopper();
    expect(await comeBack(other, { code, state: await begin(other) })).toMatch(/^\/signin\?fault=expired/);
    expect(await signedIn(other)).toBe(false);
  });

  test('a code older than five minutes on WeChat’s clock: 42003', async () => {
    const browser = counter.shopper();
    const back = await codeAndState(browser);
    await counter.control('clock', { advance_s: 301 });
    expect(await comeBack(browser, back)).toMatch(/^\/signin\?fault=expired/);
  });

  const faults: [string, unknown][] = [
    ['line_cut', {}],
    ['answer_lost', {}],
    ['answer_truncated', {}],
    ['http_502', {}],
    ['system_error', {}],
  ];
  test.each(faults)('%s at the exchange: unavailable, nobody signed in', async (fault, how) => {
    const browser = counter.shopper();
    const back = await codeAndState(browser);
    await counter.control(
      'faults',
      { [fault]: { path: '/sns/oauth2/access_token', ...(how as object) } },
      'PUT',
    );
    expect(await comeBack(browser, back)).toMatch(/^\/signin\?fault=unavailable/);
    expect(await signedIn(browser)).toBe(false);
  });

  test('a snapshot page’s made-up user: told so, never signed in', async () => {
    const browser = counter.shopper();
    const back = await codeAndState(browser);
    onTheWay = (answer) => ({ ...answer, is_snapshotuser: 1 });
    expect(await comeBack(browser, back)).toMatch(/^\/signin\?fault=snapshot/);
    expect(await signedIn(browser)).toBe(false);
  });

  test.each([
    { openid: undefined },
    { openid: '' },
    { openid: 'o<script>' },
    { openid: ['o1'] },
    { openid: 7 },
  ])('an answer whose openid is none (%j): unavailable', async (change) => {
    const browser = counter.shopper();
    const back = await codeAndState(browser);
    onTheWay = (answer) => ({ ...answer, ...change });
    expect(await comeBack(browser, back)).toMatch(/^\/signin\?fault=unavailable/);
  });

  test('no failure leads back to WeChat by itself: two redirects, then a page', async () => {
    const browser = counter.shopper();
    await counter.control('faults', { system_error: { path: '/sns/oauth2/access_token' } }, 'PUT');
    let answer = await browser.go(`${door}?return_to=/`);
    let to_wechat = 0;
    for (let hops = 0; hops < 6; hops += 1) {
      const location = locationOf(answer);
      if (location.startsWith(counter.simulator_url)) to_wechat += 1;
      if (location.startsWith(`${counter.host.origin}/signin`)) break;
      answer = await browser.go(location);
    }
    expect(locationOf(answer)).toMatch(/\/signin\?fault=unavailable/);
    expect(to_wechat).toBe(1);
  });
});

describe('the way back is a page of ours', () => {
  const evil = [
    '//evil.example',
    '///evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    'https://evil.example',
    'https:evil.example',
    'javascript:alert(1)',
    'data:text/html,x',
    '%2f%2fevil.example',
    '/%2f/evil.example',
    '/%5cevil.example',
    '/.evil.example',
    '@evil.example',
    '/\t/evil.example',
    '/\n/evil.example',
    '/orders\r\nSet-Cookie: a=b',
    '/orders%0d%0aSet-Cookie:%20a=b',
    '/orders\u2028',
    '/orders?next=//evil.example',
    '/orders#//evil.example',
    '/orders/',
    '/pay/20261123120000AAAAAAAAAAAAAAAA\n',
    '/pay/20261123120000AAAAAAAAAAAAAAAA/../../admin',
    '/pay/../admin',
    '/admin',
    '/api/signout',
    '／／evil.example',
    'ＨＴＴＰＳ://evil.example',
    '',
    ' /orders',
    '/ORDERS',
  ];
  test.each(evil)('%j becomes the shop', async (path) => {
    expect(allowedReturnPath(path)).toBe('/');
    const browser = counter.shopper();
    expect(await browser.signIn(path)).toBe('/');
  });

  test.each(['/', '/orders', '/pay/20261123120000AAAAAAAAAAAAAAAA'])('%s is kept', async (path) => {
    expect(await counter.shopper().signIn(path)).toBe(path);
  });

  test('a return_to given on the way back is not listened to', async () => {
    const browser = counter.shopper();
    const back = await codeAndState(browser);
    expect(await comeBack(browser, { ...back, return_to: '/orders' })).toBe('/');
  });

  test('WeChat is told our own address, whatever host the request names', async () => {
    const browser = counter.shopper();
    const answer = await browser.go(`${door}?return_to=/`, {
      headers: { 'x-forwarded-host': 'evil.example' },
    });
    expect(new URL(locationOf(answer)).searchParams.get('redirect_uri')).toBe(counter.host.origin + door);
  });
});

describe('sessions', () => {
  const cookie = (browser: Shopper): string => browser.cookies.get('guitai_shopper') ?? '';

  test('fixation: a session planted before signing in is worth nothing after it', async () => {
    const attacker = counter.shopper();
    await begin(attacker);
    const planted = cookie(attacker);
    const victim = counter.shopper();
    victim.cookies.set('guitai_shopper', planted);
    await victim.signIn();
    expect(await signedIn(victim)).toBe(true);
    expect(cookie(victim)).not.toBe(planted);
    expect(cookie(attacker)).toBe(planted);
    expect(await signedIn(attacker)).toBe(false);
  });

  test('signing out ends every copy of the cookie', async () => {
    const browser = counter.shopper();
    await browser.signIn();
    const copy = counter.shopper();
    copy.cookies.set('guitai_shopper', cookie(browser));
    expect(await signedIn(copy)).toBe(true);
    const answer = await browser.post('/api/signout', {});
    expect(answer.status).toBe(200);
    expect(answer.headers.get('set-cookie')).toMatch(/guitai_shopper=;.*Max-Age=0.*HttpOnly/);
    expect(await signedIn(copy)).toBe(false);
  });

  test('another site cannot sign anybody out', async () => {
    const browser = counter.shopper();
    await browser.signIn();
    const answer = await browser.post('/api/signout', {}, { origin: 'https://evil.example' });
    expect(answer.status).toBe(403);
    expect(await signedIn(browser)).toBe(true);
  });

  test('a session is over after thirty days', async () => {
    const browser = counter.shopper();
    await browser.signIn();
    counter.advance(30 * 86_400 + 1);
    expect(await signedIn(browser)).toBe(false);
  });

  test('a tampered, cut, foreign or empty cookie is nobody, and no 500', async () => {
    const browser = counter.shopper();
    await browser.signIn();
    const good = cookie(browser);
    const flipped = `${good.slice(0, 40)}${good[40] === 'A' ? 'B' : 'A'}${good.slice(41)}`;
    for (const bad of [
      flipped,
      good.slice(0, -3),
      `${good.slice(0, 50)}x${good.slice(50)}`,
      '',
      '%',
      'Fe26.2**',
      '{}',
      'a'.repeat(7_000),
    ]) {
      if (bad === good) continue;
      const other = counter.shopper();
      other.cookies.set('guitai_shopper', bad);
      const answer = await other.go(`${door}?return_to=/orders`);
      expect([bad.slice(0, 20), answer.status]).toEqual([bad.slice(0, 20), 302]);
      expect(locationOf(answer)).toMatch(/connect\/oauth2\/authorize/);
    }
  });
});
