// The bridge script in a real browser: when it appears, how each kind of payer ends, and the sheet itself.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../setup/browser.ts';
import { type Fields, openWorld, sign, type World } from './world.ts';

let w: World;
let shop: Server;
let origin: string;
let browser: Browser;
let context: BrowserContext;

beforeAll(async () => {
  shop = createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' });
    response.end(`<!doctype html><html><head><title>店</title><script>
      window.had = typeof WeixinJSBridge !== 'undefined';
      document.addEventListener('WeixinJSBridgeReady', () => { window.became = true; });
    </script></head><body><h1>店</h1></body></html>`);
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
afterEach(() => context.close());

/** A page of the shop with the bridge injected before everything else, as a test of the shop would do it. */
async function open(options: Record<string, string | number | boolean>, path = '/pay/1'): Promise<Page> {
  const query = new URLSearchParams(Object.entries(options).map(([k, v]) => [k, String(v)]));
  const script = await (await fetch(`${w.url}/_sim/bridge.js?${query}`)).text();
  context = await browser.newContext();
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

/** Calls the bridge; the callbacks gather in window.answers. */
function invoke(page: Page, call: Fields): Promise<void> {
  return page.evaluate((given) => {
    const here = window as unknown as {
      answers: unknown[];
      WeixinJSBridge: { invoke: (...a: unknown[]) => void };
    };
    here.answers = [];
    here.WeixinJSBridge.invoke('getBrandWCPayRequest', given, (answer: unknown) => here.answers.push(answer));
  }, call);
}

type Callback = { err_msg: string; err_desc?: string };
const answers = (page: Page) => page.evaluate('window.answers') as Promise<Callback[]>;

async function answered(page: Page, count = 1): Promise<string[]> {
  await expect.poll(async () => (await answers(page)).length, { timeout: 10_000 }).toBe(count);
  return (await answers(page)).map((a) => a.err_msg);
}

const state = async (out_trade_no: string) => (await w.query(out_trade_no)).fields.trade_state;

describe('when the bridge appears', () => {
  it('before the page’s own script', async () => {
    const page = await open({ ready: 'before' });
    expect(await page.evaluate('[window.had, window.became]')).toEqual([true, undefined]);
  });

  it('after a delay, with its event', async () => {
    const page = await open({ ready: 150 });
    expect(await page.evaluate('window.had')).toBe(false);
    await page.waitForFunction('window.became === true && typeof WeixinJSBridge !== "undefined"');
  });

  it('never', async () => {
    const page = await open({ ready: 'never' });
    await page.waitForTimeout(300);
    expect(await page.evaluate('[window.had, window.became]')).toEqual([false, undefined]);
  });
});

describe('how the payer behaves', () => {
  it.each([
    ['ok', 'get_brand_wcpay_request:ok', 'SUCCESS'],
    ['cancel', 'get_brand_wcpay_request:cancel', 'NOTPAY'],
    ['fail', 'get_brand_wcpay_request:fail', 'NOTPAY'],
    ['pay_then_cancel', 'get_brand_wcpay_request:cancel', 'SUCCESS'],
    ['ok_without_pay', 'get_brand_wcpay_request:ok', 'NOTPAY'],
    ['denied', 'system:access_denied', 'NOTPAY'],
  ])('%s: the page hears %s and the order is %s', async (mode, err_msg, trade_state) => {
    const page = await open({ mode });
    const { out_trade_no, call } = await params();
    await invoke(page, call);
    expect(await answered(page)).toEqual([err_msg]);
    expect(await state(out_trade_no)).toBe(trade_state);
    expect(await page.evaluate('window.__sim_bridge_log.map((e) => [e.name, e.answer.err_msg])')).toEqual([
      ['getBrandWCPayRequest', err_msg],
    ]);
  });

  it('hold: nothing is heard until the control door pays', async () => {
    const page = await open({ mode: 'hold' });
    const { out_trade_no, call } = await params();
    await invoke(page, call);
    await page.waitForTimeout(300);
    expect(await answers(page)).toEqual([]);
    await w.pay({ out_trade_no });
    expect(await answered(page)).toEqual(['get_brand_wcpay_request:ok']);
  });

  it('pay_without_callback: the money is taken and the page never hears', async () => {
    const page = await open({ mode: 'pay_without_callback' });
    const { out_trade_no, call } = await params();
    await invoke(page, call);
    await expect.poll(() => state(out_trade_no)).toBe('SUCCESS');
    expect(await answers(page)).toEqual([]);
  });

  it('pre_verify: a first callback that is not the end', async () => {
    const page = await open({ mode: 'ok', pre_verify: true });
    await invoke(page, (await params()).call);
    expect(await answered(page, 2)).toEqual(['pre_verify_jsapi:ok', 'get_brand_wcpay_request:ok']);
  });

  it('changes its mind when window.__sim_bridge changes', async () => {
    const page = await open({ mode: 'cancel' });
    await page.evaluate('window.__sim_bridge = { mode: "ok" }');
    const { out_trade_no, call } = await params();
    await invoke(page, call);
    expect(await answered(page)).toEqual(['get_brand_wcpay_request:ok']);
    expect(await state(out_trade_no)).toBe('SUCCESS');
  });

  it('another person’s phone is refused with the reason', async () => {
    const page = await open({ mode: 'ok', openid: w.other.openid });
    await invoke(page, (await params()).call);
    expect(await answered(page)).toEqual(['get_brand_wcpay_request:fail']);
    expect((await answers(page))[0]?.err_desc).toBe('支付失败：下单帐号与支付帐号不一致');
  });
});

describe('which address is judged', () => {
  it.each([
    ['android', 'get_brand_wcpay_request:ok'],
    ['ios', '当前页面的URL未注册'],
  ])('%s, after the page moved into the directory by script: %s', async (platform, err_msg) => {
    const page = await open({ mode: 'ok', platform }, '/cart');
    await page.evaluate('history.pushState({}, "", "/pay/1")');
    await invoke(page, (await params()).call);
    expect(await answered(page)).toEqual([err_msg]);
  });
});

describe('the sheet', () => {
  it('shows amount, merchant and payer; 支付 then 完成 is ok', async () => {
    const page = await open({});
    const { out_trade_no, call } = await params();
    await invoke(page, call);
    expect(await page.getByTestId('sim-sheet-amount').textContent()).toBe('¥12.88');
    expect(await page.getByTestId('sim-sheet-merchant').textContent()).toBe('柜台演示商户');
    expect(await page.getByTestId('sim-sheet-payer').textContent()).toContain('小明');
    await page.getByTestId('sim-sheet-pay').click();
    await page.getByTestId('sim-sheet-done').waitFor();
    expect(await answers(page)).toEqual([]);
    expect(await state(out_trade_no)).toBe('SUCCESS');
    await page.getByTestId('sim-sheet-done').click();
    expect(await answered(page)).toEqual(['get_brand_wcpay_request:ok']);
    expect(await page.getByTestId('sim-sheet').count()).toBe(0);
  });

  it('关闭 is cancel, also after a payment that was not acknowledged with 完成', async () => {
    const page = await open({});
    const first = await params();
    await invoke(page, first.call);
    await page.getByTestId('sim-sheet-close').click();
    expect(await answered(page)).toEqual(['get_brand_wcpay_request:cancel']);
    await invoke(page, first.call);
    await page.getByTestId('sim-sheet-pay').click();
    await page.getByTestId('sim-sheet-done').waitFor();
    await page.getByTestId('sim-sheet-close').click();
    expect(await answered(page)).toEqual(['get_brand_wcpay_request:cancel']);
    expect(await state(first.out_trade_no)).toBe('SUCCESS');
  });

  it('a payer without money sees why and can only close', async () => {
    const page = await open({ openid: w.poor.openid });
    const placed = await w.place({ openid: w.poor.openid });
    const signed: Fields = {
      appId: w.merchant.appid,
      timeStamp: '1700000000',
      nonceStr: 'n',
      package: `prepay_id=${placed.prepay_id}`,
      signType: 'MD5',
    };
    await invoke(page, { ...signed, paySign: sign(signed, w.merchant.api_v2_key) });
    await page.getByTestId('sim-sheet-pay').click();
    await expect.poll(() => page.getByTestId('sim-sheet-problem').textContent()).toBe('余额不足');
    await page.getByTestId('sim-sheet-close').click();
    expect(await answered(page)).toEqual(['get_brand_wcpay_request:cancel']);
  });

  it('a wrong paySign shows WeChat’s error, then comes back as cancel', async () => {
    const page = await open({});
    const { call } = await params();
    await invoke(page, { ...call, paySign: 'F'.repeat(32) });
    expect(await page.getByTestId('sim-alert-text').textContent()).toBe('支付验证签名失败');
    expect(await answers(page)).toEqual([]);
    await page.getByTestId('sim-alert-ok').click();
    expect(await answered(page)).toEqual(['get_brand_wcpay_request:cancel']);
  });
});

describe('the page for people', () => {
  it('pays a waiting order, arms a fault and moves the clock', async () => {
    context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
    const page = await context.newPage();
    const problems: string[] = [];
    page.on('pageerror', (cause) => problems.push(cause.message));
    page.on('console', (said) => said.type() === 'error' && problems.push(said.text()));
    await w.control('POST', 'reset');
    const { out_trade_no } = await w.place();
    await page.goto(`${w.url}/_sim/`);
    await page.locator('#open-orders .pay').click();
    await expect.poll(() => state(out_trade_no)).toBe('SUCCESS');
    await page.getByRole('tab', { name: /故障/ }).click();
    await page.getByRole('switch', { name: /notify_never/ }).check();
    await expect
      .poll(async () => Object.keys((await w.control('GET', 'faults')).body.armed))
      .toEqual(['notify_never']);
    await page.locator('[data-advance="300"]').click();
    await expect.poll(async () => (await w.control('GET', 'clock')).body.ahead_s).toBeGreaterThanOrEqual(300);
    await page.locator('#morning').click();
    await expect
      .poll(async () => (await w.control('GET', 'clock')).body.now.slice(11, 16))
      .toMatch(/^10:0[56]$/);
    await page.locator('#ahead-hint').waitFor();
    page.on('dialog', (dialog) => {
      expect(dialog.message()).toContain('商店自己的账不会清空');
      void dialog.accept();
    });
    await page.locator('#reset').click();
    await expect.poll(async () => (await w.control('GET', 'clock')).body.ahead_s).toBe(0);
    expect(await page.locator('#open-phone').getAttribute('href')).toContain('/_sim/as?openid=');
    expect(problems).toEqual([]);
  });
});
