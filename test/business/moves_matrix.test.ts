/**
 * Every move of an order from one way of paying to another, in every home a deployment can have: the earlier trade is
 * asked about and closed before the next has a number, and who pays by both gets one of the two payments back, unasked.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { products } from '../../lib/config_ways.ts';
import { tradeTypeOf, type Way, ways } from '../../lib/ways.ts';
import { openCounter } from '../setup/counter.ts';
import { type Begun, type OnlineDesk, onlineWays } from '../setup/online_ways.ts';
import { passTime, refundRows, simulatedLedger, simulatedRefunds } from '../setup/paid_orders.ts';
import { type PartnerHome, partnerSettings, sellersOf } from '../setup/partner_home.ts';
import { callsOf } from '../setup/simulator_log.ts';

const price_fen = 990;

type Home = PartnerHome | 'merchant';
const homes = (['v2', 'v3'] as const).flatMap((api_version) =>
  (['merchant', 'provider', 'sub-merchant'] as const satisfies Home[]).map((home) => ({ api_version, home })),
);

interface Move {
  from: Way;
  to: Way;
  /** Whose order it is: begun by people of that way. */
  owner: Way;
}

/** The same person has another openid in the mini-program, and an order that has its buyer is that buyer's. */
const strangers = (from: Way, to: Way): boolean =>
  [from, to].includes('JSAPI') && [from, to].includes('MINIPROGRAM');
const pairs = ways.flatMap((from) => ways.filter((to) => to !== from).map((to) => ({ from, to })));
/** An APP pays its own server's orders and no others, so whatever moves to an APP began there. */
const moves: Move[] = pairs
  .filter(({ from, to }) => !strangers(from, to))
  .map(({ from, to }) => ({ from, to, owner: to === 'APP' ? 'APP' : from }));

describe.each(homes)('$api_version, $home', ({ api_version, home }) => {
  let desk: OnlineDesk;
  const seller = home === 'merchant' ? null : sellersOf[home][0];

  beforeAll(async () => {
    const opened = { WECHAT_PRODUCTS: products.join(',') };
    const counter = await openCounter({ api_version, environment: opened });
    if (home !== 'merchant') {
      await counter.restart({ ...opened, ...partnerSettings(counter.simulator_config, home) });
    }
    const shopper = counter.shopper();
    await shopper.signIn();
    desk = { counter, shopper };
  });
  afterEach(async () => {
    await desk.counter.control('faults', undefined, 'DELETE');
    await desk.counter.ctx.db.$executeRaw`DELETE FROM pgboss.job`;
  });
  afterAll(() => desk.counter.close());

  const arm = (faults: Record<string, unknown>) => desk.counter.control('faults', faults, 'PUT');
  const ordered = (owner: Way) => onlineWays[owner].order(desk);
  async function began(way: Way, order_no: string): Promise<Begun & { out_trade_no: string }> {
    const begun = await onlineWays[way].begin(desk, order_no);
    expect([begun.status, begun.body.error]).toEqual([200, undefined]);
    return { ...begun, out_trade_no: begun.body.out_trade_no ?? '' };
  }
  const tradesOf = (order_no: string) =>
    desk.counter.ctx.db.trade.findMany({ where: { order_no }, orderBy: { created_at: 'asc' } });
  const statesOf = async (order_no: string) =>
    (await tradesOf(order_no)).map(({ trade_type, trade_state }) => `${trade_type} ${trade_state}`);
  const platformStateOf = async (out_trade_no: string) =>
    (await desk.counter.control(`orders/${out_trade_no}`)).trade_state;

  /** WeChat's doors, by version. */
  function doorsOf(doors: { path: string }[], out_trade_no: string): string[] {
    const called = doors.map(({ path }) => path.slice(path.lastIndexOf('/') + 1));
    return api_version === 'v2'
      ? called
      : called.map((door) => ({ [out_trade_no]: 'orderquery', close: 'closeorder' })[door] ?? door);
  }

  /** Both books of one order: what served it, what went back, and that it was told of as paid once. */
  async function expectServedOnce(order_no: string, kept: string): Promise<void> {
    const { ctx } = desk.counter;
    expect(await ctx.db.order.findUniqueOrThrow({ where: { order_no } })).toMatchObject({
      state: 'SUCCESS',
      paid_trade_no: kept,
    });
    expect(await ctx.db.event.count({ where: { order_no, kind: 'paid' } })).toBe(1);
    const trade = await ctx.db.trade.findUniqueOrThrow({ where: { out_trade_no: kept } });
    expect(trade).toMatchObject({ trade_state: 'SUCCESS', surplus: null, api_version, sub_mch_id: seller });
    expect(await refundRows(desk.counter, kept)).toEqual([]);
    expect(await simulatedLedger(desk.counter, kept)).toMatchObject({
      paid_fen: price_fen,
      refunded_fen: 0,
      entries: [{ mch_id: trade.mch_id, ...(seller === null ? {} : { sub_mch_id: seller }) }],
    });
  }

  /** One of two payments goes back by itself, whole, once, from whom it was paid to. */
  async function expectGivenBack(order_no: string, out_trade_no: string): Promise<void> {
    const { counter } = desk;
    expect(await counter.ctx.db.trade.findUniqueOrThrow({ where: { out_trade_no } })).toMatchObject({
      trade_state: 'SUCCESS',
      surplus: 'double',
      sub_mch_id: seller,
    });
    expect(await counter.ctx.db.event.count({ where: { order_no, kind: 'paid_twice' } })).toBe(1);
    expect(await counter.work('surplus_refund')).toBe(1);
    expect(await counter.work('refund_follow')).toBe(1);
    await passTime(counter, 6);
    expect(await refundRows(counter, out_trade_no)).toMatchObject([
      { origin: 'surplus', state: 'SUCCESS', refund_fen: price_fen, total_fen: price_fen, order_no },
    ]);
    expect(await simulatedRefunds(counter, out_trade_no)).toHaveLength(1);
    const whose = seller === null ? {} : { sub_mch_id: seller };
    expect(await simulatedLedger(counter, out_trade_no)).toMatchObject({
      paid_fen: price_fen,
      refunded_fen: price_fen,
      entries: [
        { kind: 'payment', ...whose },
        { kind: 'refund', ...whose },
      ],
    });
    const { trade_state } = await counter.ctx.db.trade.findUniqueOrThrow({ where: { out_trade_no } });
    expect(trade_state).toBe('REFUND');
  }

  /** The payer was at the password panel when the earlier trade was closed; nobody tells of it for a minute. */
  const paidUnderTheClose = {
    close_then_paid: { times: 1 },
    query_stale: { times: 1 },
    notify_late: { times: 1 },
  };

  describe.each(moves)('$from to $to', ({ from, to, owner }) => {
    test('the earlier trade is asked about and closed, then the new one is placed and pays', async () => {
      const order_no = await ordered(owner);
      const first = await began(from, order_no);
      const second = await began(to, order_no);
      expect(second.out_trade_no).not.toBe(first.out_trade_no);
      const left = [`${tradeTypeOf(from)} CLOSED`, `${tradeTypeOf(to)} NOTPAY`];
      expect(await statesOf(order_no)).toEqual(left);
      expect(await platformStateOf(first.out_trade_no)).toBe('CLOSED');
      const doors = doorsOf(await callsOf(desk.counter, first.out_trade_no), first.out_trade_no);
      expect(doors.slice(1)).toEqual(['orderquery', 'closeorder', 'orderquery']);
      // What was handed out for the earlier one opens nothing any more.
      await expect(onlineWays[from].tap(desk, first, 'pay')).rejects.toThrow(/关闭|closed/);

      await onlineWays[to].tap(desk, second, 'pay');
      await passTime(desk.counter, 0);
      await expectServedOnce(order_no, second.out_trade_no);
      expect(await simulatedLedger(desk.counter, first.out_trade_no)).toMatchObject({ entries: [] });
      expect(await platformStateOf(first.out_trade_no)).toBe('CLOSED');
    });

    test('the earlier one paid just before the close: order_paid, no second number', async () => {
      const order_no = await ordered(owner);
      const first = await began(from, order_no);
      await arm({ close_order_paid: { times: 1 }, notify_late: { times: 1 } });
      const refused = await onlineWays[to].begin(desk, order_no);
      expect([refused.status, refused.body.error?.code]).toEqual([409, 'order_paid']);
      await passTime(desk.counter, 61);
      expect(await statesOf(order_no)).toEqual([`${tradeTypeOf(from)} SUCCESS`]);
      await expectServedOnce(order_no, first.out_trade_no);
      const told = { out_trade_no: first.out_trade_no, verdict: 'already' };
      expect(await desk.counter.ctx.db.notification.count({ where: told })).toBe(1);
    });

    test('both paid, the earlier one after the new one: the earlier one goes back', async () => {
      const order_no = await ordered(owner);
      const first = await began(from, order_no);
      const second = await began(to, order_no);
      await onlineWays[to].tap(desk, second, 'pay');
      await passTime(desk.counter, 0);
      await desk.counter.control('pay', { out_trade_no: first.out_trade_no, late: true });
      await passTime(desk.counter, 0);
      await expectServedOnce(order_no, second.out_trade_no);
      await expectGivenBack(order_no, first.out_trade_no);
    });

    test('both paid, the earlier one under its close and told of last: it goes back', async () => {
      const order_no = await ordered(owner);
      const first = await began(from, order_no);
      await arm(paidUnderTheClose);
      const second = await began(to, order_no);
      expect(await statesOf(order_no)).toEqual([`${tradeTypeOf(from)} CLOSED`, `${tradeTypeOf(to)} NOTPAY`]);
      expect(await platformStateOf(first.out_trade_no)).toBe('SUCCESS');
      await onlineWays[to].tap(desk, second, 'pay');
      await passTime(desk.counter, 0);
      await passTime(desk.counter, 61);
      await expectServedOnce(order_no, second.out_trade_no);
      await expectGivenBack(order_no, first.out_trade_no);
    });

    test('both paid, the earlier one under its close and told of first: the new one goes back', async () => {
      const order_no = await ordered(owner);
      const first = await began(from, order_no);
      await arm(paidUnderTheClose);
      const second = await began(to, order_no);
      await passTime(desk.counter, 61);
      await onlineWays[to].tap(desk, second, 'pay');
      await passTime(desk.counter, 0);
      await expectServedOnce(order_no, first.out_trade_no);
      await expectGivenBack(order_no, second.out_trade_no);
    });
  });

  test.each(pairs.filter(({ from, to }) => strangers(from, to)))(
    '$from to $to: another account’s order, and the first trade stays payable',
    async ({ from, to }) => {
      const order_no = await ordered(from);
      const first = await began(from, order_no);
      const refused = await onlineWays[to].begin(desk, order_no);
      expect([refused.status, refused.body.error?.code]).toEqual([403, 'other_payer']);
      await onlineWays[from].tap(desk, first, 'pay');
      await passTime(desk.counter, 0);
      await expectServedOnce(order_no, first.out_trade_no);
    },
  );

  test('an order of a browser is not found by an APP’s server', async () => {
    const order_no = await ordered('NATIVE');
    expect((await onlineWays.APP.begin(desk, order_no)).status).toBe(404);
  });

  test('through all of them, one open number at a time, and the last one pays', async () => {
    const order_no = await ordered('APP');
    const path: Way[] = ['APP', 'NATIVE', 'MWEB', 'JSAPI', 'NATIVE', 'APP', 'JSAPI'];
    const begun = [];
    for (const way of path) begun.push(await began(way, order_no));
    expect(new Set(begun.map(({ out_trade_no }) => out_trade_no)).size).toBe(path.length);
    expect(await statesOf(order_no)).toEqual(
      path.map((way, nth) => `${tradeTypeOf(way)} ${nth === path.length - 1 ? 'NOTPAY' : 'CLOSED'}`),
    );
    const last = begun.at(-1);
    if (last === undefined) throw new Error('nothing was begun');
    await onlineWays.JSAPI.tap(desk, last, 'pay');
    await passTime(desk.counter, 0);
    await expectServedOnce(order_no, last.out_trade_no);
  });

  test('all orders together: the simulator’s ledger and our rows agree to the fen', async () => {
    const { db } = desk.counter.ctx;
    const paid = await db.trade.aggregate({
      where: { trade_state: { in: ['SUCCESS', 'REFUND'] } },
      _sum: { total_fen: true },
      _count: true,
    });
    const back = await db.refund.aggregate({ where: { state: 'SUCCESS' }, _sum: { refund_fen: true } });
    // Of each move five orders are paid, three of them twice.
    expect(paid._count).toBe(8 * moves.length + 3);
    expect(await simulatedLedger(desk.counter)).toMatchObject({
      paid_fen: paid._sum.total_fen,
      refunded_fen: back._sum.refund_fen,
    });
    expect(back._sum.refund_fen).toBe(3 * moves.length * price_fen);
    const { orders } = await desk.counter.control<{ orders: { trade_state: string }[] }>('orders');
    expect(orders.filter(({ trade_state }) => trade_state === 'NOTPAY')).toEqual([]);
  });
});
