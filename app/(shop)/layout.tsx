/** The frame of a shopper's pages: look, viewport and the other language. */
import type { Viewport } from 'next';
import type { ReactNode } from 'react';
import { words } from '../../lib/words.ts';
import { languageOfPage } from '../language.ts';
import './shop.css';

export const viewport: Viewport = {
  width: 'device-width',
  initialScale: 1,
  viewportFit: 'cover',
  colorScheme: 'light dark',
  themeColor: [
    { media: '(prefers-color-scheme: light)', color: '#f5f5f5' },
    { media: '(prefers-color-scheme: dark)', color: '#111111' },
  ],
};

export default async function ShopLayout({ children }: { children: ReactNode }) {
  const language = await languageOfPage();
  const other = language === 'zh' ? 'en' : 'zh';
  return (
    <div className="page">
      {children}
      <footer className="foot">
        <a href={`?lang=${other}`} hrefLang={other} lang={other === 'zh' ? 'zh-CN' : 'en'}>
          {words[language].other_language}
        </a>
      </footer>
    </div>
  );
}
