/**
 * Reads JSON that decides about money: strict UTF-8, one value, no member named twice, no member that means
 * something to a JavaScript prototype. It refuses what `JSON.parse` would quietly repair or choose between.
 *
 * Objects come back as `Map`s. A number that a double cannot hold as it was written (`9007199254740993`, `1e2`,
 * `-0`) reads as `NaN`, which no reader accepts, so that an unknown new member cannot block a genuine message.
 */

export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;
export type JsonObject = ReadonlyMap<string, JsonValue>;

/** The bytes are not the JSON we accept, or a member is missing or of the wrong kind. */
export class JsonRefused extends Error {
  override readonly name = 'JsonRefused';
}

const MAX_DEPTH = 32;
const PROTOTYPE_NAMES = new Set(['__proto__', 'constructor', 'prototype']);

// The grammar of RFC 8259. Unrolled loops, so that a long string costs no backtracking.
const SPACE = /[ \t\n\r]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids raw control characters in strings
const STRING = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;

/** Parses one JSON value; throws `JsonRefused`. The size of `bytes` is the caller's to limit. */
export function parseStrictJson(bytes: Uint8Array): JsonValue {
  return new Parser(decodeUtf8(bytes)).whole();
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new JsonRefused('the body is not UTF-8', { cause });
  }
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): JsonValue {
    const value = this.#value(0);
    if (this.#at !== this.#text.length) throw this.#refused('something follows the value');
    return value;
  }

  #value(depth: number): JsonValue {
    if (depth > MAX_DEPTH) throw this.#refused('nested too deeply');
    this.#take(SPACE);
    const value = this.#bare(depth);
    this.#take(SPACE);
    return value;
  }

  #bare(depth: number): JsonValue {
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"':
        return this.#string();
      case 't':
      case 'f':
      case 'n': {
        const word = this.#must(WORD, 'a value');
        return word === 'null' ? null : word === 'true';
      }
      default:
        return this.#number();
    }
  }

  #object(depth: number): JsonObject {
    const members = new Map<string, JsonValue>();
    this.#at += 1;
    this.#take(SPACE);
    if (this.#is('}')) return members;
    do {
      this.#take(SPACE);
      const name = this.#string();
      if (members.has(name)) throw this.#refused('a member is named twice');
      if (PROTOTYPE_NAMES.has(name)) throw this.#refused('a member has a forbidden name');
      this.#take(SPACE);
      if (!this.#is(':')) throw this.#refused('a colon is missing');
      members.set(name, this.#value(depth + 1));
    } while (this.#is(','));
    if (!this.#is('}')) throw this.#refused('an object does not end');
    return members;
  }

  #array(depth: number): JsonValue[] {
    const items: JsonValue[] = [];
    this.#at += 1;
    this.#take(SPACE);
    if (this.#is(']')) return items;
    do items.push(this.#value(depth + 1));
    while (this.#is(','));
    if (!this.#is(']')) throw this.#refused('an array does not end');
    return items;
  }

  #string(): string {
    const literal = this.#must(STRING, 'a string');
    return literal.includes('\\') ? String(JSON.parse(literal)) : literal.slice(1, -1);
  }

  #number(): number {
    const literal = this.#must(NUMBER, 'a value');
    const value = Number(literal);
    return Number.isInteger(value) && String(value) !== literal ? Number.NaN : value;
  }

  #is(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #take(token: RegExp): string | undefined {
    token.lastIndex = this.#at;
    const match = token.exec(this.#text);
    if (match === null) return undefined;
    this.#at = token.lastIndex;
    return match[0];
  }

  #must(token: RegExp, what: string): string {
    const taken = this.#take(token);
    if (taken === undefined) throw this.#refused(`${what} is missing`);
    return taken;
  }

  #refused(why: string): JsonRefused {
    return new JsonRefused(`${why} (at character ${this.#at})`);
  }
}
