/** Fen and yuan, Beijing days and our numbers: round trips and refusals. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { beijingDay, beijingDayStart, beijingText } from '../../lib/beijing.ts';
import { fenToYuan, formatFen, isFen, maxFen, speakFen, yuanToFen } from '../../lib/money.ts';
import { newNumber, numberPattern } from '../../lib/numbers.ts';

describe('money', () => {
  test('fen to yuan text and back is the same amount, for every amount', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: maxFen }), (fen) => {
        expect(yuanToFen(fenToYuan(fen))).toBe(fen);
      }),
    );
  });

  test.each([
    ['9.8', 980],
    ['8.8', 880],
    ['0.29', 29],
    ['1.1', 110],
    ['100', 10_000],
    ['0.01', 1],
  ])('%s yuan is %i fen, without a float in between', (yuan, fen) => {
    expect(yuanToFen(yuan)).toBe(fen);
  });

  test.each(['', '0', '0.00', '-1', '+1', '1.234', '1e2', ' 1', '1,000', '１', '.5', '5.', '99999999999'])(
    '%j is no amount',
    (text) => {
      expect(yuanToFen(text)).toBeUndefined();
    },
  );

  test.each([0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, maxFen + 1, '1', null, undefined])(
    '%s is not fen',
    (value) => {
      expect(isFen(value)).toBe(false);
    },
  );

  test('half a fen cannot be printed', () => {
    expect(() => fenToYuan(0.5)).toThrow(RangeError);
  });

  test('people read thousands and hear yuan, jiao and fen', () => {
    expect(formatFen(123_456_789)).toBe('¥1,234,567.89');
    expect(formatFen(-5)).toBe('-¥0.05');
    expect(speakFen(123)).toBe('1元2角3分');
    expect(speakFen(12_800)).toBe('128元');
  });
});

describe('Beijing time', () => {
  test('the day turns at 16:00 UTC', () => {
    expect(beijingDay(new Date('2026-11-23T15:59:59.999Z'))).toBe('2026-11-23');
    expect(beijingDay(new Date('2026-11-23T16:00:00.000Z'))).toBe('2026-11-24');
    expect(beijingText(new Date('2026-12-31T16:00:01Z'))).toBe('2027-01-01 00:00:01');
  });

  test('a day begins where the day before ended', () => {
    expect(beijingDayStart('2026-11-24')?.toISOString()).toBe('2026-11-23T16:00:00.000Z');
    for (const nonsense of ['2026-02-30', '2026-13-01', 'today', '2026-1-1', '']) {
      expect(beijingDayStart(nonsense)).toBeUndefined();
    }
  });
});

describe('our numbers', () => {
  test('fit WeChat, sort by age, and 20,000 of one second differ', () => {
    const at = new Date('2026-11-23T10:00:00Z');
    const numbers = new Set(Array.from({ length: 20_000 }, () => newNumber(at)));
    expect(numbers.size).toBe(20_000);
    for (const number of numbers) {
      expect(number).toMatch(numberPattern);
      expect(number).toMatch(/^[0-9A-Za-z]{6,32}$/);
      expect(number.slice(0, 14)).toBe('20261123180000');
    }
    expect(newNumber(at) < newNumber(new Date(at.getTime() + 1_000))).toBe(true);
  });
});
