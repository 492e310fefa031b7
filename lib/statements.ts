/**
 * Our books against WeChat's, day by day. The bill is the last witness: a payment only it knows is settled by it
 * through the one door; every other disagreement becomes a row with both sides' evidence. A second run of a day
 * changes nothing that the first one left right.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { beijingDay, beijingDayStart } from './beijing.ts';
import { createBillTable, importBill } from './bill_import.ts';
import type { Context } from './context.ts';
import { type DbSession, withSession } from './db.ts';
import { AppError } from './errors.ts';
import { compareFundFlow } from './fund_flow.ts';
import { askRefund } from './refund_call.ts';
import { compareBill } from './statement_compare.ts';
import {
  BillError,
  type TradeBillSummary,
  type TradeState,
  type TradeType,
  WechatError,
} from './wechat/index.ts';

export type DayState = 'WAITING' | 'COMPARED' | 'EMPTY' | 'REFUSED';

export interface StatementResult {
  bill_date: string;
  state: DayState;
  rows: number;
  /** Payments only the bill knew, settled by it now. */
  settled: number;
  /** Open differences of the day after this run. */
  differences: number;
  problem: string;
}

/** What a run tells while it works. */
export type Progress = (step: string) => void;

/** The first moment at which WeChat has the bill of a day: 10:00 Beijing time of the next. */
export function billReadyAt(bill_date: string): Date | undefined {
  const start = beijingDayStart(bill_date);
  return start === undefined ? undefined : new Date(start.getTime() + 34 * 3_600_000);
}

/**
 * Fetches, keeps and compares one Beijing day `YYYY-MM-DD`. Throws `bad_request` for no day, `bill_too_early` before
 * the bill can exist, `busy` while another run has the same day.
 */
export async function reconcileDay(
  ctx: Context,
  bill_date: string,
  progress: Progress = () => undefined,
): Promise<StatementResult> {
  const ready_at = billReadyAt(bill_date);
  if (ready_at === undefined) {
    throw new AppError('bad_request', { field: 'date', detail: 'date: a day as YYYY-MM-DD' });
  }
  if (ctx.now() < ready_at) throw new AppError('bill_too_early', { field: 'date' });
  const { mch_id, api_version } = ctx.pay;
  const day = { mch_id, bill_date: new Date(`${bill_date}T00:00:00Z`) };
  return withSession(ctx.config.DATABASE_URL, async (session) => {
    await takeDay(session, `bill ${mch_id} ${bill_date}`);
    await ctx.db.statement_day.upsert({
      where: { mch_id_bill_date: day },
      create: { ...day, api_version, state: 'WAITING', attempts: 1, tried_at: ctx.now() },
      update: { attempts: { increment: 1 }, tried_at: ctx.now(), api_version },
    });
    const { state: before } = await ctx.db.statement_day.findUniqueOrThrow({
      where: { mch_id_bill_date: day },
      select: { state: true },
    });
    progress(`${bill_date}: asking WeChat for the bill`);
    await createBillTable(session);
    const fetched = await fetchBill(ctx, session, day, bill_date, before !== 'COMPARED', progress);
    const stopped = whyNotCompared(before, fetched);
    if (stopped !== undefined) {
      const { state, problem } = stopped;
      await ctx.db.statement_day.update({
        where: { mch_id_bill_date: day },
        data: { state, problem: problem.slice(0, 500) },
      });
      const differences = await openDifferences(ctx, day);
      return { bill_date, state, rows: 0, settled: 0, differences, problem };
    }
    progress(`${bill_date}: settling what only the bill knows`);
    const settled = await settleFromBill(ctx, session);
    progress(`${bill_date}: comparing ${fetched.summary?.rows ?? 0} rows`);
    const day_start = beijingDayStart(bill_date) ?? new Date(0);
    const ours = await compareBill(session, { ...day, now: ctx.now(), day_start });
    progress(`${bill_date}: asking WeChat for the fund flow`);
    await compareFundFlow(ctx, session, { ...day, day_start }, fetched.summary?.settlement_fen ?? 0);
    const unknown = fetched.summary?.unknown_columns ?? [];
    const problem = unknown.length === 0 ? '' : `unknown columns: ${unknown.join(', ')}`;
    await ctx.db.statement_day.update({
      where: { mch_id_bill_date: day },
      data: {
        state: fetched.state,
        problem: problem.slice(0, 500),
        compared_at: ctx.now(),
        settled: { increment: settled },
        sha256: fetched.sha256 ?? null,
        our_payments: ours.payments,
        our_payment_fen: BigInt(ours.payment_fen),
        ...(fetched.summary === undefined ? {} : totals(fetched.summary)),
      },
    });
    return {
      bill_date,
      state: fetched.state,
      rows: fetched.summary?.rows ?? 0,
      settled,
      differences: await openDifferences(ctx, day),
      problem,
    };
  });
}

/** Locks a day for this session, or throws `busy`. A session that ended a moment ago lets go of it a moment later. */
async function takeDay(session: DbSession, name: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const { rows } = await session.query<{ taken: boolean }>(
      'SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS taken',
      [name],
    );
    if (rows[0]?.taken === true) return;
    if (tries === 10) throw new AppError('busy');
    await sleep(50);
  }
}

/**
 * The day's state and what to tell when there is nothing to compare with; undefined when there is. A day that was
 * compared stays compared with the bill it kept, whatever a later look brings, and "no bill" after a broken one proves
 * nothing: only a day without any bill yet can be an empty one.
 */
function whyNotCompared(
  before: string,
  { state, problem }: Fetched,
): { state: DayState; problem: string } | undefined {
  if (state === 'COMPARED') return undefined;
  if (before === 'COMPARED') {
    return {
      state: before,
      problem: state === 'EMPTY' ? 'WeChat now says there is no bill; the one kept before stands' : problem,
    };
  }
  if (state !== 'EMPTY') return { state, problem };
  if (before !== 'REFUSED') return undefined;
  return { state: before, problem: 'WeChat now says there is no bill; what it sent before was none' };
}

function totals({ rows, payments, payment_fen, refunds, refund_fen, fee_e5 }: TradeBillSummary) {
  return {
    rows,
    payments,
    payment_fen: BigInt(payment_fen),
    refunds,
    refund_fen: BigInt(refund_fen),
    fee_e5: BigInt(fee_e5),
  };
}

interface Fetched {
  state: DayState;
  problem: string;
  summary?: TradeBillSummary;
  sha256?: string;
}

async function fetchBill(
  ctx: Context,
  session: DbSession,
  day: { mch_id: string; bill_date: Date },
  bill_date: string,
  replaces_kept: boolean,
  progress: Progress,
): Promise<Fetched> {
  try {
    const bill = await ctx.pay.downloadTradeBill(bill_date);
    if (bill.outcome !== 'bill') {
      return bill.outcome === 'no_bill'
        ? { state: 'EMPTY', problem: '' }
        : { state: 'WAITING', problem: 'WeChat is still making the bill' };
    }
    const imported = await importBill(ctx, session, { ...day, replaces_kept }, bill.stream, (rows) =>
      progress(`${bill_date}: ${rows} rows`),
    );
    return { state: 'COMPARED', problem: '', ...imported };
  } catch (thrown) {
    if (thrown instanceof BillError) return { state: 'REFUSED', problem: thrown.message };
    if (!(thrown instanceof WechatError)) throw thrown;
    ctx.log.warn({ bill_date, code: thrown.code }, 'bill not fetched');
    const broken = thrown.code === 'BAD_ANSWER';
    return { state: broken ? 'REFUSED' : 'WAITING', problem: `${thrown.code}: ${thrown.message}` };
  }
}

interface OnlyThere {
  trade_at: Date;
  appid: string;
  mch_id: string;
  sub_mch_id: string;
  transaction_id: string;
  out_trade_no: string;
  openid: string;
  trade_type: TradeType;
  trade_state: TradeState;
  bank_type: string;
  fee_type: string;
  total_fen: string;
}

/** Payments and refunds that the bill knows better than we do go through their doors. Returns how many payments. */
async function settleFromBill(ctx: Context, session: DbSession): Promise<number> {
  const { rows: payments } = await session.query<OnlyThere>(`
    SELECT b.* FROM bill_line b JOIN trade t ON t.out_trade_no = b.out_trade_no
    WHERE b.out_refund_no = '' AND b.trade_state = 'SUCCESS' AND t.trade_state NOT IN ('SUCCESS', 'REFUND')`);
  const verdicts = await Promise.all(
    payments.map((row) =>
      ctx.settle({
        source: 'bill',
        report: {
          appid: row.appid,
          mch_id: row.mch_id,
          ...(row.sub_mch_id === '' ? {} : { sub_mch_id: row.sub_mch_id }),
          out_trade_no: row.out_trade_no,
          trade_state: 'SUCCESS',
          transaction_id: row.transaction_id,
          trade_type: row.trade_type,
          total_fen: Number(row.total_fen),
          fee_type: row.fee_type,
          openid: row.openid,
          bank_type: row.bank_type,
          success_at: row.trade_at,
        },
      }),
    ),
  );
  const { rows: refunds } = await session.query<{ out_refund_no: string; out_trade_no: string }>(`
    SELECT b.out_refund_no, b.out_trade_no FROM bill_line b
    JOIN trade t ON t.out_trade_no = b.out_trade_no
    LEFT JOIN refund r ON r.out_refund_no = b.out_refund_no
    WHERE b.out_refund_no <> '' AND (r.state IS NULL
      OR (b.refund_state = 'SUCCESS' AND r.state IN ('REQUESTED', 'PROCESSING', 'ABNORMAL', 'REFUSED')))
    LIMIT 1000`);
  for (const { out_refund_no, out_trade_no } of refunds) {
    await askRefund(ctx, out_refund_no, 'bill', out_trade_no);
  }
  return verdicts.filter(({ verdict }) => verdict === 'applied').length;
}

function openDifferences(ctx: Context, day: { mch_id: string; bill_date: Date }): Promise<number> {
  return ctx.db.difference.count({ where: { ...day, resolved_at: null } });
}

/** The days a worker looks at: the last three that can have a bill and are not compared yet. */
export async function dueDays(ctx: Context): Promise<string[]> {
  const days: string[] = [];
  for (let back = 1; back <= 3; back += 1) {
    const bill_date = beijingDay(new Date(ctx.now().getTime() - back * 86_400_000));
    const ready_at = billReadyAt(bill_date);
    if (ready_at === undefined || ctx.now() < ready_at) continue;
    const row = await ctx.db.statement_day.findUnique({
      where: { mch_id_bill_date: { mch_id: ctx.pay.mch_id, bill_date: new Date(`${bill_date}T00:00:00Z`) } },
      select: { state: true, our_payments: true },
    });
    const flow = await ctx.db.fund_flow_day.findUnique({
      where: { mch_id_bill_date: { mch_id: ctx.pay.mch_id, bill_date: new Date(`${bill_date}T00:00:00Z`) } },
      select: { state: true },
    });
    const flow_waits = flow?.state === 'WAITING';
    // "No bill" is believed at once only when we took no money that day either.
    if ((row?.state === 'COMPARED' && !flow_waits) || (row?.state === 'EMPTY' && row.our_payments === 0))
      continue;
    days.push(bill_date);
  }
  return days;
}
