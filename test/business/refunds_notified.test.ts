/**
 * Refund notifications under API v2, which carry no signature: whatever they say, they only start a query. Forged and
 * spliced ones move nothing; a refund made in WeChat's console enters our books.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { refundSums } from '../../lib/refunds.ts';
import { settleRefund } from '../../lib/settle_refund.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';
import {
  followed,
  type PaidOrder,
  paidOrder,
  passTime,
  refundRow,
  refundRows,
  simulatedRefunds,
  statesOf,
  submitRefund,
} from '../setup/paid_orders.ts';
import { attempted, notificationsOf } from '../setup/simulator_log.ts';
import { xmlOf } from '../setup/v2_message.ts';
import { blocksOf, ofBlocks, opened, sealed, withRequestInfo } from '../setup/v2_refund_message.ts';

let counter: Counter;
let shopper: Shopper;
let api_v2_key: string;
beforeAll(async () => {
  counter = await openCounter();
  shopper = counter.shopper();
  await shopper.signIn();
  api_v2_key = counter.simulator_config.merchants[0]?.api_v2_key ?? '';
  await counter.control(
    'merchant',
    { refund_notify_url: `${counter.host.origin}/api/notify/v2/refund` },
    'PUT',
  );
});
beforeEach(async () => {
  await counter.control('faults', undefined, 'DELETE');
  await counter.ctx.db.$executeRaw`DELETE FROM pgboss.job`;
  await counter.ctx.db.notification.deleteMany();
});
afterAll(() => counter.close());

const arm = (faults: Record<string, unknown>) => counter.control('faults', faults, 'PUT');
const paid = (): Promise<PaidOrder> => paidOrder(counter, shopper);

/** Ours of the refund door, oldest first. */
const archived = async () =>
  (
    await counter.ctx.db.notification.findMany({ where: { kind: 'refund' }, orderBy: { received_at: 'asc' } })
  ).map(({ verdict, detail }) => ({ verdict, detail }));

async function post(body: string): Promise<string> {
  const answer = await fetch(`${counter.host.origin}/api/notify/v2/refund`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'text/xml' },
  });
  return `${answer.status} ${/<return_code><!\[CDATA\[(\w+)/.exec(await answer.text())?.[1]}`;
}

const asked = async (): Promise<number> => {
  const { entries } = await counter.control<{ entries: unknown[] }>('log?path=/pay/refundquery&limit=2000');
  return entries.length;
};

/** Lets the refund end at WeChat and gives back the message the shop was sent. */
async function refundMessage({ out_trade_no }: PaidOrder): Promise<string> {
  await passTime(counter, 6);
  const sent = (await notificationsOf(counter, out_trade_no)).at(-1);
  return sent?.attempts.at(-1)?.request_body ?? '';
}

describe('a genuine notification', () => {
  test('is asked about, applied, acknowledged; its copies change nothing more', async () => {
    const order = await paid();
    await arm({ notify_copies: { copies: 4, path: '/api/notify/v2/refund' } });
    const { out_refund_no } = await submitRefund(counter, order, 12_800);
    await refundMessage(order);
    const [message] = (await notificationsOf(counter, order.out_trade_no)).slice(-1);
    expect(message?.attempts.map(({ accepted }) => accepted)).toEqual([true, true, true, true]);
    const verdicts = (await archived()).map(({ verdict }) => verdict).sort();
    expect(verdicts).toEqual(['already', 'already', 'already', 'applied']);
    expect((await refundRow(counter, out_refund_no)).state).toBe('SUCCESS');
    const moves = await counter.ctx.db.event.count({
      where: { order_no: order.order_no, kind: 'refund_moved', source: 'notification' },
    });
    expect(moves).toBe(1);
  });

  test('sent again and again by somebody who overheard it, WeChat is asked once in a while and no more', async () => {
    const order = await paid();
    await submitRefund(counter, order, 12_800);
    const genuine = await refundMessage(order);
    const before = await asked();
    const answers = await Promise.all(Array.from({ length: 40 }, () => post(genuine)));
    expect(new Set(answers)).toEqual(new Set(['200 SUCCESS']));
    expect(await asked()).toBeLessThanOrEqual(before + 1);
    counter.advance(4);
    await post(genuine);
    expect(await asked()).toBeGreaterThan(before);
    expect(await asked()).toBeLessThanOrEqual(before + 2);
  });

  test('of a refund under way: within the gap WeChat is told to come again', async () => {
    const order = await paid();
    await submitRefund(counter, order, 12_800);
    const genuine = await refundMessage(order);
    const inner = { ...opened(genuine, api_v2_key) };
    const other = await paid();
    await arm({ refund_slow: { times: 1 } });
    const { out_refund_no } = await submitRefund(counter, other, 12_800);
    const named = { ...inner, out_refund_no, out_trade_no: other.out_trade_no };
    const message = withRequestInfo(genuine, sealed(Object.entries(named), api_v2_key));
    const before = await asked();
    expect(await post(message)).toBe('200 SUCCESS');
    expect(await post(message)).toBe('500 FAIL');
    expect(await asked()).toBe(before + 1);
    counter.advance(4);
    expect(await post(message)).toBe('200 SUCCESS');
    expect(await asked()).toBe(before + 2);
  });

  test('while WeChat cannot be asked: 500, and its repeat is applied', async () => {
    const order = await paid();
    const { out_refund_no } = await submitRefund(counter, order, 12_800);
    await arm({ refundquery_line_cut: { times: 1 } });
    await passTime(counter, 6);
    expect(await archived()).toMatchObject([{ verdict: 'unknown', detail: out_refund_no }]);
    expect((await refundRow(counter, out_refund_no)).state).toBe('PROCESSING');
    await passTime(counter, 16);
    expect((await refundRow(counter, out_refund_no)).state).toBe('SUCCESS');
    const sent = (await notificationsOf(counter, order.out_trade_no)).at(-1);
    expect(sent?.attempts.map(({ status }) => status)).toEqual([500, 200]);
  });

  test('ahead of WeChat’s own query, which is stale: the worker asks again', async () => {
    const order = await paid();
    const { out_refund_no } = await submitRefund(counter, order, 12_800);
    await arm({ refund_query_stale: { times: 1 } });
    await passTime(counter, 6);
    expect((await refundRow(counter, out_refund_no)).state).toBe('PROCESSING');
    await followed(counter, 61);
    expect((await refundRow(counter, out_refund_no)).state).toBe('SUCCESS');
  });
});

describe('a notification that is not what it seems', () => {
  const strange: [string, string, string, string][] = [
    ['another amount inside', 'notify_other_amount', 'applied', 'SUCCESS'],
    ['a new field inside', 'notify_extra_field', 'applied', 'SUCCESS'],
    ['a refund nobody asked for', 'notify_unknown_order', 'not_found', 'PROCESSING'],
    ['another merchant’s', 'notify_other_merchant', 'malformed', 'PROCESSING'],
    ['spoiled in its first block', 'notify_bad_signature', 'malformed', 'PROCESSING'],
    ['a DOCTYPE', 'notify_doctype', 'malformed', 'PROCESSING'],
  ];
  test.each(strange)('%s', async (_what, fault, verdict, state) => {
    const order = await paid();
    await arm({ [fault]: { times: 1 } });
    const { out_refund_no } = await submitRefund(counter, order, 5_000);
    const before = await asked();
    await passTime(counter, 6);
    const sent = (await notificationsOf(counter, order.out_trade_no)).at(-1);
    expect(sent?.attempts.map(({ accepted }) => accepted)).toEqual([verdict === 'applied']);
    const body = Buffer.from(sent?.attempts[0]?.request_body ?? '');
    const kept = await counter.ctx.db.notification.findMany({ where: { kind: 'refund', body } });
    expect(kept.map((row) => row.verdict)).toEqual([verdict]);
    expect(await refundRow(counter, out_refund_no)).toMatchObject({ state, refund_fen: 5_000 });
    expect(await asked()).toBe(before + (verdict === 'applied' || verdict === 'not_found' ? 1 : 0));
    await counter.control(`notifications/${sent?.notification_id}/redeliver`, {});
  });

  test('encrypted under another key', async () => {
    const order = await paid();
    await arm({ refund_slow: { times: 1 } });
    const { out_refund_no } = await submitRefund(counter, order, 5_000);
    const { appid, mch_id } = counter.simulator_config.merchants[0] ?? {};
    const inner = Object.entries({
      out_refund_no,
      out_trade_no: order.out_trade_no,
      refund_status: 'SUCCESS',
    });
    const outer = { return_code: 'SUCCESS', appid, mch_id, req_info: sealed(inner, '0'.repeat(32)) };
    const before = await asked();
    expect(await post(xmlOf(Object.entries(outer).map(([name, value = '']) => [name, value])))).toBe(
      '200 FAIL',
    );
    expect((await archived()).map(({ verdict }) => verdict)).toEqual(['undecryptable']);
    expect([(await refundRow(counter, out_refund_no)).state, await asked()]).toEqual(['PROCESSING', before]);
  });

  test('well encrypted, by somebody who has the key, of a refund still under way: only WeChat’s word moves it', async () => {
    const [done, open] = [await paid(), await paid()];
    await submitRefund(counter, done, 12_800);
    const genuine = await refundMessage(done);
    await arm({ refund_slow: { times: 1 } });
    const { out_refund_no } = await submitRefund(counter, open, 12_800);
    const inner = { ...opened(genuine, api_v2_key), out_refund_no, out_trade_no: open.out_trade_no };
    const forged = withRequestInfo(genuine, sealed(Object.entries(inner), api_v2_key));
    expect(await post(forged)).toBe('200 SUCCESS');
    expect((await refundRow(counter, out_refund_no)).state).toBe('PROCESSING');
    expect(await statesOf(counter, open)).toEqual({ order: 'SUCCESS', trade: 'SUCCESS' });
  });

  test('blocks of genuine messages cut and pasted: no state moves without WeChat saying so in a query', async () => {
    const [done, closed, open] = [await paid(), await paid(), await paid()];
    await submitRefund(counter, done, 12_800);
    const success = blocksOf(await refundMessage(done));
    await arm({ refund_closed: { times: 1 } });
    await submitRefund(counter, closed, 12_800);
    const closing = await refundMessage(closed);
    await counter.control('faults', undefined, 'DELETE');
    await arm({ refund_slow: { times: 1 } });
    const { out_refund_no } = await submitRefund(counter, open, 12_800);
    await counter.ctx.db.notification.deleteMany();

    const blocks = blocksOf(closing);
    const spliced = [
      ...blocks.map((_, n) => blocks.map((own, at) => (at === n ? (success[at] ?? own) : own))),
      ...blocks.map((_, n) => [...blocks.slice(0, n), ...success.slice(n)]),
      ...blocks.map((_, n) => [...success.slice(0, n), ...blocks.slice(n)]),
      ...blocks.map((_, n) => blocks.filter((__, at) => at !== n)),
      [...blocks].reverse(),
      [],
    ];
    const held = async () => {
      const orders = [done, closed, open];
      return JSON.stringify([
        await Promise.all(orders.map((order) => statesOf(counter, order))),
        await Promise.all(
          orders.map(async ({ out_trade_no }) =>
            (await refundRows(counter, out_trade_no)).map((row) => ({ ...row, asked_at: null })),
          ),
        ),
      ]);
    };
    const before = await held();
    for (const each of spliced) await post(withRequestInfo(closing, ofBlocks(each)));
    expect(await held()).toBe(before);
    expect((await refundRow(counter, out_refund_no)).state).toBe('PROCESSING');
    expect(await archived()).toHaveLength(spliced.length);
  });
});

describe('a refund made in WeChat’s console', () => {
  test('appears in our books by its notification, once however often it is told, and counts towards the limit', async () => {
    const order = await paid();
    await arm({ notify_copies: { copies: 5 } });
    await counter.control('refund', { out_trade_no: order.out_trade_no, refund_fen: 2_800 });
    await passTime(counter, 6);
    const [there] = await simulatedRefunds(counter, order.out_trade_no);
    const rows = await refundRows(counter, order.out_trade_no);
    expect(rows).toMatchObject([
      {
        out_refund_no: there?.out_refund_no,
        refund_id: there?.refund_id,
        origin: 'console',
        state: 'SUCCESS',
        refund_fen: 2_800,
      },
    ]);
    expect(await statesOf(counter, order)).toEqual({ order: 'REFUND', trade: 'REFUND' });
    expect(await refundSums(counter.ctx, order.order_no)).toMatchObject({ refunded_fen: 2_800 });
    await expect(submitRefund(counter, order, 10_001)).rejects.toMatchObject({ code: 'refund_too_much' });
    expect((await submitRefund(counter, order, 10_000)).state).toBe('PROCESSING');
  });

  test.each(['ABNORMAL', 'CLOSED'])('and stands there as %s when WeChat says so', async (as) => {
    const order = await paid();
    await counter.control('refund', { out_trade_no: order.out_trade_no, refund_fen: 2_800, as });
    await passTime(counter, 6);
    expect(await refundRows(counter, order.out_trade_no)).toMatchObject([{ origin: 'console', state: as }]);
    expect(await statesOf(counter, order)).toEqual({ order: 'SUCCESS', trade: 'SUCCESS' });
  });

  test('of a payment we have not heard of: not taken, and taken when its repeat comes after the payment', async () => {
    await arm({ notify_never: { times: 1 } });
    const { order_no, total_fen } = await shopper.order('longjing');
    const { out_trade_no } = await shopper.pay(order_no);
    await counter.control('pay', { out_trade_no });
    await counter.control('refund', { out_trade_no });
    await passTime(counter, 6);
    expect(await archived()).toMatchObject([{ verdict: 'mismatch' }]);
    expect(await refundRows(counter, out_trade_no)).toEqual([]);
    await counter.work('trade_ask');
    await passTime(counter, 16);
    expect(await statesOf(counter, { order_no, out_trade_no, total_fen })).toEqual({
      order: 'REFUND',
      trade: 'REFUND',
    });
  });

  test('that speaks of another total than the trade’s leaves no row to be sent by mistake', async () => {
    const order = await paid();
    const report = {
      out_refund_no: 'CONSOLE-OF-ANOTHER-TOTAL',
      out_trade_no: order.out_trade_no,
      status: 'SUCCESS' as const,
      refund_fen: 100,
      total_fen: order.total_fen - 1,
    };
    expect(await settleRefund(counter.ctx, report, 'notification')).toBe('mismatch');
    expect(await refundRows(counter, order.out_trade_no)).toEqual([]);
  });
});

test('what a payment’s notification and a refund’s have in common is not enough to change doors', async () => {
  const order = await paid();
  const payment = await attempted(counter, order.out_trade_no);
  expect(await post(payment.attempts[0]?.request_body ?? '')).toBe('200 FAIL');
  expect((await archived()).map(({ verdict }) => verdict)).toEqual(['malformed']);
});
