// Payment codes at a counter: which codes are good, who is asked for the password, what a query says meanwhile, and
// how a charge is reversed. Over API v2 and v3, and by face.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { identityOf, postSecurely } from './merchant_tls.ts';
import { openWorldV3, type WorldV3 } from './merchant_v3.ts';
import { type Fields, type SignType, sign, toXml } from './world.ts';

let w: WorldV3;
beforeAll(async () => {
  w = await openWorldV3();
});
afterAll(() => w.close());
afterEach(async () => {
  await w.control('POST', 'reset');
});

type Shown = { auth_code: string; face_code: string; openid: string };
const show = async (own: Record<string, unknown> = {}, what = 'payment_code') =>
  (await w.control('POST', what, own)).body as unknown as Shown;

const goods = (own: Fields = {}): Fields => ({
  body: '柜台-苹果',
  out_trade_no: w.newNumber(),
  total_fee: '1288',
  spbill_create_ip: '127.0.0.1',
  ...own,
});

async function micropay(own: Fields = {}, code?: string): Promise<Fields & { out_trade_no: string }> {
  const fields = goods({ auth_code: code ?? (await show()).auth_code, ...own });
  const answer = await w.call('/pay/micropay', fields);
  return { ...answer.fields, out_trade_no: fields.out_trade_no ?? '' };
}

async function reverse(own: Fields, path = '/secapi/pay/reverse', sign_type: SignType = 'MD5') {
  const fields: Fields = {
    appid: w.merchant.appid,
    mch_id: w.merchant.mch_id,
    nonce_str: 'n',
    ...(sign_type === 'MD5' ? {} : { sign_type }),
    ...own,
  };
  fields.sign = sign(fields, w.merchant.api_v2_key, sign_type);
  const url = w.config.tls_url + path;
  return (await postSecurely(url, toXml(fields), w.config.ca_pem, identityOf(w))).fields;
}

const password = (out_trade_no: string, answer: string) =>
  w.control('POST', 'password', { out_trade_no, answer });
const state = async (out_trade_no: string) => (await w.query(out_trade_no)).fields.trade_state;
const purses = async () => {
  const { users, merchants } = (await w.control('GET', 'ledger')).body;
  return [...users, ...merchants].reduce((sum, p) => sum + p.balance_fen, 0);
};

describe('a small amount', () => {
  it('is paid at once, answered like a query, and told to nobody', async () => {
    const before = await purses();
    const paid = await micropay();
    expect(paid).toMatchObject({ result_code: 'SUCCESS', trade_type: 'MICROPAY', total_fee: '1288' });
    expect(paid).toMatchObject({ openid: w.user.openid, cash_fee: '1288' });
    expect(paid.transaction_id).toMatch(/^42000\d{23}$/);
    expect((await w.query(paid.out_trade_no)).fields).toMatchObject({
      trade_state: 'SUCCESS',
      transaction_id: paid.transaction_id,
    });
    expect((await w.control('GET', 'notifications')).body.notifications).toEqual([]);
    expect(await purses()).toBe(before);
  });

  it('answers signed with HMAC-SHA256 when asked so', async () => {
    const fields = goods({ auth_code: (await show()).auth_code });
    const answer = await w.call('/pay/micropay', fields, { sign_type: 'HMAC-SHA256' });
    expect(w.verifies(answer.fields, 'HMAC-SHA256')).toBe(true);
  });
});

describe('a code', () => {
  it('has 18 digits beginning with 10 to 15, is good once and for a minute', async () => {
    const { auth_code } = await show();
    expect(auth_code).toMatch(/^1[0-5]\d{16}$/);
    expect((await micropay({}, auth_code)).result_code).toBe('SUCCESS');
    expect((await micropay({}, auth_code)).err_code).toBe('AUTH_CODE_ERROR');
    const late = await show();
    await w.advance(61);
    expect((await micropay({}, late.auth_code)).err_code).toBe('AUTHCODEEXPIRE');
  });

  it.each(['160000000000000000', '12345', '100000000000000000'])(
    '%s is no code of a phone here',
    async (code) => {
      expect((await micropay({}, code)).err_code).toBe('AUTH_CODE_INVALID');
    },
  );

  it('tells its openid, and then only that merchant may charge it', async () => {
    const { auth_code } = await show({ openid: w.other.openid });
    const told = await w.call('/tools/authcodetoopenid', { auth_code });
    expect(told.fields).toMatchObject({ result_code: 'SUCCESS', openid: w.other.openid });
    expect(w.verifies(told.fields)).toBe(true);
    expect((await micropay({}, auth_code)).result_code).toBe('SUCCESS');
    const used = await w.call('/tools/authcodetoopenid', { auth_code });
    expect(used.fields.err_code).toBe('AUTH_CODE_ERROR');
  });
});

describe('a number that comes again', () => {
  it('is refused once paid, with other content, with another payer, or reversed', async () => {
    const paid = await micropay();
    const again = await micropay({ out_trade_no: paid.out_trade_no });
    expect(again.err_code).toBe('ORDERPAID');
    const poor = await show({ openid: w.poor.openid });
    const short = await micropay({}, poor.auth_code);
    expect(short.err_code).toBe('NOTENOUGH');
    expect(await state(short.out_trade_no)).toBe('NOTPAY');
    const number = { out_trade_no: short.out_trade_no };
    expect((await micropay({ ...number, total_fee: '1' })).err_code).toBe('OUT_TRADE_NO_USED');
    expect((await micropay(number)).err_code).toBe('BUYER_MISMATCH');
    expect(await reverse(number)).toMatchObject({ result_code: 'SUCCESS', recall: 'N' });
    expect((await micropay(number)).err_code).toBe('ORDERREVERSED');
  });
});

describe('a request', () => {
  const wrong: [string, Fields, string][] = [
    ['without a code', { auth_code: '' }, '缺少参数：auth_code'],
    ['without an amount', { total_fee: '' }, '缺少参数：total_fee'],
    ['with a decimal amount', { total_fee: '12.88' }, 'invalid total_fee'],
  ];
  it.each(wrong)('%s is refused at level 1', async (_what, own, said) => {
    const answer = await micropay(own);
    expect([answer.return_code, answer.return_msg, answer.sign]).toEqual(['FAIL', said, undefined]);
  });

  it('with a wrong signature says 签名错误', async () => {
    const fields = goods({ auth_code: (await show()).auth_code });
    const answer = await w.call('/pay/micropay', { ...fields, sign: 'F'.repeat(32) });
    expect(answer.fields).toMatchObject({ return_code: 'FAIL', return_msg: '签名错误' });
  });

  it('of a merchant that has not opened the product says NOAUTH', async () => {
    await w.control('PUT', 'merchant', { products: ['JSAPI'] });
    expect((await micropay()).err_code).toBe('NOAUTH');
    expect((await w.lastLog()).why).toContain('has not opened MICROPAY');
  });
});

describe('a large amount', () => {
  const asked = async (own: Fields = {}) => micropay({ total_fee: '100001', ...own });

  it('is USERPAYING until the payer confirms', async () => {
    const charge = await asked();
    expect(charge).toMatchObject({ result_code: 'FAIL', err_code: 'USERPAYING' });
    expect(await state(charge.out_trade_no)).toBe('USERPAYING');
    expect((await password(charge.out_trade_no, 'confirm')).body.trade_state).toBe('SUCCESS');
    expect(await state(charge.out_trade_no)).toBe('SUCCESS');
  });

  it('is NOTPAY when the payer refuses or lets it lapse, PAYERROR when the bank does', async () => {
    const refused = await asked();
    await password(refused.out_trade_no, 'refuse');
    expect(await state(refused.out_trade_no)).toBe('NOTPAY');
    expect((await w.pay({ out_trade_no: refused.out_trade_no })).status).toBe(400);
    const lapsed = await asked();
    await w.advance(91);
    expect(await state(lapsed.out_trade_no)).toBe('NOTPAY');
    const failed = await asked();
    await password(failed.out_trade_no, 'fail');
    expect(await state(failed.out_trade_no)).toBe('PAYERROR');
  });

  it('fails when the balance is short at the password', async () => {
    const { auth_code } = await show({ openid: w.poor.openid, password: true });
    const charge = await micropay({}, auth_code);
    expect((await password(charge.out_trade_no, 'confirm')).body.code).toBe('NOTENOUGH');
    expect(await state(charge.out_trade_no)).toBe('PAYERROR');
  });

  it('cannot be confirmed any more once it is reversed, nor closed at all', async () => {
    const charge = await asked();
    const closed = await w.call('/pay/closeorder', { out_trade_no: charge.out_trade_no });
    expect(closed.fields.err_code).toBe('TRADE_STATE_ERROR');
    expect(await reverse({ out_trade_no: charge.out_trade_no })).toMatchObject({ recall: 'N' });
    expect((await password(charge.out_trade_no, 'confirm')).body.code).toBe('ORDERREVERSED');
    expect(await state(charge.out_trade_no)).toBe('REVOKED');
  });

  it('asks or does not ask as the code was made, whatever the amount', async () => {
    const never = await show({ password: false });
    expect((await micropay({ total_fee: '100001' }, never.auth_code)).result_code).toBe('SUCCESS');
    const always = await show({ password: true });
    expect((await micropay({ total_fee: '1' }, always.auth_code)).err_code).toBe('USERPAYING');
  });
});

describe('a reversal', () => {
  it('wants the client certificate', async () => {
    const { out_trade_no } = await micropay();
    const plain = await w.call('/secapi/pay/reverse', { out_trade_no });
    expect(plain.fields.err_code).toBe('CERT_ERROR');
    expect(await state(out_trade_no)).toBe('SUCCESS');
  });

  it('gives a paid amount back whole, once, and the order cannot be refunded besides', async () => {
    const before = (await w.control('GET', 'ledger')).body.users[0]?.balance_fen;
    const sum = await purses();
    const { out_trade_no, transaction_id = '' } = await micropay();
    expect(await reverse({ transaction_id })).toMatchObject({ result_code: 'SUCCESS', recall: 'N' });
    expect(await reverse({ out_trade_no })).toMatchObject({ result_code: 'SUCCESS', recall: 'N' });
    expect(await state(out_trade_no)).toBe('REVOKED');
    expect((await w.control('GET', 'ledger')).body.users[0]?.balance_fen).toBe(before);
    expect(await purses()).toBe(sum);
    const refund = await w.control('POST', 'refund', { out_trade_no });
    expect(refund.body.code).toBe('ORDERNOTEXIST');
  });

  it('is refused for other orders, unknown ones, refunded ones and after seven days', async () => {
    const jsapi = await w.place();
    expect(await reverse({ out_trade_no: jsapi.out_trade_no })).toMatchObject({
      err_code: 'INVALID_REQUEST',
    });
    expect(await reverse({ out_trade_no: 'NOBODY0001' })).toMatchObject({
      err_code: 'ORDERNOTEXIST',
      recall: 'N',
    });
    const old = await micropay();
    const refunded = await micropay();
    await w.control('POST', 'refund', { out_trade_no: refunded.out_trade_no, refund_fen: 1 });
    expect(await reverse({ out_trade_no: refunded.out_trade_no })).toMatchObject({ err_code: 'TRADE_ERROR' });
    await w.advance(7 * 86400 + 1);
    expect(await reverse({ out_trade_no: old.out_trade_no })).toMatchObject({ err_code: 'REVERSE_EXPIRE' });
  });

  it('stands in the bill beside its payment', async () => {
    const { out_trade_no } = await micropay();
    await reverse({ out_trade_no });
    const day = (await w.control('GET', 'clock')).body.now.slice(0, 10).replaceAll('-', '');
    await w.advance(2 * 86400);
    const bill = await w.call('/pay/downloadbill', { bill_date: day, bill_type: 'ALL' });
    const rows = bill.text.split('\r\n').filter((line) => line.includes(`\`${out_trade_no}`));
    expect(rows.map((row) => row.split(',`')[9]).sort()).toEqual(['REVOKED', 'SUCCESS']);
    expect(bill.text).toContain('`2,`12.88,`12.88,`0.00,`0.00000,`12.88,`12.88');
  });
});

function fault(name: string, what: string, run: () => Promise<void>): void {
  it(`${name}: ${what}`, run);
}

describe('faults of a counter', () => {
  it('micropay_answer_lost: the money is taken and a query finds it', async () => {
    await w.faults({ micropay_answer_lost: { times: 1 } });
    const out_trade_no = w.newNumber();
    await expect(micropay({ out_trade_no })).rejects.toThrow();
    expect(await state(out_trade_no)).toBe('SUCCESS');
  });

  it('micropay_system_error and _done: nothing, or all of it', async () => {
    await w.faults({ micropay_system_error: { times: 1 } });
    const nothing = await micropay();
    expect(nothing.err_code).toBe('SYSTEMERROR');
    expect((await w.query(nothing.out_trade_no)).fields.err_code).toBe('ORDERNOTEXIST');
    await w.faults({ micropay_system_error: false, micropay_system_error_done: { times: 1 } });
    const done = await micropay();
    expect([done.err_code, await state(done.out_trade_no)]).toEqual(['SYSTEMERROR', 'SUCCESS']);
  });

  fault('bank_error', 'unknown to the caller, unpaid or paid', async () => {
    await w.faults({ bank_error: { times: 1 } });
    const unpaid = await micropay();
    expect([unpaid.err_code, await state(unpaid.out_trade_no)]).toEqual(['BANKERROR', 'NOTPAY']);
    await w.faults({ bank_error: { times: 1, done: true } });
    const paid = await micropay();
    expect([paid.err_code, await state(paid.out_trade_no)]).toEqual(['BANKERROR', 'SUCCESS']);
  });

  fault('userpaying', 'even a small amount asks for the password', async () => {
    await w.faults({ userpaying: { times: 1 } });
    expect((await micropay()).err_code).toBe('USERPAYING');
  });

  fault('userpaying_forever', 'nothing ends it but a reversal', async () => {
    await w.faults({ userpaying_forever: { times: 1 } });
    const { out_trade_no } = await micropay();
    expect((await password(out_trade_no, 'confirm')).body.code).toBe('USERPAYING');
    await w.advance(3600);
    expect(await state(out_trade_no)).toBe('USERPAYING');
    await reverse({ out_trade_no });
    expect(await state(out_trade_no)).toBe('REVOKED');
  });

  fault('reverse_recall', 'SYSTEMERROR and recall Y, undone or done', async () => {
    const { out_trade_no } = await micropay();
    await w.faults({ reverse_recall: { times: 1 } });
    expect(await reverse({ out_trade_no })).toMatchObject({ err_code: 'SYSTEMERROR', recall: 'Y' });
    expect(await state(out_trade_no)).toBe('SUCCESS');
    await w.faults({ reverse_recall: { times: 1, done: true } });
    expect(await reverse({ out_trade_no })).toMatchObject({ recall: 'Y' });
    expect(await state(out_trade_no)).toBe('REVOKED');
  });

  it('reverse_system_error asks to be called again; reverse_answer_lost has reversed', async () => {
    const { out_trade_no } = await micropay();
    await w.faults({ reverse_system_error: { times: 1 } });
    expect(await reverse({ out_trade_no })).toMatchObject({ err_code: 'SYSTEMERROR', recall: 'Y' });
    await w.faults({ reverse_system_error: false, reverse_answer_lost: { times: 1 } });
    await expect(reverse({ out_trade_no })).rejects.toThrow();
    expect(await state(out_trade_no)).toBe('REVOKED');
  });
});

describe('API v3', () => {
  const body = (auth_code: string, own: Record<string, unknown> = {}) => ({
    appid: w.merchant.appid,
    mchid: w.merchant.mch_id,
    description: '柜台-苹果',
    out_trade_no: w.newNumber(),
    payer: { auth_code },
    amount: { total: 1288, currency: 'CNY' },
    scene_info: { device_ip: '127.0.0.1', store_info: { id: '1' } },
    ...own,
  });
  const codepay = async (own: Record<string, unknown> = {}, code?: string) => {
    const sent = body(code ?? (await show()).auth_code, own);
    return { sent, answer: await w.call3('POST', '/v3/pay/transactions/codepay', sent) };
  };

  it('answers a paid transaction, signed', async () => {
    const { sent, answer } = await codepay();
    expect(answer.body).toMatchObject({
      trade_type: 'MICROPAY',
      trade_state: 'SUCCESS',
      out_trade_no: sent.out_trade_no,
      payer: { openid: w.user.openid },
    });
    expect([answer.status, w.signer(answer)]).toEqual([200, 'public_key']);
  });

  it('answers 202 USERPAYING, and a reversal ends it in REVOKED', async () => {
    const { sent, answer } = await codepay({}, (await show({ password: true })).auth_code);
    expect(answer).toMatchObject({ status: 202, body: { code: 'USERPAYING' } });
    expect((await w.query3(sent.out_trade_no)).body.trade_state).toBe('USERPAYING');
    const target = `/v3/pay/transactions/out-trade-no/${sent.out_trade_no}/reverse`;
    const who = { appid: w.merchant.appid, mchid: w.merchant.mch_id };
    const reversed = await w.call3('POST', target, who);
    expect([reversed.status, reversed.body]).toEqual([200, { ...who, out_trade_no: sent.out_trade_no }]);
    expect((await w.query3(sent.out_trade_no)).body.trade_state).toBe('REVOKED');
    const again = await w.call3('POST', '/v3/pay/transactions/codepay', sent);
    expect(again).toMatchObject({ status: 400, body: { code: 'ORDER_REVERSED' } });
  });

  it('has its own names and statuses for bad codes', async () => {
    expect((await codepay({}, '99')).answer).toMatchObject({
      status: 400,
      body: { code: 'AUTH_CODE_INVALID' },
    });
    const late = (await show()).auth_code;
    await w.advance(61);
    expect((await codepay({}, late)).answer).toMatchObject({
      status: 403,
      body: { code: 'AUTH_CODE_EXPIRE' },
    });
    const notify = await codepay({ notify_url: w.sink.url });
    expect(notify.answer).toMatchObject({ status: 400, body: { code: 'PARAM_ERROR' } });
    const nobody = await w.call3('POST', '/v3/pay/transactions/out-trade-no/NOBODY0001/reverse', {
      appid: w.merchant.appid,
      mchid: w.merchant.mch_id,
    });
    expect(nobody).toMatchObject({ status: 404, body: { code: 'ORDER_NOT_EXIST' } });
  });
});

describe('a face', () => {
  const device: Fields = {
    store_id: '1',
    store_name: '柜台',
    device_id: 'D1',
    rawdata: 'cmF3ZGF0YQ==',
    now: String(Math.floor(Date.now() / 1000)),
    version: '1',
  };

  it('needs the device’s authinfo, which is given to a rightly signed request', async () => {
    const given = await w.call('/face/get_wxpayface_authinfo', device);
    expect(given.fields).toMatchObject({ return_code: 'SUCCESS', expires_in: '3600' });
    expect(given.fields.authinfo).not.toBe('');
    expect(w.verifies(given.fields)).toBe(true);
    const old = await w.call('/face/get_wxpayface_authinfo', { ...device, version: '2' });
    expect(old.fields.err_code).toBe('PARAM_ERROR');
  });

  const facepay = async (own: Fields = {}, how: SignType = 'HMAC-SHA256') => {
    const { face_code, openid } = await show({ openid: w.other.openid }, 'face_code');
    const fields = goods({ face_code, openid, ...own });
    return { fields, answer: (await w.call('/pay/facepay', fields, { sign_type: how })).fields };
  };

  it('pays with HMAC-SHA256 only, is queried and reversed at its own doors', async () => {
    expect((await facepay({}, 'MD5')).answer.return_msg).toBe('签名错误');
    const { fields, answer } = await facepay();
    expect(answer).toMatchObject({ result_code: 'SUCCESS', trade_type: 'FACEPAY', openid: w.other.openid });
    const number = { out_trade_no: fields.out_trade_no ?? '' };
    const how = { sign_type: 'HMAC-SHA256' as const };
    expect((await w.call('/pay/facepayquery', number, how)).fields.trade_state).toBe('SUCCESS');
    expect(await reverse(number, '/secapi/pay/facepayreverse', 'HMAC-SHA256')).toMatchObject({ recall: 'N' });
    expect((await w.call('/pay/facepayquery', number, how)).fields.trade_state).toBe('REVOKED');
  });

  it('is good once, and only with its own openid', async () => {
    const { fields } = await facepay();
    const again = { ...fields, out_trade_no: w.newNumber() };
    const how = { sign_type: 'HMAC-SHA256' as const };
    expect((await w.call('/pay/facepay', again, how)).fields.err_code).toBe('AUTH_CODE_ERROR');
    expect((await facepay({ openid: w.user.openid })).answer.err_code).toBe('PARAM_ERROR');
    const { auth_code } = await show();
    expect((await facepay({ face_code: auth_code })).answer.err_code).toBe('AUTH_CODE_INVALID');
  });
});
