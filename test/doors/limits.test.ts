/** What one address may begin, how long a body may take, and that others go on meanwhile. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Context } from '../../lib/context.ts';
import { AppError } from '../../lib/errors.ts';
import { answering, readJson } from '../../lib/http.ts';
import { handlers } from '../../lib/jobs.ts';
import { type Counter, openCounter } from '../setup/counter.ts';
import { knock } from '../setup/host.ts';

const limit = 5;
let counter: Counter;
/** One to begin payments of. */
let order_no: string;
beforeAll(async () => {
  counter = await openCounter({
    environment: {
      ADDRESS_LIMIT_PER_MINUTE: String(limit),
      TRUSTED_PROXIES: '1',
      WECHAT_PRODUCTS: 'JSAPI,NATIVE',
    },
  });
  order_no = ((await (await order('192.0.2.1')).json()) as { order_no: string }).order_no;
});
afterAll(() => counter.close());

const post = (path: string, body: unknown, ip: string) =>
  knock(
    new Request(`${counter.host.origin}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: {
        'content-type': 'application/json',
        origin: counter.host.origin,
        'x-forwarded-for': ip,
        'accept-language': 'zh-CN',
      },
    }),
  );
const order = (ip: string) => {
  const checkout_key = crypto.randomUUID();
  return post('/api/orders', { items: [{ product_id: 'longjing', quantity: 1 }], checkout_key }, ip);
};
const pay = (ip: string) => post(`/api/orders/${order_no}/pay`, { trade_type: 'NATIVE' }, ip);
const signIn = (ip: string) =>
  knock(new Request(`${counter.host.origin}/api/wechat/oauth`, { headers: { 'x-forwarded-for': ip } }));

async function rows() {
  const { db } = counter.ctx;
  const [orders, trades, sessions, states] = await Promise.all([
    db.order.count(),
    db.trade.count(),
    db.session.count(),
    db.oauth_state.count(),
  ]);
  return { orders, trades, sessions, states };
}

describe.each([
  ['orders', order, 201],
  ['payments', pay, 200],
  ['sign-ins', signIn, 302],
] as const)('%s of one address', (_name, begin, begun) => {
  test('are refused beyond the limit with a code and a sentence, write no row, and hold nobody else up', async () => {
    const ip = `198.51.100.${begun % 100}`;
    const answers = await Promise.all(Array.from({ length: limit + 3 }, () => begin(ip)));
    expect(answers.filter(({ status }) => status === begun)).toHaveLength(limit);
    const before = await rows();
    const refused = await begin(ip);
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('60');
    expect(await refused.json()).toEqual({
      error: { code: 'too_many_requests', message: '请求过于频繁，请一分钟后再试' },
    });
    expect(await rows()).toEqual(before);
    expect((await begin('198.51.100.99')).status).toBe(begun);
  });

  test('are taken again in the next minute, by every address of the network', async () => {
    for (let nth = 0; nth < limit; nth += 1) await begin(`2001:db8:${begun}::${nth}`);
    expect((await begin(`2001:db8:${begun}::ffff`)).status).toBe(429);
    counter.advance(60);
    expect((await begin(`2001:db8:${begun}::ffff`)).status).toBe(begun);
  });
});

test('tallies are forgotten after a day', async () => {
  await order('203.0.113.1');
  expect(await counter.ctx.db.tally.count()).toBeGreaterThan(0);
  counter.advance(25 * 3_600);
  await handlers.sweep(counter.ctx, {});
  expect(await counter.ctx.db.tally.count()).toBe(0);
});

test('a JSON body that drips is given up with a code', async () => {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode('{"a":')),
    cancel: () => {
      cancelled = true;
    },
  });
  const request = new Request('http://shop', {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
    duplex: 'half',
  } as RequestInit);
  const read = readJson(request, z.object({}), 40);
  await expect(read).rejects.toThrow(AppError);
  await expect(read).rejects.toMatchObject({ code: 'body_too_slow', status: 408 });
  expect(cancelled).toBe(true);
});

test('a caller who hangs up is no alarm', async () => {
  const told: string[] = [];
  const tell = (level: string) => () => told.push(level);
  const log = { ...counter.ctx.log, error: tell('error'), debug: tell('debug') } as unknown as Context['log'];
  const gone = new AbortController();
  gone.abort();
  const request = new Request('http://shop', { signal: gone.signal });
  const answer = await answering({ ...counter.ctx, log }, request, () =>
    Promise.reject(new Error('aborted')),
  );
  expect(answer.status).toBe(400);
  expect(told).toEqual(['debug']);
  await answering({ ...counter.ctx, log }, new Request('http://shop'), () =>
    Promise.reject(new Error('ours')),
  );
  expect(told).toEqual(['debug', 'error']);
});
