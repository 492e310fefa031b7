/**
 * WeChat's rules for addresses: where a payment may start, which page is judged, which domain a page is on; and the
 * same pages before the platform's own judge, who shares no code with ours.
 */
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import type { Product } from '../../lib/config.ts';
import {
  consoleEntries,
  isOnDomain,
  isOnJsDomain,
  judgedPage,
  mayPayOn,
  ruleFindings,
  tellRuleFindings,
} from '../../lib/platform_rules.ts';
import { withinDirectories } from '../../simulator/bridge.ts';

const cases: [string, string, boolean][] = [
  ['the directory itself', 'https://a.com/pay/', true],
  ['a page in it', 'https://a.com/pay/go', true],
  ['query and fragment do not count', 'https://a.com/pay/go?to=/x/y/#/z/', true],
  ['a page in a directory below', 'https://a.com/pay/go/1', false],
  ['a page above', 'https://a.com/pay', false],
  ['another case', 'https://a.com/Pay/go', false],
  ['another scheme', 'http://a.com/pay/go', false],
  ['another port', 'https://a.com:8443/pay/go', false],
  ['a host below', 'https://www.a.com/pay/go', false],
  ['a host that begins alike', 'https://a.com.evil.cn/pay/go', false],
  ['two slashes', 'https://a.com//pay/go', false],
  ['no address', 'pay/go', false],
];

describe('payment directories', () => {
  test.each(cases)('%s', (_what, page, may) => {
    expect(mayPayOn(page, ['https://a.com/pay/'])).toBe(may);
    expect(withinDirectories(page, ['https://a.com/pay/'])).toBe(may);
  });

  test.each([
    ['https://a.com/pay/go/1', true],
    ['https://a.com/', true],
    ['https://a.com', true],
    ['http://a.com/pay/', false],
    ['https://www.a.com/', false],
  ])('a bare domain fits any page of its host: %s', (page, may) => {
    expect(mayPayOn(page, ['https://a.com/'])).toBe(may);
    expect(withinDirectories(page, ['https://a.com/'])).toBe(may);
  });

  test('a directory without its last slash fits nothing', () => {
    expect(mayPayOn('https://a.com/pay/go', ['https://a.com/pay'])).toBe(false);
    expect(withinDirectories('https://a.com/pay/go', ['https://a.com/pay'])).toBe(false);
  });

  test('the sixth is one too many', () => {
    const five = ['b', 'c', 'd', 'e', 'f'].map((name) => `https://${name}.com/`);
    expect(mayPayOn('https://a.com/', [...five.slice(1), 'https://a.com/'])).toBe(true);
    expect(mayPayOn('https://a.com/', [...five, 'https://a.com/'])).toBe(false);
    expect(withinDirectories('https://a.com/', [...five, 'https://a.com/'])).toBe(false);
  });

  test('an iPhone is judged by the first page of the visit, Android by the present one', () => {
    const visit = { first_url: 'https://a.com/', current_url: 'https://a.com/pay/1' };
    expect(mayPayOn(judgedPage('ios', visit), ['https://a.com/pay/'])).toBe(false);
    expect(mayPayOn(judgedPage('android', visit), ['https://a.com/pay/'])).toBe(true);
  });
});

describe('domains', () => {
  test.each([
    ['https://a.com/x', 'a.com', true],
    ['https://a.com:8443/x', 'a.com', true],
    ['https://a.com:8443/x', 'a.com:8443', true],
    ['https://a.com/x', 'a.com:8443', false],
    ['https://www.a.com/x', 'a.com', false],
    ['https://a.com/x', 'www.a.com', false],
  ])('%s on %s: %s', (url, domain, on) => {
    expect(isOnDomain(url, domain)).toBe(on);
  });

  test.each([
    ['https://a.com/pay/1', 'a.com', true],
    ['https://a.com/pay/1', 'a.com/pay', true],
    ['https://a.com/pay/1', 'a.com/pay/', true],
    ['https://a.com/payment', 'a.com/pay', false],
  ])('%s on the JS domain %s: %s', (url, registered, on) => {
    expect(isOnJsDomain(url, registered)).toBe(on);
  });
});

describe('what does not fit is told before a shopper meets it', () => {
  const shop = {
    PUBLIC_URL: 'https://shop.example.com',
    WECHAT_PAYMENT_DIRECTORIES: [],
    WECHAT_OAUTH_DOMAIN: undefined,
    WECHAT_JS_DOMAINS: [],
    WECHAT_H5_DOMAINS: [],
    WECHAT_SERVER_TOKEN: undefined,
    WECHAT_SERVER_AES_KEY: undefined,
    WECHAT_PRODUCTS: ['JSAPI', 'NATIVE', 'MWEB'] satisfies Product[] as Product[],
    WECHAT_API_VERSION: 'v2' as const,
    WECHAT_SUB_MERCHANTS: undefined,
    WECHAT_MESSAGE_TEMPLATE_ID: undefined,
    GUITAI_ALLOW_SIMULATOR: 'no' as const,
  };

  test('nothing is said to be registered: nothing is judged', () => {
    expect(ruleFindings(shop)).toEqual([]);
  });

  test('everything fits', () => {
    const registered = {
      WECHAT_PAYMENT_DIRECTORIES: ['https://other.example.com/', 'https://shop.example.com/pay/'],
      WECHAT_OAUTH_DOMAIN: 'shop.example.com',
      WECHAT_JS_DOMAINS: ['shop.example.com'],
      WECHAT_H5_DOMAINS: ['shop.example.com'],
      WECHAT_SERVER_TOKEN: 'a-token-with-its-key',
      WECHAT_SERVER_AES_KEY: 'a'.repeat(43),
    };
    expect(ruleFindings({ ...shop, ...registered })).toEqual([]);
  });

  test('each that does not fit is named with where it is mended, in the log as well', () => {
    const wrong = {
      ...shop,
      WECHAT_PAYMENT_DIRECTORIES: ['https://shop.example.com/Pay/', 'https://203.0.113.7/pay/'],
      WECHAT_OAUTH_DOMAIN: 'www.example.com',
      WECHAT_JS_DOMAINS: ['www.example.com'],
      WECHAT_H5_DOMAINS: ['www.example.com'],
      WECHAT_SERVER_TOKEN: 'a-token-without-its-key',
    };
    const rules = [
      'payment_directory',
      'payment_directory_host',
      'oauth_domain',
      'js_domain',
      'h5_domain',
      'plain_messages',
    ];
    expect(ruleFindings(wrong).map(({ rule }) => rule)).toEqual(rules);
    for (const { zh, en, console_page } of ruleFindings(wrong)) {
      expect([zh, en, console_page]).not.toContain('');
    }
    expect(told(wrong).map(({ rule }) => rule)).toEqual(rules);
  });

  const told = (config: Parameters<typeof ruleFindings>[0]) => {
    const lines: string[] = [];
    tellRuleFindings(config, pino({}, { write: (line: string) => lines.push(line) }));
    return lines.map((line) => JSON.parse(line) as { rule?: string; setting?: string; msg: string });
  };

  test('what no setting speaks of is told with what must stand where; nothing before the simulator', () => {
    expect(told(shop).map(({ setting, msg }) => [setting, msg.slice(msg.lastIndexOf(' ') + 1)])).toEqual([
      ['WECHAT_PAYMENT_DIRECTORIES', 'https://shop.example.com/pay/'],
      ['WECHAT_OAUTH_DOMAIN', 'shop.example.com'],
      ['WECHAT_JS_DOMAINS', 'shop.example.com'],
      ['WECHAT_H5_DOMAINS', 'shop.example.com'],
    ]);
    expect(told({ ...shop, GUITAI_ALLOW_SIMULATOR: 'yes' })).toEqual([]);
  });

  test('only what an opened way needs must be registered', () => {
    const names = (config: Parameters<typeof consoleEntries>[0]) =>
      consoleEntries(config).map(({ entry }) => entry);
    expect(names({ ...shop, WECHAT_SERVER_TOKEN: 'token' })).toEqual([
      'payment_directory',
      'oauth_domain',
      'js_domain',
      'h5_domain',
      'native_callback',
      'message_url',
      'ip_whitelist',
    ]);
    expect(names({ ...shop, WECHAT_PRODUCTS: ['MWEB'] })).toEqual(['h5_domain']);
    expect(names({ ...shop, WECHAT_PRODUCTS: ['NATIVE'], WECHAT_API_VERSION: 'v3' })).toEqual([]);
    expect(names({ ...shop, WECHAT_PRODUCTS: ['MICROPAY'] })).toEqual([]);
  });

  test('what is registered letter by letter is no finding', () => {
    for (const { entry, value } of consoleEntries(shop)) {
      if (entry === 'payment_directory') expect(mayPayOn(`${value}1`, [value ?? ''])).toBe(true);
      if (entry.endsWith('_domain')) expect(isOnDomain(`${shop.PUBLIC_URL}/pay/1`, value ?? '')).toBe(true);
    }
  });
});
