/** The border: Beijing time, and goods text that WeChat takes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatBeijingDate,
  formatCompactTime,
  isDate,
  parseCompactTime,
  parseSpacedTime,
} from '../../lib/wechat/beijing_time.ts';
import { fitDescription } from '../../lib/wechat/description.ts';

describe('Beijing time', () => {
  it.each([
    ['2025-07-04T07:30:00Z', '20250704153000', '2025-07-04'],
    ['2025-07-04T16:00:00Z', '20250705000000', '2025-07-05'],
    ['2025-12-31T15:59:59.999Z', '20251231235959', '2025-12-31'],
    ['2024-02-28T16:00:00Z', '20240229000000', '2024-02-29'],
  ])('%s is %s', (utc, compact, date) => {
    expect(formatCompactTime(new Date(utc))).toBe(compact);
    expect(formatBeijingDate(new Date(utc))).toBe(date);
    expect(parseCompactTime(compact)).toEqual(new Date(utc.replace('.999', '')));
  });

  it('does not follow the zone of the machine', () => {
    const zone = process.env.TZ;
    try {
      for (const TZ of ['UTC', 'America/New_York', 'Asia/Kolkata', 'Pacific/Kiritimati']) {
        process.env.TZ = TZ;
        expect(formatCompactTime(new Date('2025-07-04T07:30:00Z'))).toBe('20250704153000');
        expect(parseSpacedTime('2020-01-04 18:34:24')).toEqual(new Date('2020-01-04T10:34:24Z'));
      }
    } finally {
      if (zone === undefined) delete process.env.TZ;
      else process.env.TZ = zone;
    }
  });

  it('makes the round trip for every second', () => {
    fc.assert(
      // From 2010 in Beijing, before which there was no WeChat Pay, to 2100.
      fc.property(fc.integer({ min: 1_262_275_200, max: 4_102_444_800 }), (seconds) => {
        const at = new Date(seconds * 1000);
        expect(parseCompactTime(formatCompactTime(at))).toEqual(at);
        expect(isDate(formatBeijingDate(at))).toBe(true);
      }),
    );
  });

  it.each([
    '',
    '2025070415300',
    '202507041530000',
    '20250704 53000',
    '20251304000000',
    '20250004000000',
    '20250230000000',
    '20250704240000',
    '20250704006000',
    '20250704000060',
    '２０２５０７０４１５３０００',
    '00000704153000',
    '00010101000000',
    '20091231235959',
    '21010101000000',
    '99991231235959',
  ])('%j is no compact time', (text) => {
    expect(parseCompactTime(text)).toBeUndefined();
  });

  it.each([
    '',
    '2025-02-30 00:00:00',
    '2025-07-04T15:30:00',
    '2025-7-4 15:30:00',
    '2025-07-04 24:00:00',
    '0000-07-04 15:30:00',
    '9999-07-04 15:30:00',
  ])('%j is no spaced time', (text) => {
    expect(parseSpacedTime(text)).toBeUndefined();
  });

  it.each([
    ['2025-07-04', true],
    ['2024-02-29', true],
    ['2025-02-29', false],
    ['20250704', false],
    ['2025-07-04 ', false],
  ])('%j is a day: %s', (text, expected) => {
    expect(isDate(text)).toBe(expected);
  });
});

describe('goods text', () => {
  it.each([
    ['short text stays', '苹果 1斤 A&B <x>', '苹果 1斤 A&B <x>'],
    ['42 Chinese characters stay', '支'.repeat(42), '支'.repeat(42)],
    ['a 43rd is cut whole', '支'.repeat(43), '支'.repeat(42)],
    ['127 letters stay, the 128th goes', 'a'.repeat(128), 'a'.repeat(127)],
    ['a cut leaves no half character', `a${'支'.repeat(43)}`, `a${'支'.repeat(42)}`],
    ['emoji go, joined families too', '👨‍👩‍👧苹果🍎❤️', '苹果❤'],
    ['control characters and line breaks are blanks', 'a\0b\tc\r\n\u0085d\u2028e', 'a b c d e'],
    ['half a character goes', 'a\ud83db', 'ab'],
    ['blanks at the ends go', '  a  ', 'a'],
    ['nothing left is goods', '🍎\n', '商品'],
    ['nothing at all is goods', '', '商品'],
  ])('%s', (_name, text, fitted) => {
    expect(fitDescription(text)).toBe(fitted);
  });

  it('fits whatever comes, once and for all', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        const fitted = fitDescription(text);
        expect(Buffer.byteLength(fitted)).toBeLessThanOrEqual(127);
        expect(fitted).not.toBe('');
        expect(fitted.isWellFormed()).toBe(true);
        expect(/[\p{Cc}\u{10000}-\u{10ffff}]/u.test(fitted)).toBe(false);
        expect(fitDescription(fitted)).toBe(fitted);
      }),
      { numRuns: 2000 },
    );
  });
});
