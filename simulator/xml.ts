// WeChat's flat v2 XML: a strict reader for what strangers send, and a writer that lays messages out as WeChat
// does. The reader refuses DOCTYPE, entities, comments, nesting, duplicates and trailing text.

import { XMLParser } from 'fast-xml-parser';

export type Fields = Record<string, string>;
export type XmlFault = { fault: 'NOT_UTF8' | 'XML_FORMAT_ERROR'; why: string };

const MAX_FIELDS = 100;
const MAX_VALUE = 8192;

const parser = new XMLParser({
  parseTagValue: false,
  parseAttributeValue: false,
  ignoreAttributes: true,
  trimValues: true,
  htmlEntities: false,
  processEntities: {
    enabled: true,
    maxEntitySize: 1,
    maxEntityCount: 1,
    maxTotalExpansions: 200,
    maxExpandedLength: 4096,
  },
  maxNestedTags: 4,
  ignoreDeclaration: true,
  allowBooleanAttributes: false,
});

/** The fields of one `<xml>` message, every value a string; or why it is none. Never throws. */
export function readXml(bytes: Buffer): { fields: Fields } | XmlFault {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    return { fault: 'NOT_UTF8', why: `the body is not UTF-8 (${message(cause)})` };
  }
  const bad = (why: string): XmlFault => ({ fault: 'XML_FORMAT_ERROR', why });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/.test(text)) return bad('the body holds control characters');
  if (text.startsWith('\ufeff')) return bad('the body begins with a byte order mark');
  if (/<!(?!\[CDATA\[)/.test(text)) return bad('DOCTYPE, ENTITY and comments are refused');
  if (/<\?/.test(text.replace(/^\s*<\?xml\b[^?]*\?>/, ''))) return bad('processing instructions are refused');
  if (
    /<[A-Za-z_][^\s<>/]*\s+[^\s>/]/.test(
      text.replace(/<!\[CDATA\[[\s\S]*?\]\]>/g, '').replace(/<\?xml[^?]*\?>/, ''),
    )
  ) {
    return bad('attributes have no place in these messages');
  }
  let parsed: unknown;
  try {
    parsed = parser.parse(text, true);
  } catch (cause) {
    return bad(`not well-formed: ${message(cause)}`);
  }
  if (typeof parsed !== 'object' || parsed === null) return bad('no root element');
  const roots = Object.entries(parsed);
  const [name, inner] = roots[0] ?? [];
  if (roots.length !== 1 || name !== 'xml') return bad('the root element must be <xml>');
  if (typeof inner !== 'object' || inner === null || Array.isArray(inner))
    return bad('<xml> holds no fields');
  const entries = Object.entries(inner);
  if (entries.length > MAX_FIELDS) return bad(`more than ${MAX_FIELDS} fields`);
  const fields: Fields = Object.create(null);
  for (const [key, value] of entries) {
    if (typeof value !== 'string') return bad(`<${key}> stands twice or is nested`);
    if (!/^[A-Za-z][A-Za-z0-9_]{0,63}$/.test(key)) return bad(`<${key}> is not a field name`);
    if (value.length > MAX_VALUE) return bad(`<${key}> is longer than ${MAX_VALUE} characters`);
    fields[key] = value;
  }
  return { fields };
}

/** Writes strings in CDATA and the named integers bare, as WeChat's answers are laid out. */
export function writeXml(fields: Fields, bare: ReadonlySet<string> = BARE): string {
  const lines = Object.entries(fields).map(([key, value]) =>
    bare.has(key) && /^-?\d+$/.test(value)
      ? `<${key}>${value}</${key}>\n`
      : `<${key}><![CDATA[${value.replaceAll(']]>', ']]]]><![CDATA[>')}]]></${key}>\n`,
  );
  return `<xml>${lines.join('')}</xml>`;
}

/** The integers WeChat leaves without CDATA; cash_fee is not among them, which is how it really comes. */
const BARE: ReadonlySet<string> = new Set([
  'total_fee',
  'settlement_total_fee',
  'coupon_fee',
  'coupon_count',
  'refund_fee',
  'refund_count',
]);

function message(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
