/** The console's doorkeeper for JSON doorways; pages have their own, which leads to the login instead. */
import { readAdmin, type SignedInAdmin } from './admin_account.ts';
import type { Context } from './context.ts';
import { AppError } from './errors.ts';

/** The operator behind a request; throws `sign_in_required`. */
export async function requireAdmin(ctx: Context, request: Request): Promise<SignedInAdmin> {
  const admin = await readAdmin(ctx, request);
  if (admin === undefined) throw new AppError('sign_in_required');
  return admin;
}
