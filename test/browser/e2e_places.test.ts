// Where a pay page may be opened and in what state its order may be: other browsers, other people, orders that ended.
import type { Browser } from 'playwright-core';
import { renderSVG } from 'uqr';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WECHAT_USER_AGENT } from '../../simulator/phone.ts';
import { launchBrowser } from '../setup/browser.ts';
import { createTestDatabase } from '../setup/database.ts';
import { openShop, type Shop } from '../setup/shop.ts';
import { close, expire, refund } from './orders.ts';
import {
  bridgeCalls,
  closeVisits,
  expectComplaints,
  onlyTrade,
  openBrowser,
  openOrder,
  openPay,
  openWechat,
  payButton,
  phone_screen,
  placeOrder,
  safari,
  showsState,
  tapPay,
  title,
  type Visit,
} from './phones.ts';

const desktop_wechat =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/132.0.0.0 Safari/537.36 NetType/WIFI MicroMessenger/7.0.20.1781(0x6700143B) WindowsWechat(0x63090a13) XWEB/13639 Flue';

let shop: Shop;
let browser: Browser;

beforeAll(async () => {
  const database = await createTestDatabase();
  shop = await openShop(database.url);
  [browser] = await Promise.all([launchBrowser(), shop.startApp(), shop.startWorker()]);
});
afterAll(async () => {
  await browser?.close();
  await shop?.close();
});
afterEach(closeVisits);

/** An order of a shopper inside WeChat, paid there. */
async function paidOrder(visit: Visit, product_id: string): Promise<string> {
  const order_no = await openOrder(visit, product_id);
  await tapPay(visit);
  await showsState(visit, 'paid');
  return order_no;
}

describe('outside WeChat', () => {
  it('a desktop shows a code of the pay link, and the result when a phone has paid it', async () => {
    const desktop = await openBrowser(browser, shop);
    const order_no = await placeAtDesktop(desktop);
    await showsState(desktop, 'watching');
    const link = `${shop.origin}/pay/${order_no}`;
    const shown = await desktop.page.getByTestId('qr').locator('path').getAttribute('d');
    expect(renderSVG(link, { ecc: 'M', border: 3, pixelSize: 4 }).includes(`d="${shown}"`)).toBe(true);
    expect(await payButton(desktop.page).count()).toBe(0);

    const phone = await openWechat(browser, shop, { bridge: { mode: 'ok' } });
    await phone.page.goto(link);
    await tapPay(phone);
    await showsState(phone, 'paid');
    await showsState(desktop, 'paid');
    expect(await title(desktop)).toBe('支付成功');
    expect(await desktop.page.getByTestId('qr').isVisible()).toBe(false);
  });

  it('another browser on a phone gives the link to copy, and the result when WeChat has paid it', async () => {
    const phone = await openBrowser(browser, shop, {
      userAgent: safari,
      viewport: phone_screen,
      isMobile: true,
      hasTouch: true,
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    const order_no = await placeAtDesktop(phone);
    const { page } = phone;
    await page.getByRole('heading', { name: '请在微信中打开付款' }).waitFor();
    expect(await payButton(page).count()).toBe(0);
    const link = `${shop.origin}/pay/${order_no}`;
    expect(await page.getByTestId('pay-link').inputValue()).toBe(link);
    await page.getByTestId('copy-link').click();
    await page.getByRole('button', { name: '已复制' }).waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(link);

    const wechat = await openWechat(browser, shop, { bridge: { mode: 'ok' } });
    await wechat.page.goto(link);
    await tapPay(wechat);
    await showsState(phone, 'paid');
  });

  it('a mini program is told that it cannot pay here, and calls no bridge', async () => {
    const visit = await openWechat(browser, shop, { userAgent: `${WECHAT_USER_AGENT} miniProgram/wx1234` });
    const order_no = await placeOrder(visit);
    await openPay(visit, order_no);
    await visit.page.getByRole('heading', { name: '小程序里的网页不能付款' }).waitFor();
    expect(await payButton(visit.page).count()).toBe(0);
    expect(await bridgeCalls(visit)).toEqual([]);
  });

  it('a mini program that hides in the User-Agent is known by what WeChat puts into the page', async () => {
    const visit = await openWechat(browser, shop);
    await visit.context.addInitScript(() => Object.assign(window, { __wxjs_environment: 'miniprogram' }));
    await openOrder(visit);
    await tapPay(visit);
    await showsState(visit, 'failed');
    expect(await visit.page.getByTestId('result-text').textContent()).toContain('在微信聊天窗口里打开');
    expect(await bridgeCalls(visit)).toEqual([]);
  });

  it('WeChat on a desktop has the button and, in case it does not work there, the code', async () => {
    const visit = await openWechat(browser, shop, {
      userAgent: desktop_wechat,
      viewport: { width: 1024, height: 800 },
      isMobile: false,
      bridge: { mode: 'ok' },
    });
    await openOrder(visit);
    expect(await visit.page.getByTestId('qr').isVisible()).toBe(true);
    await tapPay(visit);
    await showsState(visit, 'paid');
    expect(await visit.page.getByTestId('qr').isVisible()).toBe(false);
  });

  async function placeAtDesktop(visit: Visit): Promise<string> {
    const { page } = visit;
    await page.goto(shop.origin);
    await page.getByTestId('product-penny-candy-plus').click();
    await page.getByTestId('checkout').click();
    await page.waitForURL('**/pay/*');
    return page.url().split('/').at(-1) ?? '';
  }
});

describe('an order that is not to be paid', () => {
  it('of another WeChat account names that as the reason and shows nothing of it', async () => {
    const owner = await openWechat(browser, shop);
    const order_no = await placeOrder(owner, 'longjing');
    const other = await openWechat(browser, shop, { openid: shop.users[1]?.openid ?? '' });
    await openPay(other, order_no);
    await other.page.getByTestId('stranger').waitFor();
    expect(await other.page.getByRole('heading', { level: 1 }).textContent()).toBe(
      '该订单由另一微信账号发起',
    );
    expect(await other.page.content()).not.toMatch(/龙井|128\.00/);
    expect(await payButton(other.page).count()).toBe(0);
  });

  it('paid stays paid for whoever comes back to it, with the amount and the time', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'ok' } });
    const order_no = await paidOrder(visit, 'bookmark');
    await openPay(visit, order_no);
    await showsState(visit, 'paid');
    expect(await visit.page.getByTestId('result-text').textContent()).toContain('¥9.90');
    expect(await payButton(visit.page).isVisible()).toBe(false);
  });

  it('expired explains itself and offers a new order', async () => {
    const visit = await openWechat(browser, shop);
    const order_no = await placeOrder(visit);
    await expire(shop, order_no);
    await openPay(visit, order_no);
    await showsState(visit, 'expired');
    expect(await title(visit)).toBe('订单已过期');
    expect(await payButton(visit.page).isVisible()).toBe(false);
    await visit.page.getByTestId('order-again').click();
    await visit.page.getByTestId('checkout').waitFor();
  });

  it('expires under the eyes of a shopper who then taps', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'ok' } });
    const order_no = await openOrder(visit);
    await showsState(visit, 'ready');
    await expire(shop, order_no);
    await tapPay(visit);
    await showsState(visit, 'expired');
    expect(await bridgeCalls(visit)).toEqual([]);
    expectComplaints(visit, /409/);
  });

  it('closed by the worker, at WeChat too, explains itself and offers a new order', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'cancel' } });
    const order_no = await openOrder(visit);
    await tapPay(visit);
    await showsState(visit, 'cancelled');
    await close(shop, order_no);
    const out_trade_no = await onlyTrade(shop, order_no);
    await expect(shop.control('pay', { out_trade_no })).rejects.toThrow('ORDERCLOSED');
    await openPay(visit, order_no);
    await showsState(visit, 'closed');
    expect(await title(visit)).toBe('订单已关闭');
    expect(await payButton(visit.page).isVisible()).toBe(false);
    expect(await visit.page.getByTestId('order-again').isVisible()).toBe(true);
  });

  it('refunded tells how much of it went back', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'ok' } });
    const order_no = await paidOrder(visit, 'bookmark');
    await refund(shop, order_no, 300);
    await openPay(visit, order_no);
    await showsState(visit, 'refunded');
    expect(await title(visit)).toBe('已部分退款');
    expect(await visit.page.getByTestId('result-text').textContent()).toMatch(/¥9\.90.*¥3\.00/);
    await refund(shop, order_no, 690);
    await openPay(visit, order_no);
    expect(await title(visit)).toBe('已退款');
    expect(await visit.page.getByTestId('result-text').textContent()).toContain('¥9.90');
  });

  it.each(['/pay/2026112300000000000000000000ZZ', '/pay/x', '/nowhere'])(
    'that does not exist is a page of the shop with status 404 (%s)',
    async (path) => {
      const visit = await openWechat(browser, shop);
      const answer = await visit.page.goto(shop.origin + path);
      expect(answer?.status()).toBe(404);
      expect(await visit.page.getByRole('heading', { level: 1 }).textContent()).toBe('没有找到这一页');
      expectComplaints(visit, /404/);
    },
  );
});

describe('without scripts', () => {
  it('shop and pay page show goods, items, amount and button in the HTML itself', async () => {
    const visit = await openWechat(browser, shop, { javaScriptEnabled: false });
    const { page } = visit;
    const order_no = await placeOrder(visit, 'longjing', 2);
    await page.goto(shop.origin);
    expect(await page.getByTestId('product-longjing').textContent()).toMatch(/明前龙井.*¥128\.00/s);
    await openPay(visit, order_no);
    expect(await page.getByTestId('pay-amount').textContent()).toBe('¥256.00');
    expect(await page.locator('.details').textContent()).toMatch(/明前龙井 50克.*× 2/s);
    expect(await page.locator('.payee').textContent()).toContain('柜台小店');
    expect(await payButton(page).isVisible()).toBe(true);
    expect(await payButton(page).textContent()).toBe('微信支付 ¥256.00');
    expect(await page.locator('.actions noscript').textContent()).toContain(
      '付款需要浏览器允许运行 JavaScript。',
    );
  });
});
