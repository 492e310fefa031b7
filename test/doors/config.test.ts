/** The settings of a deployment: all faults at once, no simulator by accident, and an example that tells the truth. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ConfigError, envExample, readConfig, settings } from '../../lib/config.ts';

const good: Record<string, string> = {
  DATABASE_URL: 'postgresql://guitai:secret@127.0.0.1:5432/guitai',
  PUBLIC_URL: 'https://shop.example.com',
  SESSION_PASSWORD: 'a password that only this test knows, 0123456789',
  SHOP_NAME: '柜台小店',
  WECHAT_APPID: 'wx00000000000000aa',
  WECHAT_APP_SECRET: 'abcdefabcdefabcdefabcdefabcdefab',
  WECHAT_MCH_ID: '1900000109',
  WECHAT_API_V2_KEY: 'ABCDEFabcdefabcdefabcdefabcdefab',
};

/** The settings found faulty, each once, sorted. */
function faulty(environment: Record<string, string | undefined>): string[] {
  try {
    readConfig(environment);
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    return [...new Set(thrown.faults.map(({ setting }) => setting as string))].sort();
  }
  return [];
}

describe('all faults at once', () => {
  test('what a production needs is enough', () => {
    expect(faulty(good)).toEqual([]);
    expect(readConfig(good).WECHAT_PAY_BASE_URL).toBe('https://api.mch.weixin.qq.com');
  });

  test('nothing set: every setting without a default is named', () => {
    const named = faulty({});
    for (const name of [
      'DATABASE_URL',
      'PUBLIC_URL',
      'SESSION_PASSWORD',
      'SHOP_NAME',
      'WECHAT_APPID',
      'WECHAT_APP_SECRET',
      'WECHAT_MCH_ID',
    ]) {
      expect(named).toContain(name);
    }
  });

  test.each(Object.keys(good).filter((name) => name !== 'WECHAT_API_V2_KEY'))(
    'without %s: it alone is named',
    (name) => {
      expect(faulty({ ...good, [name]: undefined })).toEqual([name]);
      expect(faulty({ ...good, [name]: '' })).toEqual([name]);
    },
  );

  test('a missing setting, a wrong one, a simulator and TLS switched off are told together', () => {
    const named = faulty({
      ...good,
      DATABASE_URL: undefined,
      WECHAT_MCH_ID: 'abc',
      WECHAT_API_BASE_URL: 'http://127.0.0.1:8000',
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
    });
    expect(named).toEqual(['DATABASE_URL', 'WECHAT_API_BASE_URL', 'WECHAT_MCH_ID', 'WECHAT_PAY_BASE_URL']);
  });

  test('the message says what is wrong and what would be right, and no value that was set', () => {
    try {
      readConfig({ ...good, WECHAT_APP_SECRET: 'too-short-canary', WECHAT_TIMEOUT_MS: 'soon' });
      expect.unreachable();
    } catch (thrown) {
      const { message } = thrown as ConfigError;
      expect(message).toMatch(/^2 setting\(s\)/);
      expect(message).toMatch(/WECHAT_APP_SECRET[\s\S]*开发者密码[\s\S]*for example/);
      expect(message).not.toMatch(/canary/);
    }
  });

  test('a v3 shop without its keys: each of them is named, the v2 key is not', () => {
    expect(faulty({ ...good, WECHAT_API_VERSION: 'v3', WECHAT_API_V2_KEY: undefined })).toEqual([
      'WECHAT_API_V3_KEY',
      'WECHAT_MERCHANT_CERTIFICATE',
      'WECHAT_MERCHANT_KEY',
    ]);
    expect(faulty({ ...good, WECHAT_API_V2_KEY: undefined })).toEqual(['WECHAT_API_V2_KEY']);
  });

  test('a key that is wrong is told once, as wrong, not as missing too', () => {
    try {
      readConfig({ ...good, WECHAT_API_V2_KEY: 'x' });
      expect.unreachable();
    } catch (thrown) {
      expect((thrown as ConfigError).faults.map(({ fault }) => fault)).toEqual([
        'must be 32 letters or digits',
      ]);
    }
  });

  const wrong: [string, string][] = [
    ['WECHAT_API_VERSION', 'v4'],
    ['DATABASE_URL', 'mysql://x'],
    ['PUBLIC_URL', 'https://shop.example.com/'],
    ['PUBLIC_URL', 'https://shop.example.com?x=1'],
    ['PUBLIC_URL', 'ftp://shop.example.com'],
    ['PUBLIC_URL', 'http://shop.example.com'],
    ['SESSION_PASSWORD', 'short'],
    ['SESSION_PASSWORD', '{"1":"short"}'],
    ['SESSION_PASSWORD', '{}'],
    ['SESSION_PASSWORD', '{not json, though long enough to be a password}'],
    ['SHOP_NAME', '   '],
    ['ORDER_EXPIRES_MINUTES', '4'],
    ['ORDER_EXPIRES_MINUTES', '10081'],
    ['ORDER_EXPIRES_MINUTES', '7.5'],
    ['TRUSTED_PROXIES', '-1'],
    ['WECHAT_APPID', 'wx1'],
    ['WECHAT_MCH_ID', '19000001O9'],
    ['WECHAT_API_V2_KEY', 'x'],
    ['WECHAT_SIGN_TYPE', 'SHA1'],
    ['WECHAT_TIMEOUT_MS', '1'],
    ['WECHAT_SERVER_TOKEN', 'a token'],
    ['WECHAT_SERVER_AES_KEY', 'short'],
    ['WECHAT_JS_SDK_URL', 'https://evil.example/jweixin-1.6.0.js'],
    ['WECHAT_JS_SDK_URL', 'http://res.wx.qq.com/open/js/jweixin-1.6.0.js'],
    ['WECHAT_JS_SDK_URL', "https://res.wx.qq.com/';x.js"],
    ['WECHAT_DOMAIN_FILES', 'WW_verify_abc.txt'],
    ['WECHAT_DOMAIN_FILES', '../secret.txt=x'],
    ['WECHAT_MESSAGE_TEMPLATE_ID', 'x'],
    ['WECHAT_MESSAGE_DATA', '{}'],
    ['WECHAT_MESSAGE_DATA', '{"thing1":{"value":"x"}}'],
    ['WECHAT_PAYMENT_DIRECTORIES', 'https://shop.example.com/pay'],
    [
      'WECHAT_PAYMENT_DIRECTORIES',
      'https://a.cn/,https://b.cn/,https://c.cn/,https://d.cn/,https://e.cn/,https://f.cn/',
    ],
    ['WECHAT_OAUTH_DOMAIN', 'https://shop.example.com'],
    ['WECHAT_H5_DOMAINS', 'shop.example.com/pay'],
    ['GUITAI_ALLOW_SIMULATOR', 'true'],
    ['LOG_LEVEL', 'loud'],
  ];
  test.each(wrong)('%s=%s is refused', (name, value) => {
    expect(faulty({ ...good, [name]: value })).toEqual([name]);
  });

  test.each([
    ['WECHAT_PRODUCTS', 'JSAPI,MICROPAY'],
    ['WECHAT_PRODUCTS', 'FACEPAY'],
    ['RED_PACKET_DAILY_LIMIT_FEN', '100'],
  ])('%s=%s wants what reverses and sends: the certificate and its key', (name, value) => {
    expect(faulty({ ...good, [name]: value })).toEqual([
      'WECHAT_MERCHANT_CERTIFICATE',
      'WECHAT_MERCHANT_KEY',
    ]);
  });

  test('a provider sends no red packets', () => {
    const sellers = '[{"sub_mch_id":"1900000110","name":"西湖店"}]';
    const faults = faulty({ ...good, RED_PACKET_DAILY_LIMIT_FEN: '100', WECHAT_SUB_MERCHANTS: sellers });
    expect(faults).toContain('RED_PACKET_DAILY_LIMIT_FEN');
    expect(faulty({ ...good, WECHAT_SUB_MERCHANTS: sellers })).toEqual([]);
  });

  test('lists, files and template fields are read once, here', () => {
    const read = readConfig({
      ...good,
      WECHAT_DOMAIN_FILES: 'MP_verify_Wm3WZYTPz0wzccnW.txt, WW_verify_abc.txt=def',
      WECHAT_MESSAGE_DATA: '{"thing1":"{title}"}',
      WECHAT_PAYMENT_DIRECTORIES: 'https://shop.example.com/pay/, https://shop.example.com/',
    });
    expect(read.WECHAT_DOMAIN_FILES).toEqual({
      'MP_verify_Wm3WZYTPz0wzccnW.txt': 'Wm3WZYTPz0wzccnW',
      'WW_verify_abc.txt': 'def',
    });
    expect(read.WECHAT_MESSAGE_DATA).toEqual({ thing1: '{title}' });
    expect(read.WECHAT_PAYMENT_DIRECTORIES).toEqual([
      'https://shop.example.com/pay/',
      'https://shop.example.com/',
    ]);
    expect(readConfig(good).WECHAT_PAYMENT_DIRECTORIES).toEqual([]);
  });

  test('an AES key needs its token', () => {
    const key = { WECHAT_SERVER_AES_KEY: 'k'.repeat(43) };
    expect(faulty({ ...good, ...key })).toEqual(['WECHAT_SERVER_TOKEN']);
    expect(faulty({ ...good, ...key, WECHAT_SERVER_TOKEN: 'mine0123' })).toEqual([]);
  });

  test('the example of a secret is public, and therefore no secret', () => {
    for (const [name, setting] of Object.entries(settings)) {
      if ('secret' in setting) expect(faulty({ ...good, [name]: setting.example })).toContain(name);
    }
  });

  test('a change of key: several passwords, the newest first', () => {
    const both = JSON.stringify({ '2': 'n'.repeat(32), '1': 'o'.repeat(32) });
    expect(faulty({ ...good, SESSION_PASSWORD: both })).toEqual([]);
  });
});

describe('a simulator only on purpose', () => {
  const addresses = ['WECHAT_PAY_BASE_URL', 'WECHAT_API_BASE_URL', 'WECHAT_OPEN_BASE_URL'];
  const elsewhere = [
    'http://127.0.0.1:8080',
    'https://evil.example',
    'https://api.mch.weixin.qq.com.evil.example',
    'https://evilweixin.qq.com.example',
    'https://notweixin.qq.com',
    'https://api.mch.weixin.qq.com@evil.example',
    'http://api.mch.weixin.qq.com',
  ];
  test.each(addresses)('%s elsewhere needs both consents', (name) => {
    for (const address of elsewhere) {
      const environment = { ...good, [name]: address };
      expect(faulty(environment), address).toEqual([name]);
      expect(faulty({ ...environment, GUITAI_ALLOW_SIMULATOR: 'yes' }), address).toEqual([name]);
      expect(faulty({ ...environment, GUITAI_NO_REAL_MONEY: 'yes' }), address).toEqual([name]);
      const both = { ...environment, GUITAI_ALLOW_SIMULATOR: 'yes', GUITAI_NO_REAL_MONEY: 'yes' };
      expect(faulty(both), address).toEqual([]);
    }
  });

  test('WeChat’s own second host is no simulator', () => {
    expect(faulty({ ...good, WECHAT_PAY_BASE_URL: 'https://api2.mch.weixin.qq.com' })).toEqual([]);
  });

  test('TLS switched off is refused even with both consents', () => {
    const both = { GUITAI_ALLOW_SIMULATOR: 'yes', GUITAI_NO_REAL_MONEY: 'yes' };
    expect(faulty({ ...good, ...both, NODE_TLS_REJECT_UNAUTHORIZED: '0' })).toEqual(['WECHAT_PAY_BASE_URL']);
  });
});

test('.env.example is made of the table of settings, and holds every one', () => {
  const file = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8');
  expect(file).toBe(envExample());
  for (const name of Object.keys(settings)) expect(file).toMatch(new RegExp(`^#?${name}=`, 'm'));
});
