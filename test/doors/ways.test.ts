/**
 * Every way of paying an order online, over both API versions, against the simulator: opened by the setting, one number
 * at a time, an order that moves between ways and devices, and money that comes twice.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readAttention } from '../../lib/admin_attention.ts';
import { sweep } from '../../lib/jobs.ts';
import { showOrder } from '../../lib/orders.ts';
import { app_key, type Counter, openCounter, type Shopper } from '../setup/counter.ts';
import { passTime, submitRefund } from '../setup/paid_orders.ts';
import { partnerSettings } from '../setup/partner_home.ts';
import { startNode } from '../setup/shop.ts';
import { fieldsOf, signOf } from '../setup/v2_message.ts';

type Answer = Record<string, unknown> & {
  out_trade_no?: string;
  code_url?: string;
  h5_url?: string;
  app?: Record<string, string>;
  mini_program?: Record<string, string>;
  error?: { code: string; message: string };
};

const all = 'JSAPI,NATIVE,MWEB,APP,MINIPROGRAM';
const both = ['v2', 'v3'] as const;

describe.each(both)('over %s', (api_version) => {
  let counter: Counter;
  let shopper: Shopper;
  beforeAll(async () => {
    counter = await openCounter({
      api_version,
      environment: { WECHAT_PRODUCTS: all, ORDER_EXPIRES_MINUTES: '600', WECHAT_TIMEOUT_MS: '600' },
    });
    shopper = counter.shopper();
    await shopper.signIn();
  });
  beforeEach(async () => {
    await counter.control('faults', undefined, 'DELETE');
  });
  afterAll(() => counter.close());

  /** A browser outside WeChat: nobody signed in. */
  const visitor = (): Shopper => counter.shopper();
  const arm = (faults: Record<string, unknown>) => counter.control('faults', faults, 'PUT');

  async function start(
    who: Shopper,
    order_no: string,
    trade_type: string,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: Answer }> {
    const answer = await who.post(`/api/orders/${order_no}/pay`, { trade_type }, headers);
    return { status: answer.status, body: (await answer.json()) as Answer };
  }
  async function started(who: Shopper, order_no: string, trade_type: string): Promise<Answer> {
    const { status, body } = await start(who, order_no, trade_type);
    expect([status, body.error]).toEqual([200, undefined]);
    return body;
  }
  const trades = (order_no: string) =>
    counter.ctx.db.trade.findMany({ where: { order_no }, orderBy: { created_at: 'asc' } });
  const states = async (order_no: string) =>
    (await trades(order_no)).map(({ trade_type, trade_state }) => `${trade_type} ${trade_state}`);
  const order = (order_no: string) => counter.ctx.db.order.findUniqueOrThrow({ where: { order_no } });

  async function mini(openid?: string) {
    const { code } = await counter.control<{ code: string; openid: string }>('mini_code', {
      ...(openid === undefined ? {} : { openid }),
    });
    const answer = await fetch(`${counter.host.origin}/api/app/mini/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ code }),
    });
    return {
      status: answer.status,
      body: (await answer.json()) as { token: string; error?: { code: string } },
      code,
    };
  }
  async function call(
    method: string,
    path: string,
    key: string,
    body?: unknown,
    more: Record<string, string> = {},
  ) {
    const answer = await fetch(`${counter.host.origin}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...more,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return {
      status: answer.status,
      body: (await answer.json()) as Answer & { order_no: string; state: string },
    };
  }

  describe('NATIVE', () => {
    test('anybody with the link gets a code, drawn too; a scan pays the order', async () => {
      const { order_no } = await visitor().order();
      const { code_url, code_svg, renew_in_ms } = await started(visitor(), order_no, 'NATIVE');
      expect(code_url).toMatch(/^weixin:\/\/wxpay\/bizpayurl/);
      expect(code_svg).toMatch(/^<svg /);
      expect(renew_in_ms).toBeGreaterThan(110 * 60_000);
      await counter.control('pay', { code_url });
      await passTime(counter, 0);
      expect(await order(order_no)).toMatchObject({ state: 'SUCCESS' });
      expect((await trades(order_no))[0]).toMatchObject({ trade_type: 'NATIVE', openid: null });
    });

    test('the same code to every page that asks, and another one when its two hours are over', async () => {
      const { order_no } = await visitor().order();
      const first = await started(visitor(), order_no, 'NATIVE');
      expect((await started(visitor(), order_no, 'NATIVE')).code_url).toBe(first.code_url);
      await passTime(counter, 2 * 3_600 + 1);
      const renewed = await started(visitor(), order_no, 'NATIVE');
      expect(renewed.out_trade_no).toBe(first.out_trade_no);
      expect(renewed.code_url).not.toBe(first.code_url);
      await counter.control('pay', { code_url: renewed.code_url });
      await passTime(counter, 0);
      expect(await order(order_no)).toMatchObject({ state: 'SUCCESS' });
    });

    test('a notification that never comes: the asking job finds the payment', async () => {
      const { order_no } = await visitor().order();
      const { code_url } = await started(visitor(), order_no, 'NATIVE');
      await arm({ notify_never: true });
      await counter.control('pay', { code_url });
      await passTime(counter, 6);
      await counter.work('trade_ask');
      expect(await order(order_no)).toMatchObject({ state: 'SUCCESS' });
    });

    test('another WeChat account gets no code of an order that has its buyer', async () => {
      const { order_no } = await shopper.order();
      const other = counter.shopper(counter.simulator_config.users[1]?.openid);
      await other.signIn();
      expect(await start(other, order_no, 'NATIVE')).toMatchObject({
        status: 403,
        body: { error: { code: 'other_payer' } },
      });
    });
  });

  describe('MWEB', () => {
    test('an address with the way back in it, for the payer’s real IP; the payer returns paid', async () => {
      const who = visitor();
      const { order_no } = await who.order();
      const { h5_url = '' } = await started(who, order_no, 'MWEB');
      expect(new URL(h5_url).searchParams.get('redirect_url')).toBe(
        `${counter.host.origin}/pay/${order_no}?from=h5`,
      );
      const [trade] = await trades(order_no);
      expect(trade?.request).toMatchObject({
        payer_client_ip: '127.0.0.1',
        h5: { wap_url: counter.host.origin, wap_name: '柜台小店' },
      });
      await counter.control('pay', { h5_url });
      await passTime(counter, 0);
      expect(await who.status(order_no)).toMatchObject({ state: 'SUCCESS' });
    });

    test('an address older than five minutes is of no use: the next tap gets a good one', async () => {
      const who = visitor();
      const { order_no } = await who.order();
      const first = await started(who, order_no, 'MWEB');
      await passTime(counter, 301);
      const second = await started(who, order_no, 'MWEB');
      expect(second.h5_url).not.toBe(first.h5_url);
      await counter.control('pay', { h5_url: second.h5_url });
      await passTime(counter, 0);
      expect(await order(order_no)).toMatchObject({ state: 'SUCCESS' });
      expect((await states(order_no)).filter((each) => / (NOTPAY|USERPAYING)$/.test(each))).toEqual([]);
    });

    test('from another address than before: another number, because WeChat judges the payer’s IP', async () => {
      const { order_no } = await visitor().order();
      const { startTrade } = await import('../../lib/trades.ts');
      const from = (payer_client_ip: string) =>
        startTrade(counter.ctx, { session: undefined, payer_client_ip }, order_no, 'MWEB');
      const home = await from('203.0.113.9');
      const road = await from('198.51.100.2');
      expect(road.out_trade_no).not.toBe(home.out_trade_no);
      expect(await states(order_no)).toEqual(['MWEB CLOSED', 'MWEB NOTPAY']);
    });
  });

  describe('MINIPROGRAM', () => {
    test('signs in with a code, orders, pays and asks with one key, without any cookie or Origin', async () => {
      const { status, body } = await mini();
      expect(status).toBe(201);
      const placed = await call('POST', '/api/orders', body.token, {
        items: [{ product_id: 'penny-candy', quantity: 1 }],
        checkout_key: crypto.randomUUID(),
      });
      expect(placed.status).toBe(201);
      const { order_no } = placed.body;
      const paying = await call('POST', `/api/orders/${order_no}/pay`, body.token, { trade_type: 'JSAPI' });
      expect(Object.keys(paying.body.mini_program ?? {}).sort()).toEqual([
        'nonceStr',
        'package',
        'paySign',
        'signType',
        'timeStamp',
      ]);
      const [trade] = await trades(order_no);
      expect(trade).toMatchObject({
        trade_type: 'JSAPI',
        appid: counter.simulator_config.mini_program.appid,
        openid: (await order(order_no)).openid,
      });
      const said = await counter.control<{ errMsg: string }>('mini_pay', paying.body.mini_program);
      expect(said.errMsg).toBe('requestPayment:ok');
      await passTime(counter, 0);
      expect((await call('GET', `/api/orders/${order_no}`, body.token)).body.state).toBe('SUCCESS');
      const { refund } = await submitted(order_no);
      expect(refund.state).toMatch(/PROCESSING|SUCCESS/);
    });

    test('a cancelled payment stays payable under its number', async () => {
      const { body } = await mini();
      const placed = await call('POST', '/api/orders', body.token, {
        items: [{ product_id: 'penny-candy', quantity: 1 }],
        checkout_key: crypto.randomUUID(),
      });
      const pay = () =>
        call('POST', `/api/orders/${placed.body.order_no}/pay`, body.token, { trade_type: 'MINIPROGRAM' });
      const first = await pay();
      await counter.control('mini_pay', { ...first.body.mini_program, action: 'cancel' });
      expect((await call('GET', `/api/orders/${placed.body.order_no}`, body.token)).body.state).toBe(
        'NOTPAY',
      );
      expect((await pay()).body.out_trade_no).toBe(first.body.out_trade_no);
    });

    test('a code counts once, a made-up one not at all', async () => {
      const { code } = await mini();
      for (const spent of [code, 'made-up']) {
        const answer = await fetch(`${counter.host.origin}/api/app/mini/session`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ code: spent }),
        });
        expect([answer.status, ((await answer.json()) as Answer).error?.code]).toEqual([
          401,
          'sign_in_required',
        ]);
      }
    });

    test('a key nobody was given, and a browser’s own key as one, open nothing', async () => {
      const { order_no } = await visitor().order();
      for (const key of ['x'.repeat(43), app_key]) {
        expect((await call('GET', `/api/orders/${order_no}`, key)).status).toBe(401);
      }
    });

    test('an official account’s page cannot pay as a mini-program, nor the other way round', async () => {
      const { order_no } = await shopper.order();
      expect(await start(shopper, order_no, 'MINIPROGRAM')).toMatchObject({
        status: 403,
        body: { error: { code: 'openid_required' } },
      });
      const { body } = await mini(counter.simulator_config.users[1]?.openid);
      expect((await call('GET', `/api/orders/${order_no}`, body.token)).status).toBe(404);
    });
  });

  describe('APP', () => {
    const goods = { items: [{ product_id: 'penny-candy', quantity: 2 }] };
    const placeFor = (key: string, idempotency_key: string = crypto.randomUUID()) =>
      call('POST', '/api/app/orders', key, goods, { 'idempotency-key': idempotency_key });

    test('orders once per Idempotency-Key, pays by the SDK’s words, is told', async () => {
      const key = crypto.randomUUID();
      const [one, two] = await Promise.all([placeFor(app_key, key), placeFor(app_key, key)]);
      expect([one.status, two.status]).toEqual([201, 201]);
      expect(two.body.order_no).toBe(one.body.order_no);
      const { order_no } = one.body;
      const paying = await call('POST', `/api/app/orders/${order_no}/pay`, app_key, {
        payer_client_ip: '203.0.113.9',
      });
      expect(Object.keys(paying.body.app ?? {}).sort()).toEqual([
        'appId',
        'nonceStr',
        'packageValue',
        'partnerId',
        'prepayId',
        'sign',
        'timeStamp',
      ]);
      const [trade] = await trades(order_no);
      expect(trade).toMatchObject({ trade_type: 'APP', appid: counter.simulator_config.app.appid });
      const cancelled = await counter.control<{ errCode: number }>('app_pay', {
        ...paying.body.app,
        action: 'cancel',
      });
      expect(cancelled.errCode).toBe(-2);
      expect((await call('GET', `/api/app/orders/${order_no}`, app_key)).body.state).toBe('NOTPAY');
      const done = await counter.control<{ errCode: number }>('app_pay', paying.body.app);
      expect(done.errCode).toBe(0);
      await passTime(counter, 0);
      expect((await call('GET', `/api/app/orders/${order_no}`, app_key)).body.state).toBe('SUCCESS');
      const { refund } = await submitted(order_no);
      expect(refund.state).toMatch(/PROCESSING|SUCCESS/);
    });

    test('without the key, or with another, there is nothing; others’ orders are not found', async () => {
      expect((await placeFor('y'.repeat(40))).status).toBe(401);
      const { order_no } = await shopper.order();
      expect((await call('GET', `/api/app/orders/${order_no}`, app_key)).status).toBe(404);
      expect(
        (await call('POST', `/api/app/orders/${order_no}/pay`, app_key, { payer_client_ip: '1.1.1.1' }))
          .status,
      ).toBe(404);
    });

    test('a missing Idempotency-Key and an address that is none are named', async () => {
      const { status, body } = await call('POST', '/api/app/orders', app_key, goods);
      expect([status, body.error]).toMatchObject([400, { field: 'Idempotency-Key' }]);
      const { order_no } = (await placeFor(app_key)).body;
      const wrong = await call('POST', `/api/app/orders/${order_no}/pay`, app_key, { payer_client_ip: 'x' });
      expect([wrong.status, wrong.body.error]).toMatchObject([400, { field: 'payer_client_ip' }]);
    });
  });

  async function submitted(order_no: string) {
    const [trade] = await trades(order_no);
    const paid = { order_no, out_trade_no: trade?.out_trade_no ?? '', total_fen: trade?.total_fen ?? 0 };
    return { refund: await submitRefund(counter, paid, 1) };
  }

  describe('an order moves', () => {
    test('from the phone to a desktop’s code: the bridge’s trade is closed before the code is made', async () => {
      const { order_no } = await shopper.order();
      await started(shopper, order_no, 'JSAPI');
      const { code_url } = await started(visitor(), order_no, 'NATIVE');
      expect(await states(order_no)).toEqual(['JSAPI CLOSED', 'NATIVE NOTPAY']);
      await counter.control('pay', { code_url });
      await passTime(counter, 0);
      expect(await order(order_no)).toMatchObject({ state: 'SUCCESS' });
    });

    test('and back: each turn has a number of its own, one of them payable', async () => {
      const { order_no } = await shopper.order();
      const numbers = [
        await started(shopper, order_no, 'JSAPI'),
        await started(visitor(), order_no, 'NATIVE'),
        await started(visitor(), order_no, 'MWEB'),
        await started(shopper, order_no, 'JSAPI'),
      ].map(({ out_trade_no }) => out_trade_no);
      expect(new Set(numbers).size).toBe(4);
      expect(await states(order_no)).toEqual([
        'JSAPI CLOSED',
        'NATIVE CLOSED',
        'MWEB CLOSED',
        'JSAPI NOTPAY',
      ]);
    });

    test('while the first was paid unseen: order_paid, and no second number', async () => {
      const { order_no } = await shopper.order();
      const { out_trade_no } = await started(shopper, order_no, 'JSAPI');
      await arm({ notify_never: true });
      await counter.control('pay', { out_trade_no });
      expect(await start(visitor(), order_no, 'NATIVE')).toMatchObject({
        status: 409,
        body: { error: { code: 'order_paid' } },
      });
      expect(await states(order_no)).toEqual(['JSAPI SUCCESS']);
      expect(await order(order_no)).toMatchObject({ state: 'SUCCESS' });
    });

    test('while the payer pays just before the close: order_paid', async () => {
      const { order_no } = await shopper.order();
      await started(shopper, order_no, 'JSAPI');
      await arm({ close_order_paid: { times: 1 } });
      expect((await start(visitor(), order_no, 'NATIVE')).body.error?.code).toBe('order_paid');
      expect(await states(order_no)).toEqual(['JSAPI SUCCESS']);
    });

    test('while WeChat does not answer: nothing payable beside the first, and the next try goes on', async () => {
      const { order_no } = await shopper.order();
      await started(shopper, order_no, 'JSAPI');
      const close = api_version === 'v2' ? '/pay/closeorder' : '/v3/pay/transactions/out-trade-no/*/close';
      await arm({ line_cut: { times: 1, path: close } });
      expect(await start(visitor(), order_no, 'NATIVE')).toMatchObject({
        status: 503,
        body: { error: { code: 'trade_closing' } },
      });
      expect(await states(order_no)).toEqual(['JSAPI NOTPAY']);
      await started(visitor(), order_no, 'NATIVE');
      expect(await states(order_no)).toEqual(['JSAPI CLOSED', 'NATIVE NOTPAY']);
    });

    test('paid by both although the first was closed: one serves, the other goes back by itself', async () => {
      const { order_no, total_fen } = await shopper.order('bookmark');
      const first = await started(shopper, order_no, 'JSAPI');
      const second = await started(visitor(), order_no, 'NATIVE');
      await counter.control('pay', { code_url: second.code_url });
      await counter.control('pay', { out_trade_no: first.out_trade_no, late: true });
      await passTime(counter, 0);
      const rows = await trades(order_no);
      expect(rows.map(({ trade_state, surplus }) => [trade_state, surplus])).toEqual([
        ['SUCCESS', 'double'],
        ['SUCCESS', null],
      ]);
      await counter.work('surplus_refund');
      for (let step = 0; step < 4; step += 1) {
        await passTime(counter, 60);
        await counter.work('refund_follow');
      }
      const refunds = await counter.ctx.db.refund.findMany({ where: { order_no } });
      expect(refunds).toMatchObject([
        { out_trade_no: first.out_trade_no, origin: 'surplus', refund_fen: total_fen, state: 'SUCCESS' },
      ]);
      expect(await order(order_no)).toMatchObject({ state: 'SUCCESS', paid_trade_no: second.out_trade_no });
    });

    test('two devices at once, each its own way: never two payable numbers', async () => {
      const { order_no } = await shopper.order();
      const answers = await Promise.all([
        start(shopper, order_no, 'JSAPI'),
        start(visitor(), order_no, 'NATIVE'),
        start(visitor(), order_no, 'MWEB'),
      ]);
      for (const { status } of answers) expect([200, 503]).toContain(status);
      const open = (await trades(order_no)).filter(({ trade_state }) => trade_state === 'NOTPAY');
      expect(open.length).toBeLessThanOrEqual(1);
      const platform = await counter.control<{ orders: { out_trade_no: string; trade_state: string }[] }>(
        'orders',
      );
      const own = new Set((await trades(order_no)).map(({ out_trade_no }) => out_trade_no));
      const payable = platform.orders.filter(
        ({ out_trade_no, trade_state }) => own.has(out_trade_no) && trade_state === 'NOTPAY',
      );
      expect(payable.map(({ out_trade_no }) => out_trade_no)).toEqual(
        open.map(({ out_trade_no }) => out_trade_no),
      );
    });
  });
});

describe.each(both)('a way WeChat has not granted, over %s', (api_version) => {
  test('is told to the shopper with what opens it, to the operator with the page, until it works', async () => {
    const counter = await openCounter({ api_version, environment: { WECHAT_PRODUCTS: all } });
    try {
      const opened = ['JSAPI', 'MWEB', 'APP', 'MICROPAY', 'FACEPAY'];
      await counter.control('merchant', { products: opened }, 'PUT');
      const who = counter.shopper();
      const { order_no } = await who.order();
      const answer = await who.post(`/api/orders/${order_no}/pay`, { trade_type: 'NATIVE' });
      const { error } = (await answer.json()) as { error: { code: string; message: string } };
      expect([answer.status, error.code]).toEqual([502, 'product_not_granted']);
      expect(error.message).toMatch(/产品中心.*WECHAT_PRODUCTS.*NATIVE/);
      const told = async () => (await readAttention(counter.ctx)).account;
      expect(await told()).toMatchObject([
        { call: 'place NATIVE', console_page: expect.stringContaining('产品中心') },
      ]);
      await counter.control('merchant', { products: [...opened, 'NATIVE'] }, 'PUT');
      await who.post(`/api/orders/${order_no}/pay`, { trade_type: 'NATIVE' });
      expect(await told()).toEqual([]);
    } finally {
      await counter.close();
    }
  });
});

test('a wrong secret of the mini-program is the operator’s to mend, on the mini-program’s own page', async () => {
  const counter = await openCounter({
    environment: { WECHAT_PRODUCTS: all, WECHAT_MINI_SECRET: '0'.repeat(32) },
  });
  try {
    const { code } = await counter.control<{ code: string }>('mini_code', {});
    const answer = await fetch(`${counter.host.origin}/api/app/mini/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ code }),
    });
    expect(answer.status).toBe(503);
    expect((await readAttention(counter.ctx)).account).toMatchObject([
      { call: 'mini', code: '40125', console_page: expect.stringContaining('小程序后台') },
    ]);
  } finally {
    await counter.close();
  }
});

describe('v2 and its five minutes', () => {
  let counter: Counter;
  beforeAll(async () => {
    counter = await openCounter({
      environment: { WECHAT_PRODUCTS: all, ORDER_EXPIRES_MINUTES: '600' },
      simulator: { strict: true, allow_any_notify_host: true },
    });
  });
  afterAll(() => counter.close());

  test('a trade too young to close stays beside the new one, is closed by a job, and what is paid twice goes back', async () => {
    // --strict wants an https address to notify and WeChat's own User-Agent at sign-in; trades are begun directly.
    const { startTrade } = await import('../../lib/trades.ts');
    const ctx = { ...counter.ctx, config: { ...counter.ctx.config, PUBLIC_URL: 'https://shop.example.com' } };
    const begin = <W extends 'NATIVE' | 'MWEB'>(order_no: string, way: W) =>
      startTrade(ctx, { session: undefined, payer_client_ip: '127.0.0.1' }, order_no, way);
    const stateOf = async (out_trade_no: string) =>
      (await counter.ctx.db.trade.findUniqueOrThrow({ where: { out_trade_no } })).trade_state;

    const left = await counter.shopper().order();
    const first = await begin(left.order_no, 'NATIVE');
    const second = await begin(left.order_no, 'MWEB');
    expect(await stateOf(first.out_trade_no)).toBe('NOTPAY');
    await passTime(counter, 310);
    expect(await counter.work('trade_close')).toBe(1);
    expect([await stateOf(first.out_trade_no), await stateOf(second.out_trade_no)]).toEqual([
      'CLOSED',
      'NOTPAY',
    ]);

    const twice = await counter.shopper().order();
    const one = await begin(twice.order_no, 'NATIVE');
    const two = await begin(twice.order_no, 'MWEB');
    await counter.control('pay', { h5_url: two.h5_url });
    await counter.control('pay', { code_url: one.code_url });
    await passTime(counter, 6);
    while ((await counter.work('trade_ask')) > 0);
    expect(await counter.work('surplus_refund')).toBe(1);
    const refunds = await counter.ctx.db.refund.findMany({ where: { order_no: twice.order_no } });
    expect(refunds).toMatchObject([{ origin: 'surplus', refund_fen: twice.total_fen }]);
  });

  test('a close whose job was lost is found by the sweep', async () => {
    const { startTrade } = await import('../../lib/trades.ts');
    const ctx = { ...counter.ctx, config: { ...counter.ctx.config, PUBLIC_URL: 'https://shop.example.com' } };
    const { order_no } = await counter.shopper().order();
    const payer = { session: undefined, payer_client_ip: '127.0.0.1' };
    const one = await startTrade(ctx, payer, order_no, 'NATIVE');
    const two = await startTrade(ctx, payer, order_no, 'MWEB');
    await counter.ctx.db.$executeRaw`DELETE FROM pgboss.job WHERE name = 'trade_close'`;
    await passTime(counter, 660);
    await sweep(counter.ctx);
    expect(await counter.work('trade_close')).toBe(1);
    const rows = await counter.ctx.db.trade.findMany({ where: { order_no }, orderBy: { created_at: 'asc' } });
    expect(rows.map(({ out_trade_no, trade_state }) => [out_trade_no, trade_state])).toEqual([
      [one.out_trade_no, 'CLOSED'],
      [two.out_trade_no, 'NOTPAY'],
    ]);
  });

  test('instances whose clocks disagree agree which trade is the newest: the earlier one is closed, not the later', async () => {
    const { startTrade } = await import('../../lib/trades.ts');
    const slow = {
      ...counter.ctx,
      config: { ...counter.ctx.config, PUBLIC_URL: 'https://shop.example.com' },
    };
    const fast = { ...slow, now: () => new Date(counter.ctx.now().getTime() + 3_000) };
    const { order_no } = await counter.shopper().order();
    const payer = { session: undefined, payer_client_ip: '127.0.0.1' };
    const one = await startTrade(fast, payer, order_no, 'NATIVE');
    const two = await startTrade(slow, payer, order_no, 'MWEB');
    expect((await startTrade(slow, payer, order_no, 'MWEB')).out_trade_no).toBe(two.out_trade_no);
    expect((await showOrder(slow, undefined, order_no))?.open_trade?.out_trade_no).toBe(two.out_trade_no);
    await passTime(counter, 310);
    await counter.work('trade_close');
    const rows = await counter.ctx.db.trade.findMany({ where: { order_no }, orderBy: { created_at: 'asc' } });
    expect(rows.map(({ out_trade_no, trade_state }) => [out_trade_no, trade_state])).toEqual([
      [one.out_trade_no, 'CLOSED'],
      [two.out_trade_no, 'NOTPAY'],
    ]);
  });

  test('an order that goes to and fro costs WeChat a few calls each time, and after eight trades rests', async () => {
    const { startTrade } = await import('../../lib/trades.ts');
    const ctx = { ...counter.ctx, config: { ...counter.ctx.config, PUBLIC_URL: 'https://shop.example.com' } };
    const { order_no } = await counter.shopper().order();
    const payer = { session: undefined, payer_client_ip: '127.0.0.1' };
    const turn = (nth: number) => startTrade(ctx, payer, order_no, nth % 2 === 0 ? 'NATIVE' : 'MWEB');
    const called = async () => {
      const { entries } = await counter.control<{ entries: { kind: string }[] }>('log?limit=100000');
      return entries.filter(({ kind }) => kind === 'call').length;
    };
    const calls: number[] = [];
    for (let nth = 0; nth < 8; nth += 1) {
      const before = await called();
      await turn(nth);
      calls.push((await called()) - before);
    }
    // The newest is asked about, refused a close, asked about again; then the next is placed.
    expect(calls).toEqual([1, 4, 4, 4, 4, 4, 4, 4]);
    const before = await called();
    await expect(turn(8)).rejects.toMatchObject({ code: 'too_many_requests', status: 429 });
    const { out_trade_no } = await startTrade(ctx, payer, order_no, 'MWEB');
    expect((await called()) - before).toBe(0);
    const rows = await counter.ctx.db.trade.findMany({ where: { order_no }, orderBy: { created_at: 'asc' } });
    expect([rows.length, rows.at(-1)?.out_trade_no]).toEqual([8, out_trade_no]);
    await passTime(counter, 610);
    await counter.work('trade_close');
    expect(await counter.ctx.db.trade.count({ where: { order_no, trade_state: 'NOTPAY' } })).toBe(1);
    await expect(turn(8)).resolves.toHaveProperty('code_url');
  });

  test('once an order is paid, whatever else of it is payable is closed at once', async () => {
    const { startTrade } = await import('../../lib/trades.ts');
    const ctx = { ...counter.ctx, config: { ...counter.ctx.config, PUBLIC_URL: 'https://shop.example.com' } };
    const { order_no } = await counter.shopper().order();
    const payer = { session: undefined, payer_client_ip: '127.0.0.1' };
    const one = await startTrade(ctx, payer, order_no, 'NATIVE');
    const two = await startTrade(ctx, payer, order_no, 'MWEB');
    await counter.control('pay', { h5_url: two.h5_url });
    await passTime(counter, 306);
    while ((await counter.work('trade_ask')) > 0);
    await counter.work('order_paid');
    await counter.work('trade_close');
    const { trade_state } = await counter.ctx.db.trade.findUniqueOrThrow({
      where: { out_trade_no: one.out_trade_no },
    });
    expect(trade_state).toBe('CLOSED');
  });
});

describe('a printed code', () => {
  let counter: Counter;
  beforeAll(async () => {
    counter = await openCounter({ environment: { WECHAT_PRODUCTS: all } });
    const native_callback_url = `${counter.host.origin}/api/wechat/native`;
    await counter.control('merchant', { native_callback_url }, 'PUT');
  });
  afterAll(() => counter.close());

  const codes = () => {
    const { native } = counter.ctx.pay;
    if (native === undefined) throw new Error('v2 has native codes');
    return native;
  };
  const scan = async (code_url: string, openid?: string) => {
    const paid = await counter.control<{ out_trade_no: string }>('pay', {
      code_url,
      ...(openid === undefined ? {} : { openid }),
    });
    await passTime(counter, 0);
    const { order_no } = await counter.ctx.db.trade.findUniqueOrThrow({
      where: { out_trade_no: paid.out_trade_no },
    });
    return counter.ctx.db.order.findUniqueOrThrow({ where: { order_no }, include: { items: true } });
  };

  test('of goods: each scan is an order of the scanner’s, at our price', async () => {
    const long_url = codes().link('penny-candy');
    const { short_url } = await codes().shortUrl(long_url);
    const orders = [await scan(long_url), await scan(short_url)];
    expect(orders).toMatchObject([
      { state: 'SUCCESS', total_fen: 1, openid: counter.simulator_config.users[0]?.openid },
      { state: 'SUCCESS', items: [{ product_id: 'penny-candy', quantity: 1 }] },
    ]);
    expect(orders[0]?.order_no).not.toBe(orders[1]?.order_no);
  });

  test('made by the command, drawn to a file, is one that can be scanned; for nothing there is none', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'guitai-code-'));
    const make = async (...args: string[]) => {
      const { running } = startNode('scripts/native_code.ts', args, {
        PATH: process.env.PATH,
        ...counter.settings,
      });
      const { code } = await running.ended;
      return { code, output: running.output() };
    };
    try {
      const svg = join(folder, 'code.svg');
      for (const more of [[], ['--short']]) {
        const { code, output } = await make('penny-candy', '--svg', svg, ...more);
        const [link = ''] = /^weixin:\S+$/m.exec(output) ?? [];
        expect([code, output]).toEqual([0, expect.stringContaining('/api/wechat/native')]);
        expect(readFileSync(svg, 'utf8')).toMatch(/^<svg /);
        expect(await scan(link)).toMatchObject({ state: 'SUCCESS', total_fen: 1 });
      }
      const none = await make('no-such-thing');
      expect([none.code, none.output]).toEqual([1, expect.stringContaining('no goods and no order named')]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('of an order: whoever scans it pays it, and nobody pays it twice', async () => {
    const { order_no } = await counter.shopper().order();
    const code = codes().link(order_no);
    expect(await scan(code, counter.simulator_config.users[1]?.openid)).toMatchObject({
      order_no,
      state: 'SUCCESS',
    });
    await expect(scan(code)).rejects.toThrow(/订单已支付/);
  });

  test('of goods that are not sold: the payer reads why', async () => {
    await expect(scan(codes().link('no-such-thing'))).rejects.toThrow(/商品不存在或已下架/);
  });

  test('the same scan told twice is one order; a forged one is none', async () => {
    const { appid, mch_id } = counter.ctx.pay;
    const openid = counter.simulator_config.users[0]?.openid ?? '';
    const tell = async (key: string) => {
      const fields = {
        appid,
        mch_id,
        openid,
        is_subscribe: 'N',
        nonce_str: 'told-twice',
        product_id: 'bookmark',
      };
      const sign = signOf(Object.entries(fields), key, 'HMAC-SHA256');
      const inner = Object.entries({ ...fields, sign }).map(([name, value]) => `<${name}>${value}</${name}>`);
      const answer = await fetch(`${counter.host.origin}/api/wechat/native`, {
        method: 'POST',
        body: `<xml>${inner.join('')}</xml>`,
      });
      return fieldsOf(await answer.text());
    };
    const before = await counter.ctx.db.order.count();
    const key = counter.simulator_config.merchants[0]?.api_v2_key ?? '';
    const [one, two] = [await tell(key), await tell(key)];
    expect(one).toMatchObject({ result_code: 'SUCCESS' });
    expect(two.prepay_id).toBe(one.prepay_id);
    expect(await counter.ctx.db.order.count()).toBe(before + 1);
    expect(await tell('another key')).toMatchObject({ return_code: 'FAIL' });
    expect(await counter.ctx.db.order.count()).toBe(before + 1);
  });
});

describe('products that are not opened', () => {
  let counter: Counter;
  beforeAll(async () => {
    counter = await openCounter();
  });
  afterAll(() => counter.close());

  test.each(['NATIVE', 'MWEB', 'APP', 'MINIPROGRAM'])(
    '%s: a sentence that names the setting, in both languages',
    async (trade_type) => {
      const who = counter.shopper();
      const { order_no } = await who.order();
      for (const [language, sentence] of [
        ['zh-CN', /没有开通.*WECHAT_PRODUCTS/],
        ['en', /not opened.*WECHAT_PRODUCTS/],
      ] as const) {
        const answer = await who.post(
          `/api/orders/${order_no}/pay`,
          { trade_type },
          { 'accept-language': language },
        );
        const { error } = (await answer.json()) as {
          error: { code: string; field: string; message: string };
        };
        expect([answer.status, error.code, error.field]).toEqual([400, 'product_not_opened', 'trade_type']);
        expect(error.message).toMatch(sentence);
        expect(error.message).toContain(trade_type);
      }
      expect(await counter.ctx.db.trade.count({ where: { order_no } })).toBe(0);
    },
  );

  test('the doors of mini-programs, APP servers and printed codes are closed', async () => {
    const knock = (path: string, body: unknown, headers: Record<string, string> = {}) =>
      fetch(`${counter.host.origin}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }).then(({ status }) => status);
    expect(await knock('/api/app/mini/session', { code: 'x' })).toBe(400);
    expect(await knock('/api/app/orders', {}, { authorization: `Bearer ${app_key}` })).toBe(400);
    expect(await knock('/api/wechat/native', {})).toBe(404);
  });
});

test('a service provider has no printed codes: their doorway is closed', async () => {
  const counter = await openCounter();
  try {
    const opened = { WECHAT_PRODUCTS: all };
    const knock = () => fetch(`${counter.host.origin}/api/wechat/native`, { method: 'POST', body: '<xml/>' });
    await counter.restart(opened);
    expect((await knock()).status).toBe(200);
    await counter.restart({ ...opened, ...partnerSettings(counter.simulator_config, 'sub-merchant') });
    expect((await knock()).status).toBe(404);
  } finally {
    await counter.close();
  }
});
