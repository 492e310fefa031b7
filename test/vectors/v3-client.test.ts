/**
 * The v3 client against a platform that signs: what it sends, and what each kind of answer, lost answer and forged
 * answer means for the money.
 */
import { createPublicKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Rsa } from 'wechatpay-axios-plugin';
import { WechatError } from '../../lib/wechat/errors.ts';
import type { PlaceTrade } from '../../lib/wechat/types.ts';
import { createWechatPayV3 } from '../../lib/wechat/v3/client.ts';
import {
  API_V3_KEY,
  APPID,
  lostReply,
  MCH_ID,
  NOW,
  ORIGIN,
  PUBLIC_KEY_ID,
  platform,
  type Reply,
  reply,
  signedHeaders,
  signers,
  unsignedReply,
} from './v3-platform.ts';
import { CERTIFICATE_A } from './v3-platform-keys.ts';
import { MERCHANT_KEY_PEM, PLATFORM_PUBLIC_KEY_PEM, V17_PLAINTEXT, V19_SIGNATURE } from './v3-published.ts';

const ORDER = '1217752501201407033233368018';
const PREPAY_ID = 'wx201410272009395522657a690389285100';

const trade: PlaceTrade = {
  out_trade_no: ORDER,
  trade_type: 'JSAPI',
  description: 'Image形象店-深圳腾大-QQ公仔',
  total_fen: 100,
  payer_client_ip: '14.23.150.211',
  notify_url: 'https://shop.example/api/notify/v3/payment',
  time_start_at: NOW,
  time_expire_at: new Date(NOW.getTime() + 30 * 60_000),
  openid: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o',
};

async function failureOf(promise: Promise<unknown>): Promise<WechatError> {
  const failure = await promise.then(
    () => expect.fail('it resolved'),
    (error: unknown) => error,
  );
  if (!(failure instanceof WechatError)) throw failure;
  return failure;
}

const error = (status: number, code: string, signer = signers.public_key): Reply =>
  reply(status, { code, message: '说明' }, signer);

describe('placing a trade', () => {
  it('sends the JSAPI order once serialised, with the public key’s id, and keeps the exchange', async () => {
    const { pay, seen } = platform([reply(200, { prepay_id: PREPAY_ID })]);
    const placed = await pay.placeTrade({ ...trade, attach: 'a-1' });
    expect(placed.prepay_id).toBe(PREPAY_ID);
    expect(placed.exchange).toMatchObject({
      method: 'POST',
      path: '/v3/pay/transactions/jsapi',
      status: 200,
      request_body: seen[0]?.body,
      response_body: `{"prepay_id":"${PREPAY_ID}"}`,
    });
    expect(JSON.parse(seen[0]?.body ?? '')).toEqual({
      appid: APPID,
      mchid: MCH_ID,
      description: trade.description,
      out_trade_no: ORDER,
      time_expire: '2026-09-10T08:56:40+08:00',
      attach: 'a-1',
      notify_url: trade.notify_url,
      amount: { total: 100, currency: 'CNY' },
      payer: { openid: trade.openid },
      scene_info: { payer_client_ip: '14.23.150.211' },
    });
    const headers = seen[0]?.headers;
    expect(headers?.get('wechatpay-serial')).toBe(PUBLIC_KEY_ID);
    expect(headers?.get('accept')).toBe('application/json');
    expect(headers?.get('content-type')).toBe('application/json');
    expect(headers?.get('user-agent')).toMatch(/\S/);
  });

  it.each([
    ['NATIVE', 'native', { code_url: 'weixin://wxpay/bizpayurl?pr=JyC91EIz1' }],
    ['APP', 'app', { prepay_id: PREPAY_ID }],
    [
      'MWEB',
      'h5',
      { h5_url: 'https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx1&package=1' },
    ],
  ] as const)('%s goes to …/%s and brings what that product brings', async (trade_type, product, answer) => {
    const { pay, seen } = platform([reply(200, answer)]);
    const h5 = { wap_url: 'https://shop.example', wap_name: 'Guitai' };
    const { exchange: _exchange, ...placed } = await pay.placeTrade({ ...trade, trade_type, h5 });
    expect(placed).toEqual(answer);
    expect(seen[0]?.url.pathname).toBe(`/v3/pay/transactions/${product}`);
    const body = JSON.parse(seen[0]?.body ?? '') as Record<string, unknown>;
    expect(body).not.toHaveProperty('payer');
    expect(body.scene_info).toEqual({
      payer_client_ip: '14.23.150.211',
      ...(trade_type === 'MWEB'
        ? { h5_info: { type: 'Wap', app_name: 'Guitai', app_url: 'https://shop.example' } }
        : {}),
    });
  });

  it('in partner mode names provider and sub-merchant, and the payer under the page’s account', async () => {
    const partner = { sub_mch_id: '1900000109', sub_appid: 'wxd678efh567hg6999' };
    const { pay, seen } = platform([reply(200, { prepay_id: PREPAY_ID })], { settings: partner });
    await pay.placeTrade({ ...trade, sub_openid: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS7o' });
    expect(seen[0]?.url.pathname).toBe('/v3/pay/partner/transactions/jsapi');
    expect(JSON.parse(seen[0]?.body ?? '')).toMatchObject({
      sp_appid: APPID,
      sp_mchid: MCH_ID,
      sub_mchid: '1900000109',
      sub_appid: 'wxd678efh567hg6999',
      payer: { sub_openid: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS7o' },
    });
    expect(seen[0]?.body).not.toContain('"openid"');
    expect(pay.jsapiParameters(PREPAY_ID).appId).toBe('wxd678efh567hg6999');
    expect(pay.appParameters(PREPAY_ID).partnerId).toBe('1900000109');
  });

  it('without sub_appid the partner’s payer is sp_openid', async () => {
    const { pay, seen } = platform([reply(200, { prepay_id: PREPAY_ID })], {
      settings: { sub_mch_id: '1900000109' },
    });
    await pay.placeTrade(trade);
    expect(JSON.parse(seen[0]?.body ?? '')).toMatchObject({ payer: { sp_openid: trade.openid } });
  });

  it.each([
    ['an amount of zero', { total_fen: 0 }],
    ['a fraction of a fen', { total_fen: 100.5 }],
    ['no amount at all', { total_fen: Number.NaN }],
    ['an amount beyond 2³¹ − 1', { total_fen: 2_147_483_648 }],
    ['a number with a slash', { out_trade_no: 'abc/../def' }],
    ['a number of dots', { out_trade_no: '......' }],
    ['no openid', { openid: '' }],
    ['an attach that could end a signed field', { attach: 'a&total_fee=1' }],
    ['a notify_url with a query', { notify_url: 'https://shop.example/notify?a=1' }],
    ['a payer_client_ip that is none', { payer_client_ip: 'localhost' }],
  ])('%s is refused before anything is sent', async (_name, fault) => {
    const { pay, seen } = platform([]);
    expect(await failureOf(pay.placeTrade({ ...trade, ...fault }))).toMatchObject({
      outcome: 'refused',
      code: 'PARAM_ERROR',
    });
    expect(seen).toEqual([]);
  });

  it.each([
    ['a script as h5_url', 'MWEB', { h5_url: 'javascript:alert(1)' }],
    ['no address as code_url', 'NATIVE', { code_url: 'scan me' }],
    ['a web page as code_url', 'NATIVE', { code_url: 'https://evil.example' }],
    ['a line feed in prepay_id', 'JSAPI', { prepay_id: 'wx1\nwx2' }],
    ['no prepay_id', 'JSAPI', {}],
    ['a list', 'JSAPI', []],
    ['two prepay_ids', 'JSAPI', '{"prepay_id":"wx1","prepay_id":"wx2"}'],
    ['no JSON', 'JSAPI', '<html>ok</html>'],
  ] as const)('%s, though signed, is an answer we cannot use: unknown', async (_name, trade_type, answer) => {
    const { pay } = platform([reply(200, answer)]);
    expect(await failureOf(pay.placeTrade({ ...trade, trade_type }))).toMatchObject({
      outcome: 'unknown',
      code: 'BAD_ANSWER',
      exchange: { status: 200 },
    });
  });
});

describe('what an answer to an order means', () => {
  const rows: [string, Reply, 'refused' | 'unknown', string][] = [
    ['PARAM_ERROR', error(400, 'PARAM_ERROR'), 'refused', 'PARAM_ERROR'],
    ['ORDERPAID', error(400, 'ORDERPAID'), 'refused', 'ORDERPAID'],
    ['ORDER_PAID, the newer spelling', error(400, 'ORDER_PAID'), 'refused', 'ORDERPAID'],
    ['ORDER_CLOSED', error(400, 'ORDER_CLOSED'), 'refused', 'ORDERCLOSED'],
    ['OUT_TRADE_NO_USED', error(403, 'OUT_TRADE_NO_USED'), 'refused', 'OUT_TRADE_NO_USED'],
    ['NO_AUTH', error(403, 'NO_AUTH'), 'refused', 'NOAUTH'],
    ['a code nobody documented', error(400, 'SOMETHING_NEW'), 'unknown', 'SOMETHING_NEW'],
    ['a code with a prototype’s name', error(400, 'constructor'), 'unknown', 'constructor'],
    ['SYSTEM_ERROR', error(500, 'SYSTEM_ERROR'), 'unknown', 'SYSTEM_ERROR'],
    ['a refusal’s code with a 500', error(500, 'PARAM_ERROR'), 'unknown', 'PARAM_ERROR'],
    ['429', error(429, 'FREQUENCY_LIMITED'), 'unknown', 'FREQUENCY_LIMITED'],
    ['429 with a refusal’s code', error(429, 'RULE_LIMIT'), 'unknown', 'RULE_LIMIT'],
    ['202 USERPAYING', reply(202, { code: 'USERPAYING' }), 'unknown', 'USERPAYING'],
    ['a gateway’s 401 SIGN_ERROR', unsignedReply(401, '{"code":"SIGN_ERROR"}'), 'refused', 'SIGN_ERROR'],
    ['an unsigned 401 with another code', unsignedReply(401, '{"code":"NO_AUTH"}'), 'unknown', 'NOAUTH'],
    ['an unsigned 400', unsignedReply(400, '{"code":"PARAM_ERROR"}'), 'unknown', 'PARAM_ERROR'],
    ['an unsigned 403', unsignedReply(403, '{"code":"NO_AUTH"}'), 'unknown', 'NOAUTH'],
    ['a 400 signed by a stranger', error(400, 'PARAM_ERROR', signers.stranger), 'unknown', 'BAD_SIGNATURE'],
    ['an empty 404', unsignedReply(404), 'unknown', 'HTTP_404'],
    ['502 with a page', unsignedReply(502, '<html>bad gateway</html>'), 'unknown', 'HTTP_502'],
    ['a redirect', unsignedReply(302), 'unknown', 'HTTP_302'],
    ['an unsigned 200', unsignedReply(200, `{"prepay_id":"${PREPAY_ID}"}`), 'unknown', 'BAD_SIGNATURE'],
    ['a lost answer', lostReply(), 'unknown', 'NO_ANSWER'],
  ];

  it.each(rows)('%s', async (_name, answer, outcome, code) => {
    const { pay } = platform([answer], { certificates: unsignedReply(404) });
    const failure = await failureOf(pay.placeTrade(trade));
    expect(failure).toMatchObject({ outcome, code });
    expect(failure.exchange?.request_body).toContain(ORDER);
  });

  it('an answer that never comes is unknown after timeout_ms', async () => {
    const silent = createWechatPayV3(
      {
        appid: APPID,
        mch_id: MCH_ID,
        merchant_private_key_pem: MERCHANT_KEY_PEM,
        merchant_serial_no: '408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB',
        api_v3_key: API_V3_KEY,
        base_url: ORIGIN,
        timeout_ms: 30,
      },
      {
        fetch: (_input, init) =>
          new Promise((_resolve, reject) => {
            init?.signal?.addEventListener('abort', () => reject(init.signal?.reason));
          }),
        now: () => NOW,
        nonce: () => 'n',
      },
    );
    expect(await failureOf(silent.queryTrade(ORDER))).toMatchObject({
      outcome: 'unknown',
      code: 'NO_ANSWER',
    });
  });

  it('an answer cut in the middle is unknown', async () => {
    const cut: Reply = () =>
      new Response(
        new ReadableStream({
          start(controller) {
            controller.enqueue(Buffer.from('{"prepay_id":'));
            controller.error(new Error('ECONNRESET'));
          },
        }),
        { status: 200, headers: signedHeaders('{"prepay_id":') },
      );
    const { pay } = platform([cut]);
    expect(await failureOf(pay.placeTrade(trade))).toMatchObject({
      outcome: 'unknown',
      code: 'NO_ANSWER',
      exchange: { status: 200 },
    });
  });

  it('an answer without end is not read to its end', async () => {
    let sent = 0;
    const endless: Reply = () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            sent += 1;
            controller.enqueue(new Uint8Array(65_536));
          },
        }),
      );
    const { pay } = platform([endless]);
    expect(await failureOf(pay.placeTrade(trade))).toMatchObject({ outcome: 'unknown', code: 'BAD_ANSWER' });
    expect(sent).toBeLessThan(32);
  });

  it.each([
    ['301 s old', new Date(NOW.getTime() - 301_000)],
    ['exactly 300 s old', new Date(NOW.getTime() - 300_000)],
    ['exactly 300 s ahead', new Date(NOW.getTime() + 300_000)],
  ])('a good answer %s is not believed', async (_name, at) => {
    const { pay } = platform([reply(200, { prepay_id: PREPAY_ID }, signers.public_key, at)]);
    expect(await failureOf(pay.placeTrade(trade))).toMatchObject({
      outcome: 'unknown',
      code: 'BAD_SIGNATURE',
    });
  });

  it.each([-299_000, 299_000])('an answer %i ms from our clock is believed', async (offset_ms) => {
    const at = new Date(NOW.getTime() + offset_ms);
    const { pay } = platform([reply(200, { prepay_id: PREPAY_ID }, signers.public_key, at)]);
    expect((await pay.placeTrade(trade)).prepay_id).toBe(PREPAY_ID);
  });

  it('another signature type is not believed', async () => {
    const body = `{"prepay_id":"${PREPAY_ID}"}`;
    const other: Reply = () =>
      new Response(body, {
        headers: { ...signedHeaders(body), 'Wechatpay-Signature-Type': 'WECHATPAY2-SM2-WITH-SM3' },
      });
    const { pay } = platform([other]);
    expect(await failureOf(pay.placeTrade(trade))).toMatchObject({
      outcome: 'unknown',
      code: 'BAD_SIGNATURE',
    });
  });

  it('a probe is answered by asking once more, with a new nonce and the same body', async () => {
    const body = `{"prepay_id":"${PREPAY_ID}"}`;
    const probe: Reply = () =>
      new Response(body, { headers: { ...signedHeaders(body), 'Wechatpay-Signature': V19_SIGNATURE } });
    const { pay, seen } = platform([probe, reply(200, body)]);
    expect((await pay.placeTrade(trade)).prepay_id).toBe(PREPAY_ID);
    expect(seen.map((each) => each.body)).toEqual([seen[0]?.body, seen[0]?.body]);
    expect(seen[0]?.headers.get('authorization')).not.toBe(seen[1]?.headers.get('authorization'));
  });

  it('a platform that only probes is not asked for ever', async () => {
    const probe: Reply = () =>
      new Response('{}', { headers: { ...signedHeaders('{}'), 'Wechatpay-Signature': V19_SIGNATURE } });
    const { pay, seen } = platform([probe, probe, probe]);
    expect(await failureOf(pay.placeTrade(trade))).toMatchObject({
      outcome: 'unknown',
      code: 'BAD_SIGNATURE',
    });
    expect(seen).toHaveLength(2);
  });
});

describe('call parameters', () => {
  it('a page’s, a mini-program’s and an app’s verify with the merchant’s key', () => {
    const { pay } = platform([]);
    const key = createPublicKey(MERCHANT_KEY_PEM);
    const page = pay.jsapiParameters(PREPAY_ID);
    expect(page).toMatchObject({
      appId: APPID,
      timeStamp: '1789000000',
      package: `prepay_id=${PREPAY_ID}`,
      signType: 'RSA',
    });
    const pageText = `${APPID}\n1789000000\n${page.nonceStr}\nprepay_id=${PREPAY_ID}\n`;
    expect(Rsa.verify(pageText, page.paySign, key)).toBe(true);
    const { appId: _appId, ...names } = page;
    const mini = pay.miniProgramParameters(PREPAY_ID);
    expect(Object.keys(mini)).toEqual(Object.keys(names));
    const miniText = `${APPID}\n1789000000\n${mini.nonceStr}\nprepay_id=${PREPAY_ID}\n`;
    expect(Rsa.verify(miniText, mini.paySign, key)).toBe(true);
    const app = pay.appParameters(PREPAY_ID);
    expect(app).toMatchObject({
      appId: APPID,
      partnerId: MCH_ID,
      prepayId: PREPAY_ID,
      packageValue: 'Sign=WXPay',
    });
    expect(Rsa.verify(`${APPID}\n1789000000\n${app.nonceStr}\n${PREPAY_ID}\n`, app.sign, key)).toBe(true);
  });

  it.each(['wx1\nwx2', 'wx1&package=x', '', 'w'.repeat(65)])(
    '%j is no prepay id and is never signed',
    (prepay_id) => {
      const { pay } = platform([]);
      expect(() => pay.jsapiParameters(prepay_id)).toThrow(WechatError);
      expect(() => pay.appParameters(prepay_id)).toThrow(WechatError);
    },
  );
});

describe('querying', () => {
  it('a paid trade comes back in the business’s words', async () => {
    const { pay, seen } = platform([reply(200, V17_PLAINTEXT)]);
    expect((await pay.queryTrade(ORDER)).report).toEqual({
      appid: APPID,
      mch_id: MCH_ID,
      out_trade_no: ORDER,
      trade_state: 'SUCCESS',
      trade_state_desc: '支付成功',
      transaction_id: '4200002137202609101234567890',
      trade_type: 'JSAPI',
      total_fen: 100,
      payer_total_fen: 100,
      fee_type: 'CNY',
      openid: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o',
      bank_type: 'OTHERS',
      success_at: NOW,
    });
    expect(`${seen[0]?.url.pathname}${seen[0]?.url.search}`).toBe(
      `/v3/pay/transactions/out-trade-no/${ORDER}?mchid=${MCH_ID}`,
    );
  });

  it('an unpaid trade has little more than its state', async () => {
    const unpaid = {
      appid: APPID,
      mchid: MCH_ID,
      out_trade_no: ORDER,
      trade_state: 'NOTPAY',
      trade_state_desc: '订单未支付',
      promised_for_later: { by: ['the platform', 2 ** 60] },
    };
    const { pay } = platform([reply(200, unpaid)]);
    expect((await pay.queryTrade(ORDER)).report).toEqual({
      appid: APPID,
      mch_id: MCH_ID,
      out_trade_no: ORDER,
      trade_state: 'NOTPAY',
      trade_state_desc: '订单未支付',
    });
  });

  it('the partner’s answer: sp_ and sub_ fields, H5 spelled MWEB', async () => {
    const { mchid: _mchid, appid: _appid, ...rest } = JSON.parse(V17_PLAINTEXT) as Record<string, unknown>;
    const answer = {
      ...rest,
      sp_mchid: MCH_ID,
      sp_appid: APPID,
      sub_mchid: '1900000109',
      sub_appid: 'wxd678efh567hg6999',
      trade_type: 'H5',
      payer: { sp_openid: 'oSp', sub_openid: 'oSub' },
    };
    const { pay, seen } = platform([reply(200, answer)], { settings: { sub_mch_id: '1900000109' } });
    expect((await pay.queryTrade(ORDER)).report).toMatchObject({
      appid: APPID,
      mch_id: MCH_ID,
      sub_appid: 'wxd678efh567hg6999',
      sub_mch_id: '1900000109',
      trade_type: 'MWEB',
      openid: 'oSp',
      sub_openid: 'oSub',
    });
    expect(`${seen[0]?.url.pathname}${seen[0]?.url.search}`).toBe(
      `/v3/pay/partner/transactions/out-trade-no/${ORDER}?sp_mchid=${MCH_ID}&sub_mchid=1900000109`,
    );
  });

  it('by WeChat’s number', async () => {
    const { pay, seen } = platform([reply(200, V17_PLAINTEXT)]);
    const { report } = await pay.queryTradeById('4200002137202609101234567890');
    expect(report.out_trade_no).toBe(ORDER);
    expect(seen[0]?.url.pathname).toBe('/v3/pay/transactions/id/4200002137202609101234567890');
  });

  it('a | in the number is signed as it is sent', async () => {
    const answer = { ...(JSON.parse(V17_PLAINTEXT) as object), out_trade_no: 'A|B-001' };
    const { pay, seen } = platform([reply(200, answer)]);
    expect((await pay.queryTrade('A|B-001')).report.out_trade_no).toBe('A|B-001');
    expect(seen[0]?.url.pathname).toBe('/v3/pay/transactions/out-trade-no/A%7CB-001');
  });

  it.each([
    ['ORDER_NOT_EXIST', 404],
    ['ORDERNOTEXIST', 404],
    ['RESOURCE_NOT_EXISTS', 404],
  ])('%s: refused as ORDERNOTEXIST', async (code, status) => {
    const { pay } = platform([error(status, code)]);
    expect(await failureOf(pay.queryTrade(ORDER))).toMatchObject({
      outcome: 'refused',
      code: 'ORDERNOTEXIST',
    });
  });

  const paid = JSON.parse(V17_PLAINTEXT) as Record<string, unknown>;
  it.each([
    ['about another trade', { out_trade_no: 'another-number' }],
    ['with a state nobody knows', { trade_state: 'PAID' }],
    ['with a state named like a prototype', { trade_state: 'toString' }],
    ['paid, without an amount', { amount: undefined }],
    ['paid, without WeChat’s number', { transaction_id: undefined }],
    ['with an amount as text', { amount: { total: '100' } }],
    ['with a fraction of a fen', { amount: { total: 0.5 } }],
    ['with an amount below zero', { amount: { total: -100 } }],
    ['with an amount of 2³¹', { amount: { total: 2_147_483_648 } }],
    ['with a time that does not exist', { success_time: '2026-02-30T08:26:40+08:00' }],
    ['with WeChat’s number as a number', { transaction_id: 4200002137 }],
    ['with a NUL in attach', { attach: 'a\u0000b' }],
  ])('an answer %s cannot be used: unknown', async (_name, fault) => {
    const { pay } = platform([reply(200, { ...paid, ...fault })]);
    expect(await failureOf(pay.queryTrade(ORDER))).toMatchObject({ outcome: 'unknown', code: 'BAD_ANSWER' });
  });
});

describe('closing', () => {
  it.each([
    ['204', reply(204), 'closed'],
    ['ORDER_PAID', error(400, 'ORDER_PAID'), 'paid'],
    ['ORDERPAID', error(400, 'ORDERPAID'), 'paid'],
    ['ORDER_CLOSED', error(400, 'ORDER_CLOSED'), 'closed'],
    ['ORDER_NOT_EXIST', error(404, 'ORDER_NOT_EXIST'), 'not_found'],
  ] as const)('%s', async (_name, answer, outcome) => {
    const { pay, seen } = platform([answer]);
    expect(await pay.closeTrade(ORDER)).toMatchObject({ outcome, exchange: { method: 'POST' } });
    expect(seen[0]?.url.pathname).toBe(`/v3/pay/transactions/out-trade-no/${ORDER}/close`);
    expect(seen[0]?.body).toBe(`{"mchid":"${MCH_ID}"}`);
  });

  it.each([
    ['an unsigned 204', unsignedReply(204)],
    ['an unsigned ORDER_PAID', unsignedReply(400, '{"code":"ORDER_PAID"}')],
    ['a lost answer', lostReply()],
    ['SYSTEM_ERROR', error(500, 'SYSTEM_ERROR')],
    [
      'a 204 whose signature is over another body',
      () => new Response(null, { status: 204, headers: signedHeaders('{}') }),
    ],
  ] as [string, Reply][])('%s leaves it unknown', async (_name, answer) => {
    const { pay } = platform([answer]);
    expect(await failureOf(pay.closeTrade(ORDER))).toMatchObject({ outcome: 'unknown' });
  });

  it('in partner mode the body names both merchants', async () => {
    const { pay, seen } = platform([reply(204)], { settings: { sub_mch_id: '1900000109' } });
    await pay.closeTrade(ORDER);
    expect(seen[0]?.url.pathname).toBe(`/v3/pay/partner/transactions/out-trade-no/${ORDER}/close`);
    expect(seen[0]?.body).toBe(`{"sp_mchid":"${MCH_ID}","sub_mchid":"1900000109"}`);
  });
});

describe('settings', () => {
  const good = {
    appid: APPID,
    mch_id: MCH_ID,
    merchant_private_key_pem: MERCHANT_KEY_PEM,
    merchant_serial_no: '408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB',
    api_v3_key: API_V3_KEY,
    platform_certificates: [CERTIFICATE_A.pem],
    base_url: ORIGIN,
  };
  const ports = { fetch, now: () => NOW, nonce: () => 'n' };

  it.each([
    ['a short APIv3 key', { api_v3_key: 'short-and-secret' }],
    ['an APIv3 key with a line feed', { api_v3_key: `${API_V3_KEY.slice(1)}\n` }],
    ['a public key as private key', { merchant_private_key_pem: PLATFORM_PUBLIC_KEY_PEM }],
    ['a serial that is none', { merchant_serial_no: PUBLIC_KEY_ID }],
    ['a certificate that is none', { platform_certificates: [PLATFORM_PUBLIC_KEY_PEM] }],
    ['a public key without its id', { platform_public_key: { id: 'ABC', pem: PLATFORM_PUBLIC_KEY_PEM } }],
    ['a base address with a path', { base_url: `${ORIGIN}/proxy` }],
    ['a base address that is none', { base_url: 'platform.test' }],
    ['a sub_appid without its merchant', { sub_appid: APPID }],
  ])('%s is refused when the client is made, without repeating it', (_name, fault) => {
    const [secret = ''] = Object.values(fault);
    let message = '';
    try {
      createWechatPayV3({ ...good, ...fault }, ports);
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(TypeError);
      message = String(thrown);
    }
    expect(message).not.toBe('');
    if (typeof secret === 'string' && secret.length > 12) expect(message).not.toContain(secret);
  });

  it('keys are parsed once: a client is made with text and never sees it again', () => {
    const settings = { ...good };
    const pay = createWechatPayV3(settings, ports);
    settings.merchant_private_key_pem = '';
    settings.platform_certificates = [];
    expect(pay.jsapiParameters(PREPAY_ID).paySign).toHaveLength(344);
    expect(pay.platformKeys().keys).toMatchObject([{ serial: CERTIFICATE_A.serial }]);
  });
});
