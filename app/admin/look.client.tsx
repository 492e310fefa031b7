'use client';
/**
 * The console's look: antd in Chinese, its styles sent with the first HTML so that nothing flashes. Light here; dark
 * are the same CSS variables with other values, in a stylesheet. Loaded below /admin only.
 */
import { createCache, extractStyle, StyleProvider } from '@ant-design/cssinjs';
import { ConfigProvider } from 'antd';
import zhCN from 'antd/locale/zh_CN';
import { useServerInsertedHTML } from 'next/navigation';
import { type ReactNode, useState } from 'react';
import { lightTheme } from './theme.ts';

export function Look({ children }: { children: ReactNode }) {
  const [cache] = useState(() => createCache());
  useServerInsertedHTML(() => {
    const css = extractStyle(cache, { plain: true, once: true });
    if (css.includes('.data-ant-cssinjs-cache-path{content:"";}')) return null;
    return (
      <style
        data-rc-order="prepend"
        data-rc-priority="-1000"
        // biome-ignore lint/security/noDangerouslySetInnerHtml: antd's own style text, nothing of a user's
        dangerouslySetInnerHTML={{ __html: css }}
      />
    );
  });
  return (
    <StyleProvider cache={cache}>
      <ConfigProvider locale={zhCN} theme={lightTheme} button={{ autoInsertSpace: false }}>
        {children}
      </ConfigProvider>
    </StyleProvider>
  );
}
