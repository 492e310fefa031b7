// The shop as real processes that are killed at the worst moments, started again, and left without any further word
// from WeChat. Whatever happened, the order is paid once and served once.
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../../scripts/ports.ts';
import { books, callsTo, until } from '../browser/phones.ts';
import { Shopper } from '../setup/counter.ts';
import { createTestDatabase } from '../setup/database.ts';
import { openPostgresLine } from '../setup/postgres_line.ts';
import { openShop, type Shop, startNode } from '../setup/shop.ts';

/** The first words of the one statement that settles a payment. */
const settling = 'WITH evidence AS';
const long_ms = 120_000;
/** Of a call to WeChat, so that a claim of the dead lapses while its successor starts. */
const WECHAT_TIMEOUT_MS = '1000';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function open(environment: Record<string, string> = {}): Promise<Shop> {
  const { url } = await createTestDatabase();
  const shop = await openShop(url, { environment: { WECHAT_TIMEOUT_MS, ...environment } });
  ends.push(shop.close);
  return shop;
}

function shopperOf({ origin, simulator, users }: Shop): Shopper {
  return new Shopper(origin, simulator.url, users[0]?.openid ?? '');
}

async function ledger({ control }: Shop, out_trade_no: string): Promise<unknown[]> {
  return (await control<{ entries: unknown[] }>(`ledger?out_trade_no=${out_trade_no}`)).entries;
}

/** Paid by one event, served by one event, one trade, one payment at WeChat. */
async function expectOnce(shop: Shop, order_no: string, within_ms = 60_000): Promise<void> {
  const { state, trades, events } = await until(
    () => books(shop, order_no),
    (now) => now.events.order_served !== undefined,
    within_ms,
  );
  expect(state).toBe('SUCCESS');
  expect(events).toMatchObject({ paid: 1, order_served: 1 });
  expect(trades).toMatchObject([{ trade_state: 'SUCCESS' }]);
  expect(await ledger(shop, trades[0]?.out_trade_no ?? '')).toHaveLength(1);
}

describe('the app is killed', () => {
  it(
    'after WeChat took the order and before its answer was stored: the next tap goes on with the same number',
    async () => {
      const shop = await open();
      const app = await shop.startApp();
      const shopper = shopperOf(shop);
      await shopper.signIn();
      const { order_no } = await shopper.order();
      await shop.control('faults', { unifiedorder_answer_slow: { times: 1, delay_ms: 60_000 } }, 'PUT');
      const answer = shopper.pay(order_no).then(
        () => 'answered',
        () => 'cut off',
      );
      const out_trade_no = await until(
        async () => (await books(shop, order_no)).trades[0]?.out_trade_no ?? '',
        (number) => number !== '',
      );
      await until(
        () => known(shop, out_trade_no),
        (is) => is,
      );
      await app.end('SIGKILL');
      expect(await answer).toBe('cut off');
      expect((await books(shop, order_no)).events.unified_order).toBeUndefined();

      await shop.control('faults', { notify_never: true }, 'PUT');
      await Promise.all([shop.startApp(), shop.startWorker()]);
      const again = await shopper.pay(order_no);
      expect(again.out_trade_no).toBe(out_trade_no);
      await shop.control('pay', { prepay_id: (again.jsapi.package ?? '').replace('prepay_id=', '') });
      await expectOnce(shop, order_no);
    },
    long_ms,
  );

  it(
    'after WeChat took the order, and it was paid meanwhile: the worker finds the payment by itself',
    async () => {
      const shop = await open();
      const app = await shop.startApp();
      const shopper = shopperOf(shop);
      await shopper.signIn();
      const { order_no } = await shopper.order();
      await shop.control(
        'faults',
        { unifiedorder_answer_slow: { delay_ms: 60_000 }, notify_never: true },
        'PUT',
      );
      const answer = shopper.pay(order_no).catch(() => undefined);
      const out_trade_no = await until(
        async () => (await books(shop, order_no)).trades[0]?.out_trade_no ?? '',
        (number) => number !== '',
      );
      await until(
        () => known(shop, out_trade_no),
        (is) => is,
      );
      await app.end('SIGKILL');
      await answer;
      await shop.control('pay', { out_trade_no });
      await shop.startWorker();
      await expectOnce(shop, order_no);
    },
    long_ms,
  );

  it(
    'after a payment was committed and before WeChat heard so: nothing is lost and nothing is done twice',
    async () => {
      const { url } = await createTestDatabase();
      const line = await openPostgresLine(url);
      ends.push(line.close);
      const shop = await openShop(url, { environment: { DATABASE_URL: line.url } });
      ends.push(shop.close);
      const app = await shop.startApp();
      const shopper = shopperOf(shop);
      await shopper.signIn();
      const { order_no } = await shopper.order();
      const { out_trade_no } = await shopper.pay(order_no);
      line.loseAnswerTo(settling);
      await shop.control('pay', { out_trade_no });
      await until(
        async () => line.strikes(),
        (strikes) => strikes === 1,
      );
      await app.end('SIGKILL');
      await shop.control('faults', { notify_never: true }, 'PUT');
      expect(await acknowledged(shop, out_trade_no)).toBe(false);
      expect(await books(shop, order_no)).toMatchObject({ state: 'SUCCESS', events: { paid: 1 } });

      await Promise.all([shop.startApp(), shop.startWorker()]);
      await expectOnce(shop, order_no);
      expect(await shopper.status(order_no)).toMatchObject({ state: 'SUCCESS' });
      // WeChat's own next attempt, as late as it likes, changes nothing any more.
      await shop.control('faults', undefined, 'DELETE');
      await redeliver(shop, out_trade_no);
      expect(await acknowledged(shop, out_trade_no)).toBe(true);
      await expectOnce(shop, order_no);
    },
    long_ms,
  );

  it(
    'while it answers: SIGTERM lets the request under way finish and ends within ten seconds',
    async () => {
      const shop = await open({ WECHAT_TIMEOUT_MS: '8000' });
      const app = await shop.startApp();
      const shopper = shopperOf(shop);
      await shopper.signIn();
      const { order_no } = await shopper.order();
      await shop.control('faults', { unifiedorder_answer_slow: { delay_ms: 1_500 } }, 'PUT');
      const answer = shopper.pay(order_no);
      await until(
        async () => (await books(shop, order_no)).trades.length,
        (count) => count === 1,
      );
      const told_at = performance.now();
      const ended = app.end('SIGTERM');
      expect(await answer).toMatchObject({ jsapi: { signType: 'HMAC-SHA256' } });
      const { code, signal } = await ended;
      expect(performance.now() - told_at).toBeLessThan(10_000);
      // 143 is how a shell writes down an end by SIGTERM.
      expect(signal === 'SIGTERM' ? 143 : code).toBeOneOf([0, 143]);
    },
    long_ms,
  );
});

describe('the worker is killed', () => {
  it(
    'in the middle of serving: another worker finishes, once',
    async () => {
      const shop = await open();
      await shop.startApp();
      const first = await shop.startWorker();
      const shopper = shopperOf(shop);
      await shopper.signIn();
      const { order_no } = await shopper.order();
      const { out_trade_no } = await shopper.pay(order_no);
      await shop.control(
        'faults',
        { orderquery_answer_slow: { delay_ms: 60_000 }, notify_never: true },
        'PUT',
      );
      await shop.control('pay', { out_trade_no });
      await until(
        () =>
          shop.rows(`select 1 from pgboss.job where name = 'trade_ask' and state = 'active'
            and singleton_key = '${out_trade_no}'`),
        (jobs) => jobs.length === 1,
      );
      await first.end('SIGKILL');
      expect((await books(shop, order_no)).state).toBe('NOTPAY');
      await shop.control('faults', { notify_never: true, orderquery_answer_slow: false }, 'PUT');
      // A minute later: the job counts as abandoned.
      await shop.rows(
        `update pgboss.job set started_on = started_on - interval '2 minutes' where state = 'active'`,
      );
      await shop.startWorker();
      await expectOnce(shop, order_no);
    },
    long_ms,
  );
});

describe('two instances on one database', () => {
  it(
    'behind one address take a notification that comes many times at once, and shoppers who ask, once',
    async () => {
      const shop = await open();
      const ports = [await freePort(), await freePort()];
      ends.push(await balance(Number(new URL(shop.origin).port), ports));
      await Promise.all([...ports.map((port) => shop.startApp(port)), shop.startWorker()]);
      const shopper = shopperOf(shop);
      await shopper.signIn();
      const { order_no } = await shopper.order();
      const started = await Promise.all([
        shopper.pay(order_no),
        shopper.pay(order_no),
        shopper.pay(order_no),
      ]);
      const [out_trade_no = '', ...others] = new Set(started.map((each) => each.out_trade_no));
      expect(others).toEqual([]);
      expect(await callsTo(shop, '/pay/unifiedorder', out_trade_no)).toBe(1);
      await shop.control('faults', { notify_copies: 20 }, 'PUT');
      await shop.control('pay', { out_trade_no });
      await Promise.all(Array.from({ length: 6 }, () => shopper.status(order_no, '?mode=confirm&poll=0')));
      const kept = await until(
        () =>
          shop.rows<{ verdict: string }>('select verdict from notification where out_trade_no = $1', [
            out_trade_no,
          ]),
        (rows) => rows.length === 20,
      );
      expect(kept.every(({ verdict }) => verdict === 'applied' || verdict === 'already')).toBe(true);
      expect(kept.filter(({ verdict }) => verdict === 'applied').length).toBeLessThanOrEqual(1);
      await expectOnce(shop, order_no);
    },
    long_ms,
  );
});

describe('a wrong configuration', () => {
  it('stops the app at once with every fault in words, exit code 1', async () => {
    const environment = {
      PATH: process.env.PATH,
      NODE_ENV: 'production',
      PUBLIC_URL: 'shop.example.com/',
      WECHAT_APPID: 'wx123',
      SESSION_PASSWORD: 'short',
    };
    const { running } = startNode('scripts/start.ts', ['-p', '0'], environment);
    expect(await running.ended).toEqual({ code: 1, signal: null });
    for (const name of ['DATABASE_URL', 'PUBLIC_URL', 'WECHAT_APPID', 'SESSION_PASSWORD', 'WECHAT_MCH_ID']) {
      expect(running.output()).toContain(name);
    }
    expect(running.output()).not.toMatch(/^\s+at /m);
  });
});

describe('a console that is said to hold another address', () => {
  it(
    'is told at the start, which goes on: WeChat is the judge',
    async () => {
      const shop = await open({ WECHAT_PAYMENT_DIRECTORIES: 'https://other.example.com/pay/' });
      const app = await shop.startApp();
      expect(app.output()).toContain(
        `the pay page ${shop.origin}/pay/ lies outside the payment directories https://other.example.com/pay/`,
      );
      expect(app.output()).toContain('商户平台 → 产品中心 → 开发配置 → JSAPI支付授权目录');
      const shopper = shopperOf(shop);
      await shopper.signIn();
      expect((await shopper.order()).order_no).toHaveLength(30);
    },
    long_ms,
  );
});

/** Whether WeChat knows the number. */
async function known({ simulator }: Shop, out_trade_no: string): Promise<boolean> {
  return (await fetch(`${simulator.url}/_sim/orders/${out_trade_no}`)).ok;
}

interface Notification {
  notification_id: string;
  state: string;
}

async function notification({ control }: Shop, out_trade_no: string): Promise<Notification> {
  const { notifications } = await control<{ notifications: Notification[] }>(
    `notifications?out_trade_no=${out_trade_no}`,
  );
  expect(notifications).toHaveLength(1);
  return notifications[0] ?? { notification_id: '', state: '' };
}

/** Whether WeChat was told that its notification has arrived. */
async function acknowledged(shop: Shop, out_trade_no: string): Promise<boolean> {
  return (await notification(shop, out_trade_no)).state === 'delivered';
}

async function redeliver(shop: Shop, out_trade_no: string): Promise<void> {
  const { notification_id } = await notification(shop, out_trade_no);
  await shop.control(`notifications/${notification_id}/redeliver`, {});
}

/** One address in front of several instances, which get the connections in turn; returns how to close it. */
async function balance(port: number, to: readonly number[]): Promise<() => Promise<void>> {
  const sockets = new Set<Socket>();
  let turn = 0;
  const server = createServer((near) => {
    const far = connect(to[turn++ % to.length] ?? 0, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => sockets.delete(socket));
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
}
