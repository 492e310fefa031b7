/**
 * The payment notification as the simulator really sends it, with every fault it has for it, and with a database that
 * fails at the worst moment: acknowledged only when the money is in our books, and in them once.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Context, createContext } from '../../lib/context.ts';
import { openDb } from '../../lib/db.ts';
import { receivePayment } from '../../lib/notify.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';
import { knock } from '../setup/host.ts';
import { openPostgresLine, type PostgresLine } from '../setup/postgres_line.ts';
import { attempted, notificationsOf } from '../setup/simulator_log.ts';
import type { SignType } from '../setup/v2_message.ts';

const success =
  '<xml>\n  <return_code><![CDATA[SUCCESS]]></return_code>\n  <return_msg><![CDATA[OK]]></return_msg>\n</xml>';
const failure = /^<xml>\n {2}<return_code><!\[CDATA\[FAIL\]\]><\/return_code>/;

let counter: Counter;
let shopper: Shopper;

const arm = (faults: Record<string, unknown>) => counter.control('faults', faults, 'PUT');
const archiveOf = (where: { out_trade_no?: string | null; verdict?: string } = {}) =>
  counter.ctx.db.notification.findMany({ where, orderBy: { received_at: 'asc' } });

async function booksOf({ order_no, out_trade_no }: { order_no: string; out_trade_no: string }) {
  const { db } = counter.ctx;
  const jobs = await db.$queryRaw<unknown[]>`
    SELECT id FROM pgboss.job WHERE name = 'order_paid' AND singleton_key = ${order_no}`;
  return {
    order: await db.order.findUniqueOrThrow({ where: { order_no } }),
    trade: await db.trade.findUniqueOrThrow({ where: { out_trade_no } }),
    paid: await db.event.count({ where: { order_no, kind: 'paid' } }),
    jobs: jobs.length,
  };
}

async function started(product_id = 'penny-candy') {
  const { order_no, total_fen } = await shopper.order(product_id);
  return { order_no, total_fen, out_trade_no: (await shopper.pay(order_no)).out_trade_no };
}

/** One signed message of WeChat's for a trade, as text, without its being delivered. */
async function undelivered() {
  const trade = await started();
  await arm({ notify_never: { times: 1 } });
  await counter.control('pay', { out_trade_no: trade.out_trade_no });
  const [held] = await notificationsOf(counter, trade.out_trade_no);
  return { ...trade, notification_id: held?.notification_id ?? '' };
}

describe.each<SignType>(['HMAC-SHA256', 'MD5'])('signed with %s', (sign_type) => {
  beforeAll(async () => {
    counter = await openCounter({ environment: { WECHAT_SIGN_TYPE: sign_type } });
    shopper = counter.shopper();
    await shopper.signIn();
  });
  beforeEach(async () => {
    await counter.control('faults', undefined, 'DELETE');
  });
  afterAll(() => counter.close());

  test('a payment: in the books with its evidence, acknowledged in exactly WeChat’s words', async () => {
    const trade = await started('tea-cup');
    await counter.control('pay', { out_trade_no: trade.out_trade_no });
    const sent = await attempted(counter, trade.out_trade_no);
    expect(sent.attempts.map(({ status, answer, accepted }) => [status, answer, accepted])).toEqual([
      [200, success, true],
    ]);
    const { order, trade: row, paid, jobs } = await booksOf(trade);
    expect(order).toMatchObject({ state: 'SUCCESS', paid_trade_no: trade.out_trade_no });
    expect(row).toMatchObject({
      trade_state: 'SUCCESS',
      sign_type,
      payer_total_fen: 8_800,
      bank_type: 'OTHERS',
      surplus: null,
    });
    const ledger = await counter.control<{ entries: { transaction_id: string; amount_fen: number }[] }>(
      `ledger?out_trade_no=${trade.out_trade_no}`,
    );
    expect(ledger.entries).toMatchObject([{ transaction_id: row.transaction_id, amount_fen: row.total_fen }]);
    expect([paid, jobs]).toEqual([1, 1]);
    const [kept, ...more] = await archiveOf({ out_trade_no: trade.out_trade_no });
    expect(kept).toMatchObject({ verdict: 'applied', api_version: 'v2', kind: 'payment' });
    expect(Buffer.from(kept?.body ?? []).toString()).toBe(sent.attempts[0]?.request_body);
    expect(more).toHaveLength(0);
    const [event] = await counter.ctx.db.event.findMany({
      where: { order_no: trade.order_no, kind: 'paid' },
    });
    expect(event).toMatchObject({ source: 'notification', notification_id: kept?.id });
  });

  test('forty copies at once: one event, one job, forty archived, every one acknowledged', async () => {
    const trade = await started();
    await arm({ notify_copies: { copies: 40 } });
    await counter.control('pay', { out_trade_no: trade.out_trade_no });
    const { attempts } = await attempted(counter, trade.out_trade_no);
    expect(attempts.map(({ answer }) => answer)).toEqual(Array<string>(40).fill(success));
    const { order, paid, jobs } = await booksOf(trade);
    expect([order.state, paid, jobs]).toEqual(['SUCCESS', 1, 1]);
    const verdicts = (await archiveOf({ out_trade_no: trade.out_trade_no })).map(({ verdict }) => verdict);
    expect(verdicts.sort()).toEqual(
      ['already', 'applied'].flatMap((v) => Array<string>(v === 'applied' ? 1 : 39).fill(v)),
    );
  });

  test('a copy a day later: acknowledged, nothing done twice', async () => {
    const trade = await started();
    await counter.control('pay', { out_trade_no: trade.out_trade_no });
    const { notification_id } = await attempted(counter, trade.out_trade_no);
    counter.advance(86_400);
    const again = await counter.control<{ attempts_now: { answer: string }[] }>(
      `notifications/${notification_id}/redeliver`,
      {},
    );
    expect(again.attempts_now.map(({ answer }) => answer)).toEqual([success]);
    const { paid, jobs } = await booksOf(trade);
    expect([paid, jobs]).toEqual([1, 1]);
  });

  test('a late one, long after the poll found the payment: already', async () => {
    const trade = await started();
    await arm({ notify_late: { delay_s: 3_600 } });
    await counter.control('pay', { out_trade_no: trade.out_trade_no });
    expect((await shopper.status(trade.order_no)).state).toBe('SUCCESS');
    await counter.control('clock', { advance_s: 3_600 });
    const { attempts } = await attempted(counter, trade.out_trade_no);
    expect(attempts[0]?.answer).toBe(success);
    const [kept] = await archiveOf({ out_trade_no: trade.out_trade_no });
    expect(kept?.verdict).toBe('already');
    expect((await booksOf(trade)).paid).toBe(1);
  });

  const refusals: [string, unknown, string, string][] = [
    ['notify_bad_signature', {}, 'bad_signature', ''],
    ['notify_no_signature', {}, 'bad_signature', ''],
    ['notify_other_sign_type', {}, 'mismatch', 'sign_type'],
    ['notify_other_amount', { delta_fen: 1 }, 'mismatch', 'total_fee'],
    ['notify_other_amount', { delta_fen: 2_147_483_647 }, 'mismatch', 'total_fee'],
    ['notify_other_merchant', {}, 'mismatch', 'mch_id'],
    ['notify_other_appid', {}, 'mismatch', 'appid'],
    ['notify_other_openid', {}, 'mismatch', 'openid'],
    ['notify_unknown_order', {}, 'unknown_order', ''],
    ['notify_doctype', {}, 'malformed', ''],
  ];
  test.each(refusals)(
    '%s %j: refused, archived, nothing moved; WeChat’s next one is taken',
    async (fault, how, verdict, differs) => {
      const trade = await started();
      const known = new Set((await archiveOf()).map(({ id }) => id));
      await arm({ [fault]: { times: 1, ...(how as object) } });
      await counter.control('pay', { out_trade_no: trade.out_trade_no });
      const { attempts } = await attempted(counter, trade.out_trade_no);
      expect(attempts[0]).toMatchObject({ status: 200, accepted: false });
      expect(attempts[0]?.answer).toMatch(failure);
      expect(await booksOf(trade)).toMatchObject({
        order: { state: 'NOTPAY' },
        trade: { trade_state: 'NOTPAY', transaction_id: null },
        paid: 0,
        jobs: 0,
      });
      const [kept, ...more] = (await archiveOf()).filter(({ id }) => !known.has(id));
      expect(more).toHaveLength(0);
      expect(kept?.verdict).toBe(verdict);
      if (verdict === 'mismatch') expect(kept?.detail).toBe(differs);
      expect(Buffer.from(kept?.body ?? []).toString()).toBe(attempts[0]?.request_body);

      await counter.control('clock', { advance_s: 15 });
      expect(await booksOf(trade)).toMatchObject({ order: { state: 'SUCCESS' }, paid: 1, jobs: 1 });
    },
  );

  test.each(['notify_extra_field', 'notify_sign_type_present'])('%s is genuine: taken', async (fault) => {
    const trade = await started();
    await arm({ [fault]: true });
    await counter.control('pay', { out_trade_no: trade.out_trade_no });
    expect((await attempted(counter, trade.out_trade_no)).attempts[0]?.answer).toBe(success);
    expect(await booksOf(trade)).toMatchObject({ order: { state: 'SUCCESS' }, paid: 1 });
  });

  test('notify_cut: half a message moves nothing, the whole one is taken later', async () => {
    const trade = await started();
    await arm({ notify_cut: { times: 1 } });
    await counter.control('pay', { out_trade_no: trade.out_trade_no });
    expect((await attempted(counter, trade.out_trade_no)).attempts[0]?.accepted).toBe(false);
    expect((await booksOf(trade)).order.state).toBe('NOTPAY');
    await counter.control('clock', { advance_s: 15 });
    expect(await booksOf(trade)).toMatchObject({ order: { state: 'SUCCESS' }, paid: 1 });
  });

  test('a payment partly by coupon is the whole payment', async () => {
    const trade = await started('tea-cup');
    await counter.control('pay', { out_trade_no: trade.out_trade_no, coupon_fen: 800 });
    await attempted(counter, trade.out_trade_no);
    expect((await booksOf(trade)).trade).toMatchObject({ trade_state: 'SUCCESS', payer_total_fen: 8_000 });
  });
});

test('a trade placed with MD5 is still taken after the shop has changed to HMAC-SHA256', async () => {
  counter = await openCounter({ environment: { WECHAT_SIGN_TYPE: 'MD5' } });
  try {
    shopper = counter.shopper();
    await shopper.signIn();
    const trade = await started();
    const changed = createContext(
      { ...counter.ctx.config, WECHAT_SIGN_TYPE: 'HMAC-SHA256' },
      { log: counter.ctx.log, now: counter.ctx.now },
    );
    try {
      (globalThis as { guitai_context?: Context }).guitai_context = changed;
      await counter.control('pay', { out_trade_no: trade.out_trade_no });
      expect((await attempted(counter, trade.out_trade_no)).attempts[0]?.answer).toBe(success);
      const fresh = await started();
      const { trade: row } = await booksOf(fresh);
      expect(row.sign_type).toBe('HMAC-SHA256');
    } finally {
      await changed.close();
    }
  } finally {
    await counter.close();
  }
});

describe('the database fails while a message is in hand', () => {
  let line: PostgresLine;
  let frail: Context;
  beforeAll(async () => {
    counter = await openCounter();
    shopper = counter.shopper();
    await shopper.signIn();
  });
  beforeEach(async () => {
    line = await openPostgresLine(counter.ctx.config.DATABASE_URL);
    frail = createContext({ ...counter.ctx.config, DATABASE_URL: line.url }, { log: counter.ctx.log });
  });
  afterEach(async () => {
    (globalThis as { guitai_context?: Context }).guitai_context = counter.ctx;
    await line.close();
    await frail.close();
  });
  afterAll(() => counter.close());

  /** The message delivered over the frail line, by WeChat's own hand. */
  async function deliver(notification_id: string, over: Context) {
    (globalThis as { guitai_context?: Context }).guitai_context = over;
    const started_at = performance.now();
    const { attempts_now } = await counter.control<{
      attempts_now: { status?: number; answer?: string; accepted: boolean }[];
    }>(`notifications/${notification_id}/redeliver`, {});
    return { ...attempts_now[0], took_ms: performance.now() - started_at };
  }

  test('the statement is committed, its answer lost: not acknowledged; the message delivered again is already', async () => {
    const trade = await undelivered();
    await frail.db.$queryRaw`SELECT 1`;
    line.loseAnswerTo(trade.out_trade_no);
    const first = await deliver(trade.notification_id, frail);
    expect(line.strikes()).toBe(1);
    expect(first).toMatchObject({ status: 500, accepted: false });
    expect(first.answer).toMatch(failure);
    expect(await booksOf(trade)).toMatchObject({ order: { state: 'SUCCESS' }, paid: 1, jobs: 1 });
    const second = await deliver(trade.notification_id, frail);
    expect(second).toMatchObject({ status: 200, answer: success });
    expect(await booksOf(trade)).toMatchObject({ paid: 1, jobs: 1 });
    const verdicts = (await archiveOf({ out_trade_no: trade.out_trade_no })).map(({ verdict }) => verdict);
    expect(verdicts).toEqual(['applied', 'already']);
  });

  test('the line is cut before the statement: not acknowledged, nothing moved; delivered again it is applied', async () => {
    const trade = await undelivered();
    await frail.db.$queryRaw`SELECT 1`;
    line.cutBefore(trade.out_trade_no);
    expect(await deliver(trade.notification_id, frail)).toMatchObject({ status: 500, accepted: false });
    expect(line.strikes()).toBe(1);
    expect(await booksOf(trade)).toMatchObject({ order: { state: 'NOTPAY' }, paid: 0, jobs: 0 });
    expect(await deliver(trade.notification_id, frail)).toMatchObject({ status: 200, answer: success });
    expect(await booksOf(trade)).toMatchObject({ order: { state: 'SUCCESS' }, paid: 1, jobs: 1 });
  });

  test('forty copies, the answer to the first commit lost: the books hold one payment', async () => {
    const trade = await undelivered();
    await frail.db.$queryRaw`SELECT 1`;
    await arm({ notify_copies: { copies: 40 } });
    line.loseAnswerTo(trade.out_trade_no);
    await deliver(trade.notification_id, frail);
    expect(line.strikes()).toBe(1);
    await arm({ notify_copies: false });
    expect(await booksOf(trade)).toMatchObject({ order: { state: 'SUCCESS' }, paid: 1, jobs: 1 });
    expect(await deliver(trade.notification_id, frail)).toMatchObject({ status: 200, answer: success });
    expect(await booksOf(trade)).toMatchObject({ paid: 1, jobs: 1 });
  });

  test('the database is gone: 500 at once, for a genuine message and for a forged one', async () => {
    const trade = await undelivered();
    await line.close();
    const told = await deliver(trade.notification_id, frail);
    expect(told).toMatchObject({ status: 500, accepted: false });
    expect(told.took_ms).toBeLessThan(4_500);
    const forged = await knock(
      new Request(`${counter.host.origin}/api/notify/v2/payment`, {
        method: 'POST',
        body: '<xml><a>1</a></xml>',
      }),
    );
    expect([forged.status, await forged.text()]).toEqual([500, expect.stringMatching(failure)]);
    expect((await booksOf(trade)).order.state).toBe('NOTPAY');
  });

  test('the database says nothing any more: 500 before WeChat’s five seconds are over', async () => {
    const trade = await undelivered();
    await frail.db.$queryRaw`SELECT 1`;
    line.block();
    const told = await deliver(trade.notification_id, frail);
    expect(told).toMatchObject({ status: 500, accepted: false });
    expect(told.took_ms).toBeLessThan(5_000);
  });

  test('a connection that went silent is given up, and the next one works', async () => {
    const db = openDb(line.url, { connections: 1, silence_ms: 300 });
    try {
      await db.$queryRaw`SELECT 1`;
      line.block();
      await expect(db.order.count()).rejects.toThrow();
      line.block(false);
      expect(await db.order.count()).toBeGreaterThan(0);
    } finally {
      await db.$disconnect();
    }
  });

  test('a body that comes too slowly: 500 before WeChat’s five seconds are over', async () => {
    const started_at = performance.now();
    let drip: ReturnType<typeof setInterval> | undefined;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        drip = setInterval(() => controller.enqueue(Buffer.from('<')), 200);
      },
      cancel() {
        clearInterval(drip);
      },
    });
    const request = new Request(counter.host.origin, { method: 'POST', body, duplex: 'half' } as RequestInit);
    const answer = await receivePayment(counter.ctx, 'v2', request);
    clearInterval(drip);
    expect(answer.status).toBe(500);
    expect(performance.now() - started_at).toBeLessThan(5_000);
  });

  test('a body that breaks off: answered, not thrown', async () => {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(Buffer.from('<xml>'));
        controller.error(new Error('aborted'));
      },
    });
    const request = new Request(counter.host.origin, { method: 'POST', body, duplex: 'half' } as RequestInit);
    expect((await receivePayment(counter.ctx, 'v2', request)).status).toBe(500);
  });
});
