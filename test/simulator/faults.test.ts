// One test for each fault of the table, named as the fault; and the last one looks that none was forgotten, here
// or in the neighbouring files of faults.

import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FAULTS } from '../../simulator/faults.ts';
import { ACCEPTED, openWorld, type World } from './world.ts';

let w: World;
beforeAll(async () => {
  w = await openWorld();
});
afterAll(() => w.close());
afterEach(async () => {
  await w.control('POST', 'reset');
  w.sink.answer = () => ({ body: ACCEPTED });
  w.sink.arrivals.length = 0;
});

function fault(name: string, what: string, run: () => Promise<void>): void {
  it(`${name}: ${what}`, run);
}

const unpaid = async (out_trade_no: string) => (await w.query(out_trade_no)).fields.trade_state;

/** Pays a fresh order under the armed faults and gives back what arrived. */
async function paidArrival(sign_type: 'MD5' | 'HMAC-SHA256' = 'MD5') {
  const placed = await w.place({}, { sign_type });
  await w.pay({ out_trade_no: placed.out_trade_no });
  await w.settle();
  return { placed, arrival: w.sink.arrivals[0]?.fields ?? {}, raw: w.sink.arrivals[0]?.raw ?? '' };
}

describe('a call goes wrong', () => {
  fault('line_cut', 'the line breaks and nothing was done', async () => {
    await w.faults({ line_cut: { times: 1 } });
    const fields = w.order();
    await expect(w.call('/pay/unifiedorder', fields)).rejects.toThrow();
    expect((await w.query(fields.out_trade_no ?? '')).fields.err_code).toBe('ORDERNOTEXIST');
  });

  fault('answer_lost', 'the line breaks although the order was placed', async () => {
    await w.faults({ unifiedorder_answer_lost: 1 });
    const fields = w.order();
    await expect(w.call('/pay/unifiedorder', fields)).rejects.toThrow();
    expect(await unpaid(fields.out_trade_no ?? '')).toBe('NOTPAY');
    expect((await w.call('/pay/unifiedorder', fields)).fields.result_code).toBe('SUCCESS');
  });

  fault('answer_slow', 'the answer comes late', async () => {
    await w.faults({ answer_slow: { delay_ms: 400, path: '/pay/orderquery' } });
    const { out_trade_no } = await w.place();
    const started = performance.now();
    await w.query(out_trade_no);
    expect(performance.now() - started).toBeGreaterThan(390);
  });

  fault('answer_truncated', 'half of the answer arrives', async () => {
    await w.faults({ unifiedorder_answer_truncated: { times: 1 } });
    const fields = w.order();
    await expect(w.call('/pay/unifiedorder', fields)).rejects.toThrow();
    expect(await unpaid(fields.out_trade_no ?? '')).toBe('NOTPAY');
  });

  fault('answer_bad_signature', 'the answer does not verify', async () => {
    await w.faults({ answer_bad_signature: { times: 1 } });
    const answer = await w.call('/pay/unifiedorder', w.order());
    expect(answer.fields.result_code).toBe('SUCCESS');
    expect(w.verifies(answer.fields)).toBe(false);
    expect(w.verifies((await w.call('/pay/unifiedorder', w.order())).fields)).toBe(true);
  });

  fault('http_502', 'an HTML page with status 502, processed only with done', async () => {
    await w.faults({ http_502: { times: 1, path: '/pay/unifiedorder' } });
    const fields = w.order();
    const answer = await w.call('/pay/unifiedorder', fields);
    expect(answer.status).toBe(502);
    expect(answer.text).toContain('<html>');
    expect((await w.query(fields.out_trade_no ?? '')).fields.err_code).toBe('ORDERNOTEXIST');
    await w.faults({ http_502: { times: 1, path: '/pay/unifiedorder', done: true } });
    await w.call('/pay/unifiedorder', fields);
    expect(await unpaid(fields.out_trade_no ?? '')).toBe('NOTPAY');
  });

  fault('system_error', 'SYSTEMERROR, signed, and nothing was done', async () => {
    await w.faults({ unifiedorder_system_error: { times: 1 } });
    const fields = w.order();
    const answer = await w.call('/pay/unifiedorder', fields);
    expect(answer.fields).toMatchObject({
      result_code: 'FAIL',
      err_code: 'SYSTEMERROR',
      err_code_des: '系统错误',
    });
    expect(w.verifies(answer.fields)).toBe(true);
    expect((await w.query(fields.out_trade_no ?? '')).fields.err_code).toBe('ORDERNOTEXIST');
    expect((await w.call('/pay/unifiedorder', fields)).fields.result_code).toBe('SUCCESS');
  });

  fault('system_error_done', 'SYSTEMERROR although it was done', async () => {
    await w.faults({ unifiedorder_system_error_done: { times: 1 } });
    const fields = w.order();
    expect((await w.call('/pay/unifiedorder', fields)).fields.err_code).toBe('SYSTEMERROR');
    expect(await unpaid(fields.out_trade_no ?? '')).toBe('NOTPAY');
  });

  fault('notify_before_answer', 'the notification arrives while the order answer is held back', async () => {
    await w.faults({ notify_before_answer: { times: 1, hold_ms: 50 } });
    const fields = w.order();
    const answering = w.call('/pay/unifiedorder', fields);
    let answered = false;
    let notifiedFirst = false;
    w.sink.answer = () => {
      notifiedFirst = !answered;
      return { body: ACCEPTED };
    };
    const answer = await answering;
    answered = true;
    expect(answer.fields.prepay_id).toMatch(/^wx/);
    expect(w.sink.arrivals).toHaveLength(1);
    expect(notifiedFirst).toBe(true);
    expect(await unpaid(fields.out_trade_no ?? '')).toBe('SUCCESS');
  });

  fault('query_stale', 'a paid order is NOTPAY as many times as asked', async () => {
    const { out_trade_no } = await w.place();
    await w.pay({ out_trade_no });
    await w.faults({ query_stale: 2 });
    const answers = [await w.query(out_trade_no), await w.query(out_trade_no), await w.query(out_trade_no)];
    expect(answers.map((a) => a.fields.trade_state)).toEqual(['NOTPAY', 'NOTPAY', 'SUCCESS']);
    expect(answers[0]?.fields).not.toHaveProperty('transaction_id');
    expect(answers.every((a) => w.verifies(a.fields))).toBe(true);
  });

  fault('close_order_paid', 'the payer was faster than the close', async () => {
    const { out_trade_no } = await w.place();
    await w.faults({ close_order_paid: { times: 1 } });
    const answer = await w.call('/pay/closeorder', { out_trade_no });
    expect(answer.fields.err_code).toBe('ORDERPAID');
    expect(await unpaid(out_trade_no)).toBe('SUCCESS');
    const other = await w.place();
    await w.faults({ close_order_paid: { times: 1, pay: false } });
    expect((await w.call('/pay/closeorder', { out_trade_no: other.out_trade_no })).fields.err_code).toBe(
      'ORDERPAID',
    );
    expect(await unpaid(other.out_trade_no)).toBe('NOTPAY');
  });

  fault('close_slow', 'a payment gets in while the close waits', async () => {
    const { out_trade_no } = await w.place();
    await w.faults({ close_slow: 1500 });
    const closing = w.call('/pay/closeorder', { out_trade_no });
    await new Promise((done) => setTimeout(done, 100));
    expect((await w.pay({ out_trade_no })).status).toBe(200);
    expect((await closing).fields.err_code).toBe('ORDERPAID');
  });

  fault('close_then_paid', 'a payment lands after a successful close', async () => {
    const { out_trade_no } = await w.place();
    await w.faults({ close_then_paid: true });
    expect((await w.call('/pay/closeorder', { out_trade_no })).fields.result_code).toBe('SUCCESS');
    await w.settle();
    expect(await unpaid(out_trade_no)).toBe('SUCCESS');
    expect(w.sink.arrivals).toHaveLength(1);
  });
});

describe('a notification goes wrong', () => {
  fault('notify_never', 'it is withheld, and only redeliver sends it', async () => {
    await w.faults({ notify_never: true });
    const { placed } = await paidArrival();
    await w.advance(90_000);
    expect(w.sink.arrivals).toHaveLength(0);
    const n = await w.notification(placed.out_trade_no);
    expect(n).toMatchObject({ state: 'withheld', why: 'the fault notify_never' });
    await w.control('POST', `notifications/${n.notification_id}/redeliver`);
    expect(w.sink.arrivals).toHaveLength(1);
  });

  fault('notify_late', 'it comes later on the platform clock', async () => {
    await w.faults({ notify_late: 3600 });
    await paidArrival();
    await w.advance(3590);
    expect(w.sink.arrivals).toHaveLength(0);
    await w.advance(11);
    expect(w.sink.arrivals).toHaveLength(1);
  });

  fault('notify_copies', 'several copies arrive at the same moment', async () => {
    await w.faults({ notify_copies: 3 });
    let together = 0;
    let most = 0;
    w.sink.answer = async () => {
      together += 1;
      most = Math.max(most, together);
      await new Promise((done) => setTimeout(done, 100));
      together -= 1;
      return { body: ACCEPTED };
    };
    const { placed } = await paidArrival();
    expect(w.sink.arrivals).toHaveLength(3);
    expect(most).toBe(3);
    expect((await w.notification(placed.out_trade_no)).attempts.map((a: { copy: number }) => a.copy)).toEqual(
      [1, 2, 3],
    );
  });

  fault('notify_bad_signature', 'it does not verify, and the retry does', async () => {
    w.sink.answer = ({ fields }) => ({
      body: w.verifies(fields) ? ACCEPTED : '<xml><return_code>FAIL</return_code></xml>',
    });
    await w.faults({ notify_bad_signature: { times: 1 } });
    const { placed, arrival } = await paidArrival();
    expect(w.verifies(arrival)).toBe(false);
    await w.advance(15);
    expect(w.sink.arrivals).toHaveLength(2);
    expect((await w.notification(placed.out_trade_no)).state).toBe('delivered');
  });

  fault('notify_no_signature', 'it carries no sign', async () => {
    await w.faults({ notify_no_signature: true });
    expect((await paidArrival()).arrival).not.toHaveProperty('sign');
  });

  fault('notify_other_sign_type', 'an HMAC-SHA256 order is notified in MD5', async () => {
    await w.faults({ notify_other_sign_type: true });
    const { arrival } = await paidArrival('HMAC-SHA256');
    expect(w.verifies(arrival, 'MD5')).toBe(true);
    expect(w.verifies(arrival, 'HMAC-SHA256')).toBe(false);
  });

  fault('notify_other_amount', 'correctly signed, another amount', async () => {
    await w.faults({ notify_other_amount: -1000 });
    const { arrival } = await paidArrival();
    expect(arrival.total_fee).toBe('288');
    expect(w.verifies(arrival)).toBe(true);
  });

  fault('notify_other_merchant', 'correctly signed, another merchant', async () => {
    await w.faults({ notify_other_merchant: true });
    const { arrival } = await paidArrival();
    expect(arrival.mch_id).toBe('1900000999');
    expect(w.verifies(arrival)).toBe(true);
  });

  fault('notify_other_appid', 'correctly signed, another appid', async () => {
    await w.faults({ notify_other_appid: { appid: 'wx1' } });
    const { arrival } = await paidArrival();
    expect(arrival.appid).toBe('wx1');
    expect(w.verifies(arrival)).toBe(true);
  });

  fault('notify_other_openid', 'correctly signed, another payer', async () => {
    await w.faults({ notify_other_openid: true });
    const { arrival } = await paidArrival();
    expect(arrival.openid).toBe('oSomebodyElse000000000000000');
    expect(w.verifies(arrival)).toBe(true);
  });

  fault('notify_unknown_order', 'correctly signed, a number nobody placed', async () => {
    await w.faults({ notify_unknown_order: true });
    const { arrival } = await paidArrival();
    expect(arrival.out_trade_no).toBe('NOBODYPLACEDTHIS');
    expect(w.verifies(arrival)).toBe(true);
  });

  fault('notify_extra_field', 'a new field that is signed', async () => {
    await w.faults({ notify_extra_field: true });
    const { arrival } = await paidArrival();
    expect(arrival.brand_new_field).toBe('新字段');
    expect(w.verifies(arrival)).toBe(true);
  });

  fault('notify_sign_type_present', 'sign_type stands in it and is signed', async () => {
    await w.faults({ notify_sign_type_present: true });
    const { arrival } = await paidArrival('HMAC-SHA256');
    expect(arrival.sign_type).toBe('HMAC-SHA256');
    expect(w.verifies(arrival, 'HMAC-SHA256')).toBe(true);
  });

  fault('notify_doctype', 'a DOCTYPE with an external entity', async () => {
    await w.faults({ notify_doctype: true });
    const { raw } = await paidArrival();
    expect(raw).toContain('<!DOCTYPE xml [<!ENTITY leak SYSTEM');
    expect(raw).toContain('<leak>&leak;</leak>');
  });

  fault('notify_cut', 'half of it, then the line breaks; the retry is whole', async () => {
    await w.faults({ notify_cut: { times: 1 } });
    const { placed } = await paidArrival();
    expect(w.sink.arrivals).toHaveLength(0);
    await w.advance(15);
    expect(w.sink.arrivals).toHaveLength(1);
    expect((await w.notification(placed.out_trade_no)).state).toBe('delivered');
  });
});

describe('the switchboard', () => {
  it('limits a fault to one order', async () => {
    const hit = w.order();
    await w.faults({ unifiedorder_system_error: { out_trade_no: hit.out_trade_no ?? '' } });
    expect((await w.call('/pay/unifiedorder', w.order())).fields.result_code).toBe('SUCCESS');
    expect((await w.call('/pay/unifiedorder', hit)).fields.err_code).toBe('SYSTEMERROR');
  });

  it('limits a call fault to the door it is prefixed with', async () => {
    await w.faults({ orderquery_system_error: true });
    const { out_trade_no } = await w.place();
    expect((await w.query(out_trade_no)).fields.err_code).toBe('SYSTEMERROR');
  });

  it('counts the hits, disarms with false, and clears', async () => {
    await w.faults({ unifiedorder_system_error: true, notify_never: true });
    await w.call('/pay/unifiedorder', w.order());
    const { body } = await w.control('GET', 'faults');
    expect(body.armed.unifiedorder_system_error).toMatchObject({ hits: 1, path: '/pay/unifiedorder' });
    expect(Object.keys((await w.faults({ notify_never: false })).body.armed)).toEqual([
      'unifiedorder_system_error',
    ]);
    expect((await w.control('DELETE', 'faults')).body.armed).toEqual({});
  });

  it.each([
    ['an unknown name', { nonsense: true }],
    ['an unknown parameter', { notify_late: { delay_ms: 1 } }],
    ['a parameter of another type', { notify_late: { delay_s: '1' } }],
    ['a list', { notify_never: [] }],
    ['a prefix no door has', { nodoor_system_error: true }],
    ['a prefix before a notification fault', { unifiedorder_notify_late: true }],
  ])('refuses %s and arms nothing of that request', async (_what, wanted) => {
    const answer = await w.faults({ notify_never: true, ...wanted });
    expect(answer).toMatchObject({ status: 400, body: { code: 'BAD_REQUEST' } });
    expect((await w.control('GET', 'faults')).body.armed).toEqual({});
  });

  it('explains every fault of the table in the README', () => {
    const readme = readFileSync(new URL('../../simulator/README.md', import.meta.url), 'utf8');
    expect(Object.keys(FAULTS).filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
  });

  it('has a test for every fault of the table', () => {
    const tested = new Set<string>();
    for (const file of readdirSync(import.meta.dirname).filter((f) => f.endsWith('.test.ts'))) {
      const text = readFileSync(new URL(file, import.meta.url), 'utf8');
      for (const [, name = ''] of text.matchAll(/\bfault\(\s*'(\w+)'/g)) tested.add(name);
    }
    expect([...tested].sort()).toEqual(Object.keys(FAULTS).sort());
  });
});
