/** The counter's doorways: who may come in, what they take, and what they answer. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as reverse from '../../app/api/admin/counter/[out_trade_no]/reverse/route.ts';
import * as status from '../../app/api/admin/counter/[out_trade_no]/route.ts';
import * as charge from '../../app/api/admin/counter/charge/route.ts';
import * as face from '../../app/api/admin/counter/face/route.ts';
import * as redPackets from '../../app/api/admin/red-packets/route.ts';
import { setAdmin } from '../../lib/admin_account.ts';
import { type CashDesk, openCashDesk } from '../setup/cash_desk.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';

let counter: Counter;
let desk: CashDesk;
let operator: Shopper;

beforeAll(async () => {
  counter = await openCounter({
    environment: { WECHAT_PRODUCTS: 'MICROPAY,FACEPAY', RED_PACKET_DAILY_LIMIT_FEN: '10000' },
  });
  desk = await openCashDesk(counter);
  await counter.control('merchant', { balance_fen: 100_000 }, 'PUT');
  const password = await setAdmin(counter.ctx.db, 'boss', counter.ctx.now());
  operator = counter.shopper();
  const answer = await operator.post('/api/admin/login', { username: 'boss', password });
  expect(answer.status).toBe(200);
});
afterAll(() => counter.close());

interface Sending {
  body?: unknown;
  origin?: string | null;
  signed_in?: boolean;
}

function request(
  path: string,
  method: string,
  { body, origin = counter.host.origin, signed_in = true }: Sending = {},
) {
  const cookie = [...operator.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  return new Request(`${counter.host.origin}/api/admin/${path}`, {
    method,
    headers: {
      ...(signed_in ? { cookie } : {}),
      ...(origin === null ? {} : { origin }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

const at = (out_trade_no: string) => ({ params: Promise.resolve({ out_trade_no }) });

const wish = async () => ({
  title: '龙井',
  total_fen: 3_000,
  payer: { trade_type: 'MICROPAY', auth_code: await desk.code(true) },
  charge_key: crypto.randomUUID(),
});

interface Said {
  out_trade_no?: string;
  standing?: string;
  error?: { code: string; message: string; field?: string };
  [name: string]: unknown;
}

async function said(answering: Promise<Response>): Promise<[number, Said]> {
  const answer = await answering;
  return [answer.status, (await answer.json()) as Said];
}

describe('POST charge', () => {
  it('charges, and the same key again is the same charge', async () => {
    const body = await wish();
    const [code, first] = await said(charge.POST(request('counter/charge', 'POST', { body })));
    expect([code, first.standing, first.operator]).toEqual([200, 'waiting', 'boss']);
    const [, again] = await said(charge.POST(request('counter/charge', 'POST', { body })));
    expect(again.out_trade_no).toBe(first.out_trade_no);
    const [, shown] = await said(
      status.GET(request(`counter/${first.out_trade_no}`, 'GET'), at(first.out_trade_no ?? '')),
    );
    expect(shown.standing).toBe('waiting');
  });

  it('prices goods from the shelf', async () => {
    const { total_fen: _, ...body } = await wish();
    const items = [{ product_id: 'penny-candy', quantity: 3 }];
    const [code, answer] = await said(
      charge.POST(request('counter/charge', 'POST', { body: { ...body, items } })),
    );
    const { price_fen } = await counter.ctx.db.product.findUniqueOrThrow({
      where: { product_id: 'penny-candy' },
    });
    expect([code, answer.total_fen]).toEqual([200, 3 * price_fen]);
  });

  it.each([
    ['no amount and no goods', { total_fen: undefined }, 'bad_request'],
    ['half a fen', { total_fen: 1.5 }, 'bad_request'],
    ['nothing', { total_fen: 0 }, 'bad_request'],
    ['markup in the goods text', { title: '<b>' }, 'bad_request'],
    ['another way of paying', { payer: { trade_type: 'JSAPI', auth_code: '1' } }, 'bad_request'],
    ['a field nobody knows', { price: 1 }, 'bad_request'],
    [
      'a code of another shape',
      { payer: { trade_type: 'MICROPAY', auth_code: '280000000000000000' } },
      'auth_code_form',
    ],
  ])('refuses %s', async (_, change, expected) => {
    const body = { ...(await wish()), ...change };
    const [code, answer] = await said(charge.POST(request('counter/charge', 'POST', { body })));
    expect([code, answer.error?.code]).toEqual([400, expected]);
  });

  it('takes nobody without a session and nothing from another site', async () => {
    const before = await counter.ctx.db.trade.count();
    const body = await wish();
    const send = (sending: Sending) =>
      said(charge.POST(request('counter/charge', 'POST', { body, ...sending })));
    expect((await send({ signed_in: false }))[0]).toBe(401);
    for (const origin of ['https://evil.example', 'null', null]) {
      expect((await send({ origin }))[1].error?.code).toBe('foreign_origin');
    }
    expect(await counter.ctx.db.trade.count()).toBe(before);
  });

  it('says which setting opens it when it is not opened', async () => {
    await counter.restart({ WECHAT_PRODUCTS: 'JSAPI' });
    const body = await wish();
    const [code, answer] = await said(charge.POST(request('counter/charge', 'POST', { body })));
    expect([code, answer.error?.code]).toEqual([400, 'product_not_opened']);
    expect(answer.error?.message).toContain('WECHAT_PRODUCTS');
    await counter.restart({});
  });
});

describe('reversing and asking', () => {
  it('is refused early, done later, and written down', async () => {
    const [, { out_trade_no = '' }] = await said(
      charge.POST(request('counter/charge', 'POST', { body: await wish() })),
    );
    const send = (sending: Sending = {}) =>
      said(
        reverse.POST(
          request(`counter/${out_trade_no}/reverse`, 'POST', { body: {}, ...sending }),
          at(out_trade_no),
        ),
      );
    expect((await send({ signed_in: false }))[0]).toBe(401);
    expect((await send({ origin: 'https://evil.example' }))[0]).toBe(403);
    expect((await send())[1].error?.code).toBe('reverse_too_early');
    counter.advance(16);
    expect((await send())[1].standing).toBe('reversed');
    const actions = await counter.ctx.db.audit.findMany({
      where: { data: { path: ['out_trade_no'], equals: out_trade_no } },
      orderBy: { id: 'asc' },
    });
    expect(actions.map(({ action }) => action)).toEqual(['charge', 'reverse_refused', 'reverse']);
  });

  it('shows no other trade, and nothing to nobody', async () => {
    const get = (number: string, sending: Sending = {}) =>
      said(status.GET(request(`counter/${number}`, 'GET', sending), at(number)));
    expect((await get('20261124064658NC0518R0VYECYQVJ'))[0]).toBe(404);
    expect((await get("' or 1=1"))[0]).toBe(404);
    expect((await get('20261124064658NC0518R0VYECYQVJ', { signed_in: false }))[0]).toBe(401);
  });

  it('a counter’s order is nobody’s in the shop', async () => {
    const [, { order_no }] = await said(
      charge.POST(request('counter/charge', 'POST', { body: await wish() })),
    );
    const shopper = counter.shopper();
    await shopper.signIn();
    expect((await shopper.go(`/api/orders/${String(order_no)}`)).status).toBe(404);
    const pay = await shopper.post(`/api/orders/${String(order_no)}/pay`, { trade_type: 'JSAPI' });
    expect([400, 404]).toContain(pay.status);
  });
});

describe('a face device', () => {
  it('gets its auth info', async () => {
    const body = { store_id: 's1', store_name: '一号店', device_id: 'd1', rawdata: 'cmF3ZGF0YQ==' };
    const [code, answer] = await said(face.POST(request('counter/face', 'POST', { body })));
    expect([code, typeof answer.authinfo]).toEqual([200, 'string']);
    expect((await said(face.POST(request('counter/face', 'POST', { body, signed_in: false }))))[0]).toBe(401);
  });
});

describe('red packets', () => {
  it('are sent by operators only, and openids are not shown whole', async () => {
    const openid = counter.simulator_config.users[0]?.openid ?? '';
    const body = {
      openid,
      total_fen: 188,
      total_num: 1,
      act_name: '开业',
      wishing: '恭喜发财',
      command_key: crypto.randomUUID(),
    };
    const send = (sending: Sending) =>
      said(redPackets.POST(request('red-packets', 'POST', { body, ...sending })));
    expect((await send({ signed_in: false }))[0]).toBe(401);
    expect((await send({ origin: null }))[0]).toBe(403);
    const [code, answer] = await send({});
    expect([code, answer.made]).toEqual([200, true]);
    expect(JSON.stringify(answer)).not.toContain(openid);
    expect((await send({}))[1].made).toBe(false);
  });
});
