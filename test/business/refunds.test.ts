/**
 * Money going back over API v2 with the merchant's certificate: how much, how often, by whose wish. The simulator's own
 * books are the witness.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../lib/errors.ts';
import { refundSums, requestRefund } from '../../lib/refunds.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';
import {
  applications,
  followed,
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
const wish = ({ out_trade_no }: PaidOrder, refund_fen: number, command_key = crypto.randomUUID()) =>
  requestRefund(counter.ctx, { out_trade_no, refund_fen, reason: '试', command_key, origin: 'operator' });
const refundedFen = async ({ order_no }: PaidOrder): Promise<number> => {
  const answer = await shopper.go(`/api/orders/${order_no}`);
  return ((await answer.json()) as { refunded_fen: number }).refunded_fen;
};

describe('an accepted refund', () => {
  test('in full: under way, then back; order, trade, page and both books say so', async () => {
    const order = await paid();
    const asked = await submitRefund(counter, order, order.total_fen);
    expect(asked).toMatchObject({ state: 'PROCESSING', refused_code: null, made: true });
    expect(await statesOf(counter, order)).toEqual({ order: 'SUCCESS', trade: 'SUCCESS' });
    expect(await refundedFen(order)).toBe(0);
    await passTime(counter, 6);
    const row = await refundRow(counter, asked.out_refund_no);
    expect(row).toMatchObject({ state: 'SUCCESS', requested_by: 'ADMIN-OF-THIS-TEST' });
    expect(row.success_at).not.toBeNull();
    expect(await statesOf(counter, order)).toEqual({ order: 'REFUND', trade: 'REFUND' });
    expect(await refundedFen(order)).toBe(order.total_fen);
    expect(await simulatedLedger(counter, order.out_trade_no)).toMatchObject({
      paid_fen: order.total_fen,
      refunded_fen: order.total_fen,
    });
    const kinds = await kindsOf(counter, order.order_no);
    expect(kinds.filter((kind) => kind.startsWith('refund_'))).toEqual([
      'refund_requested',
      'refund_sent',
      'refund_moved',
      'refund_moved',
      'refund_query',
    ]);
    const audit = await counter.ctx.db.audit.findMany({ where: { target: order.order_no } });
    expect(audit.map(({ action, username }) => [action, username])).toEqual([['refund', '掌柜']]);
  });

  test('in parts down to the last fen, and not one fen more', async () => {
    const order = await paid();
    const parts = [1, 4_266, 4_267, 4_266];
    for (const part of parts) await submitRefund(counter, order, part);
    await expect(submitRefund(counter, order, 1)).rejects.toMatchObject({ code: 'refund_too_much' });
    expect(await refundSums(counter.ctx, order.order_no)).toEqual({ refunded_fen: 0, refunding_fen: 12_800 });
    await passTime(counter, 6);
    expect(await refundSums(counter.ctx, order.order_no)).toEqual({ refunded_fen: 12_800, refunding_fen: 0 });
    const there = await simulatedRefunds(counter, order.out_trade_no);
    expect(there.map(({ refund_fen, state }) => [refund_fen, state])).toEqual(
      parts.map((part) => [part, 'SUCCESS']),
    );
    const rows = await refundRows(counter, order.out_trade_no);
    expect(rows.map(({ refund_id }) => refund_id).sort()).toEqual(
      there.map(({ refund_id }) => refund_id).sort(),
    );
  });
});

describe('the client certificate', () => {
  afterEach(() => counter.restart(quick));

  test('WeChat is called over TLS with our certificate, and refuses the same call without one', async () => {
    const order = await paid();
    await submitRefund(counter, order, 100);
    expect(await applications(counter, order.out_trade_no)).toMatchObject([{ code: '' }]);
    await counter.restart({
      ...quick,
      WECHAT_PAY_CERTIFICATE_BASE_URL: counter.simulator_url,
    });
    const { out_refund_no, state } = await submitRefund(counter, order, 200);
    expect((await applications(counter, order.out_trade_no)).at(-1)?.code).toBe('CERT_ERROR');
    expect(state).toBe('REQUESTED');
    await counter.restart(quick);
    await followed(counter, 301);
    expect((await refundRow(counter, out_refund_no)).state).toBe('PROCESSING');
  });

  test('waits, visibly, in a deployment whose certificate was forgotten, and goes when it is there', async () => {
    const order = await paid();
    await counter.restart({
      ...quick,
      WECHAT_MERCHANT_CERTIFICATE: '',
      WECHAT_MERCHANT_KEY: '',
    });
    const asked = await submitRefund(counter, order, 300);
    expect(asked).toMatchObject({ state: 'REQUESTED', refused_code: 'NO_CERTIFICATE' });
    await counter.restart(quick);
    await followed(counter, 301);
    expect(await refundRow(counter, asked.out_refund_no)).toMatchObject({
      state: 'PROCESSING',
      refused_code: null,
    });
  });
});

describe('what may not be refunded is refused by name, and nothing is reserved', () => {
  async function refusedWith(code: ErrorCode, order: PaidOrder, refund_fen: number) {
    const refused = await submitRefund(counter, order, refund_fen).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(refused).toMatchObject({ code });
    return refused as Error;
  }

  test.each([0, -1, 1.5, 2 ** 31, Number.NaN])('%s fen', async (refund_fen) => {
    const order = await paid('penny-candy');
    const error = await refusedWith('bad_request', order, refund_fen);
    expect(error).toMatchObject({ field: 'refund_fen', message: 'refund_fen: whole fen from 1 up' });
    expect(await refundRows(counter, order.out_trade_no)).toEqual([]);
  });

  test('more than is left, naming what is left', async () => {
    const order = await paid();
    await submitRefund(counter, order, 2_800);
    const error = await refusedWith('refund_too_much', order, 10_001);
    expect(error.message).toContain('¥100.00 left');
    expect(await refundRows(counter, order.out_trade_no)).toHaveLength(1);
    const audit = await counter.ctx.db.audit.findMany({
      where: { target: order.order_no },
      orderBy: { id: 'asc' },
    });
    expect(audit.map(({ action }) => action)).toEqual(['refund', 'refund_refused']);
    expect(audit[1]?.data).toMatchObject({ code: 'refund_too_much', refund_fen: 10_001 });
    expect((await submitRefund(counter, order, 10_000)).made).toBe(true);
  });

  test('a trade of another order', async () => {
    const [order, other] = [await paid(), await paid()];
    await refusedWith('not_found', { ...order, out_trade_no: other.out_trade_no }, 1);
    expect(await refundRows(counter, other.out_trade_no)).toEqual([]);
  });

  test('a trade that is not paid', async () => {
    const { order_no, total_fen } = await shopper.order('longjing');
    const { out_trade_no } = await shopper.pay(order_no);
    await refusedWith('refund_not_paid', { order_no, out_trade_no, total_fen }, 1);
    expect(await refundRows(counter, out_trade_no)).toEqual([]);
  });

  test('a payment of more than a year ago', async () => {
    const order = await paid();
    const { out_trade_no } = order;
    const paid_days_ago = (days: number) =>
      counter.ctx.db.trade.update({
        where: { out_trade_no },
        data: { success_at: new Date(counter.ctx.now().getTime() - days * 86_400_000) },
      });
    await paid_days_ago(365.01);
    await refusedWith('refund_too_old', order, 1);
    await paid_days_ago(364.99);
    expect((await submitRefund(counter, order, 1)).made).toBe(true);
  });

  test('a 51st time; refunds that WeChat closed have counted, refunds it refused have not', async () => {
    const order = await paid();
    await arm({ refund_closed: { times: 1 } });
    for (let n = 1; n <= 49; n += 1) await submitRefund(counter, order, 1);
    await arm({ refund_account_abnormal: { times: 1 } });
    expect((await submitRefund(counter, order, 1)).state).toBe('REFUSED');
    await passTime(counter, 6);
    expect((await submitRefund(counter, order, 1)).state).toBe('PROCESSING');
    expect(await simulatedRefunds(counter, order.out_trade_no)).toHaveLength(50);
    await refusedWith('refund_too_many', order, 1);
    expect(await refundRows(counter, order.out_trade_no)).toHaveLength(51);
  });
});

describe('one wish is one refund', () => {
  test('twenty submits of one form at once: one row, one number at WeChat, nineteen told of it', async () => {
    const order = await paid();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => submitRefund(counter, order, 5_000, 'THE-SAME-FORM-TWICE')),
    );
    expect(new Set(answers.map(({ out_refund_no }) => out_refund_no)).size).toBe(1);
    expect(answers.filter(({ made }) => made)).toHaveLength(1);
    expect(await applications(counter, order.out_trade_no)).toHaveLength(1);
    expect(await simulatedRefunds(counter, order.out_trade_no)).toMatchObject([{ refund_fen: 5_000 }]);
  });

  test('the same key with another amount, or for another trade, is refused', async () => {
    const [order, other] = [await paid(), await paid()];
    await submitRefund(counter, order, 100, 'A-KEY-THAT-IS-TAKEN');
    const again = { code: 'refund_key_reused', status: 409, field: 'command_key' };
    await expect(submitRefund(counter, order, 101, 'A-KEY-THAT-IS-TAKEN')).rejects.toMatchObject(again);
    await expect(submitRefund(counter, other, 100, 'A-KEY-THAT-IS-TAKEN')).rejects.toMatchObject(again);
  });

  test('the same key for two trades at the same moment: one refund, one refusal', async () => {
    const orders = await Promise.all(Array.from({ length: 6 }, () => paid()));
    for (let round = 0; round < 10; round += 1) {
      const key = crypto.randomUUID();
      const results = await Promise.allSettled(orders.map((order) => wish(order, 1, key)));
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'refund_key_reused' });
      }
    }
  });

  test('twenty different refunds of 60 % at once: exactly one passes', async () => {
    const order = await paid();
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () => submitRefund(counter, order, 7_680)),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'refund_too_much' });
    }
    expect(await simulatedRefunds(counter, order.out_trade_no)).toHaveLength(1);
  });
});
