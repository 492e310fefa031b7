/**
 * The flow of funds beside the day's bill, over both versions: kept by business type, equal when both are right, a
 * difference when they are not, and a day without it is compared all the same.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { beijingDay, beijingDayStart } from '../../lib/beijing.ts';
import type { Context } from '../../lib/context.ts';
import { readFundFlowDay } from '../../lib/fund_flow.ts';
import { billReadyAt, dueDays, reconcileDay } from '../../lib/statements.ts';
import { BillError, type DownloadedBill, readFundFlow } from '../../lib/wechat/index.ts';
import { billStream } from '../setup/bill.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';
import { paidOrder, passTime, submitRefund } from '../setup/paid_orders.ts';

const header =
  '记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号';
const summary = '资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额';
const row = (kind: string, direction: '收入' | '支出', yuan: string): string =>
  `\`2026-11-22 14:50:29,\`4200,\`1000,\`${kind},\`${kind},\`${direction},\`${yuan},\`5.00,\`system,\`备注, 带逗号,\`X1`;
const text = (rows: string[], totals: string): string =>
  `\uFEFF${[header, ...rows, summary, totals].join('\r\n')}\r\n`;
const good = text(
  [row('交易', '收入', '10.00'), row('交易', '收入', '0.01'), row('扣除交易手续费', '支出', '0.06')],
  '`3,`2,`10.01,`1,`0.06',
);

describe('reading', () => {
  test('sums by type and direction, wherever a line is cut', async () => {
    for (const piece_bytes of [1, 7, 4_096]) {
      expect(await readFundFlow(billStream(good, piece_bytes))).toEqual({
        rows: 3,
        income_count: 2,
        income_fen: 1_001,
        expense_count: 1,
        expense_fen: 6,
        sums: [
          { kind: '交易', direction: 'income', count: 2, fen: 1_001 },
          { kind: '扣除交易手续费', direction: 'expense', count: 1, fen: 6 },
        ],
      });
    }
  });

  test('full-width brackets in the header are the same column', async () => {
    const wide = good.replaceAll('(元)', '（元）');
    expect((await readFundFlow(billStream(wide))).income_fen).toBe(1_001);
  });

  const broken: [string, string][] = [
    ['an HTML page', '<html>502</html>'],
    ['a trade bill', '交易时间,公众账号ID\r\n'],
    ['cut before its summary', good.slice(0, good.indexOf(summary))],
    ['a summary of other rows', good.replace('`3,`2', '`4,`3')],
    ['a summary of another sum', good.replace('`10.01,`1', '`10.02,`1')],
    ['three decimals', good.replace('`0.01,', '`0.010,')],
    ['a negative amount', good.replace('`0.01,', '`-0.01,')],
    ['neither income nor expense', good.replace('支出,`0.06', '其他,`0.06')],
    ['nothing', ''],
  ];
  test.each(broken)('%s is refused', async (_what, harmed) => {
    await expect(readFundFlow(billStream(harmed))).rejects.toThrow(BillError);
  });
});

describe.each(['v2', 'v3'] as const)('a day over %s', (api_version) => {
  let counter: Counter;
  let shopper: Shopper;
  let day: string;
  beforeAll(async () => {
    counter = await openCounter({ api_version });
    shopper = counter.shopper();
    await shopper.signIn();
    await until((beijingDayStart(beijingDay(counter.ctx.now()))?.getTime() ?? 0) + 35 * 3_600_000);
    day = beijingDay(counter.ctx.now());
    await paidOrder(counter, shopper, 'bookmark');
    const whole = await paidOrder(counter, shopper);
    const parts = await paidOrder(counter, shopper);
    await submitRefund(counter, whole, whole.total_fen);
    for (const refund_fen of [100, 333]) await submitRefund(counter, parts, refund_fen);
    await passTime(counter, 60);
    await until((billReadyAt(day)?.getTime() ?? 0) + 300_000);
  });
  afterAll(() => counter.close());
  const until = (at_ms: number): Promise<void> =>
    passTime(counter, Math.ceil((at_ms - counter.ctx.now().getTime()) / 1_000));

  const exchange = {
    method: 'GET' as const,
    path: '/',
    request_body: '',
    started_at: new Date(0),
    duration_ms: 0,
  };
  /** The context whose fund flow is this. */
  function withFlow(flow: () => DownloadedBill): Context {
    return { ...counter.ctx, pay: { ...counter.ctx.pay, downloadFundFlowBill: async () => flow() } };
  }
  const served = (flow: string) => withFlow(() => ({ outcome: 'bill', stream: billStream(flow), exchange }));
  const open = async () =>
    (
      await counter.ctx.db.difference.findMany({ where: { resolved_at: null }, orderBy: { subject: 'asc' } })
    ).map(({ kind, subject }) => [kind, subject]);

  test('is kept by business type, and agrees with the bill to the fen', async () => {
    expect(await reconcileDay(counter.ctx, day)).toMatchObject({ state: 'COMPARED', differences: 0 });
    const flow = await readFundFlowDay(counter.ctx, day);
    expect(flow).toMatchObject({ state: 'COMPARED', problem: '' });
    const sums = Object.fromEntries((flow?.sums ?? []).map(({ kind, ...sum }) => [kind, sum]));
    expect(sums.交易).toMatchObject({ direction: 'income', count: 3, fen: 990 + 2 * 12_800 });
    expect(sums.退款).toMatchObject({ direction: 'expense', count: 3 });
    expect(sums.扣除交易手续费).toMatchObject({ direction: 'expense', count: 3 });
    expect((flow?.income_fen ?? 0) - (sums.交易?.fen ?? 0)).toBe(0);
  });

  test('that lost a payment is a difference with both sums, open until the two agree again', async () => {
    const missing = text([row('交易', '收入', '9.90')], '`1,`1,`9.90,`0,`0.00');
    expect(await reconcileDay(served(missing), day)).toMatchObject({ state: 'COMPARED', differences: 3 });
    expect(await open()).toEqual([
      ['flow', 'fund flow fee'],
      ['flow', 'fund flow payment'],
      ['flow', 'fund flow refund'],
    ]);
    const [payment] = await counter.ctx.db.difference.findMany({ where: { subject: 'fund flow payment' } });
    expect(payment).toMatchObject({
      ours: { flow_fen: 990 + 2 * 12_800 },
      theirs: { flow_fen: 990, business: '交易' },
    });
    expect(await reconcileDay(counter.ctx, day)).toMatchObject({ differences: 0 });
    expect(await open()).toEqual([]);
  });

  test('that is empty although money moved is the same difference', async () => {
    const empty = withFlow(() => ({ outcome: 'no_bill', exchange }));
    expect((await reconcileDay(empty, day)).differences).toBe(3);
    expect(await readFundFlowDay(counter.ctx, day)).toMatchObject({ state: 'EMPTY', rows: 0 });
    await reconcileDay(counter.ctx, day);
  });

  test('that is still being made is asked for again, and what was compared stands meanwhile', async () => {
    const creating = withFlow(() => ({ outcome: 'creating', exchange }));
    expect(await reconcileDay(creating, day)).toMatchObject({ state: 'COMPARED', differences: 0 });
    expect(await readFundFlowDay(counter.ctx, day)).toMatchObject({ state: 'COMPARED', rows: 9 });
    await counter.ctx.db.fund_flow_day.deleteMany();
    await reconcileDay(creating, day);
    expect(await readFundFlowDay(counter.ctx, day)).toMatchObject({ state: 'WAITING', rows: 0 });
    expect(await dueDays(counter.ctx)).toContain(day);
    await reconcileDay(counter.ctx, day);
    expect(await dueDays(counter.ctx)).not.toContain(day);
  });

  test('that is no fund flow is refused, and the day stays compared', async () => {
    await counter.ctx.db.fund_flow_day.deleteMany();
    expect(await reconcileDay(served('<html>'), day)).toMatchObject({ state: 'COMPARED', differences: 0 });
    expect((await readFundFlowDay(counter.ctx, day))?.state).toBe('REFUSED');
  });
});

test('v2 without the merchant’s certificate: the day is compared without it, and says why', async () => {
  const counter = await openCounter();
  try {
    const shopper = counter.shopper();
    await shopper.signIn();
    const day = beijingDay(counter.ctx.now());
    await paidOrder(counter, shopper, 'bookmark');
    const ready_ms = (billReadyAt(day)?.getTime() ?? 0) + 300_000;
    await passTime(counter, Math.ceil((ready_ms - counter.ctx.now().getTime()) / 1_000));
    await counter.restart({ WECHAT_MERCHANT_CERTIFICATE: '', WECHAT_MERCHANT_KEY: '' });
    expect(await reconcileDay(counter.ctx, day)).toMatchObject({ state: 'COMPARED', differences: 0 });
    const flow = await readFundFlowDay(counter.ctx, day);
    expect(flow).toMatchObject({ state: 'UNAVAILABLE', rows: 0 });
    expect(flow?.problem).toContain('CERT');
    expect(await dueDays(counter.ctx)).not.toContain(day);
  } finally {
    await counter.close();
  }
});
