// API v3 for orders: who is heard, how answers are signed, what the four orders, the queries and the close do.

import { sign } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createWechatPayV3 } from '../../lib/wechat/index.ts';
import { openSealed, openWorldV3, signer, type WorldV3, type Wrong } from './merchant_v3.ts';

let w: WorldV3;
beforeAll(async () => {
  w = await openWorldV3();
});
afterAll(() => w.close());
afterEach(async () => {
  await w.control('POST', 'reset');
  w.sink.answer = () => ({ status: 204, body: '' });
  w.sink.arrivals.length = 0;
});

const JSAPI = '/v3/pay/transactions/jsapi';

describe('a request is heard', () => {
  it('only at a known path with its own method, else a bare 404 or 405', async () => {
    const nowhere = await w.call3('GET', '/v3/nowhere');
    const method = await w.call3('GET', '/v3/pay/transactions/native');
    expect([nowhere.status, nowhere.text, method.status, method.text]).toEqual([404, '', 405, '']);
    expect(w.signer(nowhere)).toBe('unsigned');
  });

  const wrong: [string, Wrong, string][] = [
    ['without Authorization', { authorization: '' }, '签名信息错误，验签失败'],
    ['with a Bearer token', { authorization: 'Bearer abc' }, '签名信息错误，验签失败'],
    ['with a time out of the window', { timestamp: '1554208460' }, 'timestamp与发起请求的时间不得超过5分钟'],
    ['under a serial of nobody', { serial_no: 'F'.repeat(40) }, '商户证书序列号有误'],
    ['for an unknown merchant', { mchid: '1999999999' }, '商户未申请过证书'],
    ['with a signature over something else', { signed: 'POST\n/\n1\n1\n\n' }, '签名错误，请检查后再试'],
  ];
  it.each(wrong)('not %s: 401 SIGN_ERROR, unsigned, in WeChat’s order', async (_what, how, message) => {
    const answer = await w.call3('POST', JSAPI, w.order3(), {}, how);
    expect(answer).toMatchObject({ status: 401, body: { code: 'SIGN_ERROR' } });
    expect(answer.body.message).toContain(message);
    expect(w.signer(answer)).toBe('unsigned');
  });

  it('with the query as part of the signed line', async () => {
    const { out_trade_no } = await w.place3();
    const path = `/v3/pay/transactions/out-trade-no/${out_trade_no}`;
    const t = String(Math.floor(Date.now() / 1000));
    const signed = `GET\n${path}\n${t}\nN0123456789abcdef0123456789abcde\n\n`;
    const target = `${path}?mchid=${w.merchant.mch_id}`;
    expect((await w.call3('GET', target, undefined, {}, { timestamp: t, signed })).status).toBe(401);
    expect((await w.call3('GET', target)).status).toBe(200);
  });

  it('not at all for a merchant who has only API v2', async () => {
    await w.mode('v2');
    expect((await w.call3('POST', JSAPI, w.order3())).status).toBe(401);
  });
});

describe('an answer is signed', () => {
  it('by the identity of the merchant’s mode, and by the request’s choice while it switches', async () => {
    const number = (await w.place3()).out_trade_no;
    const by = async (serial?: string) =>
      w.signer(
        await w.call3(
          'GET',
          `/v3/pay/transactions/out-trade-no/${number}?mchid=${w.merchant.mch_id}`,
          undefined,
          serial === undefined ? {} : { 'Wechatpay-Serial': serial },
        ),
      );
    const id = w.merchant.platform_public_key_id;
    expect([await by(), await by(id)]).toEqual(['public_key', 'public_key']);
    await w.mode('switching');
    expect([await by(), await by(id)]).toEqual(['certificate', 'public_key']);
    await w.mode('certificate');
    expect([await by(), await by(id)]).toEqual(['certificate', 'certificate']);
  });

  it('also when it is a 204 or a refusal of the business', async () => {
    const { out_trade_no } = await w.place3();
    const path = `/v3/pay/transactions/out-trade-no/${out_trade_no}/close`;
    const closed = await w.call3('POST', path, { mchid: w.merchant.mch_id });
    expect([closed.status, closed.text, w.signer(closed)]).toEqual([204, '', 'public_key']);
    const unknown = await w.query3('NOBODY000');
    expect([unknown.status, unknown.body.code, w.signer(unknown)]).toEqual([
      404,
      'ORDER_NOT_EXIST',
      'public_key',
    ]);
    expect(unknown.headers.get('request-id')).toMatch(/-268512771$/);
  });

  it('and a strange Wechatpay-Serial is refused', async () => {
    const answer = await w.call3('POST', JSAPI, w.order3(), { 'Wechatpay-Serial': 'PUB_KEY_ID_1' });
    expect(answer).toMatchObject({ status: 400, body: { code: 'PARAM_ERROR' } });
  });

  it('the platform’s certificate can be fetched, unless the merchant has none', async () => {
    expect(await w.call3('GET', '/v3/certificates')).toMatchObject({
      status: 404,
      body: { code: 'RESOURCE_NOT_EXISTS' },
    });
    await w.mode('certificate');
    const { body } = await w.call3('GET', '/v3/certificates');
    const [one] = body.data as { serial_no: string; encrypt_certificate: Parameters<typeof openSealed>[1] }[];
    expect(one?.serial_no).toBe(w.merchant.platform_cert_serial);
    expect(one && openSealed(w, one.encrypt_certificate)).toBe(w.merchant.platform_cert_pem);
  });
});

describe('a body is judged', () => {
  const bad: [string, Record<string, unknown>, string][] = [
    [
      'a missing member',
      { description: undefined },
      '“/body/description”映射到字段“商品描述”必填性规则校验失败',
    ],
    ['a number of decimals', { amount: { total: 0.01 } }, '此字段需要一个合法的 64 位有符号整数'],
    ['no money', { amount: { total: 0 } }, '值低于最小值 1'],
    ['too many bytes', { attach: '附'.repeat(43) }, '字节数 129，大于最大值 128'],
    ['a short number', { out_trade_no: 'abc' }, '字节数 3，小于最小值 6'],
    ['a member nobody documented', { total_fee: 1 }, '请求中含有未在API文档中定义的参数'],
    ['an openid of nobody', { payer: { openid: 'oNobody' } }, '无效的openid'],
    ['another merchant', { mchid: '1900000999' }, 'http header中的mchid与post payload中的mchid不匹配'],
    ['an address with a query', { notify_url: 'https://shop.example/n?x=1' }, 'notify_url'],
  ];
  it.each(bad)('%s is PARAM_ERROR', async (_what, own, message) => {
    const answer = await w.call3('POST', JSAPI, w.order3(own));
    expect(answer).toMatchObject({ status: 400, body: { code: 'PARAM_ERROR' } });
    expect(answer.body.message).toContain(message);
    expect(w.signer(answer)).toBe('public_key');
  });

  it('an appid that is not bound is APPID_MCHID_NOT_MATCH', async () => {
    const answer = await w.call3('POST', JSAPI, w.order3({ appid: w.config.other_accounts[0]?.appid }));
    expect(answer).toMatchObject({ status: 400, body: { code: 'APPID_MCHID_NOT_MATCH' } });
  });
});

describe('an order', () => {
  it('is placed in four ways', async () => {
    const { payer: _payer, ...nobody } = w.order3();
    const next = () => ({ ...nobody, out_trade_no: w.newNumber() });
    expect((await w.call3('POST', '/v3/pay/transactions/native', next())).body.code_url).toMatch(/^weixin:/);
    expect((await w.call3('POST', '/v3/pay/transactions/app', next())).body.prepay_id).toMatch(/^wx/);
    const scene_info = { payer_client_ip: '14.23.150.211', h5_info: { type: 'Wap' } };
    const h5 = await w.call3('POST', '/v3/pay/transactions/h5', { ...next(), scene_info });
    expect(h5.body.h5_url).toContain('prepay_id=wx');
    expect((await w.place3()).prepay_id).toMatch(/^wx/);
  });

  it('again with the same parameters has the same prepay_id, with others 400, after payment ORDERPAID', async () => {
    const body = w.order3();
    const first = await w.call3('POST', JSAPI, body);
    expect((await w.call3('POST', JSAPI, body)).body).toEqual(first.body);
    const other = await w.call3('POST', JSAPI, { ...body, amount: { total: 1, currency: 'CNY' } });
    expect(other).toMatchObject({
      status: 400,
      body: { code: 'INVALID_REQUEST', message: '201 商户订单号重复' },
    });
    await w.pay({ out_trade_no: body.out_trade_no });
    expect(await w.call3('POST', JSAPI, body)).toMatchObject({ status: 400, body: { code: 'ORDERPAID' } });
  });

  it('is found by both numbers and by both APIs once it is paid', async () => {
    const { out_trade_no } = await w.place3({ attach: 'a=1' });
    expect((await w.query3(out_trade_no)).body).toMatchObject({ trade_state: 'NOTPAY' });
    const { transaction_id } = (await w.pay({ out_trade_no, coupon_fen: 88 })).body;
    const found = (await w.query3(out_trade_no)).body;
    expect(found).toMatchObject({
      trade_state: 'SUCCESS',
      transaction_id,
      attach: 'a=1',
      payer: { openid: w.user.openid },
      amount: { total: 1288, payer_total: 1200, currency: 'CNY' },
    });
    const by_id = await w.call3(
      'GET',
      `/v3/pay/transactions/id/${transaction_id}?mchid=${w.merchant.mch_id}`,
    );
    expect(by_id.body).toEqual(found);
    expect((await w.query(out_trade_no)).fields).toMatchObject({ trade_state: 'SUCCESS', total_fee: '1288' });
    const old = await w.place();
    expect((await w.query3(old.out_trade_no)).body.trade_state).toBe('NOTPAY');
  });

  it('closes once and again with 204, and not when it is paid', async () => {
    const close = (n: string) =>
      w.call3('POST', `/v3/pay/transactions/out-trade-no/${n}/close`, { mchid: w.merchant.mch_id });
    const { out_trade_no } = await w.place3();
    expect([(await close(out_trade_no)).status, (await close(out_trade_no)).status]).toEqual([204, 204]);
    expect((await w.query3(out_trade_no)).body.trade_state).toBe('CLOSED');
    const paid = await w.place3();
    await w.pay({ out_trade_no: paid.out_trade_no });
    expect(await close(paid.out_trade_no)).toMatchObject({ status: 400, body: { code: 'ORDER_PAID' } });
    expect((await close('NOBODY000')).body.code).toBe('ORDER_NOT_EXIST');
  });

  it('is notified in v3’s words, signed afresh at every attempt', async () => {
    w.sink.answer = () => ({ status: 500, body: '' });
    const { out_trade_no } = await w.place3();
    const { transaction_id } = (await w.pay({ out_trade_no })).body;
    await w.settle();
    w.sink.answer = () => ({ status: 204, body: '' });
    await w.advance(15);
    const [first, second] = w.sink.arrivals;
    if (first === undefined || second === undefined) throw new Error('two attempts were due');
    for (const one of [first, second]) {
      expect(signer(w, new Headers(one.headers as Record<string, string>), one.raw)).toBe('public_key');
    }
    const [a, b] = [JSON.parse(first.raw), JSON.parse(second.raw)];
    expect(a.id).toBe(b.id);
    expect(a).toMatchObject({
      event_type: 'TRANSACTION.SUCCESS',
      resource: { associated_data: 'transaction' },
    });
    expect(JSON.parse(openSealed(w, a.resource))).toMatchObject({
      out_trade_no,
      transaction_id,
      trade_state: 'SUCCESS',
    });
    expect((await w.notification(out_trade_no)).state).toBe('delivered');
  });

  it('is notified under both identities in turns while the merchant is switching', async () => {
    await w.mode('switching');
    w.sink.answer = () => ({ status: 500, body: '' });
    const { out_trade_no } = await w.place3();
    await w.pay({ out_trade_no });
    await w.settle();
    await w.advance(30);
    const who = w.sink.arrivals.map((one) =>
      signer(w, new Headers(one.headers as Record<string, string>), one.raw),
    );
    expect(new Set(who)).toEqual(new Set(['certificate', 'public_key']));
  });
});

describe('the bridge', () => {
  it('starts a v3 prepay_id with RSA and the merchant’s key, and with nothing else', async () => {
    const { prepay_id } = await w.place3();
    const page_url = 'http://127.0.0.1:3000/pay/1';
    await w.control('PUT', 'shop', { origin: 'http://127.0.0.1:3000' });
    const p = {
      appId: w.merchant.appid,
      timeStamp: String(Math.floor(Date.now() / 1000)),
      nonceStr: 'abc',
      package: `prepay_id=${prepay_id}`,
    };
    const text = `${p.appId}\n${p.timeStamp}\n${p.nonceStr}\n${p.package}\n`;
    const paySign = sign('sha256', Buffer.from(text), w.merchant.merchant_key_pem).toString('base64');
    const invoke = async (params: Record<string, string>) => {
      const body = { method: 'getBrandWCPayRequest', params, page_url, openid: w.user.openid };
      const response = await fetch(`${w.url}/_sim/bridge/invoke`, {
        method: 'POST',
        body: JSON.stringify(body),
      });
      return (await response.json()) as { err_msg?: string; invocation_id?: string };
    };
    expect((await invoke({ ...p, signType: 'RSA', paySign })).invocation_id).toBeDefined();
    expect((await invoke({ ...p, signType: 'MD5', paySign })).err_msg).toContain('cancel');
    expect((await invoke({ ...p, nonceStr: 'abd', signType: 'RSA', paySign })).err_msg).toContain('cancel');
  });
});

describe("the shop's own client, a witness that shares no code", () => {
  for (const mode of ['public_key', 'certificate', 'switching']) {
    it(`places, queries, closes and reads the notification in the mode ${mode}`, async () => {
      await w.mode(mode);
      const { merchant } = w;
      const client = createWechatPayV3(
        {
          appid: merchant.appid,
          mch_id: merchant.mch_id,
          merchant_private_key_pem: merchant.merchant_key_pem,
          merchant_serial_no: merchant.merchant_cert_serial,
          api_v3_key: merchant.api_v3_key,
          platform_certificates: mode === 'public_key' ? [] : [merchant.platform_cert_pem],
          platform_public_key:
            mode === 'certificate'
              ? undefined
              : { id: merchant.platform_public_key_id, pem: merchant.platform_public_key_pem },
          base_url: w.url,
        },
        { fetch, now: () => new Date(), nonce: (length = 32) => 'n'.repeat(length) },
      );
      const out_trade_no = w.newNumber();
      const placed = await client.placeTrade({
        out_trade_no,
        trade_type: 'JSAPI',
        description: '柜台-苹果',
        total_fen: 1288,
        payer_client_ip: '14.23.150.211',
        notify_url: w.sink.url,
        time_start_at: new Date(),
        time_expire_at: new Date(Date.now() + 1800_000),
        openid: w.user.openid,
      });
      expect(placed.prepay_id).toMatch(/^wx/);
      await w.pay({ out_trade_no });
      await w.settle();
      expect((await client.queryTrade(out_trade_no)).report).toMatchObject({
        trade_state: 'SUCCESS',
        total_fen: 1288,
      });
      expect((await client.closeTrade(out_trade_no)).outcome).toBe('paid');
      const [one] = w.sink.arrivals;
      if (one === undefined) throw new Error('no notification came');
      const headers = new Headers(one.headers as Record<string, string>);
      const read = await client.readPaymentNotification(Buffer.from(one.raw), headers);
      expect(read.report).toMatchObject({ out_trade_no, total_fen: 1288 });
    });
  }
});
