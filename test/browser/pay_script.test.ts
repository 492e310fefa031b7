// The pay page's script alone: a page as the server draws it, a bridge and a server that the test plays, and a clock
// that jumps. No application runs here.
import { gzipSync } from 'node:zlib';
import type { Browser, BrowserContext, Page, Route } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  actionRegion,
  codeRegion,
  embedJson,
  linkRegion,
  statusRegion,
} from '../../app/(shop)/pay/regions.ts';
import type { Facts, PageWay, PayData, Place } from '../../app/(shop)/pay/view.client.ts';
import { firstState } from '../../app/(shop)/pay/view.client.ts';
import { words } from '../../lib/words.ts';
import { ensureGenerated } from '../../scripts/generated.ts';
import { launchBrowser } from '../setup/browser.ts';

const order_no = '20261123183007ABCDEFGHJKMNPQRS';
const out_trade_no = '20261123183010TVWXYZ0123456789';
const address = `https://shop.test/pay/${order_no}`;
const unpaid: Facts = { state: 'NOTPAY', expired: false, total_fen: 12_800, refunded_fen: 0, surplus_fen: 0 };
const plan_ms = [1_000, 1_000, 2_000, 2_000, 3_000, 3_000, ...Array<number>(10).fill(5_000)];

/** The JS-SDK as far as the page uses it; what it is told to pay stands in `chosen`. */
const fakeSdk = `window.wx = {
  ready(then) { this.then = then; }, error() {}, config() { this.then(); },
  chooseWXPay(options) { window.chosen = options; } };`;

let browser: Browser;
let script: string;
let context: BrowserContext | undefined;

beforeAll(async () => {
  await ensureGenerated();
  ({ payScript: script } = await import('../../generated/pay-script.ts'));
  browser = await launchBrowser();
});
afterAll(() => browser.close());
afterEach(async () => {
  await context?.close();
  context = undefined;
});

interface Stage {
  page: Page;
  /** Changes what the server answers to a status question; a function takes the whole route. */
  serve: (answer: Partial<Facts & { open_way: string | null }> | ((route: Route) => Promise<void>)) => void;
  /** Changes what the server answers to a tap. */
  serveTap: (status: number, body: unknown) => void;
  polls: { mode: string; poll: number; at_ms: number }[];
  taps: () => number;
  /** The trade types the page wished to pay by. */
  asked: string[];
  /** From now on the server signs for the JS-SDK. */
  signForJsSdk: () => void;
  reports: string[];
  /** How often the page called the bridge. */
  invoked: () => Promise<number>;
  /** The bridge calls back. */
  call: (err_msg: string, err_desc?: string) => Promise<void>;
  state: () => Promise<string | null>;
  /** Lets time pass for the page, with room for answers in between. */
  pass: (ms: number) => Promise<void>;
}

interface Setting {
  place?: Place;
  facts?: Partial<Facts>;
  bridge?: 'before' | 'late' | 'never';
  language?: 'zh' | 'en';
  expires_in_ms?: number;
  way?: PageWay;
  returned?: boolean;
  open_way?: string | null;
  js_sdk?: boolean;
}

function pageHtml(data: PayData, language: 'zh' | 'en'): string {
  const state = firstState(data.place, data.facts, data);
  const labels = words[language].pay;
  return `<!doctype html><html lang="${data.language}"><head><meta charset="utf-8"></head><body>
    <main id="pay" data-testid="pay-state" data-state="${state}" data-place="${data.place}">
      <section role="status">${statusRegion(state, data)}</section>
      <div>${data.way === 'NATIVE' ? codeRegion(address, labels) : linkRegion(address, labels)}</div>
      <div>${actionRegion(state, data, labels)}</div>
    </main>
    <script type="application/json" id="pay-data">${embedJson(data)}</script>
    <script>${script}</script></body></html>`;
}

async function open({
  place = 'wechat',
  facts = {},
  bridge = 'before',
  language = 'zh',
  expires_in_ms = 1_800_000,
  way,
  returned = false,
  open_way = null,
  js_sdk = false,
}: Setting = {}): Promise<Stage> {
  context = await browser.newContext();
  const page = await context.newPage();
  const started = { ...unpaid, ...facts };
  const data: PayData = {
    order_no,
    place,
    facts: started,
    ...(way === undefined ? {} : { way }),
    ...(returned ? { returned } : {}),
    open_way,
    ...(js_sdk ? { js_sdk } : {}),
    expires_in_ms,
    language: language === 'zh' ? 'zh-CN' : 'en',
    words: words[language].moments,
  };
  let answer: (Facts & { open_way?: string | null }) | ((route: Route) => Promise<void>) = started;
  let tap: { status: number; body: unknown } = {
    status: 200,
    body: { out_trade_no, jsapi: { appId: 'wx', package: 'prepay_id=1' } },
  };
  const polls: Stage['polls'] = [];
  const reports: string[] = [];
  const asked: string[] = [];
  let signs = false;
  let taps = 0;
  const json = (route: Route, status: number, body: unknown) =>
    route.fulfill({ status, contentType: 'application/json', body: JSON.stringify(body) });

  await page.clock.install({ time: new Date('2026-11-23T10:30:00Z') });
  await page.route('**/*', async (route) => {
    const url = new URL(route.request().url());
    if (url.pathname === `/pay/${order_no}`) {
      return route.fulfill({ contentType: 'text/html', body: pageHtml(data, language) });
    }
    if (url.pathname === '/api/wechat/jssdk' && signs) {
      return json(route, 200, { appId: 'wx', jsApiList: ['chooseWXPay'], script_url: '/jweixin.js' });
    }
    if (url.pathname === '/jweixin.js')
      return route.fulfill({ contentType: 'text/javascript', body: fakeSdk });
    if (url.pathname === '/h5') {
      return route.fulfill({
        contentType: 'text/html',
        body: `came from ${route.request().headers().referer}`,
      });
    }
    if (url.pathname === `/api/orders/${order_no}/pay`) {
      taps += 1;
      asked.push(route.request().postDataJSON().trade_type);
      return json(route, tap.status, tap.body);
    }
    if (url.pathname === `/api/orders/${order_no}/bridge`) {
      reports.push(route.request().postDataJSON().err_msg);
      return json(route, 200, {});
    }
    if (url.pathname === `/api/orders/${order_no}`) {
      const mode = url.searchParams.get('mode') ?? '';
      const poll = Number(url.searchParams.get('poll'));
      polls.push({ mode, poll, at_ms: await page.evaluate(() => Date.now()) });
      if (typeof answer === 'function') return answer(route);
      const next_poll_ms =
        answer.state !== 'NOTPAY' ? null : mode === 'watch' ? 2_000 : (plan_ms[poll] ?? null);
      return json(route, 200, { ...answer, next_poll_ms });
    }
    return route.fulfill({ status: 404, body: '' });
  });
  await page.addInitScript((when) => {
    const seen = { invoked: 0, callbacks: [] as ((result: { err_msg: string }) => void)[] };
    const appear = () => {
      window.WeixinJSBridge = {
        invoke(_name, _parameters, callback) {
          seen.invoked += 1;
          seen.callbacks.push(callback);
        },
      };
      document.dispatchEvent(new Event('WeixinJSBridgeReady'));
    };
    Object.assign(window, { seen, appear });
    if (when === 'before') appear();
    if (when === 'late') setTimeout(appear, 2_000);
  }, bridge);
  await page.goto(address);

  const stage: Stage = {
    page,
    serve: (next) => {
      answer = typeof next === 'function' ? next : { ...started, ...next };
    },
    serveTap: (status, body) => {
      tap = { status, body };
    },
    polls,
    taps: () => taps,
    asked,
    signForJsSdk: () => {
      signs = true;
    },
    reports,
    invoked: () => page.evaluate('seen.invoked'),
    call: async (err_msg, err_desc) => {
      await page.evaluate(
        `seen.callbacks[seen.callbacks.length - 1](${JSON.stringify({ err_msg, err_desc })})`,
      );
      await stage.pass(0);
    },
    state: () => page.getByTestId('pay-state').getAttribute('data-state'),
    pass: async (ms) => {
      const step_ms = ms > 10_000 ? 1_000 : 250;
      for (let left = ms; left > 0; left -= step_ms) {
        await page.clock.runFor(Math.min(step_ms, left));
        await breathe();
      }
      await breathe();
    },
  };
  return stage;
}

/** Real time, for requests that the routes answer. */
const breathe = () => new Promise((resolve) => setTimeout(resolve, 25));

async function tapAndInvoke(stage: Stage): Promise<void> {
  const before = await stage.invoked();
  await stage.page.getByTestId('pay-button').click();
  await expect.poll(stage.invoked).toBe(before + 1);
}

const text = (stage: Stage, id: string) => stage.page.getByTestId(id).textContent();

describe('the bridge', () => {
  test('is used when it is there before the page', async () => {
    const stage = await open();
    expect(await stage.state()).toBe('ready');
    await tapAndInvoke(stage);
    expect(await stage.state()).toBe('invoking');
  });

  test('that comes two seconds late is waited for, and invoked once', async () => {
    const stage = await open({ bridge: 'late' });
    await stage.page.getByTestId('pay-button').click();
    expect(await stage.invoked()).toBe(0);
    await stage.pass(2_500);
    expect(await stage.invoked()).toBe(1);
    expect(stage.taps()).toBe(1);
  });

  test('that never comes is said after three seconds, without a call to WeChat, and may still come', async () => {
    const stage = await open({ bridge: 'never' });
    await stage.pass(3_250);
    expect(await stage.state()).toBe('no_bridge');
    expect(await text(stage, 'pay-button')).toBe('重试');
    await stage.page.getByTestId('pay-button').click();
    expect(await stage.state()).toBe('invoking');
    await stage.pass(3_250);
    // The tap goes on by the JS-SDK, which this server does not sign for.
    expect(await stage.state()).toBe('no_bridge');
    expect([stage.taps(), await stage.invoked()]).toEqual([1, 0]);
    await stage.page.evaluate('appear()');
    expect(await stage.state()).toBe('ready');
    await tapAndInvoke(stage);
  });

  test('in a mini program is not invoked', async () => {
    const stage = await open();
    await stage.page.evaluate(() => {
      window.__wxjs_environment = 'miniprogram';
    });
    await stage.page.getByTestId('pay-button').click();
    expect(await stage.state()).toBe('failed');
    expect(stage.taps()).toBe(0);
  });
});

describe('a tap', () => {
  test('repeated five times in a hurry is one request and one invocation', async () => {
    const stage = await open();
    await stage.page.evaluate(() => {
      for (let tap = 0; tap < 5; tap += 1) document.getElementById('pay-button')?.click();
    });
    await expect.poll(stage.invoked).toBe(1);
    await stage.pass(1_000);
    expect(await stage.invoked()).toBe(1);
    expect(stage.taps()).toBe(1);
    expect(await text(stage, 'pay-button')).toBe('支付中…');
    expect(await stage.page.getByTestId('pay-button').isDisabled()).toBe(true);
  });

  test('the server refuses is explained in its words with the support id, and can be repeated', async () => {
    const stage = await open();
    stage.serveTap(502, {
      error: { code: 'wechat_refused', message: '微信支付拒绝了请求', support_id: 'K7Q2' },
    });
    await stage.page.getByTestId('pay-button').click();
    await expect.poll(stage.state).toBe('failed');
    expect(await text(stage, 'result-text')).toBe('微信支付拒绝了请求\n支持编号 K7Q2');
    expect(await stage.page.getByTestId('pay-button').isEnabled()).toBe(true);
    expect(await stage.invoked()).toBe(0);
  });

  test('on an order that has expired meanwhile shows it as expired', async () => {
    const stage = await open();
    stage.serveTap(409, { error: { code: 'order_expired', message: '订单已过期' } });
    stage.serve({ expired: true });
    await stage.page.getByTestId('pay-button').click();
    await stage.pass(3_000);
    expect(await stage.state()).toBe('expired');
  });

  test('on an order that was paid meanwhile shows it as paid', async () => {
    const stage = await open();
    stage.serveTap(409, { error: { code: 'order_paid', message: '订单已支付' } });
    stage.serve({ state: 'SUCCESS' });
    await stage.page.getByTestId('pay-button').click();
    await expect.poll(stage.state).toBe('paid');
  });
});

describe('what the bridge says', () => {
  test('`ok` alone is never success', async () => {
    const stage = await open();
    await tapAndInvoke(stage);
    await stage.call('get_brand_wcpay_request:ok');
    await stage.pass(4_000);
    expect(await stage.state()).toBe('confirming');
    stage.serve({ state: 'SUCCESS' });
    await stage.pass(2_250);
    expect(await stage.state()).toBe('paid');
    expect(await text(stage, 'result-title')).toBe('支付成功');
    expect(await stage.page.evaluate(() => document.activeElement?.id)).toBe('pay-title');
    expect(stage.reports).toEqual(['get_brand_wcpay_request:ok']);
  });

  test('`cancel` is called unpaid only after the server was asked, and paying goes on', async () => {
    const stage = await open();
    await tapAndInvoke(stage);
    await stage.call('get_brand_wcpay_request:cancel');
    expect(await stage.state()).toBe('confirming');
    await stage.pass(3_000);
    expect(stage.polls.length).toBeGreaterThanOrEqual(2);
    expect(await stage.state()).toBe('cancelled');
    expect(await text(stage, 'result-title')).toBe('支付未完成');
    expect(await text(stage, 'pay-button')).toBe('继续支付 ¥128.00');
    await tapAndInvoke(stage);
    expect(stage.taps()).toBe(2);
  });

  test('why it failed, where WeChat says so, is reported with it', async () => {
    const stage = await open();
    await tapAndInvoke(stage);
    await stage.call('get_brand_wcpay_request:fail', '当前页面的URL未注册');
    await stage.pass(3_000);
    expect(await stage.state()).toBe('failed');
    expect(stage.reports).toEqual(['get_brand_wcpay_request:fail 当前页面的URL未注册']);
  });

  test('`cancel` after a payment ends as paid', async () => {
    const stage = await open();
    await tapAndInvoke(stage);
    stage.serve({ state: 'SUCCESS' });
    await stage.call('get_brand_wcpay_request:cancel');
    await expect.poll(stage.state).toBe('paid');
  });

  test('`cancel` while the server cannot be asked is not called unpaid', async () => {
    const stage = await open();
    await tapAndInvoke(stage);
    stage.serve((route) => route.fulfill({ status: 500, body: '' }));
    await stage.call('get_brand_wcpay_request:cancel');
    await stage.pass(10_000);
    expect(await stage.state()).toBe('still_unknown');
  });

  test('a failure is asked about, then told in plain words with a support id', async () => {
    const stage = await open();
    await tapAndInvoke(stage);
    await stage.call('get_brand_wcpay_request:fail_invalid appid');
    await stage.pass(3_000);
    expect(await stage.state()).toBe('failed');
    const said = await text(stage, 'result-text');
    expect(said).toContain(out_trade_no);
    expect(said).not.toMatch(/get_brand|appid/);
    expect(stage.polls.length).toBeGreaterThan(0);
  });

  test('`system:access_denied` says where the page must be opened', async () => {
    const stage = await open({ language: 'en' });
    await tapAndInvoke(stage);
    await stage.call('system:access_denied');
    await stage.pass(3_000);
    expect(await text(stage, 'result-text')).toMatch(/^WeChat Pay is not available here/);
  });

  test('a pre-check is not an answer', async () => {
    const stage = await open();
    await tapAndInvoke(stage);
    await stage.call('pre_verify_jsapi:ok');
    await stage.pass(1_000);
    expect(await stage.state()).toBe('invoking');
    await stage.call('get_brand_wcpay_request:cancel');
    await stage.pass(3_000);
    expect(await stage.state()).toBe('cancelled');
  });

  test('nothing at all, although the shopper paid, still ends as paid', async () => {
    const stage = await open();
    await tapAndInvoke(stage);
    stage.serve({ state: 'SUCCESS' });
    await stage.pass(6_000);
    expect(await stage.state()).toBe('paid');
  });

  test('nothing at all is no frozen button: after a while the shopper can ask and pay again', async () => {
    const stage = await open();
    await tapAndInvoke(stage);
    await stage.pass(16_000);
    expect(await stage.page.getByTestId('pay-state').getAttribute('data-slow')).toBe('');
    await stage.page.getByTestId('refresh').click();
    await stage.pass(3_000);
    expect(await stage.state()).toBe('cancelled');
    await tapAndInvoke(stage);
  });
});

describe('polling', () => {
  async function confirming(): Promise<Stage> {
    const stage = await open();
    await tapAndInvoke(stage);
    await stage.call('get_brand_wcpay_request:ok');
    return stage;
  }

  test('ends after a minute with a warning, and asks again on demand', async () => {
    const stage = await confirming();
    await stage.pass(62_000);
    expect(await stage.state()).toBe('still_unknown');
    expect(await text(stage, 'result-title')).toContain('请勿重复支付');
    const asked = stage.polls.length;
    expect(asked).toBeLessThanOrEqual(20);
    await stage.pass(20_000);
    expect(stage.polls.length).toBe(asked);
    stage.serve({ state: 'SUCCESS' });
    await stage.page.getByTestId('refresh').click();
    await expect.poll(stage.state).toBe('paid');
  });

  test('keeps the pace the server sets and never overlaps', async () => {
    const stage = await confirming();
    let open_requests = 0;
    let most = 0;
    stage.serve(async (route) => {
      open_requests += 1;
      most = Math.max(most, open_requests);
      await stage.page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
      await breathe();
      open_requests -= 1;
      await route.fulfill({
        contentType: 'application/json',
        body: JSON.stringify({ ...unpaid, next_poll_ms: 4_000 }),
      });
    });
    await stage.pass(20_000);
    expect(most).toBe(1);
    const paced = stage.polls.slice(2).map(({ at_ms }) => at_ms);
    expect(paced.length).toBeGreaterThanOrEqual(3);
    for (const [index, at_ms] of paced.slice(1).entries()) {
      expect(at_ms - (paced[index] ?? 0)).toBeGreaterThanOrEqual(4_000);
    }
    expect(stage.polls.map(({ poll }) => poll)).toEqual(stage.polls.map((_, index) => index));
  });

  test('goes on after a 500 and after an answer that never comes', async () => {
    const stage = await confirming();
    stage.serve((route) => route.fulfill({ status: 500, body: 'oops' }));
    await stage.pass(4_000);
    expect(await stage.state()).toBe('confirming');
    stage.serve(() => new Promise(() => undefined));
    await stage.pass(4_000);
    stage.serve({ state: 'SUCCESS' });
    await stage.pass(12_000);
    expect(await stage.state()).toBe('paid');
  });

  test('counts no question that the network did not carry, with a banner, and asks at once when it is back', async () => {
    const stage = await confirming();
    stage.serve((route) => route.abort('internetdisconnected'));
    await stage.page.context().setOffline(true);
    await stage.pass(500);
    expect(await stage.page.getByTestId('pay-state').getAttribute('data-offline')).toBe('');
    await stage.pass(90_000);
    expect(await stage.state()).toBe('confirming');
    stage.serve({ state: 'SUCCESS' });
    await stage.page.context().setOffline(false);
    await stage.pass(500);
    expect(await stage.state()).toBe('paid');
    expect(await stage.page.getByTestId('pay-state').getAttribute('data-offline')).toBeNull();
  });

  test('asks although the browser believes that there is no network', async () => {
    const stage = await confirming();
    await stage.page.evaluate(() => {
      Object.defineProperty(navigator, 'onLine', { configurable: true, value: false });
      window.dispatchEvent(new Event('offline'));
    });
    stage.serve({ state: 'SUCCESS' });
    await stage.pass(6_000);
    expect(await stage.state()).toBe('paid');
  });

  test('pauses while hidden and asks at once when seen again', async () => {
    const stage = await confirming();
    const hide = (hidden: boolean) =>
      stage.page.evaluate((value) => {
        Object.defineProperty(document, 'hidden', { configurable: true, value });
        document.dispatchEvent(new Event('visibilitychange'));
      }, hidden);
    await hide(true);
    const asked = stage.polls.length;
    await stage.pass(30_000);
    expect(stage.polls.length).toBe(asked);
    expect(await stage.state()).toBe('confirming');
    await hide(false);
    await stage.pass(250);
    expect(stage.polls.length).toBe(asked + 1);
  });

  test('after a return from the page cache drops the dead invocation and asks', async () => {
    const stage = await open();
    await tapAndInvoke(stage);
    await stage.page.evaluate(() => {
      window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
    });
    expect(await stage.state()).toBe('confirming');
    await stage.pass(3_000);
    expect(await stage.state()).toBe('cancelled');
    await tapAndInvoke(stage);
  });
});

describe('an order that ends', () => {
  test('on a desktop becomes its result without a reload and empties the basket it came from', async () => {
    const stage = await open({ place: 'desktop' });
    await stage.page.evaluate((number) => {
      sessionStorage.setItem(
        'guitai_checkout',
        JSON.stringify({ basket: { a: 1 }, key: 'k', order_no: number }),
      );
    }, order_no);
    await stage.pass(6_000);
    expect(await stage.state()).toBe('watching');
    expect(stage.polls.every(({ mode }) => mode === 'watch')).toBe(true);
    stage.serve({ state: 'SUCCESS' });
    await stage.pass(2_250);
    expect(await stage.state()).toBe('paid');
    expect(await stage.page.evaluate(() => sessionStorage.getItem('guitai_checkout'))).toBeNull();
    const asked = stage.polls.length;
    await stage.pass(10_000);
    expect(stage.polls.length).toBe(asked);
  });

  test('by expiry is noticed at its time, keeps the basket and drops the key', async () => {
    const stage = await open({ expires_in_ms: 4_000 });
    await stage.page.evaluate((number) => {
      sessionStorage.setItem(
        'guitai_checkout',
        JSON.stringify({ basket: { a: 1 }, key: 'k', order_no: number }),
      );
    }, order_no);
    stage.serve({ expired: true });
    await stage.pass(5_000);
    expect(await stage.state()).toBe('expired');
    expect(await stage.page.evaluate(() => sessionStorage.getItem('guitai_checkout'))).toBe(
      JSON.stringify({ basket: { a: 1 } }),
    );
    stage.serve({ state: 'SUCCESS' });
    await stage.pass(3_000);
    expect(await stage.state()).toBe('paid');
  });

  test.each([
    [{ state: 'REFUND', refunded_fen: 12_800 }, '已退款', '已退 ¥128.00'],
    [{ state: 'REFUND', refunded_fen: 800 }, '已部分退款', '共付 ¥128.00，已退 ¥8.00'],
    [{ state: 'REFUND', refunded_fen: 0 }, '正在退款', '¥128.00'],
    [{ state: 'CLOSED' }, '订单已关闭', '重新下单'],
  ] as const)('shows %o on arrival', async (facts, title, part) => {
    const stage = await open({ facts });
    expect(await text(stage, 'result-title')).toBe(title);
    expect(await text(stage, 'result-text')).toContain(part);
    await stage.pass(5_000);
    expect(stage.polls).toEqual([]);
  });

  test('with money too much says that it goes back', async () => {
    const stage = await open({ facts: { state: 'SUCCESS', surplus_fen: 12_800 } });
    expect(await text(stage, 'result-note')).toContain('¥128.00');
  });
});

describe('the JS-SDK', () => {
  const chosen = (stage: Stage) =>
    stage.page.evaluate<Record<string, string> | undefined>(
      'JSON.parse(JSON.stringify(window.chosen || null))',
    );

  test('is used when the bridge never comes, with the same words, and believed as little', async () => {
    const stage = await open({ bridge: 'never' });
    stage.signForJsSdk();
    stage.serveTap(200, {
      out_trade_no,
      jsapi: {
        appId: 'wx',
        timeStamp: '1',
        nonceStr: 'n',
        package: 'prepay_id=1',
        signType: 'RSA',
        paySign: 's',
      },
    });
    await stage.page.getByTestId('pay-button').click();
    await stage.pass(3_250);
    await expect
      .poll(() => chosen(stage))
      .toMatchObject({ timestamp: '1', package: 'prepay_id=1', paySign: 's' });
    await stage.page.evaluate("chosen.success({ errMsg: 'chooseWXPay:ok' })");
    await stage.pass(250);
    expect(await stage.state()).toBe('confirming');
    expect(stage.reports).toEqual(['chooseWXPay:ok']);
    stage.serve({ state: 'SUCCESS' });
    await stage.pass(2_000);
    expect(await stage.state()).toBe('paid');
  });

  test('is used at once where the shop prefers it, and a cancel is asked about', async () => {
    const stage = await open({ js_sdk: true });
    stage.signForJsSdk();
    expect(await stage.state()).toBe('ready');
    await stage.page.getByTestId('pay-button').click();
    await expect.poll(() => chosen(stage)).not.toBe(null);
    expect(await stage.invoked()).toBe(0);
    await stage.page.evaluate("chosen.cancel({ errMsg: 'chooseWXPay:cancel' })");
    await stage.pass(6_000);
    expect(await stage.state()).toBe('cancelled');
  });
});

describe('the code on a desktop', () => {
  const place = 'desktop';
  const way = 'NATIVE';
  const code = {
    out_trade_no,
    code_url: 'weixin://1',
    code_svg: '<svg id="one"></svg>',
    renew_in_ms: 600_000,
  };
  const codeState = (stage: Stage) => stage.page.getByTestId('pay-state').getAttribute('data-code');
  async function withCode(setting: Setting = {}): Promise<Stage> {
    const stage = await open({ place, way, bridge: 'never', ...setting });
    stage.serveTap(200, code);
    stage.serve({ open_way: 'NATIVE' });
    return stage;
  }

  test('is asked for once when the page opens, and the page waits for the result', async () => {
    const stage = await open({ place, way, bridge: 'never' });
    // The first answer carries no code: the link stands in, and a button asks again.
    await expect.poll(() => codeState(stage)).toBe('failed');
    stage.serveTap(200, code);
    stage.serve({ open_way: 'NATIVE' });
    await stage.page.getByTestId('code-again').click();
    await expect.poll(() => codeState(stage)).toBe('shown');
    expect(stage.asked).toEqual(['NATIVE', 'NATIVE']);
    expect(await stage.page.locator('#pay-code svg#one').count()).toBe(1);
    await stage.pass(4_000);
    expect(await codeState(stage)).toBe('shown');
    expect(new Set(stage.polls.map(({ mode }) => mode))).toEqual(new Set(['watch']));
    stage.serve({ state: 'SUCCESS', open_way: null });
    await stage.pass(3_000);
    expect(await stage.state()).toBe('paid');
  });

  test('is renewed when its time is over', async () => {
    const stage = await withCode();
    await stage.page.getByTestId('code-again').click();
    await expect.poll(() => codeState(stage)).toBe('shown');
    stage.serveTap(200, { ...code, code_url: 'weixin://2', code_svg: '<svg id="two"></svg>' });
    await stage.pass(601_000);
    await expect.poll(() => stage.page.locator('#pay-code svg#two').count()).toBe(1);
  });

  test('goes when the order is paid another way, and comes back only when asked for', async () => {
    const stage = await withCode();
    await stage.page.getByTestId('code-again').click();
    await expect.poll(() => codeState(stage)).toBe('shown');
    const before = stage.taps();
    stage.serve({ open_way: 'JSAPI' });
    await stage.pass(4_000);
    expect(await codeState(stage)).toBe('replaced');
    await stage.pass(30_000);
    expect(stage.taps()).toBe(before);
    stage.serve({ open_way: 'NATIVE' });
    await stage.page.getByTestId('code-again').click();
    await expect.poll(() => codeState(stage)).toBe('shown');
  });

  test('is not taken from a device that is paying: the page asks for none by itself', async () => {
    const stage = await open({ place, way, bridge: 'never', open_way: 'JSAPI' });
    await stage.pass(3_000);
    expect([await codeState(stage), stage.taps()]).toEqual(['replaced', 0]);
  });
});

describe('a phone outside WeChat', () => {
  const place = 'phone';
  const way = 'MWEB';

  test('is led to WeChat’s page, which sees where it comes from', async () => {
    const stage = await open({ place, way, bridge: 'never' });
    expect(await stage.state()).toBe('ready');
    stage.serveTap(200, { out_trade_no, h5_url: 'https://wx.test/h5' });
    await stage.page.getByTestId('pay-button').click();
    await stage.page.waitForURL('https://wx.test/h5');
    expect(stage.asked).toEqual(['MWEB']);
    expect(await stage.page.textContent('body')).toBe('came from https://shop.test/');
  });

  test('comes back to two buttons and no verdict; both only ask the server', async () => {
    const stage = await open({ place, way, bridge: 'never', returned: true });
    expect([await stage.state(), stage.polls.length]).toEqual(['returned', 0]);
    await stage.page.getByTestId('pay-button').click();
    await stage.pass(6_000);
    expect(await stage.state()).toBe('cancelled');
    expect(stage.taps()).toBe(0);
    expect(new Set(stage.polls.map(({ mode }) => mode))).toEqual(new Set(['returned']));
  });

  test('“I have paid” waits for the server, and says so when it does not know', async () => {
    const stage = await open({ place, way, bridge: 'never', returned: true });
    await stage.page.getByTestId('pay-done').click();
    expect(await stage.state()).toBe('confirming');
    await stage.pass(61_000);
    expect(await stage.state()).toBe('still_unknown');
    stage.serve({ state: 'SUCCESS' });
    await stage.page.getByTestId('refresh').click();
    await expect.poll(() => stage.state()).toBe('paid');
    expect(stage.taps()).toBe(0);
  });
});

describe('the script itself', () => {
  test('is small and written in ES2019', () => {
    expect(gzipSync(script, { level: 9 }).length).toBeLessThan(4_608);
    expect(() => new Function(script)).not.toThrow();
    expect(script).not.toMatch(/\?\.(?!\d)|\?\?|\|\|=|&&=|\bstatic\s*\{|#\w+\s*[=(]|\d_\d/);
    expect(script).not.toMatch(/\.at\(|replaceAll|Object\.fromEntries|allSettled|structuredClone/);
    expect(script).not.toMatch(/<\/script/i);
  });

  test('and its data cannot leave their script elements', () => {
    const hostile = { note: '</script><script>alert(1)</script>\u2028' };
    const sent = embedJson(hostile);
    expect(sent).not.toMatch(/[<\u2028]/);
    expect(JSON.parse(sent)).toEqual(hostile);
  });
});
