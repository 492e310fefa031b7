// Web authorisation and the official account's tokens, with WeChat's error pages and error numbers.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorld, type World } from './world.ts';

let w: World;
const BACK = 'http://127.0.0.1:3000/api/wechat/oauth?x=1';
beforeAll(async () => {
  w = await openWorld({ shop_origin: 'http://127.0.0.1:3000' });
});
afterAll(() => w.close());

function authorize(change: Record<string, string> = {}, headers: Record<string, string> = {}) {
  const query = new URLSearchParams({
    appid: w.config.official_account.appid,
    redirect_uri: BACK,
    response_type: 'code',
    scope: 'snsapi_base',
    state: 'abc123',
    ...change,
  });
  return fetch(`${w.url}/connect/oauth2/authorize?${query}`, { redirect: 'manual', headers });
}

async function code(scope = 'snsapi_base', openid = '') {
  const answer = await authorize(
    { scope, ...(scope === 'snsapi_base' ? {} : { _sim_consent: 'allow' }) },
    openid === '' ? {} : { cookie: `_sim_openid=${openid}` },
  );
  return new URL(answer.headers.get('location') ?? '').searchParams.get('code') ?? '';
}

/** What the account's doors answer, all together. */
type Reply = {
  errcode: number;
  errmsg: string;
  access_token: string;
  refresh_token: string;
  expires_in: number;
  openid: string;
  unionid: string;
  ticket: string;
};

async function api(path: string, query: Record<string, string>): Promise<Reply> {
  const response = await fetch(`${w.url}${path}?${new URLSearchParams(query)}`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/plain');
  return JSON.parse(await response.text());
}

const exchange = (given: Record<string, string>) =>
  api('/sns/oauth2/access_token', {
    appid: w.config.official_account.appid,
    secret: w.config.official_account.secret,
    grant_type: 'authorization_code',
    ...given,
  });

describe('the authorise page', () => {
  it('for snsapi_base answers at once with code and state, keeping the query of the return address', async () => {
    const answer = await authorize();
    expect(answer.status).toBe(302);
    const back = new URL(answer.headers.get('location') ?? '');
    expect(back.origin + back.pathname).toBe('http://127.0.0.1:3000/api/wechat/oauth');
    expect([...back.searchParams.keys()]).toEqual(['x', 'code', 'state']);
    expect(back.searchParams.get('state')).toBe('abc123');
  });

  it('knows the user by the cookie, else takes the first', async () => {
    expect((await exchange({ code: await code() })).openid).toBe(w.user.openid);
    expect((await exchange({ code: await code('snsapi_base', w.other.openid) })).openid).toBe(w.other.openid);
  });

  it('for snsapi_userinfo asks first; refusing returns state and no code', async () => {
    const page = await (await authorize({ scope: 'snsapi_userinfo' })).text();
    expect(page).toContain('data-testid="consent-allow"');
    expect(page).toContain('data-testid="consent-refuse"');
    const refused = await authorize({ scope: 'snsapi_userinfo', _sim_consent: 'refuse' });
    expect(refused.headers.get('location')).toBe(`${BACK}&state=abc123`);
  });

  it.each([
    ['10003', { redirect_uri: 'https://evil.example.com/x' }],
    ['10003', { redirect_uri: 'http://127.0.0.1:3001/x' }],
    ['10003', { redirect_uri: 'javascript:alert(1)' }],
    ['10005', { scope: 'snsapi_everything' }],
    ['10010', { scope: '' }],
    ['10011', { redirect_uri: '' }],
    ['10012', { appid: 'wx0' }],
    ['10013', { state: 'x'.repeat(129) }],
    ['10014', { response_type: 'token' }],
  ])('shows error %s for %o', async (number, change) => {
    const answer = await authorize(change);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain(`<b data-testid="oauth-error">${number}</b>`);
  });

  it('escapes what it repeats', async () => {
    expect(await (await authorize({ scope: '<script>' })).text()).not.toContain('<script>');
  });
});

describe('the code', () => {
  it('is good once: the second time is 40163', async () => {
    const given = await code();
    const first = await exchange({ code: given });
    expect(first).toMatchObject({ openid: w.user.openid, scope: 'snsapi_base', expires_in: 7200 });
    expect(first.access_token).not.toBe('');
    expect(first).not.toHaveProperty('unionid');
    const second = await exchange({ code: given });
    expect(second.errcode).toBe(40163);
    expect(second.errmsg).toMatch(/^code been used, rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$/);
  });

  it('dies after five minutes: 42003', async () => {
    const given = await code();
    await w.advance(301);
    expect((await exchange({ code: given })).errcode).toBe(42003);
  });

  it.each([
    [40029, { code: 'nonsense' }],
    [41008, { code: '' }],
    [41002, { appid: '' }],
    [41004, { secret: '' }],
    [40013, { appid: 'wx0' }],
    [40125, { secret: '0'.repeat(32) }],
    [40002, { code: 'x', grant_type: 'password' }],
  ])('errcode %i for %o', async (errcode, change) => {
    expect((await exchange({ code: 'x', ...change })).errcode).toBe(errcode);
  });

  it('of snsapi_userinfo opens the profile, of snsapi_base does not', async () => {
    const full = await exchange({ code: await code('snsapi_userinfo') });
    expect(full.unionid).toMatch(/^o/);
    const { access_token, openid, refresh_token } = full;
    expect(await api('/sns/userinfo', { access_token, openid, lang: 'zh_CN' })).toMatchObject({
      openid,
      nickname: '小明',
    });
    expect(await api('/sns/auth', { access_token, openid })).toEqual({ errcode: 0, errmsg: 'ok' });
    expect((await api('/sns/auth', { access_token, openid: w.other.openid })).errcode).toBe(40003);
    const { appid } = w.config.official_account;
    expect(
      await api('/sns/oauth2/refresh_token', { appid, grant_type: 'refresh_token', refresh_token }),
    ).toMatchObject({ openid });
    const base = await exchange({ code: await code() });
    expect(
      (await api('/sns/userinfo', { access_token: base.access_token, openid: base.openid })).errcode,
    ).toBe(48001);
  });
});

describe('the account’s own tokens', () => {
  const credentials = () => ({
    appid: w.config.official_account.appid,
    secret: w.config.official_account.secret,
  });
  const basic = () => api('/cgi-bin/token', { grant_type: 'client_credential', ...credentials() });
  const ticket = (access_token: string) => api('/cgi-bin/ticket/getticket', { access_token, type: 'jsapi' });
  const stable = async (own: Record<string, unknown> = {}): Promise<Reply> => {
    const body = JSON.stringify({ grant_type: 'client_credential', ...credentials(), ...own });
    return JSON.parse(await (await fetch(`${w.url}/cgi-bin/stable_token`, { method: 'POST', body })).text());
  };

  it('a new access_token leaves the old one five minutes', async () => {
    const old = (await basic()).access_token;
    const fresh = (await basic()).access_token;
    expect(fresh).not.toBe(old);
    expect((await ticket(old)).errcode).toBe(0);
    await w.advance(301);
    expect((await ticket(old)).errcode).toBe(42001);
    expect((await ticket(fresh)).errcode).toBe(0);
  });

  it('stable_token stays the same, is renewed near its end, and is forced at most every 30 seconds', async () => {
    const first = await stable();
    expect((await stable()).access_token).toBe(first.access_token);
    await w.advance(6890);
    expect((await stable()).access_token).toBe(first.access_token);
    await w.advance(20);
    const renewed = await stable();
    expect(renewed.access_token).not.toBe(first.access_token);
    expect((await ticket(first.access_token)).errcode).toBe(0);
    const forced = await stable({ force_refresh: true });
    expect(forced.access_token).not.toBe(renewed.access_token);
    expect((await stable({ force_refresh: true })).errcode).toBe(45011);
    await w.advance(31);
    expect((await stable({ force_refresh: true })).expires_in).toBe(7200);
  });

  it('stable_token wants POST and JSON', async () => {
    expect((await api('/cgi-bin/stable_token', {})).errcode).toBe(43002);
    const post = async (body: string) =>
      JSON.parse(await (await fetch(`${w.url}/cgi-bin/stable_token`, { method: 'POST', body })).text());
    expect((await post('')).errcode).toBe(44002);
    expect((await post('<xml/>')).errcode).toBe(47001);
    expect((await stable({ secret: 'x' })).errcode).toBe(40125);
  });

  it('the ticket is kept, and needs a living token of the account', async () => {
    const { access_token } = await basic();
    const first = await ticket(access_token);
    expect(first).toMatchObject({ errcode: 0, errmsg: 'ok' });
    expect((await ticket(access_token)).ticket).toBe(first.ticket);
    expect((await ticket('')).errcode).toBe(41001);
    expect((await ticket('nonsense')).errcode).toBe(40001);
    const web = await exchange({ code: await code() });
    expect((await ticket(web.access_token)).errcode).toBe(40001);
  });

  it('a busy server answers -1', async () => {
    await w.faults({ token_system_error: { times: 1 } });
    expect(await basic()).toEqual({ errcode: -1, errmsg: 'system error' });
    expect((await basic()).expires_in).toBe(7200);
  });
});
