/**
 * Trouble with WeChat that a person must mend in its consoles, kept for the operator: one row per kind of call, ended by
 * itself when a call of that kind works again, or, where shoppers' pages report it, when none has for a day. It holds
 * WeChat's words, never a token or a secret.
 */
import type { Context } from './context.ts';
import { Prisma } from './db.ts';
import type { OfficialAccountError } from './wechat/index.ts';

/**
 * `mini`: a mini-program's sign-in. `pay_page`, `js_page`: what WeChat told a shopper's page of where it lies; `errmsg`
 * is that page. `place …`: orders of a way of paying that WeChat has not granted.
 */
export type AccountCall =
  | 'access_token'
  | 'jsapi_ticket'
  | 'oauth'
  | 'message'
  | 'mini'
  | PageCall
  | `place ${string}`;

export type PageCall = 'pay_page' | 'js_page';

/** Notes a call that failed; the same trouble again only counts. */
export async function noteAccountFault(
  ctx: Context,
  call: AccountCall,
  error: OfficialAccountError,
): Promise<void> {
  await noteFault(ctx, call, error);
}

/** The same of any answer with a code. */
export async function noteFault(
  ctx: Context,
  call: AccountCall,
  error: { code: string; errmsg: string; errcode?: number | undefined; console_page?: string | undefined },
): Promise<void> {
  const now = ctx.now();
  const code = error.code.slice(0, 32);
  const errmsg = error.errmsg.replaceAll('\u0000', '').slice(0, 512);
  ctx.log.warn({ call, code, errmsg, console_page: error.console_page }, 'WeChat answered no');
  await ctx.db.$executeRaw(Prisma.sql`
    INSERT INTO account_fault AS f (call, errcode, code, errmsg, times, first_at, last_at)
    VALUES (${call}, ${error.errcode ?? null}, ${code}, ${errmsg}, 1, ${now}, ${now})
    ON CONFLICT (call) DO UPDATE SET
      errcode = excluded.errcode, code = excluded.code, errmsg = excluded.errmsg, last_at = excluded.last_at,
      times = CASE WHEN f.ended_at IS NULL AND f.code = excluded.code THEN f.times + 1 ELSE 1 END,
      first_at = CASE WHEN f.ended_at IS NULL AND f.code = excluded.code THEN f.first_at ELSE excluded.first_at END,
      ended_at = NULL`);
}

/** Notes that this kind of call works. */
export async function noteAccountWorks(ctx: Context, call: AccountCall): Promise<void> {
  await ctx.db.account_fault.updateMany({
    where: { call, ended_at: null },
    data: { ended_at: ctx.now() },
  });
}
