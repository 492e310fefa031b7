// The operator's console in a desktop browser: who gets in, what the list finds and keeps in its address, what one
// order tells, and how one leaves for good.
import type { Browser, Cookie } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../setup/browser.ts';
import { createTestDatabase } from '../setup/database.ts';
import { openShop, type Shop } from '../setup/shop.ts';
import { barriers, barriersInBothThemes, weigh } from './look.ts';
import { awake, enter, hire, openDesk, openSignedIn, operator } from './operator.ts';
import {
  books,
  closeVisits,
  expectComplaints,
  onlyTrade,
  openOrder,
  openWechat,
  placeOrder,
  showsState,
  tapPay,
  until,
} from './phones.ts';

let shop: Shop;
let browser: Browser;
/** One paid and served, one never paid. */
let paid: string;
let unpaid: string;
/** Of an operator who has signed in once. */
let session: Cookie[];

beforeAll(async () => {
  const database = await createTestDatabase();
  shop = await openShop(database.url);
  [browser] = await Promise.all([launchBrowser(), shop.startApp(), shop.startWorker(), hire(shop)]);
  const shopper = await openWechat(browser, shop, { bridge: { mode: 'ok' } });
  paid = await openOrder(shopper, 'longjing', 2);
  await tapPay(shopper);
  await showsState(shopper, 'paid');
  await until(
    () => books(shop, paid),
    ({ events }) => events.order_served === 1,
  );
  unpaid = await placeOrder(shopper, 'bookmark');
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

describe('getting in and out', () => {
  it('asks everybody to sign in and goes on to the page that was wanted', async () => {
    const desk = await openDesk(browser, shop);
    await enter(desk, `/admin/orders/${paid}`);
    await desk.page.waitForURL(`**/admin/orders/${paid}`);
    expect(await desk.page.getByRole('heading', { level: 1 }).textContent()).toBe(paid);
  });

  it('refuses a wrong password in words, keeps the name and selects the password', async () => {
    const { page, ...desk } = await openDesk(browser, shop);
    await page.goto(`${shop.origin}/admin`);
    await page.getByTestId('login-username').fill(operator.username);
    await page.getByTestId('login-password').fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByText('用户名或密码不正确').waitFor();
    expect(await page.getByTestId('login-username').inputValue()).toBe(operator.username);
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('password');
    expect(new URL(page.url()).pathname).toBe('/admin/login');
    expect(desk.complaints.splice(0)).toEqual([expect.stringContaining('401')]);
  });

  it('does not follow a link that leads away from the console', async () => {
    const desk = await openDesk(browser, shop);
    await enter(desk, '/admin/login?next=https://example.com/admin');
    expect(new URL(desk.page.url()).origin).toBe(shop.origin);
  });

  it('logging out ends the session for every copy of its cookie', async () => {
    const desk = await openDesk(browser, shop);
    await enter(desk);
    const copy = await openDesk(browser, shop);
    await copy.context.addCookies(await desk.context.cookies());
    await copy.page.goto(`${shop.origin}/admin/orders`);
    await copy.page.getByTestId('total-count').waitFor();
    await desk.page.getByTestId('logout').click();
    await desk.page.getByTestId('login-submit').waitFor();
    await copy.page.reload();
    await copy.page.getByTestId('login-submit').waitFor();
    const answer = await copy.context.request.get(`${shop.origin}/api/admin/orders`);
    expect(answer.status()).toBe(401);
    await desk.page.goBack();
    await desk.page.getByTestId('login-submit').waitFor();
  });
});

describe('the list', () => {
  it('keeps its filter in the address: reload, back and a copied link show the same', async () => {
    const desk = await openSignedIn(browser, shop, session);
    const { page } = desk;
    await page.getByTestId(`order-row-${unpaid}`).waitFor();
    await page.getByRole('link', { name: '已支付', exact: true }).click();
    await page.waitForURL('**/admin/orders?state=SUCCESS');
    await page.getByTestId(`order-row-${unpaid}`).waitFor({ state: 'detached' });
    await page.getByTestId('order-search').fill(paid.slice(0, 20));
    await page.keyboard.press('Enter');
    await page.waitForURL('**/admin/orders?**q=**');
    const address = page.url();
    expect(address).toContain('state=SUCCESS');
    await page.getByTestId(`order-row-${paid}`).getByRole('link').click();
    await page.waitForURL(`**/admin/orders/${paid}`);
    await page.goBack();
    await page.getByTestId(`order-row-${paid}`).waitFor();
    expect(page.url()).toBe(address);
    expect(await page.getByTestId('order-search').inputValue()).toBe(paid.slice(0, 20));
    await page.reload();
    await page.getByTestId(`order-row-${paid}`).waitFor();
    expect(page.url()).toBe(address);
    const copied = await openSignedIn(browser, shop, session, address.replace(shop.origin, ''));
    await copied.page.getByTestId(`order-row-${paid}`).waitFor();
    expect(await copied.page.locator('[data-testid^=order-row-]').count()).toBe(1);
  });

  it.each(['order_no', 'out_trade_no', 'transaction_id'] as const)('finds an order by its %s', async (by) => {
    const { trades } = await books(shop, paid);
    const number = by === 'order_no' ? paid : (trades[0]?.[by] ?? '');
    const desk = await openSignedIn(browser, shop, session);
    const { page } = desk;
    await awake(desk, 'order-search');
    await page.keyboard.press('/');
    await page.keyboard.type(number);
    await page.keyboard.press('Enter');
    await page.waitForURL(`**q=${number}`);
    await page.getByTestId(`order-row-${unpaid}`).waitFor({ state: 'detached' });
    await page.getByTestId(`order-row-${paid}`).waitFor();
    expect(await page.locator('[data-testid^=order-row-]').count()).toBe(1);
    expect(await page.getByTestId('total-paid').textContent()).toBe('¥256.00');
  });

  it('means days of Beijing in a browser of New York, to the second', async () => {
    const shopper = await openWechat(browser, shop, { openid: shop.users[1]?.openid ?? '' });
    const late = await placeOrder(shopper, 'postcard');
    const early = await placeOrder(shopper, 'postcard');
    // The last second of the 20th in Beijing, and the first of the 21st; in New York both are the 20th.
    await shop.rows(`update "order" set created_at = '2025-11-20T15:59:59.999Z' where order_no = $1`, [late]);
    await shop.rows(`update "order" set created_at = '2025-11-20T16:00:00.000Z' where order_no = $1`, [
      early,
    ]);
    const desk = await openSignedIn(browser, shop, session);
    const { page } = desk;
    await page.getByLabel('起始日（北京时间）').fill('2025-11-21');
    await page.getByLabel('截止日（北京时间，含当天）').fill('2025-11-21');
    await page.getByRole('button', { name: '查询' }).click();
    await page.waitForURL('**from=2025-11-21**');
    const row = page.getByTestId(`order-row-${early}`);
    await row.waitFor();
    expect(await row.locator('time').first().textContent()).toBe('2025-11-21 00:00:00');
    expect(await page.getByTestId(`order-row-${late}`).count()).toBe(0);
    await page.goto(`${shop.origin}/admin/orders?from=2025-11-20&to=2025-11-20`);
    expect(await page.getByTestId(`order-row-${late}`).locator('time').first().textContent()).toBe(
      '2025-11-20 23:59:59',
    );
    expect(await page.getByTestId(`order-row-${early}`).count()).toBe(0);
  });

  it('says what to do when nothing fits, and leads back', async () => {
    const desk = await openSignedIn(browser, shop, session, '/admin/orders?q=nobody-has-this');
    await desk.page.getByText('没有符合条件的订单').waitFor();
    await desk.page.getByRole('link', { name: '清除所有条件' }).click();
    await desk.page.getByTestId(`order-row-${paid}`).waitFor();
  });
});

describe('one order', () => {
  it('tells its whole story in order, each moment with its source, and hides what nobody needs', async () => {
    const desk = await openSignedIn(browser, shop, session, `/admin/orders/${paid}`);
    const { page } = desk;
    const kinds = await page
      .getByTestId('timeline-item')
      .evaluateAll((items) => items.map((item) => item.getAttribute('data-kind')));
    const wanted = ['order_created', 'trade_created', 'unified_order', 'paid', 'order_served'];
    expect(kinds.filter((kind) => wanted.includes(kind ?? ''))).toEqual(wanted);
    const times = await page
      .getByTestId('timeline-item')
      .locator('p time')
      .evaluateAll((all) => all.map((time) => time.getAttribute('datetime') ?? ''));
    expect(times).toEqual([...times].sort());
    expect(await page.getByTestId('money-paid').textContent()).toBe('¥256.00');
    const html = await page.content();
    const trade_no = await onlyTrade(shop, paid);
    expect(html).toContain(trade_no);
    const [notification] = await shop.rows<{ sign: string }>(
      `select substring(convert_from(body, 'UTF8') from '<sign><!\\[CDATA\\[([0-9A-F]+)') as sign
       from notification where out_trade_no = $1`,
      [trade_no],
    );
    expect(notification?.sign).toMatch(/^[0-9A-F]{32,64}$/);
    expect(html.includes(notification?.sign ?? 'no sign')).toBe(false);
    expect(html.includes(shop.users[0]?.openid ?? '')).toBe(false);
  });

  it('asks WeChat again: an order whose notification was lost is paid after one click', async () => {
    await shop.control('faults', { notify_never: true }, 'PUT');
    const shopper = await openWechat(browser, shop, { bridge: { mode: 'cancel' } });
    const order_no = await openOrder(shopper, 'tea-cup');
    await tapPay(shopper);
    await showsState(shopper, 'cancelled');
    const desk = await openSignedIn(browser, shop, session, `/admin/orders/${order_no}`);
    const { page } = desk;
    await shop.control('pay', { out_trade_no: await onlyTrade(shop, order_no) });
    await awake(desk, 'requery');
    // The worker may have asked a moment ago; then the console says so, and one asks again.
    await until(
      async () => {
        await page.getByTestId('requery').click();
        await page.locator('[data-testid=requery-result] .ant-alert').waitFor();
        return page.getByTestId('requery-result').textContent();
      },
      (told) => told?.includes('微信说：已支付') === true,
    );
    await until(
      () => page.getByTestId('money-paid').textContent(),
      (text) => text === '¥88.00',
    );
    expect((await books(shop, order_no)).events.paid).toBe(1);
    await shop.control('faults', undefined, 'DELETE');
  });

  it('that does not exist is said plainly', async () => {
    const desk = await openSignedIn(browser, shop, session, '/admin/orders');
    const answer = await desk.page.goto(`${shop.origin}/admin/orders/20261123NOTHERE`);
    expect(answer?.status()).toBe(404);
    expectComplaints(desk, /404/);
  });
});

describe('a shop outside its payment directories', () => {
  const iPhone =
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.56';
  const register = (directory: string) => shop.control('shop', { payment_directories: [directory] }, 'PUT');

  it.each([
    ['Android', {}],
    ['an iPhone', { userAgent: iPhone, bridge: { platform: 'ios' } }],
  ] as const)(
    'a shopper on %s is turned away, and the operator sees which page it was and where to register it',
    async (_device, options) => {
      await register(`${shop.origin}/Pay/`);
      const shopper = await openWechat(browser, shop, options);
      const order_no = await openOrder(shopper, 'bookmark');
      await tapPay(shopper);
      await shopper.page.getByTestId('sim-alert-ok').click();
      await showsState(shopper, 'failed');
      const desk = await openSignedIn(browser, shop, session, '/admin/attention');
      const row = desk.page.getByTestId('attention-account');
      await row.waitFor();
      expect(await row.textContent()).toContain(`${shop.origin}/pay/${order_no}`);
      expect(await row.textContent()).toContain('JSAPI支付授权目录');
      await desk.page.getByTestId('consoles').locator('summary').click();
      expect(await desk.page.getByTestId('consoles').textContent()).toContain(`${shop.origin}/pay/`);
      expect(await barriers(desk.page)).toEqual([]);
      await register(`${shop.origin}/pay/`);
      await shop.rows('delete from account_fault');
    },
  );
});

describe('every page of the console', () => {
  it.each([
    [1280, barriersInBothThemes],
    [390, barriers],
  ])('has no barrier and no sideways scrolling at %i px', async (width, look) => {
    const desk = await openDesk(browser, shop, { viewport: { width, height: 800 } });
    const { page } = desk;
    await page.goto(`${shop.origin}/admin/login`);
    await page.getByTestId('login-submit').waitFor();
    const found = await look(page);
    await desk.context.addCookies(session);
    const paths = [
      'orders',
      `orders/${paid}`,
      'orders?q=nobody-has-this',
      'refunds',
      'statements',
      'attention',
      'audit',
    ];
    for (const path of paths) {
      await page.goto(`${shop.origin}/admin/${path}`, { waitUntil: 'networkidle' });
      for (const details of await page.locator('details').all()) {
        await details.evaluate((element) => element.setAttribute('open', ''));
      }
      found.push(...(await look(page)).map((text) => `${path} ${text}`));
      const over = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      expect(over, path).toBeLessThanOrEqual(0);
    }
    expect(found).toEqual([]);
  });

  it('weighs at most what its kit costs once', async () => {
    for (const path of ['/admin/orders', `/admin/orders/${paid}`]) {
      const fresh = await openDesk(browser, shop);
      await fresh.context.addCookies(session);
      const { bytes, origins } = await weigh(fresh.page, shop.origin + path);
      expect(origins).toEqual([shop.origin]);
      expect(bytes.script, path).toBeLessThan(320 * 1024);
    }
  });
});
