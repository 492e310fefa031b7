/**
 * Money that is more than was asked for, at the simulator: paid a moment after the close, or twice. It is kept visible and
 * goes back once, by itself, whatever the workers live through; simulator's ledger and our rows agree to the fen.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { listOrders, orderFilter } from '../../lib/admin_orders.ts';
import { expireOrder } from '../../lib/close.ts';
import { handlers, sweep } from '../../lib/jobs.ts';
import { newNumber } from '../../lib/numbers.ts';
import { refundSurplus, requestRefund } from '../../lib/refunds.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';
import {
  applications,
  followed,
  kindsOf,
  type PaidOrder,
  passTime,
  refundRows,
  simulatedLedger,
  simulatedRefunds,
  statesOf,
} from '../setup/paid_orders.ts';

let counter: Counter;
let shopper: Shopper;
beforeAll(async () => {
  counter = await openCounter({ environment: { WECHAT_TIMEOUT_MS: '500' } });
  shopper = counter.shopper();
  await shopper.signIn();
});
beforeEach(async () => {
  await counter.control('faults', undefined, 'DELETE');
  await counter.ctx.db.$executeRaw`DELETE FROM pgboss.job`;
});
afterAll(async () => {
  await expectBooksAgree();
  await counter.close();
});

const arm = (faults: Record<string, unknown>) => counter.control('faults', faults, 'PUT');

async function started(): Promise<PaidOrder> {
  const { order_no, total_fen } = await shopper.order('longjing');
  return { order_no, total_fen, out_trade_no: (await shopper.pay(order_no)).out_trade_no };
}

/** Closed by its expiry, yet a payer who was at the password panel pays just then; we hear of it a minute later. */
async function paidAfterClose(): Promise<PaidOrder> {
  const order = await started();
  await arm({ close_then_paid: { times: 1 }, query_stale: { times: 1 }, notify_late: { times: 1 } });
  await passTime(counter, 29 * 60);
  counter.advance(2 * 60);
  await expireOrder(counter.ctx, order.order_no);
  await counter.control('clock', { advance_s: 2 * 60 });
  expect(await statesOf(counter, order)).toEqual({ order: 'CLOSED', trade: 'SUCCESS' });
  return order;
}

/** Two trades of one order, both placed at WeChat and both paid. */
async function paidTwice(): Promise<{ kept: PaidOrder; surplus: PaidOrder }> {
  const first = await started();
  const { request, ...row } = await counter.ctx.db.trade.findUniqueOrThrow({
    where: { out_trade_no: first.out_trade_no },
  });
  const out_trade_no = newNumber(counter.ctx.now());
  await counter.ctx.db.trade.create({ data: { ...row, out_trade_no, request: request as object } });
  await counter.ctx.pay.placeTrade({
    out_trade_no,
    trade_type: 'JSAPI',
    description: '第二次',
    total_fen: row.total_fen,
    payer_client_ip: '127.0.0.1',
    notify_url: `${counter.host.origin}/api/notify/v2/payment`,
    time_start_at: counter.ctx.now(),
    time_expire_at: row.expires_at,
    openid: row.openid ?? '',
  });
  const second = { ...first, out_trade_no };
  await Promise.all(
    [first, second].map((trade) => counter.control('pay', { out_trade_no: trade.out_trade_no })),
  );
  await passTime(counter, 0);
  const { paid_trade_no } = await counter.ctx.db.order.findUniqueOrThrow({
    where: { order_no: first.order_no },
  });
  return paid_trade_no === first.out_trade_no
    ? { kept: first, surplus: second }
    : { kept: second, surplus: first };
}

const listedSurplus = async (order_no: string) =>
  (await listOrders(counter.ctx, orderFilter.parse({ surplus: 'yes', size: 100 }))).orders.find(
    (order) => order.order_no === order_no,
  )?.surplus_fen;

/** Every trade's money in the simulator's ledger and in our rows. */
async function expectBooksAgree(): Promise<void> {
  const paid = await counter.ctx.db.trade.aggregate({
    where: { trade_state: { in: ['SUCCESS', 'REFUND'] } },
    _sum: { total_fen: true },
  });
  const back = await counter.ctx.db.refund.aggregate({
    where: { state: 'SUCCESS' },
    _sum: { refund_fen: true },
  });
  expect(await simulatedLedger(counter)).toMatchObject({
    paid_fen: paid._sum.total_fen ?? 0,
    refunded_fen: back._sum.refund_fen ?? 0,
  });
}

async function expectGivenBackOnce({ order_no, out_trade_no, total_fen }: PaidOrder): Promise<void> {
  const rows = await refundRows(counter, out_trade_no);
  expect(rows).toMatchObject([{ origin: 'surplus', state: 'SUCCESS', refund_fen: total_fen }]);
  expect(await simulatedRefunds(counter, out_trade_no)).toHaveLength(1);
  expect(await simulatedLedger(counter, out_trade_no)).toMatchObject({
    paid_fen: total_fen,
    refunded_fen: total_fen,
  });
  expect((await kindsOf(counter, order_no)).filter((kind) => kind === 'refund_requested')).toHaveLength(1);
}

describe('paid one second after the close', () => {
  test('the order stays closed, the money is on the console’s list and goes back by itself', async () => {
    const order = await paidAfterClose();
    expect(await kindsOf(counter, order.order_no)).toContain('paid_late');
    expect(await listedSurplus(order.order_no)).toBe(12_800);
    expect(await counter.work('surplus_refund')).toBe(1);
    expect(await counter.work('refund_follow')).toBe(1);
    await passTime(counter, 6);
    await expectGivenBackOnce(order);
    expect(await statesOf(counter, order)).toEqual({ order: 'CLOSED', trade: 'REFUND' });
    expect(await listedSurplus(order.order_no)).toBe(12_800);
    const [application] = await applications(counter, order.out_trade_no);
    expect(application?.code).toBe('');
  });

  test('with every answer and every notification lost on the way back', async () => {
    const order = await paidAfterClose();
    await arm({ notify_never: true, refund_answer_lost: { times: 1 }, refundquery_line_cut: { times: 1 } });
    await counter.work('surplus_refund');
    await counter.work('refund_follow');
    for (const seconds of [11, 21, 61, 61]) {
      await passTime(counter, seconds);
      await counter.work('refund_follow');
    }
    await expectGivenBackOnce(order);
  });

  test('the shop’s account is empty: it waits, and goes after the top-up', async () => {
    const order = await paidAfterClose();
    await counter.control('merchant', { balance_fen: 0 }, 'PUT');
    await counter.work('surplus_refund');
    await counter.work('refund_follow');
    expect(await refundRows(counter, order.out_trade_no)).toMatchObject([
      { state: 'REQUESTED', refused_code: 'NOTENOUGH' },
    ]);
    await counter.control('merchant', { balance_fen: 1_000_000 }, 'PUT');
    await followed(counter, 301);
    await passTime(counter, 6);
    await expectGivenBackOnce(order);
  });
});

test('two trades of one order, both paid: one serves the order, the other goes back', async () => {
  const { kept, surplus } = await paidTwice();
  expect(await listedSurplus(kept.order_no)).toBe(12_800);
  await counter.work('surplus_refund');
  await counter.work('refund_follow');
  await passTime(counter, 6);
  await expectGivenBackOnce(surplus);
  expect(await refundRows(counter, kept.out_trade_no)).toEqual([]);
  expect(await statesOf(counter, kept)).toEqual({ order: 'SUCCESS', trade: 'SUCCESS' });
  const status = await shopper.go(`/api/orders/${kept.order_no}`);
  expect(await status.json()).toMatchObject({ state: 'SUCCESS', refunded_fen: 0, surplus_fen: 12_800 });
});

describe('once, whatever the workers live through', () => {
  test('the job runs twice, and three workers have it at once', async () => {
    const order = await paidAfterClose();
    const { out_trade_no } = order;
    await Promise.all(
      Array.from({ length: 3 }, () => handlers.surplus_refund(counter.ctx, { out_trade_no })),
    );
    await handlers.surplus_refund(counter.ctx, { out_trade_no });
    const [row] = await refundRows(counter, out_trade_no);
    const out_refund_no = row?.out_refund_no ?? '';
    await Promise.all(
      Array.from({ length: 3 }, () => handlers.refund_follow(counter.ctx, { out_refund_no })),
    );
    expect(await applications(counter, out_trade_no)).toHaveLength(1);
    await passTime(counter, 6);
    await handlers.surplus_refund(counter.ctx, { out_trade_no });
    await expectGivenBackOnce(order);
  });

  test('a worker dies after the reservation: the row’s own job goes on', async () => {
    const order = await paidAfterClose();
    await refundSurplus(counter.ctx, order.out_trade_no);
    await counter.work('surplus_refund');
    await counter.work('refund_follow');
    await passTime(counter, 6);
    await expectGivenBackOnce(order);
  });

  test('a worker dies while WeChat has the call: its claim runs out, the same number is sent', async () => {
    const order = await paidAfterClose();
    await counter.work('surplus_refund');
    const [row] = await refundRows(counter, order.out_trade_no);
    const out_refund_no = row?.out_refund_no ?? '';
    await counter.ctx.db.refund.update({
      where: { out_refund_no },
      data: { sending_until: new Date(counter.ctx.now().getTime() + 9_000) },
    });
    await counter.work('refund_follow');
    expect(await applications(counter, order.out_trade_no)).toEqual([]);
    await followed(counter, 11);
    await passTime(counter, 6);
    await expectGivenBackOnce(order);
  });

  test('every job is lost, as after a restore: the sweep finds the money', async () => {
    const order = await paidAfterClose();
    await counter.ctx.db.$executeRaw`DELETE FROM pgboss.job`;
    await sweep(counter.ctx);
    expect(await counter.work('surplus_refund')).toBe(1);
    await counter.ctx.db.$executeRaw`DELETE FROM pgboss.job`;
    await passTime(counter, 11 * 60);
    await sweep(counter.ctx);
    await counter.work('refund_follow');
    await passTime(counter, 6);
    await expectGivenBackOnce(order);
  });

  test('the operator gave part of it back before: the rest goes, and the job’s next run is at peace', async () => {
    const order = await paidAfterClose();
    const { out_trade_no } = order;
    const part = (refund_fen: number) =>
      requestRefund(counter.ctx, {
        out_trade_no,
        refund_fen,
        reason: '先退一部分',
        command_key: crypto.randomUUID(),
        origin: 'operator',
      });
    await part(2_800);
    await counter.work('surplus_refund');
    await arm({ refund_account_abnormal: { times: 1, out_trade_no } });
    await counter.work('refund_follow');
    await passTime(counter, 6);
    const rows = await refundRows(counter, out_trade_no);
    expect(rows.map(({ origin, refund_fen }) => [origin, refund_fen])).toEqual([
      ['operator', 2_800],
      ['surplus', 10_000],
    ]);
    expect(rows.map(({ state }) => state).sort()).toEqual(['REFUSED', 'SUCCESS']);
    await handlers.surplus_refund(counter.ctx, { out_trade_no });
    await part(rows.find(({ state }) => state === 'REFUSED')?.refund_fen ?? 0);
    await handlers.surplus_refund(counter.ctx, { out_trade_no });
    await counter.work('refund_follow');
    await passTime(counter, 6);
    expect(await simulatedLedger(counter, out_trade_no)).toMatchObject({ refunded_fen: 12_800 });
  });
});
