/**
 * An operator gives money back by the console's doorway: every limit is kept by the API itself, one wish is one refund
 * however often it is sent, and whatever was done or refused stands in the operators' book.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { POST as refund } from '../../app/api/admin/orders/[order_no]/refund/route.ts';
import { GET as readOne } from '../../app/api/admin/orders/[order_no]/route.ts';
import { setAdmin } from '../../lib/admin_account.ts';
import type { OperatorRefund } from '../../lib/admin_actions.ts';
import type { OrderView } from '../../lib/admin_views.ts';
import type { Context } from '../../lib/context.ts';
import { newNumber } from '../../lib/numbers.ts';
import { mostRefunds, refundableFor_ms } from '../../lib/refunds.ts';
import { beginSession } from '../../lib/sessions.ts';
import type { HeldRefundState } from '../../lib/states.ts';
import { type PlaceRefund, type RefundStatus, WechatError } from '../../lib/wechat/index.ts';
import { type Counter, openCounter } from '../setup/counter.ts';
import { type MadeTrade, makeTrade } from '../setup/rows.ts';

let counter: Counter;
let cookie: string;
/** What WeChat heard of refunds, and what it says to each. */
let heard: PlaceRefund[];
let say: () => RefundStatus;

beforeAll(async () => {
  counter = await openCounter();
  const { ctx } = counter;
  await setAdmin(ctx.db, 'operator', ctx.now());
  const admin = await ctx.db.admin.findUniqueOrThrow({ where: { username: 'operator' } });
  cookie = (await beginSession(ctx, 'admin', { admin_id: admin.id })).set_cookie.split(';')[0] ?? '';
  const placeRefund = async (wish: PlaceRefund) => {
    heard.push(wish);
    const { out_refund_no, out_trade_no, refund_fen, total_fen } = wish;
    const status = say();
    const exchange = {
      method: 'POST' as const,
      path: '/secapi/pay/refund',
      request_body: '',
      started_at: ctx.now(),
      duration_ms: 1,
    };
    return {
      report: {
        out_refund_no,
        out_trade_no,
        refund_fen,
        total_fen,
        status,
        refund_id: `50${out_refund_no}`,
      },
      exchange,
    };
  };
  const payFor: Context['payFor'] = (trade) => ({ ...ctx.payFor(trade), placeRefund });
  (globalThis as { guitai_context?: Context }).guitai_context = { ...ctx, payFor };
});
afterAll(() => counter.close());
beforeEach(() => {
  heard = [];
  say = () => 'PROCESSING';
});

const route = (order_no: string) => ({ params: Promise.resolve({ order_no }) });
/** Of the simulator's own account: a trade is asked about under the account it was placed with. */
async function paid(total_fen = 1_000): Promise<MadeTrade> {
  const { db, config } = counter.ctx;
  const made = await makeTrade(db, { order_state: 'SUCCESS', trade_state: 'SUCCESS', total_fen });
  await db.trade.update({
    where: { out_trade_no: made.out_trade_no },
    data: { appid: config.WECHAT_APPID, mch_id: config.WECHAT_MCH_ID },
  });
  return made;
}

function post(order_no: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const request = new Request(`${counter.host.origin}/api/admin/orders/${order_no}/refund`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      origin: counter.host.origin,
      cookie,
      'x-forwarded-for': '10.1.2.3',
      ...headers,
    },
    body: JSON.stringify(body),
  });
  return refund(request, route(order_no));
}

const key = () => crypto.randomUUID();
const wish = ({ out_trade_no }: MadeTrade, refund_fen: unknown, command_key = key()) => ({
  out_trade_no,
  refund_fen,
  reason: '顾客退货',
  command_key,
});

async function told(answer: Response): Promise<{ status: number; code: string | undefined }> {
  const { error } = (await answer.json()) as { error?: { code: string } };
  return { status: answer.status, code: error?.code };
}
const refundsOf = ({ order_no }: MadeTrade) => counter.ctx.db.refund.findMany({ where: { order_no } });
const auditsOf = ({ order_no }: MadeTrade) =>
  counter.ctx.db.audit.findMany({ where: { target: order_no }, orderBy: { id: 'asc' } });

/** Refunds that stand already, written directly. */
async function standing(trade: MadeTrade, states: HeldRefundState[], refund_fen: number): Promise<void> {
  for (const state of states) {
    const out_refund_no = newNumber(counter.ctx.now());
    await counter.ctx.db.refund.create({
      data: {
        ...trade,
        out_refund_no,
        command_key: out_refund_no,
        origin: 'operator',
        state,
        refund_fen,
        reason: '早先',
        created_at: counter.ctx.now(),
      },
    });
  }
}

describe('a refund', () => {
  test('is reserved, sent once with its own number, answered, and written down with who and from where', async () => {
    const trade = await paid();
    const answer = await post(trade.order_no, wish(trade, 300));
    expect(answer.status).toBe(200);
    expect(answer.headers.get('cache-control')).toBe('private, no-store');
    const { out_refund_no, ...rest } = (await answer.json()) as OperatorRefund;
    expect(rest).toEqual({ state: 'PROCESSING', refused_code: null, made: true });
    expect(heard).toMatchObject([{ out_refund_no, refund_fen: 300, total_fen: 1_000, reason: '顾客退货' }]);
    expect(await auditsOf(trade)).toMatchObject([
      {
        action: 'refund',
        username: 'operator',
        ip: '10.1.2.3',
        data: { out_refund_no, refund_fen: 300, out_trade_no: trade.out_trade_no, made: true },
      },
    ]);
  });

  test('is seen on the order: what went back, what is on its way, what is left', async () => {
    const trade = await paid();
    await standing(trade, ['SUCCESS', 'REFUSED', 'CLOSED'], 200);
    await post(trade.order_no, wish(trade, 300));
    const one = await readOne(new Request('http://x/', { headers: { cookie } }), route(trade.order_no));
    const order = (await one.json()) as OrderView;
    expect(order.money).toMatchObject({ paid_fen: 1_000, refunded_fen: 200, refunding_fen: 300 });
    expect(order.trades[0]?.refundable).toMatchObject({ left_fen: 500, refunds: 2, blocked: null });
    expect(order.refunds.map(({ state }) => state).sort()).toEqual([
      'CLOSED',
      'PROCESSING',
      'REFUSED',
      'SUCCESS',
    ]);
    expect(order.refunds.find(({ state }) => state === 'PROCESSING')?.requested_by).toBe('operator');
  });

  test('that WeChat refuses says so with its code and frees its amount', async () => {
    const trade = await paid();
    say = () => {
      throw new WechatError('refused', 'USER_ACCOUNT_ABNORMAL', '用户账号异常');
    };
    const refused = await post(trade.order_no, wish(trade, 1_000));
    expect(await refused.json()).toMatchObject({ state: 'REFUSED', refused_code: 'USER_ACCOUNT_ABNORMAL' });
    say = () => 'SUCCESS';
    const second = await post(trade.order_no, wish(trade, 1_000));
    expect(await second.json()).toMatchObject({ state: 'SUCCESS', made: true });
  });

  test('that gets no answer from WeChat stays reserved under its number', async () => {
    const trade = await paid();
    say = () => {
      throw new WechatError('unknown', 'NO_ANSWER', 'nothing came back');
    };
    expect(await (await post(trade.order_no, wish(trade, 600))).json()).toMatchObject({ state: 'REQUESTED' });
    expect(await told(await post(trade.order_no, wish(trade, 600)))).toEqual({
      status: 409,
      code: 'refund_too_much',
    });
  });
});

describe('one wish', () => {
  test('sent again with the same key is the same refund, sent to WeChat once', async () => {
    const trade = await paid();
    const body = wish(trade, 400);
    const first = (await (await post(trade.order_no, body)).json()) as OperatorRefund;
    const again = (await (await post(trade.order_no, body)).json()) as OperatorRefund;
    expect(again).toEqual({ ...first, made: false });
    expect(heard).toHaveLength(1);
    expect(await refundsOf(trade)).toHaveLength(1);
  });

  test('sent ten times at the same moment is one refund', async () => {
    const trade = await paid();
    const body = wish(trade, 400);
    const answers = await Promise.all(Array.from({ length: 10 }, () => post(trade.order_no, body)));
    const all = (await Promise.all(answers.map((answer) => answer.json()))) as OperatorRefund[];
    expect(new Set(all.map(({ out_refund_no }) => out_refund_no)).size).toBe(1);
    expect(all.filter(({ made }) => made)).toHaveLength(1);
    expect(heard).toHaveLength(1);
  });

  test('cannot become another amount: the key is taken', async () => {
    const trade = await paid();
    const body = wish(trade, 400);
    await post(trade.order_no, body);
    expect(await told(await post(trade.order_no, { ...body, refund_fen: 500 }))).toEqual({
      status: 409,
      code: 'refund_key_reused',
    });
    expect(await refundsOf(trade)).toHaveLength(1);
  });

  test('twenty different wishes for 60 % at once: one is taken, nineteen are refused and written down', async () => {
    const trade = await paid();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => post(trade.order_no, wish(trade, 600))),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(19).fill(409)]);
    expect(heard).toHaveLength(1);
    expect(await refundsOf(trade)).toHaveLength(1);
    const actions = (await auditsOf(trade)).map(({ action }) => action);
    expect(actions.filter((action) => action === 'refund')).toHaveLength(1);
    expect(actions.filter((action) => action === 'refund_refused')).toHaveLength(19);
  });
});

describe('a refund is refused by the API', () => {
  test.each([0, -1, 0.5, 1.000_000_1, '100', '一百', '1e2', null, Number.MAX_SAFE_INTEGER + 1, [100], true])(
    'when its amount is %j',
    async (refund_fen) => {
      const trade = await paid();
      expect(await told(await post(trade.order_no, wish(trade, refund_fen)))).toEqual({
        status: 400,
        code: 'bad_request',
      });
      expect(await refundsOf(trade)).toEqual([]);
      expect(heard).toEqual([]);
    },
  );

  test.each([
    ['no reason', { reason: '  ' }],
    ['a reason of 27 characters', { reason: '长'.repeat(27) }],
    ['no key', { command_key: undefined }],
    ['a short key', { command_key: 'short' }],
    ['a key that is no key', { command_key: 'x'.repeat(20).concat('; --') }],
    ['a number that is none of ours', { out_trade_no: "'; DROP TABLE refund; --" }],
    ['more than was asked for', { state: 'SUCCESS' }],
  ])('with %s', async (_, change) => {
    const trade = await paid();
    expect(await told(await post(trade.order_no, { ...wish(trade, 100), ...change }))).toEqual({
      status: 400,
      code: 'bad_request',
    });
    expect(await refundsOf(trade)).toEqual([]);
  });

  const refusals: [string, string, () => Promise<[MadeTrade, number]>][] = [
    ['more than was paid', 'refund_too_much', async () => [await paid(), 1_001]],
    [
      'more than is left beside what went back and what is on its way',
      'refund_too_much',
      async () => {
        const trade = await paid();
        await standing(trade, ['SUCCESS', 'PROCESSING', 'ABNORMAL'], 200);
        return [trade, 401];
      },
    ],
    ['a trade nobody paid', 'refund_not_paid', async () => [await makeTrade(counter.ctx.db), 1]],
    [
      'the fifty-first refund',
      'refund_too_many',
      async () => {
        const trade = await paid();
        await standing(trade, Array(mostRefunds).fill('SUCCESS'), 1);
        return [trade, 1];
      },
    ],
    [
      'a payment of more than a year ago',
      'refund_too_old',
      async () => {
        const now = new Date(counter.ctx.now().getTime() - refundableFor_ms - 1_000);
        const wishes = { order_state: 'SUCCESS', trade_state: 'SUCCESS', now } as const;
        return [await makeTrade(counter.ctx.db, wishes), 1];
      },
    ],
  ];
  test.each(refusals)('for %s, and the page says why beforehand', async (_, code, make) => {
    const [trade, refund_fen] = await make();
    const before = (await refundsOf(trade)).length;
    const request = new Request('http://x/', { headers: { cookie } });
    const order = (await (await readOne(request, route(trade.order_no))).json()) as OrderView;
    const { blocked, left_fen } = order.trades[0]?.refundable ?? {};
    if (code === 'refund_too_much') expect(left_fen).toBe(refund_fen - 1);
    else expect(blocked).toBe(code);

    expect(await told(await post(trade.order_no, wish(trade, refund_fen)))).toEqual({ status: 409, code });
    expect(await refundsOf(trade)).toHaveLength(before);
    expect(heard).toEqual([]);
    expect(await auditsOf(trade)).toMatchObject([{ action: 'refund_refused', data: { code, refund_fen } }]);
  });

  test('for another order’s trade, and the attempt is written down', async () => {
    const [mine, other] = [await paid(), await paid()];
    expect(await told(await post(mine.order_no, wish(other, 100)))).toEqual({
      status: 404,
      code: 'not_found',
    });
    expect(await refundsOf(other)).toEqual([]);
    expect(await auditsOf(mine)).toMatchObject([
      { action: 'refund_refused', data: { code: 'not_found', out_trade_no: other.out_trade_no } },
    ]);
  });

  test('from another site, without an origin, and as a form', async () => {
    const trade = await paid();
    for (const origin of ['https://evil.example', 'null']) {
      expect((await post(trade.order_no, wish(trade, 100), { origin })).status).toBe(403);
    }
    expect((await post(trade.order_no, wish(trade, 100), { 'content-type': 'text/plain' })).status).toBe(415);
    expect(await refundsOf(trade)).toEqual([]);
  });
});
