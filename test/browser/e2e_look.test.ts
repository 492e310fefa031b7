// What the shopper's pages cost, keep to themselves and look like: weights, caches, secrets, contrast, large letters,
// the other language.
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../setup/browser.ts';
import { createTestDatabase } from '../setup/database.ts';
import { openShop, type Shop } from '../setup/shop.ts';
import { barriersInBothThemes, enlarge, reachable, tooSmall, unreadable, weigh } from './look.ts';
import { close, expire } from './orders.ts';
import {
  type BridgeOptions,
  closeVisits,
  openBrowser,
  openOrder,
  openPay,
  openWechat,
  placeOrder,
  showsState,
  tapPay,
  type Visit,
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
afterEach(closeVisits);

/** Each page and state a shopper inside WeChat may see, and how one gets there. */
const sights: [string, BridgeOptions, (visit: Visit) => Promise<unknown>][] = [
  ['the shop with a basket', {}, openShelf],
  ['ready', {}, payAndSee('ready')],
  ['the payment under way', { mode: 'hold' }, payAndSee('invoking')],
  ['cancelled', { mode: 'cancel' }, payAndSee('cancelled')],
  ['failed', { mode: 'fail' }, payAndSee('failed')],
  ['without a bridge', { ready: 'never' }, payAndSee('no_bridge')],
  ['confirming', { mode: 'ok_without_pay' }, payAndSee('confirming')],
  ['still unknown', { mode: 'ok_without_pay' }, payAndSee('still_unknown')],
  ['paid', { mode: 'ok' }, payAndSee('paid')],
  ['closed', {}, endAndSee(close, 'closed')],
  ['expired', {}, endAndSee(expire, 'expired')],
  ['the orders', { mode: 'ok' }, openOrders],
  ['signing in that failed', {}, ({ page }) => page.goto(`${shop.origin}/signin?fault=refused`)],
];

async function openShelf({ page }: Visit): Promise<void> {
  await page.goto(shop.origin);
  await page.getByTestId('product-longjing-plus').click();
}

function payAndSee(state: string): (visit: Visit) => Promise<void> {
  return async (visit) => {
    const { page } = visit;
    await page.clock.install();
    await openOrder(visit, 'longjing', 99);
    if (state === 'no_bridge') await page.clock.fastForward(4_000);
    else if (state !== 'ready') await tapPay(visit);
    if (state === 'still_unknown') {
      await showsState(visit, 'confirming');
      await page.clock.fastForward(70_000);
    }
    await showsState(visit, state);
  };
}

function endAndSee(end: (shop: Shop, order_no: string) => Promise<void>, state: string) {
  return async (visit: Visit): Promise<void> => {
    const order_no = await placeOrder(visit, 'longjing');
    await end(shop, order_no);
    await openPay(visit, order_no);
    await showsState(visit, state);
  };
}

async function openOrders(visit: Visit): Promise<void> {
  await expire(shop, await placeOrder(visit, 'tea-cup', 2));
  await payAndSee('paid')(visit);
  await visit.page.goto(`${shop.origin}/orders`);
}

describe('every sight of the shop', () => {
  it.each(sights)(
    '%s: no barrier in light or dark, and large letters can be read',
    async (_, bridge, see) => {
      const visit = await openWechat(browser, shop, { bridge, viewport: { width: 320, height: 568 } });
      const { page } = visit;
      await see(visit);
      expect(await barriersInBothThemes(page)).toEqual([]);
      expect(await tooSmall(page)).toEqual([]);
      expect(await unreadable(page)).toEqual([]);
      for (const percent of [150, 200]) {
        await enlarge(page, percent);
        expect(await unreadable(page), `at ${percent} %`).toEqual([]);
      }
      for (const testid of ['pay-button', 'checkout', 'refresh']) {
        const button = page.getByTestId(testid);
        if ((await button.count()) > 0 && (await button.isVisible()))
          expect(await reachable(page, testid)).toBe(true);
      }
    },
  );

  it.each([
    ['a desktop', { viewport: { width: 1280, height: 800 } }],
    ['another browser on a phone', { userAgent: 'Mobile Safari', viewport: { width: 320, height: 568 } }],
  ])('outside WeChat on %s: no barrier, nothing cut off', async (_, options) => {
    const visit = await openBrowser(browser, shop, options);
    const wechat = await openWechat(browser, shop);
    const order_no = await placeOrder(wechat, 'longjing', 99);
    await openPay(visit, order_no);
    await showsState(visit, 'watching');
    expect(await barriersInBothThemes(visit.page)).toEqual([]);
    expect(await unreadable(visit.page)).toEqual([]);
    await visit.page.goto(shop.origin);
    expect(await barriersInBothThemes(visit.page)).toEqual([]);
    expect(await unreadable(visit.page)).toEqual([]);
  });

  it('is judged by eyes that see: what is planted is found', async () => {
    const { page } = await openWechat(browser, shop, { viewport: { width: 320, height: 568 } });
    await page.setContent(`<html lang="zh"><meta name="viewport" content="width=device-width, initial-scale=1"><body style="width:300px"><main><h1>页</h1>
      <p style="color:#bbb;background:#fff">faint</p>
      <div style="width:40px;height:20px;overflow:hidden;white-space:nowrap">cut off here</div>
      <p style="margin-left:250px;white-space:nowrap">beyond the screen</p>
      <p>below</p><p style="margin-top:-34px;padding-left:4px">above</p>
      <button style="height:20px">small</button></main></body></html>`);
    expect((await barriersInBothThemes(page)).filter((each) => each.includes('color-contrast'))).toHaveLength(
      2,
    );
    expect(await tooSmall(page)).toHaveLength(1);
    const read = (await unreadable(page)).join('\n');
    for (const wanted of ['cut off: cut off here', 'beyond the screen: beyond', 'overlap: below / above']) {
      expect(read).toContain(wanted);
    }
    const before = await page.locator('h1').evaluate((heading) => heading.getBoundingClientRect().height);
    await enlarge(page, 200);
    const after = await page.locator('h1').evaluate((heading) => heading.getBoundingClientRect().height);
    expect(after).toBeGreaterThan(before * 1.8);
  });

  it('names its colour schemes, and leaves room for the edge of the screen', async () => {
    const visit = await openWechat(browser, shop);
    await openOrder(visit);
    const meta = (name: string) => visit.page.locator(`meta[name="${name}"]`).getAttribute('content');
    expect(await meta('color-scheme')).toBe('light dark');
    expect(await meta('viewport')).toMatch(/viewport-fit=cover/);
    expect(await meta('viewport')).not.toMatch(/user-scalable|maximum-scale/);
  });
});

describe('the other language', () => {
  it.each([
    ['shop', (): string => '/'],
    ['pay page', (order_no: string): string => `/pay/${order_no}`],
    ['orders', (): string => '/orders'],
  ])('reads English on the %s, but for names', async (_, path) => {
    const visit = await openWechat(browser, shop, { locale: 'en-GB', openid: shop.users[3]?.openid ?? '' });
    const { page } = visit;
    const order_no = await placeOrder(visit, 'penny-candy');
    await page.goto(shop.origin + path(order_no));
    expect(await page.locator('html').getAttribute('lang')).toBe('en');
    expect(await chinese(page)).toEqual([]);
  });

  it('stays when chosen, and says its results in it', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'cancel' } });
    const { page } = visit;
    const order_no = await placeOrder(visit, 'penny-candy');
    await openPay(visit, order_no);
    await page.getByRole('link', { name: 'English' }).click();
    await page.waitForURL('**?lang=en');
    await tapPay(visit);
    await showsState(visit, 'cancelled');
    expect(await page.getByTestId('result-title').textContent()).toBe('Payment not completed');
    await openPay(visit, order_no);
    expect(await page.locator('html').getAttribute('lang')).toBe('en');
    expect(await chinese(page)).toEqual([]);
  });

  /** Chinese text that is neither the shop's name, nor its goods, nor the way back to Chinese. */
  function chinese(page: Page): Promise<string[]> {
    return page.evaluate(() => {
      const found: string[] = [];
      const names = /柜台小店|一分钱的糖|^中文$/;
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
        const text = node.textContent?.trim() ?? '';
        const goods = node.parentElement?.closest('script, style, .about') !== null;
        if (/\p{Script=Han}/u.test(text) && !goods && !names.test(text)) found.push(text);
      }
      for (const element of document.querySelectorAll('[aria-label]')) {
        const label = element.getAttribute('aria-label') ?? '';
        if (/\p{Script=Han}/u.test(label) && element.closest('.product') === null) found.push(label);
      }
      return found;
    });
  }
});

describe('what a page costs and gives away', () => {
  it('at most 150 kB of script, 8 kB of style, no font, no other host', async () => {
    const visit = await openWechat(browser, shop);
    const order_no = await placeOrder(visit);
    for (const path of ['/', `/pay/${order_no}`, '/orders']) {
      const { bytes, origins } = await weigh(visit.page, shop.origin + path);
      expect(origins, path).toEqual([shop.origin]);
      expect(bytes.script, path).toBeLessThan(150 * 1024);
      expect(bytes.stylesheet, path).toBeLessThan(8 * 1024);
      expect(bytes.font, path).toBeUndefined();
    }
  });

  it('answers that no cache may keep: pages and doorways', async () => {
    const visit = await openWechat(browser, shop);
    const order_no = await placeOrder(visit);
    for (const path of ['/', `/pay/${order_no}`, '/orders', `/api/orders/${order_no}`, '/signin']) {
      const answer = await visit.context.request.get(shop.origin + path);
      expect(answer.headers()['cache-control'], path).toMatch(/no-store/);
    }
  });

  it('no openid, key or secret in address, page, storage or console of a whole purchase', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'ok' } });
    const { page } = visit;
    const seen: string[] = [];
    page.on('console', (message) => seen.push(message.text()));
    page.on('request', (request) => {
      if (request.url().startsWith(shop.origin)) seen.push(request.url());
    });
    const look = async (): Promise<void> => {
      const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
      seen.push(page.url(), await page.content(), stored);
    };
    await page.goto(shop.origin);
    await page.getByTestId('product-penny-candy-plus').click();
    await look();
    await page.getByTestId('checkout').click();
    await page.waitForURL('**/pay/*');
    await look();
    const [started] = await Promise.all([page.waitForResponse('**/api/orders/*/pay'), tapPay(visit)]);
    seen.push(await started.text());
    await showsState(visit, 'paid');
    await look();
    const status = await visit.context.request.get(page.url().replace('/pay/', '/api/orders/'));
    seen.push(await status.text());
    await page.goto(`${shop.origin}/orders`, { waitUntil: 'networkidle' });
    await look();
    const cookies = await visit.context.cookies(shop.origin);
    seen.push(...cookies.filter(({ name }) => name !== '_sim_openid').map(({ value }) => value));
    const everything = seen.join('\n');
    expect(everything).toContain('支付成功');
    expect(everything).toContain('prepay_id=');
    const { WECHAT_API_V2_KEY, WECHAT_APP_SECRET, WECHAT_MERCHANT_KEY, SESSION_PASSWORD } = shop.settings;
    const key_line = WECHAT_MERCHANT_KEY?.split('\n')[1];
    for (const secret of [visit.openid, WECHAT_API_V2_KEY, WECHAT_APP_SECRET, key_line, SESSION_PASSWORD]) {
      expect(secret).toMatch(/.{16}/);
      expect(everything.includes(secret ?? '')).toBe(false);
    }
  });

  it('keeps to its own content policy: nothing is refused by it', async () => {
    const visit = await openBrowser(browser, shop);
    await visit.page.goto(shop.origin);
    await visit.page.getByTestId('product-penny-candy-plus').click();
    await visit.page.getByTestId('checkout').click();
    await visit.page.waitForURL('**/pay/*');
    await showsState(visit, 'watching');
    // A refusal would be an error on the console, which fails every test.
    await visit.page.goto(`${shop.origin}/orders`);
    const answer = await visit.page.reload();
    expect(answer?.headers()['content-security-policy']).toMatch(/script-src 'self' [^;]*'nonce-/);
  });
});
