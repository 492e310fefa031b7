/**
 * The day's flow of funds beside its trade bill: fetched after it, added up by business type, and held against what the
 * trade bill says was paid, given back and charged. It proves sums, not single payments. A day whose fund flow cannot
 * be had (v2 wants the merchant's certificate) stays compared without it, and says so.
 */
import { createHash } from 'node:crypto';
import type { Context } from './context.ts';
import type { DbSession } from './db.ts';
import { asWechatError } from './events.ts';
import { keepDifferences } from './statement_compare.ts';
import { BillError, type FundFlowSum, type FundFlowSummary, readFundFlow } from './wechat/index.ts';

/** `NOT_COMPARED`: kept, but of other money than the bill (a service provider's). `UNAVAILABLE`: it cannot be had. */
export type FundFlowState = 'COMPARED' | 'NOT_COMPARED' | 'EMPTY' | 'WAITING' | 'UNAVAILABLE' | 'REFUSED';

export interface FundFlowDay {
  state: FundFlowState;
  rows: number;
  income_fen: number;
  expense_fen: number;
  sums: FundFlowSum[];
  problem: string;
  tried_at: Date;
}

interface Day {
  mch_id: string;
  bill_date: Date;
  day_start: Date;
}

interface Fetched {
  state: FundFlowState;
  problem: string;
  summary?: FundFlowSummary;
  sha256?: string;
}

const nothing: FundFlowSummary = {
  rows: 0,
  income_count: 0,
  income_fen: 0,
  expense_count: 0,
  expense_fen: 0,
  sums: [],
};

/**
 * Fetches the fund flow of a day whose bill stands in the session's `bill_line`, keeps its sums and compares them.
 * `settlement_fen` is what the bill itself says was to be settled, less than was paid where coupons were the seller's.
 */
export async function compareFundFlow(
  ctx: Context,
  session: DbSession,
  day: Day,
  settlement_fen: number,
): Promise<void> {
  const fetched = await fetchFundFlow(ctx, day.bill_date);
  const { summary } = fetched;
  if (summary !== undefined) {
    const { rows } = await session.query<{ partner: boolean }>(
      `SELECT EXISTS (SELECT FROM bill_line WHERE sub_mch_id <> '') AS partner`,
    );
    if (rows[0]?.partner === true) fetched.state = 'NOT_COMPARED';
    else await compareSums(ctx, session, day, summary, settlement_fen);
  }
  await keep(ctx, day, fetched);
}

async function keep(ctx: Context, { mch_id, bill_date }: Day, fetched: Fetched): Promise<void> {
  const { state, problem, summary, sha256 } = fetched;
  const tried = { problem: problem.slice(0, 500), tried_at: ctx.now() };
  const before = await ctx.db.fund_flow_day.findUnique({
    where: { mch_id_bill_date: { mch_id, bill_date } },
    select: { state: true },
  });
  // What was compared once stands, like a day's bill; what went wrong with a second look is only told.
  const stands = summary === undefined && (before?.state === 'COMPARED' || before?.state === 'NOT_COMPARED');
  const read = summary ?? nothing;
  const data = {
    state,
    ...tried,
    rows: read.rows,
    income_fen: BigInt(read.income_fen),
    expense_fen: BigInt(read.expense_fen),
    sums: read.sums.map((sum) => ({ ...sum })),
    sha256: sha256 ?? null,
  };
  await ctx.db.fund_flow_day.upsert({
    where: { mch_id_bill_date: { mch_id, bill_date } },
    create: { mch_id, bill_date, ...data },
    update: stands ? tried : data,
    select: { state: true },
  });
}

async function fetchFundFlow(ctx: Context, bill_date: Date): Promise<Fetched> {
  try {
    const bill = await ctx.pay.downloadFundFlowBill(bill_date.toISOString().slice(0, 10));
    if (bill.outcome !== 'bill') {
      // A day without any movement has no file, and its sums are zero.
      return bill.outcome === 'no_bill'
        ? { state: 'EMPTY', problem: '', summary: nothing }
        : { state: 'WAITING', problem: 'WeChat is still making the fund flow' };
    }
    const hash = createHash('sha256');
    const summary = await readFundFlow(hashed(bill.stream, (chunk) => hash.update(chunk)));
    return { state: 'COMPARED', problem: '', summary, sha256: hash.digest('hex') };
  } catch (thrown) {
    if (thrown instanceof BillError) return { state: 'REFUSED', problem: thrown.message };
    const { code, message, outcome } = asWechatError(thrown);
    ctx.log.warn({ bill_date, code }, 'fund flow not fetched');
    const state = code === 'BAD_ANSWER' ? 'REFUSED' : outcome === 'refused' ? 'UNAVAILABLE' : 'WAITING';
    return { state, problem: `${code}: ${message}` };
  }
}

async function* hashed(
  stream: AsyncIterable<Uint8Array>,
  each: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of stream) {
    each(chunk);
    yield chunk;
  }
}

interface BillSums {
  payments: number;
  fee_e5: string;
  refunds: number;
  refund_fen: string;
  fee_back_e5: string;
  /** Refunds that may have moved on another day than the bill has them, ours and the bill's. */
  drifting_fen: string;
}

/*
 * A refund's money moves when it arrives, its line in the bill stands on the day it was asked for: one that crossed
 * midnight, either way, or is still under way, may be missing on one side.
 */
const billSums = `
SELECT count(*) FILTER (WHERE out_refund_no = '')::int AS payments,
  coalesce(sum(fee_e5) FILTER (WHERE out_refund_no = ''), 0)::text AS fee_e5,
  count(*) FILTER (WHERE out_refund_no <> '')::int AS refunds,
  coalesce(sum(refund_fen) FILTER (WHERE out_refund_no <> ''), 0)::text AS refund_fen,
  coalesce(sum(-fee_e5) FILTER (WHERE out_refund_no <> ''), 0)::text AS fee_back_e5,
  (coalesce(sum(refund_fen) FILTER (WHERE out_refund_no <> '' AND refund_state <> 'SUCCESS'), 0)
   + (SELECT coalesce(sum(r.refund_fen), 0) FROM refund r JOIN trade t USING (out_trade_no)
      WHERE t.mch_id = $1 AND r.success_at IS NOT NULL
        AND (r.created_at >= $2 AND r.created_at < $2::timestamptz + interval '1 day')
         <> (r.success_at >= $2 AND r.success_at < $2::timestamptz + interval '1 day')))::text AS drifting_fen
FROM bill_line`;

/** One row for each sum that disagrees: the trade bill's as `ours`, the fund flow's as `theirs`. */
async function compareSums(
  ctx: Context,
  session: DbSession,
  { mch_id, bill_date, day_start }: Day,
  { sums }: FundFlowSummary,
  settlement_fen: number,
): Promise<void> {
  const { rows } = await session.query<BillSums>(billSums, [mch_id, day_start]);
  const [bill] = rows;
  if (bill === undefined) throw new Error('an aggregate without a row');
  const moved = (kind: string): number =>
    sums
      .filter((sum) => sum.kind === kind)
      .reduce((all, { direction, fen }) => all + (direction === 'income' ? fen : -fen), 0);
  const fee_fen = Number(bill.fee_e5) / 1_000;
  const back_fen = Number(bill.fee_back_e5) / 1_000;
  const refund_fen = Number(bill.refund_fen);
  const checks = [
    { subject: 'payment', kind: '交易', bill_fen: settlement_fen, slack_fen: 0 },
    // Each fee is rounded to the fen by itself, up or down by half a one; one that comes back in parts by a whole one.
    { subject: 'fee', kind: '扣除交易手续费', bill_fen: -fee_fen, slack_fen: bill.payments / 2 },
    {
      subject: 'refund',
      kind: '退款',
      // What goes back is less by the fee that comes back with it.
      bill_fen: back_fen - refund_fen,
      slack_fen: bill.refunds + Number(bill.drifting_fen),
    },
  ];
  const found = checks
    .map((check) => ({ ...check, flow_fen: moved(check.kind) }))
    .filter(({ bill_fen, flow_fen, slack_fen }) => Math.abs(bill_fen - flow_fen) > slack_fen)
    .map(({ subject, kind, bill_fen, flow_fen }) => ({
      kind: 'flow' as const,
      subject: `fund flow ${subject}`,
      out_trade_no: null,
      ours: { flow_fen: Math.round(bill_fen) },
      theirs: { flow_fen, business: kind },
    }));
  await keepDifferences(session, { mch_id, bill_date, now: ctx.now() }, found);
}

/** The fund flow of one day as it was kept; undefined when nobody asked for it yet. */
export async function readFundFlowDay(ctx: Context, date: string): Promise<FundFlowDay | undefined> {
  const row = await ctx.db.fund_flow_day.findUnique({
    where: { mch_id_bill_date: { mch_id: ctx.pay.mch_id, bill_date: new Date(`${date}T00:00:00Z`) } },
  });
  if (row === null) return undefined;
  return {
    state: row.state as FundFlowState,
    rows: row.rows,
    income_fen: Number(row.income_fen),
    expense_fen: Number(row.expense_fen),
    sums: row.sums as unknown as FundFlowSum[],
    problem: row.problem,
    tried_at: row.tried_at,
  };
}
