// What `npm run pictures` runs: walks through shop, console and simulator as the production build shows them and
// writes what one sees to docs/pictures. Needs a font with Chinese characters; pngquant, if there, makes files small.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { beijingDay } from '../../lib/beijing.ts';
import { prepareQueues } from '../../lib/queues.ts';
import { billReadyAt } from '../../lib/statements.ts';
import { build, isBuilt } from '../../scripts/building.ts';
import { database_name } from '../../scripts/database.ts';
import { Fault, runScript } from '../../scripts/fault.ts';
import { migrate } from '../../scripts/migrations.ts';
import { inProject } from '../../scripts/paths.ts';
import { note, step } from '../../scripts/progress.ts';
import { withScratchPostgres } from '../../scripts/scratch_postgres.ts';
import { launchBrowser } from '../setup/browser.ts';
import { partnerSettings } from '../setup/partner_home.ts';
import { openShop, type Shop, type ShopOptions, startNode } from '../setup/shop.ts';
import { enter, hire } from './operator.ts';
import { close } from './orders.ts';
import {
  type BridgeOptions,
  books,
  onlyTrade,
  openBrowser,
  openOrder,
  openPay,
  openWechat,
  phone_screen,
  safari,
  showsState,
  tapPay,
  until,
  type Visit,
} from './phones.ts';

const folder = inProject('docs', 'pictures');
const desktop_screen = { width: 1280, height: 800 };
const pictured = {
  WECHAT_PRODUCTS: 'JSAPI,NATIVE,MWEB,APP,MINIPROGRAM,MICROPAY,FACEPAY',
  RED_PACKET_DAILY_LIMIT_FEN: '50000',
};
const pictured_partner = { WECHAT_PRODUCTS: 'JSAPI,NATIVE,MICROPAY' };
const dark = { colorScheme: 'dark' } as const;
const sharp = { deviceScaleFactor: 2 };

await runScript(async () => {
  if (!isBuilt()) await step('building the app', () => build());
  const browser = await launchBrowser();
  try {
    await requireChinese(browser);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    await inShop(pictured, async (shop) => {
      await step('the shopper in WeChat', () => walkInWechat(browser, shop));
      await step('the shopper elsewhere', () => walkElsewhere(browser, shop));
      await step('the operator', () => walkInConsole(browser, shop));
      await step('the simulator', () => walkInSimulator(browser, shop));
      await step('an APP', () => walkWithApp(browser, shop));
      await step('the next morning', () => walkNextMorning(browser, shop));
    });
    await inShop(
      (simulated) => ({ ...pictured_partner, ...partnerSettings(simulated, 'provider') }),
      (shop) => step('a service provider', () => walkAsProvider(browser, shop)),
    );
  } finally {
    await browser.close();
  }
  shrink();
  return 0;
});

/** A shop of its own with an operator, on a database that is gone afterwards. */
async function inShop(
  environment: ShopOptions['environment'],
  walk: (shop: Shop) => Promise<void>,
): Promise<void> {
  await withScratchPostgres(async (postgres) => {
    const database_url = postgres.url(database_name);
    await migrate(database_url, () => prepareQueues(database_url));
    const shop = await openShop(database_url, environment === undefined ? {} : { environment });
    try {
      await Promise.all([shop.startApp(), shop.startWorker(), hire(shop)]);
      await walk(shop);
    } finally {
      await shop.close();
    }
  });
}

async function walkInWechat(browser: Browser, shop: Shop): Promise<void> {
  await inWechat(browser, shop, {}, async (visit) => {
    await openBasket(visit);
    await visit.page.evaluate(() => window.scrollTo(0, 0));
    await shoot(visit.page, 'shop');
    await visit.page.emulateMedia(dark);
    await shoot(visit.page, 'shop-dark');
    await visit.page.emulateMedia({ colorScheme: 'light' });
    await visit.page.getByTestId('checkout').click();
    await visit.page.waitForURL('**/pay/*');
    await showsState(visit, 'ready');
    await shoot(visit.page, 'pay-ready');
    await visit.page.emulateMedia(dark);
    await shoot(visit.page, 'pay-ready-dark');
    await visit.page.emulateMedia({ colorScheme: 'light' });
    await tapPay(visit);
    await visit.page.getByTestId('sim-sheet-pay').waitFor();
    await shoot(visit.page, 'pay-sheet');
    await visit.page.getByTestId('sim-sheet-close').click();
    await showsState(visit, 'cancelled');
    await shoot(visit.page, 'pay-cancelled');
    await tapPay(visit);
    await visit.page.getByTestId('sim-sheet-pay').click();
    await visit.page.getByTestId('sim-sheet-done').click();
    await showsState(visit, 'paid');
    await shoot(visit.page, 'pay-paid');
    await visit.page.emulateMedia(dark);
    await shoot(visit.page, 'pay-paid-dark');
  });
  await inWechat(browser, shop, { mode: 'ok_without_pay' }, async (visit) => {
    await visit.page.clock.install();
    await openOrder(visit, 'osmanthus-cake');
    await tapPay(visit);
    await showsState(visit, 'confirming');
    await shoot(visit.page, 'pay-confirming');
    await visit.page.clock.fastForward(70_000);
    await showsState(visit, 'still_unknown');
    await shoot(visit.page, 'pay-unknown');
  });
  await inWechat(browser, shop, { mode: 'fail' }, async (visit) => {
    await openOrder(visit, 'bookmark', 2);
    await tapPay(visit);
    await showsState(visit, 'failed');
    await shoot(visit.page, 'pay-failed');
  });
  await inWechat(browser, shop, { mode: 'cancel' }, async (visit) => {
    const order_no = await openOrder(visit, 'tea-cup');
    await tapPay(visit);
    await showsState(visit, 'cancelled');
    await close(shop, order_no);
    await openPay(visit, order_no);
    await shoot(visit.page, 'pay-closed');
    const other = await openWechat(browser, shop, { ...sharp, openid: shop.users[1]?.openid ?? '' });
    await openPay(other, order_no);
    await shoot(other.page, 'pay-other-payer');
    await other.context.close();
    // Paid all the same, at the last moment: money that the console must show and that goes back.
    await shop.control('pay', { out_trade_no: await onlyTrade(shop, order_no), late: true });
    await until(
      () => books(shop, order_no),
      ({ events }) => events.paid_late === 1 && events.refund_sent !== undefined,
    );
    // The refund is under way for a few seconds at WeChat, and the worker asks what became of it.
    await shop.control('clock', { advance_s: 10 });
    await until(
      () => shop.rows(`select 1 from refund where order_no = $1 and state = 'SUCCESS'`, [order_no]),
      (done) => done.length === 1,
      60_000,
    );
    await visit.page.goto(`${shop.origin}/orders`);
    await shoot(visit.page, 'orders');
  });
  await inWechat(browser, shop, {}, async (visit) => {
    await openOrder(visit, 'longjing');
    await visit.page.goto(`${visit.page.url()}?lang=en`);
    await showsState(visit, 'ready');
    await shoot(visit.page, 'pay-english');
  });
  await inWechat(browser, shop, { mode: 'cancel' }, async (visit) => {
    await visit.page.setViewportSize({ width: 320, height: 568 });
    await openOrder(visit, 'longjing');
    await tapPay(visit);
    await showsState(visit, 'cancelled');
    await visit.page.evaluate(() => document.body.style.setProperty('-webkit-text-size-adjust', '200%'));
    await shoot(visit.page, 'pay-large-letters', true);
  });
}

async function walkElsewhere(browser: Browser, shop: Shop): Promise<void> {
  const desktop = await openBrowser(browser, shop, { viewport: desktop_screen });
  await openBasket(desktop);
  await shoot(desktop.page, 'shop-desktop');
  await desktop.page.getByTestId('checkout').click();
  await desktop.page.waitForURL('**/pay/*');
  await desktop.page.locator('#pay[data-code="shown"]').waitFor();
  await shoot(desktop.page, 'pay-desktop');
  const order_no = desktop.page.url().split('/').at(-1) ?? '';
  await openPay(desktop, order_no, '?lang=en');
  await desktop.page.locator('#pay[data-code="shown"]').waitFor();
  await shoot(desktop.page, 'pay-desktop-english');
  // Taken over by a phone: the code goes.
  const wechat = await openWechat(browser, shop, { bridge: { mode: 'hold' } });
  await openPay(wechat, order_no);
  await tapPay(wechat);
  await desktop.page.locator('#pay[data-code="replaced"]').waitFor();
  await openPay(desktop, order_no, '?lang=zh');
  await desktop.page.locator('#pay[data-code="replaced"]').waitFor();
  await shoot(desktop.page, 'pay-desktop-elsewhere');
  await wechat.context.close();
  await desktop.context.close();
  await walkWithScanner(browser, shop, order_no);
  const phone = await openBrowser(browser, shop, {
    userAgent: safari,
    viewport: phone_screen,
    isMobile: true,
    ...sharp,
  });
  await openBasket(phone);
  await phone.page.getByTestId('checkout').click();
  await phone.page.waitForURL('**/pay/*');
  await showsState(phone, 'ready');
  await shoot(phone.page, 'pay-phone', true);
  await tapPay(phone);
  await phone.page.getByTestId('h5-open-wechat').waitFor();
  await shoot(phone.page, 'pay-phone-handover');
  await phone.page.getByTestId('h5-return').click();
  await showsState(phone, 'returned');
  await shoot(phone.page, 'pay-phone-returned');
  await phone.page.goto(`${phone.page.url()}&lang=en`);
  await showsState(phone, 'returned');
  await shoot(phone.page, 'pay-phone-returned-english');
  await phone.context.close();
}

/** The payer's phone after it has read a code: one of a desktop's order, one printed for goods. */
async function walkWithScanner(browser: Browser, shop: Shop, order_no: string): Promise<void> {
  const desktop = await openBrowser(browser, shop, { viewport: desktop_screen });
  await openPay(desktop, order_no, '?lang=zh');
  await desktop.page.getByTestId('code-again').click();
  await desktop.page.locator('#pay[data-code="shown"]').waitFor();
  const [{ code_url } = { code_url: '' }] = await shop.rows<{ code_url: string }>(
    `select code_url from trade where order_no = $1 and code_url is not null order by created_at desc limit 1`,
    [order_no],
  );
  await desktop.context.close();
  const scanner = await openBrowser(browser, shop, { viewport: phone_screen, isMobile: true, ...sharp });
  const scan = (link: string): Promise<unknown> =>
    scanner.page.goto(`${shop.simulator.url}/_sim/cashier?${new URLSearchParams({ code_url: link })}`);
  await scan(code_url);
  await shoot(scanner.page, 'scan-desktop-code');
  const native_callback_url = `${shop.origin}/api/wechat/native`;
  await shop.control('merchant', { native_callback_url }, 'PUT');
  const drawn = mkdtempSync(join(tmpdir(), 'guitai-code-'));
  const file = join(drawn, 'code.svg');
  const { running } = startNode('scripts/native_code.ts', ['longjing', '--svg', file], shop.settings);
  const { code } = await running.ended;
  if (code !== 0) throw new Fault(`The printed code was not made:\n${running.output()}`);
  await scanner.page.setContent(
    `<title>code</title><img style="width:100%" src="data:image/svg+xml;base64,${readFileSync(file, 'base64')}">`,
  );
  rmSync(drawn, { recursive: true });
  await shoot(scanner.page, 'printed-code');
  await scan(/weixin:\S+/.exec(running.output())?.[0] ?? '');
  await scanner.page.getByTestId('cashier-pay').waitFor();
  await shoot(scanner.page, 'scan-printed-code');
  await scanner.context.close();
}

/** An APP's order, by its own server's doorway, and the phone on which the APP runs. */
async function walkWithApp(browser: Browser, shop: Shop): Promise<void> {
  const ask = async (path: string, body: unknown): Promise<Record<string, unknown>> => {
    const answer = await fetch(`${shop.origin}/api/app/orders${path}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${shop.settings.APP_API_KEYS?.split(':')[1]}`,
        'content-type': 'application/json',
        'idempotency-key': crypto.randomUUID(),
      },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Fault(`The APP's order was refused: ${await answer.text()}`);
    return (await answer.json()) as Record<string, unknown>;
  };
  const { order_no } = await ask('', { items: [{ product_id: 'osmanthus-cake', quantity: 2 }] });
  const begun = await ask(`/${order_no}/pay`, { payer_client_ip: '203.0.113.7' });
  const { page, context } = await openBrowser(browser, shop, { viewport: { width: 1280, height: 1180 } });
  await page.goto(`${shop.simulator.url}/_sim/`, { waitUntil: 'networkidle' });
  await page.getByText('APP 与小程序').click();
  await page.getByTestId('sim-mini-login').click();
  await page.getByTestId('sim-client-call').fill(JSON.stringify(begun, null, 2));
  await page.getByTestId('sim-client-pay').click();
  await page.getByTestId('sim-client-answer').waitFor();
  await shoot(page, 'simulator-app');
  await context.close();
}

async function walkInConsole(browser: Browser, shop: Shop): Promise<void> {
  const desk = await openBrowser(browser, shop, { viewport: desktop_screen });
  const { page } = desk;
  await page.goto(`${shop.origin}/admin/login`, { waitUntil: 'networkidle' });
  await shoot(page, 'admin-login');
  await enter(desk);
  await page.goto(`${shop.origin}/admin/orders`, { waitUntil: 'networkidle' });
  await shoot(page, 'admin-orders');
  await page.emulateMedia(dark);
  await shoot(page, 'admin-orders-dark');
  const [{ order_no: paid } = { order_no: '' }] = await shop.rows<{ order_no: string }>(
    `select order_no from "order" where state = 'SUCCESS' order by created_at limit 1`,
  );
  await page.goto(`${shop.origin}/admin/orders/${paid}`, { waitUntil: 'networkidle' });
  await shoot(page, 'admin-order-dark', true);
  await page.emulateMedia({ colorScheme: 'light' });
  await shoot(page, 'admin-order', true);
  const [{ order_no: surplus } = { order_no: '' }] = await shop.rows<{ order_no: string }>(
    `select order_no from trade where surplus is not null limit 1`,
  );
  await page.goto(`${shop.origin}/admin/orders/${surplus}`, { waitUntil: 'networkidle' });
  await shoot(page, 'admin-order-surplus');
  for (const section of ['attention', 'refunds', 'statements', 'audit']) {
    await page.goto(`${shop.origin}/admin/${section}`, { waitUntil: 'networkidle' });
    await shoot(page, `admin-${section}`);
  }
  await walkAtCounter(page, shop);
  await page.goto(`${shop.origin}/admin/orders/${surplus}`, { waitUntil: 'networkidle' });
  await page.setViewportSize(phone_screen);
  await shoot(page, 'admin-order-phone');
  await page.goto(`${shop.origin}/admin/orders`, { waitUntil: 'networkidle' });
  await shoot(page, 'admin-orders-phone');
  await desk.context.close();
}

async function walkAtCounter(page: Page, shop: Shop): Promise<void> {
  const scan = async (yuan: string, password: boolean): Promise<void> => {
    const { auth_code } = await shop.control<{ auth_code: string }>('payment_code', { password });
    await page.goto(`${shop.origin}/admin/counter`, { waitUntil: 'networkidle' });
    await page.getByTestId('charge-amount').fill(yuan);
    await page.keyboard.press('Enter');
    await page.keyboard.type(auth_code, { delay: 2 });
    await page.keyboard.press('Enter');
  };
  const standing = (expected: string): Promise<void> =>
    page.locator(`[data-testid="charge-standing"][data-standing="${expected}"]`).waitFor();
  await page.goto(`${shop.origin}/admin/counter`, { waitUntil: 'networkidle' });
  await shoot(page, 'admin-counter');
  await page.setViewportSize(phone_screen);
  await shoot(page, 'admin-counter-form-phone');
  await page.setViewportSize(desktop_screen);
  await scan('19.90', true);
  await standing('waiting');
  await shoot(page, 'admin-counter-waiting');
  const charge = new URL(page.url()).searchParams.get('charge');
  await shop.control('password', { out_trade_no: charge, answer: 'confirm' });
  await standing('paid');
  await shoot(page, 'admin-counter-paid');
  await scan('6', false);
  await standing('paid');
  await page.setViewportSize(phone_screen);
  await shoot(page, 'admin-counter-phone');
  await page.setViewportSize(desktop_screen);
  await page.goto(`${shop.origin}/admin/counter`, { waitUntil: 'networkidle' });
  await page.getByText('刷脸收款').first().click();
  const { face_code, openid } = await shop.control<{ face_code: string; openid: string }>('face_code', {});
  await page.getByTestId('charge-amount').fill('8.80');
  await page.getByTestId('charge-face').fill(face_code);
  await page.getByTestId('charge-openid').fill(openid);
  await shoot(page, 'admin-counter-face');
  await page.setViewportSize(phone_screen);
  await shoot(page, 'admin-counter-face-phone', true);
  await page.setViewportSize(desktop_screen);
  await page.getByTestId('charge-face-submit').click();
  await standing('paid');
  await walkWithDevice(page, shop);
  await shop.control('merchant', { balance_fen: 100_000 }, 'PUT');
  await page.goto(`${shop.origin}/admin/red-packets`, { waitUntil: 'networkidle' });
  await page.getByTestId('packet-to').fill(shop.users[0]?.openid ?? '');
  await page.getByTestId('packet-yuan').fill('1.88');
  await page.getByTestId('packet-act').fill('开业');
  await page.getByTestId('packet-next').click();
  await page.getByTestId('packet-submit').click();
  await page.getByTestId('packet-state').waitFor();
  await page.goto(`${shop.origin}/admin/red-packets`, { waitUntil: 'networkidle' });
  await shoot(page, 'admin-red-packets');
  await page.setViewportSize(phone_screen);
  await shoot(page, 'admin-red-packets-phone', true);
  await page.setViewportSize(desktop_screen);
}

/** A face device is let in: what it says, and what it is answered. */
async function walkWithDevice(page: Page, shop: Shop): Promise<void> {
  await page.goto(`${shop.origin}/admin/counter`, { waitUntil: 'networkidle' });
  await page.getByText('刷脸设备授权').first().click();
  for (const [name, text] of [
    ['store_id', 'S001'],
    ['store_name', '拙政园店'],
    ['device_id', 'D-7'],
    ['rawdata', 'cmF3ZGF0YSBvZiBhIGRldmljZQ=='],
  ] as const) {
    await page.getByTestId(`device-${name}`).fill(text);
  }
  await page.getByTestId('device-submit').click();
  await page.getByTestId('device-authinfo').waitFor();
  await shoot(page, 'admin-counter-device', true);
  await page.setViewportSize(phone_screen);
  await shoot(page, 'admin-counter-device-phone', true);
  await page.setViewportSize(desktop_screen);
}

/** A service provider's shop: whose money it is on the phone, at the till and on the order. */
async function walkAsProvider(browser: Browser, shop: Shop): Promise<void> {
  const phone = await openWechat(browser, shop, sharp);
  const order_no = await openOrder(phone, 'bookmark');
  await tapPay(phone);
  await phone.page.getByTestId('sim-sheet-pay').waitFor();
  await shoot(phone.page, 'partner-pay-sheet');
  await phone.page.getByTestId('sim-sheet-pay').click();
  await phone.page.getByTestId('sim-sheet-done').click();
  await showsState(phone, 'paid');
  await phone.context.close();
  const desk = await openBrowser(browser, shop, { viewport: desktop_screen });
  await enter(desk);
  await desk.page.goto(`${shop.origin}/admin/orders/${order_no}`, { waitUntil: 'networkidle' });
  await shoot(desk.page, 'partner-admin-order');
  await desk.page.goto(`${shop.origin}/admin/counter`, { waitUntil: 'networkidle' });
  await desk.page.getByTestId('charge-seller').waitFor();
  await shoot(desk.page, 'partner-admin-counter');
  await desk.context.close();
}

async function walkInSimulator(browser: Browser, shop: Shop): Promise<void> {
  const { page, context } = await openBrowser(browser, shop, { viewport: desktop_screen });
  await page.goto(`${shop.simulator.url}/_sim/`, { waitUntil: 'networkidle' });
  await shoot(page, 'simulator');
  await context.close();
}

/** Last, because the simulator's clock never goes back: today's bill, wrong in one row, and what became of it. */
async function walkNextMorning(browser: Browser, shop: Shop): Promise<void> {
  const { now_ms } = await shop.control<{ now_ms: number }>('clock');
  const today = beijingDay(new Date(now_ms));
  const ready_at = billReadyAt(today)?.getTime() ?? 0;
  await shop.control('faults', { bill_other_amount: { delta_fen: 7 } }, 'PUT');
  await shop.control('clock', { advance_s: Math.ceil((ready_at + 300_000 - now_ms) / 1_000) });
  const { running } = startNode('scripts/reconcile.ts', ['--date', today], shop.settings);
  const { code } = await running.ended;
  if (code !== 1) throw new Fault(`The bill of ${today} was to differ in one row:\n${running.output()}`);
  const desk = await openBrowser(browser, shop, { viewport: desktop_screen });
  await enter(desk);
  await desk.page.goto(`${shop.origin}/admin/statements/${today}`, { waitUntil: 'networkidle' });
  await shoot(desk.page, 'admin-statement', true);
  await desk.page.setViewportSize(phone_screen);
  await shoot(desk.page, 'admin-statement-phone', true);
  await desk.context.close();
}

async function inWechat(
  browser: Browser,
  shop: Shop,
  bridge: BridgeOptions,
  walk: (visit: Visit) => Promise<void>,
): Promise<void> {
  const visit = await openWechat(browser, shop, { bridge, ...sharp });
  await walk(visit);
  await visit.context.close();
}

async function openBasket({ page, shop }: Visit): Promise<void> {
  await page.goto(shop.origin);
  for (const product_id of ['longjing', 'bookmark', 'bookmark', 'penny-candy']) {
    await page.getByTestId(`product-${product_id}-plus`).click();
  }
}

/** What the screen shows, or the whole page. */
async function shoot(page: Page, name: string, whole = false): Promise<void> {
  await page.evaluate(() => document.fonts.ready);
  // The header sticks to what is seen, which in a whole page is the top.
  if (whole) await page.evaluate(() => window.scrollTo(0, 0));
  await page.screenshot({
    path: join(folder, `${name}.png`),
    fullPage: whole,
    animations: 'disabled',
    caret: 'hide',
  });
}

/** Two different characters that look the same are two empty boxes. */
async function requireChinese(browser: Browser): Promise<void> {
  const page = await browser.newPage();
  const drawn = await page.evaluate(() =>
    ['柜', '台'].map((sign) => {
      const canvas = document.createElement('canvas');
      const pen = canvas.getContext('2d');
      if (pen === null) return '';
      pen.font = '40px sans-serif';
      pen.fillText(sign, 0, 50);
      return canvas.toDataURL();
    }),
  );
  await page.close();
  if (drawn[0] === drawn[1]) {
    throw new Fault(
      'No font here has Chinese characters, so the pictures would show empty boxes. ' +
        'On Debian: apt-get install fonts-noto-cjk',
    );
  }
}

function shrink(): void {
  const files = readdirSync(folder).map((name) => join(folder, name));
  const options = ['--force', '--ext', '.png', '--skip-if-larger', '--strip', '--quality', '70-95'];
  const shrunk = spawnSync('pngquant', [...options, '--', ...files], { encoding: 'utf8' });
  if (shrunk.error !== undefined) note('pngquant is not installed: the pictures stay as large as they are');
  note(`${files.length} pictures in ${folder}`);
}
