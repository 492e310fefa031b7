// NATIVE: a code is scanned and paid; mode 1 asks the merchant first, and its short links lead to the same.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openWorldV3, type WorldV3 } from './merchant_v3.ts';
import { type Fields, fromXml, sign, toXml } from './world.ts';

let w: WorldV3;
beforeAll(async () => {
  w = await openWorldV3();
});
afterAll(() => w.close());
afterEach(async () => {
  await w.control('POST', 'reset');
  w.sink.arrivals.length = 0;
  w.sink.answer = () => ({ status: 204, body: '' });
});

const native = (own: Fields = {}) => ({ trade_type: 'NATIVE', product_id: '88888', openid: '', ...own });

describe('a code of one order', () => {
  it('is paid by whoever scans it, once, and only for two hours', async () => {
    const { code_url = '', out_trade_no } = await w.place(native());
    expect(code_url).toMatch(/^weixin:\/\/wxpay\/bizpayurl\?pr=\w{9}$/);
    const paid = await w.pay({ code_url, openid: w.other.openid });
    expect(paid.body).toMatchObject({ trade_state: 'SUCCESS', out_trade_no, openid: w.other.openid });
    expect((await w.pay({ code_url })).body.code).toBe('ORDERPAID');
    const old = await w.place(native());
    await w.advance(7201);
    expect((await w.pay({ code_url: old.code_url })).body.message).toBe('支付请求已失效，请重新发起支付');
  });

  it('comes from API v3 the same way', async () => {
    const { payer: _nobody, ...body } = w.order3();
    const placed = await w.call3('POST', '/v3/pay/transactions/native', body);
    expect(placed.status).toBe(200);
    const paid = await w.pay({ code_url: placed.body.code_url });
    expect(paid.body).toMatchObject({ trade_state: 'SUCCESS', out_trade_no: body.out_trade_no });
    await w.settle();
    expect((await w.query3(body.out_trade_no)).body).toMatchObject({
      trade_type: 'NATIVE',
      trade_state: 'SUCCESS',
    });
  });
});

/** A mode 1 code as a merchant prints it. */
function link(own: Fields = {}): string {
  const fields: Fields = {
    appid: w.merchant.appid,
    mch_id: w.merchant.mch_id,
    product_id: '苹果 5斤',
    time_stamp: String(Math.floor(Date.now() / 1000)),
    nonce_str: 'abc123',
    ...own,
  };
  fields.sign = own.sign ?? sign(fields, w.merchant.api_v2_key);
  return `weixin://wxpay/bizpayurl?${Object.entries(fields)
    .map(([k, v]) => `${k}=${encodeURIComponent(v)}`)
    .join('&')}`;
}

/** The merchant behind the callback: places an order for the scan and answers as told. */
async function merchantAnswers(how: (answer: Fields, asked: Fields) => void = () => {}) {
  await w.control('PUT', 'merchant', { native_callback_url: w.sink.url });
  w.sink.answer = async ({ fields }) => {
    const { prepay_id } = await w.place(native({ product_id: '88888', notify_url: 'http://127.0.0.1:9/n' }));
    const answer: Fields = {
      return_code: 'SUCCESS',
      appid: w.merchant.appid,
      mch_id: w.merchant.mch_id,
      nonce_str: 'xyz',
      prepay_id,
      result_code: 'SUCCESS',
    };
    how(answer, fields);
    answer.sign ??= sign(answer, w.merchant.api_v2_key);
    return { body: toXml(answer) };
  };
}

describe('a code of mode 1', () => {
  it('asks the merchant who scanned what, and pays the order it answers', async () => {
    await merchantAnswers();
    const paid = await w.pay({ code_url: link(), openid: w.other.openid });
    expect(paid.body).toMatchObject({ trade_state: 'SUCCESS', openid: w.other.openid });
    const [asked] = w.sink.arrivals;
    expect(asked?.fields).toMatchObject({
      openid: w.other.openid,
      product_id: '苹果 5斤',
      mch_id: w.merchant.mch_id,
      is_subscribe: 'Y',
    });
    expect(w.verifies(asked?.fields ?? {})).toBe(true);
  });

  const wrongLinks: [string, Fields][] = [
    ['a wrong signature', { sign: '0'.repeat(32) }],
    ['milliseconds for seconds', { time_stamp: '1414488825000' }],
    ['an appid of somebody else', { appid: 'wx0000000000000000' }],
  ];
  it.each(wrongLinks)('with %s says 原生支付URL参数错误', async (_what, own) => {
    await merchantAnswers();
    const refused = await w.pay({ code_url: link(own) });
    expect(refused).toMatchObject({ status: 400, body: { message: '原生支付URL参数错误' } });
    expect(w.sink.arrivals).toHaveLength(0);
  });

  const wrongAnswers: [string, (a: Fields) => void, RegExp][] = [
    ['unsigned', (a) => Object.assign(a, { sign: 'F'.repeat(32) }), /有误/],
    ['about an unknown prepay_id', (a) => Object.assign(a, { prepay_id: 'wx1' }), /订单不存在/],
    ['for another merchant', (a) => Object.assign(a, { mch_id: '1999999999' }), /有误/],
    ['FAIL', (a) => Object.assign(a, { result_code: 'FAIL', err_code_des: '此商品已下架' }), /此商品已下架/],
    ['return_code FAIL', (a) => Object.assign(a, { return_code: 'FAIL' }), /有误/],
  ];
  it.each(wrongAnswers)('is not paid when the merchant answers %s', async (_what, how, said) => {
    await merchantAnswers(how);
    const refused = await w.pay({ code_url: link() });
    expect(refused.status).toBeGreaterThanOrEqual(400);
    expect(refused.body.message).toMatch(said);
    expect((await w.control('GET', 'ledger')).body.paid_fen).toBe(0);
  });

  it('is not paid while the console names no address', async () => {
    expect((await w.pay({ code_url: link() })).body.message).toMatch(/有误/);
  });

  it('has a short link that leads to the same, and only such codes have', async () => {
    await merchantAnswers();
    const long_url = link();
    const answer = await w.call('/tools/shorturl', { long_url });
    expect(answer.fields).toMatchObject({ return_code: 'SUCCESS', result_code: 'SUCCESS' });
    expect(w.verifies(fromXml(answer.text))).toBe(true);
    expect(answer.fields.short_url).toMatch(/^weixin:\/\/wxpay\/s\/\w+$/);
    expect((await w.pay({ code_url: answer.fields.short_url })).body.trade_state).toBe('SUCCESS');
    const other = await w.call('/tools/shorturl', { long_url: 'https://example.com/' });
    expect(other.fields.err_code).toBe('PARAM_ERROR');
    expect((await w.pay({ code_url: 'weixin://wxpay/s/nothing' })).status).toBe(400);
  });
});
