/**
 * Takes named members out of a parsed JSON object, each with its kind and bounds, and refuses what does not fit.
 * Members nobody asks for are ignored: the platform may add some at any time.
 *
 * An optional member that is `null` or `""` counts as absent, as WeChat writes `"attach":""` for "none".
 */
import { type JsonObject, JsonRefused, type JsonValue, parseStrictJson } from './json.ts';
import { parseRfc3339 } from './rfc3339.ts';

/** The largest amount we believe: 2³¹ − 1 fen, which a 32-bit column holds. */
export const MAX_FEN = 2_147_483_647;

const IDENTIFIER = /^[0-9A-Za-z_\-|*@]{1,64}$/;
const OPENID = /^[0-9A-Za-z_-]{1,128}$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for
const CONTROL = /[\u0000-\u001f\u007f]/;
const MAX_TEXT_BYTES = 1024;

export class Fields {
  readonly #members: JsonObject;
  readonly #where: string;

  constructor(value: JsonValue, where = '') {
    if (!(value instanceof Map)) throw new JsonRefused(`${where || 'the body'} is not an object`);
    this.#members = value;
    this.#where = where;
  }

  has(name: string): boolean {
    return this.#present(name) !== undefined;
  }

  /** Letters, digits and `_ - | * @`, at most 64: numbers, appids, merchant numbers, codes. */
  identifier(name: string): string {
    return this.#matching(name, this.#required(name), IDENTIFIER);
  }

  optionalIdentifier(name: string): string | undefined {
    const value = this.#present(name);
    return value === undefined ? undefined : this.#matching(name, value, IDENTIFIER);
  }

  optionalOpenid(name: string): string | undefined {
    const value = this.#present(name);
    return value === undefined ? undefined : this.#matching(name, value, OPENID);
  }

  /** Text for people or machines without control characters; `max_bytes` of UTF-8. */
  text(name: string, max_bytes = MAX_TEXT_BYTES): string {
    return this.#text(name, this.#required(name), max_bytes);
  }

  optionalText(name: string, max_bytes = MAX_TEXT_BYTES): string | undefined {
    const value = this.#present(name);
    return value === undefined ? undefined : this.#text(name, value, max_bytes);
  }

  /** An integer of fen, 0 to 2³¹ − 1. */
  fen(name: string): number {
    return this.#fen(name, this.#required(name));
  }

  optionalFen(name: string): number | undefined {
    const value = this.#present(name);
    return value === undefined ? undefined : this.#fen(name, value);
  }

  time(name: string): Date {
    return this.#time(name, this.#required(name));
  }

  optionalTime(name: string): Date | undefined {
    const value = this.#present(name);
    return value === undefined ? undefined : this.#time(name, value);
  }

  /** One of a table's words; the table maps WeChat's spelling to ours. */
  word<Word extends string>(name: string, table: Readonly<Record<string, Word>>): Word {
    return this.#word(name, this.#required(name), table);
  }

  optionalWord<Word extends string>(name: string, table: Readonly<Record<string, Word>>): Word | undefined {
    const value = this.#present(name);
    return value === undefined ? undefined : this.#word(name, value, table);
  }

  object(name: string): Fields {
    return new Fields(this.#required(name), this.#path(name));
  }

  optionalObject(name: string): Fields | undefined {
    const value = this.#present(name);
    return value === undefined ? undefined : new Fields(value, this.#path(name));
  }

  objects(name: string): Fields[] {
    const value = this.#required(name);
    if (!Array.isArray(value)) throw this.#refused(name, 'is not a list');
    return value.map((item, index) => new Fields(item, `${this.#path(name)}[${index}]`));
  }

  #present(name: string): JsonValue | undefined {
    const value = this.#members.get(name);
    return value === null || value === '' ? undefined : value;
  }

  #required(name: string): JsonValue {
    const value = this.#present(name);
    if (value === undefined) throw this.#refused(name, 'is missing');
    return value;
  }

  #string(name: string, value: JsonValue): string {
    if (typeof value !== 'string') throw this.#refused(name, 'is not a string');
    return value;
  }

  #matching(name: string, value: JsonValue, pattern: RegExp): string {
    const string = this.#string(name, value);
    if (!pattern.test(string)) throw this.#refused(name, 'has forbidden characters or length');
    return string;
  }

  #text(name: string, value: JsonValue, max_bytes: number): string {
    const string = this.#string(name, value);
    if (CONTROL.test(string)) throw this.#refused(name, 'has control characters');
    if (Buffer.byteLength(string) > max_bytes) throw this.#refused(name, `is longer than ${max_bytes} bytes`);
    return string;
  }

  #fen(name: string, value: JsonValue): number {
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MAX_FEN) {
      throw this.#refused(name, 'is not an amount of fen');
    }
    return value;
  }

  #time(name: string, value: JsonValue): Date {
    const at = parseRfc3339(this.#string(name, value));
    if (at === undefined) throw this.#refused(name, 'is not an RFC 3339 time');
    return at;
  }

  #word<Word extends string>(name: string, value: JsonValue, table: Readonly<Record<string, Word>>): Word {
    const string = this.#string(name, value);
    const word = Object.hasOwn(table, string) ? table[string] : undefined;
    if (word === undefined) throw this.#refused(name, 'is a word we do not know');
    return word;
  }

  #path(name: string): string {
    return this.#where === '' ? name : `${this.#where}.${name}`;
  }

  #refused(name: string, why: string): JsonRefused {
    return new JsonRefused(`${this.#path(name)} ${why}`);
  }
}

/** The members of a JSON object given as bytes; throws `JsonRefused`. */
export function readFields(bytes: Uint8Array): Fields {
  return new Fields(parseStrictJson(bytes));
}
