/**
 * The API v2 client against a network that does every wrong thing there is: what it sends, what it believes, and which
 * failures it calls refused. Answers are signed by another implementation than ours (wechatpay-axios-plugin).
 */

import { describe, expect, it } from 'vitest';
import { Hash } from 'wechatpay-axios-plugin';
import {
  createWechatPayV2,
  type PlaceRefund,
  type PlaceTrade,
  type Ports,
  parseXml,
  WechatError,
  type WechatPay,
  type WechatPayV2Config,
} from '../../lib/wechat/index.ts';

const KEY = '192006250b4c09247ec02edce69f6a2d';
const NOW = new Date('2025-07-04T07:30:00Z');
const CONFIG: WechatPayV2Config = {
  appid: 'wx2421b1c4370ec43b',
  mch_id: '10000100',
  api_v2_key: KEY,
  sign_type: 'HMAC-SHA256',
  base_url: 'https://api.mch.weixin.qq.com',
};
const TRADE: PlaceTrade = {
  out_trade_no: 'T20250704000001',
  trade_type: 'JSAPI',
  description: '苹果 A&B <1斤>',
  total_fen: 888,
  payer_client_ip: '14.23.150.211',
  notify_url: 'https://shop.example.com/api/notify/v2/payment',
  time_start_at: NOW,
  time_expire_at: new Date(NOW.getTime() + 30 * 60_000),
  openid: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o',
  attach: 'order-1',
};
const REFUND: PlaceRefund = {
  out_refund_no: 'R20250704000001',
  out_trade_no: TRADE.out_trade_no,
  total_fen: 888,
  refund_fen: 100,
  reason: '少了一个',
};

type Fields = Record<string, string | undefined>;
type Fetch = typeof globalThis.fetch;

interface Sent {
  url: string;
  init: RequestInit;
  fields: Record<string, string>;
}

function xmlOf(fields: Fields): string {
  const inner = Object.entries(fields).map(
    ([name, value]) => `<${name}><![CDATA[${value ?? ''}]]></${name}>`,
  );
  return `<xml>${inner.join('\n')}</xml>\n`;
}

/** As WeChat answers: the fields of the call on top of the common ones, signed. */
function signed(fields: Fields, sign_type: 'MD5' | 'HMAC-SHA256' = 'HMAC-SHA256', key = KEY): string {
  const all: Fields = {
    return_code: 'SUCCESS',
    return_msg: 'OK',
    appid: CONFIG.appid,
    mch_id: CONFIG.mch_id,
    nonce_str: 'IITRi8Iabbblz1Jc',
    result_code: 'SUCCESS',
    ...fields,
  };
  const present = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return xmlOf({ ...present, sign: Hash.sign(sign_type, present, key) });
}

function clientWith(
  answer: Fetch | string | Response,
  config: Partial<WechatPayV2Config> = {},
): { pay: WechatPay; sent: Sent[] } {
  const sent: Sent[] = [];
  const fetch: Fetch = async (url, init = {}) => {
    sent.push({ url: String(url), init, fields: { ...parseXml(Buffer.from(String(init.body))) } });
    if (typeof answer === 'function') return answer(url, init);
    return typeof answer === 'string' ? new Response(answer) : answer;
  };
  const ports: Ports = {
    fetch,
    fetch_with_certificate: fetch,
    now: () => NOW,
    nonce: (length = 32) => String(sent.length + 1).padStart(length, 'n'),
  };
  return { pay: createWechatPayV2({ ...CONFIG, ...config }, ports), sent };
}

async function failure(promise: Promise<unknown>): Promise<WechatError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof WechatError)) throw new Error('no WechatError', { cause: error });
  return error;
}

const PLACED = { prepay_id: 'wx201411101639507cbf6ffd8b0779950874', trade_type: 'JSAPI' };
const PAID = {
  out_trade_no: TRADE.out_trade_no,
  trade_state: 'SUCCESS',
  trade_state_desc: '支付成功',
  openid: TRADE.openid,
  is_subscribe: 'N',
  trade_type: 'JSAPI',
  bank_type: 'OTHERS',
  total_fee: '888',
  cash_fee: '800',
  coupon_fee: '88',
  coupon_count: '1',
  coupon_fee_0: '88',
  coupon_id_0: '10000',
  coupon_type_0: 'CASH',
  transaction_id: '4200000263201902167700134212',
  attach: 'order-1',
  time_end: '20250704153101',
};

describe('placing a trade', () => {
  it('sends what the document wants, signed with everything in it', async () => {
    const { pay, sent } = clientWith(signed(PLACED));
    const placed = await pay.placeTrade(TRADE);
    expect(placed).toMatchObject({ prepay_id: PLACED.prepay_id });
    expect(placed).not.toHaveProperty('code_url');
    const [{ url, init, fields } = { url: '', init: {}, fields: {} }] = sent;
    expect(url).toBe('https://api.mch.weixin.qq.com/pay/unifiedorder');
    expect(init).toMatchObject({ method: 'POST', redirect: 'manual' });
    expect(new Headers(init.headers).get('content-type')).toBe('text/xml; charset=utf-8');
    const { sign, ...unsigned } = fields;
    expect(sign).toBe(Hash.sign('HMAC-SHA256', unsigned, KEY));
    expect(unsigned).toEqual({
      appid: CONFIG.appid,
      mch_id: CONFIG.mch_id,
      nonce_str: '1'.padStart(32, 'n'),
      sign_type: 'HMAC-SHA256',
      body: '苹果 A&B <1斤>',
      attach: 'order-1',
      out_trade_no: TRADE.out_trade_no,
      total_fee: '888',
      spbill_create_ip: '14.23.150.211',
      time_start: '20250704153000',
      time_expire: '20250704160000',
      notify_url: TRADE.notify_url,
      trade_type: 'JSAPI',
      openid: TRADE.openid,
    });
  });

  it('keeps the exchange as evidence', async () => {
    const answer = new Response(signed(PLACED), { headers: { 'Request-ID': '08F78BB1' } });
    const { exchange } = await clientWith(answer).pay.placeTrade(TRADE);
    expect(exchange).toMatchObject({
      method: 'POST',
      path: '/pay/unifiedorder',
      status: 200,
      request_id: '08F78BB1',
      started_at: NOW,
      duration_ms: 0,
    });
    expect(exchange.request_body).toContain(TRADE.out_trade_no);
    expect(exchange.response_body).toContain(PLACED.prepay_id);
    expect(JSON.stringify(exchange)).not.toContain(KEY);
  });

  it('repeats with identical parameters, but for nonce and sign', async () => {
    const { pay, sent } = clientWith((() => Promise.resolve(new Response(signed(PLACED)))) as Fetch);
    await pay.placeTrade(TRADE);
    await pay.placeTrade(TRADE);
    const [first, second] = sent.map(({ fields: { nonce_str, sign, ...rest } }) => ({
      nonce_str,
      sign,
      rest,
    }));
    expect(second?.rest).toEqual(first?.rest);
    expect(second?.nonce_str).not.toBe(first?.nonce_str);
  });

  it('signs with MD5 when that is the account’s sign type', async () => {
    const { pay, sent } = clientWith(signed(PLACED, 'MD5'), { sign_type: 'MD5' });
    await pay.placeTrade(TRADE);
    expect(sent[0]?.fields).toMatchObject({
      sign_type: 'MD5',
      sign: expect.stringMatching(/^[0-9A-F]{32}$/),
    });
  });

  it.each<[string, Partial<PlaceTrade>, Fields, Fields, object]>([
    [
      'NATIVE gives the code, the number standing in for a missing product_id',
      { trade_type: 'NATIVE' },
      { product_id: TRADE.out_trade_no },
      { code_url: 'weixin://wxpay/bizpayurl/up?pr=NwY5Mz9&groupid=00' },
      { code_url: 'weixin://wxpay/bizpayurl/up?pr=NwY5Mz9&groupid=00' },
    ],
    [
      'MWEB gives the link and tells the scene',
      { trade_type: 'MWEB', h5: { wap_url: 'https://shop.example.com', wap_name: '小店' } },
      { scene_info: '{"h5_info":{"type":"Wap","wap_url":"https://shop.example.com","wap_name":"小店"}}' },
      { mweb_url: 'https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx2014&package=1234' },
      { h5_url: 'https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx2014&package=1234' },
    ],
    ['APP wants no payer', { trade_type: 'APP' }, { openid: undefined }, {}, {}],
  ])('%s', async (_name, trade, request, reply, result) => {
    const { pay, sent } = clientWith(signed({ ...PLACED, trade_type: trade.trade_type, ...reply }));
    expect(await pay.placeTrade({ ...TRADE, ...trade })).toMatchObject(result);
    for (const [name, value] of Object.entries(request)) expect(sent[0]?.fields[name]).toBe(value);
  });

  it('in partner mode sends the sub-merchant and the payer under the sub-appid, and hands the page that appid', async () => {
    const partner = { sub_mch_id: '1900000109', sub_appid: 'wx8888888888888888' };
    const { pay, sent } = clientWith(signed({ ...PLACED, ...partner }), partner);
    await pay.placeTrade({ ...TRADE, sub_openid: 'oSub' });
    expect(sent[0]?.fields).toMatchObject({ ...partner, sub_openid: 'oSub' });
    expect(sent[0]?.fields).not.toHaveProperty('openid');
    expect(pay.jsapiParameters(PLACED.prepay_id).appId).toBe(partner.sub_appid);
  });

  it.each<[string, Partial<PlaceTrade>]>([
    ['no openid', { openid: undefined }],
    ['an openid that could be two fields', { openid: 'o&total_fee=1' }],
    ['an attach that could be two fields', { attach: 'a&b=c' }],
    ['a number with a blank', { out_trade_no: 'T 20250704' }],
    ['a number of 33', { out_trade_no: 'T'.repeat(33) }],
    ['nothing to pay', { total_fen: 0 }],
    ['a negative amount', { total_fen: -1 }],
    ['half a fen', { total_fen: 1.5 }],
    ['no number', { total_fen: Number.NaN }],
    ['2^31 fen', { total_fen: 2 ** 31 }],
    ['a notify address with a query', { notify_url: 'https://shop.example.com/n?x=1' }],
    ['a relative notify address', { notify_url: '/n' }],
    ['no payer address', { payer_client_ip: 'unknown' }],
    ['MWEB without its scene', { trade_type: 'MWEB' }],
  ])('refuses %s before anything is sent', async (_name, wrong) => {
    const { pay, sent } = clientWith(signed(PLACED));
    expect(await failure(pay.placeTrade({ ...TRADE, ...wrong }))).toMatchObject({
      outcome: 'refused',
      code: 'PARAM_ERROR',
      exchange: undefined,
    });
    expect(sent).toEqual([]);
  });

  it('an emoji in the goods text does not spoil the order', async () => {
    const { pay, sent } = clientWith(signed(PLACED));
    await pay.placeTrade({ ...TRADE, description: `🍎苹果\n${'支'.repeat(60)}` });
    expect(sent[0]?.fields.body).toBe(`苹果 ${'支'.repeat(40)}`);
  });
});

describe('what became of the call', () => {
  const aborting: Fetch = (_url, init) =>
    new Promise((_resolve, reject) => {
      init?.signal?.addEventListener('abort', () => reject(init.signal?.reason));
    });
  const cut = (): Response =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(Buffer.from('<xml><return_code>SUC'));
        },
        pull(controller) {
          controller.error(new TypeError('terminated'));
        },
      }),
    );

  it.each<[string, Fetch | string | Response, string]>([
    ['the line fails', () => Promise.reject(new TypeError('fetch failed')), 'NO_ANSWER'],
    ['nothing comes in time', aborting, 'NO_ANSWER'],
    ['the answer is cut', cut(), 'NO_ANSWER'],
    ['HTTP 502 with HTML', new Response('<html>Bad Gateway</html>', { status: 502 }), 'HTTP_502'],
    ['HTTP 500 with a good answer', new Response(signed(PLACED), { status: 500 }), 'HTTP_500'],
    ['HTTP 400 of the gateway', new Response('<html>400</html>', { status: 400 }), 'HTTP_400'],
    ['a redirect', new Response(null, { status: 302, headers: { location: 'https://evil/' } }), 'HTTP_302'],
    ['HTTP 204', new Response(null, { status: 204 }), 'HTTP_204'],
    ['HTML with status 200', '<html><body>ok</body></html>', 'BAD_ANSWER'],
    ['an empty answer', '', 'BAD_ANSWER'],
    ['JSON', '{"code":"SUCCESS"}', 'BAD_ANSWER'],
    ['half an answer', signed(PLACED).slice(0, 200), 'BAD_ANSWER'],
    ['an answer with a DOCTYPE', `<!DOCTYPE xml>${signed(PLACED)}`, 'BAD_ANSWER'],
    ['an endless answer', 'x'.repeat(1024 * 1024 + 1), 'BAD_ANSWER'],
    ['an answer without return_code', '<xml><a>1</a></xml>', 'BAD_ANSWER'],
    ['return_code in small letters', xmlOf({ return_code: 'success' }), 'BAD_ANSWER'],
    ['no signature', xmlOf({ return_code: 'SUCCESS', result_code: 'SUCCESS', ...PLACED }), 'BAD_SIGNATURE'],
    ['an empty signature', signed(PLACED).replace(/<sign>.*<\/sign>/, '<sign></sign>'), 'BAD_SIGNATURE'],
    ['the signature of another key', signed(PLACED, 'HMAC-SHA256', 'x'.repeat(32)), 'BAD_SIGNATURE'],
    ['the signature of the other algorithm', signed(PLACED, 'MD5'), 'BAD_SIGNATURE'],
    ['a changed field', signed(PLACED).replace('wx2014', 'wx2015'), 'BAD_SIGNATURE'],
    [
      'an unsigned refusal in the second level',
      xmlOf({ return_code: 'SUCCESS', result_code: 'FAIL', err_code: 'NOAUTH' }),
      'BAD_SIGNATURE',
    ],
    ['an answer to another merchant', signed({ ...PLACED, mch_id: '10000101' }), 'BAD_ANSWER'],
    ['an answer to another account', signed({ ...PLACED, appid: 'wx0000000000000000' }), 'BAD_ANSWER'],
    ['an answer to a sub-merchant', signed({ ...PLACED, sub_mch_id: '1900000109' }), 'BAD_ANSWER'],
    ['an answer to another trade type', signed({ ...PLACED, trade_type: 'NATIVE' }), 'BAD_ANSWER'],
    ['an answer without prepay_id', signed({ ...PLACED, prepay_id: undefined }), 'BAD_ANSWER'],
    ['a prepay_id that could be two fields', signed({ ...PLACED, prepay_id: 'wx1&a=b' }), 'BAD_ANSWER'],
    ['an unknown field that could be two', signed({ ...PLACED, news: 'a&b=c' }), 'BAD_ANSWER'],
    ['no result_code', signed({ ...PLACED, result_code: undefined }), 'BAD_ANSWER'],
    ['SYSTEMERROR', signed({ result_code: 'FAIL', err_code: 'SYSTEMERROR' }), 'SYSTEMERROR'],
    ['a code nobody documented', signed({ result_code: 'FAIL', err_code: 'BRAND_NEW' }), 'BRAND_NEW'],
    ['a code named like a built-in', signed({ result_code: 'FAIL', err_code: 'constructor' }), 'constructor'],
    ['a failure without a code', signed({ result_code: 'FAIL' }), 'NO_ERR_CODE'],
    ['a level-1 text nobody has seen', xmlOf({ return_code: 'FAIL', return_msg: '系统繁忙' }), 'RETURN_FAIL'],
    ['level-1 SYSTEMERROR', xmlOf({ return_code: 'FAIL', return_msg: 'SYSTEMERROR' }), 'SYSTEMERROR'],
    ['a level-1 failure without text', xmlOf({ return_code: 'FAIL' }), 'RETURN_FAIL'],
  ])('%s: unknown', async (_name, answer, code) => {
    const { pay } = clientWith(answer, { timeout_ms: 30 });
    expect(await failure(pay.placeTrade(TRADE))).toMatchObject({ outcome: 'unknown', code });
  });

  it.each([
    'INVALID_REQUEST',
    'NOAUTH',
    'NOTENOUGH',
    'ORDERPAID',
    'ORDERCLOSED',
    'APPID_NOT_EXIST',
    'MCHID_NOT_EXIST',
    'APPID_MCHID_NOT_MATCH',
    'LACK_PARAMS',
    'OUT_TRADE_NO_USED',
    'SIGNERROR',
    'XML_FORMAT_ERROR',
    'REQUIRE_POST_METHOD',
    'POST_DATA_EMPTY',
    'NOT_UTF8',
    'PARAM_ERROR',
  ])('signed %s: refused', async (err_code) => {
    const { pay } = clientWith(signed({ result_code: 'FAIL', err_code, err_code_des: '说明 A&B=C' }));
    const error = await failure(pay.placeTrade(TRADE));
    expect(error).toMatchObject({ outcome: 'refused', code: err_code });
    expect(error.message).toContain('说明');
    expect(error.exchange?.response_body).toContain(err_code);
  });

  it.each([
    ['签名错误', 'SIGNERROR'],
    ['JSAPI支付必须传openid', 'LACK_PARAMS'],
    ['缺少参数', 'LACK_PARAMS'],
    ['商户号mch_id或sub_mch_id不存在', 'MCHID_NOT_EXIST'],
    ['body参数格式错误', 'PARAM_ERROR'],
    ['invalid refund_fee', 'PARAM_ERROR'],
    ['time_expire时间过短，刷卡至少1分钟，其他5分钟', 'PARAM_ERROR'],
    ['XML_FORMAT_ERROR', 'XML_FORMAT_ERROR'],
  ])('level-1 %s: refused as %s', async (return_msg, code) => {
    const { pay } = clientWith(xmlOf({ return_code: 'FAIL', return_msg }));
    expect(await failure(pay.placeTrade(TRADE))).toMatchObject({ outcome: 'refused', code });
  });

  it('an answer with sign_type, unknown fields and empty ones in it is verified with all of them', async () => {
    const answer = signed({ ...PLACED, sign_type: 'HMAC-SHA256', brand_new: '值', device_info: '' });
    expect(await clientWith(answer).pay.placeTrade(TRADE)).toMatchObject({ prepay_id: PLACED.prepay_id });
  });
});

describe('querying a trade', () => {
  it('reshapes a paid one', async () => {
    const { pay, sent } = clientWith(signed(PAID));
    const { report } = await pay.queryTrade(TRADE.out_trade_no);
    expect(sent[0]?.url).toBe('https://api.mch.weixin.qq.com/pay/orderquery');
    expect(report).toEqual({
      appid: CONFIG.appid,
      mch_id: CONFIG.mch_id,
      out_trade_no: TRADE.out_trade_no,
      trade_state: 'SUCCESS',
      trade_state_desc: '支付成功',
      transaction_id: '4200000263201902167700134212',
      trade_type: 'JSAPI',
      total_fen: 888,
      payer_total_fen: 800,
      fee_type: 'CNY',
      openid: TRADE.openid,
      bank_type: 'OTHERS',
      attach: 'order-1',
      success_at: new Date('2025-07-04T07:31:01Z'),
    });
  });

  it.each(['NOTPAY', 'CLOSED', 'USERPAYING', 'REVOKED', 'PAYERROR'])(
    'an unpaid one has only a state: %s',
    async (state) => {
      const { pay } = clientWith(
        signed({ out_trade_no: TRADE.out_trade_no, trade_state: state, trade_state_desc: '—' }),
      );
      expect((await pay.queryTrade(TRADE.out_trade_no)).report).toEqual({
        appid: CONFIG.appid,
        mch_id: CONFIG.mch_id,
        out_trade_no: TRADE.out_trade_no,
        trade_state: state,
        trade_state_desc: '—',
      });
    },
  );

  it('a refunded one still tells of its payment', async () => {
    const { report } = await clientWith(signed({ ...PAID, trade_state: 'REFUND' })).pay.queryTrade(
      TRADE.out_trade_no,
    );
    expect(report).toMatchObject({ trade_state: 'REFUND', total_fen: 888, fee_type: 'CNY' });
  });

  it.each<[string, Fields]>([
    ['of another order', { out_trade_no: 'T20250704000002' }],
    ['in a state nobody documented', { trade_state: 'HAPPY' }],
    ['in a state named like a built-in', { trade_state: 'constructor' }],
    ['of a trade type nobody documented', { trade_type: 'BARTER' }],
    ['without an amount', { total_fee: undefined }],
    ['without a transaction_id', { transaction_id: undefined }],
    ['with a negative amount', { total_fee: '-1' }],
    ['with a decimal amount', { total_fee: '8.88' }],
    ['with an amount in exponents', { total_fee: '1e3' }],
    ['with an amount of eleven digits', { total_fee: '88888888888' }],
    ['with an amount in full-width digits', { total_fee: '８８８' }],
    ['paid on the 31st of June', { time_end: '20250631153101' }],
    ['paid at 24:00', { time_end: '20250704240000' }],
    ['with an attach we never write', { attach: '订单{"a":1}' }],
    ['with an openid that could be two fields', { openid: 'a&b=c' }],
  ])('a signed answer %s is not believed', async (_name, wrong) => {
    const { pay } = clientWith(signed({ ...PAID, ...wrong }));
    expect(await failure(pay.queryTrade(TRADE.out_trade_no))).toMatchObject({
      outcome: 'unknown',
      code: 'BAD_ANSWER',
    });
  });

  it('says when there is no such order', async () => {
    const { pay } = clientWith(signed({ result_code: 'FAIL', err_code: 'ORDERNOTEXIST' }));
    expect(await failure(pay.queryTrade(TRADE.out_trade_no))).toMatchObject({
      outcome: 'refused',
      code: 'ORDERNOTEXIST',
    });
  });
});

describe('closing a trade', () => {
  it.each<[string, Fields, string]>([
    ['closes', { result_msg: 'OK' }, 'closed'],
    ['was closed already', { result_code: 'FAIL', err_code: 'ORDERCLOSED' }, 'closed'],
    ['is paid', { result_code: 'FAIL', err_code: 'ORDERPAID' }, 'paid'],
    ['is not there', { result_code: 'FAIL', err_code: 'ORDERNOTEXIST' }, 'not_found'],
  ])('%s', async (_name, reply, outcome) => {
    const { pay, sent } = clientWith(signed(reply));
    expect(await pay.closeTrade(TRADE.out_trade_no)).toMatchObject({ outcome, exchange: { status: 200 } });
    expect(sent[0]?.url).toBe('https://api.mch.weixin.qq.com/pay/closeorder');
  });

  it.each([
    ['unknown', 'SYSTEMERROR'],
    ['unknown', 'TRADE_STATE_ERROR'],
    ['refused', 'SIGNERROR'],
  ])('is %s on %s', async (outcome, err_code) => {
    const { pay } = clientWith(signed({ result_code: 'FAIL', err_code }));
    expect(await failure(pay.closeTrade(TRADE.out_trade_no))).toMatchObject({ outcome, code: err_code });
  });

  it('an unsigned ORDERPAID is no word of WeChat', async () => {
    const { pay } = clientWith(xmlOf({ return_code: 'SUCCESS', result_code: 'FAIL', err_code: 'ORDERPAID' }));
    expect(await failure(pay.closeTrade(TRADE.out_trade_no))).toMatchObject({ code: 'BAD_SIGNATURE' });
  });
});

describe('refunding', () => {
  const ACCEPTED = {
    transaction_id: '4200000263201902167700134212',
    out_trade_no: REFUND.out_trade_no,
    out_refund_no: REFUND.out_refund_no,
    refund_id: '50000709672019011908420787722',
    refund_fee: '100',
    total_fee: '888',
    cash_fee: '888',
    refund_channel: '',
  };

  it('sends our number and amounts; SUCCESS means accepted', async () => {
    const { pay, sent } = clientWith(signed(ACCEPTED));
    const { report } = await pay.placeRefund(REFUND);
    expect(sent[0]?.url).toBe('https://api.mch.weixin.qq.com/secapi/pay/refund');
    expect(sent[0]?.fields).toMatchObject({
      out_trade_no: REFUND.out_trade_no,
      out_refund_no: REFUND.out_refund_no,
      total_fee: '888',
      refund_fee: '100',
      refund_desc: '少了一个',
    });
    expect(report).toEqual({
      out_refund_no: REFUND.out_refund_no,
      refund_id: '50000709672019011908420787722',
      out_trade_no: REFUND.out_trade_no,
      transaction_id: '4200000263201902167700134212',
      status: 'PROCESSING',
      refund_fen: 100,
      total_fen: 888,
    });
  });

  it.each<[string, Fields]>([
    ['another refund number', { out_refund_no: 'R20250704000002' }],
    ['another trade', { out_trade_no: 'T20250704000002' }],
    ['another amount', { refund_fee: '888' }],
    ['another total', { total_fee: '889' }],
    ['no refund_id', { refund_id: undefined }],
  ])('a signed answer with %s is not believed', async (_name, wrong) => {
    const { pay } = clientWith(signed({ ...ACCEPTED, ...wrong }));
    expect(await failure(pay.placeRefund(REFUND))).toMatchObject({ outcome: 'unknown', code: 'BAD_ANSWER' });
  });

  it.each([
    ['unknown', 'SYSTEMERROR'],
    ['unknown', 'BIZERR_NEED_RETRY'],
    ['unknown', 'ERROR'],
    ['refused', 'TRADE_OVERDUE'],
    ['refused', 'USER_ACCOUNT_ABNORMAL'],
    ['refused', 'NOTENOUGH'],
    ['refused', 'INVALID_REQ_TOO_MUCH'],
    ['refused', 'FREQUENCY_LIMITED'],
    ['refused', 'REFUND_FEE_MISMATCH'],
    ['refused', 'ORDERNOTEXIST'],
    ['refused', 'ORDER_NOT_READY'],
    ['refused', 'INVALID_REQUEST'],
    ['refused', 'CERT_ERROR'],
    ['refused', 'NOAUTH'],
    ['refused', 'INVALID_TRANSACTIONID'],
  ])('is %s on %s', async (outcome, err_code) => {
    const { pay } = clientWith(signed({ result_code: 'FAIL', err_code }));
    expect(await failure(pay.placeRefund(REFUND))).toMatchObject({ outcome, code: err_code });
  });

  it.each<[string, Partial<PlaceRefund>]>([
    ['more than was paid', { refund_fen: 889 }],
    ['nothing', { refund_fen: 0 }],
    ['half a fen', { refund_fen: 0.5 }],
    ['a number with a blank', { out_refund_no: 'R 1' }],
  ])('refuses to refund %s before anything is sent', async (_name, wrong) => {
    const { pay, sent } = clientWith(signed(ACCEPTED));
    expect(await failure(pay.placeRefund({ ...REFUND, ...wrong }))).toMatchObject({
      outcome: 'refused',
      code: 'PARAM_ERROR',
    });
    expect(sent).toEqual([]);
  });

  it('without a client certificate nothing is sent to a TLS host', async () => {
    const ports: Ports = { fetch: () => Promise.reject(new Error('sent')), now: () => NOW, nonce: () => 'n' };
    const pay = createWechatPayV2(CONFIG, ports);
    expect(await failure(pay.placeRefund(REFUND))).toMatchObject({
      outcome: 'refused',
      code: 'NO_CERTIFICATE',
    });
  });

  it('to a simulator without TLS it goes over the ordinary line, certificate or none', async () => {
    const ordinary: Ports = {
      fetch: async () => new Response(signed(ACCEPTED)),
      now: () => NOW,
      nonce: () => 'n',
    };
    const pay = createWechatPayV2({ ...CONFIG, base_url: 'http://127.0.0.1:8801' }, ordinary);
    expect((await pay.placeRefund(REFUND)).report.status).toBe('PROCESSING');
  });

  it('the refund goes to its own host when there is one', async () => {
    const { pay, sent } = clientWith(signed(ACCEPTED), { certificate_base_url: 'https://localhost:1443/' });
    await pay.placeRefund(REFUND);
    expect(sent[0]?.url).toBe('https://localhost:1443/secapi/pay/refund');
  });
});

describe('querying a refund', () => {
  const QUERIED = {
    transaction_id: '4200000263201902167700134212',
    out_trade_no: REFUND.out_trade_no,
    total_fee: '888',
    cash_fee: '888',
    refund_fee: '300',
    refund_count: '2',
    out_refund_no_0: 'R20250704000000',
    refund_id_0: '50000709672019011908420787721',
    refund_fee_0: '200',
    refund_status_0: 'SUCCESS',
    refund_success_time_0: '2025-07-04 15:26:26',
    out_refund_no_1: REFUND.out_refund_no,
    refund_id_1: '50000709672019011908420787722',
    refund_fee_1: '100',
    refund_status_1: 'SUCCESS',
    refund_channel_1: 'ORIGINAL',
    refund_recv_accout_1: '招商银行信用卡0403',
    refund_account_1: 'REFUND_SOURCE_UNSETTLED_FUNDS',
    refund_success_time_1: '2025-07-04 15:36:26',
    coupon_type_1_0: 'CASH',
    coupon_refund_fee_1_0: '1',
  };

  it('finds ours among the numbered records', async () => {
    const { pay, sent } = clientWith(signed(QUERIED));
    const { report } = await pay.queryRefund(REFUND.out_refund_no);
    expect(sent[0]?.url).toBe('https://api.mch.weixin.qq.com/pay/refundquery');
    expect(sent[0]?.fields.out_refund_no).toBe(REFUND.out_refund_no);
    expect(report).toEqual({
      out_refund_no: REFUND.out_refund_no,
      refund_id: '50000709672019011908420787722',
      out_trade_no: REFUND.out_trade_no,
      transaction_id: '4200000263201902167700134212',
      status: 'SUCCESS',
      refund_fen: 100,
      total_fen: 888,
      success_at: new Date('2025-07-04T07:36:26Z'),
      user_received_account: '招商银行信用卡0403',
    });
  });

  it.each([
    ['PROCESSING', 'PROCESSING'],
    ['REFUNDCLOSE', 'CLOSED'],
    ['CHANGE', 'ABNORMAL'],
  ])('%s is %s', async (word, status) => {
    const { pay } = clientWith(
      signed({ ...QUERIED, refund_status_1: word, refund_success_time_1: undefined }),
    );
    const { report } = await pay.queryRefund(REFUND.out_refund_no);
    expect(report.status).toBe(status);
    expect(report).not.toHaveProperty('success_at');
  });

  it.each<[string, Fields]>([
    ['without our refund', { out_refund_no_1: 'R20250704000009' }],
    ['that counts fewer records', { refund_count: '1' }],
    ['with a status nobody documented', { refund_status_1: 'MAYBE' }],
    ['with an amount that is none', { refund_fee_1: '1,00' }],
    ['with a time that is none', { refund_success_time_1: '2025-02-30 00:00:00' }],
  ])('a signed answer %s is not believed', async (_name, wrong) => {
    const { pay } = clientWith(signed({ ...QUERIED, ...wrong }));
    expect(await failure(pay.queryRefund(REFUND.out_refund_no))).toMatchObject({ code: 'BAD_ANSWER' });
  });

  it('says when there is no such refund', async () => {
    const { pay } = clientWith(signed({ result_code: 'FAIL', err_code: 'REFUNDNOTEXIST' }));
    expect(await failure(pay.queryRefund(REFUND.out_refund_no))).toMatchObject({
      outcome: 'refused',
      code: 'REFUNDNOTEXIST',
    });
  });
});

describe('what the page hands to the bridge', () => {
  it.each(['MD5', 'HMAC-SHA256'] as const)(
    'is signed with %s over exactly its five other members',
    (sign_type) => {
      const { pay } = clientWith('', { sign_type });
      const { paySign, ...rest } = pay.jsapiParameters(PLACED.prepay_id);
      expect(rest).toEqual({
        appId: CONFIG.appid,
        timeStamp: '1751614200',
        nonceStr: '1'.padStart(32, 'n'),
        package: `prepay_id=${PLACED.prepay_id}`,
        signType: sign_type,
      });
      expect(paySign).toBe(Hash.sign(sign_type, rest, KEY));
    },
  );

  it('is not made of a prepay_id that could be two fields', () => {
    const { pay } = clientWith('');
    expect(() => pay.jsapiParameters('wx1&signType=MD5')).toThrow(WechatError);
  });
});
