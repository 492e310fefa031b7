/**
 * Our own numbers: made and stored before anybody outside hears them, never guessable, never twice.
 */
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { beijingText } from './beijing.ts';

/** Crockford's alphabet: no I, L, O, U, so that a number can be read over the telephone. */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/**
 * 30 characters: Beijing time to the second, then 80 random bits. Sorts by age, fits WeChat's 32 characters of
 * `out_trade_no`, and cannot be guessed from its neighbours.
 */
export function newNumber(at: Date): string {
  return beijingText(at).replace(/\D/g, '') + randomText(16);
}

/** Random letters and digits, 5 bits each. */
export function randomText(length: number): string {
  let text = '';
  for (const byte of randomBytes(length)) text += alphabet[byte & 31];
  return text;
}

export const newId: () => string = randomUUID;

/** What one of our numbers looks like; anything else in an address is answered without asking the database. */
export const numberPattern = /^\d{14}[0-9A-HJKMNP-TV-Z]{16}$/;

/** Random decimal digits. */
export function randomDigits(length: number): string {
  let text = '';
  while (text.length < length) text += String(randomInt(10));
  return text;
}
