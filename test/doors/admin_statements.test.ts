/**
 * Statements as an operator meets them: how each day looks, both sides' evidence, a note that explains a difference
 * once and for ever, and a day compared again by hand.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { POST as explain } from '../../app/api/admin/differences/[id]/resolve/route.ts';
import { POST as reconcile } from '../../app/api/admin/statements/[date]/route.ts';
import { setAdmin } from '../../lib/admin_account.ts';
import { listAudit } from '../../lib/admin_audit.ts';
import {
  type DayLook,
  differenceFilter,
  differencePageSize,
  type Explained,
  evidenceOf,
  expectedFee,
  formatE5,
  listDifferences,
  monthAway,
  monthOf,
  readDay,
  readMonth,
} from '../../lib/admin_statements.ts';
import { problemInWords, resolutionInWords } from '../../lib/admin_words.ts';
import type { Context } from '../../lib/context.ts';
import { beginSession } from '../../lib/sessions.ts';
import type { DifferenceKind } from '../../lib/statement_compare.ts';
import type { DownloadedBill } from '../../lib/wechat/index.ts';
import { type BillLine, billStream, billText } from '../setup/bill.ts';
import { type Counter, openCounter } from '../setup/counter.ts';
import { makeTrade, payer } from '../setup/rows.ts';

let counter: Counter;
let ctx: Context;
let cookie: string;
let bill: () => Promise<DownloadedBill>;
const exchange = {
  method: 'POST' as const,
  path: '/pay/downloadbill',
  request_body: '',
  started_at: new Date(0),
  duration_ms: 0,
};
/** Noon of 24 November in Beijing: the bill of the 23rd has been there for two hours. */
const noon = new Date('2026-11-24T04:00:00Z');

beforeAll(async () => {
  counter = await openCounter();
  ctx = {
    ...counter.ctx,
    now: () => noon,
    pay: {
      ...counter.ctx.pay,
      downloadTradeBill: () => bill(),
      // The simulator's own, of its own clock, would know nothing of the bill that is served here.
      downloadFundFlowBill: async () => ({ outcome: 'creating', exchange }),
    },
  };
  (globalThis as { guitai_context?: Context }).guitai_context = ctx;
  await setAdmin(ctx.db, 'operator', noon);
  const admin = await ctx.db.admin.findUniqueOrThrow({ where: { username: 'operator' } });
  cookie = (await beginSession(ctx, 'admin', { admin_id: admin.id })).set_cookie.split(';')[0] ?? '';
});
afterAll(() => counter.close());
beforeEach(async () => {
  await ctx.db.difference.deleteMany();
  await ctx.db.statement_day.deleteMany();
  await ctx.db.audit.deleteMany();
});

function post(path: string, body: unknown): Request {
  return new Request(counter.host.origin + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: counter.host.origin, cookie },
    body: JSON.stringify(body),
  });
}
const compareAgain = (date: string) =>
  reconcile(post(`/api/admin/statements/${date}`, {}), { params: Promise.resolve({ date }) });
const note = (id: string, text: unknown) =>
  explain(post(`/api/admin/differences/${id}/resolve`, { note: text }), {
    params: Promise.resolve({ id }),
  });

const day = (bill_date: string, state: string) =>
  ctx.db.statement_day.create({
    data: {
      mch_id: ctx.pay.mch_id,
      bill_date: new Date(`${bill_date}T00:00:00Z`),
      api_version: 'v2',
      state,
      tried_at: noon,
    },
  });
async function difference(
  bill_date: string,
  kind: DifferenceKind,
  more: { subject?: string; ours?: object; theirs?: object; resolved_at?: Date } = {},
): Promise<string> {
  const { id } = await ctx.db.difference.create({
    data: {
      mch_id: ctx.pay.mch_id,
      bill_date: new Date(`${bill_date}T00:00:00Z`),
      kind,
      subject: crypto.randomUUID(),
      ours: {},
      theirs: {},
      found_at: noon,
      ...more,
    },
  });
  return String(id);
}
const auditRows = async () => (await listAudit(ctx, {})).rows;

describe('a month', () => {
  test('shows each day that has begun by how it stands', async () => {
    for (const [date, state] of [
      ['2026-11-20', 'COMPARED'],
      ['2026-11-19', 'COMPARED'],
      ['2026-11-18', 'COMPARED'],
      ['2026-11-17', 'EMPTY'],
      ['2026-11-16', 'EMPTY'],
      ['2026-11-15', 'REFUSED'],
      ['2026-11-23', 'WAITING'],
    ] as const) {
      await day(date, state);
    }
    await difference('2026-11-19', 'amount');
    await difference('2026-11-19', 'fee', { resolved_at: noon });
    await difference('2026-11-18', 'fee', { resolved_at: noon });
    await difference('2026-11-16', 'missing_there');
    const days = await readMonth(ctx, '2026-11');
    const looks = Object.fromEntries(days.map(({ bill_date, look }) => [bill_date.slice(8), look]));
    const expected: Record<string, DayLook> = {
      '15': 'refused',
      '16': 'different',
      '17': 'empty',
      '18': 'equal',
      '19': 'different',
      '20': 'equal',
      '22': 'none',
      '23': 'waiting',
      '24': 'early',
    };
    expect(looks).toMatchObject(expected);
    expect(days).toHaveLength(24);
    expect(days[0]?.bill_date).toBe('2026-11-24');
    expect(days.find(({ bill_date }) => bill_date === '2026-11-19')).toMatchObject({
      open: 1,
      differences: 2,
    });
  });

  test('another merchant number’s days are not ours', async () => {
    await ctx.db.statement_day.create({
      data: {
        mch_id: '1230000109',
        bill_date: new Date('2026-11-20T00:00:00Z'),
        api_version: 'v2',
        state: 'COMPARED',
        tried_at: noon,
      },
    });
    expect((await readDay(ctx, '2026-11-20'))?.look).toBe('none');
  });

  test('is understood from the address, or is this one; months follow each other over the year', () => {
    expect(monthOf(ctx, '2026-02')).toBe('2026-02');
    for (const nonsense of [undefined, '2026-13', '26-01', ['2026-01', '2026-02'], "2026-01'"]) {
      expect(monthOf(ctx, nonsense)).toBe('2026-11');
    }
    expect(monthAway('2026-12', 1)).toBe('2027-01');
    expect(monthAway('2026-01', -1)).toBe('2025-12');
  });

  test.each(['2026-02-30', '2026-11-1', 'today', '../orders', '2026-11-20T00'])(
    'there is no day %j',
    async (date) => {
      expect(await readDay(ctx, date)).toBeUndefined();
      expect((await compareAgain(date)).status).toBe(404);
    },
  );
});

describe('the differences of a day', () => {
  test('are read in pages, each once, by kind, with the way to the order', async () => {
    const { out_trade_no, order_no } = await makeTrade(ctx.db, { trade_state: 'SUCCESS' });
    const ids: string[] = [];
    for (let nth = 0; nth < differencePageSize + 5; nth += 1) ids.push(await difference('2026-11-20', 'fee'));
    ids.push(await difference('2026-11-20', 'amount', { subject: out_trade_no }));
    await ctx.db.difference.updateMany({
      where: { subject: out_trade_no },
      data: { out_trade_no },
    });
    await difference('2026-11-20', 'repeated', { resolved_at: noon });
    await difference('2026-11-21', 'fee');
    const read = (query: object) => listDifferences(ctx, '2026-11-20', differenceFilter.parse(query));

    const first = await read({});
    const second = await read({ after: first.next });
    expect([...first.rows, ...second.rows].map(({ id }) => String(id))).toEqual(ids);
    expect(second.next).toBeUndefined();
    expect(first.kinds).toEqual([
      { kind: 'amount', count: 1 },
      { kind: 'fee', count: differencePageSize + 5 },
    ]);
    expect((await read({ kind: 'amount' })).rows).toMatchObject([{ subject: out_trade_no, order_no }]);
    expect((await read({ show: 'all', kind: 'repeated' })).rows).toHaveLength(1);
  });

  test('show both sides field by field, and leave out what neither says', () => {
    const ours = { total_fen: 100, trade_state: 'SUCCESS', transaction_id: null };
    const theirs = {
      total_fen: 99,
      trade_state: 'SUCCESS',
      transaction_id: '42',
      rate: '0.60%',
      fee_e5: 594,
    };
    expect(evidenceOf({ ours, theirs })).toEqual([
      { field: 'amount', ours: 100, theirs: 99 },
      { field: 'state', ours: 'SUCCESS', theirs: 'SUCCESS' },
      { field: 'wechat_number', ours: undefined, theirs: '42' },
      { field: 'fee', ours: undefined, theirs: 594 },
      { field: 'rate', ours: undefined, theirs: '0.60%' },
    ]);
    expect(evidenceOf({ ours: {}, theirs: { refund_fen: 5, refund_state: 'SUCCESS' } })).toEqual([
      { field: 'amount', ours: undefined, theirs: 5 },
      { field: 'state', ours: undefined, theirs: 'SUCCESS' },
    ]);
  });

  test('a fee is told beside the one that amount and rate come to', () => {
    expect(expectedFee({ theirs: { total_fen: 12_800, rate: '0.60%' } })).toBe(76_800);
    expect(expectedFee({ theirs: { refund_fen: 800, rate: '0.6%' } })).toBe(-4_800);
    expect(expectedFee({ theirs: { total_fen: 12_800, rate: '' } })).toBeUndefined();
    expect(expectedFee({ theirs: {} })).toBeUndefined();
    expect([76_800, -4_800, 0, 5, 123_456_700_000].map(formatE5)).toEqual([
      '¥0.768',
      '-¥0.048',
      '¥0.00',
      '¥0.00005',
      '¥1,234,567.00',
    ]);
  });
});

describe('explaining a difference', () => {
  test('keeps the row with note, name and time, once; a second note changes nothing', async () => {
    const id = await difference('2026-11-20', 'foreign', { subject: 'OTHERS0001' });
    const first = (await (await note(id, '  别的系统的收款  ')).json()) as Explained;
    expect(first).toEqual({ made: true, resolution: '别的系统的收款', resolved_by: 'operator' });
    const second = (await (await note(id, '再写一次')).json()) as Explained;
    expect(second).toEqual({ ...first, made: false });
    const row = await ctx.db.difference.findUniqueOrThrow({ where: { id: BigInt(id) } });
    expect(row).toMatchObject({ resolution: '别的系统的收款', resolved_by: 'operator', resolved_at: noon });
    expect(await auditRows()).toMatchObject([
      { action: 'difference_explained', data: { made: false, note: '再写一次' } },
      { action: 'difference_explained', target: 'OTHERS0001', data: { made: true, kind: 'foreign' } },
    ]);
  });

  test('ten at once: one note stands', async () => {
    const id = await difference('2026-11-20', 'fee');
    const answers = await Promise.all(
      Array.from({ length: 10 }, async (_, nth) => (await note(id, `第 ${nth} 个`)).json()),
    );
    const told = answers as Explained[];
    expect(told.filter(({ made }) => made)).toHaveLength(1);
    expect(new Set(told.map(({ resolution }) => resolution)).size).toBe(1);
  });

  test.each(['', '   ', '长'.repeat(201), 5, null])('is refused with the note %j', async (text) => {
    const id = await difference('2026-11-20', 'fee');
    expect((await note(id, text)).status).toBe(400);
    const row = await ctx.db.difference.findUniqueOrThrow({ where: { id: BigInt(id) } });
    expect(row.resolved_at).toBeNull();
    expect(await auditRows()).toEqual([]);
  });

  test.each(['0', '999999999999999999', '1e3', '-1', "1'", '1; --'])(
    'there is none numbered %j',
    async (id) => {
      expect((await note(id, '说明')).status).toBe(404);
    },
  );
});

describe('a day compared again by hand', () => {
  const lineOf = async (): Promise<BillLine> => {
    const at = new Date('2026-11-23T02:00:00Z');
    const { out_trade_no, total_fen } = await makeTrade(ctx.db, {
      order_state: 'SUCCESS',
      trade_state: 'SUCCESS',
      now: at,
    });
    await ctx.db.trade.update({ where: { out_trade_no }, data: { mch_id: ctx.pay.mch_id } });
    const { appid, mch_id } = ctx.pay;
    return { at, appid, mch_id, transaction_id: `T${out_trade_no}`, out_trade_no, openid: payer, total_fen };
  };
  const serve = (lines: BillLine[]): void => {
    bill = async () => ({ outcome: 'bill', stream: billStream(billText(lines)), exchange });
  };

  test('tells what it found, keeps it, and a second time finds the same once', async () => {
    const line = await lineOf();
    serve([{ ...line, total_fen: 99 }]);
    for (let nth = 0; nth < 2; nth += 1) {
      const answer = await compareAgain('2026-11-23');
      expect(answer.status).toBe(200);
      expect(await answer.json()).toMatchObject({ state: 'COMPARED', rows: 1, differences: 1 });
    }
    const { rows } = await listDifferences(ctx, '2026-11-23', {});
    expect(rows).toMatchObject([{ kind: 'amount', subject: line.out_trade_no }]);
    expect(await readDay(ctx, '2026-11-23')).toMatchObject({
      look: 'different',
      open: 1,
      bill: { payment_fen: 99, our_payment_fen: 100, attempts: 2 },
    });

    serve([line]);
    expect(await (await compareAgain('2026-11-23')).json()).toMatchObject({ differences: 0 });
    expect(await readDay(ctx, '2026-11-23')).toMatchObject({ look: 'equal', open: 0, differences: 1 });
    const { rows: gone } = await listDifferences(ctx, '2026-11-23', { show: 'all' });
    expect(gone.map(({ resolution }) => resolutionInWords(resolution ?? ''))).toEqual([
      '重新核对这一天时已不存在',
    ]);
    expect((await auditRows()).map(({ action, target }) => `${action} ${target}`)).toEqual(
      Array(3).fill('statement 2026-11-23'),
    );
  });

  test('is refused while the bill cannot exist, and the attempt is written down', async () => {
    const answer = await compareAgain('2026-11-24');
    expect(answer.status).toBe(409);
    expect(await answer.json()).toMatchObject({ error: { code: 'bill_too_early' } });
    expect(await auditRows()).toMatchObject([
      { action: 'statement_refused', target: '2026-11-24', data: { code: 'bill_too_early' } },
    ]);
  });

  test('is busy while somebody else compares the same day', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let asked = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      asked = resolve;
    });
    bill = async () => {
      asked();
      await held;
      return { outcome: 'no_bill', exchange };
    };
    const first = compareAgain('2026-11-21');
    await begun;
    const second = await compareAgain('2026-11-21');
    expect(await second.json()).toMatchObject({ error: { code: 'busy' } });
    release();
    expect(await (await first).json()).toMatchObject({ state: 'EMPTY' });
  });

  test('what went wrong is said in words', () => {
    expect(problemInWords('WeChat is still making the bill')).toContain('还在生成');
    expect(problemInWords('unknown columns: 新列')).toContain('新列');
    expect(problemInWords('NO_ANSWER: timeout')).toBe('微信应答 NO_ANSWER：timeout');
    expect(resolutionInWords('found in the bill of 2026-11-24')).toBe('在 2026-11-24 的账单里找到了');
    expect(resolutionInWords('已与微信核实')).toBe('已与微信核实');
  });
});
