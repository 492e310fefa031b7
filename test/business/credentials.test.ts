/**
 * One access_token and one ticket for all instances: however many ask at once, and on however many machines, WeChat
 * hears one call; what fails is told once and not asked for a hundred times.
 */
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readConfig } from '../../lib/config.ts';
import { type Context, createContext } from '../../lib/context.ts';
import { accessToken, jsapiTicket, withAccessToken } from '../../lib/credentials.ts';
import { OfficialAccountError } from '../../lib/wechat/index.ts';
import { type Counter, openCounter } from '../setup/counter.ts';

let counter: Counter;
let one: Context;
let two: Context;
/** What moves the second instance's clock with the first's. */
let offset_ms = 0;

beforeAll(async () => {
  counter = await openCounter();
  const instance = (): Context =>
    createContext(readConfig(counter.settings), {
      log: pino({ level: 'silent' }),
      now: () => new Date(Date.now() + offset_ms),
    });
  one = instance();
  two = instance();
});
afterAll(async () => {
  await one.close();
  await two.close();
  await counter.close();
});
beforeEach(async () => {
  offset_ms = 0;
  await counter.control('reset', {});
  await one.db.credential.deleteMany();
  await one.db.account_fault.deleteMany();
});
afterEach(() => counter.control('faults', undefined, 'DELETE'));

/** Calls that reached the platform's door, by its own log. */
async function calls(path: string): Promise<number> {
  const { entries } = await counter.control<{ entries: unknown[] }>(
    `log?limit=2000&path=${encodeURIComponent(path)}`,
  );
  return entries.length;
}
const refreshes = () => calls('/cgi-bin/stable_token');

/** Time passes for both instances and for the platform. */
async function later(seconds: number): Promise<void> {
  offset_ms += seconds * 1_000;
  await counter.control('clock', { advance_s: seconds });
}

const hundred = <Result>(ask: (ctx: Context) => Promise<Result>): Promise<Result[]> =>
  Promise.all(Array.from({ length: 100 }, (_, index) => ask(index % 2 === 0 ? one : two)));

/** Any call that needs a token; the ticket's door says when it does not like one. */
const useToken = (ctx: Context) => (access_token: string) =>
  fetch(`${ctx.config.WECHAT_API_BASE_URL}/cgi-bin/ticket/getticket?type=jsapi&access_token=${access_token}`)
    .then((answer) => answer.json() as Promise<{ errcode: number; errmsg: string; ticket: string }>)
    .then(({ errcode, errmsg, ticket }) => {
      if (errcode !== 0) throw new OfficialAccountError(errcode, String(errcode), errmsg);
      return ticket;
    });

describe('one refresh', () => {
  test('a hundred requests on two instances, no token yet', async () => {
    const tokens = await hundred((ctx) => accessToken(ctx));
    expect(new Set(tokens).size).toBe(1);
    expect(await refreshes()).toBe(1);
  });

  test('a hundred requests on two instances, the token expired', async () => {
    const old = await accessToken(one);
    await later(7_201);
    const before = await refreshes();
    const tokens = await hundred((ctx) => accessToken(ctx));
    expect(new Set(tokens).size).toBe(1);
    expect(tokens[0]).not.toBe(old);
    expect(await refreshes()).toBe(before + 1);
  });

  test('a hundred calls are told 42001 at once, though we thought the token good', async () => {
    const old = await accessToken(one);
    // Only the platform's clock: ours would not have asked.
    await counter.control('clock', { advance_s: 7_201 });
    const before = await refreshes();
    const tickets = await hundred((ctx) => withAccessToken(ctx, useToken(ctx)));
    expect(new Set(tickets).size).toBe(1);
    expect(await refreshes()).toBe(before + 1);
    expect(await accessToken(two)).not.toBe(old);
  });

  test('somebody else forced a new one, and ours is rejected after its five minutes', async () => {
    const { WECHAT_APPID: appid, WECHAT_APP_SECRET: secret } = one.config;
    const old = await accessToken(one);
    await fetch(`${counter.simulator_url}/cgi-bin/stable_token`, {
      method: 'POST',
      body: JSON.stringify({ grant_type: 'client_credential', appid, secret, force_refresh: true }),
    });
    await later(301);
    const before = await refreshes();
    await hundred((ctx) => withAccessToken(ctx, useToken(ctx)));
    expect(await refreshes()).toBe(before + 1);
    expect(await accessToken(two)).not.toBe(old);
  });

  test('the old token serves while one instance fetches the next', async () => {
    const old = await accessToken(one);
    await later(7_200 - 200);
    await counter.control('faults', { stable_token_answer_slow: { delay_ms: 400, times: 1 } }, 'PUT');
    const slow = accessToken(one);
    await expect
      .poll(async () => (await one.db.credential.findFirstOrThrow()).refreshing_until)
      .not.toBeNull();
    expect(await accessToken(two)).toBe(old);
    expect(await slow).not.toBe(old);
    expect(await accessToken(two)).toBe(await slow);
  });

  test('a token that WeChat both gives out and rejects is demanded anew, once', async () => {
    const old = await accessToken(one);
    const before = await refreshes();
    const again = await Promise.all([accessToken(one, old), accessToken(two, old), accessToken(one, old)]);
    expect(new Set(again).size).toBe(1);
    expect(again[0]).not.toBe(old);
    // First as it comes, then by force.
    expect(await refreshes()).toBe(before + 2);
  });

  test('the ticket: a hundred pages on two instances, one call, and again after it expired', async () => {
    const tickets = await hundred((ctx) => jsapiTicket(ctx));
    expect(new Set(tickets).size).toBe(1);
    expect(await calls('/cgi-bin/ticket/getticket')).toBe(1);
    await later(7_201);
    const next = await hundred((ctx) => jsapiTicket(ctx));
    expect(new Set(next).size).toBe(1);
    expect(next[0]).not.toBe(tickets[0]);
    expect(await calls('/cgi-bin/ticket/getticket')).toBe(2);
  });
});

describe('when WeChat says no', () => {
  test('a hundred callers of a busy platform are one call and one note, and the next try mends it', async () => {
    await counter.control('faults', { stable_token_system_error: true }, 'PUT');
    const outcomes = await hundred((ctx) =>
      accessToken(ctx).catch((thrown: OfficialAccountError) => thrown.errcode),
    );
    expect(new Set(outcomes)).toEqual(new Set([-1]));
    expect(await refreshes()).toBe(1);
    expect(await one.db.account_fault.findMany()).toMatchObject([
      { call: 'access_token', errcode: -1, times: 1, ended_at: null },
    ]);
    await counter.control('faults', undefined, 'DELETE');
    await later(3);
    await accessToken(two);
    expect((await one.db.account_fault.findFirstOrThrow()).ended_at).not.toBeNull();
  });

  test('a failure before the old one ends is nobody’s trouble yet', async () => {
    const old = await accessToken(one);
    await later(7_200 - 200);
    await counter.control('faults', { stable_token_http_502: true }, 'PUT');
    expect(await accessToken(two)).toBe(old);
    expect(await one.db.account_fault.findMany()).toMatchObject([{ code: 'HTTP_502' }]);
  });

  test('an instance that dies while it asks is replaced when its time is over', async () => {
    const now = one.now();
    await one.db.credential.create({
      data: {
        appid: one.config.WECHAT_APPID,
        kind: 'access_token',
        value: '',
        expires_at: now,
        refreshing_until: new Date(now.getTime() + 300),
        refresher: crypto.randomUUID(),
      },
    });
    expect(await accessToken(two)).not.toBe('');
    expect(two.now().getTime() - now.getTime()).toBeGreaterThanOrEqual(300);
    expect(await refreshes()).toBe(1);
  });

  test('a wrong secret is told with the console page that mends it, and no secret in the note', async () => {
    const wrong = createContext(
      { ...one.config, WECHAT_APP_SECRET: '0'.repeat(32) },
      { log: pino({ level: 'silent' }), db: one.db },
    );
    const refused = await accessToken(wrong).catch((thrown: unknown) => thrown);
    expect(refused).toMatchObject({ errcode: 40125, console_page: '公众平台 → 设置与开发 → 基本配置' });
    const [fault] = await one.db.account_fault.findMany();
    expect(fault).toMatchObject({ errcode: 40125 });
    expect(JSON.stringify(fault)).not.toContain('0'.repeat(32));
  });
});
