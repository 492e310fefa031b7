/**
 * A fast reader for the one plain shape in which WeChat really writes: one root, flat elements, each value plain text
 * or one CDATA section. Whatever else it meets, valid or not, it leaves to the full parser by returning undefined.
 */

const OPENING_TAG = /<([A-Za-z][A-Za-z0-9_]{0,63})>/y;
/** Carriage returns are control characters too: the full parser changes them. */
const CONTROL_CHARACTER = /[^\P{Cc}\t\n]/u;
const NEEDS_A_PARSER = /[&>]/;
const CDATA = '<![CDATA[';
const CDATA_END = ']]>';

export interface PlainLimits {
  max_fields: number;
  max_field_length: number;
}

/** Fields by name, exactly as the full parser would read them; undefined when it is the full parser that must say. */
export function readPlainXml(
  text: string,
  root: string,
  { max_fields, max_field_length }: PlainLimits,
): Record<string, string> | undefined {
  if (CONTROL_CHARACTER.test(text)) return undefined;
  const opening = `<${root}>`;
  const closing = `</${root}>`;
  let at = afterBlanks(text, 0);
  if (!text.startsWith(opening, at)) return undefined;
  at = afterBlanks(text, at + opening.length);
  const fields: Record<string, string> = Object.create(null);
  for (let count = 0; !text.startsWith(closing, at); count += 1) {
    OPENING_TAG.lastIndex = at;
    const name = OPENING_TAG.exec(text)?.[1];
    if (count === max_fields || name === undefined || name in fields) return undefined;
    // The full parser guards itself against these.
    if (name === 'prototype' || name in Object.prototype) return undefined;
    at += name.length + 2;
    let value: string;
    if (text.startsWith(CDATA, at)) {
      const end = text.indexOf(CDATA_END, at);
      if (end < 0) return undefined;
      value = text.slice(at + CDATA.length, end);
      // The full parser's guards look at markup in CDATA too.
      if (value.includes('<')) return undefined;
      at = end + CDATA_END.length;
    } else {
      const end = text.indexOf('<', at);
      if (end < 0) return undefined;
      value = text.slice(at, end);
      if (NEEDS_A_PARSER.test(value)) return undefined;
      at = end;
    }
    // Which blanks are trimmed is the full parser's to decide.
    if (value.length > max_field_length || value !== value.trim()) return undefined;
    if (!text.startsWith(`</${name}>`, at)) return undefined;
    at = afterBlanks(text, at + name.length + 3);
    fields[name] = value;
  }
  const is_whole = afterBlanks(text, at + closing.length) === text.length;
  return is_whole && Object.keys(fields).length > 0 ? fields : undefined;
}

function afterBlanks(text: string, start: number): number {
  let at = start;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x09) return at;
    at += 1;
  }
}
