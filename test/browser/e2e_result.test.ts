// Results that come late, twice, by another way or not at all, and shoppers who leave the page and come back.
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../setup/browser.ts';
import { createTestDatabase } from '../setup/database.ts';
import { openShop, type Shop } from '../setup/shop.ts';
import {
  books,
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

describe('a result that is late', () => {
  it('is not success when the bridge says ok and nothing was paid; once paid it shows within two seconds', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'ok_without_pay' } });
    const { page } = visit;
    const order_no = await openOrder(visit);
    await tapPay(visit);
    await showsState(visit, 'confirming');
    expect(await payButton(page).isVisible()).toBe(false);
    // The first four answers, up to four seconds after the ok.
    for (const poll of [1, 2, 3]) {
      await page.waitForResponse((answer) => answer.url().endsWith(`?mode=confirm&poll=${poll}`));
      expect(await showsState(visit, 'confirming', 'paid')).toBe('confirming');
    }
    await shop.control('pay', { out_trade_no: await onlyTrade(shop, order_no) });
    const paid_at = performance.now();
    await showsState(visit, 'paid');
    // Two seconds of waiting, and what two busy cores take to answer.
    expect(performance.now() - paid_at).toBeLessThan(3_000);
    expect(visit.asked.filter((asked) => asked.startsWith('GET /pay/'))).toHaveLength(1);
  });

  it('comes by a query when WeChat never delivers the notification, and the goods are served', async () => {
    await shop.control('faults', { notify_never: true }, 'PUT');
    const visit = await openWechat(browser, shop, { bridge: { mode: 'ok' } });
    const order_no = await openOrder(visit);
    await tapPay(visit);
    await showsState(visit, 'paid');
    const { events } = await until(
      () => books(shop, order_no),
      (now) => now.events.order_served === 1,
    );
    expect(events.paid).toBe(1);
    const evidence = await shop.rows('select source from event where order_no = $1 and kind = $2', [
      order_no,
      'paid',
    ]);
    expect(evidence).toEqual([{ source: 'query' }]);
  });

  it('counts once when notifications come twice while the page asks', async () => {
    await shop.control('faults', { notify_copies: 3 }, 'PUT');
    const visit = await openWechat(browser, shop, { bridge: { mode: 'ok' } });
    const order_no = await openOrder(visit);
    await tapPay(visit);
    await showsState(visit, 'paid');
    const { events } = await until(
      () => books(shop, order_no),
      (now) => now.events.order_served === 1,
    );
    expect(events.paid).toBe(1);
  });

  it('is given up after a minute with 请勿重复支付 and a button that asks again', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'ok_without_pay' } });
    const { page } = visit;
    const order_no = await openOrder(visit);
    await page.clock.install();
    await page.reload();
    await showsState(visit, 'ready');
    const waits_ms: number[] = [];
    page.on('response', async (answer) => {
      if (!answer.url().includes('?mode=confirm')) return;
      waits_ms.push(((await answer.json()) as { next_poll_ms: number }).next_poll_ms);
    });
    await tapPay(visit);
    for (let answers = 0, state = 'confirming'; state !== 'still_unknown'; answers += 1) {
      await until(
        async () => {
          state = await showsState(visit, 'invoking', 'confirming', 'still_unknown');
          return waits_ms.length;
        },
        (count) => count > answers || state === 'still_unknown',
      );
      await page.clock.fastForward(waits_ms[answers] ?? 0);
    }
    expect(await title(visit)).toBe('正在确认，请勿重复支付');
    expect(waits_ms.slice(0, 7)).toEqual([1_000, 1_000, 2_000, 2_000, 3_000, 3_000, 5_000]);
    expect(waits_ms.length).toBeGreaterThanOrEqual(14);
    expect(waits_ms.length).toBeLessThanOrEqual(20);
    expect(await payButton(page).isVisible()).toBe(false);
    await page.getByTestId('refresh').click();
    await showsState(visit, 'still_unknown');
    await shop.control('faults', { notify_never: true }, 'PUT');
    await shop.control('pay', { out_trade_no: await onlyTrade(shop, order_no) });
    // The server asks WeChat about one trade at most every half second.
    await until(
      async () => {
        await page.clock.fastForward(600);
        if (await page.getByTestId('refresh').isVisible()) await page.getByTestId('refresh').click();
        return showsState(visit, 'paid', 'still_unknown', 'confirming');
      },
      (state) => state === 'paid',
    );
    expect((await books(shop, order_no)).events.paid).toBe(1);
  });

  it('survives an outage of the status door', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'ok_without_pay' } });
    const { page } = visit;
    const order_no = await openOrder(visit);
    let refused = 0;
    await page.route(`**/api/orders/${order_no}?*`, (route) => {
      refused += 1;
      return refused > 2 ? route.fallback() : route.fulfill({ status: 500, body: '{"error":{}}' });
    });
    await tapPay(visit);
    await showsState(visit, 'confirming');
    await until(
      async () => refused,
      (now) => now >= 2,
    );
    expect(await showsState(visit, 'confirming', 'failed', 'still_unknown')).toBe('confirming');
    await shop.control('pay', { out_trade_no: await onlyTrade(shop, order_no) });
    await showsState(visit, 'paid');
    expectComplaints(visit, /500/);
  });

  it('shows that the network is gone, and asks at once when it is back', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'ok_without_pay' } });
    const { page, context } = visit;
    const order_no = await openOrder(visit);
    await tapPay(visit);
    await showsState(visit, 'confirming');
    await page.waitForResponse((answer) => answer.url().includes('mode=confirm'));
    await context.setOffline(true);
    await page.getByText('网络已断开，恢复后自动继续。').waitFor({ state: 'visible' });
    const asked_before = polls(visit.asked).length;
    await shop.control('pay', { out_trade_no: await onlyTrade(shop, order_no) });
    expect(polls(visit.asked)).toHaveLength(asked_before);
    await context.setOffline(false);
    const back_at = performance.now();
    await showsState(visit, 'paid');
    expect(performance.now() - back_at).toBeLessThan(1_500);
    expect(await page.getByText('网络已断开，恢复后自动继续。').isVisible()).toBe(false);
  });

  it('is not asked for while the page is hidden, and at once when it is seen again', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'ok_without_pay' } });
    const { page } = visit;
    const order_no = await openOrder(visit);
    await page.clock.install();
    await page.reload();
    await showsState(visit, 'ready');
    await tapPay(visit);
    await page.waitForResponse((answer) => answer.url().endsWith('mode=confirm&poll=0'));
    await setHidden(visit.page, true);
    const asked_before = polls(visit.asked).length;
    await page.clock.fastForward(30_000);
    expect(polls(visit.asked)).toHaveLength(asked_before);
    await shop.control('pay', { out_trade_no: await onlyTrade(shop, order_no) });
    await setHidden(visit.page, false);
    await showsState(visit, 'paid');
    expect(polls(visit.asked)).toHaveLength(asked_before + 1);
  });
});

describe('coming back', () => {
  it('from the page cache, the page asks again instead of staying frozen', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'hold' } });
    const { page } = visit;
    const order_no = await openOrder(visit);
    await tapPay(visit);
    await showsState(visit, 'invoking');
    const out_trade_no = await until(
      () => books(shop, order_no),
      ({ events }) => events.unified_order === 1,
    ).then(({ trades }) => trades[0]?.out_trade_no);
    // Chromium keeps no page that says no-store; WeChat on an iPhone does, and this is all such a page is told.
    await page.evaluate(() => window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
    expect(await showsState(visit, 'confirming', 'cancelled')).toMatch(/confirming|cancelled/);
    await showsState(visit, 'cancelled');
    await shop.control('pay', { out_trade_no });
    await until(
      () => books(shop, order_no),
      ({ state }) => state === 'SUCCESS',
    );
    await page.evaluate(() => window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
    await showsState(visit, 'paid');
  });

  it('by the back button while unpaid, the page is asked for anew and pays the same order', async () => {
    const visit = await openWechat(browser, shop, { bridge: { mode: 'cancel' } });
    const { page } = visit;
    const order_no = await openOrder(visit);
    await tapPay(visit);
    await showsState(visit, 'cancelled');
    await page.goto(`${shop.origin}/orders`);
    await page.goBack();
    await showsState(visit, 'ready', 'cancelled');
    await page.evaluate(() => Object.assign(window, { __sim_bridge: { mode: 'ok' } }));
    await tapPay(visit);
    await showsState(visit, 'paid');
    await onlyTrade(shop, order_no);
  });
});

function polls(asked: readonly string[]): string[] {
  return asked.filter((each) => each.includes('?mode='));
}

/** What a phone does when another app or WeChat's cashier covers the page. */
async function setHidden(page: Page, hidden: boolean): Promise<void> {
  await page.evaluate((now) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => now });
    Object.defineProperty(document, 'visibilityState', {
      configurable: true,
      get: () => (now ? 'hidden' : 'visible'),
    });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
}
