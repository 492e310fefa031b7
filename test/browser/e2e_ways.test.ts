// Paying outside WeChat's own pages, over both API versions, against the production build: by a code on a desktop, in a
// phone's browser, and an order that changes devices half-way.
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../setup/browser.ts';
import { createTestDatabase } from '../setup/database.ts';
import { openShop, type Shop } from '../setup/shop.ts';
import { barriersInBothThemes, enlarge, tooSmall, unreadable } from './look.ts';
import {
  books,
  closeVisits,
  openBrowser,
  openPay,
  openWechat,
  payButton,
  phone_screen,
  placeOrder,
  safari,
  showsState,
  tapPay,
  title,
  until,
  type Visit,
} from './phones.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser?.close());
afterEach(closeVisits);

async function openVersion(api_version: string, environment: Record<string, string> = {}): Promise<Shop> {
  const database = await createTestDatabase();
  const shop: Shop = await openShop(database.url, {
    environment: { WECHAT_PRODUCTS: 'JSAPI,NATIVE,MWEB', WECHAT_API_VERSION: api_version, ...environment },
  });
  await Promise.all([shop.startApp(), shop.startWorker()]);
  return shop;
}

const codeShows = ({ page }: Visit, state: string) => page.locator(`#pay[data-code="${state}"]`).waitFor();
const codeUrl = async ({ page }: Visit): Promise<string> =>
  (await page.getByTestId('code').getAttribute('data-url')) ?? '';

async function orderHere(visit: Visit): Promise<string> {
  const { page, shop } = visit;
  await page.goto(shop.origin);
  await page.getByTestId('product-penny-candy-plus').click();
  await page.getByTestId('checkout').click();
  await page.waitForURL('**/pay/*');
  return page.url().split('/').at(-1) ?? '';
}

describe.each(['v2', 'v3'])('over %s', (api_version) => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await openVersion(api_version);
  });
  afterAll(() => shop?.close());
  const onPhone = () =>
    openBrowser(browser, shop, { userAgent: safari, viewport: phone_screen, isMobile: true, hasTouch: true });

  it('a desktop shows WeChat’s code, drawn, and the result when it was scanned', async () => {
    const desktop = await openBrowser(browser, shop, { viewport: { width: 1280, height: 800 } });
    const order_no = await orderHere(desktop);
    await codeShows(desktop, 'shown');
    expect(await desktop.page.getByTestId('code').locator('svg').isVisible()).toBe(true);
    expect(await desktop.page.getByTestId('qr').isVisible()).toBe(false);
    await shop.control('pay', { code_url: await codeUrl(desktop) });
    await showsState(desktop, 'paid');
    expect(await title(desktop)).toBe('支付成功');
    expect((await books(shop, order_no)).trades).toHaveLength(1);
  });

  it('an order begun on the phone is not taken by opening it on a desktop, but by a tap there', async () => {
    const phone = await openWechat(browser, shop, { bridge: { mode: 'hold' } });
    const order_no = await placeOrder(phone);
    await openPay(phone, order_no);
    await tapPay(phone);
    await until(
      () => books(shop, order_no),
      ({ trades }) => trades.length === 1,
    );
    const desktop = await openBrowser(browser, shop);
    await openPay(desktop, order_no);
    await codeShows(desktop, 'replaced');
    expect((await books(shop, order_no)).trades).toMatchObject([{ trade_state: 'NOTPAY' }]);
    await desktop.page.getByTestId('code-again').click();
    await codeShows(desktop, 'shown');
    const { trades } = await books(shop, order_no);
    expect(trades.map(({ trade_state }) => trade_state)).toEqual(['CLOSED', 'NOTPAY']);
    await shop.control('pay', { code_url: await codeUrl(desktop) });
    await showsState(desktop, 'paid');
    await showsState(phone, 'paid');
  });

  it('the desktop’s code goes when the order is paid on the phone after all', async () => {
    const desktop = await openBrowser(browser, shop);
    const order_no = await orderHere(desktop);
    await codeShows(desktop, 'shown');
    const phone = await openWechat(browser, shop, { bridge: { mode: 'hold' } });
    await openPay(phone, order_no);
    await tapPay(phone);
    await codeShows(desktop, 'replaced');
    const [, second] = (await books(shop, order_no)).trades;
    await shop.control('pay', { out_trade_no: second?.out_trade_no });
    await showsState(desktop, 'paid');
  });

  it('a phone’s browser is led to WeChat’s page and back, and is told what the server knows', async () => {
    const phone = await onPhone();
    const { page } = phone;
    const order_no = await orderHere(phone);
    await showsState(phone, 'ready');
    await tapPay(phone);
    await page.getByTestId('h5-open-wechat').click();
    await page.getByTestId('cashier-pay').click();
    await page.waitForURL(`${shop.origin}/pay/${order_no}?from=h5`);
    if ((await showsState(phone, 'returned', 'paid')) === 'returned')
      await page.getByTestId('pay-done').click();
    await showsState(phone, 'paid');
    expect((await books(shop, order_no)).trades).toHaveLength(1);
  });

  it('who comes back unpaid has two buttons; neither pays, both ask', async () => {
    const phone = await onPhone();
    const { page } = phone;
    const order_no = await orderHere(phone);
    await tapPay(phone);
    await page.getByTestId('h5-return').click();
    await showsState(phone, 'returned');
    expect(await title(phone)).toBe('付款完成了吗？');
    await payButton(page).click();
    await showsState(phone, 'cancelled');
    await tapPay(phone);
    await page.getByTestId('h5-open-wechat').click();
    await page.getByTestId('cashier-pay').click();
    await showsState(phone, 'returned', 'paid');
    await openPay(phone, order_no);
    await showsState(phone, 'paid');
    expect((await books(shop, order_no)).trades).toHaveLength(1);
  });
});

describe('how it looks', () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await openVersion('v3');
  });
  afterAll(() => shop?.close());

  const sights: [string, (visit: Visit) => Promise<unknown>][] = [
    ['a code', (visit) => codeShows(visit, 'shown')],
    [
      'a code taken away',
      async (visit) => {
        await codeShows(visit, 'shown');
        await visit.page.evaluate(() =>
          document.getElementById('pay')?.setAttribute('data-code', 'replaced'),
        );
      },
    ],
    [
      'no code to be had',
      async (visit) => {
        await codeShows(visit, 'shown');
        await visit.page.evaluate(() => {
          const problem = document.getElementById('pay-code-problem');
          if (problem) problem.textContent = '微信支付暂未应答，请稍后重试';
          document.getElementById('pay')?.setAttribute('data-code', 'failed');
        });
      },
    ],
  ];
  it.each(sights)('%s on a desktop: no barrier, nothing cut off, in both languages', async (_, see) => {
    for (const language of ['zh', 'en']) {
      const visit = await openBrowser(browser, shop, { viewport: { width: 1280, height: 800 } });
      const order_no = await orderHere(visit);
      await openPay(visit, order_no, `?lang=${language}`);
      await see(visit);
      expect(await barriersInBothThemes(visit.page)).toEqual([]);
      expect(await unreadable(visit.page)).toEqual([]);
      expect(await tooSmall(visit.page)).toEqual([]);
    }
  });

  it.each(['ready', 'returned'])(
    '%s on a small phone: no barrier, large letters, in both languages',
    async (state) => {
      for (const language of ['zh', 'en']) {
        const visit = await openBrowser(browser, shop, {
          userAgent: safari,
          viewport: { width: 320, height: 568 },
        });
        const order_no = await orderHere(visit);
        await openPay(visit, order_no, `?lang=${language}${state === 'returned' ? '&from=h5' : ''}`);
        await showsState(visit, state);
        expect(await barriersInBothThemes(visit.page)).toEqual([]);
        expect(await tooSmall(visit.page)).toEqual([]);
        for (const percent of [100, 150, 200]) {
          await enlarge(visit.page, percent);
          expect(await unreadable(visit.page), `${language} at ${percent} %`).toEqual([]);
        }
      }
    },
  );
});

describe.each(['v2', 'v3'])('inside WeChat by the JS-SDK, over %s', (api_version) => {
  it('the page is verified and pays by chooseWXPay; after a cancel under the same number', async () => {
    const shop = await openVersion(api_version, { PAY_PAGE_BRIDGE: 'js_sdk' });
    try {
      const visit = await openWechat(browser, shop);
      const order_no = await placeOrder(visit);
      await openPay(visit, order_no);
      await tapPay(visit);
      await visit.page.getByTestId('sim-sheet-close').click();
      await showsState(visit, 'cancelled');
      await tapPay(visit);
      await visit.page.getByTestId('sim-sheet-pay').click();
      await visit.page.getByTestId('sim-sheet-done').click();
      await showsState(visit, 'paid');
      expect((await books(shop, order_no)).trades).toHaveLength(1);
      const results = await shop.rows<{ err_msg: string }>(
        `select data->>'err_msg' as err_msg from event where order_no = $1 and kind = 'bridge_result' order by id`,
        [order_no],
      );
      expect(results.map(({ err_msg }) => err_msg)).toEqual(['chooseWXPay:cancel', 'chooseWXPay:ok']);
    } finally {
      await shop.close();
    }
  });
});
