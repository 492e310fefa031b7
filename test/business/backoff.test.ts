/** What WeChat refuses again and again is asked for ever less often, and told on the timeline once. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { askTrade } from '../../lib/ask.ts';
import { retryAt } from '../../lib/close.ts';
import { pauseAfter } from '../../lib/placing.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';

let counter: Counter;
let shopper: Shopper;
beforeAll(async () => {
  counter = await openCounter();
  shopper = counter.shopper();
  await shopper.signIn();
});
beforeEach(() => counter.control('faults', undefined, 'DELETE'));
afterAll(() => counter.close());

const tap = async (order_no: string) => {
  const answer = await shopper.post(`/api/orders/${order_no}/pay`, { trade_type: 'JSAPI' });
  const { error } = (await answer.json()) as { error?: { code: string } };
  return `${answer.status} ${error?.code ?? ''}`;
};
const calls = async () =>
  (await counter.control<{ entries: unknown[] }>('log?path=/pay/unifiedorder&limit=2000')).entries.length;
const count = (order_no: string, kind: string) => counter.ctx.db.event.count({ where: { order_no, kind } });

test('a trade that WeChat does not place is placed again at once, then ever later, and at once when it goes well', async () => {
  const { order_no } = await shopper.order();
  await counter.control('faults', { unifiedorder_http_502: {} }, 'PUT');
  for (let nth = 0; nth < 3; nth += 1) expect(await tap(order_no)).toBe('503 wechat_unknown');
  const before = await calls();
  for (let nth = 0; nth < 5; nth += 1) expect(await tap(order_no)).toBe('503 wechat_unknown');
  expect(await calls()).toBe(before);
  // An unknown outcome is repeated once under the same tap.
  expect(await count(order_no, 'unified_order')).toBe(6);
  counter.advance(6);
  expect(await tap(order_no)).toBe('503 wechat_unknown');
  expect(await calls()).toBe(before + 2);
  counter.advance(6);
  await tap(order_no);
  expect(await calls()).toBe(before + 2);
  await counter.control('faults', undefined, 'DELETE');
  counter.advance(6);
  expect(await tap(order_no)).toBe('200 ');
  const [trade] = await counter.ctx.db.trade.findMany({ where: { order_no } });
  expect(trade).toMatchObject({ place_failures: 0, place_failed: null, place_after: null });
});

test('the pauses double up to five minutes, the first two failures cost nothing', () => {
  expect([1, 2, 3, 4, 5, 9, 50].map(pauseAfter)).toEqual([0, 0, 5_000, 10_000, 20_000, 300_000, 300_000]);
});

test('what fails is tried again after ten seconds, then by half as long again, at last hourly', () => {
  const since = new Date('2026-11-23T10:00:00Z');
  const gap_s = (failing_s: number): number => {
    const now = new Date(since.getTime() + failing_s * 1_000);
    return (retryAt(since, now).getTime() - now.getTime()) / 1_000;
  };
  expect([0, 15, 60, 600, 86_400].map(gap_s)).toEqual([10, 10, 30, 300, 3_600]);
});

test('an order that WeChat does not close is left alone for longer and longer, and closed in the end', async () => {
  const { order_no } = await shopper.order();
  await shopper.pay(order_no);
  counter.advance(31 * 60);
  await counter.control('clock', { advance_s: 6 * 60 });
  await counter.control('faults', { closeorder_line_cut: {} }, 'PUT');
  for (let passed_s = 0; passed_s < 600; passed_s += 10) {
    await counter.work('order_expire');
    counter.advance(10);
  }
  const tried = await count(order_no, 'close');
  expect(tried).toBeGreaterThan(5);
  expect(tried).toBeLessThan(15);
  await counter.control('faults', undefined, 'DELETE');
  counter.advance(600);
  await counter.work('order_expire');
  const order = await counter.ctx.db.order.findUniqueOrThrow({ where: { order_no } });
  expect(order.state).toBe('CLOSED');
});

test('equal queries of one trade fill twenty lines, then one an hour; another answer is told at once', async () => {
  const { order_no } = await shopper.order();
  const { out_trade_no } = await shopper.pay(order_no);
  const ask = () => askTrade(counter.ctx, out_trade_no, { source: 'worker', min_gap_ms: 0 });
  for (let nth = 0; nth < 25; nth += 1) await ask();
  expect(await count(order_no, 'query')).toBe(20);
  counter.advance(3_601);
  await ask();
  await ask();
  expect(await count(order_no, 'query')).toBe(21);
  await counter.control('faults', { orderquery_line_cut: { times: 1 } }, 'PUT');
  await ask();
  expect(await count(order_no, 'query')).toBe(22);
});
