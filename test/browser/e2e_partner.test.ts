// A service provider's shop in browsers, over both API versions: the shopper pays a sub-merchant, the operator sees whose
// money it is and gives it back by the dialog's two steps, and a till charges for the sub-merchant that was chosen.
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../setup/browser.ts';
import { createTestDatabase } from '../setup/database.ts';
import { partnerSettings, sellersOf } from '../setup/partner_home.ts';
import { openShop, type Shop } from '../setup/shop.ts';
import { barriersInBothThemes, unreadable } from './look.ts';
import { awake, enter, hire, openDesk } from './operator.ts';
import {
  books,
  closeVisits,
  onlyTrade,
  openBrowser,
  openOrder,
  openWechat,
  showsState,
  tapPay,
  title,
  until,
  type Visit,
} from './phones.ts';

const [first, second] = sellersOf.provider;
const [own_account] = sellersOf['sub-merchant'];

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser?.close());
afterEach(closeVisits);

const sellerOf = async (shop: Shop, out_trade_no: string): Promise<string | undefined> =>
  (
    await shop.rows<{ sub_mch_id: string }>('select sub_mch_id from trade where out_trade_no = $1', [
      out_trade_no,
    ])
  )[0]?.sub_mch_id;

async function looksWell({ page }: Visit, where: string): Promise<void> {
  expect(await barriersInBothThemes(page), where).toEqual([]);
  expect(await unreadable(page), where).toEqual([]);
}

/** The whole amount, by the dialog: amount and reason, then the amount once more. */
async function refundAll(desk: Visit, yuan: string): Promise<void> {
  const { page } = desk;
  await awake(desk, 'refund-open');
  await page.getByTestId('refund-open').click();
  await page.getByTestId('refund-all').click();
  await page.getByTestId('refund-reason').fill('顾客不要了');
  await page.getByTestId('refund-next').click();
  expect(await page.getByTestId('refund-repeat').textContent()).toBe(`¥${yuan}`);
  await page.getByTestId('refund-again').fill('0.01');
  await page.getByTestId('refund-submit').click();
  expect(await page.getByTestId('refund-again-wrong').textContent()).toContain('不一致');
  await page.getByTestId('refund-again').fill(yuan);
  await page.getByTestId('refund-submit').click();
  await page.getByTestId('refund-result').waitFor();
}

describe.each([
  ['v2', 'provider', first],
  ['v3', 'sub-merchant', own_account],
] as const)('over %s, in the account of the %s', (api_version, home, seller) => {
  let shop: Shop;
  beforeAll(async () => {
    const database = await createTestDatabase();
    shop = await openShop(database.url, {
      environment: (simulated) => ({
        WECHAT_PRODUCTS: 'JSAPI,NATIVE,MICROPAY',
        WECHAT_API_VERSION: api_version,
        ...partnerSettings(simulated, home),
      }),
    });
    await Promise.all([shop.startApp(), shop.startWorker(), hire(shop)]);
  });
  afterAll(() => shop?.close());

  // First, while both clocks agree: a charge is good for ninety seconds.
  it('charged at a till: where there are several sellers one is chosen, and is chosen again next time', async () => {
    const desk = await openDesk(browser, shop, { viewport: { width: 820, height: 2400 } });
    const { page } = desk;
    await enter(desk, '/admin/counter');
    const choice = page.getByTestId('charge-seller');
    expect(await choice.count()).toBe(home === 'provider' ? 1 : 0);
    const scan = async (): Promise<string> => {
      await page.getByTestId('charge-amount').fill('3');
      const { auth_code } = await shop.control<{ auth_code: string }>('payment_code', { password: false });
      await page.getByTestId('charge-code').fill(auth_code);
      await page.keyboard.press('Enter');
      await page.locator('[data-testid="charge-standing"]').waitFor();
      return new URL(page.url()).searchParams.get('charge') ?? '';
    };
    const paid = await scan();
    await page.locator('[data-testid="charge-standing"][data-standing="paid"]').waitFor();
    expect(await sellerOf(shop, paid)).toBe(seller);
    await page.getByText(`店 ${seller}`).first().waitFor();
    if (home === 'sub-merchant') return;
    await page.getByTestId('charge-next').click();
    await choice.selectOption(second);
    await looksWell(desk, 'choice');
    await page.reload();
    await awake(desk, 'charge-submit');
    expect(await choice.inputValue()).toBe(second);
    const refused = await scan();
    expect(await sellerOf(shop, refused)).toBe(second);
    // That one has not opened payment codes at WeChat, and the page says so.
    await page.locator('[data-testid="charge-standing"][data-standing="refused"]').waitFor();
  });

  it('cancelled, then paid inside WeChat; the operator sees the seller and gives it back', async () => {
    const phone = await openWechat(browser, shop);
    const { page } = phone;
    const order_no = await openOrder(phone, 'bookmark');
    await showsState(phone, 'ready');
    await tapPay(phone);
    await page.getByTestId('sim-sheet-close').click();
    await showsState(phone, 'cancelled');
    await tapPay(phone);
    await page.getByTestId('sim-sheet-pay').click();
    await page.getByTestId('sim-sheet-done').click();
    await showsState(phone, 'paid');
    const out_trade_no = await onlyTrade(shop, order_no);
    expect(await sellerOf(shop, out_trade_no)).toBe(seller);

    // The whole page on the screen, so that the head lies over nothing.
    const desk = await openDesk(browser, shop, { viewport: { width: 1280, height: 3200 } });
    await enter(desk, `/admin/orders/${order_no}`);
    const trade = desk.page.getByTestId(`trade-${out_trade_no}`);
    expect(await trade.textContent()).toContain(`店 ${seller}`);
    await looksWell(desk, 'order');
    await refundAll(desk, '9.90');
    // A simulated bank takes its time by the simulator's clock.
    await shop.control('clock', { advance_s: 120 });
    await until(
      () => books(shop, order_no),
      ({ state }) => state === 'REFUND',
    );
    await desk.page.reload();
    expect(await desk.page.getByTestId('money-refunded').textContent()).toBe('¥9.90');
    await page.reload();
    await showsState(phone, 'refunded');
    expect(await title(phone)).toBe('已退款');
    expect(await shop.control(`ledger?out_trade_no=${out_trade_no}`)).toMatchObject({
      paid_fen: 990,
      refunded_fen: 990,
    });
  });

  it('paid by a desktop’s code', async () => {
    const desktop = await openBrowser(browser, shop, { viewport: { width: 1280, height: 800 } });
    const { page } = desktop;
    await page.goto(shop.origin);
    await page.getByTestId('product-bookmark-plus').click();
    await page.getByTestId('checkout').click();
    await page.locator('#pay[data-code="shown"]').waitFor();
    const code_url = await page.getByTestId('code').getAttribute('data-url');
    const order_no = page.url().split('/').at(-1) ?? '';
    await shop.control('pay', { code_url });
    await showsState(desktop, 'paid');
    expect(await sellerOf(shop, await onlyTrade(shop, order_no))).toBe(seller);
  });
});
