// Refunds through API v2 and through the console: who may ask, how much, how they end, and what the shop is told.

import { createDecipheriv, createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createWechatPayV2 } from '../../lib/wechat/index.ts';
import { identityOf, postSecurely } from './merchant_tls.ts';
import { ACCEPTED, type Config, type Fields, fromXml, openWorld, sign, toXml, type World } from './world.ts';

let w: World;
let config: Config;
beforeAll(async () => {
  w = await openWorld({ certificate_required: false });
  config = w.config;
});
afterAll(() => w.close());
afterEach(async () => {
  await w.control('POST', 'reset');
  w.sink.answer = () => ({ body: ACCEPTED });
  w.sink.arrivals.length = 0;
});

/** A paid order. */
async function paid(own: Fields = {}, pay: Record<string, unknown> = {}) {
  const placed = await w.place(own);
  const { body } = await w.pay({ out_trade_no: placed.out_trade_no, ...pay });
  await w.settle();
  w.sink.arrivals.length = 0;
  return { out_trade_no: placed.out_trade_no as string, transaction_id: body.transaction_id as string };
}

let count = 0;
const refundFields = (out_trade_no: string, own: Fields = {}): Fields => {
  count += 1;
  return {
    out_trade_no,
    out_refund_no: `R${String(count).padStart(6, '0')}`,
    total_fee: '1288',
    refund_fee: '1288',
    notify_url: w.sink.url,
    ...own,
  };
};
const refund = (out_trade_no: string, own: Fields = {}) =>
  w.call('/secapi/pay/refund', refundFields(out_trade_no, own));
const refundQuery = (own: Fields) => w.call('/pay/refundquery', own);

/** req_info opened from the rule alone. */
function opened(fields: Fields): Fields {
  const key = createHash('md5').update(w.merchant.api_v2_key).digest('hex');
  const decipher = createDecipheriv('aes-256-ecb', Buffer.from(key, 'utf8'), null);
  const text = Buffer.concat([
    decipher.update(Buffer.from(fields.req_info ?? '', 'base64')),
    decipher.final(),
  ]).toString('utf8');
  expect(text.startsWith('<root>')).toBe(true);
  return fromXml(text.replace(/<\/?root>/g, ''));
}

describe('the client certificate', () => {
  /** The whole signed message, as `w.call` would send it. */
  function message(own: Fields): string {
    const fields: Fields = {
      appid: w.merchant.appid,
      mch_id: w.merchant.mch_id,
      nonce_str: 'n0123456789',
      ...own,
    };
    return toXml({ ...fields, sign: sign(fields, w.merchant.api_v2_key) });
  }

  it('opens the refund door over TLS, whose server certificate fits the published authority', async () => {
    const { out_trade_no } = await paid();
    const body = message(refundFields(out_trade_no));
    const answer = await postSecurely(
      `${config.tls_url}/secapi/pay/refund`,
      body,
      config.ca_pem,
      identityOf(w),
    );
    expect(answer.fields).toMatchObject({ result_code: 'SUCCESS', refund_fee: '1288' });
    expect(w.verifies(answer.fields)).toBe(true);
  });

  it('opens it as the PKCS #12 file, too, whose password is the merchant number', async () => {
    const { out_trade_no } = await paid();
    const body = message(refundFields(out_trade_no));
    const pfx = Buffer.from(w.merchant.merchant_p12_base64, 'base64');
    const door = `${config.tls_url}/secapi/pay/refund`;
    const answer = await postSecurely(door, body, config.ca_pem, { pfx, passphrase: w.merchant.mch_id });
    expect(answer.fields).toMatchObject({ result_code: 'SUCCESS' });
    const mistaken = postSecurely(door, body, config.ca_pem, { pfx, passphrase: `${w.merchant.mch_id}0` });
    await expect(mistaken).rejects.toThrow('mac verify failure');
  });

  it('missing over TLS, it is CERT_ERROR and nothing is refunded', async () => {
    const { out_trade_no } = await paid();
    const body = message(refundFields(out_trade_no));
    const answer = await postSecurely(`${config.tls_url}/secapi/pay/refund`, body, config.ca_pem, undefined);
    expect(answer.fields).toMatchObject({ result_code: 'FAIL', err_code: 'CERT_ERROR' });
    expect((await w.query(out_trade_no)).fields.trade_state).toBe('SUCCESS');
  });

  it('of another authority is CERT_ERROR', async () => {
    const other = await openWorld({ seed: 'another world' });
    const { out_trade_no } = await paid();
    const body = message(refundFields(out_trade_no));
    const answer = await postSecurely(
      `${config.tls_url}/secapi/pay/refund`,
      body,
      config.ca_pem,
      identityOf(other),
    );
    await other.close();
    expect(answer.fields.err_code).toBe('CERT_ERROR');
  });

  it('is asked for on the plain listener too, unless the simulator was told otherwise', async () => {
    const strict = await openWorld();
    const placed = await strict.place();
    await strict.pay({ out_trade_no: placed.out_trade_no });
    const answer = await strict.call('/secapi/pay/refund', refundFields(placed.out_trade_no));
    expect(answer.fields.err_code).toBe('CERT_ERROR');
    const log = (await strict.control('GET', 'log?path=/secapi/pay/refund')).body.entries;
    expect(log[0]?.why).toContain('https://');
    await strict.close();
  });
});

describe('a refund', () => {
  it('is accepted, under way, and done after its delay; money, ledger and order follow', async () => {
    const { out_trade_no } = await paid();
    const answer = await refund(out_trade_no, { refund_fee: '288', refund_desc: '少发一件' });
    expect(answer.fields).toMatchObject({
      result_code: 'SUCCESS',
      refund_fee: '288',
      total_fee: '1288',
      cash_refund_fee: '288',
    });
    expect(answer.fields.refund_id).toMatch(/^50\d{27}$/);
    expect(w.verifies(answer.fields)).toBe(true);
    expect((await w.query(out_trade_no)).fields.trade_state).toBe('REFUND');
    const number = answer.fields.out_refund_no ?? '';
    expect((await refundQuery({ out_refund_no: number })).fields.refund_status_0).toBe('PROCESSING');
    const before = (await w.control('GET', 'ledger')).body.users[0]?.balance_fen ?? 0;
    await w.advance(5);
    const after = (await refundQuery({ out_refund_no: number })).fields;
    expect(after).toMatchObject({ refund_status_0: 'SUCCESS', refund_fee_0: '288', refund_count: '1' });
    expect(after.refund_success_time_0).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
    const ledger = (await w.control('GET', `ledger?out_trade_no=${out_trade_no}`)).body;
    expect(ledger).toMatchObject({ paid_fen: 1288, refunded_fen: 288 });
    expect((ledger.users[0]?.balance_fen ?? 0) - before).toBe(288);
  });

  it('is told to its notify_url, encrypted, unsigned, and again until it is acknowledged', async () => {
    const { out_trade_no } = await paid();
    const { fields } = await refund(out_trade_no, { refund_fee: '100' });
    w.sink.answer = () => ({ body: 'not yet', status: 500 });
    await w.advance(5);
    w.sink.answer = () => ({ body: ACCEPTED });
    await w.advance(15);
    expect(w.sink.arrivals).toHaveLength(2);
    const outer = w.sink.arrivals[1]?.fields ?? {};
    expect(outer).toMatchObject({ return_code: 'SUCCESS', mch_id: w.merchant.mch_id });
    expect(outer.sign).toBeUndefined();
    expect(opened(outer)).toMatchObject({
      out_trade_no,
      out_refund_no: fields.out_refund_no,
      refund_id: fields.refund_id,
      refund_fee: '100',
      total_fee: '1288',
      refund_status: 'SUCCESS',
      refund_request_source: 'API',
    });
    expect((await w.notification(out_trade_no)).state).toBe('delivered');
  });

  it('is one refund when it is asked for again, and REFUND_FEE_MISMATCH with another amount', async () => {
    const { out_trade_no } = await paid();
    const fields = refundFields(out_trade_no, { refund_fee: '500' });
    const first = (await w.call('/secapi/pay/refund', fields)).fields;
    const again = (await w.call('/secapi/pay/refund', fields)).fields;
    expect(again.refund_id).toBe(first.refund_id);
    const other = await w.call('/secapi/pay/refund', { ...fields, refund_fee: '501' });
    expect(other.fields.err_code).toBe('REFUND_FEE_MISMATCH');
    await w.advance(10);
    expect((await w.control('GET', 'ledger')).body.refunded_fen).toBe(500);
  });

  it('cannot exceed what was paid, in one or in several', async () => {
    const { out_trade_no } = await paid();
    expect((await refund(out_trade_no, { refund_fee: '1289' })).fields.err_code).toBe('ERROR');
    expect((await refund(out_trade_no, { refund_fee: '1000' })).fields.result_code).toBe('SUCCESS');
    expect((await refund(out_trade_no, { refund_fee: '289' })).fields.err_code).toBe('ERROR');
    expect((await refund(out_trade_no, { refund_fee: '288' })).fields.result_code).toBe('SUCCESS');
    const full = (await refund(out_trade_no, { refund_fee: '1' })).fields;
    expect(full).toMatchObject({ err_code: 'ERROR', err_code_des: '订单已全额退款' });
  });

  it('must name the total the order had', async () => {
    const { out_trade_no } = await paid();
    const answer = await refund(out_trade_no, { total_fee: '1287', refund_fee: '1' });
    expect(answer.fields.err_code).toBe('REFUND_FEE_MISMATCH');
  });

  it('is refused for an unpaid or unknown order, and later than a year', async () => {
    const placed = await w.place();
    expect((await refund(placed.out_trade_no)).fields.err_code).toBe('ORDERNOTEXIST');
    expect((await refund('NOBODY000')).fields.err_code).toBe('ORDERNOTEXIST');
    const { transaction_id } = await paid();
    await w.advance(366 * 86400);
    const late = await refund('', { transaction_id });
    expect(late.fields.err_code).toBe('TRADE_OVERDUE');
  });

  it('happens at most fifty times an order', async () => {
    const { out_trade_no } = await paid();
    for (let i = 0; i < 50; i += 1) {
      expect((await refund(out_trade_no, { refund_fee: '1' })).fields.result_code).toBe('SUCCESS');
    }
    expect((await refund(out_trade_no, { refund_fee: '1' })).fields.err_code).toBe('INVALID_REQUEST');
    const page = (await refundQuery({ out_trade_no, offset: '45' })).fields;
    expect(page).toMatchObject({ total_refund_count: '50', refund_count: '5', refund_fee: '50' });
  });

  it('shares itself between cash and coupon, to the last fen', async () => {
    const { out_trade_no } = await paid({ total_fee: '1000' }, { coupon_fen: 333 });
    const order = (await w.query(out_trade_no)).fields;
    expect(order).toMatchObject({ total_fee: '1000', cash_fee: '667', coupon_fee: '333' });
    let cash = 0;
    for (const refund_fee of ['1', '500', '499']) {
      const { fields } = await refund(out_trade_no, { total_fee: '1000', refund_fee });
      expect(Number(fields.cash_refund_fee) + Number(fields.coupon_refund_fee)).toBe(Number(refund_fee));
      cash += Number(fields.cash_refund_fee);
    }
    expect(cash).toBe(667);
  });

  it('is refused as a parameter when its fields are malformed', async () => {
    const { out_trade_no } = await paid();
    const wrong: Fields[] = [
      { refund_fee: '0' },
      { refund_fee: '1.5' },
      { out_refund_no: 'no spaces here' },
      { refund_account: 'ELSEWHERE' },
      { refund_desc: '退'.repeat(27) },
    ];
    for (const own of wrong) {
      expect((await refund(out_trade_no, own)).fields.err_code).toBe('PARAM_ERROR');
    }
    const lacking = await w.call('/secapi/pay/refund', { out_trade_no, total_fee: '1', refund_fee: '1' });
    expect(lacking.fields.return_msg).toContain('out_refund_no');
  });

  it('nobody asked for is REFUNDNOTEXIST', async () => {
    const { out_trade_no } = await paid();
    expect((await refundQuery({ out_trade_no })).fields.err_code).toBe('REFUNDNOTEXIST');
    expect((await refundQuery({ out_refund_no: 'R-NOBODY' })).fields.err_code).toBe('REFUNDNOTEXIST');
  });
});

describe('the console', () => {
  it('refunds by hand and tells the console address in v2 XML', async () => {
    const { out_trade_no } = await paid();
    await w.control('PUT', 'merchant', { refund_notify_url: w.sink.url });
    const made = await w.control('POST', 'refund', { out_trade_no, refund_fen: 300, reason: '协商' });
    expect(made).toMatchObject({ status: 200, body: { state: 'PROCESSING', source: 'VENDOR_PLATFORM' } });
    await w.advance(5);
    const inner = opened(w.sink.arrivals[0]?.fields ?? {});
    expect(inner).toMatchObject({ refund_fee: '300', refund_request_source: 'VENDOR_PLATFORM' });
    const rest = await w.control('POST', 'refund', { out_trade_no });
    expect(rest.body.refund_fen).toBe(988);
    expect((await w.control('POST', 'refund', { out_trade_no })).body.code).toBe('ERROR');
  });

  it('ends a refund as it likes, and a closed one gives the money free again', async () => {
    const { out_trade_no } = await paid();
    const made = await w.control('POST', 'refund', { out_trade_no, out_refund_no: 'R-CLOSED' });
    expect(made.status).toBe(200);
    await w.control('POST', 'refunds/R-CLOSED', { as: 'CLOSED' });
    expect((await refundQuery({ out_refund_no: 'R-CLOSED' })).fields.refund_status_0).toBe('REFUNDCLOSE');
    expect((await refund(out_trade_no)).fields.result_code).toBe('SUCCESS');
    expect((await w.control('GET', `refunds?out_trade_no=${out_trade_no}`)).body.refunds).toHaveLength(2);
  });
});

describe("the shop's own client, a witness that shares no code", () => {
  it('refunds over TLS with its certificate and reads the notification', async () => {
    const strict = await openWorld();
    const { merchant } = strict;
    const client = createWechatPayV2(
      {
        appid: merchant.appid,
        mch_id: merchant.mch_id,
        api_v2_key: merchant.api_v2_key,
        sign_type: 'HMAC-SHA256',
        base_url: strict.url,
        certificate_base_url: strict.config.tls_url,
        client_certificate: {
          cert_pem: merchant.merchant_cert_pem,
          key_pem: merchant.merchant_key_pem,
          ca_pem: strict.config.ca_pem,
        },
      },
      { fetch, now: () => new Date(), nonce: (length = 32) => 'n'.repeat(length) },
    );
    const { out_trade_no } = await strict.place();
    await strict.pay({ out_trade_no });
    await strict.settle();
    strict.sink.arrivals.length = 0;
    const own = { out_refund_no: 'R-1', out_trade_no, total_fen: 1288, refund_fen: 288 };
    const placed = await client.placeRefund({ ...own, notify_url: strict.sink.url });
    expect(placed.report).toMatchObject({ out_refund_no: 'R-1', status: 'PROCESSING' });
    await strict.advance(5);
    expect((await client.queryRefund('R-1')).report).toMatchObject({ status: 'SUCCESS', refund_fen: 288 });
    const raw = Buffer.from(strict.sink.arrivals[0]?.raw ?? '');
    const read = await client.readRefundNotification(raw, new Headers({ 'content-type': 'text/xml' }));
    expect(read).toMatchObject({ out_refund_no: 'R-1', out_trade_no, status: 'SUCCESS' });
    await strict.close();
  });
});
