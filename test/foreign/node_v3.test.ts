// wechatpay-node-v3 (API v3) against the simulator. By itself it verifies no answer at all; its own verifySign is
// asked here for answers and notifications alike. What it does not look at even then: the age of a message, and the
// tag of what it deciphers, so that only the signature keeps a forged resource out.
import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import WxPay from 'wechatpay-node-v3';
import { PayRequest } from 'wechatpay-node-v3/dist/lib/pay-request.js';
import { type Arrival, freshNumber, type Simulated, startSimulated } from './simulated.ts';

let simulated: Simulated;
beforeAll(async () => {
  simulated = await startSimulated();
});
afterAll(() => simulated.close());
afterEach(() => simulated.forget());

const wechat_host = 'https://api.mch.weixin.qq.com';

/** The library names WeChat's host in every call; its documented createHttp takes another sender, here its own. */
class ToSimulator extends PayRequest {
  override post(url: string, params: Record<string, unknown>, headers: Record<string, string>) {
    return super.post(url.replace(wechat_host, simulated.config.tls_url), params, headers);
  }
  override get(url: string, headers: Record<string, string>) {
    return super.get(url.replace(wechat_host, simulated.config.tls_url), headers);
  }
}

/** A sender of ours that keeps the bytes and headers of the last answer, so that they can be verified. */
class Keeping extends ToSimulator {
  last: Arrival = { headers: {}, body: '' };
  override post(url: string, params: Record<string, unknown>, headers: Record<string, string>) {
    return this.send(url, { method: 'POST', body: JSON.stringify(params), headers });
  }
  override get(url: string, headers: Record<string, string>) {
    return this.send(url, { headers });
  }
  private async send(url: string, init: RequestInit) {
    const answer = await fetch(url.replace(wechat_host, simulated.config.base_url), init);
    const body = await answer.text();
    this.last = { headers: Object.fromEntries(answer.headers), body };
    return { status: answer.status, data: body === '' ? {} : JSON.parse(body) };
  }
}

function newWxPay(sender: PayRequest = new ToSimulator()) {
  const { merchant } = simulated;
  const pay = new WxPay({
    appid: merchant.appid,
    mchid: merchant.mch_id,
    publicKey: Buffer.from(merchant.merchant_cert_pem),
    privateKey: Buffer.from(merchant.merchant_key_pem),
    key: merchant.api_v3_key,
  });
  pay.createHttp(sender);
  return pay;
}

type Client = ReturnType<typeof newWxPay>;

const order = (own: object = {}) => ({
  description: '柜台 <A&B> "礼盒"',
  attach: 'a=1&b=2',
  out_trade_no: freshNumber('N'),
  notify_url: simulated.notify_url,
  amount: { total: 1288 },
  ...own,
});

const verified = (pay: Client, { headers, body }: Arrival): Promise<boolean> =>
  pay.verifySign({
    timestamp: String(headers['wechatpay-timestamp']),
    nonce: String(headers['wechatpay-nonce']),
    serial: String(headers['wechatpay-serial']),
    signature: String(headers['wechatpay-signature']),
    body,
  });

/** What a notification says, opened by the library. */
function opened(pay: Client, { body }: Arrival): Record<string, unknown> {
  const { ciphertext, associated_data, nonce } = JSON.parse(body).resource;
  return pay.decipher_gcm(ciphertext, associated_data, nonce);
}

/** An order placed and paid by what the client signed. */
async function paid(pay: Client): Promise<string> {
  const placing = order({ payer: { openid: simulated.openid } });
  const { data } = await pay.transactions_jsapi(placing);
  await simulated.payInWechat(data);
  await simulated.advance(0);
  return placing.out_trade_no;
}

describe.each(['certificate', 'public_key'])('wechatpay-node-v3 in mode %s', (mode) => {
  beforeEach(async () => {
    await simulated.control('PUT', 'merchant', { mode });
    simulated.reply = () => ({ status: 204, body: '' });
    const { platform_public_key_id, platform_public_key_pem } = simulated.merchant;
    // The platform's certificates it fetches when it needs one. Of the public key it knows nothing; the table where
    // it keeps what it fetched takes it all the same.
    Object.assign(WxPay, {
      certificates: mode === 'public_key' ? { [platform_public_key_id]: platform_public_key_pem } : {},
    });
  });

  it('orders by JSAPI, signs what the phone accepts, is told, and finds the order paid', async () => {
    const pay = newWxPay();
    const out_trade_no = await paid(pay);
    expect(simulated.arrivals).toHaveLength(1);
    for (const arrival of simulated.arrivals) {
      expect(await verified(pay, arrival)).toBe(true);
      expect(opened(pay, arrival)).toMatchObject({ out_trade_no, attach: 'a=1&b=2', trade_state: 'SUCCESS' });
    }
    const { status, data } = await pay.query({ out_trade_no });
    expect([status, data]).toMatchObject([200, { trade_state: 'SUCCESS', amount: { total: 1288 } }]);
    const { transaction_id } = data;
    expect((await pay.query({ transaction_id })).data.out_trade_no).toBe(out_trade_no);
  });

  it('orders by NATIVE, closes, and finds the order closed', async () => {
    const pay = newWxPay();
    const placing = order();
    const placed = await pay.transactions_native(placing);
    expect(placed.data.code_url).toMatch(/^weixin:\/\/wxpay\/bizpayurl\?pr=/);
    expect((await pay.close(placing.out_trade_no)).status).toBe(204);
    const { out_trade_no } = placing;
    expect((await pay.query({ out_trade_no })).data.trade_state).toBe('CLOSED');
  });

  it('refunds, is told, and queries the refund', async () => {
    const pay = newWxPay();
    const out_trade_no = await paid(pay);
    simulated.arrivals.length = 0;
    const out_refund_no = freshNumber('R');
    const { data } = await pay.refunds({
      out_trade_no,
      out_refund_no,
      reason: '少发一件',
      notify_url: simulated.notify_url,
      amount: { refund: 288, total: 1288, currency: 'CNY' },
    });
    expect(data.status).toBe('PROCESSING');
    await simulated.advance(5);
    expect(simulated.arrivals).toHaveLength(1);
    for (const arrival of simulated.arrivals) {
      expect(await verified(pay, arrival)).toBe(true);
      expect(opened(pay, arrival)).toMatchObject({ out_trade_no, out_refund_no, refund_status: 'SUCCESS' });
    }
    expect((await pay.find_refunds(out_refund_no)).data).toMatchObject({
      status: 'SUCCESS',
      amount: { refund: 288 },
    });
  });

  // Packed bills it cannot hand over: of application/x-gzip it keeps nothing.
  it('downloads a bill that fits its hash', async () => {
    const pay = newWxPay();
    const out_trade_no = await paid(pay);
    const bill_date = await simulated.toMorningAfter();
    const { data } = await pay.tradebill({ bill_date, bill_type: 'ALL' });
    // It signs the address as it gets it, without its host only when that is WeChat's.
    const address = data.download_url.replace(simulated.config.tls_url, wechat_host);
    const text = (await pay.downloadBill(address)).data;
    expect(createHash('sha1').update(text).digest('hex')).toBe(data.hash_value);
    expect(text).toContain(`,\`${out_trade_no},`);
  });

  it('verifies the answers, an empty one too', async () => {
    const sender = new Keeping();
    const pay = newWxPay(sender);
    const placing = order();
    await pay.transactions_native(placing);
    expect(await verified(pay, sender.last)).toBe(true);
    await pay.query({ out_trade_no: placing.out_trade_no });
    expect(await verified(pay, sender.last)).toBe(true);
    await pay.close(placing.out_trade_no);
    expect(sender.last.body).toBe('');
    expect(await verified(pay, sender.last)).toBe(true);
  });

  it('does not verify an answer or a notification that was changed on its way', async () => {
    const sender = new Keeping();
    const pay = newWxPay(sender);
    await simulated.control('PUT', 'faults', { notify_tampered: { times: 1 } });
    await paid(pay);
    await simulated.control('PUT', 'faults', { answer_tampered: { times: 1, path: '/v3/pay/*' } });
    await pay.transactions_native(order());
    expect(await verified(pay, sender.last)).toBe(false);
    for (const arrival of simulated.arrivals) expect(await verified(pay, arrival)).toBe(false);
    expect(simulated.arrivals).toHaveLength(1);
  });
});
