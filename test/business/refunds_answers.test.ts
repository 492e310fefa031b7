/**
 * What becomes of a refund when WeChat's answer is lost, late, broken or no: the number stays, the money goes back once,
 * and what was refused for good is released. The simulator's own books are the witness.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readOrder } from '../../lib/admin_orders.ts';
import { refundSums } from '../../lib/refunds.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';
import {
  applications,
  followed,
  type PaidOrder,
  paidOrder,
  passTime,
  refundRow,
  simulatedLedger,
  simulatedRefunds,
  statesOf,
  submitRefund,
} from '../setup/paid_orders.ts';

const quick = { WECHAT_TIMEOUT_MS: '500' };
let counter: Counter;
let shopper: Shopper;
beforeAll(async () => {
  counter = await openCounter({ environment: quick });
  shopper = counter.shopper();
  await shopper.signIn();
});
beforeEach(async () => {
  await counter.control('faults', undefined, 'DELETE');
  await counter.ctx.db.$executeRaw`DELETE FROM pgboss.job`;
});
afterAll(() => counter.close());

const arm = (faults: Record<string, unknown>) => counter.control('faults', faults, 'PUT');
const paid = (product_id?: string): Promise<PaidOrder> => paidOrder(counter, shopper, product_id);
const refundedFen = async ({ order_no }: PaidOrder): Promise<number> => {
  const answer = await shopper.go(`/api/orders/${order_no}`);
  return ((await answer.json()) as { refunded_fen: number }).refunded_fen;
};

describe('WeChat was not heard', () => {
  const silences: [string, Record<string, unknown>, boolean][] = [
    ['the line is cut before WeChat reads it', { refund_line_cut: { times: 1 } }, false],
    ['accepted, the answer is lost', { refund_answer_lost: { times: 1 } }, true],
    [
      'accepted, the answer comes after the time-out',
      { refund_answer_slow: { times: 1, delay_ms: 700 } },
      true,
    ],
    ['accepted, half an answer', { refund_answer_truncated: { times: 1 } }, true],
    ['accepted, the answer is badly signed', { refund_answer_bad_signature: { times: 1 } }, true],
    ['a 502 page, nothing done', { refund_http_502: { times: 1 } }, false],
    ['a 502 page, accepted all the same', { refund_http_502: { times: 1, done: true } }, true],
    ['SYSTEMERROR, nothing done', { refund_system_error: { times: 1 } }, false],
    ['SYSTEMERROR, accepted all the same', { refund_system_error_done: { times: 1 } }, true],
    ['BIZERR_NEED_RETRY', { refund_need_retry: { times: 1 } }, false],
  ];
  test.each(silences)('%s: sent again under the same number, one refund', async (_what, fault, there) => {
    const order = await paid();
    await arm({ ...fault, notify_never: true });
    const { out_refund_no, state } = await submitRefund(counter, order, 1_234);
    expect(state).toBe('REQUESTED');
    expect(await simulatedRefunds(counter, order.out_trade_no)).toHaveLength(there ? 1 : 0);
    await expect(submitRefund(counter, order, 12_800)).rejects.toMatchObject({ code: 'refund_too_much' });
    await followed(counter, 11);
    await followed(counter, 21);
    expect((await refundRow(counter, out_refund_no)).state).toBe('SUCCESS');
    // A slow answer is in the log once it has been given.
    await expect
      .poll(async () => (await applications(counter, order.out_trade_no)).map((call) => call.out_refund_no))
      .toEqual([out_refund_no, out_refund_no]);
    expect(await simulatedRefunds(counter, order.out_trade_no)).toMatchObject([
      { out_refund_no, refund_fen: 1_234, state: 'SUCCESS' },
    ]);
    expect(await simulatedLedger(counter, order.out_trade_no)).toMatchObject({ refunded_fen: 1_234 });
  });

  test('accepted unheard, and told by its notification before anybody asks again', async () => {
    const order = await paid();
    await arm({ refund_answer_lost: { times: 1 } });
    const { out_refund_no } = await submitRefund(counter, order, 1_234);
    await passTime(counter, 6);
    expect((await refundRow(counter, out_refund_no)).state).toBe('SUCCESS');
    await passTime(counter, 10);
    await counter.work('refund_follow');
    expect(await applications(counter, order.out_trade_no)).toHaveLength(1);
  });
});

describe('WeChat said no', () => {
  test('NOTENOUGH: stays requested and reserved, and the same number goes out after the top-up', async () => {
    const order = await paid();
    await arm({ refund_not_enough: { times: 2 } });
    const asked = await submitRefund(counter, order, 12_000);
    expect(asked).toMatchObject({ state: 'REQUESTED', refused_code: 'NOTENOUGH' });
    await expect(submitRefund(counter, order, 801)).rejects.toMatchObject({ code: 'refund_too_much' });
    await passTime(counter, 60);
    expect((await applications(counter, order.out_trade_no)).length).toBeLessThanOrEqual(2);
    await followed(counter, 301);
    await followed(counter, 301);
    const calls = await applications(counter, order.out_trade_no);
    expect(calls.map(({ code }) => code)).toEqual(['NOTENOUGH', 'NOTENOUGH', '']);
    expect(new Set(calls.map(({ out_refund_no }) => out_refund_no))).toEqual(new Set([asked.out_refund_no]));
    expect(await refundRow(counter, asked.out_refund_no)).toMatchObject({
      state: 'PROCESSING',
      refused_code: null,
    });
  });

  test('for good: the reservation is released, the operator sees the code, no job goes on', async () => {
    const order = await paid();
    await arm({ refund_account_abnormal: { times: 1 } });
    const asked = await submitRefund(counter, order, 12_800);
    expect(asked).toMatchObject({ state: 'REFUSED', refused_code: 'USER_ACCOUNT_ABNORMAL' });
    expect(await statesOf(counter, order)).toEqual({ order: 'SUCCESS', trade: 'SUCCESS' });
    expect(await refundSums(counter.ctx, order.order_no)).toEqual({ refunded_fen: 0, refunding_fen: 0 });
    const read = await readOrder(counter.ctx, order.order_no);
    const refusal = read?.events.find(({ kind }) => kind === 'refund_refused');
    expect(refusal?.data).toMatchObject({ error: { code: 'USER_ACCOUNT_ABNORMAL' } });
    await passTime(counter, 3_600);
    await counter.work('refund_follow');
    expect(await counter.work('refund_follow')).toBe(0);
    expect(await applications(counter, order.out_trade_no)).toHaveLength(1);
    expect((await submitRefund(counter, order, 12_800)).state).toBe('PROCESSING');
  });

  test('nothing is left, since the console gave it back unheard: ours ends refused, the books agree', async () => {
    const order = await paid();
    await counter.control('refund', { out_trade_no: order.out_trade_no });
    const { out_refund_no } = await submitRefund(counter, order, 1_000);
    expect((await applications(counter, order.out_trade_no)).at(-1)?.code).toBe('ERROR');
    expect(await refundRow(counter, out_refund_no)).toMatchObject({
      state: 'REFUSED',
      refused_code: 'ERROR',
    });
    expect(await simulatedRefunds(counter, order.out_trade_no)).toHaveLength(1);
  });

  test('accepted unheard, then refused when repeated: a query decides, not the refusal', async () => {
    const order = await paid();
    await arm({ refund_answer_lost: { times: 1 }, notify_never: true });
    const { out_refund_no } = await submitRefund(counter, order, 1_000);
    const told_other_total = (total_fen: number) =>
      counter.ctx.db.refund.update({ where: { out_refund_no }, data: { total_fen } });
    await told_other_total(12_799);
    await followed(counter, 11);
    expect((await applications(counter, order.out_trade_no)).at(-1)?.code).toBe('REFUND_FEE_MISMATCH');
    expect((await refundRow(counter, out_refund_no)).state).toBe('REQUESTED');
    await expect(submitRefund(counter, order, 12_800)).rejects.toMatchObject({ code: 'refund_too_much' });
    await told_other_total(12_800);
    await followed(counter, 301);
    await followed(counter, 21);
    expect((await refundRow(counter, out_refund_no)).state).toBe('SUCCESS');
  });
});

describe('how it ends, asked by the worker since every notification is lost', () => {
  test.each([
    ['SUCCESS', {}, 'REFUND', 12_800],
    ['CLOSED', { refund_closed: { times: 1 } }, 'SUCCESS', 0],
  ])('PROCESSING, then %s', async (end, fault, order_state, refunded_fen) => {
    const order = await paid();
    await arm({ ...fault, notify_never: true, refund_query_stale: { times: 1 } });
    const { out_refund_no, state } = await submitRefund(counter, order, 12_800);
    expect(state).toBe('PROCESSING');
    await followed(counter, 21);
    expect((await refundRow(counter, out_refund_no)).state).toBe('PROCESSING');
    await followed(counter, 61);
    expect(await refundRow(counter, out_refund_no)).toMatchObject({ state: end });
    expect((await statesOf(counter, order)).order).toBe(order_state);
    expect(await refundedFen(order)).toBe(refunded_fen);
    await passTime(counter, 7_200);
    expect(await counter.work('refund_follow')).toBe(0);
    const again = submitRefund(counter, order, 12_800);
    if (end === 'CLOSED') expect((await again).state).toBe('PROCESSING');
    else await expect(again).rejects.toMatchObject({ code: 'refund_too_much' });
  });

  test('PROCESSING, then ABNORMAL, which holds the money, until WeChat has it elsewhere', async () => {
    const order = await paid();
    await arm({ refund_abnormal: { times: 1 }, notify_never: true });
    const { out_refund_no } = await submitRefund(counter, order, 12_800);
    await followed(counter, 21);
    expect((await refundRow(counter, out_refund_no)).state).toBe('ABNORMAL');
    expect((await statesOf(counter, order)).order).toBe('SUCCESS');
    await expect(submitRefund(counter, order, 1)).rejects.toMatchObject({ code: 'refund_too_much' });
    await counter.control(`refunds/${out_refund_no}`, { as: 'SUCCESS' });
    await followed(counter, 61);
    expect((await refundRow(counter, out_refund_no)).state).toBe('SUCCESS');
    expect(await statesOf(counter, order)).toEqual({ order: 'REFUND', trade: 'REFUND' });
  });
});
