/**
 * The signed string has no escaping. Among the messages whose fields are accepted, no two different ones may share it.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkFields, FieldError } from '../../lib/wechat/v2/fields.ts';
import { canonicalString } from '../../lib/wechat/v2/sign.ts';

type Fields = Record<string, string>;

function accepted(fields: Fields): boolean {
  try {
    checkFields(fields);
  } catch (error) {
    if (error instanceof FieldError) return false;
    throw error;
  }
  return true;
}

function withoutEmpty(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).filter(([name, value]) => value !== '' && name !== 'sign'),
  );
}

/** Every other message that the same signed string could be read as: each `&name=` may or may not begin a field. */
function otherReadings(canonical: string): Fields[] {
  const pieces = canonical.split('&');
  const readings: Fields[] = [];
  for (let choice = 0; choice < 2 ** Math.min(pieces.length - 1, 10); choice += 1) {
    const joined: string[] = [];
    pieces.forEach((piece, n) => {
      const begins = n === 0 || (n <= 10 ? ((choice >> (n - 1)) & 1) === 0 : true);
      if (begins) joined.push(piece);
      else joined.push(`${joined.pop()}&${piece}`);
    });
    const entries = joined.map((text): [string, string] => {
      const at = text.indexOf('=');
      return [text.slice(0, at), text.slice(at + 1)];
    });
    const names = entries.map(([name]) => name);
    if (names.every((name) => /^[A-Za-z][A-Za-z0-9_]*$/.test(name)) && new Set(names).size === names.length) {
      readings.push(Object.fromEntries(entries));
    }
  }
  return readings;
}

const KNOWN = {
  appid: fc.constantFrom('wx1', 'wx1&mch_id=2'),
  attach: fc.constantFrom('', 'a', 'a-1', 'a&bank_type=CFT', 'a=b'),
  bank_type: fc.constantFrom('CFT', 'CFT&cash_fee=1', 'OTHERS'),
  cash_fee: fc.constantFrom('1', '90', '1&coupon_fee=9'),
  err_code_des: fc.constantFrom('错误', 'a=b', 'a&b', 'x&mch_id=2'),
  mch_id: fc.constantFrom('1', '2'),
  out_trade_no: fc.constantFrom('T1', 'T1&total_fee=1', 'T|1'),
  promotion_detail: fc.constantFrom(
    '{"promotion_detail":[]}',
    '{"name":"A&B=C"}',
    '{"name":"A&total_fee=1"}',
    '{"a":1}&total_fee=1',
    '[]',
    '1',
  ),
  refund_recv_accout: fc.constantFrom('招商银行0403', 'a&total_fee=1'),
  total_fee: fc.constantFrom('1', '100', '100&transaction_id=9'),
  trade_state_desc: fc.constantFrom('支付成功', '成功&transaction_id=9', 'a=b'),
  transaction_id: fc.constantFrom('42', '42&x=1'),
};
const UNKNOWN_NAME = fc
  .stringMatching(/^[a-z_]{1,4}$/)
  .filter((name) => /^[a-z]/.test(name) && name !== 'sign');
const UNKNOWN_VALUE = fc
  .array(fc.constantFrom('a', '1', '&', '=', '支', '_'), { maxLength: 8 })
  .map((c) => c.join(''));
const message = fc
  .tuple(
    fc
      .subarray(Object.keys(KNOWN) as (keyof typeof KNOWN)[], { maxLength: 5 })
      .chain((names) =>
        fc.record(KNOWN).map((all) => Object.fromEntries(names.map((name) => [name, all[name]]))),
      ),
    fc.dictionary(UNKNOWN_NAME, UNKNOWN_VALUE, { maxKeys: 2 }),
  )
  .map(([known, unknown]): Fields => ({ ...unknown, ...known }));

describe('one signed string, one message', () => {
  it('no signed string has two readings that are both accepted', () => {
    let with_a_choice = 0;
    fc.assert(
      fc.property(message, (fields) => {
        const canonical = canonicalString(fields);
        fc.pre(canonical !== '');
        const readings = otherReadings(canonical).filter((reading) => canonicalString(reading) === canonical);
        const believed = readings.filter(accepted);
        expect(believed.length, JSON.stringify(believed)).toBeLessThanOrEqual(1);
        if (accepted(fields)) expect(believed).toEqual([withoutEmpty(fields)]);
        if (believed.length === 1 && readings.length > 1) with_a_choice += 1;
      }),
      { numRuns: 4000 },
    );
    expect(with_a_choice).toBeGreaterThan(400);
  });

  it('would not hold without the check: the search does find such pairs', () => {
    const genuine = { attach: 'a&bank_type=CFT', total_fee: '1' };
    expect(otherReadings(canonicalString(genuine))).toContainEqual({
      attach: 'a',
      bank_type: 'CFT',
      total_fee: '1',
    });
  });

  it('holds between two random messages as well', () => {
    const by_string = new Map<string, Fields>();
    fc.assert(
      fc.property(message, (fields) => {
        if (!accepted(fields)) return;
        const canonical = canonicalString(fields);
        const before = by_string.get(canonical);
        if (before !== undefined) expect(withoutEmpty(fields)).toEqual(before);
        by_string.set(canonical, withoutEmpty(fields));
      }),
      { numRuns: 4000 },
    );
  });

  it('empty is absent: an added empty field changes neither string nor acceptance', () => {
    fc.assert(
      fc.property(message, UNKNOWN_NAME, (fields, name) => {
        const more = { ...fields, [name]: fields[name] ?? '' };
        expect(canonicalString(more)).toBe(canonicalString(fields));
        expect(accepted(more)).toBe(accepted(fields));
      }),
    );
  });
});

describe('the links of a placed trade', () => {
  it.each([
    'weixin://wxpay/bizpayurl?pr=NwY5Mz9',
    'weixin://wxpay/bizpayurl/up?pr=NwY5Mz9&groupid=00',
    'https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx2014&package=1037687096',
    'http://127.0.0.1:4000/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx2014&package=1',
  ])('%s is taken', (link) => {
    expect(accepted({ code_url: link, mweb_url: link })).toBe(true);
  });

  it.each(['javascript:alert(1)', 'weixin://x y', 'weixin://x&prepay_id=1', 'https://x?a=1&sign=2', 'x'])(
    '%s is not',
    (link) => {
      expect(accepted({ code_url: link })).toBe(false);
      expect(accepted({ mweb_url: link })).toBe(false);
    },
  );
});

describe('numbered fields', () => {
  it.each<[string, string, boolean]>([
    ['refund_fee_0', '1', true],
    ['refund_fee_10', '1.0', false],
    ['coupon_refund_fee_1_0', '1', true],
    ['coupon_refund_fee_1_0', 'a', false],
    ['refund_recv_accout_0', '支付用户零钱', true],
    ['coupon_id_0', 'a=b', false],
  ])('%s = %s: %s', (name, value, expected) => {
    expect(accepted({ [name]: value })).toBe(expected);
  });
});
