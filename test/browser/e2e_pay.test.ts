// Paying inside WeChat, from the shelf to the result, against the production build, a worker and the simulator.
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../setup/browser.ts';
import { createTestDatabase } from '../setup/database.ts';
import { openShop, type Shop } from '../setup/shop.ts';
import { books, bridgeCalls, closeVisits, openWechat, showsState, tapPay, title } from './phones.ts';

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
  it('signs in silently, orders, pays in the sheet and is told without a reload', async () => {
    const visit = await openWechat(browser, shop);
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
    expect(await page.getByTestId('total').innerText()).toBe('¥19.81');
    await page.getByTestId('checkout').click();
    await page.waitForURL('**/pay/*');
    const order_no = page.url().split('/').at(-1) ?? '';
    expect(documents.at(-1)).toBe(`/pay/${order_no}`);
    await showsState(visit, 'ready');
    expect(await page.getByTestId('pay-amount').innerText()).toBe('¥19.81');
    const before_paying = documents.length;
    await tapPay(visit);
    expect(await page.getByTestId('sim-sheet-amount').innerText()).toBe('¥19.81');
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
  });
});
