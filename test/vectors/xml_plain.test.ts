/** The fast reader of plain XML: what it reads is what the full parser reads, and it leaves everything else alone. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseXml, XmlError } from '../../lib/wechat/xml.ts';
import { readPlainXml } from '../../lib/wechat/xml_plain.ts';

const limits = { max_fields: 100, max_field_length: 8192 };
const plain = (text: string) => {
  const fields = readPlainXml(text, 'xml', limits);
  return fields === undefined ? undefined : { ...fields };
};
/** A declaration in front is legal and says nothing; only the full parser takes it. */
const full = (text: string) => ({ ...parseXml(Buffer.from(`<?xml version="1.0"?>${text}`)) });

describe('the plain shape', () => {
  it('CDATA and bare text, blanks between the elements', () => {
    const text = '\n<xml>\n\t<a><![CDATA[x & y> ]] 支付]]></a> <b>1</b><c></c><d><![CDATA[]]></d></xml>\n';
    expect(plain(text)).toEqual({ a: 'x & y> ]] 支付', b: '1', c: '', d: '' });
    expect(plain(text)).toEqual(full(text));
  });

  it.each([
    ['an entity', '<xml><a>&lt;</a></xml>'],
    ['an attribute', '<xml><a b="c">1</a></xml>'],
    ['nesting', '<xml><a><b>1</b></a></xml>'],
    ['a field that stands twice', '<xml><a>1</a><a>2</a></xml>'],
    ['two CDATA sections', '<xml><a><![CDATA[1]]><![CDATA[2]]></a></xml>'],
    ['text beside CDATA', '<xml><a>1<![CDATA[2]]></a></xml>'],
    ['text between the elements', '<xml>1<a>2</a></xml>'],
    ['a comment', '<xml><!-- --><a>1</a></xml>'],
    ['a declaration', '<?xml version="1.0"?><xml><a>1</a></xml>'],
    ['a document type', '<!DOCTYPE xml><xml><a>1</a></xml>'],
    ['another root', '<root><a>1</a></root>'],
    ['a second root', '<xml><a>1</a></xml><xml></xml>'],
    ['no field', '<xml></xml>'],
    ['an empty element in one tag', '<xml><a/></xml>'],
    ['a closing tag that does not fit', '<xml><a>1</b></xml>'],
    ['a message cut off in CDATA', '<xml><a><![CDATA[1'],
    ['a message cut off in text', '<xml><a>1'],
    ['a message cut off before the end', '<xml><a>1</a>'],
    ['markup in CDATA', '<xml><a><![CDATA[<b>]]></a></xml>'],
    ['a control character', '<xml><a>\u0001</a></xml>'],
    ['a carriage return', '<xml><a>1\r\n2</a></xml>'],
    ['blanks at the edge of a value', '<xml><a><![CDATA[ 1]]></a></xml>'],
    ['an ideographic blank at the edge of a value', '<xml><a>1\u3000</a></xml>'],
    ["a member of every object's name", '<xml><constructor>1</constructor></xml>'],
    ['a name that is too long', `<xml><${'a'.repeat(65)}>1</${'a'.repeat(65)}></xml>`],
    ['a value that is too long', `<xml><a>${'1'.repeat(8193)}</a></xml>`],
    ['too many fields', `<xml>${Array.from({ length: 101 }, (_, n) => `<a${n}>1</a${n}>`).join('')}</xml>`],
    ['nothing', ''],
  ])('%s is left to the full parser', (_what, text) => {
    expect(plain(text)).toBeUndefined();
  });
});

describe('beside the full parser', () => {
  const pieces = fc.constantFrom(
    ...[
      '<xml>',
      '</xml>',
      '<a>',
      '</a>',
      '<b>',
      '</b>',
      '<a',
      '/>',
      '<![CDATA[',
      ']]>',
      ']',
      '>',
      '<',
      '&',
      '&lt;',
    ],
    ...[
      '1',
      'x',
      '支',
      ' ',
      '\n',
      '\t',
      '\r',
      '\u00a0',
      '\ufeff',
      '\u0085',
      '\ud83c\udf4e',
      '<prototype>',
      '</prototype>',
    ],
    ...['<?xml version="1.0"?>', '<!-- -->', '<!DOCTYPE xml>', '"', '=', '<toString>', '</toString>'],
  );
  const value = fc.oneof(
    fc.array(pieces, { maxLength: 6 }).map((parts) => parts.join('')),
    fc.string({ unit: 'binary', maxLength: 12 }),
  );
  const element = fc
    .tuple(
      fc.stringMatching(/^[A-Za-z][A-Za-z0-9_]{0,8}$/),
      value,
      fc.boolean(),
      fc.constantFrom('', '\n', ' '),
    )
    .map(
      ([name, text, in_cdata, blank]) =>
        `<${name}>${in_cdata ? `<![CDATA[${text}]]>` : text}</${name}>${blank}`,
    );
  const message = fc.oneof(
    fc.array(element, { maxLength: 8 }).map((parts) => `<xml>${parts.join('')}</xml>`),
    fc.array(pieces, { maxLength: 14 }).map((parts) => parts.join('')),
    fc.array(pieces, { maxLength: 8 }).map((parts) => `<xml><a>${parts.join('')}</a></xml>`),
  );

  it('whatever it reads, the full parser reads the same', () => {
    let read = 0;
    fc.assert(
      fc.property(message, (text) => {
        const fields = plain(text);
        if (fields === undefined) return;
        read += 1;
        let expected: unknown;
        try {
          expected = full(text);
        } catch (error) {
          expected = error;
        }
        expect(expected).not.toBeInstanceOf(XmlError);
        expect(fields).toEqual(expected);
      }),
      { numRuns: 20_000 },
    );
    // Else the comparison has compared nothing.
    expect(read).toBeGreaterThan(1_000);
  });
});
