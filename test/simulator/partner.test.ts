// A service provider acts for its merchants, over API v2 and v3: who may be named, whose money it is, what queries,
// notifications, refunds and bills say.

import { sign as rsaSign } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { identityOf, postSecurely } from './merchant_tls.ts';
import { openSealed, openWorldV3, type WorldV3 } from './merchant_v3.ts';
import { type Fields, sign, toXml } from './world.ts';

const SUB = '1900000301';
const PLAIN = '1900000302';
const NARROW = '1900000303';

let w: WorldV3;
let sub_appid = '';
let sp_openid = '';
let sub_openid = '';
beforeAll(async () => {
  w = await openWorldV3({}, '1900000300');
  sub_appid = w.merchant.sub_merchants?.[0]?.sub_appids[0] ?? '';
  sp_openid = w.user.openids[w.merchant.appid] ?? '';
  sub_openid = w.user.openids[sub_appid] ?? '';
});
afterAll(() => w.close());
afterEach(async () => {
  await w.control('POST', 'reset');
  w.sink.arrivals.length = 0;
  w.sink.answer = () => ({ status: 204, body: '' });
});

const v2 = (own: Fields = {}): Fields => ({ sub_mch_id: SUB, openid: sp_openid, ...own });
const ACCEPT = '<xml><return_code>SUCCESS</return_code></xml>';

async function balances() {
  const { merchants } = (await w.control('GET', 'ledger')).body;
  const of = (mch_id: string, sub?: string) =>
    merchants.find((m) => m.mch_id === mch_id && m.sub_mch_id === sub)?.balance_fen;
  return { provider: of(w.merchant.mch_id), sub: of(w.merchant.mch_id, SUB) };
}

it('the configuration names provider, sub-merchants and their accounts', () => {
  expect(w.merchant.sub_mch_id).toBe(SUB);
  expect(w.merchant.sub_merchants?.map((s) => s.sub_mch_id)).toEqual([SUB, PLAIN, NARROW]);
  expect([sub_appid, sp_openid, sub_openid].every((id) => id !== '')).toBe(true);
});

describe('API v2', () => {
  it('takes an order for a sub-merchant, whose money it is, and echoes the parties in a signed answer', async () => {
    w.sink.answer = () => ({ body: ACCEPT });
    const fields = w.order(v2({ sub_appid, openid: '', sub_openid }));
    const placed = await w.call('/pay/unifiedorder', fields);
    expect(placed.fields).toMatchObject({ result_code: 'SUCCESS', sub_mch_id: SUB, sub_appid });
    expect(w.verifies(placed.fields)).toBe(true);
    await w.pay({ out_trade_no: fields.out_trade_no });
    await w.settle();
    expect(await balances()).toEqual({ provider: 0, sub: 1288 });
    const [told] = w.sink.arrivals;
    expect(told?.fields).toMatchObject({
      mch_id: w.merchant.mch_id,
      sub_mch_id: SUB,
      sub_appid,
      openid: sp_openid,
      sub_openid,
      sub_is_subscribe: 'N',
    });
    expect(w.verifies(told?.fields ?? {})).toBe(true);
    const query = await w.call('/pay/orderquery', {
      sub_mch_id: SUB,
      sub_appid,
      out_trade_no: fields.out_trade_no ?? '',
    });
    expect(query.fields).toMatchObject({ trade_state: 'SUCCESS', sub_mch_id: SUB, sub_openid });
  });

  it('serves a sub-merchant without an account of its own under the provider’s openid', async () => {
    const { out_trade_no } = await w.place(v2({ sub_mch_id: PLAIN }));
    expect((await w.pay({ out_trade_no })).body).toMatchObject({ trade_state: 'SUCCESS' });
  });

  const wrong: [string, () => Fields, RegExp][] = [
    ['without a sub-merchant', () => v2({ sub_mch_id: '' }), /商户号mch_id或sub_mch_id不存在/],
    ['for one nobody has', () => v2({ sub_mch_id: '1999999999' }), /商户号mch_id或sub_mch_id不存在/],
    ['for one it does not serve', () => v2({ sub_mch_id: '1900000109' }), /受理关系不存在/],
    [
      'with an account that is not bound',
      () => v2({ sub_appid: w.merchant.appid }),
      /sub_mch_id与sub_appid不匹配/,
    ],
    ['with a sub_openid and no sub_appid', () => v2({ openid: '', sub_openid }), /缺少参数：sub_appid/],
    ['with nobody to pay', () => v2({ openid: '' }), /JSAPI支付必须传openid/],
    ['with an openid of another appid', () => v2({ openid: w.user.openid }), /appid and openid not match/],
    [
      'of a product it has not opened',
      () => v2({ sub_mch_id: NARROW, trade_type: 'NATIVE', product_id: '1' }),
      /商户无此接口权限/,
    ],
  ];
  it.each(wrong)('refuses an order %s', async (_what, own, said) => {
    const { fields } = await w.call('/pay/unifiedorder', w.order(own()));
    expect(fields.err_code_des ?? fields.return_msg).toMatch(said);
    expect((await w.lastLog()).why).not.toBe('');
  });

  it('is no way for an ordinary merchant', async () => {
    const [first] = w.config.merchants;
    const own = { mch_id: first?.mch_id ?? '', appid: first?.appid ?? '', openid: w.user.openid };
    const fields = w.order({ ...own, sub_mch_id: SUB });
    const answer = await w.call('/pay/unifiedorder', fields, { key: first?.api_v2_key ?? '' });
    expect(answer.fields).toMatchObject({ err_code: 'INVALID_REQUEST', err_code_des: '受理关系不存在' });
  });

  it('hides an order from the provider’s other merchants', async () => {
    const { out_trade_no } = await w.place(v2());
    const other = { sub_mch_id: PLAIN, out_trade_no };
    expect((await w.call('/pay/orderquery', other)).fields.err_code).toBe('ORDERNOTEXIST');
    expect((await w.call('/pay/closeorder', other)).fields.err_code).toBe('ORDERNOTEXIST');
    const closed = await w.call('/pay/closeorder', { sub_mch_id: SUB, out_trade_no });
    expect(closed.fields.result_code).toBe('SUCCESS');
  });

  it('refunds from the sub-merchant’s money, and fills 特约商户号 in the provider’s bill', async () => {
    const { out_trade_no } = await w.place(v2());
    const plain = await w.place(v2({ sub_mch_id: PLAIN }));
    await w.pay({ out_trade_no });
    await w.pay({ out_trade_no: plain.out_trade_no });
    const fields: Fields = {
      appid: w.merchant.appid,
      mch_id: w.merchant.mch_id,
      nonce_str: 'n',
      sub_mch_id: SUB,
      out_trade_no,
      out_refund_no: 'R1',
      total_fee: '1288',
      refund_fee: '288',
    };
    fields.sign = sign(fields, w.merchant.api_v2_key);
    const url = `${w.config.tls_url}/secapi/pay/refund`;
    const answer = await postSecurely(url, toXml(fields), w.config.ca_pem, identityOf(w));
    expect(answer.fields).toMatchObject({ result_code: 'SUCCESS', sub_mch_id: SUB });
    await w.advance(10);
    expect(await balances()).toEqual({ provider: 0, sub: 1000 });
    const query = (sub_mch_id: string) => w.call('/pay/refundquery', { sub_mch_id, out_refund_no: 'R1' });
    expect((await query(SUB)).fields.refund_status_0).toBe('SUCCESS');
    expect((await query(PLAIN)).fields.err_code).toBe('REFUNDNOTEXIST');
    const day = (await w.control('GET', 'clock')).body.now.slice(0, 10).replaceAll('-', '');
    await w.advance(2 * 86400);
    const bill = async (own: Fields) =>
      (await w.call('/pay/downloadbill', { bill_date: day, bill_type: 'ALL', ...own })).text.split('\r\n');
    const subs = (lines: string[]) =>
      lines
        .map((l) => l.split(',`'))
        .filter((cells) => cells.length > 20)
        .map((cells) => cells[3])
        .sort();
    expect(subs(await bill({}))).toEqual([SUB, SUB, PLAIN]);
    expect(subs(await bill({ sub_mch_id: SUB }))).toEqual([SUB, SUB]);
  });

  it('charges payment codes for a sub-merchant that has opened them', async () => {
    const { auth_code } = (await w.control('POST', 'payment_code', {})).body as unknown as {
      auth_code: string;
    };
    const { openid: _openid, notify_url: _url, trade_type: _type, ...goods } = w.order(v2({ auth_code }));
    const paid = await w.call('/pay/micropay', goods);
    expect(paid.fields).toMatchObject({ result_code: 'SUCCESS', sub_mch_id: SUB, openid: sp_openid });
    expect(await balances()).toEqual({ provider: 0, sub: 1288 });
  });
});

it('sends a red packet from the sub-merchant’s money, or from its own when it says so', async () => {
  const send = async (own: Fields) => {
    const fields: Fields = {
      mch_id: w.merchant.mch_id,
      nonce_str: 'n',
      sub_mch_id: SUB,
      wxappid: w.merchant.appid,
      send_name: '柜台',
      re_openid: sp_openid,
      total_amount: '100',
      total_num: '1',
      wishing: '恭喜发财',
      client_ip: '127.0.0.1',
      act_name: '开业',
      remark: '谢谢',
      ...own,
    };
    fields.sign = sign(fields, w.merchant.api_v2_key);
    const url = `${w.config.tls_url}/mmpaymkttransfers/sendredpack`;
    return (await postSecurely(url, toXml(fields), w.config.ca_pem, identityOf(w))).fields;
  };
  expect((await send({ mch_billno: 'B1' })).err_code).toBe('NOTENOUGH');
  const { out_trade_no } = await w.place(v2());
  await w.pay({ out_trade_no });
  expect((await send({ mch_billno: 'B1' })).result_code).toBe('SUCCESS');
  expect(await balances()).toEqual({ provider: 0, sub: 1188 });
  const own = { mch_billno: 'B2', consume_mch_id: w.merchant.mch_id };
  expect((await send(own)).err_code).toBe('NOTENOUGH');
  expect((await send({ mch_billno: 'B3', sub_mch_id: PLAIN })).err_code).toBe('NO_AUTH');
});

describe('API v3', () => {
  const BASE = '/v3/pay/partner/transactions';
  const body = (own: Record<string, unknown> = {}) => ({
    sp_appid: w.merchant.appid,
    sp_mchid: w.merchant.mch_id,
    sub_mchid: SUB,
    description: '柜台-苹果',
    out_trade_no: w.newNumber(),
    notify_url: w.sink.url,
    amount: { total: 1288, currency: 'CNY' },
    payer: { sp_openid },
    ...own,
  });
  const place = async (own: Record<string, unknown> = {}) => {
    const sent = body(own);
    return { sent, answer: await w.call3('POST', `${BASE}/jsapi`, sent) };
  };
  const query = (out_trade_no: string, sub = SUB) =>
    w.call3('GET', `${BASE}/out-trade-no/${out_trade_no}?sp_mchid=${w.merchant.mch_id}&sub_mchid=${sub}`);

  it('takes an order, notifies and answers with sp_ and sub_ members', async () => {
    const { sent, answer } = await place({ sub_appid, payer: { sub_openid } });
    expect(answer.status).toBe(200);
    await w.pay({ prepay_id: answer.body.prepay_id });
    await w.settle();
    const said = {
      sp_mchid: w.merchant.mch_id,
      sp_appid: w.merchant.appid,
      sub_mchid: SUB,
      sub_appid,
      trade_state: 'SUCCESS',
      payer: { sp_openid, sub_openid },
    };
    const found = await query(sent.out_trade_no);
    expect(found.body).toMatchObject(said);
    expect(found.body).not.toHaveProperty('mchid');
    const { resource } = JSON.parse(w.sink.arrivals[0]?.raw ?? '{}');
    expect(JSON.parse(openSealed(w, resource))).toMatchObject(said);
    expect(await balances()).toEqual({ provider: 0, sub: 1288 });
    expect((await query(sent.out_trade_no, PLAIN)).status).toBe(404);
  });

  it.each(['native', 'app', 'h5'])('places %s orders too', async (way) => {
    const { payer: _nobody, ...sent } = body(
      way === 'h5' ? { scene_info: { payer_client_ip: '127.0.0.1', h5_info: { type: 'Wap' } } } : {},
    );
    expect((await w.call3('POST', `${BASE}/${way}`, sent)).status).toBe(200);
  });

  const wrong: [string, () => Record<string, unknown>, number, string, RegExp][] = [
    ['one nobody has', () => ({ sub_mchid: '1999999999' }), 400, 'MCH_NOT_EXISTS', /商户号不存在/],
    ['one it does not serve', () => ({ sub_mchid: '1900000109' }), 400, 'INVALID_REQUEST', /受理关系不存在/],
    ['a plain openid', () => ({ payer: { openid: sp_openid } }), 400, 'PARAM_ERROR', /未在API文档中定义/],
    ['nobody to pay', () => ({ payer: {} }), 400, 'PARAM_ERROR', /二选一/],
    ['a sub_openid alone', () => ({ payer: { sub_openid } }), 400, 'PARAM_ERROR', /sub_appid/],
    [
      'a foreign sub_appid',
      () => ({ sub_appid: w.merchant.appid }),
      400,
      'APPID_MCHID_NOT_MATCH',
      /sub_appid不匹配/,
    ],
  ];
  it.each(wrong)('refuses an order for %s', async (_what, own, status, code, said) => {
    const { answer } = await place(own());
    expect(answer).toMatchObject({ status, body: { code } });
    expect(answer.body.message).toMatch(said);
  });

  it('closes, charges a payment code and reverses', async () => {
    const { sent } = await place();
    const who = { sp_mchid: w.merchant.mch_id, sub_mchid: SUB };
    expect((await w.call3('POST', `${BASE}/out-trade-no/${sent.out_trade_no}/close`, who)).status).toBe(204);
    const { auth_code } = (await w.control('POST', 'payment_code', {})).body as unknown as {
      auth_code: string;
    };
    const { notify_url: _url, payer: _payer, ...goods } = body();
    const code = { ...goods, payer: { auth_code }, scene_info: { store_info: { id: '1' } } };
    const paid = await w.call3('POST', `${BASE}/codepay`, code);
    expect(paid.body).toMatchObject({ trade_type: 'MICROPAY', sub_mchid: SUB });
    const target = `${BASE}/out-trade-no/${code.out_trade_no}/reverse`;
    const reversed = await w.call3('POST', target, { sp_appid: w.merchant.appid, ...who });
    expect(reversed.body).toMatchObject({ sub_mchid: SUB, out_trade_no: code.out_trade_no });
    expect((await query(code.out_trade_no)).body.trade_state).toBe('REVOKED');
  });

  it('refunds with sub_mchid, tells sp_mchid and sub_mchid, and gives one sub-merchant’s bill', async () => {
    const { sent } = await place();
    await w.pay({ out_trade_no: sent.out_trade_no });
    const refund = {
      out_trade_no: sent.out_trade_no,
      out_refund_no: 'R1',
      notify_url: w.sink.url,
      amount: { refund: 288, total: 1288, currency: 'CNY' },
    };
    const apply = (own: object) => w.call3('POST', '/v3/refund/domestic/refunds', { ...refund, ...own });
    expect((await apply({})).status).toBe(400);
    expect((await apply({ sub_mchid: PLAIN })).status).toBe(404);
    expect((await apply({ sub_mchid: SUB })).status).toBe(200);
    await w.advance(10);
    const asked = await w.call3('GET', `/v3/refund/domestic/refunds/R1?sub_mchid=${SUB}`);
    expect(asked.body.status).toBe('SUCCESS');
    const { resource } = JSON.parse(w.sink.arrivals.at(-1)?.raw ?? '{}');
    const told = JSON.parse(openSealed(w, resource));
    expect(told).toMatchObject({ sp_mchid: w.merchant.mch_id, sub_mchid: SUB, refund_status: 'SUCCESS' });
    expect(await balances()).toEqual({ provider: 0, sub: 1000 });
    const day = (await w.control('GET', 'clock')).body.now.slice(0, 10);
    await w.advance(2 * 86400);
    const bill = (sub: string) => w.call3('GET', `/v3/bill/tradebill?bill_date=${day}&sub_mchid=${sub}`);
    expect((await bill(SUB)).status).toBe(200);
    expect((await bill(PLAIN)).body.code).toBe('NO_STATEMENT_EXIST');
  });
});

it.each([
  ['a page in the sub-merchant’s account', () => ({ openid: '', sub_openid }), () => sub_appid],
  ['a page in the provider’s account', () => ({ openid: sp_openid }), () => w.merchant.appid],
])('%s starts the payment with its own appid alone', async (_where, payer, own) => {
  const { prepay_id } = await w.place(v2({ sub_appid, ...payer() }));
  await w.control('PUT', 'shop', { origin: 'http://127.0.0.1:3000' });
  const invoked = async (appId: string) => {
    const params: Fields = {
      appId,
      timeStamp: String(Math.floor(Date.now() / 1000)),
      nonceStr: 'n',
      package: `prepay_id=${prepay_id}`,
      signType: 'MD5',
    };
    params.paySign = sign(params, w.merchant.api_v2_key);
    const { body } = await w.control('POST', 'bridge/invoke', {
      method: 'getBrandWCPayRequest',
      params,
      page_url: 'http://127.0.0.1:3000/pay/1',
      openid: w.user.openid,
    });
    return body;
  };
  const [another = ''] = [sub_appid, w.merchant.appid].filter((appid) => appid !== own());
  expect(await invoked(another)).toMatchObject({ err_msg: '调用支付JSAPI缺少参数: total_fee' });
  expect(await invoked(own())).toMatchObject({
    sheet: { total_fen: 1288, merchant: '特约商户甲（有自己的公众号）' },
  });
});

it('an app signs for the sub-merchant with the provider’s key', async () => {
  const { payer: _nobody, ...rest } = {
    sp_appid: w.merchant.appid,
    sp_mchid: w.merchant.mch_id,
    sub_mchid: SUB,
    sub_appid,
    description: 'x',
    out_trade_no: w.newNumber(),
    notify_url: w.sink.url,
    amount: { total: 1 },
    payer: undefined,
  };
  const { body } = await w.call3('POST', '/v3/pay/partner/transactions/app', rest);
  const p = { appid: sub_appid, timestamp: '1412000000', noncestr: 'n', prepayid: String(body.prepay_id) };
  const lines = `${p.appid}\n${p.timestamp}\n${p.noncestr}\n${p.prepayid}\n`;
  const signature = rsaSign('sha256', Buffer.from(lines), w.merchant.merchant_key_pem).toString('base64');
  const paid = await w.control('POST', 'app_pay', {
    ...p,
    partnerid: SUB,
    package: 'Sign=WXPay',
    sign: signature,
  });
  expect(paid.body).toMatchObject({ errCode: 0, trade_state: 'SUCCESS' });
});
