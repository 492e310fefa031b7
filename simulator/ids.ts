// Numbers and random strings in the shapes WeChat hands out. With a seed the same calls give the same ids;
// without one they come from the system's randomness.

import { createHash, randomBytes } from 'node:crypto';
import { beijing14, beijingDay } from './time.ts';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

export type Ids = ReturnType<typeof createIds>;

/** `counter` lives in the stored state, so that a restart under the same seed repeats nothing. */
export function createIds(seed: string | undefined, counter: { drawn: number }) {
  function bytes(count: number): Buffer {
    if (seed === undefined) return randomBytes(count);
    const blocks: Buffer[] = [];
    for (let have = 0; have < count; have += 32) {
      counter.drawn += 1;
      blocks.push(createHash('sha256').update(`${seed}:${counter.drawn}`).digest());
    }
    return Buffer.concat(blocks).subarray(0, count);
  }

  function letters(count: number): string {
    return Array.from(bytes(count), (b) => BASE62[b % 62]).join('');
  }

  function digits(count: number): string {
    return Array.from(bytes(count), (b) => String(b % 10)).join('');
  }

  return {
    letters,
    digits,
    hex: (count: number) =>
      bytes(Math.ceil(count / 2))
        .toString('hex')
        .slice(0, count),
    nonce: () => letters(16),
    /** `wx` + Beijing time + 20 characters: 36 in all. */
    prepayId: (at_ms: number) => `wx${beijing14(at_ms)}${bytes(10).toString('hex')}`,
    /** 28 digits beginning 42000; longer than any float can hold. */
    transactionId: (at_ms: number) => `42000${digits(5)}${beijingDay(at_ms)}${digits(10)}`,
    /** 29 digits: 50, 8 more, the day, 11 more. */
    refundId: (at_ms: number) => `50${digits(8)}${beijingDay(at_ms)}${digits(11)}`,
    codeUrl: () => `weixin://wxpay/bizpayurl?pr=${letters(7)}zz`,
    requestId: () => `08${bytes(14).toString('hex').toUpperCase()}-${digits(1)}`,
    rid: () => {
      const hex = bytes(10).toString('hex');
      return `${hex.slice(0, 8)}-${hex.slice(8, 16)}-${hex.slice(12, 20)}`;
    },
    oauthCode: () => `0${letters(31)}`,
    token: () => `${digits(2)}_${letters(110)}`,
  };
}
