/**
 * The operators' book: who did what, from where, and what came of it. Rows are added and read; nothing here, and no
 * address of ours, changes or removes one.
 */
import { z } from 'zod';
import type { SignedInAdmin } from './admin_account.ts';
import { cursor } from './admin_cursor.ts';
import type { Context } from './context.ts';
import { type Db, Prisma, type Tx } from './db.ts';
import { AppError } from './errors.ts';

/** Who acts, and from where: what every audit row begins with. */
export interface Operator {
  admin: SignedInAdmin;
  ip: string;
}

export const auditActions = [
  'refund',
  'refund_refused',
  'refund_abnormal',
  'refund_abnormal_refused',
  'close',
  'close_refused',
  'requery',
  'statement',
  'statement_refused',
  'difference_explained',
  'charge',
  'charge_refused',
  'reverse',
  'reverse_refused',
  'face_auth',
  'red_packet',
  'red_packet_refused',
] as const;
export type AuditAction = (typeof auditActions)[number];

/** Adds a row; with a transaction as `db`, it stands or falls with what it tells of. */
export async function addAudit(
  ctx: { db: Pick<Db | Tx, 'audit'>; now: () => Date },
  { admin, ip }: Operator,
  action: AuditAction,
  target: string,
  data: Prisma.InputJsonObject,
): Promise<void> {
  await ctx.db.audit.create({
    data: { at: ctx.now(), admin_id: admin.id, username: admin.username, ip, action, target, data },
    select: { id: true },
  });
}

/** Runs an action; one that is refused with a code leaves a row that says so, and stays refused. */
export async function auditingRefusals<Result>(
  ctx: Context,
  operator: Operator,
  action: AuditAction,
  target: string,
  wish: Prisma.InputJsonObject,
  act: () => Promise<Result>,
): Promise<Result> {
  try {
    return await act();
  } catch (thrown) {
    if (thrown instanceof AppError) {
      await addAudit(ctx, operator, action, target, { ...wish, code: thrown.code });
    }
    throw thrown;
  }
}

export const auditFilter = z.object({
  action: z.enum(auditActions).optional().catch(undefined),
  /** An order number, a day, or the number a difference is about: whole. */
  target: z
    .string()
    .trim()
    .regex(/^[\w*|@-]{4,64}$/)
    .optional()
    .catch(undefined),
  after: cursor('\\d{1,18}'),
});
export type AuditFilter = z.output<typeof auditFilter>;

export interface AuditRow {
  id: bigint;
  at: Date;
  username: string;
  ip: string;
  action: string;
  target: string;
  data: Prisma.JsonValue;
}

export const auditPageSize = 50;

/** One page, newest first, by keyset on (at, id); `next` is the `after` of the following page. */
export async function listAudit(
  ctx: Context,
  { action, target, after }: AuditFilter,
): Promise<{ rows: AuditRow[]; next: string | undefined }> {
  const [at, id] = after?.split('_') ?? [];
  const parts = [Prisma.sql`true`];
  if (action !== undefined) parts.push(Prisma.sql`action = ${action}`);
  if (target !== undefined) parts.push(Prisma.sql`target = ${target}`);
  if (at !== undefined && id !== undefined) {
    parts.push(Prisma.sql`(at, id) < (${new Date(Number(at))}, ${BigInt(id)})`);
  }
  const rows = await ctx.db.$queryRaw<AuditRow[]>(Prisma.sql`
    SELECT id, at, username, ip, action, target, data FROM audit
    WHERE ${Prisma.join(parts, ' AND ')} ORDER BY at DESC, id DESC LIMIT ${auditPageSize + 1}`);
  const shown = rows.slice(0, auditPageSize);
  const last = shown.at(-1);
  return {
    rows: shown,
    next: rows.length > auditPageSize && last ? `${last.at.getTime()}_${last.id}` : undefined,
  };
}
