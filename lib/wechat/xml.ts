/**
 * WeChat's XML: one root, one flat level of text fields. Reads it strictly, writes it plainly. Refuses DOCTYPE,
 * entities of one's own, comments, attributes, nesting, duplicates and anything else WeChat has no need to send.
 */
import { XMLParser } from 'fast-xml-parser';

/** Field name to text. No prototype, so a field named like one of its members is only a field. */
export type XmlFields = Record<string, string>;

/** The only error of this file: the bytes, or the values to write, are not WeChat's kind of XML. */
export class XmlError extends Error {
  override readonly name = 'XmlError';
}

/** A genuine notification is about 1 KB. */
export const MAX_XML_BYTES = 64 * 1024;

const MAX_FIELDS = 100;
const MAX_FIELD_LENGTH = 8192;
const FIELD_NAME = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;
const CONTROL_CHARACTER = /[^\P{Cc}\t\n\r]/u;
const MARKUP_DECLARATION = /<!(?!\[CDATA\[)/;
const TAG_WITH_ATTRIBUTES = /<[^\s<>!?][^\s<>]*\s/;
const DECLARATION = /^\s*<\?xml\s[^<>?]*\?>/;

const utf8 = new TextDecoder('utf-8', { fatal: true });

// Values stay text: a parser that sees numbers turns a 28-digit transaction_id into 4.2e27, and then no signature holds.
const parser = new XMLParser({
  parseTagValue: false,
  parseAttributeValue: false,
  ignoreAttributes: true,
  trimValues: true,
  htmlEntities: false,
  // Nobody here asks where in the document a tag stands; spelling it out costs a tenth of the parsing.
  jPath: false,
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

/**
 * Reads one message. `root` is `xml` everywhere but in the decrypted part of a refund notification.
 * Every failure, whatever its cause, is an `XmlError`.
 */
export function parseXml(raw: Uint8Array, root = 'xml', max_bytes = MAX_XML_BYTES): XmlFields {
  if (raw.byteLength > max_bytes) throw new XmlError(`longer than ${max_bytes} bytes`);
  let text: string;
  try {
    text = utf8.decode(raw);
  } catch (cause) {
    throw new XmlError('not UTF-8', { cause });
  }
  refuseWhatTheParserWouldTake(text);
  let document: unknown;
  try {
    document = parser.parse(text, true);
  } catch (cause) {
    throw new XmlError('not well-formed', { cause });
  }
  return flatFields(document, root);
}

function refuseWhatTheParserWouldTake(text: string): void {
  if (CONTROL_CHARACTER.test(text)) throw new XmlError('a control character');
  if (MARKUP_DECLARATION.test(text)) throw new XmlError('a DOCTYPE, an entity or a comment');
  if (text.includes('<?', DECLARATION.exec(text)?.[0].length ?? 0)) {
    throw new XmlError('a processing instruction');
  }
  if (TAG_WITH_ATTRIBUTES.test(text)) throw new XmlError('an attribute');
}

function flatFields(document: unknown, root: string): XmlFields {
  if (!isObject(document)) throw new XmlError('no document');
  const roots = Object.keys(document);
  const children = document[root];
  if (roots.length !== 1 || !isObject(children)) throw new XmlError(`not one <${root}> with fields in it`);
  const names = Object.keys(children);
  if (names.length > MAX_FIELDS) throw new XmlError(`more than ${MAX_FIELDS} fields`);
  const fields: XmlFields = Object.create(null);
  for (const name of names) {
    const value = children[name];
    if (!FIELD_NAME.test(name)) throw new XmlError('a field name WeChat does not use');
    if (typeof value !== 'string') throw new XmlError(`${name} is nested or stands twice`);
    if (value.length > MAX_FIELD_LENGTH) throw new XmlError(`${name} is too long`);
    fields[name] = value;
  }
  return fields;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Writes a message, each value in CDATA, empty values left out. A `]]>` inside a value is split over two CDATA
 * sections, which every parser joins again. Throws `XmlError` on what would not come back as it was signed:
 * control characters, carriage returns (parsers turn them into line feeds) and half surrogate pairs.
 */
export function serialiseXml(fields: Readonly<Record<string, string>>): string {
  let xml = '<xml>';
  for (const [name, value] of Object.entries(fields)) {
    if (value === '') continue;
    if (!FIELD_NAME.test(name)) throw new XmlError('a field name WeChat does not use');
    if (CONTROL_CHARACTER.test(value) || value.includes('\r'))
      throw new XmlError(`${name} holds a control character`);
    if (!value.isWellFormed()) throw new XmlError(`${name} holds half a character`);
    xml += `<${name}><![CDATA[${value.replaceAll(']]>', ']]]]><![CDATA[>')}]]></${name}>`;
  }
  return `${xml}</xml>`;
}
