// Payment notifications: what they say, how often they come, and what counts as an acknowledgement.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ACCEPTED, openWorld, type World } from './world.ts';

let w: World;
beforeAll(async () => {
  w = await openWorld();
});
afterAll(() => w.close());
beforeEach(async () => {
  await w.control('POST', 'reset');
  w.sink.answer = () => ({ body: ACCEPTED });
  w.sink.arrivals.length = 0;
});

const FAIL = '<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[no]]></return_msg></xml>';

describe('a paid order is notified', () => {
  it.each(['MD5', 'HMAC-SHA256'] as const)('in XML signed with the order’s %s', async (sign_type) => {
    const { out_trade_no } = await w.place({ attach: '订单{"a":1}' }, { sign_type });
    const paid = (await w.pay({ out_trade_no })).body;
    await w.settle();
    const [arrival] = w.sink.arrivals;
    expect(arrival?.headers['content-type']).toBe('text/xml');
    expect(arrival?.headers['request-id']).toMatch(/^08[0-9A-F]{28}-\d$/);
    expect(arrival?.fields).toMatchObject({
      return_code: 'SUCCESS',
      result_code: 'SUCCESS',
      appid: w.merchant.appid,
      mch_id: w.merchant.mch_id,
      openid: w.user.openid,
      is_subscribe: 'Y',
      trade_type: 'JSAPI',
      bank_type: 'OTHERS',
      total_fee: '1288',
      cash_fee: '1288',
      fee_type: 'CNY',
      out_trade_no,
      transaction_id: paid.transaction_id,
      time_end: paid.time_end,
      attach: '订单{"a":1}',
    });
    expect(arrival?.fields).not.toHaveProperty('sign_type');
    expect(w.verifies(arrival?.fields ?? {}, sign_type)).toBe(true);
    expect(await w.notification(out_trade_no)).toMatchObject({ state: 'delivered', next_attempt_at: null });
  });

  it('with its coupon, and only once when it was accepted', async () => {
    const { out_trade_no } = await w.place();
    await w.pay({ out_trade_no, coupon_fen: 88 });
    await w.advance(86_640);
    expect(w.sink.arrivals).toHaveLength(1);
    expect(w.sink.arrivals[0]?.fields).toMatchObject({
      total_fee: '1288',
      cash_fee: '1200',
      coupon_id_0: expect.any(String),
    });
    expect(w.verifies(w.sink.arrivals[0]?.fields ?? {})).toBe(true);
  });
});

describe('the schedule', () => {
  it('is one attempt and fifteen more within 24 h 4 min, each the same bytes', async () => {
    w.sink.answer = () => ({ body: FAIL });
    const { out_trade_no } = await w.place();
    await w.pay({ out_trade_no });
    await w.settle();
    const seen: number[] = [w.sink.arrivals.length];
    for (const gap_s of [
      15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600,
    ]) {
      await w.advance(gap_s);
      seen.push(w.sink.arrivals.length);
    }
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    expect(new Set(w.sink.arrivals.map((a) => a.raw)).size).toBe(1);
    expect(new Set(w.sink.arrivals.map((a) => a.headers['request-id'])).size).toBe(1);
    expect(await w.notification(out_trade_no)).toMatchObject({ state: 'exhausted', next_attempt_at: null });
    await w.advance(86_400);
    expect(w.sink.arrivals).toHaveLength(16);
  });

  it('moved in one leap fires all of them in order, and counts to the second', async () => {
    w.sink.answer = () => ({ body: FAIL });
    const { out_trade_no } = await w.place();
    await w.pay({ out_trade_no });
    await w.advance(86_640);
    const n = await w.notification(out_trade_no);
    const due = n.attempts.map((a: { due_at_ms: number }) => (a.due_at_ms - n.made_at_ms) / 1000);
    expect(due).toEqual([
      0, 15, 30, 60, 240, 840, 2040, 3840, 5640, 7440, 11040, 21840, 32640, 43440, 65040, 86640,
    ]);
  });

  it('stops at the first acknowledgement', async () => {
    w.sink.answer = () => ({ body: w.sink.arrivals.length < 3 ? FAIL : ACCEPTED });
    const { out_trade_no } = await w.place();
    await w.pay({ out_trade_no });
    await w.advance(86_640);
    expect(w.sink.arrivals).toHaveLength(3);
    expect((await w.notification(out_trade_no)).state).toBe('delivered');
  });

  it('runs by real time too', async () => {
    w.sink.answer = () => ({ body: FAIL });
    const { out_trade_no } = await w.place();
    await w.pay({ out_trade_no });
    await w.advance(14);
    w.sink.answer = () => ({ body: ACCEPTED });
    await expect.poll(() => w.sink.arrivals.length, { timeout: 4000 }).toBe(2);
  });
});

describe('an acknowledgement', () => {
  it.each([
    ['plain', ACCEPTED],
    [
      'with OK and line feeds',
      '<xml>\n  <return_code><![CDATA[SUCCESS]]></return_code>\n  <return_msg><![CDATA[OK]]></return_msg>\n</xml>\n',
    ],
    ['without CDATA', '<xml><return_code>SUCCESS</return_code></xml>'],
  ])('%s is accepted', async (_what, body) => {
    w.sink.answer = () => ({ body });
    const { out_trade_no } = await w.place();
    await w.pay({ out_trade_no });
    await w.settle();
    expect((await w.notification(out_trade_no)).state).toBe('delivered');
  });

  it.each<[string, { status?: number; body: string }]>([
    ['FAIL', { body: FAIL }],
    ['an empty body', { body: '' }],
    ['the word success', { body: 'success' }],
    ['lower case', { body: '<xml><return_code>success</return_code></xml>' }],
    ['the JSON of API v3', { body: '{"code":"SUCCESS"}' }],
    ['HTML', { body: `<html><body>${ACCEPTED}</body></html>` }],
    ['a byte order mark', { body: `\ufeff${ACCEPTED}` }],
    ['text after it', { body: `${ACCEPTED}ok` }],
    ['HTTP 500', { status: 500, body: ACCEPTED }],
    ['HTTP 204', { status: 204, body: '' }],
    ['HTTP 201', { status: 201, body: ACCEPTED }],
    ['a redirect', { status: 302, body: ACCEPTED }],
  ])('%s is none', async (_what, answer) => {
    w.sink.answer = () => answer;
    const { out_trade_no } = await w.place();
    await w.pay({ out_trade_no });
    await w.settle();
    const n = await w.notification(out_trade_no);
    expect(n).toMatchObject({ state: 'pending', tries: 1 });
    expect(n.why).not.toBe('');
  });

  it('later than five seconds is none', async () => {
    w.sink.answer = () => ({ body: ACCEPTED, delay_ms: 6000 });
    const { out_trade_no } = await w.place();
    await w.pay({ out_trade_no });
    await w.settle();
    expect(await w.notification(out_trade_no)).toMatchObject({
      state: 'pending',
      why: 'no answer within 5 seconds',
    });
  });
});

describe('where notifications go', () => {
  it('to no host but this machine unless allowed, and the reason is on record', async () => {
    const { out_trade_no } = await w.place({ notify_url: 'https://shop.example.com/notify' });
    await w.pay({ out_trade_no });
    const n = await w.notification(out_trade_no);
    expect(n).toMatchObject({ state: 'undeliverable', attempts: [] });
    expect(n.why).toMatch(/shop\.example\.com is not this machine/);
  });

  it('nowhere when nobody listens: the attempt is recorded with its cause', async () => {
    const { out_trade_no } = await w.place({ notify_url: 'http://127.0.0.1:1/notify' });
    await w.pay({ out_trade_no });
    await w.settle();
    expect((await w.notification(out_trade_no)).attempts[0]).toMatchObject({
      accepted: false,
      why: expect.stringMatching(/ECONNREFUSED|bad port/),
    });
  });

  it('again when asked, however often', async () => {
    const { out_trade_no } = await w.place();
    await w.pay({ out_trade_no });
    await w.settle();
    const { notification_id } = await w.notification(out_trade_no);
    const again = await w.control('POST', `notifications/${notification_id}/redeliver`);
    expect(again.body.attempts_now).toMatchObject([{ accepted: true, status: 200 }]);
    expect(w.sink.arrivals).toHaveLength(2);
    expect((await w.control('POST', 'notifications/0/redeliver')).status).toBe(404);
  });

  it('closing the simulator in the middle of an attempt leaves nothing hanging', async () => {
    const brief = await openWorld();
    brief.sink.answer = () => ({ body: ACCEPTED, delay_ms: 4000 });
    const { out_trade_no } = await brief.place();
    await brief.pay({ out_trade_no });
    await expect.poll(() => brief.sink.arrivals.length).toBe(1);
    const started = performance.now();
    await brief.close();
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
