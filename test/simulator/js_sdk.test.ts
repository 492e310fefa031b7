// The JS-SDK that the simulator serves, and the two phones, in a real browser: wx.config is judged by the platform's own
// ticket and domain, wx.chooseWXPay pays through the bridge; and the shop's own module stands in front of both.

import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { rolldown } from 'rolldown';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { launchBrowser } from '../setup/browser.ts';
import { type Fields, openWorld, sign, type World } from './world.ts';

const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.56';
const ANDROID =
  'Mozilla/5.0 (Linux; Android 14; wv) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Mobile Safari/537.36 MicroMessenger/8.0.56';

let w: World;
let shop: Server;
let origin: string;
let browser: Browser;
let context: BrowserContext;
let module_text = '';
/** What the shop's doorway answers: the true signature, or another. */
let doorway = (url: string): Promise<{ status: number; body: unknown }> => trueConfig(url);

async function ticket(): Promise<string> {
  const { appid, secret } = w.config.official_account;
  const ask = async (path: string): Promise<Record<string, string>> =>
    JSON.parse(await (await fetch(`${w.url}${path}`)).text());
  const { access_token } = await ask(
    `/cgi-bin/token?grant_type=client_credential&appid=${appid}&secret=${secret}`,
  );
  return (await ask(`/cgi-bin/ticket/getticket?type=jsapi&access_token=${access_token}`)).ticket ?? '';
}

async function trueConfig(url: string) {
  const [noncestr, timestamp] = ['nonce', 1_700_000_000];
  const text = `jsapi_ticket=${await ticket()}&noncestr=${noncestr}&timestamp=${timestamp}&url=${url}`;
  return {
    status: 200,
    body: {
      appId: w.config.official_account.appid,
      timestamp,
      nonceStr: noncestr,
      signature: createHash('sha1').update(text).digest('hex'),
      jsApiList: ['chooseWXPay'],
      script_url: `${w.url}/open/js/jweixin-1.6.0.js`,
    },
  };
}

beforeAll(async () => {
  const bundle = await rolldown({ input: 'app/(shop)/pay/js_sdk.client.ts', platform: 'browser' });
  const { output } = await bundle.generate({ format: 'iife', name: 'jsSdk', exports: 'named' });
  await bundle.close();
  module_text = output[0].code;
  shop = createServer(async (request, response) => {
    const target = new URL(request.url ?? '/', origin);
    if (target.pathname === '/api/wechat/jssdk') {
      const { status, body } = await doorway(target.searchParams.get('url') ?? '');
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
      return;
    }
    response.writeHead(200, {
      'Content-Type': 'text/html; charset=utf-8',
      // The shop's own policy for scripts; the bridge, which is none of the page's, may call the simulator.
      'Content-Security-Policy': `default-src 'self'; script-src 'self' 'nonce-n' 'strict-dynamic'; style-src 'unsafe-inline'; connect-src 'self' ${w.url}`,
    });
    response.end(
      `<!doctype html><title>店</title><script nonce="n">window.had = typeof WeixinJSBridge !== 'undefined';${module_text};window.jsSdk = jsSdk;</script><h1>店</h1>`,
    );
  });
  await new Promise<void>((done) => shop.listen(0, '127.0.0.1', done));
  origin = `http://127.0.0.1:${(shop.address() as AddressInfo).port}`;
  w = await openWorld({ shop_origin: origin });
  browser = await launchBrowser();
}, 90_000);
afterAll(async () => {
  await browser?.close();
  await w?.close();
  shop.closeAllConnections();
  shop.close();
});
beforeEach(() => {
  doorway = trueConfig;
});
afterEach(() => context.close());

/** The shop's page on a phone with this User-Agent. */
async function open(userAgent: string, options: Record<string, string> = {}, path = '/pay/1'): Promise<Page> {
  const script = await (await fetch(`${w.url}/_sim/bridge.js?${new URLSearchParams(options)}`)).text();
  context = await browser.newContext({ userAgent });
  await context.addInitScript({ content: script });
  const page = await context.newPage();
  await page.goto(origin + path);
  return page;
}

async function params(): Promise<{ out_trade_no: string; call: Fields }> {
  const placed = await w.place();
  const signed: Fields = {
    appId: w.merchant.appid,
    timeStamp: '1700000000',
    nonceStr: 'n',
    package: `prepay_id=${placed.prepay_id}`,
    signType: 'MD5',
  };
  return {
    out_trade_no: placed.out_trade_no,
    call: { ...signed, paySign: sign(signed, w.merchant.api_v2_key) },
  };
}

const pay = (page: Page, call: Fields): Promise<{ outcome: string; err_msg: string }> =>
  page.evaluate(
    (given) =>
      new Promise((done) => {
        (
          window as unknown as { jsSdk: { payByJsSdk: (a: unknown, b: (c: never) => void) => void } }
        ).jsSdk.payByJsSdk(given, done as (c: never) => void);
      }),
    call,
  );

describe('the shop’s module pays by wx.chooseWXPay', () => {
  it.each([
    ['ok', 'chooseWXPay:ok', 'SUCCESS'],
    ['cancel', 'chooseWXPay:cancel', 'NOTPAY'],
    ['fail', 'chooseWXPay:fail', 'NOTPAY'],
  ])('%s', async (mode, err_msg, state) => {
    const { out_trade_no, call } = await params();
    const page = await open(ANDROID, { mode });
    expect(await pay(page, call)).toEqual({ outcome: mode, err_msg });
    expect((await w.query(out_trade_no)).fields.trade_state).toBe(state);
  });

  it('a signature of another page is refused before any sheet', async () => {
    const { out_trade_no, call } = await params();
    doorway = (url) => trueConfig(`${url}?x=1`);
    const page = await open(ANDROID, { mode: 'ok' });
    expect(await pay(page, call)).toEqual({ outcome: 'fail', err_msg: 'config:invalid signature' });
    expect((await w.query(out_trade_no)).fields.trade_state).toBe('NOTPAY');
  });

  it('the part after # and the query: the one does not count, the other does', async () => {
    const { call } = await params();
    const page = await open(ANDROID, { mode: 'ok' }, '/pay/1?lang=zh#top');
    expect((await pay(page, call)).err_msg).toBe('chooseWXPay:ok');
  });

  it('an iPhone signs the page that was loaded, Android the present one', async () => {
    for (const userAgent of [IPHONE, ANDROID]) {
      const { call } = await params();
      const page = await open(userAgent, { mode: 'ok' });
      await page.evaluate('history.replaceState({}, "", "/pay/1?moved")');
      expect((await pay(page, call)).err_msg).toBe('chooseWXPay:ok');
      await context.close();
    }
  });

  it.each([
    ['the doorway says no', () => Promise.resolve({ status: 502, body: {} })],
    [
      'the script is not there',
      async (url: string) => {
        const { body } = await trueConfig(url);
        return { status: 200, body: { ...body, script_url: `${w.url}/open/js/nothing.js` } };
      },
    ],
  ])('%s: a failure, told at once', async (_what, answer) => {
    doorway = answer;
    const page = await open(ANDROID, { mode: 'ok' });
    expect(await pay(page, (await params()).call)).toEqual({ outcome: 'fail', err_msg: 'js_sdk:not loaded' });
  });

  it('a page on no registered domain', async () => {
    const { host } = new URL(origin);
    const said = async (js_domains: string[]) => {
      await w.control('PUT', 'shop', { js_domains, oauth_domains: ['elsewhere.example.com'] });
      const page = await open(ANDROID, { mode: 'ok' });
      return (await pay(page, (await params()).call)).err_msg;
    };
    expect(await said(['shop.example.com'])).toBe('config:invalid url domain');
    expect(await said([`${host}/another`])).toBe('config:invalid url domain');
    expect(await said([`${host}/pay`])).toBe('chooseWXPay:ok');
    await w.control('PUT', 'shop', { js_domains: [host], oauth_domains: [host] });
  });
});

describe('two phones, told apart by their User-Agent', () => {
  const bridge = (page: Page, call: Fields) =>
    page.evaluate(
      (given) =>
        new Promise<Record<string, string>>((done) => {
          (
            window as unknown as { WeixinJSBridge: { invoke: (...a: unknown[]) => void } }
          ).WeixinJSBridge.invoke('getBrandWCPayRequest', given, done);
        }),
      call,
    );

  it('an iPhone has the bridge before the first script, Android later', async () => {
    expect(await (await open(IPHONE)).evaluate('window.had')).toBe(true);
    await context.close();
    const page = await open(ANDROID);
    expect(await page.evaluate('window.had')).toBe(false);
    await page.waitForFunction('typeof WeixinJSBridge !== "undefined"');
  });

  it('from a page outside the directory into it by script: Android pays, an iPhone does not', async () => {
    for (const [userAgent, err_msg] of [
      [IPHONE, '当前页面的URL未注册'],
      [ANDROID, 'get_brand_wcpay_request:ok'],
    ] as const) {
      const page = await open(userAgent, { mode: 'ok' }, '/cart');
      await page.waitForFunction('typeof WeixinJSBridge !== "undefined"');
      await page.evaluate('history.pushState({}, "", "/pay/1")');
      expect((await bridge(page, (await params()).call)).err_msg).toBe(err_msg);
      await context.close();
    }
  });

  it('only Android says why a payment failed', async () => {
    for (const [userAgent, told] of [
      [IPHONE, { err_msg: 'get_brand_wcpay_request:fail' }],
      [ANDROID, { err_msg: 'get_brand_wcpay_request:fail', err_desc: '支付失败：下单帐号与支付帐号不一致' }],
    ] as const) {
      const page = await open(userAgent, { mode: 'ok', openid: w.other.openid });
      await page.waitForFunction('typeof WeixinJSBridge !== "undefined"');
      expect(await bridge(page, (await params()).call)).toEqual(told);
      await context.close();
    }
  });
});
