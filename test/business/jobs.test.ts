/**
 * What happens when nobody looks: trades asked about on a plan, orders ended by query, close, query, orphans found,
 * and real workers on one queue. The simulator's log says what WeChat heard and in which order.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { listOrders } from '../../lib/admin_orders.ts';
import { closeOrder, expireOrder } from '../../lib/close.ts';
import { type Context, createContext } from '../../lib/context.ts';
import { handlers, startWorker, sweep, type Worker } from '../../lib/jobs.ts';
import { newNumber } from '../../lib/numbers.ts';
import { enqueue, type QueueName } from '../../lib/queues.ts';
import { lockOrder } from '../../lib/trades.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';
import { attempted, callsOf } from '../setup/simulator_log.ts';

let counter: Counter;
let ctx: Context;
let shopper: Shopper;
beforeAll(async () => {
  counter = await openCounter({ environment: { WECHAT_TIMEOUT_MS: '500' } });
  ctx = counter.ctx;
  shopper = counter.shopper();
  await shopper.signIn();
});
beforeEach(async () => {
  await counter.control('faults', undefined, 'DELETE');
  await ctx.db.$executeRaw`DELETE FROM pgboss.job`;
});
afterAll(() => counter.close());

const arm = (faults: Record<string, unknown>) => counter.control('faults', faults, 'PUT');
const pathsOf = async (out_trade_no: string): Promise<string[]> =>
  (await callsOf(counter, out_trade_no)).map(({ path }) => path.replace('/pay/', ''));

interface Started {
  order_no: string;
  out_trade_no: string;
}
async function started(): Promise<Started> {
  const { order_no } = await shopper.order();
  return { order_no, out_trade_no: (await shopper.pay(order_no)).out_trade_no };
}

const orderRow = (order_no: string) => ctx.db.order.findUniqueOrThrow({ where: { order_no } });
const tradeRow = (out_trade_no: string) => ctx.db.trade.findUniqueOrThrow({ where: { out_trade_no } });
const kindsOf = async (order_no: string): Promise<string[]> =>
  (await ctx.db.event.findMany({ where: { order_no }, orderBy: { id: 'asc' } })).map(({ kind }) => kind);

const waiting = (queue: QueueName, key: string) => ctx.db.$queryRaw<{ start_after: Date }[]>`
  SELECT start_after FROM pgboss.job WHERE name = ${queue} AND singleton_key = ${key} AND state = 'created'`;

/** Our clock only: WeChat's own expiry has not come yet. */
const orderIsOver = (): void => counter.advance(36 * 60);

/** A further trade of the same order, placed at WeChat. */
async function secondTrade({ out_trade_no }: Started): Promise<string> {
  const { request, ...first } = await tradeRow(out_trade_no);
  const second = newNumber(ctx.now());
  await ctx.db.trade.create({
    data: { ...first, out_trade_no: second, request: { ...(request as object), out_trade_no: second } },
  });
  const { openid, total_fen, expires_at } = first;
  await ctx.pay.placeTrade({
    out_trade_no: second,
    trade_type: 'JSAPI',
    description: '第二次',
    total_fen,
    payer_client_ip: '127.0.0.1',
    notify_url: `${counter.host.origin}/api/notify/v2/payment`,
    time_start_at: ctx.now(),
    time_expire_at: expires_at,
    openid: openid ?? '',
  });
  return second;
}

describe('asking about an unpaid trade', () => {
  test('at 5, 10, 20, 40 and 60 seconds, then every minute to ten, then every five, until its end', async () => {
    const trade = await started();
    const { created_at, expires_at } = await tradeRow(trade.out_trade_no);
    const ages_s: number[] = [];
    for (;;) {
      const [job] = await waiting('trade_ask', trade.out_trade_no);
      if (job === undefined) break;
      expect(job.start_after < expires_at).toBe(true);
      ages_s.push(Math.round((job.start_after.getTime() - created_at.getTime()) / 1_000));
      counter.advance((job.start_after.getTime() - ctx.now().getTime()) / 1_000);
      expect(await counter.work('trade_ask')).toBe(1);
    }
    expect(ages_s.slice(0, 7)).toEqual([5, 10, 20, 40, 60, 120, 180]);
    expect(ages_s.filter((age) => age > 660).length).toBeLessThanOrEqual(4);
    expect((await pathsOf(trade.out_trade_no)).filter((path) => path === 'orderquery')).toHaveLength(
      ages_s.length,
    );
  });

  test('notify_never and no page: the job finds the payment', async () => {
    const trade = await started();
    await arm({ notify_never: true });
    await counter.control('pay', { out_trade_no: trade.out_trade_no });
    counter.advance(6);
    await counter.work('trade_ask');
    expect((await orderRow(trade.order_no)).state).toBe('SUCCESS');
    expect(await waiting('trade_ask', trade.out_trade_no)).toHaveLength(0);
    expect(await counter.work('order_paid')).toBe(1);
    expect((await orderRow(trade.order_no)).served_at).not.toBeNull();
  });

  test('a query that fails is asked again on the plan', async () => {
    const trade = await started();
    await arm({ notify_never: true, line_cut: { path: '/pay/orderquery', times: 1 } });
    await counter.control('pay', { out_trade_no: trade.out_trade_no });
    counter.advance(6);
    await counter.work('trade_ask');
    expect((await orderRow(trade.order_no)).state).toBe('NOTPAY');
    expect(await waiting('trade_ask', trade.out_trade_no)).toHaveLength(1);
    counter.advance(6);
    await counter.work('trade_ask');
    expect((await orderRow(trade.order_no)).state).toBe('SUCCESS');
  });

  test('a trade whose payer is entering the password is asked about like any open one', async () => {
    const trade = await started();
    const { appid, mch_id } = await tradeRow(trade.out_trade_no);
    await ctx.settle({
      source: 'query',
      report: { appid, mch_id, out_trade_no: trade.out_trade_no, trade_state: 'USERPAYING' },
    });
    await arm({ notify_never: true });
    await counter.control('pay', { out_trade_no: trade.out_trade_no });
    counter.advance(6);
    await counter.work('trade_ask');
    expect((await orderRow(trade.order_no)).state).toBe('SUCCESS');
  });
});

describe('an order whose time is over', () => {
  test('query, close, query, in this order, and then it is closed', async () => {
    const trade = await started();
    orderIsOver();
    expect(await counter.work('order_expire')).toBe(1);
    expect(await pathsOf(trade.out_trade_no)).toEqual([
      'unifiedorder',
      'orderquery',
      'closeorder',
      'orderquery',
    ]);
    expect((await orderRow(trade.order_no)).state).toBe('CLOSED');
    expect((await tradeRow(trade.out_trade_no)).trade_state).toBe('CLOSED');
    expect((await kindsOf(trade.order_no)).slice(-5)).toEqual([
      'query',
      'close',
      'trade_closed',
      'query',
      'order_closed',
    ]);
  });

  test('not a moment before, nor while a trade begun at the last second may still be paid', async () => {
    const { order_no } = await shopper.order();
    counter.advance(29 * 60);
    const { out_trade_no } = await shopper.pay(order_no);
    counter.advance(2 * 60);
    expect(await counter.work('order_expire')).toBe(1);
    expect(await pathsOf(out_trade_no)).toEqual(['unifiedorder']);
    const [job] = await waiting('order_expire', order_no);
    expect(job?.start_after).toEqual((await tradeRow(out_trade_no)).expires_at);
    await counter.control('pay', { out_trade_no });
    await attempted(counter, out_trade_no);
    expect(await orderRow(order_no)).toMatchObject({ state: 'SUCCESS' });
    expect((await tradeRow(out_trade_no)).surplus).toBeNull();
  });

  test('one that nobody tried to pay is closed without a word to WeChat', async () => {
    const { order_no } = await shopper.order();
    orderIsOver();
    await counter.work('order_expire');
    expect((await orderRow(order_no)).state).toBe('CLOSED');
  });

  test('one whose number never reached WeChat is closed: ORDERNOTEXIST', async () => {
    const { order_no } = await shopper.order();
    await arm({ line_cut: { path: '/pay/unifiedorder' } });
    await shopper.post(`/api/orders/${order_no}/pay`, { trade_type: 'JSAPI' });
    orderIsOver();
    await counter.work('order_expire');
    expect((await orderRow(order_no)).state).toBe('CLOSED');
  });

  test('paid without a notification: the first query finds it, nothing is closed', async () => {
    const trade = await started();
    await arm({ notify_never: true });
    await counter.control('pay', { out_trade_no: trade.out_trade_no });
    orderIsOver();
    await counter.work('order_expire');
    expect((await orderRow(trade.order_no)).state).toBe('SUCCESS');
    expect(await pathsOf(trade.out_trade_no)).toEqual(['unifiedorder', 'orderquery']);
  });

  test('close_order_paid: the payer was faster than the close, the order is paid', async () => {
    const trade = await started();
    await arm({ close_order_paid: true, notify_never: true });
    orderIsOver();
    await counter.work('order_expire');
    expect(await orderRow(trade.order_no)).toMatchObject({
      state: 'SUCCESS',
      paid_trade_no: trade.out_trade_no,
    });
    expect((await tradeRow(trade.out_trade_no)).surplus).toBeNull();
    expect(await counter.work('order_paid')).toBe(1);
  });

  test('close_order_paid, and the query does not know it yet: nothing is decided, the next turn finds it', async () => {
    const trade = await started();
    await arm({ close_order_paid: true, notify_never: true, query_stale: { times: 1 } });
    orderIsOver();
    await counter.work('order_expire');
    expect([
      (await orderRow(trade.order_no)).state,
      (await tradeRow(trade.out_trade_no)).trade_state,
    ]).toEqual(['NOTPAY', 'NOTPAY']);
    counter.advance(11);
    await counter.work('order_expire');
    expect((await orderRow(trade.order_no)).state).toBe('SUCCESS');
  });

  test('close_order_paid that only says so: the order stays undecided until a query says it', async () => {
    const trade = await started();
    await arm({ close_order_paid: { pay: false, times: 1 } });
    orderIsOver();
    await counter.work('order_expire');
    expect((await orderRow(trade.order_no)).state).toBe('NOTPAY');
    counter.advance(11);
    await counter.work('order_expire');
    expect((await orderRow(trade.order_no)).state).toBe('CLOSED');
  });

  test('close_then_paid, seen by the query after the close: the order is paid', async () => {
    const trade = await started();
    await arm({ close_then_paid: true, notify_never: true });
    orderIsOver();
    await counter.work('order_expire');
    expect((await orderRow(trade.order_no)).state).toBe('SUCCESS');
    expect((await tradeRow(trade.out_trade_no)).surplus).toBeNull();
  });

  test('close_then_paid, seen only later: the money is kept as late, the order stays closed, the operator sees it', async () => {
    const trade = await started();
    await arm({ close_then_paid: true, notify_late: { delay_s: 60 }, query_stale: { times: 1 } });
    orderIsOver();
    await counter.work('order_expire');
    expect((await orderRow(trade.order_no)).state).toBe('CLOSED');
    await counter.control('clock', { advance_s: 61 });
    await attempted(counter, trade.out_trade_no);
    expect((await orderRow(trade.order_no)).state).toBe('CLOSED');
    expect(await tradeRow(trade.out_trade_no)).toMatchObject({ trade_state: 'SUCCESS', surplus: 'late' });
    expect(await kindsOf(trade.order_no)).toContain('paid_late');
    expect(await waiting('order_paid', trade.order_no)).toHaveLength(0);
    expect(await waiting('surplus_refund', trade.out_trade_no)).toHaveLength(1);
    const { orders } = await listOrders(ctx, { size: 50, surplus: 'yes' });
    expect(orders.map(({ order_no }) => order_no)).toContain(trade.order_no);
  });

  const faults: [string, unknown][] = [
    ['line_cut', { path: '/pay/orderquery' }],
    ['answer_bad_signature', { path: '/pay/orderquery' }],
    ['line_cut', { path: '/pay/closeorder' }],
    ['answer_lost', { path: '/pay/closeorder' }],
    ['answer_truncated', { path: '/pay/closeorder' }],
    ['http_502', { path: '/pay/closeorder', done: true }],
    ['system_error', { path: '/pay/closeorder' }],
    ['system_error_done', { path: '/pay/closeorder' }],
    ['close_slow', { delay_ms: 900 }],
  ];
  test.each(faults)('%s %j: nothing is decided, the next turn ends it', async (fault, how) => {
    const trade = await started();
    await arm({ [fault]: { times: 1, ...(how as object) } });
    orderIsOver();
    await counter.work('order_expire');
    expect([
      (await orderRow(trade.order_no)).state,
      (await tradeRow(trade.out_trade_no)).trade_state,
    ]).toEqual(['NOTPAY', 'NOTPAY']);
    expect(await waiting('order_expire', trade.order_no)).toHaveLength(1);
    counter.advance(11);
    await counter.work('order_expire');
    expect((await orderRow(trade.order_no)).state).toBe('CLOSED');
  });

  test('a trade slipped in while the close waited for the order: the order is not closed over it', async () => {
    const { order_no } = await shopper.order();
    let closing: Promise<boolean> | undefined;
    await ctx.db.$transaction(async (tx) => {
      await lockOrder(tx, order_no);
      closing = closeOrder(ctx, order_no, 'worker');
      await new Promise((resolve) => setTimeout(resolve, 100));
      await tx.trade.create({
        data: {
          out_trade_no: newNumber(ctx.now()),
          order_no,
          mch_id: ctx.pay.mch_id,
          appid: ctx.pay.appid,
          api_version: 'v2',
          sign_type: 'HMAC-SHA256',
          trade_type: 'JSAPI',
          trade_state: 'NOTPAY',
          total_fen: 1,
          request: {},
          created_at: ctx.now(),
          expires_at: ctx.now(),
        },
      });
    });
    expect(await closing).toBe(false);
    expect((await orderRow(order_no)).state).toBe('NOTPAY');
  });
});

describe('two trades of one order', () => {
  test('both paid: one serves the order, the other is double and goes back', async () => {
    const first = await started();
    const second = await secondTrade(first);
    await counter.control('pay', { out_trade_no: first.out_trade_no });
    await counter.control('pay', { out_trade_no: second });
    await attempted(counter, first.out_trade_no);
    await attempted(counter, second);
    const trades = await ctx.db.trade.findMany({ where: { order_no: first.order_no } });
    expect(trades.map(({ surplus }) => surplus).sort()).toEqual(['double', null]);
    expect(trades.map(({ trade_state }) => trade_state)).toEqual(['SUCCESS', 'SUCCESS']);
    const kinds = await kindsOf(first.order_no);
    expect(kinds.filter((kind) => kind === 'paid' || kind === 'paid_twice').sort()).toEqual([
      'paid',
      'paid_twice',
    ]);
    expect(await counter.work('order_paid')).toBe(1);
    const double = trades.find(({ surplus }) => surplus === 'double');
    expect(await waiting('surplus_refund', double?.out_trade_no ?? '')).toHaveLength(1);
  });

  test('one paid, the other left open: it is closed when the order’s time is over', async () => {
    const first = await started();
    const second = await secondTrade(first);
    await counter.control('pay', { out_trade_no: first.out_trade_no });
    await attempted(counter, first.out_trade_no);
    orderIsOver();
    await counter.work('order_expire');
    expect((await tradeRow(second)).trade_state).toBe('CLOSED');
    expect((await callsOf(counter, second, '/pay/closeorder')).length).toBe(1);
    expect((await orderRow(first.order_no)).state).toBe('SUCCESS');
  });

  test('both paid, of the second no notification ever: its money is found at the end', async () => {
    const first = await started();
    const second = await secondTrade(first);
    await counter.control('pay', { out_trade_no: first.out_trade_no });
    await attempted(counter, first.out_trade_no);
    await arm({ notify_never: true });
    await counter.control('pay', { out_trade_no: second });
    orderIsOver();
    await counter.work('order_expire');
    expect(await tradeRow(second)).toMatchObject({ trade_state: 'SUCCESS', surplus: 'double' });
  });

  test('both paid, both found only by the end of the order: neither is left out', async () => {
    const first = await started();
    const second = await secondTrade(first);
    await arm({ notify_never: true });
    await counter.control('pay', { out_trade_no: first.out_trade_no });
    await counter.control('pay', { out_trade_no: second });
    orderIsOver();
    await counter.work('order_expire');
    const trades = await ctx.db.trade.findMany({ where: { order_no: first.order_no } });
    expect(trades.map(({ trade_state }) => trade_state)).toEqual(['SUCCESS', 'SUCCESS']);
    expect(trades.filter(({ surplus }) => surplus === 'double')).toHaveLength(1);
  });
});

describe('the queue', () => {
  test('a job of a rolled-back transaction does not exist', async () => {
    const key = newNumber(ctx.now());
    await expect(
      ctx.db.$transaction(async (tx) => {
        await tx.$executeRaw(enqueue('order_paid', { order_no: key }, key, ctx.now()));
        throw new Error('rolled back');
      }),
    ).rejects.toThrow('rolled back');
    expect(await waiting('order_paid', key)).toHaveLength(0);
  });

  test('twenty enqueued at once under one key are one waiting job', async () => {
    const key = newNumber(ctx.now());
    await Promise.all(
      Array.from({ length: 20 }, () =>
        ctx.db.$executeRaw(enqueue('order_paid', { order_no: key }, key, ctx.now())),
      ),
    );
    expect(await waiting('order_paid', key)).toHaveLength(1);
  });

  test('a paid order is served once, however often its job runs', async () => {
    const trade = await started();
    await counter.control('pay', { out_trade_no: trade.out_trade_no });
    await attempted(counter, trade.out_trade_no);
    const data = { order_no: trade.order_no };
    await Promise.all(Array.from({ length: 5 }, () => handlers.order_paid(ctx, data)));
    expect((await kindsOf(trade.order_no)).filter((kind) => kind === 'order_served')).toHaveLength(1);
  });

  test('an unpaid or closed order is never served', async () => {
    const { order_no } = await shopper.order();
    await handlers.order_paid(ctx, { order_no });
    expect((await orderRow(order_no)).served_at).toBeNull();
  });

  test('jobs about what does not exist do nothing', async () => {
    const number = newNumber(ctx.now());
    await handlers.trade_ask(ctx, { out_trade_no: number });
    await handlers.order_expire(ctx, { order_no: number });
    await handlers.order_paid(ctx, { order_no: number });
    expect(await expireOrder(ctx, number)).toBeUndefined();
  });
});

describe('the sweep', () => {
  test('a trade that lost its job is asked about again', async () => {
    const trade = await started();
    await arm({ notify_never: true });
    await counter.control('pay', { out_trade_no: trade.out_trade_no });
    await ctx.db.$executeRaw`DELETE FROM pgboss.job`;
    counter.advance(3 * 60);
    await sweep(ctx);
    await counter.work('trade_ask');
    expect((await orderRow(trade.order_no)).state).toBe('SUCCESS');
  });

  test('an order that lost its expiry is ended', async () => {
    const trade = await started();
    await ctx.db.$executeRaw`DELETE FROM pgboss.job`;
    counter.advance(45 * 60);
    await sweep(ctx);
    await counter.work('order_expire');
    expect((await orderRow(trade.order_no)).state).toBe('CLOSED');
  });

  test('a paid order that lost its job is served', async () => {
    const trade = await started();
    await counter.control('pay', { out_trade_no: trade.out_trade_no });
    await attempted(counter, trade.out_trade_no);
    await ctx.db.$executeRaw`DELETE FROM pgboss.job`;
    counter.advance(3 * 60);
    await sweep(ctx);
    await counter.work('order_paid');
    expect((await orderRow(trade.order_no)).served_at).not.toBeNull();
  });

  test('an open trade of an order that is paid or closed is ended, its money found', async () => {
    const first = await started();
    const second = await secondTrade(first);
    await counter.control('pay', { out_trade_no: first.out_trade_no });
    await attempted(counter, first.out_trade_no);
    await arm({ notify_never: true });
    await counter.control('pay', { out_trade_no: second });
    await ctx.db.$executeRaw`DELETE FROM pgboss.job`;
    counter.advance(45 * 60);
    await sweep(ctx);
    await counter.work('order_expire');
    expect(await tradeRow(second)).toMatchObject({ trade_state: 'SUCCESS', surplus: 'double' });
  });

  test('what has expired is forgotten, what has not is kept', async () => {
    const { db } = ctx;
    await db.oauth_state.create({
      data: { state: 'old', session_id: 'x', return_path: '/', created_at: new Date(0) },
    });
    await db.oauth_state.create({
      data: { state: 'new', session_id: 'x', return_path: '/', created_at: ctx.now() },
    });
    await sweep(ctx);
    expect(await db.oauth_state.findMany({ where: { session_id: 'x' }, select: { state: true } })).toEqual([
      { state: 'new' },
    ]);
    expect(await db.session.count()).toBeGreaterThan(0);
  });
});

describe('real workers', () => {
  const contexts: Context[] = [];
  const workers: Worker[] = [];
  const begin = async (): Promise<Worker> => {
    const own = createContext(ctx.config, { log: ctx.log, now: ctx.now });
    contexts.push(own);
    const worker = await startWorker(own);
    workers.push(worker);
    return worker;
  };
  const finished = async (keys: string[], queue: QueueName): Promise<number> => {
    const rows = await ctx.db.$queryRaw<{ count: number }[]>`
      SELECT count(*)::int AS count FROM pgboss.job
      WHERE name = ${queue} AND singleton_key = ANY(${keys}) AND state = 'completed'`;
    return rows[0]?.count ?? 0;
  };

  test('three workers on one queue: each of twenty jobs runs once, and they stop in time', async () => {
    const trades = await Promise.all(Array.from({ length: 20 }, () => started()));
    const keys = trades.map(({ out_trade_no }) => out_trade_no);
    await ctx.db.$executeRaw`DELETE FROM pgboss.job`;
    await Promise.all([begin(), begin(), begin()]);
    for (const out_trade_no of keys) {
      await ctx.db.$executeRaw(enqueue('trade_ask', { out_trade_no }, out_trade_no, new Date(0)));
    }
    await expect.poll(() => finished(keys, 'trade_ask'), { timeout: 20_000, interval: 100 }).toBe(20);
    for (const key of keys) {
      expect((await callsOf(counter, key, '/pay/orderquery')).length).toBe(1);
    }
    const started_at = performance.now();
    await Promise.all(workers.splice(0).map((worker) => worker.stop()));
    expect(performance.now() - started_at).toBeLessThan(10_000);
  });

  test('a worker stopped in the middle of a job finishes it first, within ten seconds', async () => {
    const trade = await started();
    await ctx.db.$executeRaw`DELETE FROM pgboss.job`;
    orderIsOver();
    await arm({ close_slow: { delay_ms: 400 } });
    const worker = await begin();
    await ctx.db.$executeRaw(
      enqueue('order_expire', { order_no: trade.order_no }, trade.order_no, new Date(0)),
    );
    await expect
      .poll(async () => (await callsOf(counter, trade.out_trade_no, '/pay/orderquery')).length, {
        timeout: 10_000,
        interval: 20,
      })
      .toBe(1);
    const started_at = performance.now();
    await worker.stop();
    workers.splice(0);
    expect(performance.now() - started_at).toBeLessThan(10_000);
    expect((await orderRow(trade.order_no)).state).toBe('CLOSED');
    expect(await finished([trade.order_no], 'order_expire')).toBe(1);
  });

  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
    await Promise.all(contexts.map((own) => own.close()));
  });
});
