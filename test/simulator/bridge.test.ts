// What WeChat checks when a page starts a payment: the page's address, the six parameters, the order behind the
// prepay_id, the signature and the payer.

import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { withinDirectories } from '../../simulator/bridge.ts';
import { type Fields, openWorld, type SignType, sign, type World } from './world.ts';

const PAGE = 'https://shop.example.com/pay/123?x=1#top';
let w: World;
beforeAll(async () => {
  w = await openWorld({ shop_origin: 'https://shop.example.com' });
});
afterAll(() => w.close());

/** What the bridge's doors answer, all together. */
type Heard = {
  err_msg: string;
  invocation_id: string;
  screen: string;
  why: string;
  sheet: { total_fen: number };
};

async function door(name: string, body: unknown): Promise<Heard> {
  const response = await fetch(`${w.url}/_sim/bridge/${name}`, {
    method: 'POST',
    body: JSON.stringify(body),
  });
  expect(response.headers.get('access-control-allow-origin')).toBe('*');
  return (await response.json()) as Heard;
}

/** Places an order and makes the page's six parameters. */
async function params(
  own: Fields = {},
  sign_type: SignType = 'MD5',
): Promise<Fields & { out_trade_no: string }> {
  const placed = await w.place({}, { sign_type });
  const signed: Fields = {
    appId: w.merchant.appid,
    timeStamp: '1700000000',
    nonceStr: 'nonce',
    package: `prepay_id=${placed.prepay_id}`,
    signType: sign_type,
    ...own,
  };
  return {
    ...signed,
    paySign: sign(signed, w.merchant.api_v2_key, sign_type),
    out_trade_no: placed.out_trade_no,
  };
}

const invoke = (given: Record<string, unknown>, around: Record<string, unknown> = {}) => {
  const { out_trade_no: _not_sent, ...sent } = given;
  return door('invoke', {
    method: 'getBrandWCPayRequest',
    params: sent,
    page_url: PAGE,
    openid: w.user.openid,
    ...around,
  });
};

describe('the payment directories', () => {
  it.each([
    [true, 'https://a.com/pay/go', 'https://a.com/pay/'],
    [true, 'https://a.com/pay/go?x=1/2#/y/', 'https://a.com/pay/'],
    [true, 'https://a.com/anything/at/all', 'https://a.com/'],
    [false, 'https://a.com/pay/deep/go', 'https://a.com/pay/'],
    [false, 'https://a.com/pay', 'https://a.com/pay/'],
    [false, 'https://a.com/Pay/go', 'https://a.com/pay/'],
    [false, 'http://a.com/pay/go', 'https://a.com/pay/'],
    [false, 'https://b.a.com/pay/go', 'https://a.com/'],
    [false, 'https://a.com:8443/pay/go', 'https://a.com/pay/'],
    [false, 'not an address', 'https://a.com/'],
  ])('%s: %s within %s', (expected, page, directory) => {
    expect(withinDirectories(page, [directory])).toBe(expected);
  });

  it('Android judges the present page, iOS the first one', async () => {
    const given = await params();
    const outside = 'https://shop.example.com/';
    const android = await invoke(given, { page_url: outside, first_url: PAGE, platform: 'android' });
    expect(android.err_msg).toBe('当前页面的URL未注册');
    expect(
      (await invoke(given, { page_url: outside, first_url: PAGE, platform: 'ios' })).sheet.total_fen,
    ).toBe(1288);
    const ios = await invoke(given, { page_url: PAGE, first_url: outside, platform: 'ios' });
    expect(ios).toMatchObject({
      err_msg: '当前页面的URL未注册',
      why: expect.stringContaining('iOS judges the first page'),
    });
  });
});

describe('the parameters', () => {
  it.each(['MD5', 'HMAC-SHA256'] as const)('signed with %s open the sheet', async (sign_type) => {
    const opened = await invoke(await params({}, sign_type));
    expect(opened.sheet).toMatchObject({
      total_fen: 1288,
      merchant: '柜台演示商户',
      body: '柜台-苹果',
      payer: '小明',
    });
  });

  it.each(['appId', 'timeStamp', 'nonceStr', 'package', 'signType', 'paySign'])(
    '%s missing',
    async (name) => {
      const { [name]: _left, ...rest } = await params();
      expect((await invoke(rest)).err_msg).toBe(`调用支付JSAPI缺少参数: ${name}`);
    },
  );

  it('a number in place of a string: Android takes it, an iPhone does not', async () => {
    const given = { ...(await params()), timeStamp: 1700000000 };
    expect(await invoke(given, { platform: 'android' })).not.toHaveProperty('err_msg');
    expect(await invoke(given, { platform: 'ios' })).toMatchObject({
      err_msg: '调用支付JSAPI缺少参数: timeStamp',
      why: expect.stringContaining('must be a string'),
    });
  });

  it.each([
    ['a malformed package', { package: 'wx123' }],
    ['an unknown prepay_id', { package: 'prepay_id=wx123' }],
    ['another appId', { appId: 'wx0000000000000000' }],
  ])('%s', async (_what, own) => {
    expect((await invoke(await params(own))).err_msg).toBe('调用支付JSAPI缺少参数: total_fee');
  });

  it('milliseconds in timeStamp', async () => {
    expect((await invoke(await params({ timeStamp: '1700000000000' }))).err_msg).toBe(
      '调用支付JSAPI缺少参数: timeStamp',
    );
  });

  it('a wrong paySign, and a signType other than the order’s, show an error and come back as cancel', async () => {
    const wrong = await invoke({ ...(await params()), paySign: 'F'.repeat(32) });
    expect(wrong).toMatchObject({ err_msg: 'get_brand_wcpay_request:cancel', screen: '支付验证签名失败' });
    const other = await invoke({ ...(await params()), signType: 'HMAC-SHA256' });
    expect(other).toMatchObject({
      screen: '支付验证签名失败',
      why: expect.stringContaining('placed with MD5'),
    });
    expect((await w.lastLog()).why).toContain('placed with MD5');
  });
});

describe('the order behind it', () => {
  it('paid, closed or of somebody else it fails', async () => {
    const paid = await params();
    await w.pay({ out_trade_no: paid.out_trade_no });
    expect(await invoke(paid)).toMatchObject({
      err_msg: 'get_brand_wcpay_request:fail',
      screen: '该订单已支付',
    });
    const closed = await params();
    await w.call('/pay/closeorder', { out_trade_no: closed.out_trade_no });
    expect(await invoke(closed)).toMatchObject({
      err_msg: 'get_brand_wcpay_request:fail',
      screen: '该订单已关闭',
    });
    const mine = await params();
    expect((await invoke(mine, { openid: w.other.openid })).screen).toBe(
      '支付失败：下单帐号与支付帐号不一致',
    );
  });

  it('a prepay_id older than two hours is missing its total_fee', async () => {
    const given = await params();
    await w.advance(7201);
    expect((await invoke(given)).err_msg).toBe('调用支付JSAPI缺少参数: total_fee');
  });
});

describe('the end of a call', () => {
  let given: Awaited<ReturnType<typeof params>>;
  let opened: Heard;
  beforeEach(async () => {
    given = await params();
    opened = await invoke(given);
  });

  it('pay takes the money and says ok', async () => {
    const { invocation_id } = opened;
    expect(await door('finish', { invocation_id, action: 'pay' })).toEqual({
      err_msg: 'get_brand_wcpay_request:ok',
    });
    expect((await w.query(given.out_trade_no)).fields.trade_state).toBe('SUCCESS');
  });

  it('cancel changes nothing and says cancel', async () => {
    const { invocation_id } = opened;
    expect(await door('finish', { invocation_id, action: 'cancel' })).toEqual({
      err_msg: 'get_brand_wcpay_request:cancel',
    });
    expect((await w.query(given.out_trade_no)).fields.trade_state).toBe('NOTPAY');
  });

  it('an order closed meanwhile fails in the sheet', async () => {
    await w.call('/pay/closeorder', { out_trade_no: given.out_trade_no });
    const answer = await door('finish', { invocation_id: opened.invocation_id, action: 'pay' });
    expect(answer).toMatchObject({ err_msg: 'get_brand_wcpay_request:fail', code: 'ORDERCLOSED' });
  });

  it('a held call ends when the control door pays or cancels', async () => {
    const waiting = door('wait', { invocation_id: opened.invocation_id });
    expect((await w.control('POST', 'cancel', { out_trade_no: given.out_trade_no })).body.released).toBe(1);
    expect(await waiting).toEqual({ outcome: 'cancelled' });
    const second = await invoke(given);
    const again = door('wait', { invocation_id: second.invocation_id });
    await w.pay({ out_trade_no: given.out_trade_no });
    expect(await again).toEqual({ outcome: 'paid' });
  });
});

describe('wx.config', () => {
  it('is verified against the ticket and the page before #', async () => {
    const { appid, secret } = w.config.official_account;
    const token = (await (
      await fetch(`${w.url}/cgi-bin/token?grant_type=client_credential&appid=${appid}&secret=${secret}`)
    ).json()) as { access_token: string };
    const { ticket } = (await (
      await fetch(`${w.url}/cgi-bin/ticket/getticket?type=jsapi&access_token=${token.access_token}`)
    ).json()) as { ticket: string };
    const verifySignature = createHash('sha1')
      .update(`jsapi_ticket=${ticket}&noncestr=abc&timestamp=1700000000&url=${PAGE.replace(/#.*/, '')}`)
      .digest('hex');
    const given = {
      verifyAppId: appid,
      verifyNonceStr: 'abc',
      verifyTimestamp: '1700000000',
      verifySignature,
    };
    const config = (own: Fields, page_url = PAGE) =>
      door('invoke', { method: 'preVerifyJSAPI', params: { ...given, ...own }, page_url });
    expect((await config({})).err_msg).toBe('preVerifyJSAPI:ok');
    expect((await config({ verifyNonceStr: 'x' })).err_msg).toBe('preVerifyJSAPI:invalid signature');
    expect((await config({}, 'https://evil.example.com/pay/123')).err_msg).toBe(
      'preVerifyJSAPI:invalid url domain',
    );
  });
});

it('the doors answer a preflight from any page, and nothing but JSON by POST', async () => {
  const preflight = await fetch(`${w.url}/_sim/bridge/invoke`, { method: 'OPTIONS' });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get('access-control-allow-headers')).toBe('content-type');
  expect((await fetch(`${w.url}/_sim/bridge/invoke`)).status).toBe(405);
  expect((await fetch(`${w.url}/_sim/bridge/invoke`, { method: 'POST', body: 'x' })).status).toBe(400);
  expect((await fetch(`${w.url}/_sim/bridge/finish`, { method: 'POST', body: '{}' })).status).toBe(404);
});
