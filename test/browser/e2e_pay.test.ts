// Paying inside WeChat, from the shelf to the result, against the production build, a worker and the simulator.
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../setup/browser.ts';
import { createTestDatabase } from '../setup/database.ts';
import { openShop, type Shop } from '../setup/shop.ts';
import {
  books,
  bridgeCalls,
  callsTo,
  closeVisits,
  expectComplaints,
  onlyTrade,
  openOrder,
  openWechat,
  payButton,
  showsState,
  tapPay,
  title,
  until,
} from './phones.ts';

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
afterEach(async () => {
  await shop.control('faults', undefined, 'DELETE');
  await closeVisits();
});

describe('from the shelf to the result', () => {
  it.each(['android', 'ios'] as const)(
    'signs in silently, orders, pays in the sheet and is told without a reload (%s)',
    async (platform) => {
      const visit = await openWechat(browser, shop, { bridge: { platform } });
      const { page } = visit;
      const documents: string[] = [];
      page.on('request', (request) => {
        if (request.isNavigationRequest()) documents.push(request.url().replace(shop.origin, ''));
      });
      await page.goto(shop.origin);
      expect(new URL(page.url()).pathname).toBe('/');
      await page.getByTestId('product-penny-candy-plus').click();
      await page.getByTestId('product-bookmark-plus').click();
      await page.getByTestId('product-bookmark-plus').click();
      expect(await page.getByTestId('total').textContent()).toBe('¥19.81');
      await page.getByTestId('checkout').click();
      await page.waitForURL('**/pay/*');
      const order_no = page.url().split('/').at(-1) ?? '';
      // iOS judges the page that was loaded, so the pay page must be a document of its own.
      expect(documents.at(-1)).toBe(`/pay/${order_no}`);
      await showsState(visit, 'ready');
      expect(await page.getByTestId('pay-amount').textContent()).toBe('¥19.81');
      const before_paying = documents.length;
      await tapPay(visit);
      expect(await page.getByTestId('sim-sheet-amount').textContent()).toBe('¥19.81');
      await page.getByTestId('sim-sheet-pay').click();
      await page.getByTestId('sim-sheet-done').click();
      await showsState(visit, 'paid');
      expect(await title(visit)).toBe('支付成功');
      expect(await page.evaluate(() => document.activeElement?.id)).toBe('pay-title');
      expect(documents).toHaveLength(before_paying);
      expect(await bridgeCalls(visit)).toHaveLength(1);
      const { state, trades, events } = await books(shop, order_no);
      expect(state).toBe('SUCCESS');
      expect(trades).toHaveLength(1);
      expect(events.paid).toBe(1);
      await until(
        () => books(shop, order_no),
        (now) => now.events.order_served === 1,
      );
    },
  );

  it('leads from the result back to an empty basket, and the link of a paid order pays nothing', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'ok' } });
    const { page } = visit;
    await page.goto(shop.origin);
    await page.getByTestId('product-penny-candy-plus').click();
    await page.getByTestId('checkout').click();
    await page.waitForURL('**/pay/*');
    const order_no = page.url().split('/').at(-1) ?? '';
    await tapPay(visit);
    await showsState(visit, 'paid');
    const out_trade_no = await onlyTrade(shop, order_no);
    await page.goBack();
    await page.waitForURL((url) => url.pathname === '/');
    expect(await page.getByTestId('total').textContent()).toBe('¥0.00');
    await page.goto(`${shop.origin}/pay/${order_no}`);
    await showsState(visit, 'paid');
    expect(await title(visit)).toBe('支付成功');
    expect(await payButton(page).isVisible()).toBe(false);
    expect(await callsTo(shop, '/pay/unifiedorder', out_trade_no)).toBe(1);
    await page.goto(`${shop.origin}/orders`);
    expect(await page.getByTestId(`order-${order_no}`).textContent()).toContain('已支付');
  });

  it('five fast taps on checkout make one order', async () => {
    const visit = await openWechat(browser, shop, { openid: shop.users[2]?.openid ?? '' });
    const { page } = visit;
    await page.goto(shop.origin);
    await page.getByTestId('product-penny-candy-plus').click();
    await page.getByTestId('checkout').evaluate((button) => {
      for (let tap = 0; tap < 5; tap += 1) if (button instanceof HTMLElement) button.click();
    });
    await page.waitForURL('**/pay/*');
    expect(visit.asked.filter((asked) => asked === 'POST /api/orders')).toHaveLength(1);
    const orders = await shop.rows('select order_no from "order" where openid = $1', [visit.openid]);
    expect(orders).toHaveLength(1);
  });

  it('five fast taps on the pay button make one trade, one call to WeChat and one payment sheet', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'ok' } });
    const order_no = await openOrder(visit);
    await payButton(visit.page).evaluate((button) => {
      for (let tap = 0; tap < 5; tap += 1) if (button instanceof HTMLElement) button.click();
    });
    await showsState(visit, 'paid');
    const out_trade_no = await onlyTrade(shop, order_no);
    expect(visit.asked.filter((asked) => asked === `POST /api/orders/${order_no}/pay`)).toHaveLength(1);
    expect(await callsTo(shop, '/pay/unifiedorder', out_trade_no)).toBe(1);
    expect(await bridgeCalls(visit)).toHaveLength(1);
    expect((await books(shop, order_no)).events.paid).toBe(1);
  });
});

describe('a payment the shopper did not finish', () => {
  it('says 支付未完成 after a cancel and goes on with the same out_trade_no', async () => {
    const visit = await openWechat(browser, shop);
    const { page } = visit;
    const order_no = await openOrder(visit);
    await tapPay(visit);
    await page.getByTestId('sim-sheet-close').click();
    await showsState(visit, 'cancelled');
    expect(await title(visit)).toBe('支付未完成');
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('pay-title');
    expect(await payButton(page).textContent()).toBe('继续支付 ¥0.01');
    await tapPay(visit);
    await page.getByTestId('sim-sheet-pay').click();
    await page.getByTestId('sim-sheet-done').click();
    await showsState(visit, 'paid');
    const [first, second, ...more] = await bridgeCalls(visit);
    expect(more).toEqual([]);
    expect(second?.params.package).toBe(first?.params.package);
    const out_trade_no = await onlyTrade(shop, order_no);
    expect(await callsTo(shop, '/pay/unifiedorder', out_trade_no)).toBe(1);
  });

  it('locks the button and says 支付中 while the sheet is open, and opens it again after a cancel', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'hold' } });
    const { page } = visit;
    const order_no = await openOrder(visit);
    await tapPay(visit);
    await showsState(visit, 'invoking');
    expect(await payButton(page).isDisabled()).toBe(true);
    expect(await payButton(page).textContent()).toBe('支付中…');
    await until(
      () => bridgeCalls(visit),
      (calls) => calls.length === 1,
    );
    await shop.control('cancel', { out_trade_no: await onlyTrade(shop, order_no) });
    await showsState(visit, 'cancelled');
    expect(await payButton(page).isDisabled()).toBe(false);
  });

  it('shows success when WeChat says cancel although it was paid', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'pay_then_cancel' } });
    await openOrder(visit);
    await tapPay(visit);
    await showsState(visit, 'paid');
    expect(await title(visit)).toBe('支付成功');
  });

  it('explains a failure in plain words with a support number, and the next try pays', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'fail' } });
    const { page } = visit;
    const order_no = await openOrder(visit);
    await tapPay(visit);
    await showsState(visit, 'failed');
    const out_trade_no = await onlyTrade(shop, order_no);
    const text = await page.getByTestId('result-text').textContent();
    expect(text).toContain(out_trade_no);
    expect(text).not.toMatch(/get_brand|fail|undefined/);
    await page.evaluate(() => Object.assign(window, { __sim_bridge: { mode: 'ok' } }));
    await tapPay(visit);
    await showsState(visit, 'paid');
    expect(await onlyTrade(shop, order_no)).toBe(out_trade_no);
  });

  it('sends a shopper whom WeChat denies payment to a chat, without a word of the error', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'denied' } });
    await openOrder(visit);
    await tapPay(visit);
    await showsState(visit, 'failed');
    const text = await visit.page.getByTestId('result-text').textContent();
    expect(text).toContain('请在手机微信的聊天窗口里打开');
    expect(text).not.toContain('access_denied');
  });

  it.each(['unifiedorder_system_error', 'unifiedorder_answer_lost'])(
    'keeps the number when WeChat does not answer the order (%s), and the next tap pays',
    async (fault) => {
      await shop.control('faults', { [fault]: { times: 2 } }, 'PUT');
      const visit = await openWechat(browser, shop, { bridge: { mode: 'ok' } });
      const order_no = await openOrder(visit);
      await tapPay(visit);
      await showsState(visit, 'failed');
      expectComplaints(visit, /Failed to load resource/);
      expect(await visit.page.getByTestId('result-text').textContent()).toMatch(/支持编号 \w{8}/);
      const out_trade_no = await onlyTrade(shop, order_no);
      await tapPay(visit);
      await showsState(visit, 'paid');
      expect(await onlyTrade(shop, order_no)).toBe(out_trade_no);
    },
  );

  it('says that the network failed when its own request did not arrive', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'ok' } });
    await openOrder(visit);
    await visit.page.route('**/api/orders/*/pay', (route) => route.abort());
    await tapPay(visit);
    await showsState(visit, 'failed');
    expectComplaints(visit, /ERR_FAILED/);
    expect(await visit.page.getByTestId('result-text').textContent()).toContain('网络不畅');
    expect(await bridgeCalls(visit)).toEqual([]);
  });
});

describe('the bridge', () => {
  it('is waited for when it appears two seconds after the tap', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'ok', ready: 2000 } });
    await openOrder(visit);
    await tapPay(visit);
    expect(await showsState(visit, 'invoking')).toBe('invoking');
    await showsState(visit, 'paid');
    expect(await bridgeCalls(visit)).toHaveLength(1);
  });

  it('is given up after three seconds with a reason and a button, and the JS-SDK without it as well', async () => {
    const visit = await openWechat(browser, shop, { bridge: { ready: 'never' } });
    await visit.page.clock.install();
    const order_no = await openOrder(visit);
    await visit.page.clock.fastForward(1_500);
    expect(await showsState(visit, 'waiting_for_bridge', 'no_bridge')).toBe('waiting_for_bridge');
    await visit.page.clock.fastForward(1_600);
    await showsState(visit, 'no_bridge');
    expect(await title(visit)).toBe('没有连上微信支付');
    expect(await payButton(visit.page).textContent()).toBe('重试');
    await tapPay(visit);
    await showsState(visit, 'invoking');
    await visit.page.clock.fastForward(3_100);
    await showsState(visit, 'no_bridge');
    expect((await books(shop, order_no)).trades).toMatchObject([{ trade_state: 'NOTPAY' }]);
  });

  it('may call back once before the end without deciding anything', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'hold', pre_verify: true } });
    const order_no = await openOrder(visit);
    await tapPay(visit);
    await until(
      () => bridgeCalls(visit),
      (calls) => calls.length === 1,
    );
    expect(await showsState(visit, 'invoking')).toBe('invoking');
    await shop.control('pay', { out_trade_no: await onlyTrade(shop, order_no) });
    await showsState(visit, 'paid');
  });

  it('may never call back: the page learns of the payment by itself', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'pay_without_callback' } });
    await visit.page.clock.install();
    const order_no = await openOrder(visit);
    await tapPay(visit);
    await until(
      () => books(shop, order_no),
      ({ state }) => state === 'SUCCESS',
    );
    expect(await showsState(visit, 'invoking', 'paid')).toBe('invoking');
    await visit.page.clock.fastForward(5_000);
    await showsState(visit, 'paid');
    expect(await title(visit)).toBe('支付成功');
  });

  it('is used before the framework has come: no script of the build is needed to pay', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'ok' } });
    await visit.page.route('**/_next/static/**/*.js', (route) => route.abort());
    await openOrder(visit);
    await tapPay(visit);
    await showsState(visit, 'paid');
    expect(await title(visit)).toBe('支付成功');
    expectComplaints(visit, /ERR_FAILED/);
  });
});

describe('signing in', () => {
  it('says what happened when WeChat gave no permission, and one tap signs in', async () => {
    const visit = await openWechat(browser, shop);
    const { page, context } = visit;
    const start = await context.request.get(`${shop.origin}/api/wechat/oauth?return_to=%2Forders`, {
      maxRedirects: 0,
    });
    const state = new URL(start.headers().location ?? '').searchParams.get('state');
    await page.goto(`${shop.origin}/api/wechat/oauth?state=${state}`);
    await page.getByTestId('signin-refused').waitFor();
    await page.getByTestId('signin-retry').click();
    await page
      .getByTestId('no-orders')
      .or(page.getByRole('heading', { name: '我的订单' }))
      .waitFor();
  });

  it('ends on a page with a button when WeChat does not answer, never in a circle', async () => {
    await shop.control('faults', { access_token_system_error: true }, 'PUT');
    const visit = await openWechat(browser, shop);
    await visit.page.goto(shop.origin);
    await visit.page.getByTestId('signin-unavailable').waitFor();
    expect(visit.asked.filter((asked) => asked.startsWith('GET /api/wechat/oauth?code'))).toHaveLength(1);
    await shop.control('faults', undefined, 'DELETE');
    await visit.page.getByTestId('signin-retry').click();
    await visit.page.getByTestId('checkout').waitFor();
  });
});
