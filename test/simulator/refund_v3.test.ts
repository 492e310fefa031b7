// Refunds and bills over API v3, and the two APIs on one store.

import { createDecipheriv, createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { beijingToday, rowsOf, toMorningAfter } from './bill_reading.ts';
import { openSealed, openWorldV3, signer, type WorldV3 } from './merchant_v3.ts';

let w: WorldV3;
beforeAll(async () => {
  w = await openWorldV3({ certificate_required: false });
});
afterAll(() => w.close());
afterEach(async () => {
  await w.control('POST', 'reset');
  w.sink.answer = () => ({ status: 204, body: '' });
  w.sink.arrivals.length = 0;
});

const REFUNDS = '/v3/refund/domestic/refunds';
const DAY = (text: string) => `${text.slice(0, 4)}-${text.slice(4, 6)}-${text.slice(6)}`;

async function paid(): Promise<string> {
  const { out_trade_no } = await w.place3();
  await w.pay({ out_trade_no });
  await w.settle();
  w.sink.arrivals.length = 0;
  return out_trade_no;
}
const body = (out_trade_no: string, own: Record<string, unknown> = {}) => ({
  out_trade_no,
  out_refund_no: 'R-1',
  reason: '商品已售完',
  notify_url: w.sink.url,
  amount: { refund: 288, total: 1288, currency: 'CNY' },
  ...own,
});

describe('a refund', () => {
  it('is accepted as PROCESSING, ends as SUCCESS, and is told sealed and signed', async () => {
    const out_trade_no = await paid();
    const made = await w.call3('POST', REFUNDS, body(out_trade_no));
    expect(made).toMatchObject({ status: 200, body: { status: 'PROCESSING', out_refund_no: 'R-1' } });
    expect(made.body.amount).toMatchObject({
      total: 1288,
      refund: 288,
      payer_refund: 288,
      discount_refund: 0,
    });
    expect((await w.query3(out_trade_no)).body.trade_state).toBe('REFUND');
    await w.advance(5);
    const ended = await w.call3('GET', `${REFUNDS}/R-1`);
    expect(ended.body).toMatchObject({ status: 'SUCCESS', user_received_account: '支付用户零钱' });
    const [one] = w.sink.arrivals;
    if (one === undefined) throw new Error('no notification came');
    expect(signer(w, new Headers(one.headers as Record<string, string>), one.raw)).toBe('public_key');
    const message = JSON.parse(one.raw);
    expect(message).toMatchObject({ event_type: 'REFUND.SUCCESS', resource: { associated_data: 'refund' } });
    expect(JSON.parse(openSealed(w, message.resource))).toMatchObject({
      out_refund_no: 'R-1',
      refund_status: 'SUCCESS',
      amount: { total: 1288, refund: 288 },
    });
  });

  it('is one refund when repeated, and is refused in v3’s words otherwise', async () => {
    const out_trade_no = await paid();
    const first = await w.call3('POST', REFUNDS, body(out_trade_no));
    expect((await w.call3('POST', REFUNDS, body(out_trade_no))).body.refund_id).toBe(first.body.refund_id);
    const refused = async (own: Record<string, unknown>) => {
      const answer = await w.call3('POST', REFUNDS, body(out_trade_no, own));
      expect(w.signer(answer)).toBe('public_key');
      return [answer.status, answer.body.code];
    };
    const other = { refund: 289, total: 1288, currency: 'CNY' };
    expect(await refused({ amount: other })).toEqual([400, 'INVALID_REQUEST']);
    const more = { refund: 1001, total: 1288, currency: 'CNY' };
    expect(await refused({ out_refund_no: 'R-2', amount: more })).toEqual([400, 'INVALID_REQUEST']);
    expect(await refused({ amount: { refund: 1, total: 1288 } })).toEqual([400, 'PARAM_ERROR']);
    expect(await refused({ out_trade_no: 'NOBODY000' })).toEqual([404, 'RESOURCE_NOT_EXISTS']);
    await w.faults({ refund_not_enough: 1 });
    const rest = { refund: 1, total: 1288, currency: 'CNY' };
    expect(await refused({ out_refund_no: 'R-3', amount: rest })).toEqual([403, 'NOT_ENOUGH']);
    expect((await w.call3('GET', `${REFUNDS}/R-3`)).body.code).toBe('RESOURCE_NOT_EXISTS');
  });

  it('that ended as ABNORMAL can be sent to another account', async () => {
    const out_trade_no = await paid();
    await w.faults({ refund_abnormal: 1 });
    const { refund_id } = (await w.call3('POST', REFUNDS, body(out_trade_no))).body;
    await w.advance(5);
    expect((await w.call3('GET', `${REFUNDS}/R-1`)).body.status).toBe('ABNORMAL');
    const path = `${REFUNDS}/${String(refund_id)}/apply-abnormal-refund`;
    const again = await w.call3('POST', path, { out_refund_no: 'R-1', type: 'MERCHANT_BANK_CARD' });
    expect(again.body.status).toBe('PROCESSING');
    await w.advance(5);
    expect((await w.call3('GET', `${REFUNDS}/R-1`)).body.status).toBe('SUCCESS');
    expect(w.sink.arrivals.map((a) => JSON.parse(a.raw).event_type)).toEqual([
      'REFUND.ABNORMAL',
      'REFUND.SUCCESS',
    ]);
  });

  it('without an address of its own is told to the console’s in v2 XML', async () => {
    const out_trade_no = await paid();
    await w.control('PUT', 'merchant', { refund_notify_url: w.sink.url });
    const { notify_url: _left, ...bare } = body(out_trade_no);
    await w.call3('POST', REFUNDS, bare);
    await w.advance(5);
    const fields = w.sink.arrivals[0]?.fields ?? {};
    const key = createHash('md5').update(w.merchant.api_v2_key).digest('hex');
    const decipher = createDecipheriv('aes-256-ecb', Buffer.from(key), null);
    const inner = decipher.update(fields.req_info ?? '', 'base64', 'utf8') + decipher.final('utf8');
    expect(inner).toContain('<out_refund_no><![CDATA[R-1]]>');
  });

  it('of a v3 order can be asked about and made over v2, for there is one store', async () => {
    const out_trade_no = await paid();
    const own = { out_trade_no, out_refund_no: 'R-1', total_fee: '1288', refund_fee: '288' };
    expect((await w.call('/secapi/pay/refund', own)).fields.result_code).toBe('SUCCESS');
    expect((await w.call3('GET', `${REFUNDS}/R-1`)).body).toMatchObject({ status: 'PROCESSING' });
    expect((await w.call('/pay/refundquery', { out_trade_no })).fields.out_refund_no_0).toBe('R-1');
  });
});

describe('a bill', () => {
  /** The file behind an application, fetched as the address says. */
  async function fetched(target: string) {
    const applied = await w.call3('GET', target);
    expect(applied.status).toBe(200);
    const url = new URL(String(applied.body.download_url));
    const wanted = `${url.pathname}${url.search}`;
    return { applied: applied.body, wanted };
  }

  it('holds both APIs’ trades, its hash is over the plain bytes, and the file is unsigned', async () => {
    const bill_date = await beijingToday(w);
    const number = await paid();
    await w.call3('POST', REFUNDS, body(number));
    const old = await w.place();
    await w.pay({ out_trade_no: old.out_trade_no });
    await toMorningAfter(w, bill_date);
    const { applied, wanted } = await fetched(`/v3/bill/tradebill?bill_date=${DAY(bill_date)}&bill_type=ALL`);
    const file = await w.call3('GET', wanted);
    expect(w.signer(file)).toBe('unsigned');
    expect(file.headers.get('request-id')).toBeNull();
    // fetch strips nothing here: text() would drop the BOM, so it is put back before hashing.
    const plain = file.text.startsWith('\ufeff') ? file.text : `\ufeff${file.text}`;
    expect(createHash('sha1').update(plain).digest('hex')).toBe(applied.hash_value);
    const { rows } = rowsOf(plain);
    expect(rows.map((r) => [r.商户订单号, r.交易状态]).sort()).toEqual(
      [
        [number, 'SUCCESS'],
        [number, 'REFUND'],
        [old.out_trade_no, 'SUCCESS'],
      ].sort(),
    );
  });

  it('comes packed as content, and not without a signature of its own', async () => {
    const bill_date = await beijingToday(w);
    await paid();
    await toMorningAfter(w, bill_date);
    const { applied, wanted } = await fetched(
      `/v3/bill/fundflowbill?bill_date=${DAY(bill_date)}&tar_type=GZIP`,
    );
    expect(wanted).toContain('&tartype=gzip');
    expect((await w.call3('GET', wanted, undefined, {}, { authorization: '' })).status).toBe(401);
    const response = await rawFile(wanted);
    const plain = gunzipSync(response);
    expect(createHash('sha1').update(plain).digest('hex')).toBe(applied.hash_value);
    expect(rowsOf(plain.toString('utf8')).rows).toHaveLength(2);
  });

  /** The bytes of a file, which text would spoil. */
  async function rawFile(target: string): Promise<Buffer> {
    const { sign } = await import('node:crypto');
    const timestamp = String(Math.floor(Date.now() / 1000));
    const message = `GET\n${target}\n${timestamp}\nabc\n\n`;
    const signature = sign('sha256', Buffer.from(message), w.merchant.merchant_key_pem).toString('base64');
    const { mch_id, merchant_cert_serial } = w.merchant;
    const response = await fetch(w.url + target, {
      headers: {
        Authorization: `WECHATPAY2-SHA256-RSA2048 mchid="${mch_id}",nonce_str="abc",signature="${signature}",timestamp="${timestamp}",serial_no="${merchant_cert_serial}"`,
      },
    });
    return Buffer.from(await response.arrayBuffer());
  }

  it('is STATEMENT_CREATING before ten, NO_STATEMENT_EXIST for an empty day', async () => {
    const bill_date = await beijingToday(w);
    await paid();
    await toMorningAfter(w, bill_date, 9.5);
    const target = `/v3/bill/tradebill?bill_date=${DAY(bill_date)}`;
    expect(await w.call3('GET', target)).toMatchObject({ status: 400, body: { code: 'STATEMENT_CREATING' } });
    const empty = await w.call3('GET', '/v3/bill/tradebill?bill_date=2026-10-01');
    expect(empty).toMatchObject({ status: 400, body: { code: 'NO_STATEMENT_EXIST' } });
    expect((await w.call3('GET', '/v3/bill/tradebill')).body.code).toBe('PARAM_ERROR');
  });
});
