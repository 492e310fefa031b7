// APP and mini-program: the parameters a server hands its client are checked as WeChat checks them on the phone, and
// a mini-program's login code becomes an openid once.

import { sign as rsaSign } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openWorldV3, type WorldV3 } from './merchant_v3.ts';
import { type Fields, sign } from './world.ts';

let w: WorldV3;
beforeAll(async () => {
  w = await openWorldV3();
});
afterAll(() => w.close());
afterEach(async () => {
  await w.control('POST', 'reset');
});

const now_s = () => String(Math.floor(Date.now() / 1000));
const rsa = (lines: string[]) =>
  rsaSign('sha256', Buffer.from(lines.map((l) => `${l}\n`).join('')), w.merchant.merchant_key_pem).toString(
    'base64',
  );
const phone = (path: string, body: unknown) => w.control('POST', path, body);

describe('an app', () => {
  const appOrder = () => w.place({ appid: w.config.app.appid, trade_type: 'APP', openid: '' });
  const request = (prepayid: string, own: Fields = {}): Fields => ({
    appid: w.config.app.appid,
    partnerid: w.merchant.mch_id,
    prepayid,
    package: 'Sign=WXPay',
    noncestr: '5K8264ILTKCH16CQ2502SI8ZNMTM67VS',
    timestamp: now_s(),
    ...own,
  });
  const signed = (fields: Fields): Fields => ({ ...fields, sign: sign(fields, w.merchant.api_v2_key) });

  it('pays with an API v2 order signed over its seven lower-case names', async () => {
    const { prepay_id, out_trade_no } = await appOrder();
    const answer = await phone('app_pay', signed(request(prepay_id)));
    expect(answer).toMatchObject({ status: 200, body: { errCode: 0, trade_state: 'SUCCESS', out_trade_no } });
    expect(
      (await w.call('/pay/orderquery', { appid: w.config.app.appid, out_trade_no })).fields,
    ).toMatchObject({ trade_type: 'APP', openid: w.user.openids[w.config.app.appid] });
  });

  it('pays with an API v3 order whose fourth signed line is the bare prepay_id', async () => {
    const { payer: _nobody, ...rest } = w.order3({ appid: w.config.app.appid });
    const { body } = await w.call3('POST', '/v3/pay/transactions/app', rest);
    const prepayId = String(body.prepay_id);
    const t = now_s();
    const req = {
      appId: w.config.app.appid,
      partnerId: w.merchant.mch_id,
      prepayId,
      packageValue: 'Sign=WXPay',
      nonceStr: 'abc',
      timeStamp: t,
    };
    const wrong = rsa([req.appId, t, 'abc', `prepay_id=${prepayId}`]);
    expect((await phone('app_pay', { ...req, sign: wrong })).body).toMatchObject({
      errCode: -1,
      message: '支付验证签名失败',
    });
    const right = rsa([req.appId, t, 'abc', prepayId]);
    expect((await phone('app_pay', { ...req, sign: right })).body).toMatchObject({ errCode: 0 });
  });

  const wrong: [string, Fields][] = [
    ['another package', { package: 'prepay_id=1' }],
    ['an unknown prepayid', { prepayid: 'wx0' }],
    ['another partnerid', { partnerid: '1999999999' }],
    ['another appid', { appid: 'wx0000000000000000' }],
    ['milliseconds', { timestamp: '1412000000000' }],
    ['no nonce', { noncestr: '' }],
  ];
  it.each(wrong)('is answered errCode -1 for %s, though well signed', async (_what, own) => {
    const { prepay_id, out_trade_no } = await appOrder();
    const answer = await phone('app_pay', signed(request(prepay_id, own)));
    expect(answer).toMatchObject({ status: 400, body: { errCode: -1 } });
    expect(answer.body.why).not.toBe('');
    expect((await w.control('GET', `orders/${out_trade_no}`)).body.trade_state).toBe('NOTPAY');
  });

  it('is answered -1 for a wrong signature or a prepay_id of another product, -2 when the payer leaves', async () => {
    const { prepay_id } = await appOrder();
    const bad = { ...signed(request(prepay_id)), timestamp: '1412000001' };
    expect((await phone('app_pay', bad)).body).toMatchObject({ errCode: -1, message: '支付验证签名失败' });
    const jsapi = await w.place();
    const other = request(jsapi.prepay_id, { appid: w.merchant.appid });
    expect((await phone('app_pay', signed(other))).body).toMatchObject({ errCode: -1 });
    const left = await phone('app_pay', { ...signed(request(prepay_id)), action: 'cancel' });
    expect(left.body).toMatchObject({ errCode: -2, trade_state: 'NOTPAY' });
  });
});

describe('a mini-program', () => {
  const login = async (openid?: string) => (await phone('mini_code', { openid })).body;
  const session = async (own: Fields = {}) => {
    const query = new URLSearchParams({
      appid: w.config.mini_program.appid,
      secret: w.config.mini_program.secret,
      grant_type: 'authorization_code',
      ...own,
    });
    return (await fetch(`${w.url}/sns/jscode2session?${query}`)).json() as Promise<Record<string, unknown>>;
  };

  it('turns a login code into openid and session_key, once, for five minutes', async () => {
    const { code: js_code } = await login(w.other.openid);
    const first = await session({ js_code });
    expect(first.openid).toBe(w.other.openids[w.config.mini_program.appid]);
    expect(Buffer.from(String(first.session_key), 'base64')).toHaveLength(16);
    expect((await session({ js_code })).errcode).toBe(40163);
    const late = await login();
    await w.advance(301);
    expect((await session({ js_code: late.code })).errcode).toBe(40029);
  });

  it('refuses another secret, an unknown code, and the official account’s appid', async () => {
    const { code: js_code } = await login();
    expect((await session({ js_code, secret: 'x' })).errcode).toBe(40125);
    expect((await session({ js_code: 'nothing' })).errcode).toBe(40029);
    const { appid, secret } = w.config.official_account;
    expect((await session({ js_code, appid, secret })).errcode).toBe(40013);
    const web = await fetch(
      `${w.url}/sns/oauth2/access_token?${new URLSearchParams({ appid: w.config.mini_program.appid, secret: w.config.mini_program.secret, code: js_code, grant_type: 'authorization_code' })}`,
    );
    expect(((await web.json()) as Record<string, unknown>).errcode).toBe(40029);
  });

  const miniOrder = () => {
    const appid = w.config.mini_program.appid;
    return w.place({ appid, openid: w.user.openids[appid] ?? '' });
  };
  const call = (prepay_id: string, own: Fields = {}): Fields => {
    const p: Fields = {
      timeStamp: now_s(),
      nonceStr: 'n',
      package: `prepay_id=${prepay_id}`,
      signType: 'MD5',
      ...own,
    };
    const paySign = sign({ appId: w.config.mini_program.appid, ...p }, w.merchant.api_v2_key);
    return { paySign, ...p };
  };

  it('pays an API v2 order with appId in the signature though not in the call', async () => {
    const { prepay_id, out_trade_no } = await miniOrder();
    const paid = await phone('mini_pay', call(prepay_id));
    expect(paid.body).toMatchObject({ errMsg: 'requestPayment:ok', trade_state: 'SUCCESS', out_trade_no });
  });

  it('pays an API v3 order with RSA, and with nothing else', async () => {
    const appid = w.config.mini_program.appid;
    const placed = await w.place3({ appid, payer: { openid: w.user.openids[appid] } });
    const t = now_s();
    const p = { timeStamp: t, nonceStr: 'n', package: `prepay_id=${placed.prepay_id}` };
    expect((await phone('mini_pay', call(placed.prepay_id))).body.message).toBe('支付验证签名失败');
    const paySign = rsa([appid, t, 'n', p.package]);
    const paid = await phone('mini_pay', { ...p, signType: 'RSA', paySign });
    expect(paid.body).toMatchObject({ errMsg: 'requestPayment:ok' });
  });

  it('turns away what is not a string, a web page’s prepay_id, another payer; and leaves when told', async () => {
    const { prepay_id } = await miniOrder();
    const number = await phone('mini_pay', { ...call(prepay_id), timeStamp: 1412000000 });
    expect(number.body).toMatchObject({
      errMsg: 'requestPayment:fail parameter.timeStamp should be String instead of number',
    });
    const web = await w.place();
    expect((await phone('mini_pay', call(web.prepay_id))).body.message).toBe('缺少参数total_fee');
    const other = await phone('mini_pay', { ...call(prepay_id), openid: w.other.openid });
    expect([other.status, other.body.code]).toEqual([403, 'BUYER_MISMATCH']);
    const left = await phone('mini_pay', { ...call(prepay_id), action: 'cancel' });
    expect(left.body).toMatchObject({ errMsg: 'requestPayment:fail cancel', trade_state: 'NOTPAY' });
  });
});
