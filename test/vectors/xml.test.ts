/**
 * WeChat's XML: genuine messages are read, hostile ones are refused with one typed error and quickly, and what we
 * write comes back as it was.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { XMLParser } from 'fast-xml-parser';
import { describe, expect, it, onTestFinished } from 'vitest';
import { MAX_XML_BYTES, parseXml, serialiseXml, XmlError } from '../../lib/wechat/xml.ts';

function parse(xml: string): Record<string, string> {
  return { ...parseXml(Buffer.from(xml)) };
}

/** What the hostile message did: `refused`, or what came out. Any other error escapes and fails the test. */
function attempt(raw: string | Uint8Array): unknown {
  const started = performance.now();
  try {
    return { ...parseXml(Buffer.from(raw)) };
  } catch (error) {
    if (!(error instanceof XmlError)) throw error;
    return 'refused';
  } finally {
    expect(performance.now() - started).toBeLessThan(1000);
  }
}

describe('genuine messages', () => {
  it("WeChat's own sample notification (WeChat Pay v2, 支付结果通知) is read, every value as text", () => {
    const fields = parse(`<xml>
  <appid><![CDATA[wx2421b1c4370ec43b]]></appid>
  <attach><![CDATA[支付测试]]></attach>
  <bank_type><![CDATA[CFT]]></bank_type>
  <fee_type><![CDATA[CNY]]></fee_type>
  <is_subscribe><![CDATA[Y]]></is_subscribe>
  <mch_id><![CDATA[10000100]]></mch_id>
  <nonce_str><![CDATA[5d2b6c2a8db53831f7eda20af46e531c]]></nonce_str>
  <openid><![CDATA[oUpF8uMEb4qRXf22hE3X68TekukE]]></openid>
  <out_trade_no><![CDATA[1409811653]]></out_trade_no>
  <result_code><![CDATA[SUCCESS]]></result_code>
  <return_code><![CDATA[SUCCESS]]></return_code>
  <sign><![CDATA[B552ED6B279343CB493C5DD0D78AB241]]></sign>
  <time_end><![CDATA[20140903131540]]></time_end>
  <total_fee>1</total_fee>
  <trade_type><![CDATA[JSAPI]]></trade_type>
  <transaction_id><![CDATA[1004400740201409030005092168]]></transaction_id>
</xml>
`);
    expect(fields).toMatchObject({
      attach: '支付测试',
      total_fee: '1',
      transaction_id: '1004400740201409030005092168',
    });
    expect(Object.keys(fields)).toHaveLength(16);
  });

  it.each([
    ['28 digits', '1004400740201409030005092168'],
    ['leading zeros', '00123'],
    ['an exponent', '5e8'],
    ['hexadecimal', '0x1F'],
    ['a plus', '+5'],
    ['a decimal', '1.10'],
    ['2^53 + 1', '9007199254740993'],
    ['true', 'true'],
    ['null', 'null'],
  ])('%s stays as it is, bare and in CDATA', (_name, value) => {
    expect(parse(`<xml><a>${value}</a><b><![CDATA[${value}]]></b></xml>`)).toEqual({ a: value, b: value });
  });

  it.each([
    ['an empty element', '<xml><a><![CDATA[]]></a><b></b><c/></xml>', { a: '', b: '', c: '' }],
    ['a declaration in front', '<?xml version="1.0" encoding="UTF-8"?>\n<xml><a>1</a></xml>', { a: '1' }],
    ['a byte order mark', '\ufeff<xml><a>1</a></xml>', { a: '1' }],
    ['blanks around', ' \n<xml>\n <a>1</a>\n</xml>\n', { a: '1' }],
    ['markup in CDATA', '<xml><a><![CDATA[A&B <x> &lt; "q"]]></a></xml>', { a: 'A&B <x> &lt; "q"' }],
    ['the five entities', '<xml><a>&lt;&gt;&amp;&quot;&apos;</a></xml>', { a: '<>&"\'' }],
    ['blanks in CDATA', '<xml><a><![CDATA[ x ]]></a></xml>', { a: ' x ' }],
    ['text beside CDATA', '<xml><a>1<![CDATA[2]]>3</a></xml>', { a: '123' }],
    ['emoji', '<xml><a><![CDATA[苹果🍎]]></a></xml>', { a: '苹果🍎' }],
  ])('%s', (_name, xml, fields) => {
    expect(parse(xml)).toEqual(fields);
  });

  it('the result has no prototype, so no field is there that was not sent', () => {
    const fields = parseXml(Buffer.from('<xml><a>1</a></xml>'));
    expect(Object.getPrototypeOf(fields)).toBeNull();
    expect(fields.constructor).toBeUndefined();
  });

  it('nothing is carried from one message to the next, such as a count of entities', () => {
    for (let n = 0; n < 500; n += 1) expect(parse('<xml><a>&amp;</a></xml>')).toEqual({ a: '&' });
  });

  it('another root is taken only when asked for', () => {
    expect({ ...parseXml(Buffer.from('<root><a>1</a></root>'), 'root') }).toEqual({ a: '1' });
    expect(attempt('<root><a>1</a></root>')).toBe('refused');
  });
});

describe('hostile messages are refused', () => {
  const wrap = (inner: string): string => `<xml><return_code>SUCCESS</return_code>${inner}</xml>`;
  const withDoctype = (subset: string, value = '&x;'): string =>
    `<?xml version="1.0"?><!DOCTYPE xml [${subset}]><xml><a>${value}</a></xml>`;

  it.each<[string, string | Uint8Array]>([
    ['an internal entity', withDoctype('<!ENTITY x "y">')],
    ['an entity whose value holds &', withDoctype('<!ENTITY b "1"><!ENTITY x "&b;">')],
    ['a SYSTEM entity', withDoctype('<!ENTITY x SYSTEM "file:///etc/passwd">')],
    ['a PUBLIC entity', withDoctype('<!ENTITY x PUBLIC "-//x" "http://127.0.0.1/">')],
    ['a parameter entity', withDoctype('<!ENTITY % p SYSTEM "http://127.0.0.1/"> %p;', '1')],
    ['a DOCTYPE with an address', '<!DOCTYPE xml SYSTEM "http://127.0.0.1/x.dtd"><xml><a>1</a></xml>'],
    ['a bare DOCTYPE', '<!DOCTYPE xml><xml><a>1</a></xml>'],
    ['a DOCTYPE in small letters', '<!doctype xml><xml><a>1</a></xml>'],
    ['&lt; given another meaning', withDoctype('<!ENTITY lt "INJ">', '&lt;')],
    ['l. as an entity name', withDoctype('<!ENTITY l. "INJ">', '&lt;')],
    [
      '5,000 entities',
      withDoctype(Array.from({ length: 5000 }, (_, n) => `<!ENTITY e${n} "x">`).join(''), '1'),
    ],
    [
      'a 9,999-byte entity a thousand times',
      withDoctype(`<!ENTITY x "${'y'.repeat(9999)}">`, '&x;'.repeat(1000)),
    ],
    ['a billion laughs', withDoctype('<!ENTITY a "lol"><!ENTITY b "&a;&a;"><!ENTITY x "&b;&b;">')],
    ['a DOCTYPE inside the root', wrap('<!DOCTYPE x>')],
    ['an entity declaration inside the root', wrap('<!ENTITY x "y">')],
    ['a comment', wrap('<total_fee>1<!-- x -->00</total_fee>')],
    ['a processing instruction', wrap('<?php phpinfo() ?>')],
    ['a second declaration', '<?xml version="1.0"?><?xml version="1.0"?><xml><a>1</a></xml>'],
    ['a style sheet', '<?xml-stylesheet href="http://127.0.0.1/"?><xml><a>1</a></xml>'],
    ['a thousand standard entities', wrap(`<a>${'&amp;'.repeat(1000)}</a>`)],
    ['a million standard entities', wrap(`<a>${'&amp;'.repeat(1_000_000)}</a>`)],
    ['__proto__', wrap('<__proto__>1</__proto__>')],
    ['constructor', wrap('<constructor>1</constructor>')],
    ['prototype', wrap('<prototype>1</prototype>')],
    ['toString', wrap('<toString>1</toString>')],
    ['hasOwnProperty', wrap('<hasOwnProperty>1</hasOwnProperty>')],
    ['valueOf', wrap('<valueOf>1</valueOf>')],
    ['__proto__ as an attribute', wrap('<a __proto__="1">1</a>')],
    ['one nested field', wrap('<a><b>1</b></a>')],
    ['nesting of 101', wrap('<a>'.repeat(101) + '</a>'.repeat(101))],
    ['nesting of 1,000', wrap('<a>'.repeat(1000) + '</a>'.repeat(1000))],
    ['nesting of 9,000, all that fits', wrap('<a>'.repeat(9000) + '</a>'.repeat(9000))],
    ['nesting of 100,000', wrap('<a>'.repeat(100_000) + '</a>'.repeat(100_000))],
    ['101 fields', wrap(Array.from({ length: 100 }, (_, n) => `<f${n}>1</f${n}>`).join(''))],
    ['as many siblings as fit', wrap('<a/>'.repeat(16_000))],
    ['200,000 siblings', wrap('<a/>'.repeat(200_000))],
    ['6,000 attributes', wrap(`<a${Array.from({ length: 6000 }, (_, n) => ` a${n}="1"`).join('')}>1</a>`)],
    ['one attribute', wrap('<a b="1">1</a>')],
    ['a boolean attribute', wrap('<a b>1</a>')],
    ['an attribute after a line break', wrap('<a\nb="1">1</a>')],
    ['an attribute on the root', '<xml xmlns="x"><a>1</a></xml>'],
    ['a duplicate field', wrap('<total_fee>1</total_fee><total_fee>100</total_fee>')],
    ['an unclosed field', '<xml><a>1</xml>'],
    ['an unclosed root', '<xml><a>1</a>'],
    ['a mismatched tag', '<xml><a>1</b></xml>'],
    ['unclosed CDATA', '<xml><a><![CDATA[1</a></xml>'],
    ['two roots', '<xml><a>1</a></xml><xml><a>2</a></xml>'],
    ['two different roots', '<xml><a>1</a></xml><y/>'],
    ['trailing text', '<xml><a>1</a></xml>x'],
    ['trailing CDATA', '<xml><a>1</a></xml><![CDATA[x]]>'],
    ['leading text', 'x<xml><a>1</a></xml>'],
    ['text beside the fields', '<xml>x<a>1</a></xml>'],
    ['plain text', 'SUCCESS'],
    ['JSON', '{"return_code":"SUCCESS"}'],
    ['nothing', ''],
    ['blanks', ' \n '],
    ['an empty root', '<xml></xml>'],
    ['a root with text', '<xml>SUCCESS</xml>'],
    ['an HTML error page', '<html><head><title>502</title></head><body>Bad Gateway</body></html>'],
    ['NUL', wrap('<a>1\u00002</a>')],
    ['an escape character', wrap('<a>\u001b[31m</a>')],
    ['a C1 control character', wrap('<a>\u0085</a>')],
    ['a colon in a name', wrap('<a:b>1</a:b>')],
    ['a Chinese name', wrap('<金额>1</金额>')],
    ['a name of 65 letters', wrap(`<${'a'.repeat(65)}>1</${'a'.repeat(65)}>`)],
    ['a name beginning with a digit', wrap('<1a>1</1a>')],
    ['a value of 8,193 characters', wrap(`<a>${'x'.repeat(8193)}</a>`)],
    ['one byte more than the cap', `<xml><a>${'x'.repeat(MAX_XML_BYTES - 17 + 1)}</a></xml>`],
    ['UTF-16', Buffer.from('\ufeff<xml><a>1</a></xml>', 'utf16le')],
    [
      'GBK',
      Uint8Array.from([...Buffer.from('<xml><a>'), 0xd6, 0xa7, 0xb8, 0xb6, ...Buffer.from('</a></xml>')]),
    ],
    [
      'over-long UTF-8',
      Uint8Array.from([...Buffer.from('<xml><a>'), 0xc0, 0xbc, ...Buffer.from('</a></xml>')]),
    ],
    ['half a character', Buffer.from('<xml><a>支</a></xml>').subarray(0, 9)],
    ['a closing mark alone', '</xml>'],
    ['an opening mark alone', '<'],
    ['64 KB of opening marks', '<'.repeat(65_000)],
    ['64 KB of an endless name', `<${'a'.repeat(65_000)}`],
    ['64 KB of <!', '<!'.repeat(32_000)],
    ['64 KB of <![CDATA[', '<![CDATA['.repeat(7_000)],
    ['64 KB of blanks in a tag', `<xml${' '.repeat(65_000)}`],
    ['64 KB of &', `<xml><a>${'&'.repeat(65_000)}</a></xml>`],
    ['64 KB of ]]>', `<xml><a>${']]>'.repeat(21_000)}</a></xml>`],
    ['64 KB of slashes in a tag', `<xml><a${'/b'.repeat(32_000)}>1</a></xml>`],
    ['64 KB of quotes in a tag', `<xml><a${'"\''.repeat(32_000)}>1</a></xml>`],
  ])('%s', (_name, raw) => {
    expect(attempt(raw)).toBe('refused');
  });

  it.each([
    ['a decimal character reference', '<xml><a>&#65;</a></xml>', '&#65;'],
    ['a reference to NUL', '<xml><a>&#0;</a></xml>', undefined],
    ['a reference to half a pair', '<xml><a>&#xD800;</a></xml>', undefined],
    ['an entity nobody declared', '<xml><a>&bogus;</a></xml>', '&bogus;'],
  ])('%s is never expanded', (_name, xml, literal) => {
    const outcome = attempt(xml);
    if (outcome === 'refused') return;
    expect(literal === undefined ? ['', '&#0;', '&#xD800;'] : [literal]).toContain(
      Object.values(Object(outcome))[0],
    );
  });

  it('reads no file and opens no connection, whatever a DOCTYPE names', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'guitai-xml-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const secret = join(folder, 'secret');
    writeFileSync(secret, 'canary-7c1');
    let connections = 0;
    const canary = createServer((_request, response) => response.end('INJ')).on('connection', () => {
      connections += 1;
    });
    await new Promise<void>((resolve) => canary.listen(0, '127.0.0.1', resolve));
    const { port } = canary.address() as AddressInfo;
    for (const address of [`http://127.0.0.1:${port}/x`, `file://${secret}`]) {
      expect(attempt(withDoctype(`<!ENTITY x SYSTEM "${address}">`))).toBe('refused');
      expect(attempt(withDoctype(`<!ENTITY % p SYSTEM "${address}"> %p;`, '1'))).toBe('refused');
      expect(attempt(`<!DOCTYPE xml SYSTEM "${address}"><xml><a>1</a></xml>`)).toBe('refused');
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    await new Promise((resolve) => canary.close(resolve));
    expect(connections).toBe(0);
  });

  it('100,000 nested tags take no time, cap or no cap', () => {
    const started = performance.now();
    const raw = Buffer.from('<a>'.repeat(100_000));
    expect(() => parseXml(raw, 'xml', raw.length)).toThrow(XmlError);
    expect(performance.now() - started).toBeLessThan(1000);
  });

  it('any mutilation of a genuine message gives fields or the typed error', () => {
    const genuine = Buffer.from(
      serialiseXml({
        return_code: 'SUCCESS',
        total_fee: '1',
        attach: '支付',
        body: 'a]]>b',
        sign: 'A'.repeat(32),
      }),
    );
    const pieces = fc.constantFrom(
      '<',
      '>',
      '&',
      '<!',
      '<?',
      ']]>',
      '<![CDATA[',
      '/',
      '\0',
      ' a="1"',
      '&lt;',
      '\xff',
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(genuine.length), fc.nat(8), fc.oneof(pieces, fc.string())), {
          maxLength: 6,
        }),
        (cuts) => {
          let raw: Buffer = genuine;
          for (const [at, length, piece] of cuts) {
            raw = Buffer.concat([
              raw.subarray(0, at),
              Buffer.from(piece, 'latin1'),
              raw.subarray(at + length),
            ]);
          }
          const outcome = attempt(raw);
          if (outcome !== 'refused') {
            for (const value of Object.values(Object(outcome))) expect(value).toBeTypeOf('string');
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
});

describe('writing', () => {
  it('wraps each value in CDATA and leaves empty ones out', () => {
    expect(serialiseXml({ total_fee: '1', attach: '', body: 'A&B <x> 支付' })).toBe(
      '<xml><total_fee><![CDATA[1]]></total_fee><body><![CDATA[A&B <x> 支付]]></body></xml>',
    );
  });

  it.each([']]>', 'a]]>b', ']]>]]>', ']]]>', ']]]]>>', '<![CDATA[x]]>'])('%j comes back whole', (value) => {
    const xml = serialiseXml({ a: value });
    expect(new XMLParser({ parseTagValue: false }).parse(xml)).toEqual({ xml: { a: value } });
    expect(parse(xml)).toEqual({ a: value });
  });

  it.each([
    ['NUL', '\0'],
    ['an escape character', '\u001b'],
    ['a carriage return, which parsers change', 'a\r\nb'],
    ['half a surrogate pair', '\ud83d'],
  ])('refuses %s', (_name, value) => {
    expect(() => serialiseXml({ a: value })).toThrow(XmlError);
  });

  it.each(['', '1a', 'a b', 'a>', '__proto__x', 'a:b', '金额'])('refuses the name %j', (name) => {
    expect(() => serialiseXml({ [name]: '1' })).toThrow(XmlError);
  });

  const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_]{0,30}$/);

  it('whatever it writes, an ordinary parser reads back as it was signed', () => {
    const ordinary = new XMLParser({ parseTagValue: false, trimValues: false });
    const value = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1 }),
      fc
        .array(fc.constantFrom(']', '>', '<', '!', '[CDATA[', '&', 'x', '支', '🍎', '"', '\n'), {
          minLength: 1,
        })
        .map((parts) => parts.join('')),
    );
    // The ordinary parser protects itself against these names; ours are written in any case.
    const ordinaryName = name.filter((text) => !(text in {}) && text !== 'prototype');
    fc.assert(
      fc.property(fc.dictionary(ordinaryName, value, { minKeys: 1, maxKeys: 12 }), (fields) => {
        let xml: string;
        try {
          xml = serialiseXml(fields);
        } catch (error) {
          expect(error).toBeInstanceOf(XmlError);
          return;
        }
        expect(ordinary.parse(xml)).toEqual({ xml: { ...fields } });
      }),
      { numRuns: 2000 },
    );
  });

  it('what WeChat has reason to send makes the round trip through our own strict reader', () => {
    const text = fc.array(
      fc.constantFrom(
        'a',
        'Z',
        '0',
        '支',
        '付',
        '&',
        '"',
        "'",
        '>',
        ']',
        ']]>',
        ' ',
        '.',
        '{',
        '}',
        ':',
        ',',
        '🍎',
      ),
      { minLength: 1, maxLength: 60 },
    );
    const fields = fc.dictionary(
      name.filter((given) => !(given in {}) && given !== 'prototype'),
      text.map((parts) => parts.join('')),
      { minKeys: 1, maxKeys: 40 },
    );
    fc.assert(
      fc.property(fields, (given) => {
        expect(parse(serialiseXml(given))).toEqual({ ...given });
      }),
      { numRuns: 2000 },
    );
  });
});
