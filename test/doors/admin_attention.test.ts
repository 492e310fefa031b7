/**
 * What an operator is called for, and what is left out: each kind appears when it needs a person and is gone when it
 * has been put right; the header's number is the length of the lists. Beside it the lists of refunds and actions.
 */
import { globSync } from 'node:fs';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { noteAccountFault, noteAccountWorks } from '../../lib/account_faults.ts';
import { countAttention, readAttention } from '../../lib/admin_attention.ts';
import { addAudit, auditFilter, auditPageSize, listAudit } from '../../lib/admin_audit.ts';
import { auditInWords, targetAddress } from '../../lib/admin_audit_words.ts';
import { listOrders, orderFilter } from '../../lib/admin_orders.ts';
import { listRefunds, refundFilter, refundPageSize } from '../../lib/admin_refunds.ts';
import { readConfig } from '../../lib/config.ts';
import { type Context, createContext } from '../../lib/context.ts';
import { newNumber } from '../../lib/numbers.ts';
import { type HeldRefundState, refundStates } from '../../lib/states.ts';
import { OfficialAccountError } from '../../lib/wechat/index.ts';
import { createTestDatabase } from '../setup/database.ts';
import { account, type MadeTrade, makeTrade } from '../setup/rows.ts';

let ctx: Context;
const now = new Date('2026-11-24T04:00:00Z');
const ago = (minutes: number) => new Date(now.getTime() - minutes * 60_000);
const day = 24 * 60;

beforeAll(async () => {
  const { url } = await createTestDatabase();
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
  ctx = createContext(config, { log: pino({ level: 'silent' }), now: () => now });
});
afterAll(() => ctx.close());
beforeEach(async () => {
  await ctx.db.refund.deleteMany();
  await ctx.db.trade.deleteMany();
  await ctx.db.order.deleteMany();
  await ctx.db.notification.deleteMany();
  await ctx.db.difference.deleteMany();
  await ctx.db.statement_day.deleteMany();
});

const paid = (total_fen = 1_000) =>
  makeTrade(ctx.db, { order_state: 'SUCCESS', trade_state: 'SUCCESS', total_fen, now: ago(60) });

async function refund(
  trade: MadeTrade,
  state: HeldRefundState,
  created_at = ago(30),
  more: { refund_fen?: number; origin?: string; refund_id?: string; out_refund_no?: string } = {},
): Promise<string> {
  const out_refund_no = newNumber(created_at);
  const made = await ctx.db.refund.create({
    data: {
      ...trade,
      out_refund_no,
      command_key: out_refund_no,
      origin: 'operator',
      state,
      refund_fen: 100,
      reason: '退货',
      created_at,
      ...more,
    },
  });
  return made.out_refund_no;
}

/** The lists by their names with how much each holds; the header's number must be their sum. */
async function waiting(): Promise<Record<string, number>> {
  const lists = Object.entries(await readAttention(ctx)).map(([name, rows]) => [name, rows.length] as const);
  expect(await countAttention(ctx)).toBe(lists.reduce((sum, [, length]) => sum + length, 0));
  return Object.fromEntries(lists.filter(([, length]) => length > 0));
}

describe('an operator is called for', () => {
  test('nothing, when all is well', async () => {
    const trade = await paid();
    await refund(trade, 'SUCCESS');
    await refund(trade, 'PROCESSING', ago(600));
    await makeTrade(ctx.db, { now });
    expect(await waiting()).toEqual({});
  });

  test('surplus money until all of it has gone back, with how its refund stands', async () => {
    const trade = await paid(300);
    await ctx.db.trade.updateMany({ data: { surplus: 'late' } });
    expect((await readAttention(ctx)).surplus).toMatchObject([{ refund_state: null, refunded_fen: 0 }]);
    await refund(trade, 'SUCCESS', ago(20));
    await refund(trade, 'PROCESSING', ago(10), { origin: 'surplus', refund_fen: 200 });
    expect((await readAttention(ctx)).surplus).toMatchObject([
      { surplus: 'late', refund_state: 'PROCESSING', refunded_fen: 100 },
    ]);
    expect(await waiting()).toEqual({ surplus: 1 });
    await ctx.db.refund.updateMany({ data: { state: 'SUCCESS' } });
    expect(await waiting()).toEqual({});
  });

  test('a refund that is abnormal, refused, closed, or requested for more than ten minutes', async () => {
    await refund(await paid(), 'ABNORMAL', ago(90 * day));
    await refund(await paid(), 'REFUSED');
    await refund(await paid(), 'CLOSED');
    await refund(await paid(), 'REQUESTED', ago(11));
    await refund(await paid(), 'REQUESTED', ago(9));
    await refund(await paid(), 'REFUSED', ago(31 * day));
    const { refunds } = await readAttention(ctx);
    expect(refunds.map(({ state }) => state)).toEqual(['REQUESTED', 'REFUSED', 'CLOSED', 'ABNORMAL']);
    expect(await waiting()).toEqual({ refunds: 4 });
  });

  test('a call of the official account that has not worked since, with what WeChat saw and where it is mended', async () => {
    const text = 'invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist, rid: 1';
    await noteAccountFault(ctx, 'access_token', new OfficialAccountError(40164, '40164', text));
    await noteAccountFault(ctx, 'access_token', new OfficialAccountError(40164, '40164', text));
    await noteAccountFault(ctx, 'oauth', new OfficialAccountError(undefined, 'NO_ANSWER', 'no answer'));
    const { account: troubles } = await readAttention(ctx);
    expect(troubles).toContainEqual({
      call: 'access_token',
      code: '40164',
      zh: '服务器 IP 不在白名单中，微信看到的地址是 203.0.113.7',
      en: 'our server address is not on the whitelist; WeChat saw 203.0.113.7',
      console_page: '公众平台 → 设置与开发 → 基本配置 → IP白名单',
      times: 2,
      last_at: now,
    });
    expect(await waiting()).toEqual({ account: 2 });
    await noteAccountWorks(ctx, 'access_token');
    await ctx.db.account_fault.update({ where: { call: 'oauth' }, data: { last_at: ago(8 * day) } });
    expect(await waiting()).toEqual({});
    await ctx.db.account_fault.deleteMany();
  });

  test('a pay page outside the directories that are registered', async () => {
    const registered = { ...ctx.config, WECHAT_PAYMENT_DIRECTORIES: ['https://shop.example.com/Pay/'] };
    const elsewhere = { ...ctx, config: registered };
    expect((await readAttention(elsewhere)).rules.map(({ rule }) => rule)).toEqual(['payment_directory']);
    expect(await countAttention(elsewhere)).toBe(1);
    expect(await countAttention(ctx)).toBe(0);
  });

  test('a refused refund no longer, once a later one of the same trade stands', async () => {
    const trade = await paid();
    await refund(trade, 'REFUSED', ago(30));
    await refund(trade, 'REFUSED', ago(20));
    expect(await waiting()).toEqual({ refunds: 2 });
    await refund(trade, 'PROCESSING', ago(10));
    expect(await waiting()).toEqual({});
  });

  test('messages of the last seven days that were believed and did not fit, the same ones once', async () => {
    const trade = await paid();
    const message = (verdict: string, received_at: Date, detail = '', out_trade_no = trade.out_trade_no) =>
      ctx.db.notification.create({
        data: {
          id: crypto.randomUUID(),
          received_at,
          api_version: 'v2',
          kind: 'payment',
          headers: {},
          body: Buffer.from(''),
          verdict,
          detail,
          out_trade_no,
        },
      });
    for (let nth = 0; nth < 15; nth += 1) await message('mismatch', ago(nth), 'total_fee');
    await message('mismatch', ago(5), 'openid');
    await message('unknown_order', ago(7 * day - 1), '', 'OTHERS0001');
    await message('unknown_order', ago(7 * day + 1), '', 'OTHERS0002');
    for (const verdict of ['applied', 'already', 'bad_signature', 'malformed', 'not_final']) {
      await message(verdict, ago(1));
    }
    const { messages } = await readAttention(ctx);
    expect(messages).toMatchObject([
      { verdict: 'mismatch', detail: 'total_fee', times: 15, last_at: now, order_no: trade.order_no },
      { verdict: 'mismatch', detail: 'openid', times: 1 },
      { verdict: 'unknown_order', out_trade_no: 'OTHERS0001', order_no: null },
    ]);
    expect(await waiting()).toEqual({ messages: 3 });
  });

  test('days with open differences, and bills that were refused; no other merchant’s', async () => {
    const add = (date: string, kind: string, more: object = {}) =>
      ctx.db.difference.create({
        data: {
          mch_id: account.mch_id,
          bill_date: new Date(`${date}T00:00:00Z`),
          kind,
          subject: crypto.randomUUID(),
          ours: {},
          theirs: {},
          found_at: now,
          ...more,
        },
      });
    await add('2026-11-20', 'fee');
    await add('2026-11-20', 'fee');
    await add('2026-11-20', 'amount');
    await add('2026-11-21', 'fee', { resolved_at: now });
    await add('2026-11-22', 'fee', { mch_id: '1230000109' });
    for (const [bill_date, state] of [
      ['2026-11-19', 'REFUSED'],
      ['2026-11-18', 'WAITING'],
    ]) {
      await ctx.db.statement_day.create({
        data: {
          mch_id: account.mch_id,
          bill_date: new Date(`${bill_date}T00:00:00Z`),
          api_version: 'v2',
          state: state ?? '',
          problem: 'cut short',
          tried_at: now,
        },
      });
    }
    const { differences, bills } = await readAttention(ctx);
    expect(differences).toEqual([{ bill_date: '2026-11-20', kinds: { fee: 2, amount: 1 }, count: 3 }]);
    expect(bills).toMatchObject([{ bill_date: '2026-11-19', problem: 'cut short' }]);
    expect(await waiting()).toEqual({ differences: 1, bills: 1 });
  });

  test('a trade still open long after its end', async () => {
    const stuck = await makeTrade(ctx.db, { now: ago(30 + 16) });
    await makeTrade(ctx.db, { now: ago(30 + 14) });
    await makeTrade(ctx.db, { now: ago(600), trade_state: 'CLOSED', order_state: 'CLOSED' });
    expect((await readAttention(ctx)).trades).toMatchObject([{ out_trade_no: stuck.out_trade_no }]);
    expect(await waiting()).toEqual({ trades: 1 });
  });
});

describe('the list of refunds', () => {
  const list = (query: object) => listRefunds(ctx, refundFilter.parse(query));

  test('goes through all of them once, newest first, though many share a millisecond', async () => {
    const trade = await paid(100_000);
    for (let nth = 0; nth < refundPageSize * 2 + 7; nth += 1) {
      await refund(trade, 'SUCCESS', ago(Math.floor(nth / 40)), { refund_fen: 1 });
    }
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = await list({ after });
      seen.push(...page.refunds.map(({ out_refund_no }) => out_refund_no));
      after = page.next;
    } while (after !== undefined);
    const rows = await ctx.db.refund.findMany({
      orderBy: [{ created_at: 'desc' }, { out_refund_no: 'desc' }],
      select: { out_refund_no: true },
    });
    expect(seen).toEqual(rows.map(({ out_refund_no }) => out_refund_no));
  });

  test('filters by state, and an address that makes one up is no filter', async () => {
    for (const state of refundStates) await refund(await paid(), state);
    for (const state of refundStates) {
      expect((await list({ state })).refunds.map((each) => each.state)).toEqual([state]);
    }
    expect(refundFilter.parse({ state: 'PAID', after: "1_x'; --", size: '9' })).toEqual({});
    expect((await list({ state: 'PAID' })).refunds).toHaveLength(refundStates.length);
  });

  test('an order is found by its refund’s number and by WeChat’s, whole or by the beginning', async () => {
    const trade = await paid();
    await paid();
    const ours = await refund(trade, 'SUCCESS', ago(7 * day), { refund_id: '50300103182020010413419046597' });
    const odd = await refund(trade, 'SUCCESS', ago(9 * day), { out_refund_no: 'console|2026-1*@x' });
    const found = async (q: string) =>
      (await listOrders(ctx, orderFilter.parse({ q }))).orders.map(({ order_no }) => order_no);
    for (const number of [ours, odd, '50300103182020010413419046597']) {
      expect(await found(number)).toEqual([trade.order_no]);
      expect(await found(number.slice(0, 15))).toEqual([trade.order_no]);
      expect(await found(`${number}0`)).toEqual([]);
    }
  });
});

describe('the operators’ book', () => {
  const operator = { admin: { id: 'A', username: 'operator' }, ip: '10.0.0.1' };

  test('is read in pages, each row once, newest first; by action and by target', async () => {
    for (let nth = 0; nth < auditPageSize + 9; nth += 1) {
      const target = nth % 2 === 0 ? 'even' : 'odd-number';
      await addAudit({ db: ctx.db, now: () => ago(Math.floor(nth / 20)) }, operator, 'requery', target, {
        nth,
      });
    }
    const first = await listAudit(ctx, auditFilter.parse({}));
    const second = await listAudit(ctx, auditFilter.parse({ after: first.next }));
    const seen = [...first.rows, ...second.rows];
    expect(new Set(seen.map(({ id }) => id)).size).toBe(auditPageSize + 9);
    expect(second.next).toBeUndefined();
    const times = seen.map(({ at }) => at.getTime());
    expect(times).toEqual([...times].sort((a, b) => b - a));
    const odd = await listAudit(ctx, auditFilter.parse({ target: 'odd-number' }));
    expect(odd.rows).toHaveLength(Math.floor((auditPageSize + 9) / 2));
    expect((await listAudit(ctx, auditFilter.parse({ action: 'refund' }))).rows).toEqual([]);
  });

  test('says in words what was done and what came of it', () => {
    const said = (action: string, data: object) => auditInWords({ action, data: { ...data } }).join(' · ');
    expect(
      said('refund', {
        refund_fen: 120,
        reason: '退货',
        out_refund_no: 'R1',
        out_trade_no: 'T1',
        made: false,
      }),
    ).toBe('¥1.20 · 原因：退货 · 此前已有，没有再做 · 退款单号 R1 · 商户单号 T1');
    expect(said('refund_refused', { code: 'refund_too_much' })).toBe('超过可退金额');
    expect(said('close', { outcome: 'closed', before: 'NOTPAY', after: 'CLOSED' })).toBe(
      '已关闭 · 订单 待支付 → 已关闭',
    );
    expect(
      said('requery', {
        outcome: 'told',
        before: { order_state: 'NOTPAY' },
        after: { order_state: 'NOTPAY' },
      }),
    ).toBe('微信已应答 · 订单待支付，没有变化');
    expect(said('statement', { state: 'COMPARED', differences: 0, settled: 2 })).toBe(
      '已核对 · 待处理差异 0 · 补记 2 笔',
    );
    expect(said('statement_refused', { code: 'a_new_code' })).toBe('a_new_code');
    expect(said('unheard', {})).toBe('');
  });

  test('leads to what an action was about, and nowhere else', () => {
    const row = { id: 1n, at: now, username: 'x', ip: '', data: {} };
    const order_no = newNumber(now);
    expect(targetAddress({ ...row, action: 'refund', target: order_no })).toBe(`/admin/orders/${order_no}`);
    expect(targetAddress({ ...row, action: 'close_refused', target: '../x' })).toBeUndefined();
    expect(targetAddress({ ...row, action: 'statement', target: '2026-11-20' })).toBe(
      '/admin/statements/2026-11-20',
    );
    expect(
      targetAddress({
        ...row,
        action: 'difference_explained',
        target: 'T',
        data: { bill_date: '2026-11-20' },
      }),
    ).toBe('/admin/statements/2026-11-20?show=all');
  });

  test('has a page that is read, and no doorway that writes', () => {
    expect(globSync('app/api/admin/audit/**', { cwd: new URL('../..', import.meta.url).pathname })).toEqual(
      [],
    );
  });
});
