/** The console's doorkeeper for JSON doorways; pages have their own, which leads to the login instead. */
import { readAdmin, type SignedInAdmin } from './admin_account.ts';
import type { Operator } from './admin_audit.ts';
import type { Context } from './context.ts';
import { AppError } from './errors.ts';
import { clientIp, requireOwnOrigin } from './http.ts';

/** The operator behind a request; throws `sign_in_required`. */
export async function requireAdmin(ctx: Context, request: Request): Promise<SignedInAdmin> {
  const admin = await readAdmin(ctx, request);
  if (admin === undefined) throw new AppError('sign_in_required');
  return admin;
}

/** The operator who wants something done: from our own pages, signed in. Throws `foreign_origin`, `sign_in_required`. */
export async function actingOperator(ctx: Context, request: Request): Promise<Operator> {
  requireOwnOrigin(ctx, request);
  return { admin: await requireAdmin(ctx, request), ip: clientIp(ctx, request.headers) };
}
