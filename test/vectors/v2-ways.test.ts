/**
 * What API v2 hands to mini-programs, apps and printed codes, against published vectors and another implementation of
 * the signature (wechatpay-axios-plugin). The published secrets hold no money.
 */
import { describe, expect, test } from 'vitest';
import { Hash } from 'wechatpay-axios-plugin';
import {
  createWechatPayV2,
  NotificationError,
  type Ports,
  parseXml,
  WechatError,
  type WechatPay,
  type WechatPayV2Config,
} from '../../lib/wechat/index.ts';
import { appParameters, miniProgramParameters } from '../../lib/wechat/v2/call_parameters.ts';

const NONCE = '5K8264ILTKCH16CQ2502SI8ZNMTM67VS';
const KEY = '192006250b4c09247ec02edce69f6a2d';
const CONFIG: WechatPayV2Config = {
  appid: 'wx2421b1c4370ec43b',
  mch_id: '10000100',
  api_v2_key: KEY,
  sign_type: 'MD5',
  base_url: 'https://api.mch.weixin.qq.com',
};

function clientAt(seconds: number, config: Partial<WechatPayV2Config> = {}, answer = ''): WechatPay {
  const ports: Ports = {
    fetch: async () => new Response(answer),
    now: () => new Date(seconds * 1_000),
    nonce: () => NONCE,
  };
  return createWechatPayV2({ ...CONFIG, ...config }, ports);
}

/** Absent over v3; v2's are asked for here. */
function codesOf(pay: WechatPay) {
  if (pay.native === undefined) throw new Error('no native codes');
  return pay.native;
}

describe('a mini-program', () => {
  test('published vector: 小程序调起支付API, the appId is signed and not handed over', () => {
    // The vector's key has 32 characters of its own; its appid is one letter longer than real ones.
    const ports: Ports = { fetch, now: () => new Date(1_490_840_662_000), nonce: () => NONCE };
    const signer = {
      appid: 'wxd678efh567hg6787',
      mch_id: '10000100',
      api_v2_key: 'qazwsxedcrfvtgbyhnujmikolp111111',
      sign_type: 'MD5',
    } as const;
    expect(miniProgramParameters(signer, ports, 'wx2017033010242291fcfe0db70013231072')).toEqual({
      timeStamp: '1490840662',
      nonceStr: NONCE,
      package: 'prepay_id=wx2017033010242291fcfe0db70013231072',
      signType: 'MD5',
      paySign: '22D9B4E54AB1950F51E0649E8810ACD6',
    });
  });
});

describe('an app', () => {
  const signer = {
    appid: 'wxd930ea5d5a258f4f',
    mch_id: '1900000109',
    api_v2_key: KEY,
    sign_type: 'MD5',
  } as const;
  const ports: Ports = { fetch, now: () => new Date(1_412_000_000_000), nonce: () => NONCE };
  const prepay_id = 'WX1217752501201407033233368018';

  test('lower-case names and no sign type are signed, PayReq’s names are handed over', () => {
    const { sign, ...req } = appParameters(signer, ports, prepay_id);
    expect(sign).toBe('839926B9D3F85F49E26B271C4DD2C44E');
    expect(req).toEqual({
      appId: 'wxd930ea5d5a258f4f',
      partnerId: '1900000109',
      prepayId: prepay_id,
      packageValue: 'Sign=WXPay',
      nonceStr: NONCE,
      timeStamp: '1412000000',
    });
  });

  test.each(['MD5', 'HMAC-SHA256'] as const)('the other witness signs the same with %s', (sign_type) => {
    const { sign, ...req } = appParameters({ ...signer, sign_type }, ports, prepay_id);
    const fields = {
      appid: req.appId,
      partnerid: req.partnerId,
      prepayid: req.prepayId,
      package: req.packageValue,
      noncestr: req.nonceStr,
      timestamp: req.timeStamp,
    };
    expect(sign).toBe(Hash.sign(sign_type, fields, KEY));
  });

  test('a sub-merchant’s app pays the sub-merchant', () => {
    const partner = { ...signer, sub_appid: 'wx0000000000000009', sub_mch_id: '1900000110' };
    const { appId, partnerId } = appParameters(partner, ports, prepay_id);
    expect([appId, partnerId]).toEqual(['wx0000000000000009', '1900000110']);
    expect(appParameters({ ...signer, sub_mch_id: '1900000110' }, ports, prepay_id).partnerId).toBe(
      '1900000109',
    );
  });

  test.each(['', 'wx1&key=x', 'wx 1'])('a prepay_id %j is not signed', (wrong) => {
    expect(() => clientAt(0).appParameters(wrong)).toThrow(WechatError);
    expect(() => clientAt(0).miniProgramParameters(wrong)).toThrow(WechatError);
  });
});

describe('a printed code', () => {
  test('computed vector: the link of product 88888', () => {
    const link = codesOf(clientAt(1_414_488_825)).link('88888');
    expect(link.startsWith('weixin://wxpay/bizpayurl?')).toBe(true);
    expect(Object.fromEntries(new URL(link).searchParams)).toEqual({
      appid: 'wx2421b1c4370ec43b',
      mch_id: '10000100',
      nonce_str: NONCE,
      product_id: '88888',
      time_stamp: '1414488825',
      sign: 'DFA7796DC03E3B44CE24FC7483D0CE32',
    });
  });

  test.each(['', 'a&total_fee=1', 'x'.repeat(33), '龙井'])('a product %j is not signed', (product_id) => {
    expect(() => codesOf(clientAt(0)).link(product_id)).toThrow(WechatError);
  });

  const scan = (fields: Record<string, string> = {}, key = KEY): Buffer => {
    const all = {
      appid: CONFIG.appid,
      mch_id: CONFIG.mch_id,
      openid: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o',
      is_subscribe: 'N',
      nonce_str: NONCE,
      product_id: '88888',
      ...fields,
    };
    const sign = Hash.sign('MD5', all, key);
    const inner = Object.entries({ ...all, sign }).map(([name, value]) => `<${name}>${value}</${name}>`);
    return Buffer.from(`<xml>${inner.join('')}</xml>`);
  };

  test('a scan tells who and what', () => {
    expect(codesOf(clientAt(0)).readScan(scan())).toEqual({
      openid: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o',
      product_id: '88888',
      nonce_str: NONCE,
    });
  });

  const forged: [string, Buffer][] = [
    ['signed with another key', scan({}, 'another key')],
    ['of another merchant', scan({ mch_id: '10000101' })],
    ['of another account', scan({ appid: 'wx0000000000000001' })],
    ['without a product', scan({ product_id: '' })],
    ['with a product no code of ours names', scan({ product_id: "1' or '1" })],
    ['that is no XML', Buffer.from('{}')],
  ];
  test.each(forged)('a scan %s is not believed', (_what, raw) => {
    expect(() => codesOf(clientAt(0)).readScan(raw)).toThrow(NotificationError);
  });

  test('the answer is signed, and what the payer reads cannot be read as another field', () => {
    const codes = codesOf(clientAt(0));
    const read = (xml: string): Record<string, string> => ({ ...parseXml(Buffer.from(xml)) });
    const taken = read(codes.answer({ result_code: 'SUCCESS', prepay_id: 'wx1' }));
    const { sign, ...fields } = taken;
    expect(fields).toMatchObject({ return_code: 'SUCCESS', result_code: 'SUCCESS', prepay_id: 'wx1' });
    expect(sign).toBe(Hash.sign('MD5', fields, KEY));
    const refused = read(codes.answer({ result_code: 'FAIL', err_code_des: '订单已关闭&prepay_id=wx2' }));
    expect(refused.err_code_des).toBe('订单已关闭 prepay_id wx2');
  });

  test('shorturl: the link is made short, and nothing else is sent there', async () => {
    const answered = {
      return_code: 'SUCCESS',
      result_code: 'SUCCESS',
      appid: CONFIG.appid,
      mch_id: CONFIG.mch_id,
      nonce_str: 'x',
      short_url: 'weixin://wxpay/s/XXXXXX',
    };
    const sign = Hash.sign('MD5', answered, KEY);
    const inner = Object.entries({ ...answered, sign }).map(([name, value]) => `<${name}>${value}</${name}>`);
    const codes = codesOf(clientAt(0, {}, `<xml>${inner.join('')}</xml>`));
    const { short_url, exchange } = await codes.shortUrl(codes.link('88888'));
    expect(short_url).toBe('weixin://wxpay/s/XXXXXX');
    expect(exchange.path).toBe('/tools/shorturl');
    await expect(codes.shortUrl('https://example.com/')).rejects.toThrow(WechatError);
  });
});
