/** Where an operator signs in; whoever is signed in already goes straight on. */
import type { Metadata } from 'next';
import { redirect } from 'next/navigation';
import { returnPath } from '../../../lib/admin_return.ts';
import { context } from '../../../lib/context.ts';
import { currentOperator } from '../operator.ts';
import { LoginForm } from './login_form.client.tsx';

export const metadata: Metadata = { title: '登录' };

export default async function LoginPage({
  searchParams,
}: {
  searchParams: Promise<Record<string, string | string[] | undefined>>;
}) {
  const next = returnPath((await searchParams).next);
  if ((await currentOperator()) !== undefined) redirect(next);
  return (
    <main className="login">
      <div className="login-box">
        <p className="login-shop">{context().config.SHOP_NAME}</p>
        <h1>柜台管理登录</h1>
        <LoginForm next={next} />
      </div>
    </main>
  );
}
