/**
 * What is believed of the messages WeChat posts under v2. Genuine ones are signed by another implementation than ours
 * (wechatpay-axios-plugin).
 */
import { createCipheriv, createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Hash } from 'wechatpay-axios-plugin';
import {
  acknowledgeV2,
  createWechatPayV2,
  NotificationError,
  parseXml,
  type WechatPay,
} from '../../lib/wechat/index.ts';
import { decryptRequestInfo } from '../../lib/wechat/v2/notifications.ts';

const KEY = '192006250b4c09247ec02edce69f6a2d';

type Fields = Record<string, string | undefined>;

const GENUINE: Fields = {
  appid: 'wx2421b1c4370ec43b',
  attach: 'order-1',
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

function receiver(key = KEY): WechatPay {
  return createWechatPayV2(
    {
      appid: 'wx2421b1c4370ec43b',
      mch_id: '10000100',
      api_v2_key: key,
      sign_type: 'HMAC-SHA256',
      base_url: 'https://api.mch.weixin.qq.com',
    },
    { fetch: () => Promise.reject(new Error('no network here')), now: () => new Date(0), nonce: () => 'n' },
  );
}

function present(fields: Fields): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

function xml(fields: Fields): Buffer {
  const inner = Object.entries(present(fields)).map(
    ([name, value]) => `<${name}><![CDATA[${value}]]></${name}>`,
  );
  return Buffer.from(`<xml>${inner.join('\n')}</xml>\n`);
}

function signed(changes: Fields = {}, sign_type: 'MD5' | 'HMAC-SHA256' = 'MD5', key = KEY): Buffer {
  const fields = present({ ...GENUINE, ...changes });
  return xml({ ...fields, sign: Hash.sign(sign_type, fields, key) });
}

async function verdict(reading: Promise<unknown>): Promise<string> {
  try {
    await reading;
  } catch (error) {
    if (error instanceof NotificationError) return error.verdict;
    throw error;
  }
  return 'believed';
}

const read = (raw: Uint8Array, key?: string) => receiver(key).readPaymentNotification(raw, new Headers());
const readRefund = (raw: Uint8Array, key?: string) =>
  receiver(key).readRefundNotification(raw, new Headers());

describe('a payment notification', () => {
  it('is believed and reshaped when its signature holds', async () => {
    expect(await read(signed())).toEqual({
      sign_type: 'MD5',
      report: {
        appid: 'wx2421b1c4370ec43b',
        mch_id: '10000100',
        out_trade_no: '1409811653',
        trade_state: 'SUCCESS',
        transaction_id: '1004400740201409030005092168',
        trade_type: 'JSAPI',
        total_fen: 100,
        payer_total_fen: 90,
        fee_type: 'CNY',
        openid: 'oUpF8uMEb4qRXf22hE3X68TekukE',
        bank_type: 'OTHERS',
        attach: 'order-1',
        success_at: new Date('2014-09-03T05:15:40Z'),
      },
    });
  });

  it('tells which algorithm verified it, whatever the message says of itself', async () => {
    expect(await read(signed({}, 'HMAC-SHA256'))).toMatchObject({ sign_type: 'HMAC-SHA256' });
    expect(await read(signed({ sign_type: 'HMAC-SHA256' }, 'HMAC-SHA256'))).toMatchObject({
      sign_type: 'HMAC-SHA256',
    });
    expect(await read(signed({ sign_type: 'MD5' }, 'HMAC-SHA256'))).toMatchObject({
      sign_type: 'HMAC-SHA256',
    });
    expect(await read(signed({ sign_type: 'HMAC-SHA256' }, 'MD5'))).toMatchObject({ sign_type: 'MD5' });
  });

  it('with its integers in CDATA or bare, empty elements and unknown fields, is the same', async () => {
    const bare = signed({ attach: '', brand_new: '新' }).toString().replace('<![CDATA[100]]>', '100');
    const { report } = await read(Buffer.from(bare));
    expect(report).toMatchObject({ total_fen: 100 });
    expect(report).not.toHaveProperty('attach');
  });

  it('without fee_type is CNY; with another currency says so', async () => {
    expect((await read(signed({ fee_type: undefined }))).report.fee_type).toBe('CNY');
    expect((await read(signed({ fee_type: 'USD' }))).report.fee_type).toBe('USD');
  });

  it('of another merchant, account or amount passes on what it says, for settling to compare', async () => {
    const { report } = await read(signed({ appid: 'wxOther', mch_id: '10000101', total_fee: '1' }));
    expect(report).toMatchObject({ appid: 'wxOther', mch_id: '10000101', total_fen: 1 });
  });

  it('in partner mode tells the sub-merchant and the payer there', async () => {
    const sub = { sub_appid: 'wxSub', sub_mch_id: '1900000109', sub_openid: 'oSub' };
    expect((await read(signed({ ...sub, sub_is_subscribe: 'N' }))).report).toMatchObject(sub);
  });

  it.each<[string, Buffer]>([
    ['no sign', xml(GENUINE)],
    ['an empty sign', xml({ ...GENUINE, sign: '' })],
    ['a sign of zeros', xml({ ...GENUINE, sign: '0'.repeat(32) })],
    [
      'a sign in small letters',
      Buffer.from(
        signed()
          .toString()
          .replace(/[0-9A-F]{32}/, (sign) => sign.toLowerCase()),
      ),
    ],
    ['a sign of another key', signed({}, 'MD5', 'x'.repeat(32))],
    ['a changed amount', Buffer.from(signed().toString().replace('[100]', '[1]'))],
    ['an added field', Buffer.from(signed().toString().replace('<xml>', '<xml><x>1</x>'))],
    ['no sign and no return_code', xml({ ...GENUINE, return_code: undefined })],
    ['no sign and return_code FAIL', xml({ return_code: 'FAIL' })],
    ['the sample of WeChat’s page', xml({ ...GENUINE, sign: 'B552ED6B279343CB493C5DD0D78AB241' })],
  ])('with %s is not believed', async (_name, raw) => {
    expect(await verdict(read(raw))).toBe('bad_signature');
  });

  it('with a sign of any length from 0 to 200 is refused, not crashed on', async () => {
    for (let length = 0; length <= 200; length += 1) {
      expect(await verdict(read(xml({ ...GENUINE, sign: 'A'.repeat(length) })))).toBe('bad_signature');
    }
  });

  it('with any one genuine field dropped or blanked is not believed', async () => {
    const genuine = signed().toString();
    for (const name of [...Object.keys(GENUINE), 'sign']) {
      const field = new RegExp(`<${name}>.*</${name}>`);
      expect(field.test(genuine)).toBe(true);
      for (const changed of ['', `<${name}></${name}>`]) {
        expect(await verdict(read(Buffer.from(genuine.replace(field, changed))))).toBe('bad_signature');
      }
    }
  });

  it.each<[string, Fields]>([
    ['return_code FAIL', { return_code: 'FAIL' }],
    ['result_code FAIL', { result_code: 'FAIL', err_code: 'SYSTEMERROR' }],
    ['no result_code', { result_code: undefined }],
    ['a failed deduction', { trade_state: 'PAY_FAIL' }],
  ])('rightly signed, with %s, is no success', async (_name, changes) => {
    expect(await verdict(read(signed(changes)))).toBe('not_success');
  });

  it.each<[string, Fields]>([
    ['no amount', { total_fee: undefined }],
    ['an empty amount', { total_fee: '' }],
    ['a negative amount', { total_fee: '-100' }],
    ['a decimal amount', { total_fee: '1.00' }],
    ['an amount in exponents', { total_fee: '1e2' }],
    ['an amount with a blank', { total_fee: ' 100' }],
    ['an amount of eleven digits', { total_fee: '10000000000' }],
    ['no transaction_id', { transaction_id: undefined }],
    ['no out_trade_no', { out_trade_no: undefined }],
    ['an out_trade_no with a quote', { out_trade_no: "1' or '1'='1" }],
    ['no time', { time_end: undefined }],
    ['a time that is none', { time_end: '20140231131540' }],
    ['a trade type nobody documented', { trade_type: 'BARTER' }],
    ['an attach that reads as two fields', { attach: '1&total_fee=1' }],
    ['an unknown field that reads as two fields', { xtra: '1&y=2' }],
    ['an unknown field with =', { xtra: 'a=b' }],
    ['a bank that reads as two fields', { bank_type: 'CFT&cash_fee=1' }],
  ])('rightly signed, with %s, is malformed', async (_name, changes) => {
    expect(await verdict(read(signed(changes)))).toBe('malformed');
  });

  it('re-split out of a signed attach verifies under the rule, and is refused by its shape', async () => {
    const genuine = present({ ...GENUINE, attach: 'a&bank_type=CFT', bank_type: undefined });
    const sign = Hash.sign('MD5', genuine, KEY);
    const forged = { ...genuine, attach: 'a', bank_type: 'CFT' };
    expect(Hash.sign('MD5', forged, KEY)).toBe(sign);
    expect(await verdict(read(xml({ ...genuine, sign })))).toBe('malformed');
  });

  it.each<[string, Buffer]>([
    ['no XML', Buffer.from('{"id":"1"}')],
    ['nothing', Buffer.alloc(0)],
    ['a DOCTYPE', Buffer.concat([Buffer.from('<!DOCTYPE xml>'), signed()])],
    ['65 KB', Buffer.concat([signed(), Buffer.alloc(65_000, ' ')])],
    ['a field twice', Buffer.from(signed().toString().replace('<xml>', '<xml><total_fee>1</total_fee>'))],
  ])('of %s is malformed', async (_name, raw) => {
    expect(await verdict(read(raw))).toBe('malformed');
  });

  it('mutilated in any way is refused with a verdict, or is still the same message', async () => {
    const genuine = signed();
    const expected = await read(genuine);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(genuine.length), fc.nat(6), fc.string({ maxLength: 6 })), {
          minLength: 1,
          maxLength: 4,
        }),
        async (cuts) => {
          let raw = genuine;
          for (const [at, length, piece] of cuts) {
            raw = Buffer.concat([raw.subarray(0, at), Buffer.from(piece), raw.subarray(at + length)]);
          }
          const outcome = await verdict(read(raw));
          if (outcome === 'believed') expect(await read(raw)).toEqual(expected);
        },
      ),
      { numRuns: 3000 },
    );
  });
});

describe('a refund notification', () => {
  /** wechatpy tests/test_crypto.py. */
  const WECHATPY_KEY = 'OF4Ne3znh8KqL0V4NqmALQa0uXMYKcEk';
  const WECHATPY_INFO =
    '51A27s9LxbaEv52nBOrqa0FCs3HVIM31Wc3BpNqSCP5MQlS8HL1Vl7mZ21043B7PZy7adtOZGtZv44lGl0U8JXlVFL4Ltxsw6+pACjZBB0Qi1LUDjFlP2IyTxYX4eC57kxnCphDdIyRkU67kOWW/HN/efggTUlaPJkoL5kVe9Y1MZF55IHR4lwGI7WtVLtxATX1tkAVZF+/ri0WlPXo9+GkqeB2/id6Ozw09Tqp8C/TKbmKBpRhTCRU2TzfQoLa6fjbgETFHJ795aEMyUZPQYbbsz6U9Rj9lUzEh8+Oc8KYTXa9zVk+nnFr82+yjffb3d36ylTe0y/VmYf90rf9cbiJQdM00zZ8Qa99SlMTs2wjOO4Mi4Btlg1PebsLF8TkqbSZkRJDGs61UunUB8Km1b/VeBxXuv4D3H7DiVZ9Fj7lq2j07zFDpxxlhhen7kZvMWWO3lrfFpA9c4eFOqfF9SxcU9nBmHfDD1g/dsrMl6+a71xQHJ/gn80fZOefUBv92ggqutsuJ4gd4OqkmO0XUs8e4XQyLpra+LvpmahsU5lBIZuQcMq3FHrqe8hXTfp3+3qym2wGfvPI75jx41VZwmBQy9izB1Id+A5lUeXC5QJy+ryDu/dWkhB+aMjkElaI/Epmcc/IEPaI73W6Hc58hNednOM536rPnn+GDc98PdGszpLTjmaZSu8dtqwPaym66yRqFQowzFoBbooik57iHUFBCeWya7XcXYL9WKhRF3uIZM+Kfv9/Zs2pF+w9/EJpltuzPpT1GP2VTMSHz45zwphFlS2lX8wHyZ+k9n2dptzQqpOCPedt5iQAmAe1oNQMxNdPDH9g68x9UzWD1kfK/dPO+3NPAh0XG+io4x15fIknNf7JLjpAuWicMMzCdwC4hhqeYOzQ+pC9f2xJXi5YViNKIZY69oO8eoHYRitLZrHLgx3oB2zimmqX6BI+DMklKAzAqqgGmbFxcVTvxZB6cMCx+H7TTWXnjAG+6A3SrCcxg0l5+UB93pkAYR7SVJ+VaZoiBqlqnZvb7IM17n9XaaFntlzvbbFCIa7OnOQb5Lvw=';

  function encrypted(inner: string): string {
    const cipher = createCipheriv('aes-256-ecb', createHash('md5').update(KEY).digest('hex'), null);
    return Buffer.concat([cipher.update(inner), cipher.final()]).toString('base64');
  }

  function notification(req_info: string | undefined, changes: Fields = {}): Buffer {
    const outer = {
      return_code: 'SUCCESS',
      appid: 'wx2421b1c4370ec43b',
      mch_id: '10000100',
      nonce_str: 'n',
      req_info,
    };
    return xml({ ...outer, ...changes });
  }

  const inner = (status: string): string =>
    `<root><out_refund_no>R1</out_refund_no><out_trade_no>T00001</out_trade_no><refund_id>503</refund_id><refund_status>${status}</refund_status></root>`;

  it('opens under the lower-case hex MD5 of the key (wechatpy tests/test_crypto.py)', () => {
    const fields = parseXml(decryptRequestInfo(WECHATPY_INFO, WECHATPY_KEY), 'root');
    expect({ ...fields }).toEqual({
      out_refund_no: '1234',
      out_trade_no: '2020010418301551404339261814',
      refund_account: 'REFUND_SOURCE_RECHARGE_FUNDS',
      refund_fee: '1',
      refund_id: '50300103182020010413419046597',
      refund_recv_accout: '招商银行信用卡8915',
      refund_request_source: 'API',
      refund_status: 'SUCCESS',
      settlement_refund_fee: '1',
      settlement_total_fee: '1',
      success_time: '2020-01-04 18:34:24',
      total_fee: '1',
      transaction_id: '4200000483202001042069747825',
    });
  });

  it('opens our own vector, computed with node:crypto', () => {
    const req_info =
      '4gS8kbcHysCW7bHqyEU0M9umdFVGKPOUBs+y0jA3Blg+Ev4fh/hsfGme53V7VcauQIldO9SGnmyoSnCg6RqQKvsNqQ8QZ/QqGG7L7Ft26zOJT8KKGtIQhQk/aqUrb9aswOZRsl6VTrRb62a9RC300A==';
    expect(Buffer.from(decryptRequestInfo(req_info, KEY)).toString()).toBe(
      '<root>\n<out_refund_no><![CDATA[R1]]></out_refund_no>\n<refund_status><![CDATA[SUCCESS]]></refund_status>\n</root>',
    );
  });

  it('is read whole (wechatpy tests/test_crypto.py, addressed to our merchant)', async () => {
    expect(await readRefund(notification(WECHATPY_INFO), WECHATPY_KEY)).toEqual({
      out_refund_no: '1234',
      out_trade_no: '2020010418301551404339261814',
      refund_id: '50300103182020010413419046597',
      status: 'SUCCESS',
    });
  });

  it.each([
    ['SUCCESS', 'SUCCESS'],
    ['CHANGE', 'ABNORMAL'],
    ['REFUNDCLOSE', 'CLOSED'],
  ])('of %s is %s', async (word, status) => {
    expect(await readRefund(notification(encrypted(inner(word))))).toEqual({
      out_refund_no: 'R1',
      out_trade_no: 'T00001',
      refund_id: '503',
      status,
    });
  });

  it.each<[string, Buffer, string]>([
    ['no req_info', notification(undefined), 'malformed'],
    ['another merchant', notification(encrypted(inner('SUCCESS')), { mch_id: '10000101' }), 'malformed'],
    ['return_code FAIL', notification(encrypted(inner('SUCCESS')), { return_code: 'FAIL' }), 'not_success'],
    ['another key', notification(WECHATPY_INFO), 'undecryptable'],
    ['no base64', notification('***'), 'undecryptable'],
    ['half a block', notification('AAAAAAAA'), 'undecryptable'],
    ['a DOCTYPE inside', notification(encrypted(`<!DOCTYPE root>${inner('SUCCESS')}`)), 'malformed'],
    ['another root inside', notification(encrypted('<xml><a>1</a></xml>')), 'malformed'],
    ['a status nobody documented', notification(encrypted(inner('MAYBE'))), 'malformed'],
    ['no XML', Buffer.from('x'), 'malformed'],
  ])('with %s is not read', async (_name, raw, expected) => {
    expect(await verdict(readRefund(raw))).toBe(expected);
  });

  it('can be spliced by block without the key: it is a hint and no proof', async () => {
    const block = 16;
    const pad = (text: string): string => text.padEnd(Math.ceil(text.length / block) * block, ' ');
    const message = (number: string, status: string): string =>
      `${pad('<root>')}${pad(`<out_refund_no>${number}</out_refund_no>`)}${pad('<out_trade_no>T00001</out_trade_no>')}` +
      `${pad('<refund_id>503</refund_id>')}${pad(`<refund_status>${status}</refund_status>`)}</root>`;
    const first = Buffer.from(encrypted(message('R1', 'CHANGE')), 'base64');
    const second = Buffer.from(encrypted(message('R2', 'SUCCESS')), 'base64');
    const cut = pad('<root>').length + pad('<out_refund_no>R1</out_refund_no>').length;
    const spliced = Buffer.concat([first.subarray(0, cut), second.subarray(cut)]).toString('base64');
    expect(await readRefund(notification(spliced))).toMatchObject({ out_refund_no: 'R1', status: 'SUCCESS' });
  });
});

describe('the answer to a notification', () => {
  it('is the XML of the page, to the byte (WeChat Pay v2, 支付结果通知)', () => {
    expect(acknowledgeV2('SUCCESS', 'OK')).toBe(
      '<xml>\n  <return_code><![CDATA[SUCCESS]]></return_code>\n  <return_msg><![CDATA[OK]]></return_msg>\n</xml>',
    );
  });

  it('never holds markup of the message it answers', () => {
    const answer = acknowledgeV2('FAIL', ']]></return_msg><return_code>SUCCESS</return_code><!-- 签名错误');
    expect({ ...parseXml(Buffer.from(answer)) }).toEqual({
      return_code: 'FAIL',
      return_msg: 'return_msgreturn_codeSUCCESSreturn_code-- 签名错误',
    });
  });
});
