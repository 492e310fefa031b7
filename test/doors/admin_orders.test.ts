/** The operator's list: Beijing days, numbers found whole or by their beginning, pages without gap or double. */
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listAddress, usualRanges } from '../../app/admin/(console)/orders/address.ts';
import { wayInWords } from '../../app/admin/way_words.ts';
import {
  type ListedOrder,
  listOrders,
  type OrderFilter,
  orderFilter,
  readOrder,
} from '../../lib/admin_orders.ts';
import { orderView } from '../../lib/admin_views.ts';
import { readConfig } from '../../lib/config.ts';
import { type Context, createContext } from '../../lib/context.ts';
import { type Db, openDb } from '../../lib/db.ts';
import { orderLabel, orderStates, tradeLabel } from '../../lib/states.ts';
import { createTestDatabase } from '../setup/database.ts';
import { account, makeRefund, makeTrade, payer } from '../setup/rows.ts';

let db: Db;
let ctx: Context;

/** Each group of tests has its own empty database. */
async function freshContext(): Promise<void> {
  const { url } = await createTestDatabase();
  db = openDb(url);
  const config = readConfig({
    DATABASE_URL: url,
    PUBLIC_URL: 'https://shop.example.com',
    SESSION_PASSWORD: 'a password that only this test knows, 0123456789',
    SHOP_NAME: '柜台小店',
    WECHAT_APPID: 'wx5c1e0d7a9b3f2468',
    WECHAT_APP_SECRET: '3b7e9d1f5a2c8e4b6d0f1a3c5e7b9d2f',
    WECHAT_MCH_ID: account.mch_id,
    WECHAT_API_V2_KEY: '7d1f3b5e9a2c4e6d8b0f2a4c6e8d1b3f',
  });
  ctx = createContext(config, { db, log: pino({ level: 'silent' }) });
}

const list = (query: Record<string, unknown>) => listOrders(ctx, orderFilter.parse(query));
const numbersOf = (orders: readonly ListedOrder[]) => orders.map(({ order_no }) => order_no);
const foundBy = async (query: Record<string, unknown>) => numbersOf((await list(query)).orders);

/** Every page from the first to the last, with something done between two pages. */
async function walk(query: Record<string, unknown>, between: () => Promise<unknown> = async () => undefined) {
  const seen: string[] = [];
  let after: string | undefined;
  do {
    const page = await list({ ...query, after });
    seen.push(...numbersOf(page.orders));
    after = page.next;
    if (after !== undefined) await between();
  } while (after !== undefined);
  return seen;
}

describe('days', () => {
  beforeAll(freshContext);
  afterAll(() => db.$disconnect());

  test('a day is a Beijing day: its first and its last millisecond, not the ones beside them', async () => {
    const made: Record<string, string> = {};
    for (const at of [
      '2026-11-22T15:59:59.999Z',
      '2026-11-22T16:00:00.000Z',
      '2026-11-23T15:59:59.999Z',
      '2026-11-23T16:00:00.000Z',
    ]) {
      made[at] = (await makeTrade(db, { now: new Date(at) })).order_no;
    }
    expect(await foundBy({ from: '2026-11-23', to: '2026-11-23' })).toEqual([
      made['2026-11-23T15:59:59.999Z'],
      made['2026-11-22T16:00:00.000Z'],
    ]);
    expect(await foundBy({ from: '2026-11-24' })).toEqual([made['2026-11-23T16:00:00.000Z']]);
    expect(await foundBy({ to: '2026-11-22' })).toEqual([made['2026-11-22T15:59:59.999Z']]);
    expect(await foundBy({ from: '2026-11-25', to: '2026-11-20' })).toEqual([]);
  });

  test('the usual ranges are those of Beijing’s calendar, at its midnight and at the end of a month', () => {
    const at = (now: string) =>
      Object.fromEntries(usualRanges(new Date(now)).map(({ title, from, to }) => [title, `${from}..${to}`]));
    expect(at('2026-11-30T15:59:59Z')).toMatchObject({
      今天: '2026-11-30..2026-11-30',
      本月: '2026-11-01..2026-11-30',
    });
    expect(at('2026-11-30T16:00:00Z')).toEqual({
      今天: '2026-12-01..2026-12-01',
      昨天: '2026-11-30..2026-11-30',
      近7天: '2026-11-25..2026-12-01',
      近30天: '2026-11-02..2026-12-01',
      本月: '2026-12-01..2026-12-01',
    });
  });
});

describe('search', () => {
  beforeAll(freshContext);
  afterAll(() => db.$disconnect());

  test('any number finds its order, whole or by its beginning; an openid only whole', async () => {
    const paid = await makeTrade(db, { order_state: 'SUCCESS', trade_state: 'SUCCESS' });
    await makeTrade(db, { now: new Date('2026-01-05T00:00:00Z') });
    const transaction_id = `T${paid.out_trade_no}`;
    for (const number of [paid.order_no, paid.out_trade_no, transaction_id]) {
      expect(await foundBy({ q: number })).toEqual([paid.order_no]);
      expect(await foundBy({ q: number.slice(0, 20) })).toEqual([paid.order_no]);
      expect(await foundBy({ q: ` ${number} ` })).toEqual([paid.order_no]);
      expect(await foundBy({ q: `${number}0` })).toEqual([]);
    }
    expect(await foundBy({ q: payer })).toHaveLength(2);
    expect(await foundBy({ q: payer.slice(0, 10) })).toEqual([]);
  });

  test('an order is found by the number of a trade of it that did not pay', async () => {
    const first = await makeTrade(db, { order_state: 'SUCCESS', trade_state: 'SUCCESS' });
    const second = await makeTrade(db, { order_no: first.order_no, now: new Date('2025-05-05T00:00:00Z') });
    expect(await foundBy({ q: second.out_trade_no })).toEqual([first.order_no]);
  });

  test.each(['%', '____', "x' OR true --", '\\\\\\\\', '20261123%', 'ab'])(
    '%j is a text, not a pattern',
    async (q) => {
      const { q: understood } = orderFilter.parse({ q });
      if (understood !== undefined) expect(await foundBy({ q })).toEqual([]);
    },
  );

  test('what an address makes up is no filter, and no fault', () => {
    const none: OrderFilter = orderFilter.parse({});
    expect(none).toEqual({ size: 20 });
    expect(
      orderFilter.parse({
        q: ['a', 'b'],
        state: 'PAID',
        surplus: 'no',
        from: '2026-02-30',
        to: 'today',
        after: '1_2',
        size: '1000',
        other: 'x',
      }),
    ).toEqual({ size: 20 });
  });
});

describe('states, totals and the address', () => {
  beforeAll(freshContext);
  afterAll(() => db.$disconnect());

  test('each state shows its orders, and the totals are those of the filter', async () => {
    for (const [index, state] of orderStates.entries()) {
      const paid = state === 'SUCCESS' || state === 'REFUND';
      for (let nth = 0; nth <= index; nth += 1) {
        await makeTrade(db, {
          order_state: state,
          trade_state: paid ? 'SUCCESS' : 'CLOSED',
          total_fen: 100 + nth,
        });
      }
    }
    const late = await makeTrade(db, { order_state: 'CLOSED', trade_state: 'SUCCESS', total_fen: 777 });
    await db.trade.update({ where: { out_trade_no: late.out_trade_no }, data: { surplus: 'late' } });

    for (const [index, state] of orderStates.entries()) {
      const page = await list({ state });
      expect(new Set(page.orders.map((order) => order.state))).toEqual(new Set([state]));
      expect(page.count).toBe(index + 1 + (state === 'CLOSED' ? 1 : 0));
    }
    const all = await list({});
    const [{ paid = 0n, surplus = 0n } = {}] = await db.$queryRaw<{ paid: bigint; surplus: bigint }[]>`
      SELECT (SELECT sum(total_fen) FROM "order" WHERE state IN ('SUCCESS', 'REFUND')) AS paid,
             (SELECT sum(total_fen) FROM trade WHERE surplus IS NOT NULL) AS surplus`;
    expect(all.paid_fen).toBe(Number(paid));
    expect(all.surplus_fen).toBe(Number(surplus));
    expect(all.surplus_fen).toBe(777);
    expect(await foundBy({ surplus: 'yes' })).toEqual([late.order_no]);
    expect((await list({ surplus: 'yes' })).orders[0]?.surplus_fen).toBe(777);
  });

  test('an address says a filter and nothing else, and is understood again', () => {
    const filter = orderFilter.parse({
      q: '2026',
      state: 'SUCCESS',
      surplus: 'yes',
      from: '2026-11-01',
      size: '50',
    });
    const address = listAddress(filter);
    expect(address).toBe('/admin/orders?q=2026&state=SUCCESS&surplus=yes&from=2026-11-01&size=50');
    expect(orderFilter.parse(Object.fromEntries(new URL(address, 'http://x').searchParams))).toEqual(filter);
    expect(listAddress(orderFilter.parse({}))).toBe('/admin/orders');
  });

  test('another filter begins at the first page', () => {
    const deep = orderFilter.parse({ after: '1764000000000_20261123183007ABCDEFGHJKMNPQRS' });
    expect(deep.after).toBeDefined();
    expect(listAddress(deep, { state: 'CLOSED' })).toBe('/admin/orders?state=CLOSED');
  });
});

test.each([
  ['JSAPI', 'wxofficial', '公众号支付'],
  ['JSAPI', 'wxmini', '小程序'],
  ['NATIVE', 'wxmini', '扫码'],
  ['MWEB', 'wxofficial', '手机网页'],
  ['MICROPAY', 'wxofficial', '付款码'],
  ['SOMETHING_NEW', 'wxofficial', 'SOMETHING_NEW'],
  ['constructor', 'wxofficial', 'constructor'],
])('%s under %s is called %s', (trade_type, appid, word) => {
  expect(wayInWords(trade_type, appid, 'wxmini').word).toBe(word);
  expect(wayInWords('JSAPI', null, undefined).word).toBe('公众号支付');
});

describe('a refund of a part', () => {
  beforeAll(freshContext);
  afterAll(() => db.$disconnect());

  const refunded = { order_state: 'REFUND', trade_state: 'REFUND', total_fen: 25_600 } as const;
  const shown = async (q: string) => {
    const row = (await list({ q })).orders[0];
    const read = await readOrder(ctx, q);
    if (row === undefined || read === undefined) throw new Error('no such order');
    const { refunded_fen, state, money, trades } = orderView(read);
    return {
      in_list: [row.refunded_fen, orderLabel(row.state, row.total_fen, row.refunded_fen).zh],
      on_page: [refunded_fen, orderLabel(state, money.total_fen, refunded_fen).zh],
      trades: trades.map((trade) =>
        tradeLabel(trade.trade_state, trade.total_fen, trade.refundable.refunded_fen),
      ),
    };
  };

  test('is called one, with its sum, until the rest has gone back too', async () => {
    const made = await makeTrade(db, refunded);
    await makeRefund(db, made, 10_000);
    await makeRefund(db, made, 15_600, 'PROCESSING');
    expect(await shown(made.order_no)).toEqual({
      in_list: [10_000, '部分退款'],
      on_page: [10_000, '部分退款'],
      trades: [{ zh: '部分退款', en: 'Partly refunded' }],
    });
    await db.refund.updateMany({ where: { order_no: made.order_no }, data: { state: 'SUCCESS' } });
    expect(await shown(made.order_no)).toEqual({
      in_list: [25_600, '已退款'],
      on_page: [25_600, '已退款'],
      trades: [{ zh: '已退款', en: 'Refunded' }],
    });
  });

  test('of a surplus that went back nothing counts as given back of the order', async () => {
    const made = await makeTrade(db, { ...refunded, order_state: 'SUCCESS', trade_state: 'SUCCESS' });
    const surplus = await makeTrade(db, { ...refunded, order_no: made.order_no });
    await makeRefund(db, surplus, 25_600);
    expect(await shown(made.order_no)).toMatchObject({ in_list: [0, '已支付'], on_page: [0, '已支付'] });
  });
});

describe('pages', () => {
  beforeAll(freshContext);
  afterAll(() => db.$disconnect());

  test('every order once, newest first, even when many share one millisecond', async () => {
    const made: string[] = [];
    for (let nth = 0; nth < 65; nth += 1) {
      const now = new Date(Date.UTC(2026, 10, 20) + Math.floor(nth / 30));
      made.push((await makeTrade(db, { now })).order_no);
    }
    const seen = await walk({});
    expect(seen).toHaveLength(65);
    expect(new Set(seen)).toEqual(new Set(made));
    const rows = await db.order.findMany({ select: { order_no: true, created_at: true } });
    const time = new Map(rows.map(({ order_no, created_at }) => [order_no, created_at.getTime()]));
    const times = seen.map((order_no) => time.get(order_no) ?? 0);
    expect(times).toEqual([...times].sort((a, b) => b - a));
    expect((await list({})).count).toBe(65);
  });

  test('orders that arrive between two pages neither push one out nor show one twice', async () => {
    const before = await walk({});
    const seen = await walk({}, () =>
      Promise.all([makeTrade(db), makeTrade(db), makeTrade(db, { now: new Date() })]),
    );
    expect(seen).toEqual(before);
    expect((await list({})).count).toBeGreaterThan(before.length);
  });

  test('the last full page has no next', async () => {
    const { count } = await list({ from: '2026-11-20', to: '2026-11-20' });
    expect(count).toBe(65);
    const page = await list({ from: '2026-11-20', to: '2026-11-20', size: '100' });
    expect(page.orders).toHaveLength(65);
    expect(page.next).toBeUndefined();
  });
});
