/**
 * The day after, with the simulator's own bill: what nobody told us is settled by it, what it gets wrong is exactly the
 * difference that was planted, and a file that is no bill changes nothing.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { beijingDay, beijingDayStart } from '../../lib/beijing.ts';
import type { Context } from '../../lib/context.ts';
import { handlers } from '../../lib/jobs.ts';
import { billReadyAt, dueDays, reconcileDay } from '../../lib/statements.ts';
import { billStream } from '../setup/bill.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';
import {
  kindsOf,
  type PaidOrder,
  paidOrder,
  passTime,
  refundRow,
  refundRows,
  simulatedLedger,
  simulatedRefunds,
  statesOf,
  submitRefund,
} from '../setup/paid_orders.ts';
import { startNode } from '../setup/shop.ts';

let counter: Counter;
let shopper: Shopper;
/** The Beijing day a test has for itself; it begins at eleven in the morning. */
let day: string;
beforeAll(async () => {
  counter = await openCounter();
});
beforeEach(async () => {
  await counter.control('faults', undefined, 'DELETE');
  await counter.ctx.db.$executeRaw`DELETE FROM pgboss.job`;
  await until(new Date((nextMidnight() ?? 0) + 11 * 3_600_000));
  day = beijingDay(counter.ctx.now());
  shopper = counter.shopper();
  await shopper.signIn();
});
afterAll(() => counter.close());

const nextMidnight = (): number =>
  (beijingDayStart(beijingDay(counter.ctx.now()))?.getTime() ?? 0) + 86_400_000;
const until = (at: Date): Promise<void> =>
  passTime(counter, Math.ceil((at.getTime() - counter.ctx.now().getTime()) / 1_000));
const arm = (faults: Record<string, unknown>) => counter.control('faults', faults, 'PUT');
const disarm = () => counter.control('faults', undefined, 'DELETE');
const paid = (product_id?: string): Promise<PaidOrder> => paidOrder(counter, shopper, product_id);
/** Five minutes past ten of the day after. */
const dayAfter = (): Promise<void> => until(new Date((billReadyAt(day)?.getTime() ?? 0) + 300_000));

const standing = () =>
  counter.ctx.db.statement_day.findFirstOrThrow({ where: { bill_date: new Date(`${day}T00:00:00Z`) } });
const differences = async (resolved = false) =>
  (
    await counter.ctx.db.difference.findMany({
      where: {
        bill_date: new Date(`${day}T00:00:00Z`),
        ...(resolved ? {} : { resolved_at: null }),
      },
    })
  ).map(({ kind, subject }) => [kind, subject]);

/** Everything that a second look must leave as it is. */
async function books(): Promise<string> {
  const { db } = counter.ctx;
  return JSON.stringify(
    [
      await db.order.findMany({ orderBy: { order_no: 'asc' } }),
      await db.trade.findMany({ orderBy: { out_trade_no: 'asc' } }),
      await db.refund.findMany({ orderBy: { out_refund_no: 'asc' } }),
      await db.event.count(),
      await db.difference.findMany({ orderBy: { id: 'asc' } }),
    ],
    (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value),
  );
}

/** Paid at WeChat; notifications and every question about it are lost until its order's time is over. */
async function paidUnheard(): Promise<PaidOrder> {
  const { order_no, total_fen } = await shopper.order('tea-cup');
  const { out_trade_no } = await shopper.pay(order_no);
  const lost = { notify_never: true, orderquery_line_cut: true, closeorder_line_cut: true };
  await arm(lost);
  await counter.control('pay', { out_trade_no });
  for (const seconds of [6, 60, 32 * 60]) {
    await passTime(counter, seconds);
    await counter.work('trade_ask');
    await counter.work('order_expire');
  }
  await disarm();
  await counter.ctx.db.$executeRaw`DELETE FROM pgboss.job`;
  return { order_no, out_trade_no, total_fen };
}

/** The day's bill as WeChat has it now, since a file that was fetched does not change any more. */
async function wholeBill(): Promise<string> {
  const bill = await counter.ctx.pay.downloadTradeBill(day);
  if (bill.outcome !== 'bill') throw new Error(`no bill of ${day}: ${bill.outcome}`);
  return new Response(bill.stream).text();
}

function withBill(text: string): Context {
  const exchange = {
    method: 'POST' as const,
    path: '/pay/downloadbill',
    request_body: '',
    started_at: counter.ctx.now(),
    duration_ms: 0,
  };
  const downloadTradeBill = async () => ({ outcome: 'bill' as const, stream: billStream(text), exchange });
  // The fund flow would disagree with a bill that somebody wrote over: it has tests of its own.
  const downloadFundFlowBill = async () => ({ outcome: 'creating' as const, exchange });
  return { ...counter.ctx, pay: { ...counter.ctx.pay, downloadTradeBill, downloadFundFlowBill } };
}

describe('a whole day', () => {
  test('payments, refunds of every end, and one payment that only the bill knows: settled, no difference', async () => {
    const [plain, back, parts, ended, console_made] = [
      await paid('bookmark'),
      await paid(),
      await paid(),
      await paid(),
      await paid('tea-cup'),
    ];
    await submitRefund(counter, back, back.total_fen);
    for (const refund_fen of [100, 100, 4_267]) await submitRefund(counter, parts, refund_fen);
    await arm({ refund_closed: { times: 1 } });
    const closed = await submitRefund(counter, ended, 12_800);
    await disarm();
    await passTime(counter, 6);
    await arm({ refund_slow: { times: 1, delay_s: 3 * 86_400 } });
    const slow = await submitRefund(counter, ended, 5_000);
    await disarm();
    // The console's refund is told to no address of ours.
    await counter.control('refund', { out_trade_no: console_made.out_trade_no, refund_fen: 800 });
    const unheard = await paidUnheard();
    expect(await statesOf(counter, unheard)).toEqual({ order: 'NOTPAY', trade: 'NOTPAY' });
    await dayAfter();
    expect(await dueDays(counter.ctx)).toContain(day);
    await handlers.statement(counter.ctx, {});

    expect(await standing()).toMatchObject({
      state: 'COMPARED',
      payments: 6,
      our_payments: 6,
      refunds: 6,
      settled: 1,
      problem: '',
    });
    expect(await differences(true)).toEqual([]);
    expect(await statesOf(counter, unheard)).toEqual({ order: 'SUCCESS', trade: 'SUCCESS' });
    const settled = await counter.ctx.db.event.findFirstOrThrow({
      where: { order_no: unheard.order_no, kind: 'paid' },
    });
    expect(settled.source).toBe('bill');
    expect(await counter.work('order_paid')).toBe(1);
    expect(await refundRows(counter, console_made.out_trade_no)).toMatchObject([
      { origin: 'console', state: 'SUCCESS', refund_fen: 800 },
    ]);
    expect((await refundRow(counter, closed.out_refund_no)).state).toBe('CLOSED');
    expect((await refundRow(counter, slow.out_refund_no)).state).toBe('PROCESSING');
    expect(await statesOf(counter, plain)).toEqual({ order: 'SUCCESS', trade: 'SUCCESS' });
    expect(await dueDays(counter.ctx)).not.toContain(day);

    const before = await books();
    expect(await reconcileDay(counter.ctx, day)).toMatchObject({
      state: 'COMPARED',
      settled: 0,
      differences: 0,
    });
    await handlers.statement(counter.ctx, {});
    expect(await books()).toBe(before);
  });

  test('a payment after the close that nobody told us of: found by the bill, and it goes back by itself', async () => {
    const { order_no, total_fen } = await shopper.order('longjing');
    const order = { order_no, total_fen, out_trade_no: (await shopper.pay(order_no)).out_trade_no };
    await arm({ notify_never: true, close_then_paid: { times: 1 }, query_stale: true });
    await passTime(counter, 29 * 60);
    counter.advance(120);
    await counter.work('order_expire');
    await counter.control('clock', { advance_s: 120 });
    expect(await statesOf(counter, order)).toEqual({ order: 'CLOSED', trade: 'CLOSED' });
    await disarm();
    await dayAfter();
    expect(await reconcileDay(counter.ctx, day)).toMatchObject({ settled: 1, differences: 0 });
    expect(await kindsOf(counter, order_no)).toContain('paid_late');
    await counter.work('surplus_refund');
    await counter.work('refund_follow');
    await passTime(counter, 6);
    expect(await statesOf(counter, order)).toEqual({ order: 'CLOSED', trade: 'REFUND' });
    expect(await simulatedLedger(counter, order.out_trade_no)).toMatchObject({ refunded_fen: total_fen });
  });

  test('a refund that was abnormal when the bill was made and arrived later is no difference', async () => {
    const order = await paid();
    await arm({ refund_abnormal: { times: 1 } });
    const { out_refund_no } = await submitRefund(counter, order, 12_800);
    await dayAfter();
    const held = await refundRow(counter, out_refund_no);
    expect(held.state).toBe('ABNORMAL');
    const bill = await wholeBill();
    expect(bill).toContain('`CHANGE');
    expect(await reconcileDay(counter.ctx, day)).toMatchObject({ differences: 0 });
    // Notifications of one refund that come close together are asked about once.
    await passTime(counter, 60);
    await counter.control(`refunds/${out_refund_no}`, { as: 'SUCCESS' });
    await passTime(counter, 0);
    expect((await refundRow(counter, out_refund_no)).state).toBe('SUCCESS');
    expect(await reconcileDay(withBill(bill), day)).toMatchObject({ state: 'COMPARED', differences: 0 });
    const failed = withBill(bill.replace('`CHANGE', '`FAIL'));
    expect(await reconcileDay(failed, day)).toMatchObject({ differences: 1 });
  });

  test('a refund accepted unheard and told by nobody is moved by the bill', async () => {
    const order = await paid();
    await arm({ refund_answer_lost: { times: 1 }, notify_never: true });
    const { out_refund_no, state } = await submitRefund(counter, order, 12_800);
    expect(state).toBe('REQUESTED');
    await dayAfter();
    expect(await reconcileDay(counter.ctx, day)).toMatchObject({ differences: 0 });
    expect((await refundRow(counter, out_refund_no)).state).toBe('SUCCESS');
  });
});

describe('a file that is no bill, or not yet, changes nothing and is asked for again', () => {
  const refusals: [string, string, string][] = [
    ['bill_creating', 'WAITING', 'still making'],
    ['bill_truncated', 'REFUSED', ''],
    ['bill_html', 'REFUSED', ''],
    ['bill_gzip_damaged', 'REFUSED', ''],
    ['bill_wrong_summary', 'REFUSED', 'the bill says 5 rows and has 4'],
    ['downloadbill_http_502', 'WAITING', 'HTTP_502'],
    ['downloadbill_line_cut', 'WAITING', 'NO_ANSWER'],
  ];
  test.each(refusals)('%s: %s', async (fault, state, problem) => {
    for (let n = 0; n < 3; n += 1) await paid('penny-candy');
    const unheard = await paidUnheard();
    await dayAfter();
    await arm({ [fault]: true });
    const before = await books();
    await handlers.statement(counter.ctx, {});
    const told = await standing();
    expect(told).toMatchObject({ state, rows: 0, settled: 0 });
    expect(told.problem).not.toBe('');
    expect(told.problem).toContain(problem);
    expect(await books()).toBe(before);
    expect(await dueDays(counter.ctx)).toContain(day);
    await disarm();
    await handlers.statement(counter.ctx, {});
    expect(await standing()).toMatchObject({ state: 'COMPARED', settled: 1, attempts: 2, problem: '' });
    expect(await differences(true)).toEqual([]);
    expect(await statesOf(counter, unheard)).toEqual({ order: 'SUCCESS', trade: 'SUCCESS' });
  });
});

describe('a bill that disagrees', () => {
  // The fund flow, which does not lie with the bill, disagrees with its sums: of payments, and of fees where they differ.
  const planted: [string, Record<string, unknown>, string, string | undefined, string[]][] = [
    ['bill_other_amount', { delta_fen: 7 }, 'amount', undefined, ['payment']],
    ['bill_row_missing', {}, 'missing_there', undefined, ['fee', 'payment']],
    ['bill_row_extra', { as: 'NOBODYPLACEDTHIS' }, 'missing_here', 'NOBODYPLACEDTHIS', ['fee', 'payment']],
    ['bill_other_merchant', { mch_id: '1900000999' }, 'foreign', undefined, ['fee', 'payment']],
  ];
  test.each(planted)(
    '%s: exactly that difference and its sums, with both sides, gone when the bill is right',
    async (fault, parameters, kind, subject, sums) => {
      const orders = [await paid('bookmark'), await paid('bookmark'), await paid('bookmark')];
      const out_trade_no = orders[1]?.out_trade_no ?? '';
      await dayAfter();
      await arm({ [fault]: { ...parameters, times: 2, out_trade_no } });
      const expected = [
        [kind, subject ?? out_trade_no],
        ...sums.map((sum) => ['flow', `fund flow ${sum}`]),
      ].sort();
      expect(await reconcileDay(counter.ctx, day)).toMatchObject({
        state: 'COMPARED',
        differences: expected.length,
      });
      expect((await differences()).sort()).toEqual(expected);
      const before = await books();
      expect(await reconcileDay(counter.ctx, day)).toMatchObject({ differences: expected.length });
      expect(await books()).toBe(before);
      const [kept] = await counter.ctx.db.difference.findMany({ where: { kind, resolved_at: null } });
      expect(kept?.ours).toMatchObject(kind === 'missing_here' ? {} : { total_fen: 990 });
      expect(kept?.theirs).toMatchObject(
        kind === 'missing_there' ? {} : { total_fen: kind === 'amount' ? 997 : 990 },
      );
      expect(await reconcileDay(counter.ctx, day)).toMatchObject({ differences: 0 });
      expect(await differences(true)).toHaveLength(expected.length);
    },
  );

  test('bill_unknown_column: told, and the rest is compared', async () => {
    await paid('bookmark');
    await dayAfter();
    await arm({ bill_unknown_column: true });
    const result = await reconcileDay(counter.ctx, day);
    expect(result).toMatchObject({ state: 'COMPARED', differences: 0 });
    expect(result.problem).toContain('新增列');
    expect((await standing()).problem).toContain('新增列');
  });

  test('a refund with another amount, and a refund that is not there', async () => {
    const order = await paid();
    const { out_refund_no } = await submitRefund(counter, order, 5_000);
    const other = await submitRefund(counter, await paid(), 5_000);
    await passTime(counter, 6);
    await counter.ctx.db.refund.update({ where: { out_refund_no }, data: { refund_fen: 5_001 } });
    await counter.ctx.db.refund.update({
      where: { out_refund_no: other.out_refund_no },
      data: { out_refund_no: 'NOBODY-REFUNDED-THIS', refund_id: 'NOR-THIS' },
    });
    await dayAfter();
    // The one whose row is another's now is WeChat's alone, and adopted as a console's.
    await reconcileDay(counter.ctx, day);
    expect((await differences()).sort()).toEqual([
      ['refund', out_refund_no],
      ['refund', 'NOBODY-REFUNDED-THIS'],
    ]);
    expect(await refundRow(counter, other.out_refund_no)).toMatchObject({
      origin: 'console',
      state: 'SUCCESS',
    });
    expect(await simulatedRefunds(counter, order.out_trade_no)).toHaveLength(1);
  });
});

test('by hand, as a process on the simulator’s clock: 0 when the books agree, 1 with differences, 2 without a bill', async () => {
  await paid('bookmark');
  await dayAfter();
  const reconcile = async (...more: string[]) => {
    const { running } = startNode('scripts/reconcile.ts', ['--date', day, ...more], {
      PATH: process.env.PATH,
      ...counter.settings,
    });
    const { code } = await running.ended;
    return { code, output: running.output() };
  };
  await arm({ bill_creating: { times: 1 } });
  const waiting = await reconcile();
  expect(waiting.output).toContain('WAITING');
  expect(waiting.code).toBe(2);
  await arm({ bill_other_amount: { times: 1 } });
  const different = await reconcile();
  expect(different.output).toContain('2 open differences');
  expect(different.code).toBe(1);
  const equal = await reconcile('--json');
  expect(JSON.parse(equal.output)).toMatchObject({
    bill_date: day,
    state: 'COMPARED',
    rows: 1,
    differences: 0,
  });
  expect(equal.code).toBe(0);
});
