// The simulator's signatures against the published vectors, and against a second signer that never met it.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Hash } from 'wechatpay-axios-plugin';
import { signV2, verifiesV2 } from '../../simulator/sign_v2.ts';
import { type Fields, type SignType, sign } from './world.ts';

const KEY = '192006250b4c09247ec02edce69f6a2d';
const OFFICIAL = {
  appid: 'wxd930ea5d5a258f4f',
  mch_id: '10000100',
  device_info: '1000',
  body: 'test',
  nonce_str: 'ibuaiVcKdpRxkhJA',
};
const WECHATPY = { test1: 'test1', test2: 'test2' };
const EASYWECHAT = {
  appId: 'mock-appid',
  nonceStr: 'mock-nonce',
  package: 'prepay_id=mock-prepay-id',
  timeStamp: '1601234567',
};
const CHINESE: Fields = {
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
const COUPONS: Fields = {
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
};

type Vector = { origin: string; fields: Fields; key: string; sign_type: SignType; expected: string };
const VECTORS: Vector[] = [
  {
    origin: 'V1, WeChat Pay v2 安全规范',
    fields: OFFICIAL,
    key: KEY,
    sign_type: 'MD5',
    expected: '9A0A8659F005D6984697E2CA0A9CF3B7',
  },
  {
    origin: 'V2, WeChat Pay v2 安全规范',
    fields: OFFICIAL,
    key: KEY,
    sign_type: 'HMAC-SHA256',
    expected: '6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6',
  },
  {
    origin: 'V3, wechatpy tests/test_pay.py',
    fields: WECHATPY,
    key: KEY,
    sign_type: 'MD5',
    expected: '1E3A8D73B5A4AEE787C0F68B5DAB8520',
  },
  {
    origin: 'V4, wechatpy tests/test_pay.py',
    fields: WECHATPY,
    key: KEY,
    sign_type: 'HMAC-SHA256',
    expected: 'EDAC6D70D2FDF5A2382F8204FC96A1918017E46ACC5297F565ED1A7610ACF659',
  },
  {
    origin: 'V5, yansongda/pay WechatTraitTest (an empty value is dropped)',
    fields: { name: 'yansongda', age: '29', foo: '' },
    key: 'yansongda',
    sign_type: 'MD5',
    expected: '3213848AED2C380749FD1D559555881D',
  },
  {
    origin: 'V6, WeChat Pay v2 小程序调起支付API',
    fields: {
      appId: 'wxd678efh567hg6787',
      nonceStr: '5K8264ILTKCH16CQ2502SI8ZNMTM67VS',
      package: 'prepay_id=wx2017033010242291fcfe0db70013231072',
      signType: 'MD5',
      timeStamp: '1490840662',
    },
    key: 'qazwsxedcrfvtgbyhnujmikolp111111',
    sign_type: 'MD5',
    expected: '22D9B4E54AB1950F51E0649E8810ACD6',
  },
  {
    origin: 'V7, easywechat tests/Pay/UtilsTest.php',
    fields: { ...EASYWECHAT, signType: 'MD5' },
    key: 'mock-v2-secret-key',
    sign_type: 'MD5',
    expected: 'C52D6B09E8A039D6E8696A014BB37160',
  },
  {
    origin: 'V8, easywechat tests/Pay/UtilsTest.php',
    fields: { ...EASYWECHAT, signType: 'HMAC-SHA256' },
    key: 'mock-v2-secret-key',
    sign_type: 'HMAC-SHA256',
    expected: 'BAC9240577E86EDC7753264E502196C61F78F24777E9E7CCE82A7BD97F906EED',
  },
  {
    origin: 'C1, computed: Chinese, markup, JSON, empty attach',
    fields: CHINESE,
    key: KEY,
    sign_type: 'MD5',
    expected: '2A992D161B1A73EB3CC7B51CE62D4F75',
  },
  {
    origin: 'C1 with HMAC-SHA256, computed',
    fields: { ...CHINESE, sign_type: 'HMAC-SHA256' },
    key: KEY,
    sign_type: 'HMAC-SHA256',
    expected: '25003783937CCB4AB861F332D1AEFA81D4E453A606981F17B0FD4E402F479806',
  },
  {
    origin: 'C2, computed: the APP call',
    fields: {
      appid: 'wxd930ea5d5a258f4f',
      noncestr: '5K8264ILTKCH16CQ2502SI8ZNMTM67VS',
      package: 'Sign=WXPay',
      partnerid: '1900000109',
      prepayid: 'WX1217752501201407033233368018',
      timestamp: '1412000000',
    },
    key: KEY,
    sign_type: 'MD5',
    expected: '839926B9D3F85F49E26B271C4DD2C44E',
  },
  {
    origin: 'C3, computed: a notification with coupons',
    fields: COUPONS,
    key: KEY,
    sign_type: 'MD5',
    expected: 'F053AAA5BCF0BD0A71D425AB91ADE553',
  },
];

describe('the simulator signs as published', () => {
  it.each(VECTORS)('$origin', ({ fields, key, sign_type, expected }) => {
    expect(signV2(fields, sign_type, key)).toBe(expected);
    expect(sign(fields, key, sign_type)).toBe(expected);
    expect(verifiesV2({ ...fields, sign: expected }, sign_type, key)).toBe(true);
    expect(verifiesV2({ ...fields, sign: expected.toLowerCase() }, sign_type, key)).toBe(false);
    expect(verifiesV2({ ...fields, sign: '' }, sign_type, key)).toBe(false);
  });

  it('JS-SDK signature V9 of the JS-SDK document, appendix 1', () => {
    const text =
      'jsapi_ticket=sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg&noncestr=Wm3WZYTPz0wzccnW&timestamp=1414587457&url=http://mp.weixin.qq.com?params=value';
    expect(Hash.sha1(text)).toBe('0f9de62fce790f9a083d5c99e95740ceb90c27ed');
  });

  it('two signers that never met agree on any message', () => {
    const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_]{0,20}$/);
    fc.assert(
      fc.property(
        fc.dictionary(name, fc.string({ unit: 'grapheme', maxLength: 40 })),
        fc.constantFrom<SignType>('MD5', 'HMAC-SHA256'),
        (fields, sign_type) => {
          expect(signV2(fields, sign_type, KEY)).toBe(sign(fields, KEY, sign_type));
        },
      ),
    );
  });
});
