/**
 * The document around every page: language and nothing else. Shoppers' and operators' looks are set further in,
 * so that neither reaches the other.
 */
import type { Metadata } from 'next';
import { connection } from 'next/server';
import type { ReactNode } from 'react';
import { config } from '../lib/config.ts';
import { languageTag } from '../lib/words.ts';
import { languageOfPage } from './language.ts';

export async function generateMetadata(): Promise<Metadata> {
  // Settings belong to the running process; without a request there is nothing to read them for.
  await connection();
  return {
    title: { default: config().SHOP_NAME, template: `%s · ${config().SHOP_NAME}` },
    robots: { index: false, follow: false },
    // Safari would turn order numbers into telephone links, and the page would no longer be what was sent.
    formatDetection: { telephone: false, email: false, address: false, date: false },
  };
}

export default async function RootLayout({ children }: { children: ReactNode }) {
  return (
    <html lang={languageTag[await languageOfPage()]}>
      <body>{children}</body>
    </html>
  );
}
