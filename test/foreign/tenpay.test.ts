// tenpay (API v2) against the simulator. It verifies every answer but bills; the client certificate it knows only as
// WeChat's .p12 file.
import Tenpay from 'tenpay';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Arrival, freshNumber, type Reply, type Simulated, startSimulated } from './simulated.ts';

interface Heard {
  body: string;
  weixin?: Record<string, unknown>;
}

let simulated: Simulated;
beforeAll(async () => {
  simulated = await startSimulated();
});
afterAll(() => simulated.close());
afterEach(() => simulated.forget());

/** The library names WeChat's host in a table of addresses; only the host is exchanged. */
function newTenpay(own: { pfx?: Buffer } = {}) {
  const { config, merchant, notify_url } = simulated;
  const client = new Tenpay({
    appid: merchant.appid,
    mchid: merchant.mch_id,
    partnerKey: merchant.api_v2_key,
    pfx: Buffer.from(merchant.merchant_p12_base64, 'base64'),
    notify_url,
    refund_url: notify_url,
    ...own,
  });
  for (const [name, url] of Object.entries(client.urls as Record<string, string>)) {
    client.urls[name] = url.replace('https://api.mch.weixin.qq.com', config.tls_url);
  }
  return client;
}

const orderOf = (out_trade_no: string, sign_type: string) => ({
  out_trade_no,
  body: '柜台 <A&B> "礼盒"',
  attach: 'a=1&b=2',
  total_fee: 1288,
  openid: simulated.openid,
  sign_type,
});

/** The library's own middleware, on a plain door; what it accepted is kept in `heard`. */
function listening(client: ReturnType<typeof newTenpay>, type: 'pay' | 'refund', heard: Heard[]) {
  const middleware = client.middlewareForExpress(type);
  return (arrival: Arrival): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const request: Heard = { body: arrival.body };
      const response = {
        reply: (_refused?: string): void => undefined,
        header: (): void => undefined,
        send: (body: string) => resolve({ status: 200, body }),
      };
      const next = (): void => {
        heard.push(request);
        response.reply();
      };
      middleware(request, response, next).catch(reject);
    });
}

/** An order placed and paid by what the client signed. */
async function paid(client: ReturnType<typeof newTenpay>, sign_type: string): Promise<string> {
  const out_trade_no = freshNumber('T');
  await simulated.payInWechat(await client.getPayParams(orderOf(out_trade_no, sign_type)));
  return out_trade_no;
}

describe.each(['MD5', 'HMAC-SHA256'])('tenpay with %s', (sign_type) => {
  it('orders by JSAPI, signs what the phone accepts, and finds the order paid', async () => {
    const client = newTenpay();
    const out_trade_no = await paid(client, sign_type);
    expect(await client.orderQuery({ out_trade_no, sign_type })).toMatchObject({
      trade_state: 'SUCCESS',
      total_fee: '1288',
      attach: 'a=1&b=2',
      openid: simulated.openid,
    });
  });

  it('orders by NATIVE, closes, and finds the order closed', async () => {
    const client = newTenpay();
    const out_trade_no = freshNumber('T');
    const { openid: _nobody, ...order } = orderOf(out_trade_no, sign_type);
    const answer = await client.unifiedOrder({ ...order, trade_type: 'NATIVE', product_id: '1' });
    expect(answer.code_url).toMatch(/^weixin:\/\/wxpay\/bizpayurl\?pr=/);
    await client.closeOrder({ out_trade_no, sign_type });
    expect((await client.orderQuery({ out_trade_no, sign_type })).trade_state).toBe('CLOSED');
  });

  it('refunds with its certificate, and reads the refund', async () => {
    const client = newTenpay();
    const out_trade_no = await paid(client, sign_type);
    const out_refund_no = freshNumber('R');
    await client.refund({ out_trade_no, out_refund_no, total_fee: 1288, refund_fee: 288, sign_type });
    await simulated.advance(5);
    expect(await client.refundQuery({ out_refund_no, sign_type })).toMatchObject({
      refund_status_0: 'SUCCESS',
      refund_fee_0: '288',
      out_trade_no,
    });
  });

  it('downloads a bill as text and as rows', async () => {
    const client = newTenpay();
    const out_trade_no = await paid(client, sign_type);
    const bill_date = (await simulated.toMorningAfter()).replaceAll('-', '');
    const text: string = await client.downloadBill({ bill_date, sign_type });
    expect(text).toContain(`,\`${out_trade_no},`);
    const bill = await client.downloadBill({ bill_date, sign_type }, true);
    expect(bill.total_data[0]).toBe('1');
    expect(bill.list_data[0][bill.list_title.indexOf('商户订单号')]).toBe(out_trade_no);
    expect(bill.list_data[0][bill.list_title.indexOf('应结订单金额')]).toBe('12.88');
  });

  it('does not believe an answer with a bad signature', async () => {
    await simulated.control('PUT', 'faults', { unifiedorder_answer_bad_signature: { times: 1 } });
    const refused = newTenpay().unifiedOrder(orderOf(freshNumber('T'), sign_type));
    await expect(refused).rejects.toThrow('sign签名错误');
  });
});

describe('tenpay', () => {
  it('downloads the fund flow with its certificate', async () => {
    const client = newTenpay();
    await paid(client, 'MD5');
    const bill_date = (await simulated.toMorningAfter()).replaceAll('-', '');
    const flow = await client.downloadFundflow({ bill_date }, true);
    expect(flow.list_title).toContain('微信支付业务单号');
    expect(flow.list_data[0][flow.list_title.indexOf('收支金额(元)')]).toBe('12.88');
  });

  it('is refused a refund without the certificate', async () => {
    const client = newTenpay({ pfx: undefined });
    const out_trade_no = await paid(newTenpay(), 'MD5');
    const order = { out_trade_no, out_refund_no: freshNumber('R'), total_fee: 1288, refund_fee: 1288 };
    await expect(client.refund(order)).rejects.toThrow('CERT_ERROR');
  });

  it('is told why there is no bill yet', async () => {
    const { now } = (await simulated.control('GET', 'clock')) as { now: string };
    const bill_date = now.slice(0, 10).replaceAll('-', '');
    await expect(newTenpay().downloadBill({ bill_date })).rejects.toThrow('No Bill Exist');
  });
});

describe('tenpay hears', () => {
  it('of a payment', async () => {
    const client = newTenpay();
    const heard: Heard[] = [];
    simulated.reply = listening(client, 'pay', heard);
    const out_trade_no = await paid(client, 'MD5');
    await simulated.advance(0);
    expect(heard.map(({ weixin }) => weixin)).toMatchObject([{ out_trade_no, total_fee: '1288' }]);
    const { notifications } = await simulated.control('GET', `notifications?out_trade_no=${out_trade_no}`);
    expect(notifications).toMatchObject([{ attempts: [{ accepted: true }] }]);
  });

  // Without a sign_type in the message it takes every notification for MD5, so those of an order placed with
  // HMAC-SHA256 are refused; WeChat sends none. With one it verifies them.
  it.each([
    ['refuses a payment signed with HMAC-SHA256 that does not say so', {}, 0],
    ['accepts one that says so', { notify_sign_type_present: { times: 1 } }, 1],
  ])('and %s', async (_what, faults, count) => {
    const client = newTenpay();
    const heard: Heard[] = [];
    simulated.reply = listening(client, 'pay', heard);
    await simulated.control('PUT', 'faults', faults);
    await paid(client, 'HMAC-SHA256');
    await simulated.advance(0);
    expect(simulated.arrivals).toHaveLength(1);
    expect(heard).toHaveLength(count);
  });

  it.each(['notify_bad_signature', 'notify_no_signature', 'notify_other_merchant', 'notify_other_appid'])(
    'of no payment when the platform is at fault with %s',
    async (fault) => {
      const client = newTenpay();
      const heard: Heard[] = [];
      simulated.reply = listening(client, 'pay', heard);
      await simulated.control('PUT', 'faults', { [fault]: { times: 1 } });
      await paid(client, 'MD5');
      await simulated.advance(0);
      expect(simulated.arrivals).toHaveLength(1);
      expect(heard).toEqual([]);
      await simulated.advance(15);
      expect(heard).toHaveLength(1);
    },
  );

  it('of a refund, and opens it', async () => {
    const client = newTenpay();
    simulated.reply = listening(client, 'pay', []);
    const out_trade_no = await paid(client, 'MD5');
    await simulated.advance(0);
    const heard: Heard[] = [];
    simulated.reply = listening(client, 'refund', heard);
    const out_refund_no = freshNumber('R');
    await client.refund({ out_trade_no, out_refund_no, total_fee: 1288, refund_fee: 1288 });
    await simulated.advance(5);
    expect(heard.map(({ weixin }) => weixin)).toMatchObject([
      { req_info: { out_trade_no, out_refund_no, refund_fee: '1288', refund_status: 'SUCCESS' } },
    ]);
  });
});
