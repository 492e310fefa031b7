/**
 * People with browsers in front of the shop: a phone inside WeChat with the simulator's bridge, any other browser,
 * and what they do with them. Every page is watched: what it writes on its console as an error fails the test.
 */
import assert from 'node:assert/strict';
import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { WECHAT_USER_AGENT } from '../../simulator/phone.ts';
import type { Shop } from '../setup/shop.ts';

/** The options of the simulator's bridge; see its README. */
export interface BridgeOptions {
  mode?: string;
  ready?: string | number;
  platform?: 'ios' | 'android';
  pre_verify?: boolean;
}

export interface VisitOptions extends BrowserContextOptions {
  /** Only inside WeChat; `undefined` there is the simulator's default, a payment sheet. */
  bridge?: BridgeOptions;
  openid?: string;
}

/** One person's browser with one page, and everything it asked for. */
export interface Visit {
  shop: Shop;
  context: BrowserContext;
  page: Page;
  openid: string;
  /** Each request as `METHOD path?query`, in order. */
  asked: string[];
  /** Console errors and uncaught exceptions. */
  complaints: string[];
}

/** A phone's browser that is not WeChat's. */
export const safari =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1';
export const phone_screen = { width: 390, height: 844 };
const open_visits = new Set<Visit>();

/** A phone inside WeChat. Nobody is signed in yet: the shop asks WeChat by itself. */
export async function openWechat(browser: Browser, shop: Shop, options: VisitOptions = {}): Promise<Visit> {
  const { bridge = {}, openid = shop.users[0]?.openid ?? '', ...more } = options;
  const query = new URLSearchParams({ openid });
  for (const [name, value] of Object.entries(bridge)) query.set(name, String(value));
  const script = await (await fetch(`${shop.simulator.url}/_sim/bridge.js?${query}`)).text();
  const context = await browser.newContext({
    userAgent: WECHAT_USER_AGENT,
    viewport: phone_screen,
    isMobile: true,
    hasTouch: true,
    locale: 'zh-CN',
    // WeChat's bridge is no part of the page; the simulator's has to call out of it.
    bypassCSP: true,
    ...more,
  });
  await context.addInitScript({ content: script });
  await context.addCookies([{ name: '_sim_openid', value: openid, url: shop.simulator.url }]);
  return watch(shop, context, openid);
}

/** A browser that is not WeChat's. */
export async function openBrowser(browser: Browser, shop: Shop, options: VisitOptions = {}): Promise<Visit> {
  const { bridge: _, openid: __, ...more } = options;
  const context = await browser.newContext({ locale: 'zh-CN', ...more });
  return watch(shop, context, '');
}

async function watch(shop: Shop, context: BrowserContext, openid: string): Promise<Visit> {
  context.setDefaultTimeout(20_000);
  const visit: Visit = { shop, context, page: await context.newPage(), openid, asked: [], complaints: [] };
  context.on('request', (request) => {
    const { origin, pathname, search } = new URL(request.url());
    if (origin === shop.origin) visit.asked.push(`${request.method()} ${pathname}${search}`);
  });
  context.on('console', (message) => {
    if (message.type() === 'error') visit.complaints.push(`${message.text()} (${message.location().url})`);
  });
  context.on('weberror', (thrown) => visit.complaints.push(`uncaught: ${thrown.error()}`));
  open_visits.add(visit);
  return visit;
}

/** Closes every browser a test opened; for `afterEach`. Throws what their pages complained about. */
export async function closeVisits(): Promise<void> {
  const visits = [...open_visits];
  open_visits.clear();
  await Promise.all(visits.map(({ context }) => context.close()));
  assert.deepEqual(
    visits.flatMap(({ complaints }) => complaints),
    [],
  );
}

/** Says that the page will complain like this, which a browser does by itself about a request that failed. */
export function expectComplaints(visit: Visit, pattern: RegExp): void {
  const { complaints } = visit;
  assert.ok(
    complaints.some((text) => pattern.test(text)),
    `no complaint like ${pattern}`,
  );
  visit.complaints = complaints.filter((text) => !pattern.test(text));
}

/** Signs in as a page inside WeChat would and orders; nothing is shown yet. */
export async function placeOrder(visit: Visit, product_id = 'penny-candy', quantity = 1): Promise<string> {
  const { shop, context } = visit;
  const signed_in = await context.request.get(`${shop.origin}/api/wechat/oauth?return_to=%2Forders`);
  assert.ok(signed_in.ok(), 'signed in');
  const placed = await context.request.post(`${shop.origin}/api/orders`, {
    headers: { origin: shop.origin },
    data: { items: [{ product_id, quantity }], checkout_key: crypto.randomUUID() },
  });
  assert.equal(placed.status(), 201, await placed.text());
  return ((await placed.json()) as { order_no: string }).order_no;
}

/** Orders, then opens the pay page. */
export async function openOrder(visit: Visit, product_id?: string, quantity?: number): Promise<string> {
  const order_no = await placeOrder(visit, product_id, quantity);
  await openPay(visit, order_no);
  return order_no;
}

export async function openPay({ page, shop }: Visit, order_no: string, query = ''): Promise<void> {
  await page.goto(`${shop.origin}/pay/${order_no}${query}`);
}

export const payButton = (page: Page): Locator => page.getByTestId('pay-button');

export async function tapPay({ page }: Visit): Promise<void> {
  await payButton(page).click();
}

/** Waits until the pay page shows one of these states, and says which. */
export async function showsState({ page }: Visit, ...states: string[]): Promise<string> {
  const wanted = states.map((state) => `#pay[data-state="${state}"]`).join(', ');
  return (await page.locator(wanted).getAttribute('data-state')) ?? '';
}

export const title = ({ page }: Visit): Promise<string | null> =>
  page.getByTestId('result-title').textContent();

export interface BridgeCall {
  name: string;
  params: { package: string };
}

/** The payments the page asked WeChat for, in this document. */
export async function bridgeCalls({ page }: Visit): Promise<BridgeCall[]> {
  const calls = await page.evaluate(
    () => (window as { __sim_bridge_log?: BridgeCall[] }).__sim_bridge_log ?? [],
  );
  return calls.filter(({ name }) => name === 'getBrandWCPayRequest');
}

export interface Books {
  state: string;
  paid_trade_no: string | null;
  trades: { out_trade_no: string; trade_state: string; transaction_id: string | null }[];
  events: Record<string, number>;
}

/** What the shop's rows say of an order: its trades, and how often each thing happened. */
export async function books({ rows }: Shop, order_no: string): Promise<Books> {
  const [order] = await rows<{ state: string; paid_trade_no: string | null }>(
    'select state, paid_trade_no from "order" where order_no = $1',
    [order_no],
  );
  if (order === undefined) throw new Error(`no order ${order_no}`);
  const trades = await rows<Books['trades'][number]>(
    'select out_trade_no, trade_state, transaction_id from trade where order_no = $1 order by created_at',
    [order_no],
  );
  const counted = await rows<{ kind: string; count: number }>(
    'select kind, count(*)::int as count from event where order_no = $1 group by kind',
    [order_no],
  );
  return { ...order, trades, events: Object.fromEntries(counted.map(({ kind, count }) => [kind, count])) };
}

/** The one trade of an order. */
export async function onlyTrade(shop: Shop, order_no: string): Promise<string> {
  const { trades } = await books(shop, order_no);
  assert.equal(trades.length, 1, 'one trade');
  return trades[0]?.out_trade_no ?? '';
}

/** How often WeChat was called at one of its doors about a trade, such as `/pay/unifiedorder`. */
export async function callsTo({ control }: Shop, path: string, out_trade_no: string): Promise<number> {
  const query = new URLSearchParams({ path, out_trade_no });
  return (await control<{ entries: unknown[] }>(`log?${query}`)).entries.length;
}

/** Waits until a question to the database has the wanted answer; rows are written by other processes. */
export async function until<Answer>(
  ask: () => Promise<Answer>,
  wanted: (answer: Answer) => boolean,
  within_ms = 15_000,
): Promise<Answer> {
  const give_up_at = Date.now() + within_ms;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (Date.now() > give_up_at) throw new Error(`it never came: ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
