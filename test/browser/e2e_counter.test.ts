// The operator's counter in a tablet's browser: a scanner that types and presses Enter, a payer who looks for the
// password, refusals in words, impatience, and the red packets' second step.
import type { Browser, Cookie } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../setup/browser.ts';
import { createTestDatabase } from '../setup/database.ts';
import { openShop, type Shop } from '../setup/shop.ts';
import { barriersInBothThemes, unreadable } from './look.ts';
import { awake, enter, hire, openDesk, openSignedIn } from './operator.ts';
import { closeVisits, type Visit } from './phones.ts';

let shop: Shop;
let browser: Browser;
let session: Cookie[];

const tablet = { viewport: { width: 820, height: 1180 }, hasTouch: true };

beforeAll(async () => {
  const database = await createTestDatabase();
  shop = await openShop(database.url, {
    environment: { WECHAT_PRODUCTS: 'JSAPI,MICROPAY,FACEPAY', RED_PACKET_DAILY_LIMIT_FEN: '20000' },
  });
  [browser] = await Promise.all([launchBrowser(), shop.startApp(), shop.startWorker(), hire(shop)]);
  await shop.control('merchant', { balance_fen: 100_000 }, 'PUT');
  const desk = await openDesk(browser, shop);
  await enter(desk);
  session = await desk.context.cookies();
  await closeVisits();
});
afterAll(async () => {
  await browser?.close();
  await shop?.close();
});
afterEach(closeVisits);

async function openCounterPage(path = '/admin/counter'): Promise<Visit> {
  return openSignedIn(browser, shop, session, path, tablet);
}

async function newCode(password: boolean): Promise<string> {
  const { auth_code } = await shop.control<{ auth_code: string }>('payment_code', { password });
  return auth_code;
}

/** An amount, then the scanner: eighteen digits at once and Enter. */
async function scan({ page }: Visit, yuan: string, code: string): Promise<void> {
  await page.getByTestId('charge-amount').fill(yuan);
  await page.keyboard.press('Enter');
  await page.keyboard.type(code, { delay: 2 });
  await page.keyboard.press('Enter');
}

async function standing({ page }: Visit, expected: string): Promise<void> {
  await page.locator(`[data-testid="charge-standing"][data-standing="${expected}"]`).waitFor();
}

async function looksWell({ page }: Visit, where: string): Promise<void> {
  expect(await barriersInBothThemes(page), where).toEqual([]);
  expect(await unreadable(page), where).toEqual([]);
}

const onlyNumber = async ({ page }: Visit): Promise<string> =>
  new URL(page.url()).searchParams.get('charge') ?? '';

describe('the counter', () => {
  it('is paid by a scan, shows it large, and is ready for the next with Enter', async () => {
    const visit = await openCounterPage();
    await looksWell(visit, 'empty');
    await scan(visit, '19.90', await newCode(false));
    await standing(visit, 'paid');
    await visit.page.getByText('¥19.90').first().waitFor();
    await looksWell(visit, 'paid');
    expect(await visit.page.evaluate(() => document.activeElement?.getAttribute('data-testid'))).toBe(
      'charge-next',
    );
    await visit.page.keyboard.press('Enter');
    await visit.page.getByTestId('charge-amount').waitFor();
    expect(await visit.page.evaluate(() => document.activeElement?.getAttribute('data-testid'))).toBe(
      'charge-amount',
    );
    await visit.page.getByTestId('counter-totals').getByText('1 笔 ¥19.90').waitFor();
  });

  it('waits for the password with a countdown, also after a reload, and turns to paid by itself', async () => {
    const visit = await openCounterPage();
    await scan(visit, '5', await newCode(true));
    await standing(visit, 'waiting');
    await visit.page.getByText(/还等 \d+ 秒/).waitFor();
    await visit.page.getByTestId('counter-undecided').getByText('1 笔').waitFor();
    await looksWell(visit, 'waiting');
    await visit.page.reload();
    await standing(visit, 'waiting');
    await shop.control('password', { out_trade_no: await onlyNumber(visit), answer: 'confirm' });
    await standing(visit, 'paid');
  });

  it('says in WeChat’s words why nothing was taken', async () => {
    const visit = await openCounterPage();
    await scan(visit, '1', '130000000000000000');
    await standing(visit, 'refused');
    const why = await visit.page.getByTestId('charge-refused').textContent();
    expect(why).toContain('收银员扫描的不是微信支付的条码');
    expect(why).toContain('This is not a WeChat payment code');
    await looksWell(visit, 'refused');
  });

  it('keeps what is no payment code at the desk', async () => {
    const visit = await openCounterPage();
    await scan(visit, '1.234', await newCode(false));
    expect(await visit.page.getByTestId('charge-amount-wrong').textContent()).toContain('最多两位小数');
    await visit.page.getByTestId('charge-amount').fill('1.23');
    await visit.page.getByTestId('charge-code').fill('6901234567892');
    await visit.page.keyboard.press('Enter');
    expect(await visit.page.getByTestId('charge-code-wrong').textContent()).toContain('18 位数字');
    await looksWell(visit, 'wrong');
  });

  it('rings up goods at the shelf’s prices', async () => {
    const visit = await openCounterPage();
    const { page } = visit;
    // The whole desk on the screen, so that the head lies over nothing.
    await page.setViewportSize({ width: 820, height: 2400 });
    await page.getByText('从商品中选').click();
    await page.getByTestId('goods-more-penny-candy').click();
    await page.getByTestId('goods-more-penny-candy').click();
    await looksWell(visit, 'goods');
    await page.getByTestId('charge-code').fill(await newCode(false));
    await page.keyboard.press('Enter');
    await standing(visit, 'paid');
  });

  it('lets the operator give up after fifteen seconds', async () => {
    const visit = await openCounterPage();
    await scan(visit, '7', await newCode(true));
    await standing(visit, 'waiting');
    const button = visit.page.getByTestId('charge-reverse');
    expect(await button.isDisabled()).toBe(true);
    await visit.page.getByText('不等了，撤销').waitFor({ timeout: 25_000 });
    await button.click();
    await standing(visit, 'reversed');
    await visit.page.mouse.move(0, 0);
    await looksWell(visit, 'reversed');
    const { trade_state } = await shop.control<{ trade_state: string }>(`orders/${await onlyNumber(visit)}`);
    expect(trade_state).toBe('REVOKED');
  });

  it('is paid by a face, whose device was let in at the same desk', async () => {
    const visit = await openCounterPage();
    const { page } = visit;
    await page.setViewportSize({ width: 820, height: 2400 });
    await page.getByText('刷脸设备授权').click();
    await page.getByTestId('device-store_id').fill('store-1');
    await page.getByTestId('device-submit').click();
    expect(await page.getByTestId('device-store_name-wrong').textContent()).toContain('门店名称');
    await page.getByTestId('device-store_name').fill('总店');
    await page.getByTestId('device-device_id').fill('face-01');
    await page.getByTestId('device-rawdata').fill('cmF3ZGF0YQ==');
    await page.getByTestId('device-submit').click();
    await page.getByTestId('device-authinfo').waitFor();
    expect((await page.getByTestId('device-authinfo').inputValue()).length).toBeGreaterThan(100);
    await looksWell(visit, 'device let in');

    const { face_code, openid } = await shop.control<{ face_code: string; openid: string }>('face_code', {});
    await page.getByTestId('charge-amount').fill('8.80');
    await page.locator('summary').filter({ hasText: '刷脸收款' }).click();
    await page.getByTestId('charge-face').fill(face_code);
    await page.getByTestId('charge-openid').fill(openid);
    await looksWell(visit, 'a face to charge');
    await page.getByTestId('charge-face-submit').click();
    await standing(visit, 'paid');
    const { trade_state } = await shop.control<{ trade_state: string }>(`orders/${await onlyNumber(visit)}`);
    expect(trade_state).toBe('SUCCESS');
    // Where the device stands is remembered, what it gave is not.
    await page.goto(`${shop.origin}/admin/counter`);
    await page.getByText('刷脸设备授权').click();
    expect(await page.getByTestId('device-device_id').inputValue()).toBe('face-01');
    expect(await page.getByTestId('device-rawdata').inputValue()).toBe('');
  });
});

describe('red packets', () => {
  it('are sent after a second step and listed with their state', async () => {
    const visit = await openCounterPage('/admin/red-packets');
    const { page } = visit;
    await looksWell(visit, 'empty');
    await awake(visit, 'packet-next');
    await page.getByTestId('packet-next').click();
    expect(await page.getByTestId('packet-act-wrong').textContent()).toContain('活动名称');
    await page.getByTestId('packet-to').fill(shop.users[0]?.openid ?? '');
    await page.getByTestId('packet-yuan').fill('1.88');
    await page.getByTestId('packet-act').fill('开业');
    await page.getByTestId('packet-next').click();
    expect(await page.getByTestId('packet-repeat').textContent()).toBe('¥1.88');
    // What lies behind a dialog is under its text, and is meant to be.
    expect(await barriersInBothThemes(page)).toEqual([]);
    await page.getByTestId('packet-submit').click();
    await page.getByTestId('packet-state').waitFor();
    await looksWell(visit, 'sent');
    const { red_packets } = await shop.control<{ red_packets: unknown[] }>('red_packets');
    expect(red_packets).toHaveLength(1);
  });
});
