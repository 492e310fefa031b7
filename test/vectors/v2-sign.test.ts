/**
 * API v2's signature against published vectors, against an independent implementation, and against the ways a signed
 * string can be read twice.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Formatter, Hash } from 'wechatpay-axios-plugin';
import { canonicalString, signTypeOfLength, signV2, verifyV2 } from '../../lib/wechat/v2/sign.ts';

/** The key of WeChat's own page 安全规范. */
const KEY = '192006250b4c09247ec02edce69f6a2d';

const OFFICIAL = {
  appid: 'wxd930ea5d5a258f4f',
  mch_id: '10000100',
  device_info: '1000',
  body: 'test',
  nonce_str: 'ibuaiVcKdpRxkhJA',
};
const WECHATPY = { test1: 'test1', test2: 'test2' };
const EASYWECHAT = { appId: 'mock-appid', nonceStr: 'mock-nonce', package: 'prepay_id=mock-prepay-id' };

describe('published vectors', () => {
  it.each([
    ['WeChat Pay v2 安全规范, MD5', OFFICIAL, KEY, 'MD5', '9A0A8659F005D6984697E2CA0A9CF3B7'],
    [
      'WeChat Pay v2 安全规范, HMAC-SHA256',
      OFFICIAL,
      KEY,
      'HMAC-SHA256',
      '6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6',
    ],
    ['wechatpy tests/test_pay.py, MD5', WECHATPY, KEY, 'MD5', '1E3A8D73B5A4AEE787C0F68B5DAB8520'],
    [
      'wechatpy tests/test_pay.py, HMAC-SHA256',
      WECHATPY,
      KEY,
      'HMAC-SHA256',
      'EDAC6D70D2FDF5A2382F8204FC96A1918017E46ACC5297F565ED1A7610ACF659',
    ],
    [
      'yansongda/pay tests/Traits/WechatTraitTest.php: an empty value is dropped',
      { name: 'yansongda', age: '29', foo: '' },
      'yansongda',
      'MD5',
      '3213848AED2C380749FD1D559555881D',
    ],
    [
      'WeChat Pay, mini program 小程序调起支付API: paySign',
      {
        appId: 'wxd678efh567hg6787',
        nonceStr: '5K8264ILTKCH16CQ2502SI8ZNMTM67VS',
        package: 'prepay_id=wx2017033010242291fcfe0db70013231072',
        signType: 'MD5',
        timeStamp: '1490840662',
      },
      'qazwsxedcrfvtgbyhnujmikolp111111',
      'MD5',
      '22D9B4E54AB1950F51E0649E8810ACD6',
    ],
    [
      'w7corp/easywechat tests/Pay/UtilsTest.php: paySign, MD5',
      { ...EASYWECHAT, signType: 'MD5', timeStamp: '1601234567' },
      'mock-v2-secret-key',
      'MD5',
      'C52D6B09E8A039D6E8696A014BB37160',
    ],
    [
      'w7corp/easywechat tests/Pay/UtilsTest.php: paySign, HMAC-SHA256',
      { ...EASYWECHAT, signType: 'HMAC-SHA256', timeStamp: '1601234567' },
      'mock-v2-secret-key',
      'HMAC-SHA256',
      'BAC9240577E86EDC7753264E502196C61F78F24777E9E7CCE82A7BD97F906EED',
    ],
  ] as const)('%s', (_origin, fields, key, sign_type, sign) => {
    expect(signV2(fields, key, sign_type)).toBe(sign);
    expect(verifyV2({ ...fields, sign }, key, sign_type)).toBe(true);
  });
});

describe('our own vectors, computed with node:crypto by hand of the rule', () => {
  const chinese = {
    appid: 'wx2421b1c4370ec43b',
    attach: '',
    body: 'JSAPI支付测试 A&B <x>',
    detail: '{"goods_detail":[{"goods_id":"g1","goods_name":"苹果","quantity":1,"price":1}]}',
    mch_id: '10000100',
    nonce_str: '1add1a30ac87aa2db72f57a2375d8fec',
    notify_url: 'https://example.com/notify',
    openid: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o',
    out_trade_no: '1415659990',
    spbill_create_ip: '14.23.150.211',
    total_fee: '1',
    trade_type: 'JSAPI',
  };

  it('Chinese, markup, JSON and an empty attach are signed raw', () => {
    expect(canonicalString(chinese)).toBe(
      'appid=wx2421b1c4370ec43b&body=JSAPI支付测试 A&B <x>&detail={"goods_detail":[{"goods_id":"g1","goods_name":"苹果","quantity":1,"price":1}]}&mch_id=10000100&nonce_str=1add1a30ac87aa2db72f57a2375d8fec&notify_url=https://example.com/notify&openid=oUpF8uMuAJO_M2pxb1Q9zNjWeS6o&out_trade_no=1415659990&spbill_create_ip=14.23.150.211&total_fee=1&trade_type=JSAPI',
    );
    expect(signV2(chinese, KEY, 'MD5')).toBe('2A992D161B1A73EB3CC7B51CE62D4F75');
  });

  it('sign_type takes part in the signature', () => {
    expect(signV2({ ...chinese, sign_type: 'HMAC-SHA256' }, KEY, 'HMAC-SHA256')).toBe(
      '25003783937CCB4AB861F332D1AEFA81D4E453A606981F17B0FD4E402F479806',
    );
  });

  it.each([
    [
      'an APP call',
      {
        appid: 'wxd930ea5d5a258f4f',
        noncestr: '5K8264ILTKCH16CQ2502SI8ZNMTM67VS',
        package: 'Sign=WXPay',
        partnerid: '1900000109',
        prepayid: 'WX1217752501201407033233368018',
        timestamp: '1412000000',
      },
      '839926B9D3F85F49E26B271C4DD2C44E',
    ],
    [
      'a notification with coupons and Chinese in attach',
      {
        appid: 'wx2421b1c4370ec43b',
        attach: '订单{"a":1}',
        bank_type: 'OTHERS',
        cash_fee: '90',
        coupon_count: '1',
        coupon_fee: '10',
        coupon_fee_0: '10',
        coupon_id_0: '10000',
        coupon_type_0: 'CASH',
        fee_type: 'CNY',
        is_subscribe: 'N',
        mch_id: '10000100',
        nonce_str: '5d2b6c2a8db53831f7eda20af46e531c',
        openid: 'oUpF8uMEb4qRXf22hE3X68TekukE',
        out_trade_no: '1409811653',
        result_code: 'SUCCESS',
        return_code: 'SUCCESS',
        time_end: '20140903131540',
        total_fee: '100',
        trade_type: 'JSAPI',
        transaction_id: '1004400740201409030005092168',
      },
      'F053AAA5BCF0BD0A71D425AB91ADE553',
    ],
    [
      'a NATIVE link of mode 1',
      {
        appid: 'wx2421b1c4370ec43b',
        mch_id: '10000100',
        product_id: '88888',
        time_stamp: '1414488825',
        nonce_str: '5K8264ILTKCH16CQ2502SI8ZNMTM67VS',
      },
      'DFA7796DC03E3B44CE24FC7483D0CE32',
    ],
  ])('%s', (_name, fields, sign) => {
    expect(signV2(fields, KEY, 'MD5')).toBe(sign);
  });

  it('sorts by byte: capitals first, underscore before small letters, no natural number order', () => {
    const fields = { ab: '4', a_b: '3', Appid: '1', coupon_id_2: '6', coupon_id_10: '5', a1: '2' };
    expect(canonicalString(fields)).toBe('Appid=1&a1=2&a_b=3&ab=4&coupon_id_10=5&coupon_id_2=6');
  });
});

describe("signatures printed in WeChat's sample messages, which are decoration and do not hold", () => {
  it.each([
    [
      'unifiedorder request',
      {
        appid: 'wx2421b1c4370ec43b',
        attach: '支付测试',
        body: 'JSAPI支付测试',
        mch_id: '10000100',
        nonce_str: '1add1a30ac87aa2db72f57a2375d8fec',
        notify_url: 'http://wxpay.wxutil.com/pub_v2/pay/notify.v2.php',
        openid: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o',
        out_trade_no: '1415659990',
        spbill_create_ip: '14.23.150.211',
        total_fee: '1',
        trade_type: 'JSAPI',
      },
      '0CB01533B8C1EF103065174F50BCA001',
    ],
    [
      'unifiedorder reply',
      {
        return_code: 'SUCCESS',
        return_msg: 'OK',
        appid: 'wx2421b1c4370ec43b',
        mch_id: '10000100',
        nonce_str: 'IITRi8Iabbblz1Jc',
        result_code: 'SUCCESS',
        prepay_id: 'wx201411101639507cbf6ffd8b0779950874',
        trade_type: 'JSAPI',
      },
      '7921E432F65EB8ED0CE9755F0E86D72F',
    ],
    [
      'payment notification',
      {
        appid: 'wx2421b1c4370ec43b',
        attach: '支付测试',
        bank_type: 'CFT',
        fee_type: 'CNY',
        is_subscribe: 'Y',
        mch_id: '10000100',
        nonce_str: '5d2b6c2a8db53831f7eda20af46e531c',
        openid: 'oUpF8uMEb4qRXf22hE3X68TekukE',
        out_trade_no: '1409811653',
        result_code: 'SUCCESS',
        return_code: 'SUCCESS',
        sub_mch_id: '10000100',
        time_end: '20140903131540',
        total_fee: '1',
        trade_type: 'JSAPI',
        transaction_id: '1004400740201409030005092168',
      },
      'B552ED6B279343CB493C5DD0D78AB241',
    ],
    [
      'refundquery request',
      {
        appid: 'wx2421b1c4370ec43b',
        mch_id: '10000100',
        nonce_str: '0b9f35f484df17a732e537c37708d1d0',
        out_trade_no: '1415757673',
      },
      '1F2841558E233C33ABA71A961D27561C',
    ],
    [
      'refund reply',
      {
        return_code: 'SUCCESS',
        return_msg: 'OK',
        appid: 'wx2421b1c4370ec43b',
        mch_id: '10000100',
        nonce_str: 'NfsMFbUFpdbEhPXP',
        result_code: 'SUCCESS',
        transaction_id: '1008450740201411110005820873',
        out_trade_no: '1415757673',
        out_refund_no: '1415701182',
        refund_id: '2008450740201411110000174436',
        refund_channel: '',
        refund_fee: '1',
      },
      'B7274EB9F8925EB93100DD2085FA56C0',
    ],
  ])('%s', (_name, fields, sign) => {
    expect(verifyV2({ ...fields, sign }, KEY, 'MD5')).toBe(false);
  });
});

describe('verifying', () => {
  const signed = { ...OFFICIAL, sign: signV2(OFFICIAL, KEY, 'MD5') };

  it('takes no sign of any other length, and none at all', () => {
    for (let length = 0; length <= 200; length += 1) {
      expect(verifyV2({ ...OFFICIAL, sign: 'A'.repeat(length) }, KEY, 'MD5')).toBe(false);
    }
    expect(verifyV2(OFFICIAL, KEY, 'MD5')).toBe(false);
  });

  it('takes no sign of the other algorithm', () => {
    expect(verifyV2(signed, KEY, 'HMAC-SHA256')).toBe(false);
    expect(verifyV2({ ...OFFICIAL, sign: signV2(OFFICIAL, KEY, 'HMAC-SHA256') }, KEY, 'MD5')).toBe(false);
  });

  it('takes no added field and no other key, but an added empty field changes nothing', () => {
    expect(verifyV2({ ...signed, x: '1' }, KEY, 'MD5')).toBe(false);
    expect(verifyV2(signed, `${KEY}x`, 'MD5')).toBe(false);
    expect(verifyV2({ ...signed, x: '' }, KEY, 'MD5')).toBe(true);
  });

  it('takes no multi-byte sign as long in characters as a right one', () => {
    expect(verifyV2({ ...OFFICIAL, sign: '签'.repeat(32) }, KEY, 'MD5')).toBe(false);
  });

  it('tells the algorithm by length', () => {
    expect([32, 64, 0, 31, 40].map((length) => signTypeOfLength('A'.repeat(length)))).toEqual([
      'MD5',
      'HMAC-SHA256',
      undefined,
      undefined,
      undefined,
    ]);
    expect(signTypeOfLength(undefined)).toBeUndefined();
  });
});

describe('two witnesses agree (ours, and wechatpay-axios-plugin)', () => {
  const message = fc.dictionary(
    fc.stringMatching(/^[A-Za-z][A-Za-z0-9_]{0,20}$/).filter((name) => name !== 'sign'),
    fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.constant(''), fc.stringMatching(/^[0-9]{1,30}$/)),
    { maxKeys: 20 },
  );
  const key = fc.stringMatching(/^[A-Za-z0-9]{32}$/);

  it.each(['MD5', 'HMAC-SHA256'] as const)('on 2,000 random messages under %s', (sign_type) => {
    fc.assert(
      fc.property(message, key, (fields, api_v2_key) => {
        const theirs = Hash.sign(sign_type, fields, api_v2_key);
        expect(signV2(fields, api_v2_key, sign_type)).toBe(theirs);
        expect(canonicalString(fields)).toBe(Formatter.queryStringLike(Formatter.ksort(fields)));
        expect(verifyV2({ ...fields, sign: theirs }, api_v2_key, sign_type)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
