/**
 * The status a waiting page polls: found out by asking WeChat when no notification comes, throttled for everybody
 * together, and shown to nobody who may not see it.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createContext } from '../../lib/context.ts';
import { nextPoll, pollOrder } from '../../lib/status.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';
import { callsOf } from '../setup/simulator_log.ts';

let counter: Counter;
let shopper: Shopper;
beforeAll(async () => {
  counter = await openCounter({ environment: { WECHAT_TIMEOUT_MS: '500' } });
  shopper = counter.shopper();
  await shopper.signIn();
});
beforeEach(async () => {
  await counter.control('faults', undefined, 'DELETE');
});
afterAll(() => counter.close());

const arm = (faults: Record<string, unknown>) => counter.control('faults', faults, 'PUT');
const queries = async (out_trade_no: string) =>
  (await callsOf(counter, out_trade_no, '/pay/orderquery')).length;

async function started() {
  const { order_no } = await shopper.order();
  return { order_no, out_trade_no: (await shopper.pay(order_no)).out_trade_no };
}

async function sessionOf(who: Shopper) {
  const row = await counter.ctx.db.session.findFirstOrThrow({
    where: { openid: who.openid },
    orderBy: { created_at: 'desc' },
  });
  return { id: row.id, kind: 'shopper' as const, openid: row.openid, admin_id: null };
}

describe('no notification ever', () => {
  test('notify_never: the first poll after the payment finds it, and there is nothing more to wait for', async () => {
    const { order_no, out_trade_no } = await started();
    await arm({ notify_never: true });
    await counter.control('pay', { out_trade_no });
    expect(await shopper.status(order_no)).toMatchObject({ state: 'SUCCESS', next_poll_ms: null });
    expect(await queries(out_trade_no)).toBe(1);
    await shopper.status(order_no);
    expect(await queries(out_trade_no)).toBe(1);
  });

  test('query_stale: not paid as long as WeChat says so, paid when it says so', async () => {
    const { order_no, out_trade_no } = await started();
    await arm({ notify_never: true, query_stale: { times: 2 } });
    await counter.control('pay', { out_trade_no });
    expect((await shopper.status(order_no)).state).toBe('NOTPAY');
    counter.advance(2);
    expect((await shopper.status(order_no, '?poll=1')).state).toBe('NOTPAY');
    counter.advance(2);
    expect((await shopper.status(order_no, '?poll=2')).state).toBe('SUCCESS');
  });

  test('a page that says ok, or nothing at all, pays nothing', async () => {
    const { order_no, out_trade_no } = await started();
    const said = await shopper.post(`/api/orders/${order_no}/bridge`, {
      out_trade_no,
      err_msg: 'get_brand_wcpay_request:ok',
    });
    expect(said.status).toBe(200);
    expect((await shopper.status(order_no)).state).toBe('NOTPAY');
  });

  const faults: [string, unknown][] = [
    ['line_cut', {}],
    ['answer_lost', {}],
    ['answer_slow', { delay_ms: 900 }],
    ['answer_truncated', {}],
    ['answer_bad_signature', {}],
    ['http_502', {}],
    ['system_error', {}],
  ];
  test.each(faults)(
    '%s %j at the query: the page is told to come back, never a 5xx, and the next one finds it',
    async (fault, how) => {
      const { order_no, out_trade_no } = await started();
      await arm({
        notify_never: true,
        [fault]: { path: '/pay/orderquery', times: 1, ...(how as object) },
      });
      await counter.control('pay', { out_trade_no });
      const waiting = await shopper.go(`/api/orders/${order_no}`);
      expect(waiting.status).toBe(200);
      expect(await waiting.json()).toMatchObject({ state: 'NOTPAY', next_poll_ms: 1_000 });
      counter.advance(2);
      expect((await shopper.status(order_no, '?poll=1')).state).toBe('SUCCESS');
      const events = await counter.ctx.db.event.findMany({ where: { order_no, kind: 'query' } });
      expect(events).toHaveLength(2);
    },
  );
});

describe('however many ask', () => {
  test('twenty polls at once over two instances: one question to WeChat; after the gap one more', async () => {
    const { order_no, out_trade_no } = await started();
    const other = createContext(counter.ctx.config, { now: counter.ctx.now, log: counter.ctx.log });
    try {
      const session = await sessionOf(shopper);
      const poll = () =>
        Promise.all(
          [counter.ctx, other].flatMap((ctx) =>
            Array.from({ length: 10 }, () => pollOrder(ctx, session, order_no, { mode: 'confirm', poll: 1 })),
          ),
        );
      const first = await poll();
      expect(first.every(({ state }) => state === 'NOTPAY')).toBe(true);
      expect(await queries(out_trade_no)).toBe(1);
      counter.advance(3);
      await poll();
      expect(await queries(out_trade_no)).toBe(2);
    } finally {
      await other.close();
    }
  });

  test('watchers of a code ask every ten seconds at the most', async () => {
    const { order_no, out_trade_no } = await started();
    for (const seconds of [0, 2, 2, 2, 2, 2]) {
      counter.advance(seconds);
      await shopper.status(order_no, '?mode=watch&poll=3');
    }
    expect(await queries(out_trade_no)).toBe(2);
  });

  test('whoever only holds the link never makes us ask', async () => {
    const { order_no, out_trade_no } = await started();
    for (const bearer of [counter.shopper(), counter.shopper()]) await bearer.status(order_no);
    expect(await queries(out_trade_no)).toBe(0);
  });

  test('who holds the link and says “I have paid” makes us ask, once in three seconds', async () => {
    const { order_no } = await shopper.order();
    const { out_trade_no } = await shopper.pay(order_no);
    const before = (await callsOf(counter, out_trade_no, '/pay/orderquery')).length;
    const bearers = [counter.shopper(), counter.shopper(), counter.shopper()];
    await Promise.all(bearers.map((bearer) => bearer.status(order_no, '?mode=returned')));
    expect(await callsOf(counter, out_trade_no, '/pay/orderquery')).toHaveLength(before + 1);
  });

  test('an order that was never tapped has nobody to ask about', async () => {
    const { order_no } = await shopper.order();
    expect(await shopper.status(order_no)).toMatchObject({ state: 'NOTPAY', next_poll_ms: 1_000 });
  });
});

describe('when to come back', () => {
  test('after a tap: quick first, about a minute in all, then no more', () => {
    const waits = Array.from({ length: 17 }, (_, poll) => nextPoll('confirm', poll));
    expect(waits.slice(0, 6)).toEqual([1_000, 1_000, 2_000, 2_000, 3_000, 3_000]);
    expect(waits[16]).toBeNull();
    const sum_ms = waits.reduce<number>((sum, wait) => sum + (wait ?? 0), 0);
    expect(sum_ms).toBeGreaterThanOrEqual(55_000);
    expect(sum_ms).toBeLessThanOrEqual(70_000);
  });

  test('beside a code: for as long as the order is open', () => {
    expect([
      nextPoll('watch', 0),
      nextPoll('watch', 29),
      nextPoll('watch', 30),
      nextPoll('watch', 9_999),
    ]).toEqual([2_000, 2_000, 5_000, 5_000]);
  });

  test('a closed order is nothing to wait for', async () => {
    const { order_no } = await shopper.order();
    await counter.ctx.db.order.update({ where: { order_no }, data: { state: 'CLOSED' } });
    expect(await shopper.status(order_no)).toMatchObject({ state: 'CLOSED', next_poll_ms: null });
  });

  test.each([
    ['?poll=-1', 'poll'],
    ['?poll=1.5', 'poll'],
    ['?poll=1e9', 'poll'],
    ['?poll=x', 'poll'],
    ['?mode=spy', 'mode'],
  ])('%s: 400, the field named', async (query, field) => {
    const { order_no } = await shopper.order();
    const answer = await shopper.go(`/api/orders/${order_no}${query}`);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { code: 'bad_request', field } });
  });
});

describe('who may see it', () => {
  test('another WeChat account gets, letter by letter, what an unknown number gets', async () => {
    const { order_no } = await started();
    const stranger = counter.shopper(counter.simulator_config.users[1]?.openid);
    await stranger.signIn();
    const seen = await stranger.go(`/api/orders/${order_no}`);
    const unknown = await stranger.go('/api/orders/20261123120000AAAAAAAAAAAAAAAA');
    expect([seen.status, unknown.status]).toEqual([404, 404]);
    expect(await seen.text()).toBe(await unknown.text());
    const plain = (headers: Headers) => [...headers].filter(([name]) => name !== 'date');
    expect(plain(seen.headers)).toEqual(plain(unknown.headers));
  });

  test('whoever holds the link outside WeChat sees the state, and neither who pays nor what WeChat calls it', async () => {
    const { order_no, out_trade_no } = await started();
    const answer = await counter.shopper().go(`/api/orders/${order_no}`);
    expect(answer.status).toBe(200);
    const text = await answer.text();
    expect(JSON.parse(text)).toMatchObject({ order_no, state: 'NOTPAY', total_fen: 1 });
    for (const secret of [shopper.openid, out_trade_no, 'session', 'prepay', 'transaction']) {
      expect(text).not.toContain(secret);
    }
  });

  test.each(['x', '..', '%00', '20261123120000aaaaaaaaaaaaaaaa', `${'9'.repeat(500)}`, "' OR 1=1 --"])(
    'a number that is none (%s): 404',
    async (number) => {
      const answer = await shopper.go(`/api/orders/${encodeURIComponent(number)}`);
      expect(answer.status).toBe(404);
    },
  );
});
