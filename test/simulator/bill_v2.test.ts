// Bills through API v2: when they are there, that every row and every sum fits what happened, and what a refusal
// looks like.

import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readTradeBill, type TradeBillRow } from '../../lib/wechat/index.ts';
import { beijingToday, rowsOf, toMorningAfter } from './bill_reading.ts';
import { type Fields, openWorld, sign, toXml, type World } from './world.ts';

let w: World;
beforeAll(async () => {
  w = await openWorld({ certificate_required: false });
});
afterAll(() => w.close());
afterEach(() => w.control('POST', 'reset'));

/** The bytes of a bill, as the wire carries them. */
async function download(path: string, own: Fields, sign_type: 'MD5' | 'HMAC-SHA256' = 'MD5') {
  const fields: Fields = {
    appid: w.merchant.appid,
    mch_id: w.merchant.mch_id,
    nonce_str: 'n0123456789',
    ...(sign_type === 'MD5' ? {} : { sign_type }),
    ...own,
  };
  const body = toXml({ ...fields, sign: sign(fields, w.merchant.api_v2_key, sign_type) });
  const response = await fetch(w.url + path, { method: 'POST', body });
  return Buffer.from(await response.arrayBuffer());
}

/** One day: 1288 fen paid, 1000 fen paid with a coupon of 200, 288 of the first refunded. */
async function aDay() {
  const bill_date = await beijingToday(w);
  const first = await w.place({ body: '苹果,红', attach: 'a=1,b=2' });
  await w.pay({ out_trade_no: first.out_trade_no });
  const second = await w.place({ total_fee: '1000' });
  await w.pay({ out_trade_no: second.out_trade_no, coupon_fen: 200 });
  await w.place();
  const own = { out_trade_no: first.out_trade_no, out_refund_no: 'R1', total_fee: '1288', refund_fee: '288' };
  await w.call('/secapi/pay/refund', own);
  await w.advance(10);
  return { bill_date, first: first.out_trade_no, second: second.out_trade_no };
}

describe('the trade bill', () => {
  it('is there at ten the next morning, not before, and never for an empty day', async () => {
    const { bill_date } = await aDay();
    const text = async () => (await download('/pay/downloadbill', { bill_date })).toString('utf8');
    expect(await text()).toContain('No Bill Exist');
    await toMorningAfter(w, bill_date, 9.9);
    expect(await text()).toContain('Bill Creating');
    await toMorningAfter(w, bill_date, 10);
    expect((await text()).startsWith('\ufeff交易时间,')).toBe(true);
    const empty = (await download('/pay/downloadbill', { bill_date: '20260101' })).toString('utf8');
    expect(empty).toContain('<error_code><![CDATA[20002]]>');
  });

  it('has the rows of the day, and a summary that fits them', async () => {
    const { bill_date, first, second } = await aDay();
    await toMorningAfter(w, bill_date);
    const text = (await download('/pay/downloadbill', { bill_date, bill_type: 'ALL' })).toString('utf8');
    const { columns, rows, summary } = rowsOf(text);
    expect(columns).toHaveLength(27);
    expect(rows).toHaveLength(3);
    const paid = rows.find((r) => r.商户订单号 === first && r.交易状态 === 'SUCCESS');
    expect(paid).toMatchObject({
      订单金额: '12.88',
      应结订单金额: '12.88',
      手续费: '0.08000',
      费率: '0.60%',
      商品名称: '苹果,红',
      商户数据包: 'a=1,b=2',
      微信退款单号: '0',
    });
    expect(rows.find((r) => r.商户订单号 === second)).toMatchObject({
      订单金额: '10.00',
      代金券金额: '2.00',
    });
    expect(rows.find((r) => r.交易状态 === 'REFUND')).toMatchObject({
      商户订单号: first,
      商户退款单号: 'R1',
      申请退款金额: '2.88',
      订单金额: '0.00',
      退款状态: 'SUCCESS',
      手续费: '-0.02000',
    });
    expect(summary).toEqual({
      总交易单数: '3',
      应结订单总金额: '22.88',
      退款总金额: '2.88',
      充值券退款总金额: '0.00',
      手续费总金额: '0.12000',
      订单总金额: '22.88',
      申请退款总金额: '2.88',
    });
  });

  it('comes as payments only, refunds only, and packed', async () => {
    const { bill_date } = await aDay();
    await toMorningAfter(w, bill_date);
    const paid = rowsOf(
      (await download('/pay/downloadbill', { bill_date, bill_type: 'SUCCESS' })).toString(),
    );
    expect([paid.columns.length, paid.rows.length]).toEqual([20, 2]);
    const back = rowsOf((await download('/pay/downloadbill', { bill_date, bill_type: 'REFUND' })).toString());
    expect([back.columns.length, back.rows.length]).toEqual([29, 1]);
    const packed = await download('/pay/downloadbill', { bill_date, tar_type: 'GZIP' });
    expect(packed.subarray(0, 2).toString('hex')).toBe('1f8b');
    expect(rowsOf(gunzipSync(packed).toString('utf8')).rows).toHaveLength(3);
  });

  it("is read by the shop's own reader without a complaint", async () => {
    const { bill_date } = await aDay();
    await toMorningAfter(w, bill_date);
    const bytes = await download('/pay/downloadbill', { bill_date, bill_type: 'ALL' });
    const read: TradeBillRow[] = [];
    await readTradeBill(new Blob([new Uint8Array(bytes)]).stream(), (row) => {
      read.push(row);
    });
    expect(read).toHaveLength(3);
  });

  it('is refused for a malformed day or an unknown kind', async () => {
    for (const own of [
      { bill_date: '20260230' },
      { bill_date: '20260101', bill_type: 'EVERYTHING' },
    ] as Fields[]) {
      expect((await download('/pay/downloadbill', own)).toString('utf8')).toMatch(
        /return_msg><!\[CDATA\[(data format error|invalid bill_type)/,
      );
    }
  });
});

describe('the fund flow', () => {
  it('follows every movement with the balance after it', async () => {
    const { bill_date } = await aDay();
    await toMorningAfter(w, bill_date);
    const own = { bill_date, account_type: 'Basic' };
    const { rows, summary } = rowsOf(
      (await download('/pay/downloadfundflow', own, 'HMAC-SHA256')).toString('utf8'),
    );
    expect(rows.map((r) => [r.业务名称, r.收支类型, r['收支金额(元)'], r['账户结余(元)']])).toEqual([
      ['交易', '收入', '12.88', '12.88'],
      ['扣除交易手续费', '支出', '0.08', '12.80'],
      ['交易', '收入', '10.00', '22.80'],
      ['扣除交易手续费', '支出', '0.06', '22.74'],
      ['退款', '支出', '2.86', '19.88'],
    ]);
    expect(summary).toEqual({
      资金流水总笔数: '5',
      收入笔数: '2',
      收入金额: '22.88',
      支出笔数: '3',
      支出金额: '3.00',
    });
  });

  it('is signed with HMAC-SHA256 or not heard', async () => {
    const text = (
      await download('/pay/downloadfundflow', { bill_date: '20260101', account_type: 'Basic' })
    ).toString();
    expect(text).toContain('签名错误');
  });

  it('wants the client certificate', async () => {
    const strict = await openWorld();
    const own = { bill_date: '20260101', account_type: 'Basic' };
    const answer = await strict.call('/pay/downloadfundflow', own, { sign_type: 'HMAC-SHA256' });
    expect(answer.fields.err_code).toBe('CERT_ERROR');
    await strict.close();
  });
});
