/** Head of every page of the console: shop, sections, who is signed in. Without a session it shows nothing of that. */
import type { ReactNode } from 'react';
import { context } from '../../../lib/context.ts';
import { currentOperator } from '../operator.ts';
import { Logout } from './logout.client.tsx';
import { Sections } from './sections.client.tsx';

export default async function ConsoleLayout({ children }: { children: ReactNode }) {
  const operator = await currentOperator();
  if (operator === undefined) return children;
  return (
    <>
      <header className="bar">
        <span className="bar-shop">{context().config.SHOP_NAME}</span>
        <Sections />
        <span className="bar-user" title={`已登录：${operator.username}`}>
          {operator.username}
        </span>
        <Logout />
      </header>
      {children}
    </>
  );
}
