/** The operator's console: its look, and that no search engine lists it. Who may see what is each page's own question. */
import type { Metadata } from 'next';
import type { ReactNode } from 'react';
import { context } from '../../lib/context.ts';
import './admin.css';
import './desk.css';
import './antd_dark.css';
import { Look } from './look.client.tsx';
import { variablesClass } from './theme_class.ts';

export const dynamic = 'force-dynamic';

export function generateMetadata(): Metadata {
  const { SHOP_NAME } = context().config;
  return {
    title: { template: `%s · ${SHOP_NAME} 柜台`, default: `${SHOP_NAME} 柜台` },
    robots: { index: false, follow: false },
  };
}

export default function AdminLayout({ children }: { children: ReactNode }) {
  return (
    <Look>
      <div className={`admin ${variablesClass}`} lang="zh-CN">
        {children}
      </div>
    </Look>
  );
}
