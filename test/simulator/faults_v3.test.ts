// One test for each fault that only API v3 has, named as the fault.

import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { openSealed, openWorldV3, signer, type WorldV3 } from './merchant_v3.ts';

let w: WorldV3;
beforeAll(async () => {
  w = await openWorldV3();
});
afterAll(() => w.close());
afterEach(async () => {
  await w.control('POST', 'reset');
  w.sink.arrivals.length = 0;
});

function fault(name: string, what: string, run: () => Promise<void>): void {
  it(`${name}: ${what}`, run);
}

/** An unpaid order's query under the armed faults. */
async function asked(wanted: Record<string, unknown>) {
  const { out_trade_no } = await w.place3();
  await w.faults(wanted);
  return w.query3(out_trade_no);
}

/** The first notification of a payment under the armed faults. */
async function told(wanted: Record<string, unknown>) {
  const { out_trade_no } = await w.place3();
  await w.faults(wanted);
  await w.pay({ out_trade_no });
  await w.settle();
  const [one] = w.sink.arrivals;
  if (one === undefined) throw new Error('no notification came');
  const headers = new Headers(one.headers as Record<string, string>);
  return { headers, raw: one.raw, who: signer(w, headers, one.raw), message: JSON.parse(one.raw) };
}

fault('answer_probe', 'the signature begins with WECHATPAY/SIGNTEST/ and does not verify', async () => {
  const answer = await asked({ answer_probe: 1 });
  expect(answer.headers.get('wechatpay-signature')).toMatch(/^WECHATPAY\/SIGNTEST\/.{336}$/);
  expect(w.signer(answer)).toBe('wrong');
  expect(w.signer(await asked({}))).toBe('public_key');
});

fault('answer_unsigned', 'it carries no signature', async () => {
  expect(w.signer(await asked({ answer_unsigned: 1 }))).toBe('unsigned');
});

fault('answer_wrong_serial', 'it names a serial nobody was given', async () => {
  const answer = await asked({ answer_wrong_serial: 1 });
  expect(answer.headers.get('wechatpay-serial')).toMatch(/^PUB_KEY_ID_9+$/);
  expect(w.signer(answer)).toBe('wrong');
});

fault('answer_stale', 'it is well signed, ten minutes ago', async () => {
  const answer = await asked({ answer_stale: 1000 });
  expect(w.signer(answer)).toBe('public_key');
  expect(Date.now() / 1000 - Number(answer.headers.get('wechatpay-timestamp'))).toBeGreaterThan(999);
});

fault('answer_tampered', 'the body is not what was signed', async () => {
  const answer = await asked({ answer_tampered: 1 });
  expect([answer.status, w.signer(answer)]).toEqual([200, 'wrong']);
  await w.faults({ answer_tampered: 1 });
  const without_a_digit = await w.query3('NOBODY');
  expect(without_a_digit.text).not.toMatch(/\d/);
  expect(w.signer(without_a_digit)).toBe('wrong');
});

fault('frequency_limited', '429 and nothing done', async () => {
  await w.faults({ jsapi_frequency_limited: 1 });
  const body = w.order3();
  const answer = await w.call3('POST', '/v3/pay/transactions/jsapi', body);
  expect(answer).toMatchObject({ status: 429, body: { code: 'FREQUENCY_LIMITED' } });
  expect((await w.query3(body.out_trade_no)).status).toBe(404);
});

fault('notify_probe', 'a probe that is refused comes again with a good signature', async () => {
  w.sink.answer = (arrival) => ({
    status: String(arrival.headers['wechatpay-signature']).startsWith('WECHATPAY/SIGNTEST/') ? 401 : 204,
    body: '',
  });
  expect((await told({ notify_probe: 1 })).who).toBe('wrong');
  await w.advance(15);
  w.sink.answer = () => ({ status: 204, body: '' });
  const second = w.sink.arrivals[1];
  expect(second && signer(w, new Headers(second.headers as Record<string, string>), second.raw)).toBe(
    'public_key',
  );
});

fault('notify_wrong_serial', 'it names a serial nobody was given', async () => {
  expect((await told({ notify_wrong_serial: 1 })).headers.get('wechatpay-serial')).toMatch(/9{20}$/);
});

fault('notify_stale', 'it is well signed, long ago', async () => {
  const { who, headers } = await told({ notify_stale: { times: 1, age_s: 301 } });
  expect(who).toBe('public_key');
  expect(Date.now() / 1000 - Number(headers.get('wechatpay-timestamp'))).toBeGreaterThan(300);
});

fault('notify_tampered', 'the body is not what was signed', async () => {
  expect((await told({ notify_tampered: 1 })).who).toBe('wrong');
});

fault('notify_other_key', 'it is well signed and cannot be opened', async () => {
  const { who, message } = await told({ notify_other_key: 1 });
  expect(who).toBe('public_key');
  expect(() => openSealed(w, message.resource)).toThrow();
});

it('the faults both APIs know do the same here', async () => {
  expect(w.signer(await asked({ answer_bad_signature: 1 }))).toBe('wrong');
  const failing = await asked({ system_error: 1 });
  expect([failing.status, failing.body.code, w.signer(failing)]).toEqual([500, 'SYSTEM_ERROR', 'public_key']);
  const { message } = await told({ notify_other_amount: 1 });
  expect(JSON.parse(openSealed(w, message.resource)).amount.total).toBe(1289);
  const path = '/v3/pay/transactions/out-trade-no/*/close';
  await w.faults({ system_error: { path, times: 1 } });
  const { out_trade_no } = await w.place3();
  expect((await w.query3(out_trade_no)).status).toBe(200);
  const target = path.replace('*', out_trade_no);
  expect((await w.call3('POST', target, { mchid: w.merchant.mch_id })).status).toBe(500);
});
