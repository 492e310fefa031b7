// How long a shopper with a slow phone on a slow net waits until the pay button answers, beside a bare page with the
// same button. Cold cache at every load; the button is tapped, not looked at.
import type { Browser } from 'playwright-core';
import { readConfig } from '../../lib/config.ts';
import { createContext } from '../../lib/context.ts';
import { newNumber } from '../../lib/numbers.ts';
import { beginSession } from '../../lib/sessions.ts';
import { launchBrowser } from '../browser.ts';
import { Fault } from '../fault.ts';
import { note, step } from '../progress.ts';
import type { Measure, Party } from './results.ts';
import type { Site } from './site.ts';
import { median, ratioOfRounds, turnsOf } from './statistics.ts';

export interface PayPagePlan {
  rounds: number;
}

/**
 * Lighthouse's "Slow 4G" (1.6 Mbps, 750 kbps, 150 ms round trip) in the numbers it gives to DevTools, which delays
 * requests, not packets. Source: Lighthouse, docs/throttling.md, and its constant `mobileSlow4G`.
 */
const slow_4g = {
  offline: false,
  latency: 150 * 3.75,
  downloadThroughput: (1.6 * 1024 * 0.9 * 1024) / 8,
  uploadThroughput: (750 * 0.9 * 1024) / 8,
};
const cpu_slowdown = 4;
const patience_ms = 60_000;
const user_agent =
  'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile ' +
  'Safari/537.36 MicroMessenger/8.0.60';

interface Page {
  name: string;
  url: string;
  cookie: string | undefined;
}

interface Load {
  working_ms: number;
  document_kb: number;
  /** Everything that had arrived when the button worked. */
  requests: number;
}

/** A bridge that is there from the start, and a tap as soon as the page says that it is ready. */
const tap_when_ready = `
window.WeixinJSBridge = { invoke() {} };
window.fetch = () => new Promise(() => {});
new MutationObserver((_changes, observer) => {
  const page = document.querySelector('[data-testid="pay-state"][data-state="ready"]');
  const button = document.querySelector('[data-testid="pay-button"]');
  if (!page || !button) return;
  button.click();
  if (page.getAttribute('data-state') === 'ready') return;
  observer.disconnect();
  window.working = { ms: performance.now(), requests: 1 + performance.getEntriesByType('resource').length };
}).observe(document, { subtree: true, childList: true, attributes: true });
`;

/** Loads both pages in turns. Throws a Fault when a button never answers. */
export async function measurePayPage(site: Site, plan: PayPagePlan): Promise<Measure> {
  const pages = await preparePages(site);
  const browser = await step('starting Chromium', () => launchBrowser());
  site.life.onEnd('Chromium', () => browser.close());
  await step('opening each page twice without measuring', async () => {
    for (const page of [...pages, ...pages]) await load(browser, page);
  });
  const loads = new Map<Page, Load[]>(pages.map((page) => [page, []]));
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const page of turnsOf(pages, round)) {
      site.life.signal.throwIfAborted();
      const title = `round ${round + 1} of ${plan.rounds}: ${page.name}`;
      const loaded = await step(title, () => load(browser, page));
      note(`${Math.round(loaded.working_ms)} ms until the button works`);
      loads.get(page)?.push(loaded);
    }
  }
  const [ours, bare] = pages.map((page) => partyOf(page.name, loads.get(page) ?? []));
  if (ours === undefined || bare === undefined) throw new Error('two pages take part');
  return {
    id: 'pay_page',
    title: 'Time to a working pay button',
    unit: 'ms',
    parties: [ours, bare],
    comparisons: [
      {
        peer: `our pay page ÷ ${bare.name}`,
        ratio: ratioOfRounds(ours.rounds, bare.rounds),
        goal: { relation: '≤', ratio: 1.3 },
      },
    ],
    conditions:
      `headless Chromium, Lighthouse's Slow 4G (as DevTools applies it: ${slow_4g.latency} ms before each answer), ` +
      `CPU slowed ${cpu_slowdown} times, empty cache, WeChat's bridge played; working means that a tap on the button ` +
      `was answered by its handler; ${plan.rounds} alternating loads of each page, both served by next start`,
  };
}

function partyOf(name: string, loads: readonly Load[]): Party {
  const rounds = loads.map(({ working_ms }) => working_ms);
  return {
    name,
    figure: median(rounds),
    rounds,
    details: {
      'HTML KB on the wire': median(loads.map(({ document_kb }) => document_kb)),
      'requests finished before it works': median(loads.map(({ requests }) => requests)),
    },
  };
}

async function load(browser: Browser, { name, url, cookie }: Page): Promise<Load> {
  const context = await browser.newContext({
    userAgent: user_agent,
    viewport: { width: 390, height: 844 },
    isMobile: true,
    hasTouch: true,
    locale: 'zh-CN',
  });
  try {
    await context.addInitScript({ content: tap_when_ready });
    if (cookie !== undefined) {
      const [pair = ''] = cookie.split(';');
      const at = pair.indexOf('=');
      await context.addCookies([{ name: pair.slice(0, at), value: pair.slice(at + 1), url }]);
    }
    const page = await context.newPage();
    const devtools = await context.newCDPSession(page);
    await devtools.send('Network.enable');
    await devtools.send('Network.emulateNetworkConditions', slow_4g);
    await devtools.send('Emulation.setCPUThrottlingRate', { rate: cpu_slowdown });
    let document_bytes = 0;
    let document_id: string | undefined;
    devtools.on('Network.requestWillBeSent', ({ requestId, type }) => {
      if (type === 'Document') document_id = requestId;
    });
    devtools.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
      if (requestId === document_id) document_bytes = encodedDataLength;
    });
    await page.goto(url, { timeout: patience_ms });
    const answered = await page
      .waitForFunction(() => (window as { working?: { ms: number; requests: number } }).working, undefined, {
        timeout: patience_ms,
      })
      .catch((cause: unknown) => {
        throw new Fault(`The button of ${name} did not answer within a minute (${page.url()}).`, { cause });
      });
    const working = await answered.jsonValue();
    if (working === undefined) throw new Fault(`The button of ${name} did not answer.`);
    return { working_ms: working.ms, requests: working.requests, document_kb: document_bytes / 1024 };
  } finally {
    await context.close();
  }
}

/** Our page shows an order of its own to the shopper who placed it. */
async function preparePages(site: Site): Promise<Page[]> {
  const app = await site.app();
  const tiny = await site.tiny();
  const { counter_url } = await site.databases();
  const ctx = createContext(readConfig({ ...site.settings, DATABASE_URL: counter_url }));
  try {
    const openid = `o${site.random.text(27, 'abcdefghijklmnopqrstuvwxyz')}`;
    const { session, set_cookie } = await beginSession(ctx, 'shopper', { openid });
    const now = ctx.now();
    const order_no = newNumber(now);
    await ctx.db.order.create({
      data: {
        order_no,
        session_id: session.id,
        checkout_key: order_no,
        openid,
        state: 'NOTPAY',
        title: '测试商品',
        total_fen: 1_981,
        created_at: now,
        expires_at: new Date(now.getTime() + 86_400_000),
        items: {
          create: [
            { line: 1, product_id: 'candy', title: '一分糖', price_fen: 1, quantity: 1 },
            { line: 2, product_id: 'bookmark', title: '书签', price_fen: 990, quantity: 2 },
          ],
        },
      },
    });
    return [
      { name: 'our pay page', url: `${app.origin}/pay/${order_no}`, cookie: set_cookie },
      { name: 'a bare HTML page', url: `${tiny.origin}/bare`, cookie: undefined },
    ];
  } finally {
    await ctx.close();
  }
}
