// Several merchants in one simulator, one for each kind: what each may speak, how each is answered, and that none
// sees another's orders.

import { afterEach, describe, expect, it } from 'vitest';
import { openWorldV3, type WorldV3 } from './merchant_v3.ts';

let w: WorldV3 | undefined;
afterEach(async () => {
  await w?.close();
  w = undefined;
});
const as = async (mch_id: string) => {
  w = await openWorldV3({}, mch_id);
  return w;
};

const V2_ONLY = '1900000201';
const BY_CERTIFICATE = '1900000202';
const BY_KEY = '1900000203';
const SWITCHING = '1900000204';
const ROLLED_BACK = '1900000205';

it('the first merchant is the demo’s, the others stand behind it with keys of their own', async () => {
  const { config } = await as('1900000109');
  expect(config.merchants.map((m) => [m.mch_id, m.mode])).toEqual([
    ['1900000109', 'public_key'],
    [V2_ONLY, 'v2'],
    [BY_CERTIFICATE, 'certificate'],
    [BY_KEY, 'public_key'],
    [SWITCHING, 'switching'],
    [ROLLED_BACK, 'certificate'],
    ['1900000300', 'public_key'],
  ]);
  expect(new Set(config.merchants.map((m) => m.merchant_cert_serial)).size).toBe(config.merchants.length);
});

describe('API v2 only, JSAPI only', () => {
  it('is heard in v2 and not in v3, and has opened nothing else', async () => {
    const m = await as(V2_ONLY);
    await m.place();
    expect((await m.call3('POST', '/v3/pay/transactions/jsapi', m.order3())).status).toBe(401);
    const native = m.order({ trade_type: 'NATIVE', product_id: '1' });
    expect((await m.call('/pay/unifiedorder', native)).fields.err_code).toBe('NOAUTH');
    expect((await m.lastLog()).why).toBe(`${V2_ONLY} has not opened NATIVE; it has JSAPI`);
  });
});

describe('API v3 only', () => {
  it.each([
    [BY_CERTIFICATE, 'certificate', 200],
    [BY_KEY, 'public_key', 404],
  ])('%s is answered by %s, and not heard in v2', async (mch_id, signer, certificates) => {
    const m = await as(mch_id);
    const answer = await m.call3('POST', '/v3/pay/transactions/jsapi', m.order3());
    expect([answer.status, m.signer(answer)]).toEqual([200, signer]);
    expect((await m.call3('GET', '/v3/certificates')).status).toBe(certificates);
    const v2 = await m.call('/pay/unifiedorder', m.order());
    expect(v2.fields).toMatchObject({ return_code: 'FAIL', return_msg: '签名错误' });
    expect((await m.lastLog()).why).toContain('no API v2 key');
  });
});

describe('both APIs', () => {
  it('while switching, the answer follows the request’s Wechatpay-Serial', async () => {
    const m = await as(SWITCHING);
    const ask = (serial?: string) =>
      m.call3(
        'POST',
        '/v3/pay/transactions/jsapi',
        m.order3(),
        serial === undefined ? {} : { 'Wechatpay-Serial': serial },
      );
    expect(m.signer(await ask())).toBe('certificate');
    expect(m.signer(await ask(m.merchant.platform_public_key_id))).toBe('public_key');
    await m.place();
  });

  it('a switch started in the console ends after seven days in the public key, unless rolled back', async () => {
    const m = await as(ROLLED_BACK);
    const signer = async () => m.signer(await m.call3('POST', '/v3/pay/transactions/jsapi', m.order3()));
    const mode = (mode: string) => m.control('PUT', 'merchant', { mch_id: ROLLED_BACK, mode });
    await mode('switching');
    await m.advance(6 * 86400);
    expect(await signer()).toBe('certificate');
    await mode('certificate');
    await m.advance(2 * 86400);
    expect(await signer()).toBe('certificate');
    await mode('switching');
    await m.advance(7 * 86400);
    expect(await signer()).toBe('public_key');
  });

  it('after a roll-back, certificates again whatever the request says; v2 goes on', async () => {
    const m = await as(ROLLED_BACK);
    const headers = { 'Wechatpay-Serial': m.merchant.platform_public_key_id };
    const answer = await m.call3('POST', '/v3/pay/transactions/jsapi', m.order3(), headers);
    expect([answer.status, m.signer(answer)]).toEqual([200, 'certificate']);
    await m.place();
  });

  it('a product that was not opened is 403 NO_AUTH, with the reason in the log', async () => {
    const m = await as(SWITCHING);
    await m.control('PUT', 'merchant', { mch_id: SWITCHING, products: ['JSAPI'] });
    const { payer: _nobody, ...body } = m.order3();
    const answer = await m.call3('POST', '/v3/pay/transactions/native', body);
    expect(answer).toMatchObject({ status: 403, body: { code: 'NO_AUTH' } });
    expect((await m.lastLog()).why).toBe(`${SWITCHING} has not opened NATIVE; it has JSAPI`);
  });

  it('keep their orders apart, though the numbers are the same', async () => {
    const m = await as(SWITCHING);
    const { out_trade_no } = await m.place();
    const [first] = m.config.merchants;
    const other = await m.call(
      '/pay/orderquery',
      { mch_id: first?.mch_id ?? '', out_trade_no },
      { key: first?.api_v2_key ?? '' },
    );
    expect(other.fields.err_code).toBe('ORDERNOTEXIST');
  });
});
