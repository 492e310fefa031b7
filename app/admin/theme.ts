/**
 * The console's colours in both schemes, as antd's seeds. Darker and lighter than antd's own where those would be
 * hard to read (WCAG AA, 4.5 : 1 for text).
 */
import { theme } from 'antd';
import type { ThemeConfig } from 'antd/es/config-provider';
import { variablesClass } from './theme_class.ts';

const common = {
  cssVar: { key: variablesClass },
  hashed: false,
} as const satisfies ThemeConfig;

const fontFamily =
  "-apple-system, BlinkMacSystemFont, 'Segoe UI', 'PingFang SC', 'Hiragino Sans GB', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif";

export const lightTheme: ThemeConfig = {
  ...common,
  algorithm: theme.defaultAlgorithm,
  token: {
    colorPrimary: '#0958d9',
    colorInfo: '#0958d9',
    colorSuccess: '#237804',
    colorWarning: '#ad4e00',
    colorError: '#cf1322',
    colorLink: '#0958d9',
    colorLinkHover: '#003eb3',
    colorLinkActive: '#002c8c',
    colorSuccessBg: '#f0fae8',
    colorSuccessBorder: '#b7dfa0',
    colorWarningBg: '#fff6e8',
    colorWarningBorder: '#f3cfa0',
    colorErrorBg: '#fff1f0',
    colorErrorBorder: '#ffb3ad',
    colorTextTertiary: 'rgba(0, 0, 0, 0.62)',
    colorTextQuaternary: 'rgba(0, 0, 0, 0.56)',
    fontFamily,
  },
};

export const darkTheme: ThemeConfig = {
  ...common,
  algorithm: theme.darkAlgorithm,
  token: {
    colorPrimary: '#3c89e8',
    colorInfo: '#65a9f3',
    colorSuccess: '#6abe39',
    colorWarning: '#e8b339',
    colorError: '#f37370',
    colorLink: '#65a9f3',
    colorLinkHover: '#8fc2f7',
    colorLinkActive: '#b7d8fa',
    colorTextTertiary: 'rgba(255, 255, 255, 0.65)',
    colorTextQuaternary: 'rgba(255, 255, 255, 0.6)',
    fontFamily,
  },
  // White on this red is hard to read.
  components: { Button: { dangerColor: '#1f0706' } },
};
