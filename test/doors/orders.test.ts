/** Placing an order: once per checkout, at our price, from our own page, or a coded refusal that names the field. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listOwnOrders } from '../../lib/orders.ts';
import type { Session } from '../../lib/sessions.ts';
import { orderLabel } from '../../lib/states.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';
import { makeRefund, makeTrade, payer } from '../setup/rows.ts';

let counter: Counter;
let shopper: Shopper;
beforeAll(async () => {
  counter = await openCounter();
  shopper = counter.shopper();
  await shopper.signIn();
});
afterAll(() => counter.close());

interface Answer {
  status: number;
  body: {
    order_no?: string;
    total_fen?: number;
    expires_at?: string;
    error?: { code: string; message: string; field?: string };
  };
}

const key = (): string => crypto.randomUUID();
const candy = { product_id: 'penny-candy', quantity: 1 };

async function answerOf(response: Response): Promise<Answer> {
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}
const send = async (body: unknown, who = shopper): Promise<Answer> =>
  answerOf(await who.post('/api/orders', body));
const raw = async (body: BodyInit, headers: Record<string, string> = {}): Promise<Answer> =>
  answerOf(
    await shopper.go('/api/orders', {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...headers },
    }),
  );
const countOrders = () => counter.ctx.db.order.count();

describe('one checkout is one order', () => {
  test('the same body again: the same order, the same answer', async () => {
    const body = { items: [candy, { product_id: 'tea-cup', quantity: 2 }], checkout_key: key() };
    const first = await send(body);
    const again = await send(body);
    expect(first.status).toBe(201);
    expect(first.body.total_fen).toBe(1 + 2 * 8_800);
    expect(again).toEqual(first);
  });

  test('the same goods in another order and split in two lines are the same checkout', async () => {
    const checkout_key = key();
    const first = await send({
      items: [
        { ...candy, quantity: 3 },
        { product_id: 'tea-cup', quantity: 1 },
      ],
      checkout_key,
    });
    const again = await send({
      items: [{ product_id: 'tea-cup', quantity: 1 }, candy, { ...candy, quantity: 2 }],
      checkout_key,
    });
    expect(again).toEqual(first);
  });

  test('another body under the same key: 409 checkout_key_reused, and the first order stays as it was', async () => {
    const checkout_key = key();
    const first = await send({ items: [candy], checkout_key });
    const other = await send({ items: [{ ...candy, quantity: 2 }], checkout_key });
    expect(other.status).toBe(409);
    expect(other.body.error).toMatchObject({ code: 'checkout_key_reused', field: 'checkout_key' });
    const row = await counter.ctx.db.order.findUniqueOrThrow({
      where: { order_no: first.body.order_no ?? '' },
    });
    expect(row.total_fen).toBe(1);
  });

  test('five at once: one order, five equal answers', async () => {
    const body = { items: [candy], checkout_key: key() };
    const before = await countOrders();
    const answers = await Promise.all(Array.from({ length: 5 }, () => send(body)));
    expect(new Set(answers.map(({ body }) => body.order_no)).size).toBe(1);
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
    expect(await countOrders()).toBe(before + 1);
    const { order_no = '' } = answers[0]?.body ?? {};
    expect(await counter.ctx.db.event.count({ where: { order_no, kind: 'order_created' } })).toBe(1);
    const jobs = await counter.ctx.db.$queryRaw<unknown[]>`
      SELECT id FROM pgboss.job WHERE name = 'order_expire' AND singleton_key = ${order_no}`;
    expect(jobs).toHaveLength(1);
  });

  test('five different bodies at once under one key: one order, the others told so', async () => {
    const checkout_key = key();
    const answers = await Promise.all(
      [1, 2, 3, 4, 5].map((quantity) => send({ items: [{ ...candy, quantity }], checkout_key })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409]);
  });

  test('the goods went off the shelf or changed price in between: still the same order', async () => {
    const { db } = counter.ctx;
    await db.product.create({
      data: {
        product_id: 'fleeting',
        title: '稍纵即逝',
        description: '',
        picture: '',
        price_fen: 500,
        position: 99,
      },
    });
    const body = { items: [{ product_id: 'fleeting', quantity: 1 }], checkout_key: key() };
    const first = await send(body);
    await db.product.update({ where: { product_id: 'fleeting' }, data: { price_fen: 900 } });
    expect(await send(body)).toEqual(first);
    await db.product.update({ where: { product_id: 'fleeting' }, data: { on_sale: false } });
    expect(await send(body)).toEqual(first);
    expect((await send({ ...body, checkout_key: key() })).body.error?.code).toBe('no_such_product');
  });

  test('the same key in two browsers: two orders, neither sees the other', async () => {
    const other = counter.shopper(counter.simulator_config.users[1]?.openid);
    await other.signIn();
    const body = { items: [candy], checkout_key: key() };
    const [mine, theirs] = [await send(body), await send(body, other)];
    expect(theirs.status).toBe(201);
    expect(theirs.body.order_no).not.toBe(mine.body.order_no);
  });
});

describe('a shopper’s own orders', () => {
  const refunded = { order_state: 'REFUND', trade_state: 'REFUND', total_fen: 25_600 } as const;
  const session = (who: Partial<Session>): Session => ({
    id: 'of no order',
    kind: 'shopper',
    openid: null,
    admin_id: null,
    ...who,
  });

  test('tell a part that went back from the whole, newest first', async () => {
    const { ctx } = counter;
    const part = await makeTrade(ctx.db, { ...refunded, now: new Date('2026-11-23T10:00:00Z') });
    const whole = await makeTrade(ctx.db, { ...refunded, now: new Date('2026-11-23T11:00:00Z') });
    await makeRefund(ctx.db, part, 10_000);
    await makeRefund(ctx.db, part, 5_000, 'PROCESSING');
    await makeRefund(ctx.db, whole, 25_600);
    const own = await listOwnOrders(ctx, session({ openid: payer }));
    const told = own.map(({ order_no, state, total_fen, refunded_fen }) => ({
      order_no,
      refunded_fen,
      label: orderLabel(state, total_fen, refunded_fen).en,
    }));
    expect(told).toEqual([
      { order_no: whole.order_no, refunded_fen: 25_600, label: 'Refunded' },
      { order_no: part.order_no, refunded_fen: 10_000, label: 'Partly refunded' },
    ]);
  });

  test('without a WeChat account are those of this browser alone', async () => {
    const { ctx } = counter;
    const { order_no } = await makeTrade(ctx.db);
    const { session_id } = await ctx.db.order.findUniqueOrThrow({ where: { order_no } });
    const numbers = async (id: string) =>
      (await listOwnOrders(ctx, session({ id }))).map(({ order_no }) => order_no);
    expect(await numbers(session_id ?? '')).toEqual([order_no]);
    expect(await numbers('of no order')).toEqual([]);
  });
});

describe('the price is ours', () => {
  const refused: [string, unknown, string][] = [
    ['an amount beside the goods', { items: [candy], total_fen: 1 }, ''],
    ['total_fee beside the goods', { items: [candy], total_fee: 1 }, ''],
    ['a price inside an item', { items: [{ ...candy, price_fen: 1 }] }, 'items.0'],
    ['an openid of the page’s choice', { items: [candy], openid: 'oSomebody' }, ''],
    ['a quantity below nothing', { items: [{ ...candy, quantity: -1 }] }, 'items.0.quantity'],
    ['no quantity', { items: [{ product_id: 'penny-candy' }] }, 'items.0.quantity'],
    ['a quantity of nothing', { items: [{ ...candy, quantity: 0 }] }, 'items.0.quantity'],
    ['a quantity of 1e9', { items: [{ ...candy, quantity: 1e9 }] }, 'items.0.quantity'],
    [
      'a quantity of 1e400',
      '{"items":[{"product_id":"penny-candy","quantity":1e400}],"checkout_key":"KEY"}',
      'items.0.quantity',
    ],
    ['a quantity of "1.5"', { items: [{ ...candy, quantity: '1.5' }] }, 'items.0.quantity'],
    ['a quantity of 0.3', { items: [{ ...candy, quantity: 0.3 }] }, 'items.0.quantity'],
    ['a quantity as an operator', { items: [{ ...candy, quantity: { increment: 1 } }] }, 'items.0.quantity'],
    ['a product as an operator', { items: [{ ...candy, product_id: { not: 'x' } }] }, 'items.0.product_id'],
    [
      'a product in capital letters',
      { items: [{ ...candy, product_id: 'PENNY-CANDY' }] },
      'items.0.product_id',
    ],
    ['a product with NUL', { items: [{ ...candy, product_id: 'a\u0000' }] }, 'items.0.product_id'],
    ['items that are no list', { items: candy }, 'items'],
    ['no items', { items: [] }, 'items'],
    ['more items than anybody buys', { items: Array.from({ length: 21 }, () => candy) }, 'items'],
    ['no checkout_key', '{"items":[{"product_id":"penny-candy","quantity":1}]}', 'checkout_key'],
    ['a checkout_key too short', { items: [candy], checkout_key: 'short' }, 'checkout_key'],
    ['a checkout_key with NUL', { items: [candy], checkout_key: `${'a'.repeat(20)}\u0000` }, 'checkout_key'],
    ['a checkout_key as an operator', { items: [candy], checkout_key: { contains: '' } }, 'checkout_key'],
    [
      '__proto__',
      '{"items":[{"product_id":"penny-candy","quantity":1}],"checkout_key":"KEY","__proto__":{"total_fen":1}}',
      '',
    ],
    ['null', 'null', ''],
    ['a list', '[]', ''],
    ['a number', '7', ''],
  ];
  test.each(refused)('%s: 400, the field named, nothing made', async (_what, body, field) => {
    const before = await countOrders();
    const text =
      typeof body === 'string'
        ? body.replace('KEY', key())
        : JSON.stringify({ checkout_key: key(), ...(body as object) });
    const answer = await raw(text);
    expect([answer.status, answer.body.error?.code]).toEqual([400, 'bad_request']);
    expect(answer.body.error?.field ?? '').toBe(field);
    expect(await countOrders()).toBe(before);
  });

  test('an unknown product: 400 no_such_product, the field named', async () => {
    const answer = await send({
      items: [candy, { product_id: 'unicorn', quantity: 1 }],
      checkout_key: key(),
    });
    expect(answer.status).toBe(400);
    expect(answer.body.error).toMatchObject({ code: 'no_such_product', field: 'items' });
  });

  test('ninety-nine of one product are the most, in one line or in many', async () => {
    const of = (...quantities: number[]) =>
      send({ items: quantities.map((quantity) => ({ ...candy, quantity })), checkout_key: key() });
    expect((await of(98, 1)).status).toBe(201);
    const refused = await of(98, 2);
    expect([refused.status, refused.body.error?.code, refused.body.error?.field]).toEqual([
      400,
      'bad_request',
      'items',
    ]);
  });

  test('a total larger than WeChat’s largest amount: 400, nothing made', async () => {
    await counter.ctx.db.product.create({
      data: {
        product_id: 'palace',
        title: '宫殿',
        description: '',
        picture: '',
        price_fen: 2_147_483_647,
        position: 98,
      },
    });
    const two = await send({ items: [{ product_id: 'palace', quantity: 2 }], checkout_key: key() });
    expect([two.status, two.body.error?.code, two.body.error?.field]).toEqual([400, 'bad_request', 'items']);
    const one = await send({ items: [{ product_id: 'palace', quantity: 1 }], checkout_key: key() });
    expect([one.status, one.body.total_fen]).toEqual([201, 2_147_483_647]);
  });

  test('the order keeps the price of the moment it was made', async () => {
    const { db } = counter.ctx;
    const { body } = await send({ items: [{ product_id: 'bookmark', quantity: 2 }], checkout_key: key() });
    await db.product.update({ where: { product_id: 'bookmark' }, data: { price_fen: 1 } });
    const row = await db.order.findUniqueOrThrow({
      where: { order_no: body.order_no ?? '' },
      include: { items: true },
    });
    expect([row.total_fen, row.items[0]?.price_fen]).toEqual([1_980, 990]);
  });
});

describe('the door itself', () => {
  const body = (): string => JSON.stringify({ items: [candy], checkout_key: key() });

  test.each(['https://evil.example', 'null', '', 'http://127.0.0.1'])(
    'another origin (%s): 403 foreign_origin',
    async (origin) => {
      const answer = await raw(body(), { origin });
      expect([answer.status, answer.body.error?.code]).toEqual([403, 'foreign_origin']);
    },
  );

  test('no origin at all: 403 foreign_origin', async () => {
    const answer = await answerOf(
      await fetch(`${counter.host.origin}/api/orders`, {
        method: 'POST',
        body: body(),
        headers: { 'content-type': 'application/json' },
      }),
    );
    expect([answer.status, answer.body.error?.code]).toEqual([403, 'foreign_origin']);
  });

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/jsonp',
    'text/html;application/json',
  ])('sent as %s: 415 not_json', async (type) => {
    const answer = await raw(body(), { 'content-type': type });
    expect([answer.status, answer.body.error?.code]).toEqual([415, 'not_json']);
  });

  test('application/json with a charset, in capital letters, is JSON', async () => {
    expect((await raw(body(), { 'content-type': 'Application/JSON; charset=UTF-8' })).status).toBe(201);
  });

  test('one byte more than 16 KiB: 413; 16 KiB exactly is read', async () => {
    const text = body();
    const exactly = text + ' '.repeat(16 * 1_024 - text.length);
    expect((await raw(exactly)).status).toBe(201);
    const more = await raw(`${exactly} `);
    expect([more.status, more.body.error?.code]).toEqual([413, 'body_too_large']);
  });

  test.each<[string, BodyInit]>([
    ['nothing', ''],
    ['half an object', '{"items":'],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
    ['ten thousand brackets', '['.repeat(10_000)],
    ['XML', '<xml></xml>'],
  ])('a body of %s: 400 bad_request', async (_what, bytes) => {
    const answer = await raw(bytes);
    expect([answer.status, answer.body.error?.code]).toEqual([400, 'bad_request']);
  });

  test('a browser without a session gets one, kept from scripts and from other sites', async () => {
    const stranger = counter.shopper();
    const response = await stranger.post('/api/orders', { items: [candy], checkout_key: key() });
    expect(response.status).toBe(201);
    const cookie = response.headers.get('set-cookie') ?? '';
    expect(cookie).toMatch(/^guitai_shopper=/);
    expect(cookie).toMatch(/HttpOnly/i);
    expect(cookie).toMatch(/SameSite=Lax/i);
    const { order_no } = (await response.json()) as { order_no: string };
    expect((await stranger.status(order_no)).state).toBe('NOTPAY');
  });

  test('no answer may be kept by a cache', async () => {
    const response = await shopper.post('/api/orders', { items: [candy], checkout_key: key() });
    expect(response.headers.get('cache-control')).toBe('private, no-store');
  });

  test('the refusal is in the language the browser asks for', async () => {
    const zh = await raw('{}');
    const en = await raw('{}', { 'accept-language': 'en-GB' });
    expect(zh.body.error?.message).toMatch(/请求内容有误/);
    expect(en.body.error?.message).toMatch(/not valid/);
  });
});
