/**
 * One tap on the pay button, against the simulator with every fault it has for that call: WeChat hears one number,
 * the same words each time, and the shopper is told what is known and nothing else.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { beijingText } from '../../lib/beijing.ts';
import { createContext } from '../../lib/context.ts';
import { startTrade } from '../../lib/trades.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';
import { knock } from '../setup/host.ts';
import { attempted, callsOf } from '../setup/simulator_log.ts';
import { fieldsOf, signOf } from '../setup/v2_message.ts';

let counter: Counter;
let shopper: Shopper;
beforeAll(async () => {
  counter = await openCounter({
    environment: { WECHAT_TIMEOUT_MS: '500', ORDER_EXPIRES_MINUTES: '600', SHOP_NAME: '柜台🏮小店' },
  });
  shopper = counter.shopper();
  await shopper.signIn();
});
beforeEach(async () => {
  await counter.control('faults', undefined, 'DELETE');
});
afterAll(() => counter.close());

/** Both clocks. */
async function later(seconds: number): Promise<void> {
  counter.advance(seconds);
  await counter.control('clock', { advance_s: seconds });
}

const arm = (faults: Record<string, unknown>) => counter.control('faults', faults, 'PUT');
const placings = (out_trade_no: string) => callsOf(counter, out_trade_no, '/pay/unifiedorder');
/** As many calls as there must be; a slow one is written down when it is over. */
async function placed(out_trade_no: string, count: number) {
  await expect.poll(async () => (await placings(out_trade_no)).length, { interval: 50 }).toBe(count);
  return placings(out_trade_no);
}
const tradesOf = (order_no: string) =>
  counter.ctx.db.trade.findMany({ where: { order_no }, orderBy: { created_at: 'asc' } });
const orderRow = (order_no: string) => counter.ctx.db.order.findUniqueOrThrow({ where: { order_no } });

interface Paid {
  status: number;
  out_trade_no: string;
  prepay_id: string;
  jsapi: Record<string, string>;
  code: string | undefined;
  field: string | undefined;
}

async function tap(order_no: string, who: Shopper = shopper): Promise<Paid> {
  const answer = await who.post(`/api/orders/${order_no}/pay`, { trade_type: 'JSAPI' });
  const body = (await answer.json()) as {
    out_trade_no?: string;
    jsapi?: Record<string, string>;
    error?: { code: string; field?: string };
  };
  return {
    status: answer.status,
    out_trade_no: body.out_trade_no ?? '',
    prepay_id: (body.jsapi?.package ?? '').replace('prepay_id=', ''),
    jsapi: body.jsapi ?? {},
    code: body.error?.code,
    field: body.error?.field,
  };
}

/** What WeChat heard, without what must differ from call to call. */
const words = (xml: string): string =>
  xml.replace(/<(nonce_str|sign)><!\[CDATA\[[^\]]*\]\]><\/\1>/g, '<$1/>');

describe('one tap', () => {
  test('the bridge gets five signed words and nothing to choose', async () => {
    const { order_no } = await shopper.order();
    const { jsapi, prepay_id } = await tap(order_no);
    const { paySign, ...signed } = jsapi;
    expect(Object.keys(signed).sort()).toEqual(['appId', 'nonceStr', 'package', 'signType', 'timeStamp']);
    expect(signed.timeStamp).toMatch(/^\d{10}$/);
    expect(signed.package).toBe(`prepay_id=${prepay_id}`);
    const [merchant] = counter.simulator_config.merchants;
    expect(paySign).toBe(signOf(Object.entries(signed), merchant?.api_v2_key ?? '', 'HMAC-SHA256'));
  });

  test('five at once: one trade, one call to WeChat, five equal prepay_ids', async () => {
    const { order_no } = await shopper.order();
    const taps = await Promise.all(Array.from({ length: 5 }, () => tap(order_no)));
    expect(taps.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(new Set(taps.map(({ prepay_id }) => prepay_id)).size).toBe(1);
    const trades = await tradesOf(order_no);
    expect(trades).toHaveLength(1);
    expect(await placings(trades[0]?.out_trade_no ?? '')).toHaveLength(1);
  });

  test('five at once on each of two instances: still one call', async () => {
    const { order_no } = await shopper.order();
    const other = createContext(counter.ctx.config, { now: counter.ctx.now, log: counter.ctx.log });
    try {
      const session = await counter.ctx.db.session.findFirstOrThrow({
        where: { openid: shopper.openid },
        orderBy: { created_at: 'desc' },
      });
      const who = { id: session.id, kind: 'shopper' as const, openid: session.openid, admin_id: null };
      const started = await Promise.all(
        [counter.ctx, other].flatMap((ctx) =>
          Array.from({ length: 5 }, () =>
            startTrade(ctx, { session: who, payer_client_ip: '127.0.0.1' }, order_no, 'JSAPI'),
          ),
        ),
      );
      expect(new Set(started.map(({ jsapi }) => jsapi.package)).size).toBe(1);
      expect(await placings(started[0]?.out_trade_no ?? '')).toHaveLength(1);
    } finally {
      await other.close();
    }
  });

  test('a second tap while WeChat says the payer is entering the password: the same number, no second one', async () => {
    const { order_no } = await shopper.order();
    const first = await tap(order_no);
    const { appid, mch_id } = counter.ctx.pay;
    await counter.ctx.settle({
      source: 'query',
      report: { appid, mch_id, out_trade_no: first.out_trade_no, trade_state: 'USERPAYING' },
    });
    expect((await tap(order_no)).prepay_id).toBe(first.prepay_id);
    expect(await tradesOf(order_no)).toHaveLength(1);
  });

  test('a second tap later is answered without asking WeChat', async () => {
    const { order_no } = await shopper.order();
    const first = await tap(order_no);
    await later(60 * 60);
    expect((await tap(order_no)).prepay_id).toBe(first.prepay_id);
    expect(await placings(first.out_trade_no)).toHaveLength(1);
  });

  test('an instance that died while placing holds nobody up for longer than its claim', async () => {
    const { order_no } = await shopper.order();
    await arm({ line_cut: { times: 2 } });
    await tap(order_no);
    const [trade] = await tradesOf(order_no);
    await counter.ctx.db.trade.update({
      where: { out_trade_no: trade?.out_trade_no ?? '' },
      data: { placing_until: new Date(counter.ctx.now().getTime() + 600) },
    });
    expect((await tap(order_no)).status).toBe(200);
  });
});

describe('the answer to the order is lost, late, broken or unbelievable', () => {
  const faults: [string, unknown][] = [
    ['answer_lost', {}],
    ['line_cut', {}],
    ['answer_slow', { delay_ms: 900 }],
    ['answer_truncated', {}],
    ['answer_bad_signature', {}],
    ['http_502', {}],
    ['http_502', { done: true }],
    ['system_error', {}],
    ['system_error_done', {}],
  ];
  test.each(faults)('%s %j once: repeated in the same words under the same number', async (fault, how) => {
    const { order_no } = await shopper.order();
    await arm({ [fault]: { path: '/pay/unifiedorder', times: 1, ...(how as object) } });
    const paid = await tap(order_no);
    expect(paid.status).toBe(200);
    const calls = await placed(paid.out_trade_no, 2);
    const [first = '', second = ''] = calls.map(({ request }) => request);
    expect(words(second)).toBe(words(first));
    expect(fieldsOf(second).nonce_str).not.toBe(fieldsOf(first).nonce_str);
    expect(await tradesOf(order_no)).toHaveLength(1);
    await counter.control('pay', { prepay_id: paid.prepay_id });
  });

  test.each(faults)(
    '%s %j twice: 503 wechat_unknown; the next tap takes up the same number',
    async (fault, how) => {
      const { order_no } = await shopper.order();
      await arm({ [fault]: { path: '/pay/unifiedorder', times: 2, ...(how as object) } });
      const lost = await tap(order_no);
      expect([lost.status, lost.code]).toEqual([503, 'wechat_unknown']);
      await later(30);
      const paid = await tap(order_no);
      expect(paid.status).toBe(200);
      const calls = await placed(paid.out_trade_no, 3);
      expect(new Set(calls.map(({ request }) => words(request))).size).toBe(1);
      const events = await counter.ctx.db.event.findMany({ where: { order_no, kind: 'unified_order' } });
      expect(events).toHaveLength(3);
      expect(await tradesOf(order_no)).toHaveLength(1);
    },
  );

  test('an answer lost near the end of the order, so that its number can never be placed any more: a new number', async () => {
    const { order_no } = await shopper.order();
    const now = counter.ctx.now().getTime();
    await counter.ctx.db.order.update({
      where: { order_no },
      data: { expires_at: new Date(now + 8 * 60_000) },
    });
    await arm({ line_cut: { path: '/pay/unifiedorder', times: 2 } });
    expect((await tap(order_no)).status).toBe(503);
    await later(7 * 60 + 30);
    const paid = await tap(order_no);
    expect(paid.status).toBe(200);
    const trades = await tradesOf(order_no);
    expect(trades.map(({ trade_state }) => trade_state)).toEqual(['CLOSED', 'NOTPAY']);
    await counter.control('pay', { prepay_id: paid.prepay_id });
    await attempted(counter, paid.out_trade_no);
    expect((await orderRow(order_no)).paid_trade_no).toBe(paid.out_trade_no);
  });
});

describe('prepay_ids live two hours', () => {
  test('one older than that is renewed under the same number', async () => {
    const { order_no } = await shopper.order();
    const first = await tap(order_no);
    await later(2 * 3_600 + 1);
    const second = await tap(order_no);
    expect(second.out_trade_no).toBe(first.out_trade_no);
    expect(second.prepay_id).not.toBe(first.prepay_id);
    const calls = await placings(first.out_trade_no);
    expect(calls.map(({ request }) => words(request))).toEqual([
      words(calls[0]?.request ?? ''),
      words(calls[0]?.request ?? ''),
    ]);
    await counter.control('pay', { prepay_id: second.prepay_id });
    await attempted(counter, first.out_trade_no);
    expect((await orderRow(order_no)).state).toBe('SUCCESS');
  });

  test('the same one given again in its last minutes is not taken for a young one', async () => {
    const { order_no } = await shopper.order();
    const first = await tap(order_no);
    await later(117 * 60);
    expect((await tap(order_no)).prepay_id).toBe(first.prepay_id);
    await later(4 * 60);
    const renewed = await tap(order_no);
    expect(renewed.prepay_id).not.toBe(first.prepay_id);
    await counter.control('pay', { prepay_id: renewed.prepay_id });
  });

  test('one whose first answer was lost is as old as the first attempt', async () => {
    const { order_no } = await shopper.order();
    await arm({ answer_lost: { path: '/pay/unifiedorder', times: 2 } });
    expect((await tap(order_no)).status).toBe(503);
    await later(118 * 60);
    const old = await tap(order_no);
    await later(3 * 60);
    const renewed = await tap(order_no);
    expect(renewed.prepay_id).not.toBe(old.prepay_id);
    await counter.control('pay', { prepay_id: renewed.prepay_id });
  });
});

describe('what cannot be paid', () => {
  test('a paid order: 409 order_paid', async () => {
    const { order_no } = await shopper.order();
    const { out_trade_no } = await tap(order_no);
    await counter.control('pay', { out_trade_no });
    await attempted(counter, out_trade_no);
    const again = await tap(order_no);
    expect([again.status, again.code]).toEqual([409, 'order_paid']);
  });

  test('a closed order: 409 order_closed; an expired one: 409 order_expired; WeChat hears of neither', async () => {
    const { order_no } = await shopper.order();
    await counter.ctx.db.order.update({ where: { order_no }, data: { state: 'CLOSED' } });
    const closed = await tap(order_no);
    expect([closed.status, closed.code]).toEqual([409, 'order_closed']);
    const late = await shopper.order();
    await counter.ctx.db.order.update({
      where: { order_no: late.order_no },
      data: { expires_at: counter.ctx.now() },
    });
    const expired = await tap(late.order_no);
    expect([expired.status, expired.code]).toEqual([409, 'order_expired']);
    expect(await tradesOf(late.order_no)).toHaveLength(0);
  });

  test('an order that does not exist, and a number that is none: 404', async () => {
    for (const order_no of ['20261123120000AAAAAAAAAAAAAAAA', 'x', '%00', "'", '../..']) {
      const answer = await shopper.post(`/api/orders/${encodeURIComponent(order_no)}/pay`, {
        trade_type: 'JSAPI',
      });
      expect(answer.status).toBe(404);
    }
  });

  test('another payer: 403 other_payer, and nothing is placed', async () => {
    const { order_no } = await shopper.order();
    const other = counter.shopper(counter.simulator_config.users[1]?.openid);
    await other.signIn();
    const refused = await tap(order_no, other);
    expect([refused.status, refused.code]).toEqual([403, 'other_payer']);
    expect(await tradesOf(order_no)).toHaveLength(0);
  });

  test('a browser that is not signed in, and one without a session: 403 openid_required', async () => {
    const outside = counter.shopper();
    const { order_no } = await outside.order();
    expect(await tap(order_no, outside)).toMatchObject({ status: 403, code: 'openid_required' });
    expect(await tap(order_no, counter.shopper())).toMatchObject({ status: 403, code: 'openid_required' });
  });

  test('a trade_type WeChat does not have: 400, the field named', async () => {
    const { order_no } = await shopper.order();
    const answer = await shopper.post(`/api/orders/${order_no}/pay`, { trade_type: 'BARTER' });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { code: 'bad_request', field: 'trade_type' } });
    const more = await shopper.post(`/api/orders/${order_no}/pay`, { trade_type: 'JSAPI', total_fee: 1 });
    expect(more.status).toBe(400);
  });

  test('an openid WeChat does not know: 502 wechat_refused, with WeChat’s words on the timeline', async () => {
    const stranger = counter.shopper();
    const { order_no } = await stranger.order();
    const session_id = (await orderRow(order_no)).session_id ?? undefined;
    await counter.ctx.db.session.update({
      where: { id: session_id },
      data: { openid: 'oNobodyHasThisOpenid00000000' },
    });
    expect(await tap(order_no, stranger)).toMatchObject({ status: 502, code: 'wechat_refused' });
    const [event] = await counter.ctx.db.event.findMany({ where: { order_no, kind: 'unified_order' } });
    expect(JSON.stringify(event?.data)).toMatch(/invalid openid/);
  });
});

describe('an order begun in another browser', () => {
  test('belongs to the first WeChat account that pays; the next one is refused', async () => {
    const desktop = counter.shopper();
    const { order_no } = await desktop.order();
    expect((await orderRow(order_no)).openid).toBeNull();
    const paid = await tap(order_no);
    expect(paid.status).toBe(200);
    expect((await orderRow(order_no)).openid).toBe(shopper.openid);
    const other = counter.shopper(counter.simulator_config.users[1]?.openid);
    await other.signIn();
    expect(await tap(order_no, other)).toMatchObject({ status: 403, code: 'other_payer' });
    const claims = await counter.ctx.db.event.count({ where: { order_no, kind: 'order_claimed' } });
    expect(claims).toBe(1);
  });

  test('two accounts at once: one owner, one number at WeChat', async () => {
    const { order_no } = await counter.shopper().order();
    const other = counter.shopper(counter.simulator_config.users[1]?.openid);
    await other.signIn();
    const taps = await Promise.all([
      tap(order_no),
      tap(order_no, other),
      tap(order_no),
      tap(order_no, other),
    ]);
    expect(taps.map(({ status }) => status).sort()).toEqual([200, 200, 403, 403]);
    expect(await tradesOf(order_no)).toHaveLength(1);
  });
});

describe('WeChat knows more of the number than we do', () => {
  test('ORDERPAID on the repeat: the order is paid, the shopper is told so', async () => {
    const { order_no } = await shopper.order();
    await arm({ answer_lost: { path: '/pay/unifiedorder', times: 2 }, notify_never: true });
    await tap(order_no);
    const [trade] = await tradesOf(order_no);
    await counter.control('pay', { out_trade_no: trade?.out_trade_no });
    const told = await tap(order_no);
    expect([told.status, told.code]).toEqual([409, 'order_paid']);
    expect(await orderRow(order_no)).toMatchObject({ state: 'SUCCESS', paid_trade_no: trade?.out_trade_no });
  });

  test('ORDERPAID, but the query does not know it yet: 502, nothing decided; the next tap finds it paid', async () => {
    const { order_no } = await shopper.order();
    await arm({
      answer_lost: { path: '/pay/unifiedorder', times: 2 },
      notify_never: true,
      query_stale: { times: 1 },
    });
    await tap(order_no);
    const [trade] = await tradesOf(order_no);
    await counter.control('pay', { out_trade_no: trade?.out_trade_no });
    expect((await tap(order_no)).status).toBe(502);
    expect((await orderRow(order_no)).state).toBe('NOTPAY');
    expect(await tap(order_no)).toMatchObject({ status: 409, code: 'order_paid' });
  });

  test('ORDERCLOSED on the repeat: the number is dead, a new one is placed and can be paid', async () => {
    const { order_no } = await shopper.order();
    await arm({ answer_lost: { path: '/pay/unifiedorder', times: 2 } });
    await tap(order_no);
    const [dead] = await tradesOf(order_no);
    await later(6 * 60);
    await counter.ctx.pay.closeTrade(dead?.out_trade_no ?? '');
    const paid = await tap(order_no);
    expect(paid.status).toBe(200);
    expect(paid.out_trade_no).not.toBe(dead?.out_trade_no);
    await counter.control('pay', { prepay_id: paid.prepay_id });
    await attempted(counter, paid.out_trade_no);
    const trades = await tradesOf(order_no);
    expect(trades.map(({ trade_state }) => trade_state)).toEqual(['CLOSED', 'SUCCESS']);
    expect((await orderRow(order_no)).paid_trade_no).toBe(paid.out_trade_no);
  });

  test('OUT_TRADE_NO_USED by words that are not ours: 502, the number stays undecided', async () => {
    const { order_no } = await shopper.order();
    await arm({ answer_lost: { path: '/pay/unifiedorder', times: 2 } });
    await tap(order_no);
    const [trade] = await tradesOf(order_no);
    await counter.ctx.db.trade.update({
      where: { out_trade_no: trade?.out_trade_no ?? '' },
      data: { request: { ...(trade?.request as object), total_fen: 2 } },
    });
    expect(await tap(order_no)).toMatchObject({ status: 502, code: 'wechat_refused' });
    expect((await tradesOf(order_no)).map(({ trade_state }) => trade_state)).toEqual(['NOTPAY']);
  });

  test('the notification comes before the order’s answer: paid once, and the answer undoes nothing', async () => {
    const { order_no } = await shopper.order();
    await arm({ notify_before_answer: { times: 1 } });
    await tap(order_no);
    const [trade] = await tradesOf(order_no);
    expect(trade).toMatchObject({ trade_state: 'SUCCESS', surplus: null });
    expect((await orderRow(order_no)).state).toBe('SUCCESS');
    const kinds = (await counter.ctx.db.event.findMany({ where: { order_no } })).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'paid')).toHaveLength(1);
    expect(await tap(order_no)).toMatchObject({ status: 409, code: 'order_paid' });
  });

  test('the notification comes first and the answer never: 409 order_paid', async () => {
    const { order_no } = await shopper.order();
    await arm({ notify_before_answer: { times: 1, hold_ms: 900 } });
    expect(await tap(order_no)).toMatchObject({ status: 409, code: 'order_paid' });
    expect((await orderRow(order_no)).state).toBe('SUCCESS');
  });
});

describe('the words WeChat hears', () => {
  const heard = async (order_no: string, who = shopper) => {
    const { out_trade_no, status } = await tap(order_no, who);
    expect(status).toBe(200);
    const [call] = await placings(out_trade_no);
    return fieldsOf(call?.request ?? '');
  };

  const titles: [string, string][] = [
    ['127 bytes of Chinese', '茶'.repeat(42)],
    ['far more Chinese than fits', '明前龙井'.repeat(30)],
    ['emoji among the words', '🍵龙井🍵茶👨‍👩‍👧‍👦'],
    ['nothing but emoji', '🍬🍭🍫'],
    ['line breaks and tabs', '龙井\n\t茶'],
    ['what XML would misread', ']]></body><total_fee>1</total_fee>&amp;<'],
    ['what the signature would misread', 'a&total_fee=1&key=x'],
  ];
  test.each(titles)('goods text of %s is taken by WeChat', async (_what, title) => {
    const product_id = `t${crypto.randomUUID().slice(0, 8)}`;
    await counter.ctx.db.product.create({
      data: {
        product_id,
        title: title.slice(0, 128),
        description: '',
        picture: '',
        price_fen: 3,
        position: 50,
      },
    });
    const { order_no } = await shopper.order(product_id);
    const { body = '', total_fee } = await heard(order_no);
    expect(Buffer.byteLength(body)).toBeLessThanOrEqual(127);
    expect(body).toMatch(/^柜台小店-/);
    expect(body).not.toMatch(/[\u{10000}-\u{10ffff}\n\t]/u);
    expect(total_fee).toBe('3');
  });

  test('time_start and time_expire are Beijing time, whatever zone the machine is in', async () => {
    const { order_no } = await shopper.order();
    const { time_start, time_expire } = await heard(order_no);
    const [trade] = await tradesOf(order_no);
    const compact = (at = new Date(0)): string => beijingText(at).replace(/\D/g, '');
    expect([time_start, time_expire]).toEqual([compact(trade?.created_at), compact(trade?.expires_at)]);
  });

  test('a trade begun in the order’s last minute gets the five minutes WeChat asks for', async () => {
    const { order_no } = await shopper.order();
    await counter.ctx.db.order.update({
      where: { order_no },
      data: { expires_at: new Date(counter.ctx.now().getTime() + 30_000) },
    });
    expect((await tap(order_no)).status).toBe(200);
  });

  const addresses: [string, string][] = [
    ['203.0.113.9', '203.0.113.9'],
    ['2001:db8::7334', '2001:db8::7334'],
    ['::ffff:10.0.0.7', '10.0.0.7'],
    ['[2001:db8::1]:443', '2001:db8::1'],
    ['6.6.6.6, 198.51.100.2', '198.51.100.2'],
    ['fe80::1%eth0', '127.0.0.1'],
    ['....', '127.0.0.1'],
    ['1.1', '127.0.0.1'],
    ['::::', '127.0.0.1'],
    ['999.1.1.1', '127.0.0.1'],
    ['unknown', '127.0.0.1'],
    ['', '127.0.0.1'],
  ];
  test.each(addresses)('a payer at %s is told to WeChat as %s', async (forwarded, told) => {
    const { order_no } = await shopper.order();
    const answer = await knock(
      new Request(`${counter.host.origin}/api/orders/${order_no}/pay`, {
        method: 'POST',
        body: '{"trade_type":"JSAPI"}',
        headers: {
          'content-type': 'application/json',
          origin: counter.host.origin,
          cookie: [...shopper.cookies].map((pair) => pair.join('=')).join('; '),
          'x-forwarded-for': forwarded,
        },
      }),
    );
    expect(answer.status).toBe(200);
    const { out_trade_no } = (await answer.json()) as { out_trade_no: string };
    const [call] = await placings(out_trade_no);
    expect(fieldsOf(call?.request ?? '').spbill_create_ip).toBe(told);
  });
});
