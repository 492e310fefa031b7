// The v2 doors refuse what WeChat refuses, with its codes on its two levels, and their answers verify.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorld, sign, toXml, type World } from './world.ts';

let w: World;
beforeAll(async () => {
  w = await openWorld();
});
afterAll(() => w.close());

const levelOne = (text: string) => ({ return_code: 'FAIL', return_msg: text });
const levelTwo = (code: string) => ({ return_code: 'SUCCESS', result_code: 'FAIL', err_code: code });

describe('an order is placed', () => {
  it.each(['MD5', 'HMAC-SHA256'] as const)(
    'and answered with a signature of the sign type %s',
    async (sign_type) => {
      const answer = await w.call('/pay/unifiedorder', w.order({ device_info: 'WEB' }), { sign_type });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('request-id')).toMatch(/^08[0-9A-F]{28}-\d$/);
      expect(answer.fields).toMatchObject({
        return_code: 'SUCCESS',
        return_msg: 'OK',
        result_code: 'SUCCESS',
        appid: w.merchant.appid,
        mch_id: w.merchant.mch_id,
        device_info: 'WEB',
        trade_type: 'JSAPI',
      });
      expect(answer.fields.prepay_id).toMatch(/^wx\d{14}[0-9a-f]{20}$/);
      expect(w.verifies(answer.fields, sign_type)).toBe(true);
    },
  );

  it('as NATIVE with a code_url, as MWEB with a mweb_url, as APP with neither', async () => {
    const native = await w.place({ trade_type: 'NATIVE', product_id: 'p1', openid: '' });
    expect(native.code_url).toMatch(/^weixin:\/\/wxpay\/bizpayurl\?pr=\w{9}$/);
    const h5 = await w.place({
      trade_type: 'MWEB',
      scene_info: '{"h5_info":{"type":"Wap","wap_url":"https://pay.qq.com","wap_name":"x"}}',
      openid: '',
    });
    expect(h5.mweb_url).toContain(`checkmweb?prepay_id=${h5.prepay_id}&package=`);
    const app = await w.place({ trade_type: 'APP', openid: '' });
    expect(app).not.toHaveProperty('code_url');
    expect(app).not.toHaveProperty('mweb_url');
  });

  it('with Chinese, markup, quotes and a ]]> that survive to the query', async () => {
    const attach = 'A&B <x> "引号" 订单';
    const placed = await w.place({ body: '苹果 & <梨>', attach });
    const answer = await w.query(placed.out_trade_no);
    expect(answer.fields.attach).toBe(attach);
    expect(w.verifies(answer.fields)).toBe(true);
  });
});

describe('the envelope', () => {
  it('a GET is refused at level 1, unsigned', async () => {
    const answer = await w.raw('/pay/unifiedorder', '', 'GET');
    expect(answer.fields).toEqual(levelOne('请使用post方法'));
    expect((await w.lastLog()).code).toBe('REQUIRE_POST_METHOD');
  });

  it.each<[string, string, string | Buffer]>([
    ['an empty body', 'POST_DATA_EMPTY', ''],
    ['GBK bytes', 'NOT_UTF8', Buffer.from('3c786d6c3e3c613eb2e2cad43c2f613e3c2f786d6c3e', 'hex')],
    ['JSON', 'XML_FORMAT_ERROR', '{"a":1}'],
    ['an unclosed element', 'XML_FORMAT_ERROR', '<xml><a>1</xml>'],
    ['another root', 'XML_FORMAT_ERROR', '<root><a>1</a></root>'],
    ['a DOCTYPE', 'XML_FORMAT_ERROR', '<!DOCTYPE xml [<!ENTITY a "b">]><xml><a>&a;</a></xml>'],
    ['the same field twice', 'XML_FORMAT_ERROR', '<xml><a>1</a><a>2</a></xml>'],
    ['nesting', 'XML_FORMAT_ERROR', '<xml><a><b>1</b></a></xml>'],
    ['text after the root', 'XML_FORMAT_ERROR', '<xml><a>1</a></xml>tail'],
    ['more than 64 KiB', 'XML_FORMAT_ERROR', `<xml><a>${'x'.repeat(70_000)}</a></xml>`],
  ])('%s is %s', async (_what, code, body) => {
    const answer = await w.raw('/pay/unifiedorder', body);
    expect(answer.fields.return_code).toBe('FAIL');
    expect(answer.fields).not.toHaveProperty('sign');
    expect((await w.lastLog()).code).toBe(code);
  });

  it('an unknown mch_id is refused before the signature is looked at', async () => {
    const answer = await w.call('/pay/unifiedorder', w.order({ mch_id: '1', sign: 'x' }));
    expect(answer.fields).toEqual(levelOne('商户号mch_id或sub_mch_id不存在'));
  });

  it('a bad signature is refused before the appid is looked at', async () => {
    const answer = await w.call('/pay/unifiedorder', w.order({ appid: 'wx0', sign: 'F'.repeat(32) }));
    expect(answer.fields).toEqual(levelOne('签名错误'));
  });

  it.each<[string, Parameters<World['call']>[2], RegExp]>([
    ['the APIv3 key', { key: 'v3' }, /APIv3 key/],
    ['another key', { key: 'k'.repeat(32) }, /does not fit/],
  ])('signed with %s it is 签名错误, and the log says why', async (_what, how, why) => {
    const key = how?.key === 'v3' ? w.merchant.api_v3_key : (how?.key ?? '');
    const answer = await w.call('/pay/unifiedorder', w.order(), { key });
    expect(answer.fields).toEqual(levelOne('签名错误'));
    expect((await w.lastLog()).why).toMatch(why);
  });

  it('a signature in lower case, a missing one and an undeclared HMAC are refused with their reasons', async () => {
    const fields = { ...w.order(), appid: w.merchant.appid, mch_id: w.merchant.mch_id, nonce_str: 'n' };
    const right = sign(fields, w.merchant.api_v2_key);
    await w.raw('/pay/unifiedorder', toXml({ ...fields, sign: right.toLowerCase() }));
    expect((await w.lastLog()).why).toMatch(/lower case/);
    await w.raw('/pay/unifiedorder', toXml(fields));
    expect((await w.lastLog()).why).toMatch(/missing/);
    await w.raw(
      '/pay/unifiedorder',
      toXml({ ...fields, sign: sign(fields, w.merchant.api_v2_key, 'HMAC-SHA256') }),
    );
    expect((await w.lastLog()).why).toMatch(/signed with HMAC-SHA256/);
  });

  it('an unknown field takes part in the signature', async () => {
    const answer = await w.call('/pay/unifiedorder', w.order({ brand_new: 'x' }));
    expect(answer.fields.result_code).toBe('SUCCESS');
  });

  it('an unknown door is 404', async () => {
    expect((await w.raw('/pay/nothing', 'x')).status).toBe(404);
  });
});

describe('who asks', () => {
  it('an unknown appid is APPID_NOT_EXIST, signed', async () => {
    const answer = await w.call('/pay/unifiedorder', w.order({ appid: 'wx0000000000000000' }));
    expect(answer.fields).toMatchObject(levelTwo('APPID_NOT_EXIST'));
    expect(w.verifies(answer.fields)).toBe(true);
  });

  it('an appid of another merchant is APPID_MCHID_NOT_MATCH', async () => {
    const appid = w.config.other_accounts[0]?.appid ?? '';
    const answer = await w.call('/pay/unifiedorder', w.order({ appid }));
    expect(answer.fields).toMatchObject(levelTwo('APPID_MCHID_NOT_MATCH'));
  });

  it('an openid nobody has, and one of another account, are told apart', async () => {
    const nobody = await w.call('/pay/unifiedorder', w.order({ openid: 'oNobody' }));
    expect(nobody.fields).toEqual(levelOne('invalid openid'));
    const foreign = w.user.openids[w.config.other_accounts[0]?.appid ?? ''] ?? '';
    const answer = await w.call('/pay/unifiedorder', w.order({ openid: foreign }));
    expect(answer.fields).toEqual(levelOne('appid and openid not match'));
  });

  it('a merchant without the product is NOAUTH', async () => {
    const [merchant] = w.simulator.platform.store.state.merchants;
    const products = merchant?.products.splice(0) ?? [];
    const answer = await w.call('/pay/unifiedorder', w.order());
    merchant?.products.push(...products);
    expect(answer.fields).toMatchObject(levelTwo('NOAUTH'));
  });
});

describe('the fields of an order', () => {
  it.each(['body', 'out_trade_no', 'total_fee', 'spbill_create_ip', 'notify_url', 'trade_type'])(
    'without %s it is 缺少参数',
    async (name) => {
      const answer = await w.call('/pay/unifiedorder', w.order({ [name]: '' }));
      expect(answer.fields).toEqual(levelOne(`缺少参数：${name}`));
    },
  );

  it.each([
    ['JSAPI without openid', { openid: '' }, 'JSAPI支付必须传openid'],
    ['NATIVE without product_id', { trade_type: 'NATIVE' }, '缺少参数：product_id'],
    ['MWEB without scene_info', { trade_type: 'MWEB' }, '缺少参数：scene_info'],
    ['a fraction of a fen', { total_fee: '1.5' }, 'invalid total_fee'],
    ['nothing to pay', { total_fee: '0' }, 'invalid total_fee'],
    ['a negative amount', { total_fee: '-1' }, 'invalid total_fee'],
    ['an amount of 2^31', { total_fee: '2147483648' }, 'invalid total_fee'],
    ['an exponent', { total_fee: '1e2' }, 'invalid total_fee'],
    ['no IP', { spbill_create_ip: 'localhost' }, 'invalid spbill_create_ip'],
    ['a body of 128 bytes', { body: `${'果'.repeat(42)}ab` }, 'body参数长度有误'],
    ['a body with a line feed', { body: 'a\nb' }, 'body参数格式错误'],
  ])('%s is refused at level 1', async (_what, own, text) => {
    const answer = await w.call('/pay/unifiedorder', w.order(own));
    expect(answer.fields).toEqual(levelOne(text));
  });

  it('a body of exactly 127 bytes is taken', async () => {
    await w.place({ body: `${'果'.repeat(42)}a` });
  });

  it.each([
    ['out_trade_no with a space', { out_trade_no: 'a b' }],
    ['out_trade_no of 33 characters', { out_trade_no: 'x'.repeat(33) }],
    ['attach of 128 bytes', { attach: 'x'.repeat(128) }],
    ['a notify_url with a query', { notify_url: 'http://127.0.0.1/n?a=1' }],
    ['a notify_url that is none', { notify_url: '/notify' }],
    ['a time_expire that is no time', { time_expire: '20260231000000' }],
    ['a time_expire before time_start', { time_start: '20300102000000', time_expire: '20300101000000' }],
    ['another currency', { fee_type: 'USD' }],
    ['an unknown trade_type', { trade_type: 'WAP' }],
    ['MICROPAY, which has its own door', { trade_type: 'MICROPAY' }],
    ['a detail that is no JSON', { detail: '{' }],
    ['an unknown limit_pay', { limit_pay: 'credit' }],
  ])('%s is PARAM_ERROR', async (_what, own) => {
    const answer = await w.call('/pay/unifiedorder', w.order(own));
    expect(answer.fields).toMatchObject(levelTwo('PARAM_ERROR'));
    expect(w.verifies(answer.fields)).toBe(true);
  });
});

describe('a number comes again', () => {
  it('with the same fields it gives the same prepay_id, and a new one after two hours', async () => {
    const fields = w.order();
    const first = await w.call('/pay/unifiedorder', fields);
    const again = await w.call('/pay/unifiedorder', {
      ...fields,
      spbill_create_ip: '1.2.3.4',
      time_start: '20260101000000',
    });
    expect(again.fields.prepay_id).toBe(first.fields.prepay_id);
    await w.advance(7201);
    const later = await w.call('/pay/unifiedorder', fields);
    expect(later.fields.result_code).toBe('SUCCESS');
    expect(later.fields.prepay_id).not.toBe(first.fields.prepay_id);
  });

  it.each([
    ['another amount', { total_fee: '1289' }, 'OUT_TRADE_NO_USED'],
    ['another body', { body: '梨' }, 'INVALID_REQUEST'],
    ['another attach', { attach: 'x' }, 'INVALID_REQUEST'],
    ['another notify_url', { notify_url: 'http://127.0.0.1:9/other' }, 'INVALID_REQUEST'],
    ['another time_expire', { time_expire: '20990101000000' }, 'INVALID_REQUEST'],
  ])('with %s it is refused', async (_what, change, code) => {
    const fields = w.order();
    await w.call('/pay/unifiedorder', fields);
    const again = await w.call('/pay/unifiedorder', { ...fields, ...change });
    expect(again.fields).toMatchObject(levelTwo(code));
  });

  it('another payer makes it another order', async () => {
    const fields = w.order();
    await w.call('/pay/unifiedorder', fields);
    const again = await w.call('/pay/unifiedorder', { ...fields, openid: w.other.openid });
    expect(again.fields).toMatchObject(levelTwo('OUT_TRADE_NO_USED'));
  });

  it('after payment it is ORDERPAID, after close ORDERCLOSED', async () => {
    const paid = await w.place();
    await w.pay({ out_trade_no: paid.out_trade_no });
    expect((await w.call('/pay/unifiedorder', paid.fields)).fields).toMatchObject(levelTwo('ORDERPAID'));
    const closed = await w.place();
    await w.call('/pay/closeorder', { out_trade_no: closed.out_trade_no });
    expect((await w.call('/pay/unifiedorder', closed.fields)).fields).toMatchObject(levelTwo('ORDERCLOSED'));
  });
});

describe('time', () => {
  const inSeconds = (seconds: number) => {
    const at = new Date(w.simulator.platform.clock.now() + seconds * 1000 + 8 * 3600_000);
    return at.toISOString().slice(0, 19).replace(/[-T:]/g, '');
  };

  it('a time_expire half a minute ahead is too short', async () => {
    const answer = await w.call('/pay/unifiedorder', w.order({ time_expire: inSeconds(30) }));
    expect(answer.fields).toEqual(levelOne('time_expire时间过短，刷卡至少1分钟，其他5分钟'));
  });

  it('an order past its time_expire is CLOSED and cannot be paid', async () => {
    const placed = await w.place({ time_expire: inSeconds(300) });
    await w.advance(301);
    expect((await w.query(placed.out_trade_no)).fields.trade_state).toBe('CLOSED');
    const refused = await w.pay({ out_trade_no: placed.out_trade_no });
    expect(refused).toMatchObject({ status: 409, body: { code: 'ORDERCLOSED' } });
  });

  it('a payer already at the password panel may still pay late', async () => {
    const placed = await w.place({ time_expire: inSeconds(300) });
    await w.advance(301);
    await w.query(placed.out_trade_no);
    expect((await w.pay({ out_trade_no: placed.out_trade_no, late: true })).body.trade_state).toBe('SUCCESS');
  });

  it('an order without time_expire lives seven days', async () => {
    const placed = await w.place();
    await w.advance(7 * 86400 - 60);
    expect((await w.query(placed.out_trade_no)).fields.trade_state).toBe('NOTPAY');
    await w.advance(61);
    expect((await w.query(placed.out_trade_no)).fields.trade_state).toBe('CLOSED');
  });
});

describe('the query', () => {
  it('of an unpaid order says NOTPAY with an empty attach and no payment', async () => {
    const placed = await w.place();
    const answer = await w.query(placed.out_trade_no);
    expect(answer.fields).toMatchObject({
      trade_state: 'NOTPAY',
      trade_state_desc: '订单未支付',
      attach: '',
    });
    expect(answer.fields).not.toHaveProperty('transaction_id');
    expect(w.verifies(answer.fields)).toBe(true);
  });

  it('of a paid order tells all, by either number, integers bare and strings in CDATA', async () => {
    const placed = await w.place({ attach: 'x' });
    const paid = (await w.pay({ out_trade_no: placed.out_trade_no })).body;
    const answer = await w.call(
      '/pay/orderquery',
      { transaction_id: paid.transaction_id },
      { sign_type: 'HMAC-SHA256' },
    );
    expect(answer.fields).toMatchObject({
      trade_state: 'SUCCESS',
      out_trade_no: placed.out_trade_no,
      transaction_id: paid.transaction_id,
      total_fee: '1288',
      cash_fee: '1288',
      fee_type: 'CNY',
      openid: w.user.openid,
      time_end: paid.time_end,
      attach: 'x',
      trade_type: 'JSAPI',
    });
    expect(paid.transaction_id).toMatch(/^42000\d{23}$/);
    expect(answer.text).toContain('<total_fee>1288</total_fee>');
    expect(answer.text).toContain('<cash_fee><![CDATA[1288]]></cash_fee>');
    expect(w.verifies(answer.fields, 'HMAC-SHA256')).toBe(true);
  });

  it('shows a coupon beside the cash', async () => {
    const placed = await w.place();
    await w.pay({ out_trade_no: placed.out_trade_no, coupon_fen: 88 });
    const { fields } = await w.query(placed.out_trade_no);
    expect(fields).toMatchObject({
      total_fee: '1288',
      cash_fee: '1200',
      coupon_fee: '88',
      coupon_fee_0: '88',
      coupon_count: '1',
    });
    expect(w.verifies(fields)).toBe(true);
  });

  it('of nothing is ORDERNOTEXIST; without a number it lacks a parameter', async () => {
    expect((await w.query('NOSUCH')).fields).toMatchObject({
      ...levelTwo('ORDERNOTEXIST'),
      err_code_des: 'order not exist',
    });
    expect((await w.call('/pay/orderquery', {})).fields).toEqual(levelOne('缺少参数：out_trade_no'));
  });
});

describe('the close', () => {
  it('shuts an unpaid order once', async () => {
    const { out_trade_no } = await w.place();
    const first = await w.call('/pay/closeorder', { out_trade_no });
    expect(first.fields.result_code).toBe('SUCCESS');
    expect(w.verifies(first.fields)).toBe(true);
    expect((await w.query(out_trade_no)).fields.trade_state).toBe('CLOSED');
    expect((await w.call('/pay/closeorder', { out_trade_no })).fields).toMatchObject(levelTwo('ORDERCLOSED'));
  });

  it('of a paid order is ORDERPAID, of none ORDERNOTEXIST', async () => {
    const { out_trade_no } = await w.place();
    await w.pay({ out_trade_no });
    expect((await w.call('/pay/closeorder', { out_trade_no })).fields).toMatchObject(levelTwo('ORDERPAID'));
    expect((await w.call('/pay/closeorder', { out_trade_no: 'NOSUCH' })).fields).toMatchObject(
      levelTwo('ORDERNOTEXIST'),
    );
  });
});

describe('strict mode', () => {
  it('also enforces the doubtful rules', async () => {
    const strict = await openWorld({ strict: true });
    try {
      const http = await strict.call('/pay/unifiedorder', strict.order());
      expect(http.fields.err_code).toBe('PARAM_ERROR');
      const short = await strict.call(
        '/pay/unifiedorder',
        strict.order({ out_trade_no: 'AB', notify_url: 'https://127.0.0.1/n' }),
      );
      expect(short.fields.err_code).toBe('PARAM_ERROR');
      const { out_trade_no } = await strict.place({ notify_url: 'https://127.0.0.1/n' });
      expect((await strict.call('/pay/closeorder', { out_trade_no })).fields.err_code).toBe(
        'TRADE_STATE_ERROR',
      );
      await strict.advance(300);
      expect((await strict.call('/pay/closeorder', { out_trade_no })).fields.result_code).toBe('SUCCESS');
    } finally {
      await strict.close();
    }
  });
});
