/**
 * The console's dark values are a stylesheet made from antd's own theme. A new antd, a changed seed or a component
 * used for the first time makes it stale, and this red; `npx vitest run test/doors/admin_dark.test.ts -u` renews it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createCache, extractStyle, StyleProvider } from '@ant-design/cssinjs';
import * as antd from 'antd';
import type { ThemeConfig } from 'antd/es/config-provider';
import { createElement as h } from 'react';
import { renderToString } from 'react-dom/server';
import { expect, test } from 'vitest';
import { darkTheme, lightTheme } from '../../app/admin/theme.ts';

/** Each antd component of the console: rendering it registers its variables. */
const samples = {
  Alert: h(antd.Alert, { title: '' }),
  Button: h(antd.Button),
  Input: [h(antd.Input, { key: 1 }), h(antd.Input.Password, { key: 2 })],
  Result: h(antd.Result),
  Skeleton: h(antd.Skeleton),
  Tag: h(antd.Tag),
  Timeline: h(antd.Timeline, { items: [{ content: '' }] }),
};

/** Selector → variable → value, as a theme gives them. */
function variablesOf(theme: ThemeConfig): Map<string, Map<string, string>> {
  const cache = createCache();
  const rules = new Map<string, Map<string, string>>();
  renderToString(
    h(StyleProvider, { cache }, h(antd.ConfigProvider, { theme }, ...Object.values(samples).flat())),
  );
  const css = extractStyle(cache, { plain: true, types: ['cssVar', 'token'] });
  for (const [, selector = '', body = ''] of css.matchAll(/([^{}]+)\{([^{}]*)\}/g)) {
    const variables = [...body.matchAll(/(--[\w-]+):([^;]*);/g)].map(
      ([, name = '', value = '']): [string, string] => [name, value.replace(/\s+/g, ' ').trim()],
    );
    if (variables.length > 0) rules.set(selector.trim(), new Map(variables));
  }
  return rules;
}

/** Only what differs from the light values, in rules one step stronger than antd's own, wherever those stand. */
function darkSheet(): string {
  const light = variablesOf(lightTheme);
  const rules = [...variablesOf(darkTheme)].flatMap(([selector, variables]) => {
    const different = [...variables].filter(([name, value]) => light.get(selector)?.get(name) !== value);
    if (different.length === 0) return [];
    const lines = different.map(([name, value]) => `    ${name}: ${value};`);
    return [`  html ${selector} {\n${lines.join('\n')}\n  }`];
  });
  return `/* biome-ignore-all format: made by a machine */
/* Made by test/doors/admin_dark.test.ts from antd's dark theme: the values that differ from the light ones. */
@media (prefers-color-scheme: dark) {
${rules.join('\n')}
}
`;
}

test('the dark stylesheet holds what antd gives in the dark', async () => {
  await expect(darkSheet()).toMatchFileSnapshot('../../app/admin/antd_dark.css');
});

test('every antd component the console uses has its dark values', () => {
  const root = new URL('../../app/admin/', import.meta.url);
  const used = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .flatMap((name) => [
      ...readFileSync(new URL(name, root), 'utf8').matchAll(/(?:im|ex)port \{([^}]*)\} from 'antd'/g),
    ])
    .flatMap(([, names = '']) => names.split(','))
    .map((name) => name.trim())
    .filter((name) => name !== '' && !name.startsWith('type '));
  expect(used).toContain('Button');
  const silent = ['ConfigProvider', 'theme'];
  const missing = used.filter((name) => !silent.includes(name) && !Object.hasOwn(samples, name));
  expect([...new Set(missing)]).toEqual([]);
});

/** WCAG's contrast of two `#rrggbb` colours. */
function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [one, other]
    .map((colour) => {
      const [r = 0, g = 0, b = 0] = [1, 3, 5]
        .map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255)
        .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    })
    .sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

test.each([
  ['light', lightTheme],
  ['dark', darkTheme],
])('what only a pointer shows can be read, too: %s', (_name, chosen) => {
  const tokens = antd.theme.getDesignToken(chosen);
  const { colorBgContainer, colorLinkHover, colorLinkActive, colorError, colorErrorHover } = tokens;
  for (const link of [colorLinkHover, colorLinkActive]) {
    expect(contrast(link, colorBgContainer)).toBeGreaterThanOrEqual(4.5);
  }
  const letters = chosen.components?.Button?.dangerColor ?? tokens.colorWhite;
  expect(letters).toMatch(/^#[0-9a-f]{3,6}$/i);
  const six = letters.length === 4 ? letters.replace(/[0-9a-f]/gi, '$&$&') : letters;
  for (const ground of [colorError, ...(chosen === darkTheme ? [colorErrorHover] : [])]) {
    expect(contrast(six, ground)).toBeGreaterThanOrEqual(4.5);
  }
});
