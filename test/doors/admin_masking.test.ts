/** What an operator may read of raw messages, and where a login may lead: secrets and other sites never. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readableMessage } from '../../lib/admin_masking.ts';
import { loginPath, returnPath } from '../../lib/admin_return.ts';

const secret = fc.stringMatching(/^[A-Za-z0-9+/]{12,40}$/).map((text) => `SECRET${text}TERCES`);
const hidden = fc.constantFrom(
  'sign',
  'paySign',
  'SIGN',
  'key',
  'access_token',
  'secret',
  'openid',
  'sub_openid',
);
const shown = fc.constantFrom('out_trade_no', 'total_fee', 'attach', 'amount');

describe('XML', () => {
  test('a v2 message is one field a line, with sign hidden and openid shortened', () => {
    const raw =
      '<xml><openid><![CDATA[oUpF8uMuAJO_M2pxb1Q9zNjWeS6o]]></openid><sign><![CDATA[C380BEC2BFD727A4B6845133519F3AD6]]></sign><total_fee>100</total_fee></xml>';
    expect(readableMessage(raw)).toEqual({
      format: 'xml',
      text: [
        '<xml>',
        '  <openid><![CDATA[oUpF…S6o]]></openid>',
        '  <sign><![CDATA[（已隐藏 32 字符）]]></sign>',
        '  <total_fee>100</total_fee>',
        '</xml>',
      ].join('\n'),
    });
  });

  test('no secret survives, with CDATA or without, nested, cut off, or left open', () => {
    fc.assert(
      fc.property(secret, hidden, shown, fc.boolean(), fc.nat(), (value, name, other, cdata, cut) => {
        const inner = cdata ? `<![CDATA[${value}]]>` : value;
        const whole = `<xml><${other}>1</${other}><${name} a="b"><x>${inner}</x>${inner}</${name}></xml>`;
        const begun = whole.indexOf(value) + value.length;
        for (const raw of [whole, whole.slice(0, begun + (cut % (whole.length - begun))), `${whole}tail`]) {
          expect(readableMessage(raw).text).not.toContain(value);
        }
      }),
    );
  });

  test('what is not secret is all there', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9 ,.-]{1,30}$/), shown, (value, name) => {
        const { text } = readableMessage(`<xml><${name}><![CDATA[${value}]]></${name}></xml>`);
        expect(text).toContain(`<${name}>`);
        if (value.trim() !== '') expect(text).toContain(value);
      }),
    );
  });
});

describe('JSON', () => {
  test('no secret survives at any depth, nor in a message inside a string, nor in half a message', () => {
    fc.assert(
      fc.property(
        secret,
        hidden,
        fc.array(shown, { maxLength: 4 }),
        fc.boolean(),
        (value, name, path, packed) => {
          const leaf: unknown = packed
            ? JSON.stringify({ [name]: value })
            : { [name]: [value, { deep: value }] };
          const message = JSON.stringify(path.reduce<unknown>((inner, step) => ({ [step]: inner }), leaf));
          expect(readableMessage(message).text).not.toContain(value);
          if (!packed) return;
          expect(
            readableMessage(JSON.stringify({ body: `<xml><${name}>${value}</${name}></xml>` })).text,
          ).not.toContain(value);
        },
      ),
    );
    const half =
      '{"payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},"sign":"C380BEC2BFD727A4","amount":{"tot';
    expect(readableMessage(half)).toEqual({
      format: 'text',
      text: '{"payer":{"openid":"oUpF…S6o"},"sign":"（已隐藏 16 字符）","amount":{"tot',
    });
  });

  test('numbers, nulls and order are kept', () => {
    expect(JSON.parse(readableMessage('{"b":1,"a":[null,true,"x"]}').text)).toEqual({
      b: 1,
      a: [null, true, 'x'],
    });
  });
});

describe('any text', () => {
  test('an openid of ours is shortened wherever it stands', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (before, after) => {
        const openid = 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o';
        expect(readableMessage(`${before}${openid}${after}`, [openid]).text).not.toContain(openid);
      }),
    );
  });

  test('a cut message inside a string loses them too, with its slashes and quotes escaped', () => {
    expect(readableMessage('note {\\"sign\\":\\"ab\\\\/cd\\",\\"a\\":1').text).toBe(
      'note {\\"sign\\":\\"（已隐藏 7 字符）\\",\\"a\\":1',
    );
    expect(readableMessage('x "paySign": "ab\\/c d').text).toBe('x "paySign": "（已隐藏 7 字符）');
  });

  test('name=value pairs lose their secrets', () => {
    expect(readableMessage('appid=wx1&key=C380BEC2BFD7&out_trade_no=5').text).toBe(
      'appid=wx1&key=（已隐藏 12 字符）&out_trade_no=5',
    );
  });
});

describe('the way back after login', () => {
  test.each([
    '/admin',
    '/admin/orders',
    '/admin/orders?state=SUCCESS&from=2026-11-01',
    '/admin/orders/20261123183007ABCDEFGHJKMNPQRS',
  ])('%s is ours', (path) => {
    expect(returnPath(path)).toBe(path);
    const [, next = ''] = loginPath(path).split('next=');
    expect(returnPath(next === '' ? undefined : decodeURIComponent(next))).toBe(
      path === '/admin/orders' ? '/admin/orders' : path,
    );
  });

  test.each([
    'https://evil.example/admin',
    '//evil.example/admin',
    '/admin/../pay/x',
    '/admin/./../../x',
    '/admin\\@evil.example',
    '/admin//evil.example/%5c',
    '/adminx',
    '/administrator/orders',
    '/orders',
    '/admin/login',
    '/admin/login?next=/admin/login',
    'javascript:alert(1)',
    '/admin/orders#x',
    '/admin/orders?q=\u0000',
    `/admin/${'a'.repeat(2000)}`,
    ['/admin/orders'],
    undefined,
  ])('%j leads to the order list at the most', (path) => {
    const { origin, pathname } = new URL(returnPath(path), 'http://console.invalid');
    expect(origin).toBe('http://console.invalid');
    expect(pathname).toMatch(/^\/admin(\/|$)/);
    expect(pathname).not.toMatch(/^\/admin\/login/);
  });
});
