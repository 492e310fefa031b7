/**
 * The same payment told by a notification, a query and a close that all run at once, from processes that know nothing
 * of each other. However they interleave: one event, one job, the money in the books, and no state that contradicts it.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { closeOrder, expireOrder } from '../../lib/close.ts';
import { type Context, createContext } from '../../lib/context.ts';
import { startTrade } from '../../lib/trades.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';
import { byNotification, byQuery, type MadeTrade, makeTrade, paidReport } from '../setup/rows.ts';
import { notificationsOf } from '../setup/simulator_log.ts';

let counter: Counter;
let instances: [Context, Context, Context];
let shopper: Shopper;
beforeAll(async () => {
  counter = await openCounter();
  const { config, log, now } = counter.ctx;
  instances = [counter.ctx, createContext(config, { log, now }), createContext(config, { log, now })];
  shopper = counter.shopper();
  await shopper.signIn();
});
afterAll(async () => {
  await Promise.all(instances.slice(1).map((ctx) => ctx.close()));
  await counter.close();
});

/** A small generator of the same numbers each run, so that a round that fails can be had again. */
function drawFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** What must hold of a paid trade and its order, however it came about; returns how the money was booked. */
async function expectBooked({ order_no, out_trade_no }: MadeTrade, round: string): Promise<string> {
  const { db } = counter.ctx;
  const order = await db.order.findUniqueOrThrow({ where: { order_no } });
  const trade = await db.trade.findUniqueOrThrow({ where: { out_trade_no } });
  const kinds = (await db.event.findMany({ where: { order_no } })).map(({ kind }) => kind);
  const jobs = await db.$queryRaw<{ name: string }[]>`
    SELECT name FROM pgboss.job WHERE singleton_key IN (${order_no}, ${out_trade_no})
      AND name IN ('order_paid', 'surplus_refund')`;
  expect(trade.trade_state, round).toBe('SUCCESS');
  expect(
    kinds.filter((kind) => kind.startsWith('paid')),
    round,
  ).toHaveLength(1);
  expect(jobs, round).toHaveLength(1);
  if (trade.surplus === null) {
    expect([order.state, order.paid_trade_no, jobs[0]?.name], round).toEqual([
      'SUCCESS',
      out_trade_no,
      'order_paid',
    ]);
    return 'paid';
  }
  expect([order.state, order.paid_trade_no, trade.surplus, jobs[0]?.name], round).toEqual([
    'CLOSED',
    null,
    'late',
    'surplus_refund',
  ]);
  return 'late';
}

describe('in the books alone', () => {
  test('200 rounds of notification × 3, query × 2 and close, in 200 orders', async () => {
    const draw = drawFrom(20_261_123);
    const booked: string[] = [];
    const round = async (n: number): Promise<void> => {
      const made = await makeTrade(counter.ctx.db);
      const { appid, mch_id } = paidReport(made);
      const closing = async (ctx: Context): Promise<void> => {
        await ctx.settle(byQuery({ appid, mch_id, out_trade_no: made.out_trade_no, trade_state: 'CLOSED' }));
        await closeOrder(ctx, made.order_no, 'worker');
      };
      const [a, b, c] = instances;
      const acts: (() => Promise<unknown>)[] = [
        () => a.settle(byNotification(paidReport(made))),
        () => b.settle(byNotification(paidReport(made))),
        () => c.settle(byNotification(paidReport(made))),
        () => b.settle(byQuery(paidReport(made))),
        () => c.settle(byQuery(paidReport(made))),
        () => closing([a, b, c][n % 3] ?? a),
      ];
      // In every eighth round the close gets a start, so that both ends are reached on any machine.
      const start_ms = n % 8 === 0 ? 100 : 0;
      await Promise.all(
        acts.map(async (act, index) => {
          await pause(draw(6) + (index < 5 ? start_ms : 0));
          await act();
        }),
      );
      booked.push(await expectBooked(made, `round ${n}`));
    };
    for (let n = 0; n < 200; n += 8) await Promise.all(Array.from({ length: 8 }, (_, i) => round(n + i)));
    expect(booked).toHaveLength(200);
    expect(new Set(booked), 'the rounds must reach both ends').toEqual(new Set(['paid', 'late']));
  });

  test('60 rounds of two trades of one order paid at once while a third is closed', async () => {
    const draw = drawFrom(7);
    const { db } = counter.ctx;
    const round = async (n: number): Promise<void> => {
      const first = await makeTrade(db);
      const second = await makeTrade(db, { order_no: first.order_no });
      const third = await makeTrade(db, { order_no: first.order_no });
      const { appid, mch_id } = paidReport(first);
      const [a, b, c] = instances;
      const acts: (() => Promise<unknown>)[] = [
        () => a.settle(byNotification(paidReport(first))),
        () => b.settle(byQuery(paidReport(first))),
        () => b.settle(byNotification(paidReport(second))),
        () => c.settle(byQuery(paidReport(second))),
        () => c.settle(byQuery({ appid, mch_id, out_trade_no: third.out_trade_no, trade_state: 'CLOSED' })),
        () => closeOrder(a, first.order_no, 'worker'),
      ];
      await Promise.all(
        acts.map(async (act) => {
          await pause(draw(4));
          await act();
        }),
      );
      const order = await db.order.findUniqueOrThrow({
        where: { order_no: first.order_no },
        include: { trades: true },
      });
      const paid = order.trades.filter(({ trade_state }) => trade_state === 'SUCCESS');
      expect(order.state, `round ${n}`).toBe('SUCCESS');
      expect(paid.map(({ surplus }) => surplus).sort(), `round ${n}`).toEqual(['double', null]);
      expect(order.paid_trade_no).toBe(paid.find(({ surplus }) => surplus === null)?.out_trade_no);
      const kinds = (await db.event.findMany({ where: { order_no: order.order_no } })).map(
        ({ kind }) => kind,
      );
      expect(kinds.sort(), `round ${n}`).toEqual(['paid', 'paid_twice', 'trade_closed']);
    };
    for (let n = 0; n < 60; n += 6) await Promise.all(Array.from({ length: 6 }, (_, i) => round(n + i)));
  });
});

describe('against WeChat itself', () => {
  test('40 orders end while their payer pays: polls, asks, taps, expiry and doubled notifications together', async () => {
    const draw = drawFrom(99);
    await counter.control('faults', { notify_copies: { copies: 3 } }, 'PUT');
    const session = await counter.ctx.db.session.findFirstOrThrow({
      where: { openid: shopper.openid },
      orderBy: { created_at: 'desc' },
    });
    const who = { id: session.id, kind: 'shopper' as const, openid: session.openid, admin_id: null };
    let taken = 0;

    const round = async (): Promise<void> => {
      const { order_no } = await shopper.order();
      const { out_trade_no } = await shopper.pay(order_no);
      await counter.ctx.db.trade.update({ where: { out_trade_no }, data: { expires_at: counter.ctx.now() } });
      await counter.ctx.db.order.update({ where: { order_no }, data: { expires_at: counter.ctx.now() } });
      const [a, b, c] = instances;
      const acts: (() => Promise<unknown>)[] = [
        // Either the payer or the close is first; WeChat decides.
        () =>
          counter.control('pay', { out_trade_no }).then(
            () => {
              taken += 1;
            },
            (refused: Error) => expect(refused.message).toMatch(/ORDERCLOSED/),
          ),
        () => expireOrder(a, order_no),
        () => expireOrder(b, order_no),
        () => shopper.status(order_no),
        () => shopper.status(order_no, '?poll=1'),
        () =>
          startTrade(c, { session: who, payer_client_ip: '127.0.0.1' }, order_no, 'JSAPI').catch(
            () => undefined,
          ),
      ];
      await Promise.all(
        acts.map(async (act) => {
          await pause(draw(40));
          await act();
        }),
      );
      for (let turn = 0; turn < 3; turn += 1) await expireOrder(c, order_no);
      await expect
        .poll(async () =>
          (await notificationsOf(counter, out_trade_no)).every(({ state }) => state === 'delivered'),
        )
        .toBe(true);
      const [trade, ...more] = await counter.ctx.db.trade.findMany({ where: { order_no } });
      expect(more).toHaveLength(0);
      const ledger = await counter.control<{ paid_fen: number }>(`ledger?out_trade_no=${out_trade_no}`);
      if (ledger.paid_fen > 0) await expectBooked({ order_no, out_trade_no, total_fen: 1 }, order_no);
      else {
        const order = await counter.ctx.db.order.findUniqueOrThrow({ where: { order_no } });
        expect([trade?.trade_state, order.state, order.paid_trade_no]).toEqual(['CLOSED', 'CLOSED', null]);
      }
    };
    for (let n = 0; n < 40; n += 4) await Promise.all(Array.from({ length: 4 }, round));
    expect(taken).toBeGreaterThan(3);

    const { paid_fen } = await counter.control<{ paid_fen: number }>('ledger');
    const { _sum } = await counter.ctx.db.trade.aggregate({
      where: { trade_state: 'SUCCESS', order: { openid: shopper.openid } },
      _sum: { total_fen: true },
    });
    expect(_sum.total_fen).toBe(paid_fen);
  });
});
