/** The daily statement on real PostgreSQL: planted differences found and none invented, broken bills refused whole. */
import { gunzipSync } from 'node:zlib';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '../../lib/config.ts';
import { type Context, createContext } from '../../lib/context.ts';
import { newNumber } from '../../lib/numbers.ts';
import { reconcileDay } from '../../lib/statements.ts';
import type { DownloadedBill } from '../../lib/wechat/index.ts';
import { allHeader, type BillLine, billStream, billText } from '../setup/bill.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';
import { account, payer } from '../setup/rows.ts';

let database: TestDatabase;
let ctx: Context;
let bill: () => DownloadedBill;
let days = 0;
/** Each test has a day of its own. */
let day: string;
let noon: Date;

const exchange = {
  method: 'POST' as const,
  path: '/pay/downloadbill',
  request_body: '',
  started_at: new Date(0),
  duration_ms: 0,
};
const serve = (text: string): void => {
  bill = () => ({ outcome: 'bill', stream: billStream(text), exchange });
};

beforeAll(async () => {
  database = await createTestDatabase();
  const config = readConfig({
    DATABASE_URL: database.url,
    PUBLIC_URL: 'http://127.0.0.1:1',
    SESSION_PASSWORD: 'a password that only this test knows, 0123456789',
    SHOP_NAME: '柜台小店',
    WECHAT_APPID: 'wx0000000000000001',
    WECHAT_APP_SECRET: '0'.repeat(32),
    WECHAT_MCH_ID: account.mch_id,
    WECHAT_API_V2_KEY: '0'.repeat(32),
    GUITAI_ALLOW_SIMULATOR: 'yes',
    GUITAI_NO_REAL_MONEY: 'yes',
  });
  const made = createContext(config, {
    log: pino({ level: 'silent' }),
    now: () => new Date(noon.getTime() + 3 * 86_400_000),
  });
  // The fund flow has tests of its own: here nobody gives us one.
  const downloadFundFlowBill = async () => ({ outcome: 'creating' as const, exchange });
  ctx = { ...made, pay: { ...made.pay, downloadTradeBill: async () => bill(), downloadFundFlowBill } };
  nextDay();
});
afterAll(async () => {
  await ctx.close();
  await database.drop();
});
afterEach(nextDay);

function nextDay(): void {
  days += 1;
  noon = new Date(Date.parse('2026-01-01T04:00:00Z') + days * 10 * 86_400_000);
  day = noon.toISOString().slice(0, 10);
}

interface Paid {
  out_trade_no: string;
  order_no: string;
  line: BillLine;
}

/** Paid trades of the day, written directly, with the lines a true bill has for them. */
async function payments(count: number, state: 'SUCCESS' | 'NOTPAY' = 'SUCCESS'): Promise<Paid[]> {
  const made: Paid[] = Array.from({ length: count }, (_, index) => {
    const out_trade_no = newNumber(noon);
    return {
      out_trade_no,
      order_no: newNumber(noon),
      line: {
        at: new Date(noon.getTime() + (index % 3_600) * 1_000),
        ...account,
        transaction_id: `42${out_trade_no}`,
        out_trade_no,
        openid: payer,
        total_fen: 100 + (index % 900),
      },
    };
  });
  const paid = state === 'SUCCESS';
  const rows = made.map(({ order_no, out_trade_no, line }) => ({
    order_no,
    out_trade_no,
    total_fen: line.total_fen,
    transaction_id: paid ? line.transaction_id : null,
    success_at: paid ? line.at : null,
  }));
  // Written as sets: ten thousand rows by the client's own inserts take longer than everything that is tested.
  await ctx.db.$executeRaw`
    WITH made AS (
      SELECT * FROM json_to_recordset(${JSON.stringify(rows)}::json) AS m(order_no text, out_trade_no text,
        total_fen int, transaction_id text, success_at timestamptz)
    ), orders AS (
      INSERT INTO "order" (order_no, session_id, checkout_key, openid, state, title, total_fen, created_at,
        expires_at, paid_at, paid_trade_no)
      SELECT order_no, 's', order_no, ${payer}, ${state}, '测试', total_fen, ${noon}, ${noon}, success_at,
        CASE WHEN success_at IS NOT NULL THEN out_trade_no END FROM made
      RETURNING order_no
    )
    INSERT INTO trade (out_trade_no, order_no, appid, mch_id, api_version, sign_type, trade_type, trade_state,
      total_fen, openid, request, created_at, expires_at, transaction_id, success_at)
    SELECT m.out_trade_no, m.order_no, ${account.appid}, ${account.mch_id}, 'v2', 'HMAC-SHA256', 'JSAPI', ${state},
      m.total_fen, ${payer}, '{}', ${noon}, ${noon}, m.transaction_id, m.success_at
    FROM made m JOIN orders USING (order_no)`;
  return made;
}

/** Finished refunds of the given trades, one each, with their lines. */
async function refunds(of: readonly Paid[]): Promise<{ out_refund_no: string; line: BillLine }[]> {
  const made = of.map(({ out_trade_no, order_no, line }) => {
    const out_refund_no = newNumber(noon);
    const refund: BillLine = {
      at: line.at,
      ...account,
      transaction_id: line.transaction_id,
      out_trade_no,
      openid: payer,
      out_refund_no,
      refund_id: `50${out_refund_no}`,
      refund_fen: 50,
    };
    return { out_refund_no, order_no, line: refund };
  });
  await ctx.db.refund.createMany({
    data: made.map(({ out_refund_no, order_no, line }) => ({
      out_refund_no,
      out_trade_no: line.out_trade_no,
      order_no,
      command_key: out_refund_no,
      origin: 'operator',
      state: 'SUCCESS',
      refund_fen: 50,
      total_fen: of.find((one) => one.out_trade_no === line.out_trade_no)?.line.total_fen ?? 0,
      reason: '',
      refund_id: line.refund_id ?? null,
      created_at: line.at,
      success_at: line.at,
    })),
  });
  return made;
}

const found = () =>
  ctx.db.difference.findMany({
    where: { bill_date: new Date(`${day}T00:00:00Z`) },
    orderBy: { id: 'asc' },
  });

test('a day without a disagreement is compared and has none', async () => {
  const made = await payments(30);
  const back = await refunds(made.slice(0, 5));
  serve(billText([...made, ...back].map(({ line }) => line)));
  expect(await reconcileDay(ctx, day)).toMatchObject({
    state: 'COMPARED',
    rows: 35,
    differences: 0,
    settled: 0,
  });
  const row = await ctx.db.statement_day.findFirstOrThrow({
    where: { bill_date: new Date(`${day}T00:00:00Z`) },
  });
  expect(row).toMatchObject({ payments: 30, refunds: 5, our_payments: 30, problem: '' });
  expect(row.payment_fen).toBe(row.our_payment_fen);
});

test('10,000 rows with 200 planted differences of 8 kinds: 200 found, none invented, a second run changes nothing', async () => {
  const made = await payments(9_500);
  const back = await refunds(made.slice(9_000));
  const lines = made.map(({ line }) => ({ ...line }));
  const planted: string[] = [];
  const plant = (kind: string, subject: string): number => planted.push(`${kind} ${subject}`);
  const numberAt = (index: number): string => made[index]?.out_trade_no ?? '';
  const change = (index: number, changes: Partial<BillLine>): void => {
    const line = lines[index];
    if (line === undefined) throw new Error('no such line');
    lines[index] = { ...line, ...changes };
  };
  for (let index = 0; index < 25; index += 1) {
    change(index, { total_fen: 99_999 });
    plant('amount', numberAt(index));
    change(25 + index, { trade_state: 'REVOKED' });
    plant('state', numberAt(25 + index));
    change(50 + index, { fee_e5: 12_345 });
    plant('fee', numberAt(50 + index));
    change(75 + index, { mch_id: '1900009999' });
    plant('foreign', numberAt(75 + index));
    plant('missing_there', numberAt(100 + index));
  }
  const extra: BillLine[] = [];
  for (let index = 0; index < 25; index += 1) {
    const stranger = {
      ...(lines[200] as BillLine),
      out_trade_no: newNumber(noon),
      transaction_id: `T${index}`,
    };
    extra.push(stranger);
    plant('missing_here', stranger.out_trade_no);
    extra.push({ ...(lines[300 + index] as BillLine) });
    plant('repeated', numberAt(300 + index));
  }
  const refundLines = back.map(({ line }, index) => ({ ...line, ...(index < 25 ? { refund_fen: 49 } : {}) }));
  for (const { out_refund_no } of back.slice(0, 25)) plant('refund', out_refund_no);
  serve(billText([...lines.slice(0, 100), ...lines.slice(125), ...extra, ...refundLines]));

  const started = performance.now();
  const result = await reconcileDay(ctx, day);
  expect(performance.now() - started).toBeLessThan(10_000);
  expect(result).toMatchObject({ state: 'COMPARED', differences: 200 });
  const rows = await found();
  expect(rows.map(({ kind, subject }) => `${kind} ${subject}`).sort()).toEqual(planted.sort());
  const again = await reconcileDay(ctx, day);
  expect(again).toMatchObject({ state: 'COMPARED', differences: 200, settled: 0 });
  expect(await found()).toEqual(rows);
}, 120_000);

test('a payment whose notification and queries were all lost is settled by the bill', async () => {
  const [lost] = await payments(1, 'NOTPAY');
  if (lost === undefined) throw new Error('no payment');
  serve(billText([lost.line]));
  expect(await reconcileDay(ctx, day)).toMatchObject({ settled: 1, differences: 0 });
  const trade = await ctx.db.trade.findUniqueOrThrow({ where: { out_trade_no: lost.out_trade_no } });
  expect(trade).toMatchObject({ trade_state: 'SUCCESS', transaction_id: lost.line.transaction_id });
  const events = await ctx.db.event.findMany({ where: { order_no: lost.order_no } });
  expect(events.map(({ kind, source }) => [kind, source])).toEqual([['paid', 'bill']]);
  expect((await reconcileDay(ctx, day)).settled).toBe(0);
});

test('a bill that lies about a lost payment settles nothing and becomes a difference', async () => {
  const [lost] = await payments(1, 'NOTPAY');
  if (lost === undefined) throw new Error('no payment');
  serve(billText([{ ...lost.line, total_fen: 1 }]));
  expect(await reconcileDay(ctx, day)).toMatchObject({ settled: 0, differences: 1 });
  expect((await found())[0]).toMatchObject({ kind: 'amount', subject: lost.out_trade_no });
});

test('what is missing today and stands in tomorrow’s bill is resolved by it', async () => {
  const [late] = await payments(1);
  if (late === undefined) throw new Error('no payment');
  serve(billText([]));
  expect((await reconcileDay(ctx, day)).differences).toBe(1);
  const today = new Date(`${day}T00:00:00Z`);
  const tomorrow = new Date(noon.getTime() + 86_400_000).toISOString().slice(0, 10);
  serve(billText([late.line]));
  expect((await reconcileDay(ctx, tomorrow)).differences).toBe(0);
  const [row] = await ctx.db.difference.findMany({ where: { bill_date: today } });
  expect(row).toMatchObject({ kind: 'missing_there', resolved_by: 'bill' });
  expect(row?.resolution).toContain(tomorrow);
});

describe('what is no bill is refused whole, kept, and changes nothing', () => {
  const broken: [string, (text: string) => string][] = [
    ['an HTML page', () => '<html><body>502 Bad Gateway</body></html>'],
    ['a bill cut in the middle of a line', (text) => text.slice(0, text.length / 2)],
    ['a bill without its summary', (text) => text.slice(0, text.indexOf('总交易单数'))],
    ['a summary that counts another number of rows', (text) => text.replace(/\r\n`3,/, '\r\n`4,')],
    [
      'an amount with three decimals',
      (text) =>
        text.replace('`1.00,`0.00,`0,', '`1.001,`0.00,`0,').replace('`0.60%,`1.00,', '`0.60%,`1.005,'),
    ],
    ['a missing column', (text) => text.replace('商户订单号,', '')],
    ['an empty body', () => ''],
  ];
  test.each(broken)('%s', async (_, harm) => {
    const made = await payments(3, 'NOTPAY');
    serve(harm(billText(made.map(({ line }) => line))));
    const result = await reconcileDay(ctx, day);
    expect(result).toMatchObject({ state: 'REFUSED', settled: 0, differences: 0 });
    expect(result.problem).not.toBe('');
    const states = await ctx.db.trade.findMany({
      where: { out_trade_no: { in: made.map(({ out_trade_no }) => out_trade_no) } },
      select: { trade_state: true },
    });
    expect(states.map(({ trade_state }) => trade_state)).toEqual(['NOTPAY', 'NOTPAY', 'NOTPAY']);
    expect(await found()).toHaveLength(0);
  });

  test('a good bill after a broken one is compared', async () => {
    const made = await payments(2);
    serve('<html>');
    expect((await reconcileDay(ctx, day)).state).toBe('REFUSED');
    serve(billText(made.map(({ line }) => line)));
    expect(await reconcileDay(ctx, day)).toMatchObject({ state: 'COMPARED', differences: 0 });
  });
});

test('the bill is kept as it came', async () => {
  const made = await payments(200);
  const text = billText(made.map(({ line }) => line));
  serve(text);
  await reconcileDay(ctx, day);
  const parts = await ctx.db.statement_chunk.findMany({
    where: { bill_date: new Date(`${day}T00:00:00Z`) },
    orderBy: { part: 'asc' },
  });
  expect(gunzipSync(Buffer.concat(parts.map(({ data }) => data))).toString('utf8')).toBe(text);
});

test('a column nobody knows is told, and the rest is compared', async () => {
  const made = await payments(1);
  const text = billText(made.map(({ line }) => line));
  const lines = text.split('\r\n');
  lines[0] = `\uFEFF${allHeader},数字人民币金额`;
  lines[1] = `${lines[1]},\`0.00`;
  serve(lines.join('\r\n'));
  const result = await reconcileDay(ctx, day);
  expect(result).toMatchObject({ state: 'COMPARED', differences: 0 });
  expect(result.problem).toContain('数字人民币金额');
});

test('a day that WeChat has no bill for is empty, and a difference where we took money', async () => {
  bill = () => ({ outcome: 'no_bill', exchange });
  expect(await reconcileDay(ctx, day)).toMatchObject({ state: 'EMPTY', differences: 0 });
  nextDay();
  await payments(1);
  expect(await reconcileDay(ctx, day)).toMatchObject({ state: 'EMPTY', differences: 1 });
});

describe('a second look at a day', () => {
  const dayRow = () =>
    ctx.db.statement_day.findFirstOrThrow({ where: { bill_date: new Date(`${day}T00:00:00Z`) } });
  const keptText = async (): Promise<string> => {
    const parts = await ctx.db.statement_chunk.findMany({
      where: { bill_date: new Date(`${day}T00:00:00Z`) },
      orderBy: { part: 'asc' },
    });
    return gunzipSync(Buffer.concat(parts.map(({ data }) => data))).toString('utf8');
  };

  test('WeChat has no bill any more: the day stays compared with the bill it kept, and says so', async () => {
    const made = await payments(3);
    const text = billText(made.map(({ line }) => line));
    serve(text);
    await reconcileDay(ctx, day);
    const before = await dayRow();
    bill = () => ({ outcome: 'no_bill', exchange });
    const again = await reconcileDay(ctx, day);
    expect(again).toMatchObject({ state: 'COMPARED', differences: 0 });
    expect(again.problem).toContain('there is no bill');
    const { problem, attempts, ...rest } = await dayRow();
    expect(problem).toBe(again.problem);
    expect(attempts).toBe(2);
    expect(rest).toMatchObject({ state: 'COMPARED', payments: 3, sha256: before.sha256 });
    expect(await keptText()).toBe(text);
  });

  test('a broken second bill does not push out the good one that is kept', async () => {
    const made = await payments(2);
    const text = billText(made.map(({ line }) => line));
    serve(text);
    await reconcileDay(ctx, day);
    serve('<html>502</html>');
    expect(await reconcileDay(ctx, day)).toMatchObject({ state: 'COMPARED', differences: 0 });
    expect(await keptText()).toBe(text);
    serve(text);
    expect((await reconcileDay(ctx, day)).problem).toBe('');
    expect(await keptText()).toBe(text);
  });

  test('a broken bill and then none: refused stays refused, since something was there', async () => {
    serve('<html>502</html>');
    await reconcileDay(ctx, day);
    bill = () => ({ outcome: 'no_bill', exchange });
    expect(await reconcileDay(ctx, day)).toMatchObject({ state: 'REFUSED' });
    expect(await keptText()).toBe('<html>502</html>');
  });

  test('a day that waited becomes empty, and an empty day that got its bill is compared', async () => {
    bill = () => ({ outcome: 'creating', exchange });
    expect((await reconcileDay(ctx, day)).state).toBe('WAITING');
    bill = () => ({ outcome: 'no_bill', exchange });
    expect((await reconcileDay(ctx, day)).state).toBe('EMPTY');
    expect((await reconcileDay(ctx, day)).state).toBe('EMPTY');
    const made = await payments(1);
    serve(billText(made.map(({ line }) => line)));
    expect(await reconcileDay(ctx, day)).toMatchObject({ state: 'COMPARED', differences: 0 });
  });
});

describe('a difference that was resolved', () => {
  /** One trade whose bill line says one fen too much, and the same bill without the fault. */
  async function oneDifference(): Promise<{ wrong: (fen: number) => void; right: () => void; paid: Paid }> {
    const [paid] = await payments(1);
    if (paid === undefined) throw new Error('no payment');
    const { line } = paid;
    const wrong = (fen: number): void =>
      serve(billText([{ ...line, total_fen: (line.total_fen ?? 0) + fen }]));
    wrong(1);
    expect((await reconcileDay(ctx, day)).differences).toBe(1);
    return { wrong, right: () => serve(billText([line])), paid };
  }
  const explain = () =>
    ctx.db.difference.updateMany({
      where: { bill_date: new Date(`${day}T00:00:00Z`) },
      data: { resolved_at: ctx.now(), resolution: '已与微信核实', resolved_by: 'operator' },
    });

  test('by vanishing, and comes back: it is open again', async () => {
    const { wrong, right } = await oneDifference();
    right();
    expect((await reconcileDay(ctx, day)).differences).toBe(0);
    expect((await found())[0]).toMatchObject({ resolved_by: 'bill' });
    wrong(1);
    expect((await reconcileDay(ctx, day)).differences).toBe(1);
    expect(await found()).toMatchObject([{ resolved_at: null, resolution: null, resolved_by: null }]);
  });

  test('by an operator, with the evidence as it was: it stays resolved, also after a refund', async () => {
    const { paid } = await oneDifference();
    await explain();
    await ctx.db.trade.update({
      where: { out_trade_no: paid.out_trade_no },
      data: { trade_state: 'REFUND' },
    });
    expect((await reconcileDay(ctx, day)).differences).toBe(0);
    expect(await found()).toMatchObject([{ resolution: '已与微信核实', resolved_by: 'operator' }]);
  });

  test('by an operator, and now says something else: it is open again with what it says now', async () => {
    const { wrong, paid } = await oneDifference();
    await explain();
    wrong(2);
    expect((await reconcileDay(ctx, day)).differences).toBe(1);
    expect(await found()).toMatchObject([
      { resolved_at: null, theirs: { total_fen: (paid.line.total_fen ?? 0) + 2 } },
    ]);
  });

  test('by the bill of another day, and its own day is compared again: it stays resolved', async () => {
    const [late] = await payments(1);
    if (late === undefined) throw new Error('no payment');
    serve(billText([]));
    await reconcileDay(ctx, day);
    const tomorrow = new Date(noon.getTime() + 86_400_000).toISOString().slice(0, 10);
    serve(billText([late.line]));
    await reconcileDay(ctx, tomorrow);
    serve(billText([]));
    expect((await reconcileDay(ctx, day)).differences).toBe(0);
  });
});

test('before ten in the morning of the next day there is no bill to ask for', async () => {
  const today = ctx.now().toISOString().slice(0, 10);
  await expect(reconcileDay(ctx, today)).rejects.toMatchObject({ code: 'bill_too_early' });
  await expect(reconcileDay(ctx, '2026-02-30')).rejects.toMatchObject({ code: 'bad_request' });
});
