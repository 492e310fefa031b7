'use client';
/** What a shopper sees when a page could not be drawn: no detail of ours, one way on. */
import { useEffect, useState } from 'react';
import { Notice } from './notice.tsx';

const sentences = {
  zh: {
    title: '页面暂时打不开',
    text: '系统正忙，请稍后重试。已付的款不会丢失。',
    retry: '重新加载',
    id: '支持编号',
  },
  en: {
    title: 'This page cannot be shown right now',
    text: 'The shop is busy, please try again shortly. Nothing you have paid is lost.',
    retry: 'Reload',
    id: 'Support id',
  },
};

export default function ShopError({ error }: { error: unknown }) {
  const [language, setLanguage] = useState<'zh' | 'en'>('zh');
  useEffect(() => {
    const tag = document.documentElement.lang || navigator.language;
    setLanguage(tag.startsWith('en') ? 'en' : 'zh');
  }, []);
  const digest =
    error instanceof Error && 'digest' in error && typeof error.digest === 'string'
      ? error.digest
      : undefined;
  const { title, text, retry, id } = sentences[language];
  return (
    <Notice
      icon="warn"
      title={title}
      text={digest === undefined ? text : `${text} ${id} ${digest}`}
      testid="error"
    >
      <button className="button primary" type="button" onClick={() => location.reload()}>
        {retry}
      </button>
    </Notice>
  );
}
