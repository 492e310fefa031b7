/** The one door for money, on real PostgreSQL: every state against every evidence, every field, every race. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Db, openDb } from '../../lib/db.ts';
import { createGroupCommit } from '../../lib/group_commit.ts';
import { type Evidence, type Settled, settleBatch } from '../../lib/settle.ts';
import { orderStates, type SettleVerdict, tradeEvidence, tradeMoves, tradeStates } from '../../lib/states.ts';
import type { TradeReport } from '../../lib/wechat/index.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';
import { byNotification, byQuery, type MadeTrade, makeTrade, paidReport, payer } from '../setup/rows.ts';

let database: TestDatabase;
let db: Db;
const now = new Date('2026-11-23T10:00:05Z');

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDb(database.url);
});
afterAll(async () => {
  await db.$disconnect();
  await database.drop();
});

const settleOne = async (evidence: Evidence): Promise<Settled> => {
  const [settled] = await settleBatch(db, now, [evidence]);
  if (settled === undefined) throw new Error('no verdict');
  return settled;
};
const stateOf = async ({ out_trade_no, order_no }: MadeTrade) => ({
  trade: await db.trade.findUniqueOrThrow({ where: { out_trade_no } }),
  order: await db.order.findUniqueOrThrow({ where: { order_no } }),
  events: await db.event.findMany({ where: { order_no } }),
  jobs: await db.$queryRaw<unknown[]>`
    SELECT id FROM pgboss.job WHERE name = 'order_paid' AND data->>'order_no' = ${order_no}`,
});

describe('every held state against everything WeChat can say', () => {
  for (const held of tradeStates) {
    for (const said of tradeEvidence) {
      const move = tradeMoves[held][said];
      test(`${held} told ${said}: ${move}`, async () => {
        const order_state = held === 'SUCCESS' || held === 'REFUND' ? held : 'NOTPAY';
        const made = await makeTrade(db, { trade_state: held, order_state });
        const paid = said === 'SUCCESS' || said === 'REFUND';
        const report: TradeReport = paid
          ? paidReport(made, { trade_state: said })
          : { ...bare(made), trade_state: said };
        const { verdict } = await settleOne(byQuery(report));
        const expected: SettleVerdict =
          move === 'hold' ? 'not_final' : move !== 'stay' ? 'applied' : paid ? 'already' : 'not_final';
        expect(verdict).toBe(expected);
        const { trade, events, jobs } = await stateOf(made);
        expect(trade.trade_state).toBe(move === 'stay' || move === 'hold' ? held : move);
        expect(events).toHaveLength(expected === 'applied' ? 1 : 0);
        expect(jobs).toHaveLength(move === 'SUCCESS' ? 1 : 0);
      });
    }
  }
});

function bare({ out_trade_no }: MadeTrade) {
  const { appid, mch_id } = paidReport({ out_trade_no, order_no: '', total_fen: 1 });
  return { appid, mch_id, out_trade_no };
}

describe('who paid is whom the evidence names', () => {
  const scanner = 'oTestScanner00000000000000001';
  const held = async (made: MadeTrade) => (await stateOf(made)).trade.payer_openid;

  test('a code that anybody may scan: the scanner, not who began the order', async () => {
    const made = await makeTrade(db);
    const { out_trade_no } = made;
    await db.trade.update({ where: { out_trade_no }, data: { trade_type: 'NATIVE', openid: null } });
    await settleOne(byQuery({ ...bare(made), trade_state: 'USERPAYING', openid: payer }));
    expect(await held(made)).toBeNull();
    await settleOne(byNotification(paidReport(made, { trade_type: 'NATIVE', openid: scanner })));
    expect(await held(made)).toBe(scanner);
    await settleOne(byQuery(paidReport(made, { trade_type: 'NATIVE', openid: payer })));
    expect(await held(made)).toBe(scanner);
  });

  test('evidence that names nobody: nobody is known', async () => {
    const made = await makeTrade(db);
    const { out_trade_no } = made;
    await db.trade.update({ where: { out_trade_no }, data: { trade_type: 'NATIVE', openid: null } });
    const { openid: _, ...report } = paidReport(made, { trade_type: 'NATIVE' });
    expect((await settleOne(byQuery(report))).verdict).toBe('applied');
    expect(await held(made)).toBeNull();
  });

  test('under a sub-merchant’s account it is the sub_openid; a bill that cannot say it leaves who began', async () => {
    const sub = { sub_mch_id: '1900000003', sub_appid: 'wx0000000000000003' };
    const [told, billed] = [await makeTrade(db), await makeTrade(db)];
    for (const { out_trade_no } of [told, billed]) {
      await db.trade.update({ where: { out_trade_no }, data: sub });
    }
    await settleOne(byNotification(paidReport(told, { ...sub, openid: scanner, sub_openid: payer })));
    const bill = paidReport(billed, { sub_mch_id: sub.sub_mch_id, openid: scanner });
    expect((await settleOne({ source: 'bill', report: bill })).verdict).toBe('applied');
    expect([await held(told), await held(billed)]).toEqual([payer, payer]);
  });
});

describe('every field is compared with our own row', () => {
  const lies: [string, Partial<TradeReport>][] = [
    ['appid', { appid: 'wx0000000000000002' }],
    ['mch_id', { mch_id: '1900000002' }],
    ['sub_mch_id', { sub_mch_id: '1900000003' }],
    ['total_fee', { total_fen: 99, payer_total_fen: 99 }],
    ['cash_fee', { payer_total_fen: 101 }],
    ['fee_type', { fee_type: 'USD' }],
    ['trade_type', { trade_type: 'NATIVE' }],
    ['openid', { openid: 'oSomebodyElse000000000000001' }],
  ];
  test.each(lies)('a correctly signed %s of another trade changes nothing', async (field, lie) => {
    const made = await makeTrade(db);
    const settled = await settleOne(byNotification(paidReport(made, lie)));
    expect(settled).toMatchObject({ verdict: 'mismatch', differs: [field] });
    const { trade, order, events } = await stateOf(made);
    expect([trade.trade_state, order.state, events.length]).toEqual(['NOTPAY', 'NOTPAY', 0]);
  });

  const needed = ['total_fen', 'trade_type', 'success_at', 'transaction_id', 'openid'] as const;
  test.each(needed)('a payment that does not say its %s is not believed', async (field) => {
    const made = await makeTrade(db);
    const report = paidReport(made);
    delete report[field];
    expect((await settleOne(byQuery(report))).verdict).toBe('mismatch');
    expect((await stateOf(made)).trade.trade_state).toBe('NOTPAY');
  });

  test('a message verified with another algorithm than the trade was placed with is refused', async () => {
    const made = await makeTrade(db);
    const evidence: Evidence = { ...byNotification(paidReport(made)), sign_type: 'MD5' };
    expect(await settleOne(evidence)).toMatchObject({ verdict: 'mismatch', differs: ['sign_type'] });
  });

  test('one transaction_id cannot pay two trades', async () => {
    const [first, second] = [await makeTrade(db), await makeTrade(db)];
    await settleOne(byQuery(paidReport(first)));
    const stolen = paidReport(second, { transaction_id: `T${first.out_trade_no}` });
    expect(await settleOne(byQuery(stolen))).toMatchObject({ verdict: 'mismatch' });
    const together = [await makeTrade(db), await makeTrade(db)].map((made) =>
      byQuery(paidReport(made, { transaction_id: 'T-shared' })),
    );
    await expect(settleBatch(db, now, together)).rejects.toThrow();
    const oneByOne = createGroupCommit((batch: readonly Evidence[]) => settleBatch(db, now, batch));
    const verdicts = (await Promise.all(together.map(oneByOne))).map(({ verdict }) => verdict);
    expect(verdicts.sort()).toEqual(['applied', 'mismatch']);
  });

  test('coupons make cash_fee smaller than total_fee and the payment no less good', async () => {
    const made = await makeTrade(db);
    expect((await settleOne(byQuery(paidReport(made, { payer_total_fen: 90 })))).verdict).toBe('applied');
    expect((await stateOf(made)).trade.payer_total_fen).toBe(90);
  });

  test('a number that is not ours is unknown_order, archived all the same', async () => {
    const made = { out_trade_no: 'NOBODYS-NUMBER', order_no: '', total_fen: 1 };
    const evidence = byNotification(paidReport(made));
    expect((await settleOne(evidence)).verdict).toBe('unknown_order');
    const row = await db.notification.findUniqueOrThrow({ where: { id: evidence.message?.id ?? '' } });
    expect(row).toMatchObject({ verdict: 'unknown_order', out_trade_no: 'NOBODYS-NUMBER' });
  });
});

describe('money that is more than was asked for', () => {
  test('paid after the order was closed: kept, marked late, the order stays closed', async () => {
    const made = await makeTrade(db, { order_state: 'CLOSED', trade_state: 'CLOSED' });
    expect(await settleOne(byQuery(paidReport(made)))).toMatchObject({ verdict: 'applied', surplus: 'late' });
    const { trade, order, events, jobs } = await stateOf(made);
    expect(trade).toMatchObject({ trade_state: 'SUCCESS', surplus: 'late' });
    expect(order.state).toBe('CLOSED');
    expect(events.map(({ kind }) => kind)).toEqual(['paid_late']);
    expect(jobs).toHaveLength(0);
  });

  test('two trades of one order both paid: one serves the order, the other is double', async () => {
    const first = await makeTrade(db);
    const second = await makeTrade(db, { order_no: first.order_no });
    expect((await settleOne(byQuery(paidReport(first)))).surplus).toBeUndefined();
    expect((await settleOne(byQuery(paidReport(second)))).surplus).toBe('double');
    const { order, jobs } = await stateOf(first);
    expect(order.paid_trade_no).toBe(first.out_trade_no);
    expect(jobs).toHaveLength(1);
  });

  test('the same two in one batch, in either order: still one and one', async () => {
    const first = await makeTrade(db);
    const second = await makeTrade(db, { order_no: first.order_no });
    const settled = await settleBatch(db, now, [byQuery(paidReport(second)), byQuery(paidReport(first))]);
    expect(settled.map(({ verdict, surplus }) => [verdict, surplus])).toEqual([
      ['applied', undefined],
      ['applied', 'double'],
    ]);
    expect((await stateOf(first)).order.paid_trade_no).toBe(second.out_trade_no);
  });

  test('a trade closed for another one, the order still open: its money serves the order', async () => {
    const made = await makeTrade(db, { trade_state: 'CLOSED' });
    expect(await settleOne(byQuery(paidReport(made)))).toMatchObject({
      verdict: 'applied',
      surplus: undefined,
    });
    expect((await stateOf(made)).order.state).toBe('SUCCESS');
  });
});

describe('many at once', () => {
  test('closed by another process while this payment waited for the row: applied all the same', async () => {
    const made = await makeTrade(db);
    let settling: Promise<Settled> | undefined;
    await db.$transaction(async (tx) => {
      await tx.order.update({ where: { order_no: made.order_no }, data: { state: 'CLOSED' } });
      await tx.trade.update({ where: { out_trade_no: made.out_trade_no }, data: { trade_state: 'CLOSED' } });
      settling = settleOne(byNotification(paidReport(made)));
      await new Promise((resolve) => setTimeout(resolve, 100));
    });
    expect(await settling).toMatchObject({ verdict: 'applied', surplus: 'late' });
    const { trade, order } = await stateOf(made);
    expect([trade.trade_state, trade.surplus, order.state]).toEqual(['SUCCESS', 'late', 'CLOSED']);
  });

  test.each([
    ['closed, then paid', false],
    ['paid, then closed', true],
  ])('%s, in one batch: the money wins', async (_what, paid_first) => {
    const made = await makeTrade(db);
    const closed = byQuery({ ...bare(made), trade_state: 'CLOSED' });
    const paid = byQuery(paidReport(made));
    const settled = await settleBatch(db, now, paid_first ? [paid, closed] : [closed, paid]);
    const verdicts = settled.map(({ verdict }) => verdict);
    expect(verdicts).toEqual(paid_first ? ['applied', 'not_final'] : ['not_final', 'applied']);
    const { trade, order, events, jobs } = await stateOf(made);
    expect([trade.trade_state, trade.surplus, order.state]).toEqual(['SUCCESS', null, 'SUCCESS']);
    expect([events.length, jobs.length]).toEqual([1, 1]);
  });

  test('forty identical notifications: one event, one job, forty archived', async () => {
    const made = await makeTrade(db);
    const settle = createGroupCommit((batch: readonly Evidence[]) => settleBatch(db, now, batch));
    const verdicts = await Promise.all(
      Array.from({ length: 40 }, async () => (await settle(byNotification(paidReport(made)))).verdict),
    );
    expect(verdicts.filter((verdict) => verdict === 'applied')).toHaveLength(1);
    expect(verdicts.filter((verdict) => verdict === 'already')).toHaveLength(39);
    const { events, jobs } = await stateOf(made);
    expect([events.length, jobs.length]).toEqual([1, 1]);
    expect(await db.notification.count({ where: { out_trade_no: made.out_trade_no } })).toBe(40);
  });

  test('the same forty from eight processes that know nothing of each other', async () => {
    const made = await makeTrade(db);
    const settled = await Promise.all(
      Array.from({ length: 8 }, () =>
        settleBatch(
          db,
          now,
          Array.from({ length: 5 }, () => byNotification(paidReport(made))),
        ),
      ),
    );
    expect(settled.flat().filter(({ verdict }) => verdict === 'applied')).toHaveLength(1);
    const { events, jobs } = await stateOf(made);
    expect([events.length, jobs.length]).toEqual([1, 1]);
  });

  test('batches over the same orders in opposite order never deadlock', async () => {
    const made = await Promise.all(Array.from({ length: 24 }, () => makeTrade(db)));
    const forwards = made.map((one) => byQuery(paidReport(one)));
    const settled = await Promise.all([
      settleBatch(db, now, forwards),
      settleBatch(db, now, [...forwards].reverse()),
      settleBatch(db, now, forwards),
      settleBatch(db, now, [...forwards].reverse()),
    ]);
    expect(settled.flat().filter(({ verdict }) => verdict === 'applied')).toHaveLength(24);
  });

  test('one poisoned message in a batch never fails its neighbours', async () => {
    const good = await makeTrade(db);
    const bad = await makeTrade(db);
    const settle = createGroupCommit((batch: readonly Evidence[]) => settleBatch(db, now, batch));
    const poison = byQuery(paidReport(bad, { bank_type: '\u0000' }));
    const [first, second] = await Promise.allSettled([settle(poison), settle(byQuery(paidReport(good)))]);
    expect(second).toMatchObject({ status: 'fulfilled', value: { verdict: 'applied' } });
    expect(first.status).toBe('rejected');
    expect((await stateOf(bad)).trade.trade_state).toBe('NOTPAY');
  });
});

test('an order in every state takes money exactly when it is unpaid', async () => {
  for (const order_state of orderStates) {
    const made = await makeTrade(db, { order_state });
    const { surplus } = await settleOne(byQuery(paidReport(made)));
    expect(surplus).toBe(order_state === 'NOTPAY' ? undefined : order_state === 'CLOSED' ? 'late' : 'double');
  }
});
