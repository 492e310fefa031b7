// What `npm run pictures` runs: walks through shop, console and simulator as the production build shows them and
// writes what one sees to docs/pictures. Needs a font with Chinese characters; pngquant, if there, makes files small.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
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
import { openShop, type Shop, startNode } from '../setup/shop.ts';
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
  WECHAT_PRODUCTS: 'JSAPI,NATIVE,MWEB,MICROPAY,FACEPAY',
  RED_PACKET_DAILY_LIMIT_FEN: '50000',
};
const dark = { colorScheme: 'dark' } as const;
const sharp = { deviceScaleFactor: 2 };

await runScript(async () => {
  if (!isBuilt()) await step('building the app', () => build());
  const browser = await launchBrowser();
  try {
    await requireChinese(browser);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    await withScratchPostgres(async (postgres) => {
      const database_url = postgres.url(database_name);
      await migrate(database_url, () => prepareQueues(database_url));
      const shop = await openShop(database_url, { environment: pictured });
      try {
        await Promise.all([shop.startApp(), shop.startWorker(), hire(shop)]);
        await step('the shopper in WeChat', () => walkInWechat(browser, shop));
        await step('the shopper elsewhere', () => walkElsewhere(browser, shop));
        await step('the operator', () => walkInConsole(browser, shop));
        await step('the simulator', () => walkInSimulator(browser, shop));
        await step('the next morning', () => walkNextMorning(browser, shop));
      } finally {
        await shop.close();
      }
    });
  } finally {
    await browser.close();
  }
  shrink();
  return 0;
});

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
  await phone.page.getByTestId('h5-return').click();
  await showsState(phone, 'returned');
  await shoot(phone.page, 'pay-phone-returned');
  await phone.page.goto(`${phone.page.url()}&lang=en`);
  await showsState(phone, 'returned');
  await shoot(phone.page, 'pay-phone-returned-english');
  await phone.context.close();
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
