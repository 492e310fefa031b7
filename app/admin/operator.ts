/**
 * The doorkeeper of the console's pages: every page asks it, no layout or proxy does it for them. JSON doorways have
 * their own, which answers 401.
 */
import { cookies } from 'next/headers';
import { redirect } from 'next/navigation';
import { cache } from 'react';
import { readAdmin, type SignedInAdmin } from '../../lib/admin_account.ts';
import { loginPath } from '../../lib/admin_return.ts';
import { context } from '../../lib/context.ts';

/** The operator behind this page, asked once per request; undefined when nobody is signed in. */
export const currentOperator = cache(
  async (): Promise<SignedInAdmin | undefined> => readAdmin(context(), await cookies()),
);

/** The operator behind this page, else the way to the login and back to `path`. */
export async function requireOperator(path: string): Promise<SignedInAdmin> {
  return (await currentOperator()) ?? redirect(loginPath(path));
}
