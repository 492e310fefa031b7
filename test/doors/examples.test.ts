/** The example clients of docs/examples, run as they stand against the doorways and the simulator, over v2 and v3. */
import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createShop, ShopError } from '../../docs/examples/app_server.ts';
import { app_key, type Counter, openCounter } from '../setup/counter.ts';

interface MiniShop {
  pay: (
    items: { product_id: string; quantity: number }[],
    checkout_key?: string,
  ) => Promise<{ state: string; order_no: string }>;
  payOrder: (order_no: string) => Promise<{ state: string; order_no: string }>;
}

interface WxCall {
  success: (answer: unknown) => void;
  fail: (error: unknown) => void;
  [option: string]: unknown;
}

/** `wx` as a phone has it, with the simulator behind it. */
function phone(counter: Counter, behaviour: { cancels: boolean }) {
  const through = (work: (options: WxCall) => Promise<unknown>) => (options: WxCall) =>
    void work(options).then(options.success, options.fail);
  return {
    login: through(() => counter.control('mini_code', {})),
    request: through(async ({ url, method, data, header }) => {
      const answer = await fetch(String(url), {
        method: String(method),
        headers: header as Record<string, string>,
        ...(method === 'GET' ? {} : { body: JSON.stringify(data) }),
      });
      return { statusCode: answer.status, data: await answer.json() };
    }),
    requestPayment: through(async ({ success: _, fail: __, ...parameters }) => {
      const action = behaviour.cancels ? { action: 'cancel' } : {};
      const said = await counter.control<{ errMsg: string }>('mini_pay', { ...parameters, ...action });
      if (said.errMsg !== 'requestPayment:ok') throw said;
      return said;
    }),
  };
}

function miniShop(counter: Counter, behaviour: { cancels: boolean }): MiniShop {
  const source = readFileSync(new URL('../../docs/examples/mini-program.js', import.meta.url), 'utf8');
  const wx = phone(counter, behaviour);
  const world = { module: { exports: {} as { createShop: (origin: string) => MiniShop } }, wx, setTimeout };
  runInNewContext(source, world);
  return world.module.exports.createShop(counter.host.origin);
}

describe.each(['v2', 'v3'] as const)('over %s', (api_version) => {
  let counter: Counter;
  beforeAll(async () => {
    counter = await openCounter({ api_version, environment: { WECHAT_PRODUCTS: 'APP,MINIPROGRAM' } });
  });
  afterAll(() => counter.close());

  test('mini-program.js signs in, orders, pays and believes the server', async () => {
    const shop = miniShop(counter, { cancels: false });
    const paid = await shop.pay([{ product_id: 'penny-candy', quantity: 1 }]);
    expect(paid.state).toBe('SUCCESS');
    await expect(shop.payOrder(paid.order_no)).rejects.toMatchObject({ code: 'order_paid', status: 409 });
  });

  test('mini-program.js: a cancel is asked about, and the order can be paid again', async () => {
    const behaviour = { cancels: true };
    const shop = miniShop(counter, behaviour);
    const left = await shop.pay([{ product_id: 'penny-candy', quantity: 1 }], 'a-basket-of-this-test-1');
    expect(left.state).toBe('NOTPAY');
    behaviour.cancels = false;
    expect(
      await shop.pay([{ product_id: 'penny-candy', quantity: 1 }], 'a-basket-of-this-test-1'),
    ).toMatchObject({
      order_no: left.order_no,
      state: 'SUCCESS',
    });
  });

  test('mini-program.js: a token that has run out is replaced without a word', async () => {
    const shop = miniShop(counter, { cancels: false });
    await shop.pay([{ product_id: 'penny-candy', quantity: 1 }]);
    await counter.ctx.db.session.updateMany({
      where: { kind: 'mini' },
      data: { ended_at: counter.ctx.now() },
    });
    expect((await shop.pay([{ product_id: 'penny-candy', quantity: 1 }])).state).toBe('SUCCESS');
  });

  test('app_server.ts orders once per cart, hands out PayReq and learns the outcome', async () => {
    const shop = createShop({ origin: counter.host.origin, api_key: app_key });
    const goods = [{ product_id: 'bookmark', quantity: 2 }];
    const cart_id = crypto.randomUUID();
    const order = await shop.order(goods, cart_id);
    expect(await shop.order(goods, cart_id)).toEqual(order);
    const pay_req = await shop.pay(order.order_no, '203.0.113.9');
    expect((await shop.status(order.order_no)).state).toBe('NOTPAY');
    expect(await counter.control('app_pay', { ...pay_req })).toMatchObject({ errCode: 0 });
    expect(await shop.outcome(order.order_no)).toMatchObject({
      state: 'SUCCESS',
      total_fen: order.total_fen,
    });
    const stranger = createShop({ origin: counter.host.origin, api_key: 'z'.repeat(40) });
    const refused = await stranger.status(order.order_no).catch((thrown: unknown) => thrown);
    expect(refused).toBeInstanceOf(ShopError);
    expect(refused).toMatchObject({ code: 'sign_in_required', status: 401 });
  });
});
