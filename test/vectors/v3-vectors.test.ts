/**
 * API v3 against messages whose signature or plain text is known beforehand. Each vector's origin stands beside it in
 * `v3-published.ts`.
 */
import { createHash, createPrivateKey, createPublicKey, createSecretKey, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  authorization,
  requestText,
  type SignedRequest,
  signText,
} from '../../lib/wechat/v3/authorization.ts';
import { callText } from '../../lib/wechat/v3/call_parameters.ts';
import { apiV3Key, CipherRefused, decryptField, openResource } from '../../lib/wechat/v3/cipher.ts';
import { readCertificate } from '../../lib/wechat/v3/platform_keys.ts';
import { formatRfc3339, parseRfc3339 } from '../../lib/wechat/v3/rfc3339.ts';
import { verifyMessage } from '../../lib/wechat/v3/verify.ts';
import * as published from './v3-published.ts';

const merchant_key = createPrivateKey(published.MERCHANT_KEY_PEM);
/** wechatpay-java core/src/test/…/TestConfig.java. */
const api_v3_key = apiV3Key('a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb');
const SERIAL = 'PUB_KEY_ID_0119000072912026091000000000000001';

const at = (timestamp: number): Date => new Date(timestamp * 1000);

describe('request signatures', () => {
  const QUERY = '/v3/pay/transactions/out-trade-no';
  const ORDER = '1217752501201407033233368018';
  const rows: [string, SignedRequest['method'], string, string, string][] = [
    [
      'V1, published: JSAPI order',
      'POST',
      '/v3/pay/transactions/jsapi',
      published.JSAPI_BODY,
      published.V1_SIGNATURE,
    ],
    [
      'V2, published: empty body',
      'GET',
      '/v3/refund/domestic/refunds/123123123123',
      '',
      published.V2_SIGNATURE,
    ],
    ['V5: query string', 'GET', `${QUERY}/${ORDER}?mchid=1900007291`, '', published.V5_SIGNATURE],
    ['V6: close', 'POST', `${QUERY}/${ORDER}/close`, '{"mchid":"1900007291"}', published.V6_SIGNATURE],
    [
      'V7: bill file',
      'GET',
      '/v3/billdownload/file?token=6XIv5TUPto7pByrTQKhd6kwvyKLG2uY2wMMR8cNXqaA_Cv_isgaUtBzp4QtiozLO&tartype=gzip',
      '',
      published.V7_SIGNATURE,
    ],
    [
      'V8: upload, signed over its meta text',
      'POST',
      '/v3/merchant/media/upload',
      '{"filename":"logo.png","sha256":"43044b9f977ef333aa328b242d0e9ff0f9fed13e1c77abdd5ff12dd8edac5dd5"}',
      published.V8_SIGNATURE,
    ],
    ['V9: | in a number', 'GET', `${QUERY}/A%7CB-001?mchid=1900007291`, '', published.V9_SIGNATURE],
  ];

  it.each(rows)('%s', (_name, method, path, body, signature) => {
    const request = { method, path, body, timestamp: 1554208460, nonce: '593BEC0C930BF1AFEB40B4A08C8FB242' };
    expect(signText(requestText(request), merchant_key)).toBe(signature);
    expect(
      authorization(
        {
          mch_id: '1900007291',
          serial_no: '408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB',
          private_key: merchant_key,
        },
        request,
      ),
    ).toBe(
      `WECHATPAY2-SHA256-RSA2048 mchid="1900007291",nonce_str="593BEC0C930BF1AFEB40B4A08C8FB242",signature="${signature}",timestamp="1554208460",serial_no="408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB"`,
    );
  });

  it('V3 and V4, published: the call parameters of a page and of an app', () => {
    const prepay_id = 'wx201410272009395522657a690389285100';
    const sign = (subject: string): string =>
      signText(
        callText('wx2421b1c4370ec43b', '1554208460', '593BEC0C930BF1AFEB40B4A08C8FB242', subject),
        merchant_key,
      );
    expect(sign(`prepay_id=${prepay_id}`)).toBe(published.V3_SIGNATURE);
    expect(sign(prepay_id)).toBe(published.V4_SIGNATURE);
  });
});

describe('platform signatures', () => {
  const rows: [string, string, number, string, string, string][] = [
    [
      'V10, published: an answer',
      published.V10_PUBLIC_KEY_PEM,
      1722850421,
      'd824f2e086d3c1df967785d13fcd22ef',
      '{"code_url":"weixin://wxpay/bizpayurl?pr=JyC91EIz1"}',
      published.V10_SIGNATURE,
    ],
    [
      'V11, published: a notification',
      published.V11_PUBLIC_KEY_PEM,
      1624523846,
      'EcZ9Cmy4Xyx1i6RlJQzLcCyEqDa26NBz',
      published.V11_BODY,
      published.V11_SIGNATURE,
    ],
    [
      'V14: a 200 answer',
      published.PLATFORM_PUBLIC_KEY_PEM,
      1789000000,
      '7e42d86607aaa1deb8f43f57ea116102',
      '{"prepay_id":"wx201410272009395522657a690389285100"}',
      published.V14_SIGNATURE,
    ],
    [
      'V15: a 204 answer',
      published.PLATFORM_PUBLIC_KEY_PEM,
      1789000000,
      '7e42d86607aaa1deb8f43f57ea116102',
      '',
      published.V15_SIGNATURE,
    ],
    [
      'V16: a body that parsing and serialising would change',
      published.PLATFORM_PUBLIC_KEY_PEM,
      1789000000,
      '7e42d86607aaa1deb8f43f57ea116102',
      published.V16_BODY,
      published.V16_SIGNATURE,
    ],
    [
      'V17: a payment notification',
      published.PLATFORM_PUBLIC_KEY_PEM,
      1789000000,
      'EcZ9Cmy4Xyx1i6RlJQzLcCyEqDa26NBz',
      published.V17_BODY,
      published.V17_SIGNATURE,
    ],
  ];

  const verdictOf = async (
    pem: string,
    timestamp: number,
    nonce: string,
    body: string,
    signature: string,
  ): Promise<string> => {
    const headers = new Headers({
      'Wechatpay-Serial': SERIAL,
      'Wechatpay-Timestamp': String(timestamp),
      'Wechatpay-Nonce': nonce,
      'Wechatpay-Signature': signature,
    });
    const find = async (serial: string) => (serial === SERIAL ? createPublicKey(pem) : undefined);
    return (await verifyMessage(headers, Buffer.from(body), find, at(timestamp))).verdict;
  };

  it.each(rows)('%s', async (_name, pem, timestamp, nonce, body, signature) => {
    expect(await verdictOf(pem, timestamp, nonce, body, signature)).toBe('verified');
    expect(await verdictOf(pem, timestamp, nonce, `${body} `, signature)).toBe('bad_signature');
    expect(await verdictOf(pem, timestamp, `${nonce}0`, body, signature)).toBe('bad_signature');
  });

  it('V16 no longer verifies once the body was parsed and serialised', async () => {
    const [, pem, timestamp, nonce, body, signature] = rows[4] ?? expect.fail();
    const again = JSON.stringify(JSON.parse(body));
    expect(await verdictOf(pem, timestamp, nonce, again, signature)).toBe('bad_signature');
  });

  it('V19: a real probe is told apart and refused', async () => {
    const verdict = await verdictOf(
      published.PLATFORM_PUBLIC_KEY_PEM,
      1789000000,
      'n',
      '{}',
      published.V19_SIGNATURE,
    );
    expect(verdict).toBe('probe');
  });
});

describe('AES-256-GCM', () => {
  const open = (ciphertext: string, nonce: string, associated_data: string): string =>
    openResource({ ciphertext, nonce, associated_data }, api_v3_key).toString('utf8');

  it('V11, published: the library’s 16-byte key is no APIv3 key, but its ciphertext is refused, not misread', () => {
    expect(() => apiV3Key('testMchAPIv3Key0')).toThrow(TypeError);
    const { resource } = JSON.parse(published.V11_BODY) as {
      resource: { ciphertext: string; nonce: string; associated_data: string };
    };
    expect(() => openResource(resource, createSecretKey(Buffer.alloc(32)))).toThrow(CipherRefused);
  });

  it('V12, published: wechatpay-java AeadAesCipherTest', () => {
    expect(open('ulwSiIajGClcvcOYvOQ7+l+0PAbzzwI=', 'uluk4a9R25RW', 'associatedData')).toBe('message');
  });

  it('V13, published: a platform certificate with its serial and dates', () => {
    const certificate = readCertificate(open(published.V13_CIPHERTEXT, '14b16c03dc1b', 'certificate'));
    expect(certificate).toMatchObject({
      serial: '5DEA10EF55877E3CF6C33255C2E7DEFFF7E427EC',
      effective_at: new Date('2023-09-19T15:15:58Z'),
      expires_at: new Date('2028-09-17T15:15:58Z'),
    });
    expect(
      new X509Certificate(open(published.V13_CIPHERTEXT, '14b16c03dc1b', 'certificate')).issuer,
    ).toContain('CN=Tenpay.com Root CA');
  });

  it('V17 and V18: what notifications carry', () => {
    const { resource } = JSON.parse(published.V17_BODY) as {
      resource: { ciphertext: string; nonce: string; associated_data: string };
    };
    expect(open(resource.ciphertext, resource.nonce, resource.associated_data)).toBe(published.V17_PLAINTEXT);
    expect(open(published.V18_CIPHERTEXT, 'fAKcOVTdU4VI', 'refund')).toBe(published.V18_PLAINTEXT);
  });

  const V12 = Buffer.from('ulwSiIajGClcvcOYvOQ7+l+0PAbzzwI=', 'base64');

  it.each([0, 4, 8, 12, 15, 16, 22])(
    'a ciphertext cut to %i bytes is refused, whatever tag it leaves',
    (length) => {
      const ciphertext = V12.subarray(0, length).toString('base64');
      expect(() => open(ciphertext, 'uluk4a9R25RW', 'associatedData')).toThrow(CipherRefused);
    },
  );

  it('every single changed bit is refused', () => {
    for (let bit = 0; bit < V12.length * 8; bit += 1) {
      const altered = Buffer.from(V12);
      altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => open(altered.toString('base64'), 'uluk4a9R25RW', 'associatedData')).toThrow(CipherRefused);
    }
  });

  it.each([
    ['a nonce of 11 bytes', 'uluk4a9R25R', 'associatedData'],
    ['a nonce of 13 bytes', 'uluk4a9R25RWW', 'associatedData'],
    ['nonce and associated data swapped', 'associatedDa', 'uluk4a9R25RW'],
    ['no associated data', 'uluk4a9R25RW', ''],
  ])('%s is refused', (_name, nonce, associated_data) => {
    expect(() => open(V12.toString('base64'), nonce, associated_data)).toThrow(CipherRefused);
  });

  it('URL-safe or broken Base64 is refused', () => {
    for (const text of [
      'ulwSiIajGClcvcOYvOQ7-l-0PAbzzwI=',
      'ulwSiIajGClcvcOYvOQ7 l+0PAbzzwI=',
      'ulw=SiIa',
      'x',
    ]) {
      expect(() => open(text, 'uluk4a9R25RW', 'associatedData')).toThrow(CipherRefused);
    }
  });
});

it('V20: a sensitive field opens with OAEP and SHA-1 only', () => {
  expect(decryptField(published.V20_CIPHERTEXT, merchant_key)).toBe('张三');
  expect(() => decryptField(published.V14_SIGNATURE, merchant_key)).toThrow(CipherRefused);
});

it('V21: the bill in these fixtures is the bill whose digest is published', () => {
  const bytes = Buffer.from(published.V21_BILL);
  expect(bytes.length).toBe(1205);
  expect(createHash('sha1').update(bytes).digest('hex')).toBe('eff39ea93691a139e5d4ba5b854c5220c3703660');
});

describe('RFC 3339', () => {
  it.each([
    ['2026-09-10T08:26:40+08:00', '2026-09-10T00:26:40.000Z'],
    ['2026-09-10T00:26:40Z', '2026-09-10T00:26:40.000Z'],
    ['2026-09-10T08:26:40.120+08:00', '2026-09-10T00:26:40.120Z'],
    ['2026-09-09T20:56:40-03:30', '2026-09-10T00:26:40.000Z'],
    ['2024-02-29T23:59:59+08:00', '2024-02-29T15:59:59.000Z'],
  ])('%s is %s', (text, instant) => {
    expect(parseRfc3339(text)?.toISOString()).toBe(instant);
  });

  it.each([
    '2026-02-29T00:00:00+08:00',
    '2026-13-01T00:00:00+08:00',
    '2026-09-10T24:00:00+08:00',
    '2026-09-10T08:26:60+08:00',
    '2026-09-10T08:26:40',
    '2026-09-10 08:26:40+08:00',
    '2026-09-10T08:26:40+0800',
    '2026-09-10T08:26:40+08:60',
    '2026-09-10T08:26:40+24:00',
    '20260910082640',
    '0001-01-01T00:00:00+08:00',
    '9999-12-31T23:59:59+08:00',
    '',
  ])('%s is no time', (text) => {
    expect(parseRfc3339(text)).toBeUndefined();
  });

  it('is written in Beijing time whatever zone the machine is in', () => {
    expect(formatRfc3339(new Date('2026-12-31T16:00:00.999Z'))).toBe('2027-01-01T00:00:00+08:00');
  });
});
