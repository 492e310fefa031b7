/**
 * Whether this instance can take payments: the database answers, its tables are this version's, the queue is there.
 */
import type { Context } from './context.ts';
import { Prisma } from './db.ts';

export interface Readiness {
  ready: boolean;
  reasons: string[];
}

export async function readiness(ctx: Context): Promise<Readiness> {
  try {
    const [row] = await ctx.db.$queryRaw<{ counter: boolean; queue: boolean }[]>(Prisma.sql`
      SELECT to_regclass('public.trade') IS NOT NULL AS counter,
             to_regclass('pgboss.job') IS NOT NULL AS queue`);
    const reasons = [
      ...(row?.counter ? [] : ['the tables are missing: run npm run migrate']),
      ...(row?.queue ? [] : ['the job queue is missing: run npm run migrate']),
    ];
    return { ready: reasons.length === 0, reasons };
  } catch (err) {
    ctx.log.error({ err }, 'not ready');
    return { ready: false, reasons: ['the database does not answer'] };
  }
}
