// The page for people in a real browser: what the payer's phone shows a cashier, and the payments that an app or a
// mini-program starts, played by whoever pastes what the shop answered.

import { AxeBuilder } from '@axe-core/playwright';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { launchBrowser } from '../setup/browser.ts';
import { type Fields, openWorld, sign, type World } from './world.ts';

let w: World;
let browser: Browser;
let context: BrowserContext;
let page: Page;
beforeAll(async () => {
  w = await openWorld();
  browser = await launchBrowser();
}, 90_000);
afterAll(async () => {
  await browser?.close();
  await w?.close();
});
beforeEach(async () => {
  context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  page = await context.newPage();
  await page.goto(`${w.url}/_sim/`);
  await page.getByTestId('sim-user').locator('option').first().waitFor({ state: 'attached' });
});
afterEach(async () => {
  await context.close();
  await w.control('POST', 'reset');
});

const shown = (id: string) => page.getByTestId(id).textContent();
const problem = () => page.getByRole('alert').textContent();

describe('to a cashier', () => {
  it('a payment code is shown', async () => {
    await page.getByTestId('sim-show-code').click();
    await page.getByTestId('sim-payment-code').waitFor();
    const auth_code = (await page.getByTestId('sim-payment-code').getAttribute('data-code')) ?? '';
    expect(auth_code).toMatch(/^1[0-5]\d{16}$/);
    expect(await shown('sim-payment-code')).toContain(auth_code.slice(0, 4));
  });

  it('a face is shown under the account that the device is set up with', async () => {
    const other = w.config.users[1];
    await page.getByTestId('sim-user').selectOption(other?.openid ?? '');
    await page.getByText('刷脸').first().click();
    const offered = await page.locator('#face-appid option').allTextContents();
    expect(offered[0]).toBe(w.merchant.appid);
    await page.getByTestId('sim-show-face').click();
    await page.getByTestId('sim-face_code').waitFor();
    expect(await shown('sim-face_code')).not.toBe('');
    expect(await shown('sim-openid')).toBe(other?.openid);
    const elsewhere = offered.at(-1) ?? '';
    expect(elsewhere).not.toBe(w.merchant.appid);
    await page.locator('#face-appid').selectOption(elsewhere);
    await page.getByTestId('sim-show-face').click();
    await expect.poll(() => shown('sim-openid')).toBe(other?.openids[elsewhere]);
  });
});

describe('a payment that an app or a mini-program starts', () => {
  const now_s = () => String(Math.floor(Date.now() / 1000));
  async function app() {
    const { appid } = w.config.app;
    const { prepay_id, out_trade_no } = await w.place({ appid, trade_type: 'APP', openid: '' });
    const fields: Fields = {
      appid,
      partnerid: w.merchant.mch_id,
      prepayid: prepay_id,
      package: 'Sign=WXPay',
      noncestr: 'n',
      timestamp: now_s(),
    };
    return { out_trade_no, call: { ...fields, sign: sign(fields, w.merchant.api_v2_key) } };
  }
  async function mini() {
    const { appid } = w.config.mini_program;
    const placed = await w.place({ appid, openid: w.user.openids[appid] ?? '' });
    const fields: Fields = {
      timeStamp: now_s(),
      nonceStr: 'n',
      package: `prepay_id=${placed.prepay_id}`,
      signType: 'MD5',
    };
    const paySign = sign({ appId: appid, ...fields }, w.merchant.api_v2_key);
    return { out_trade_no: placed.out_trade_no, call: { ...fields, paySign } };
  }
  const paste = async (text: string, button: 'pay' | 'cancel') => {
    if (!(await page.getByTestId('sim-client-call').isVisible()))
      await page.getByText('APP 与小程序').click();
    await page.getByTestId('sim-client-call').fill(text);
    await page.getByTestId(`sim-client-${button}`).click();
  };
  const stateOf = async (out_trade_no: string) =>
    (await w.control('GET', `orders/${out_trade_no}`)).body.trade_state;

  it.each([
    ['an app', app, 'errCode 0', 'errCode -2'],
    ['a mini-program', mini, 'requestPayment:ok', 'requestPayment:fail cancel'],
  ])('%s: left, then paid, told as the SDK tells it', async (who, begin, ok, left) => {
    const { out_trade_no, call } = await begin();
    const whole = JSON.stringify({ out_trade_no, [who === 'an app' ? 'app' : 'mini_program']: call });
    await paste(whole, 'cancel');
    await expect.poll(() => shown('sim-answer')).toBe(left);
    expect(await stateOf(out_trade_no)).toBe('NOTPAY');
    await paste(JSON.stringify(call), 'pay');
    await expect.poll(() => shown('sim-answer')).toBe(ok);
    expect(await stateOf(out_trade_no)).toBe('SUCCESS');
  });

  it('with a signature that does not fit is turned away, and says why', async () => {
    const { out_trade_no, call } = await app();
    await paste(JSON.stringify({ ...call, noncestr: 'another' }), 'pay');
    await expect.poll(problem).toContain('支付验证签名失败');
    expect(await problem()).toContain('API v2 key');
    expect(await page.getByTestId('sim-client-answer').isHidden()).toBe(true);
    expect(await stateOf(out_trade_no)).toBe('NOTPAY');
  });

  it.each(['nonsense', '{}', 'null', '{"appId":"wx1"}'])('%s is none', async (text) => {
    await paste(text, 'pay');
    await expect.poll(problem).toMatch(/不是/);
  });

  it('a mini-program’s login is given, good once', async () => {
    await page.getByText('APP 与小程序').click();
    await page.getByTestId('sim-mini-login').click();
    await page.getByTestId('sim-code').waitFor();
    const { appid, secret } = w.config.mini_program;
    const query = new URLSearchParams({
      appid,
      secret,
      js_code: (await shown('sim-code')) ?? '',
      grant_type: 'authorization_code',
    });
    const session = (await (await fetch(`${w.url}/sns/jscode2session?${query}`)).json()) as {
      openid: string;
    };
    expect(session.openid).toBe(w.user.openids[appid]);
  });
});

it.each([1280, 390])('has no barrier and no sideways scrolling at %i px, all opened', async (width) => {
  await page.setViewportSize({ width, height: 844 });
  for (const name of ['刷脸', 'APP 与小程序']) await page.getByText(name).first().click();
  await page.getByTestId('sim-show-face').click();
  await page.getByTestId('sim-face_code').waitFor();
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
});
