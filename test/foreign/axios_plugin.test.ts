// wechatpay-axios-plugin (API v2 and v3) against the simulator: the strictest of the clients, which verifies every
// answer but bill files and failures, and comes with all that notifications and bills want.
import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Aes, Formatter, Hash, Rsa, Transformer, Wechatpay } from 'wechatpay-axios-plugin';
import { type Arrival, freshNumber, type Simulated, startSimulated } from './simulated.ts';

let simulated: Simulated;
beforeAll(async () => {
  simulated = await startSimulated();
});
afterAll(() => simulated.close());
afterEach(async () => {
  await simulated.forget();
  await simulated.control('PUT', 'merchant', { mode: 'public_key' });
});

/** Its own configuration throughout; baseURL is axios's. An async function must not return it: any name is a call. */
function newWechatpay(certs: 'both' | 'public key' | 'certificate' = 'both') {
  const { config, merchant } = simulated;
  return new Wechatpay({
    baseURL: config.tls_url,
    mchid: merchant.mch_id,
    serial: merchant.merchant_cert_serial,
    privateKey: merchant.merchant_key_pem,
    certs: {
      ...(certs === 'certificate'
        ? {}
        : { [merchant.platform_public_key_id]: merchant.platform_public_key_pem }),
      ...(certs === 'public key' ? {} : { [merchant.platform_cert_serial]: merchant.platform_cert_pem }),
    },
    secret: merchant.api_v2_key,
    merchant: { cert: merchant.merchant_cert_pem, key: merchant.merchant_key_pem },
  });
}

/** A bill comes with a byte order mark, which axios takes away from texts, and is not the XML or JSON expected. */
const as_bytes = { responseType: 'arraybuffer', transformResponse: [(bytes: Buffer) => bytes] };

const goods = '柜台 <A&B> "礼盒"';

describe.each(['MD5', 'HMAC-SHA256'])('wechatpay-axios-plugin, API v2 with %s', (sign_type) => {
  const common = () => ({ appid: simulated.merchant.appid, mch_id: simulated.merchant.mch_id, sign_type });
  const order = (own: object) => ({
    ...common(),
    body: goods,
    attach: 'a=1&b=2',
    out_trade_no: freshNumber('A'),
    total_fee: 1288,
    spbill_create_ip: '127.0.0.1',
    notify_url: simulated.notify_url,
    ...own,
  });

  /** An order placed and paid by what the client signed. */
  async function paid(wxpay: ReturnType<typeof newWechatpay>) {
    const placing = order({ trade_type: 'JSAPI', openid: simulated.openid });
    const { data } = await wxpay.v2.pay.unifiedorder.post(placing);
    const params = {
      appId: simulated.merchant.appid,
      timeStamp: String(Formatter.timestamp()),
      nonceStr: Formatter.nonce(),
      package: `prepay_id=${data.prepay_id}`,
      signType: sign_type,
    };
    const paySign = Hash.sign(sign_type, params, simulated.merchant.api_v2_key);
    await simulated.payInWechat({ ...params, paySign });
    await simulated.advance(0);
    return placing.out_trade_no;
  }

  const acknowledge = () => ({ status: 200, body: Transformer.toXml({ return_code: 'SUCCESS' }) });

  it('orders by JSAPI, is told of the payment with a signature that verifies, and queries it', async () => {
    const wxpay = newWechatpay();
    simulated.reply = acknowledge;
    const out_trade_no = await paid(wxpay);
    expect(simulated.arrivals).toHaveLength(1);
    const told = Transformer.toObject(simulated.arrivals[0]?.body);
    expect(Hash.equals(Hash.sign(sign_type, told, simulated.merchant.api_v2_key), told.sign)).toBe(true);
    expect(told).toMatchObject({
      out_trade_no,
      total_fee: '1288',
      attach: 'a=1&b=2',
      result_code: 'SUCCESS',
    });
    const { data } = await wxpay.v2.pay.orderquery.post({ ...common(), out_trade_no });
    expect(data).toMatchObject({ trade_state: 'SUCCESS', transaction_id: told.transaction_id });
  });

  it('orders by NATIVE, closes, and finds the order closed', async () => {
    const wxpay = newWechatpay();
    const placing = order({ trade_type: 'NATIVE', product_id: '1' });
    const { data } = await wxpay.v2.pay.unifiedorder.post(placing);
    expect(data.code_url).toMatch(/^weixin:\/\/wxpay\/bizpayurl\?pr=/);
    const named = { ...common(), out_trade_no: placing.out_trade_no };
    await wxpay.v2.pay.closeorder.post(named);
    expect((await wxpay.v2.pay.orderquery.post(named)).data.trade_state).toBe('CLOSED');
  });

  it('refunds with its certificate, opens what it is told of it, and queries it', async () => {
    const wxpay = newWechatpay();
    simulated.reply = acknowledge;
    const out_trade_no = await paid(wxpay);
    simulated.arrivals.length = 0;
    const out_refund_no = freshNumber('R');
    const { notify_url } = simulated;
    const refund = { ...common(), out_trade_no, out_refund_no, total_fee: 1288, refund_fee: 288, notify_url };
    await wxpay.v2.secapi.pay.refund.post(refund, { security: true });
    await simulated.advance(5);
    expect(simulated.arrivals).toHaveLength(1);
    const told = Transformer.toObject(simulated.arrivals[0]?.body);
    const opened = Aes.AesEcb.decrypt(told.req_info, Hash.md5(simulated.merchant.api_v2_key));
    expect(Transformer.toObject(opened)).toMatchObject({
      out_trade_no,
      out_refund_no,
      refund_status: 'SUCCESS',
    });
    const { data } = await wxpay.v2.pay.refundquery.post({ ...common(), out_refund_no });
    expect(data).toMatchObject({ refund_status_0: 'SUCCESS', refund_fee_0: '288' });
  });

  it('is refused a refund without its certificate', async () => {
    const wxpay = newWechatpay();
    simulated.reply = acknowledge;
    const out_trade_no = await paid(wxpay);
    const refund = {
      ...common(),
      out_trade_no,
      out_refund_no: freshNumber('R'),
      total_fee: 1288,
      refund_fee: 1,
    };
    await expect(wxpay.v2.secapi.pay.refund.post(refund)).rejects.toMatchObject({
      response: { data: { result_code: 'FAIL', err_code: 'CERT_ERROR' } },
    });
  });

  it.each([{}, { tar_type: 'GZIP' }])('downloads a bill %o', async (packing) => {
    const wxpay = newWechatpay();
    simulated.reply = acknowledge;
    const out_trade_no = await paid(wxpay);
    const bill_date = (await simulated.toMorningAfter()).replaceAll('-', '');
    const asked = { ...common(), bill_date, bill_type: 'ALL', ...packing };
    const { data } = await wxpay.v2.pay.downloadbill.post(asked, as_bytes);
    const { rows, summary } = Formatter.castCsvBill('tar_type' in packing ? gunzipSync(data) : data);
    expect(rows).toMatchObject([{ 商户订单号: out_trade_no, 应结订单金额: '12.88', 商品名称: goods }]);
    expect(summary).toMatchObject({ 总交易单数: '1', 应结订单总金额: '12.88' });
  });

  it('does not believe an answer with a bad signature', async () => {
    await simulated.control('PUT', 'faults', { unifiedorder_answer_bad_signature: { times: 1 } });
    const refused = newWechatpay().v2.pay.unifiedorder.post(order({ trade_type: 'NATIVE', product_id: '1' }));
    await expect(refused).rejects.toMatchObject({ code: 'EV2_RES_SIGNATURE_NOT_EQUAL' });
  });
});

const V3 = {
  order: (own: object) => ({
    appid: simulated.merchant.appid,
    mchid: simulated.merchant.mch_id,
    description: goods,
    attach: 'a=1&b=2',
    out_trade_no: freshNumber('V'),
    notify_url: simulated.notify_url,
    amount: { total: 1288 },
    ...own,
  }),

  /** An order placed and paid by what the client signed. */
  async paid(wxpay: ReturnType<typeof newWechatpay>) {
    const { merchant, openid } = simulated;
    const placing = V3.order({ payer: { openid } });
    const { data } = await wxpay.v3.pay.transactions.jsapi.post(placing);
    const params = {
      appId: merchant.appid,
      timeStamp: String(Formatter.timestamp()),
      nonceStr: Formatter.nonce(),
      package: `prepay_id=${data.prepay_id}`,
    };
    const signed = Formatter.joinedByLineFeed(...Object.values(params));
    const paySign = Rsa.sign(signed, merchant.merchant_key_pem);
    await simulated.payInWechat({ ...params, signType: 'RSA', paySign });
    await simulated.advance(0);
    return placing.out_trade_no;
  },

  acknowledge: () => ({ status: 204, body: '' }),

  /** Who signed a notification, and what it holds; undefined when its signature does not verify. */
  opened({ headers, body }: Arrival) {
    const { merchant } = simulated;
    const serial = String(headers['wechatpay-serial']);
    const keys: Record<string, string> = {
      [merchant.platform_public_key_id]: merchant.platform_public_key_pem,
      [merchant.platform_cert_serial]: merchant.platform_cert_pem,
    };
    const signed = Formatter.response(
      String(headers['wechatpay-timestamp']),
      String(headers['wechatpay-nonce']),
      body,
    );
    const key = keys[serial];
    if (key === undefined || !Rsa.verify(signed, String(headers['wechatpay-signature']), key))
      return undefined;
    const { event_type, resource } = JSON.parse(body);
    const { ciphertext, nonce, associated_data } = resource;
    const text = Aes.AesGcm.decrypt(ciphertext, merchant.api_v3_key, nonce, associated_data);
    return { serial, event_type, ...JSON.parse(text) };
  },
};

describe.each(['public_key', 'certificate', 'switching'] as const)(
  'wechatpay-axios-plugin, API v3 in mode %s',
  (mode) => {
    beforeEach(async () => {
      await simulated.control('PUT', 'merchant', { mode });
      simulated.reply = V3.acknowledge;
    });

    const knows = { public_key: 'public key', certificate: 'certificate', switching: 'both' } as const;
    const newClient = () => newWechatpay(knows[mode]);

    it('orders by JSAPI, opens what it is told of the payment, and queries it by both numbers', async () => {
      const wxpay = newClient();
      const out_trade_no = await V3.paid(wxpay);
      expect(simulated.arrivals).toHaveLength(1);
      const told = simulated.arrivals.map(V3.opened)[0];
      expect(told).toMatchObject({
        event_type: 'TRANSACTION.SUCCESS',
        out_trade_no,
        attach: 'a=1&b=2',
        amount: { total: 1288 },
        payer: { openid: simulated.openid },
      });
      const params = { mchid: simulated.merchant.mch_id };
      const by_ours = await wxpay.v3.pay.transactions.outTradeNo.$out_trade_no$.get({ params, out_trade_no });
      expect(by_ours.data).toMatchObject({ trade_state: 'SUCCESS', transaction_id: told.transaction_id });
      const { transaction_id } = told;
      const by_theirs = await wxpay.v3.pay.transactions.id.$transaction_id$.get({ params, transaction_id });
      expect(by_theirs.data.out_trade_no).toBe(out_trade_no);
    });

    it('orders by NATIVE, closes with a signed 204, and finds the order closed', async () => {
      const wxpay = newClient();
      const placing = V3.order({});
      const { data } = await wxpay.v3.pay.transactions.native.post(placing);
      expect(data.code_url).toMatch(/^weixin:\/\/wxpay\/bizpayurl\?pr=/);
      const { out_trade_no } = placing;
      const mchid = simulated.merchant.mch_id;
      const closed = await wxpay.v3.pay.transactions.outTradeNo.$out_trade_no$.close.post(
        { mchid },
        { out_trade_no },
      );
      expect(closed.status).toBe(204);
      const params = { mchid };
      const found = await wxpay.v3.pay.transactions.outTradeNo.$out_trade_no$.get({ params, out_trade_no });
      expect(found.data.trade_state).toBe('CLOSED');
    });

    it('refunds, opens what it is told of it, and queries it', async () => {
      const wxpay = newClient();
      const out_trade_no = await V3.paid(wxpay);
      simulated.arrivals.length = 0;
      const out_refund_no = freshNumber('R');
      const { data } = await wxpay.v3.refund.domestic.refunds.post({
        out_trade_no,
        out_refund_no,
        reason: '少发一件',
        notify_url: simulated.notify_url,
        amount: { refund: 288, total: 1288, currency: 'CNY' },
      });
      expect(data.status).toBe('PROCESSING');
      await simulated.advance(5);
      expect(simulated.arrivals.map(V3.opened)).toMatchObject([
        { event_type: 'REFUND.SUCCESS', out_trade_no, out_refund_no, refund_status: 'SUCCESS' },
      ]);
      const found = await wxpay.v3.refund.domestic.refunds.$out_refund_no$.get({ out_refund_no });
      expect(found.data).toMatchObject({ status: 'SUCCESS', amount: { refund: 288 } });
    });

    it.each([{}, { tar_type: 'GZIP' }])('downloads a bill %o that fits its hash', async (packing) => {
      const wxpay = newClient();
      const out_trade_no = await V3.paid(wxpay);
      const bill_date = await simulated.toMorningAfter();
      const applied = await wxpay.v3.bill.tradebill.get({ params: { bill_date, ...packing } });
      const { download_url, hash_value } = applied.data;
      const params = Object.fromEntries(new URL(download_url).searchParams);
      const { data } = await wxpay.v3.billdownload.file.get({ params, ...as_bytes });
      const file = 'tar_type' in packing ? gunzipSync(data) : data;
      expect(createHash('sha1').update(file).digest('hex')).toBe(hash_value);
      expect(Formatter.castCsvBill(file).rows).toMatchObject([
        { 商户订单号: out_trade_no, 应结订单金额: '12.88', 商品名称: goods },
      ]);
    });
  },
);

describe('wechatpay-axios-plugin, API v3', () => {
  it('reads the platform certificate, which is the one of the configuration', async () => {
    await simulated.control('PUT', 'merchant', { mode: 'certificate' });
    const { data } = await newWechatpay('certificate').v3.certificates.get();
    const [{ serial_no, encrypt_certificate }] = data.data;
    const { ciphertext, nonce, associated_data } = encrypt_certificate;
    const { merchant } = simulated;
    expect(serial_no).toBe(merchant.platform_cert_serial);
    const pem = Aes.AesGcm.decrypt(ciphertext, merchant.api_v3_key, nonce, associated_data);
    expect(pem).toBe(merchant.platform_cert_pem);
  });

  it('is answered by the identity it asks for while the merchant is switching', async () => {
    await simulated.control('PUT', 'merchant', { mode: 'switching' });
    const serial = simulated.merchant.platform_public_key_id;
    const wxpay = newWechatpay('public key');
    const headers = { 'Wechatpay-Serial': serial };
    const answer = await wxpay.v3.pay.transactions.native.post(V3.order({}), { headers });
    expect(answer.headers['wechatpay-serial']).toBe(serial);
    await expect(wxpay.v3.pay.transactions.native.post(V3.order({}))).rejects.toMatchObject({
      code: 'EV3_RES_HEADER_PLATFORM_SERIAL',
    });
  });

  it.each([
    ['answer_unsigned', 'EV3_RES_HEADERS_INCOMPLATE'],
    ['answer_stale', 'EV3_RES_HEADER_TIMESTAMP_OFFSET'],
    ['answer_wrong_serial', 'EV3_RES_HEADER_PLATFORM_SERIAL'],
    ['answer_tampered', 'EV3_RES_HEADER_SIGNATURE_DIGEST'],
    ['answer_probe', 'EV3_RES_HEADER_SIGNATURE_DIGEST'],
    ['answer_bad_signature', 'EV3_RES_HEADER_SIGNATURE_DIGEST'],
  ])('does not believe an answer when the platform is at fault with %s', async (fault, code) => {
    await simulated.control('PUT', 'faults', { [fault]: true });
    const refused = newWechatpay().v3.pay.transactions.native.post(V3.order({}));
    await expect(refused).rejects.toMatchObject({ code });
  });

  it.each(['notify_probe', 'notify_wrong_serial', 'notify_tampered'])(
    'does not believe a notification when the platform is at fault with %s, but the next one',
    async (fault) => {
      simulated.reply = (arrival) =>
        V3.opened(arrival) === undefined ? { status: 401, body: '' } : V3.acknowledge();
      await simulated.control('PUT', 'faults', { [fault]: { times: 1 } });
      await V3.paid(newWechatpay());
      await simulated.advance(15);
      expect(simulated.arrivals.map((arrival) => V3.opened(arrival) !== undefined)).toEqual([false, true]);
    },
  );

  it('cannot open a notification that was sealed under another key', async () => {
    await simulated.control('PUT', 'faults', { notify_other_key: { times: 1 } });
    await V3.paid(newWechatpay());
    const [arrival] = simulated.arrivals;
    expect(() => arrival && V3.opened(arrival)).toThrow('unable to authenticate data');
  });
});
