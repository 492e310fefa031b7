/**
 * The daily statements as an operator reads and settles them: a month of days, one day with its differences, and the
 * note that explains a difference. A difference is never removed, and what explains it is written once.
 */
import { z } from 'zod';
import { addAudit, auditingRefusals, type Operator } from './admin_audit.ts';
import { beijingDay } from './beijing.ts';
import type { Context } from './context.ts';
import { Prisma } from './db.ts';
import { AppError } from './errors.ts';
import { isStorable, notStorable } from './http.ts';
import { type DifferenceKind, differenceKinds } from './statement_compare.ts';
import { billReadyAt, type DayState, reconcileDay, type StatementResult } from './statements.ts';

/** `none`: nobody looked yet; `early`: the bill cannot exist yet. */
export type DayLook = 'equal' | 'different' | 'empty' | 'waiting' | 'refused' | 'none' | 'early';

export interface StatementDay {
  /** Beijing's, `YYYY-MM-DD`. */
  bill_date: string;
  look: DayLook;
  /** When its bill exists. */
  ready_at: Date;
  open: number;
  differences: number;
  bill: DayBill | null;
}

export interface DayBill {
  state: DayState;
  attempts: number;
  payments: number;
  payment_fen: number;
  refunds: number;
  refund_fen: number;
  fee_e5: number;
  our_payments: number;
  our_payment_fen: number;
  settled: number;
  sha256: string | null;
  problem: string;
  tried_at: Date;
  compared_at: Date | null;
}

/** Hundred-thousandths of a yuan as `¥0.0768`: at least two decimals, no empty ones after them. */
export function formatE5(e5: number): string {
  const digits = String(Math.abs(e5)).padStart(6, '0');
  const [whole, part] = [digits.slice(0, -5), digits.slice(-5)];
  const yuan = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return `${e5 < 0 ? '-' : ''}¥${yuan}.${part.slice(0, 2)}${part.slice(2).replace(/0+$/, '')}`;
}

const monthPattern = /^20\d{2}-(0[1-9]|1[0-2])$/;
const dayPattern = /^20\d{2}-\d{2}-\d{2}$/;

/** The month an address asks for, `YYYY-MM`; the running one when it asks for none, or for nonsense. */
export function monthOf(ctx: Context, asked: unknown): string {
  return typeof asked === 'string' && monthPattern.test(asked) ? asked : beijingDay(ctx.now()).slice(0, 7);
}

/** A month so many months away. */
export function monthAway(month: string, months: number): string {
  const at = new Date(`${month}-01T00:00:00Z`);
  at.setUTCMonth(at.getUTCMonth() + months);
  return at.toISOString().slice(0, 7);
}

/** Every day of a month that has begun, newest first. */
export async function readMonth(ctx: Context, month: string): Promise<StatementDay[]> {
  const first = new Date(`${month}-01T00:00:00Z`);
  const after = new Date(`${monthAway(month, 1)}-01T00:00:00Z`);
  const today = beijingDay(ctx.now());
  const dates: string[] = [];
  for (let at = first.getTime(); at < after.getTime(); at += 86_400_000) {
    const date = new Date(at).toISOString().slice(0, 10);
    if (date <= today) dates.push(date);
  }
  return readDays(ctx, dates.reverse());
}

/** One day; undefined when there is no such day. */
export async function readDay(ctx: Context, date: string): Promise<StatementDay | undefined> {
  if (!dayPattern.test(date) || billReadyAt(date) === undefined) return undefined;
  return (await readDays(ctx, [date]))[0];
}

async function readDays(ctx: Context, dates: string[]): Promise<StatementDay[]> {
  const { mch_id } = ctx.pay;
  const within = { mch_id, bill_date: { in: dates.map((date) => new Date(`${date}T00:00:00Z`)) } };
  const [days, differences, open] = await Promise.all([
    ctx.db.statement_day.findMany({ where: within }),
    ctx.db.difference.groupBy({ by: ['bill_date'], where: within, _count: true }),
    ctx.db.difference.groupBy({
      by: ['bill_date'],
      where: { ...within, resolved_at: null },
      _count: true,
    }),
  ]);
  const bills = new Map(days.map((day) => [dateOf(day.bill_date), day]));
  const counted = (rows: typeof differences): Map<string, number> =>
    new Map(rows.map(({ bill_date, _count }) => [dateOf(bill_date), _count]));
  const [all, left] = [counted(differences), counted(open)];
  const now = ctx.now();
  return dates.map((bill_date) => {
    const row = bills.get(bill_date);
    const ready_at = billReadyAt(bill_date) ?? now;
    const bill: DayBill | null =
      row === undefined
        ? null
        : {
            ...row,
            state: row.state as DayState,
            payment_fen: Number(row.payment_fen),
            refund_fen: Number(row.refund_fen),
            fee_e5: Number(row.fee_e5),
            our_payment_fen: Number(row.our_payment_fen),
          };
    return {
      bill_date,
      look: lookOf(bill, left.get(bill_date) ?? 0, now < ready_at),
      ready_at,
      open: left.get(bill_date) ?? 0,
      differences: all.get(bill_date) ?? 0,
      bill,
    };
  });
}

const dateOf = (bill_date: Date): string => bill_date.toISOString().slice(0, 10);

function lookOf(bill: DayBill | null, open: number, early: boolean): DayLook {
  if (bill === null) return early ? 'early' : 'none';
  if (bill.state === 'REFUSED') return 'refused';
  if (bill.state === 'WAITING') return 'waiting';
  if (open > 0) return 'different';
  return bill.state === 'EMPTY' ? 'empty' : 'equal';
}

export interface SellerShare {
  sub_mch_id: string;
  payments: number;
  payment_fen: number;
  refunds: number;
  refund_fen: number;
  fee_e5: number;
}

/** A provider's day by sub-merchant; empty for an ordinary merchant. */
export async function readSellers(ctx: Context, date: string): Promise<SellerShare[]> {
  const rows = await ctx.db.statement_seller.findMany({
    where: { mch_id: ctx.pay.mch_id, bill_date: new Date(`${date}T00:00:00Z`) },
    orderBy: { sub_mch_id: 'asc' },
  });
  return rows.map(({ mch_id: _, bill_date: __, payment_fen, refund_fen, fee_e5, ...row }) => ({
    ...row,
    payment_fen: Number(payment_fen),
    refund_fen: Number(refund_fen),
    fee_e5: Number(fee_e5),
  }));
}

export const differenceFilter = z.object({
  /** Explained and vanished ones too. */
  show: z.enum(['all']).optional().catch(undefined),
  kind: z.enum(differenceKinds).optional().catch(undefined),
  after: z
    .string()
    .regex(/^\d{1,18}$/)
    .optional()
    .catch(undefined),
});
export type DifferenceFilter = z.output<typeof differenceFilter>;

export interface DifferenceRow {
  id: bigint;
  kind: DifferenceKind;
  subject: string;
  out_trade_no: string | null;
  /** Of the trade it is about, when that is ours. */
  order_no: string | null;
  ours: Prisma.JsonValue;
  theirs: Prisma.JsonValue;
  found_at: Date;
  resolved_at: Date | null;
  resolution: string | null;
  resolved_by: string | null;
}

export interface KindCount {
  kind: DifferenceKind;
  count: number;
}

export const differencePageSize = 50;

/** Differences of one day in the order in which they were found, by keyset on their id. */
export async function listDifferences(
  ctx: Context,
  date: string,
  { show, kind, after }: DifferenceFilter,
): Promise<{ rows: DifferenceRow[]; next: string | undefined; kinds: KindCount[] }> {
  const day = Prisma.sql`d.mch_id = ${ctx.pay.mch_id} AND d.bill_date = ${date}::date
    ${show === 'all' ? Prisma.empty : Prisma.sql`AND d.resolved_at IS NULL`}`;
  const parts = [day];
  if (kind !== undefined) parts.push(Prisma.sql`d.kind = ${kind}`);
  if (after !== undefined) parts.push(Prisma.sql`d.id > ${BigInt(after)}`);
  const [rows, counts] = await Promise.all([
    ctx.db.$queryRaw<DifferenceRow[]>(Prisma.sql`
      SELECT d.id, d.kind, d.subject, d.out_trade_no, t.order_no, d.ours, d.theirs, d.found_at, d.resolved_at,
             d.resolution, d.resolved_by
      FROM difference d LEFT JOIN trade t ON t.out_trade_no = d.out_trade_no
      WHERE ${Prisma.join(parts, ' AND ')} ORDER BY d.id LIMIT ${differencePageSize + 1}`),
    ctx.db.$queryRaw<KindCount[]>(Prisma.sql`
      SELECT d.kind, count(*)::int AS count FROM difference d WHERE ${day} GROUP BY d.kind`),
  ]);
  const shown = rows.slice(0, differencePageSize);
  return {
    rows: shown,
    next: rows.length > differencePageSize ? String(shown.at(-1)?.id) : undefined,
    kinds: counts.sort((a, b) => differenceKinds.indexOf(a.kind) - differenceKinds.indexOf(b.kind)),
  };
}

/** The fee that amount and rate come to, in hundred-thousandths of a yuan; undefined when the bill does not say both. */
export function expectedFee({ theirs }: Pick<DifferenceRow, 'theirs'>): number | undefined {
  const { total_fen, refund_fen, rate } = Object(theirs) as Record<string, unknown>;
  const fen =
    typeof total_fen === 'number' ? total_fen : typeof refund_fen === 'number' ? -refund_fen : undefined;
  const [, whole = '', part = ''] =
    /^(\d{1,2})(?:\.(\d{1,2}))?%$/.exec(typeof rate === 'string' ? rate : '') ?? [];
  if (fen === undefined || whole === '') return undefined;
  return Math.round((fen * Number(whole + part.padEnd(2, '0'))) / 10);
}

/** What a day holds of both sides in one row each: our word, the bill's word, and whether they say the same. */
export interface EvidencePair {
  field: EvidenceField;
  ours: Evidence;
  theirs: Evidence;
}
export type EvidenceField = (typeof evidenceFields)[number]['field'];
/** A number is fen, or hundred-thousandths of a yuan for `fee`. */
export type Evidence = string | number | undefined;

const evidenceFields = [
  { field: 'amount', names: ['total_fen', 'refund_fen'] },
  { field: 'state', names: ['trade_state', 'state', 'refund_state'] },
  { field: 'wechat_number', names: ['transaction_id', 'refund_id'] },
  { field: 'at', names: ['success_at', 'trade_at'] },
  { field: 'fee', names: ['fee_e5'] },
  { field: 'rate', names: ['rate'] },
  { field: 'mch_id', names: ['mch_id'] },
  { field: 'appid', names: ['appid'] },
  { field: 'flow', names: ['flow_fen'] },
] as const;

/** The evidence of both sides field by field; a field that neither side has is left out. */
export function evidenceOf({ ours, theirs }: Pick<DifferenceRow, 'ours' | 'theirs'>): EvidencePair[] {
  const pick = (side: Prisma.JsonValue, names: readonly string[]): Evidence => {
    const fields = Object(side) as Record<string, unknown>;
    const found = names.map((name) => fields[name]).find((value) => value !== undefined && value !== null);
    return typeof found === 'string' || typeof found === 'number' ? found : undefined;
  };
  return evidenceFields
    .map(({ field, names }) => ({ field, ours: pick(ours, names), theirs: pick(theirs, names) }))
    .filter((pair) => pair.ours !== undefined || pair.theirs !== undefined);
}

export const explainInput = z.strictObject({
  note: z
    .string()
    .trim()
    .min(1, 'must say why')
    .max(200, 'must be at most 200 characters')
    .refine(isStorable, notStorable),
});

export interface Explained {
  /** False when somebody, or a later bill, had resolved it before: their word stands. */
  made: boolean;
  resolution: string;
  resolved_by: string;
}

/** Marks an open difference as explained; the first note stands. Throws `not_found`. */
export async function explainDifference(
  ctx: Context,
  operator: Operator,
  id: string,
  { note }: z.output<typeof explainInput>,
): Promise<Explained> {
  if (!/^\d{1,18}$/.test(id)) throw new AppError('not_found');
  return ctx.db.$transaction(async (tx) => {
    const { count } = await tx.difference.updateMany({
      where: { id: BigInt(id), resolved_at: null },
      data: { resolved_at: ctx.now(), resolution: note, resolved_by: operator.admin.username },
    });
    const row = await tx.difference.findUnique({ where: { id: BigInt(id) } });
    if (row === null) throw new AppError('not_found');
    const { subject, kind, bill_date, resolution, resolved_by } = row;
    const made = count === 1;
    await addAudit({ db: tx, now: ctx.now }, operator, 'difference_explained', subject, {
      id,
      kind,
      bill_date: dateOf(bill_date),
      note,
      made,
    });
    return { made, resolution: resolution ?? '', resolved_by: resolved_by ?? '' };
  });
}

export const reconcileInput = z.strictObject({});

/** Fetches a day's bill and compares it once more. Throws `not_found`, `bill_too_early`, `busy`. */
export async function reconcileByOperator(
  ctx: Context,
  operator: Operator,
  date: string,
): Promise<StatementResult> {
  if (!dayPattern.test(date) || billReadyAt(date) === undefined) throw new AppError('not_found');
  return auditingRefusals(ctx, operator, 'statement_refused', date, {}, async () => {
    const result = await reconcileDay(ctx, date);
    await addAudit(ctx, operator, 'statement', date, { ...result });
    return result;
  });
}
