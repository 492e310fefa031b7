/**
 * API v3 notifications: the genuine ones are read, and a corpus of bad ones is refused, each with the verdict that
 * says why. Every bad message is good but for the one fault it is named after.
 */
import { createPrivateKey, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Aes, Rsa } from 'wechatpay-axios-plugin';
import { NotificationError } from '../../lib/wechat/errors.ts';
import { SCHEME } from '../../lib/wechat/v3/authorization.ts';
import {
  API_V3_KEY,
  MCH_ID,
  NOW,
  type PlatformSigner,
  platform,
  sealed,
  signedHeaders,
  signers,
  unsignedReply,
} from './v3-platform.ts';
import { CERTIFICATE_A, STRANGER_KEY_PEM } from './v3-platform-keys.ts';
import {
  V11_BODY,
  V11_PUBLIC_KEY_PEM,
  V11_SIGNATURE,
  V17_BODY,
  V17_PLAINTEXT,
  V17_SIGNATURE,
  V18_CIPHERTEXT,
  V18_PLAINTEXT,
  V19_SIGNATURE,
} from './v3-published.ts';

const ID = '3119dfba-e649-5eec-ab1e-3412bc4d2e17';

interface Message {
  body: string | Buffer;
  headers: Record<string, string>;
}

/** A notification's body, its resource sealed with the merchant's APIv3 key. */
function envelope(
  plaintext: string,
  {
    original_type = 'transaction',
    event_type = 'TRANSACTION.SUCCESS',
    resource = {},
    outer = {},
    key,
  }: {
    original_type?: string;
    event_type?: string;
    resource?: object;
    outer?: object;
    key?: string;
  } = {},
): string {
  return JSON.stringify({
    id: ID,
    create_time: '2026-09-10T08:26:40+08:00',
    resource_type: 'encrypt-resource',
    event_type,
    summary: '通知',
    ...outer,
    resource: { original_type, ...sealed(plaintext, original_type, key), ...resource },
  });
}

function message(body: string, signer?: PlatformSigner, at?: Date): Message {
  return { body, headers: signedHeaders(body, signer, at) };
}

const paid = JSON.parse(V17_PLAINTEXT) as Record<string, unknown>;
const refunded = JSON.parse(V18_PLAINTEXT) as Record<string, unknown>;

const payment = (changes: object = {}): string => envelope(JSON.stringify({ ...paid, ...changes }));
const refund = (changes: object = {}, event_type = 'REFUND.SUCCESS'): string =>
  envelope(JSON.stringify({ ...refunded, ...changes }), { original_type: 'refund', event_type });

function receiver(settings: Parameters<typeof platform>[1] = {}) {
  return platform([], { certificates: unsignedReply(404), ...settings });
}

const readPayment = (pay: ReturnType<typeof platform>['pay'], { body, headers }: Message) =>
  pay.readPaymentNotification(Buffer.from(body), new Headers(headers));
const readRefund = (pay: ReturnType<typeof platform>['pay'], { body, headers }: Message) =>
  pay.readRefundNotification(Buffer.from(body), new Headers(headers));

async function verdictOf(read: Promise<unknown>): Promise<string> {
  const failure = await read.then(
    () => expect.fail('it was believed'),
    (error: unknown) => error,
  );
  if (!(failure instanceof NotificationError)) throw failure;
  return failure.verdict;
}

describe('genuine notifications', () => {
  it('V17: a payment', async () => {
    const headers = {
      'Wechatpay-Serial': signers.public_key.serial,
      'Wechatpay-Timestamp': '1789000000',
      'Wechatpay-Nonce': 'EcZ9Cmy4Xyx1i6RlJQzLcCyEqDa26NBz',
      'Wechatpay-Signature': V17_SIGNATURE,
    };
    const notification = await readPayment(receiver().pay, { body: V17_BODY, headers });
    expect(notification).toMatchObject({
      sign_type: SCHEME,
      notification_id: ID,
      report: { out_trade_no: '1217752501201407033233368018', trade_state: 'SUCCESS', total_fen: 100 },
    });
    expect(notification.report).not.toHaveProperty('attach');
  });

  it('a partner’s payment', async () => {
    const { mchid: _mchid, appid: _appid, payer: _payer, ...rest } = paid;
    const body = envelope(
      JSON.stringify({ ...rest, sp_mchid: MCH_ID, sp_appid: 'wxsp', sub_mchid: '1900000109', payer: {} }),
    );
    const { report } = await readPayment(receiver().pay, message(body));
    expect(report).toMatchObject({ mch_id: MCH_ID, appid: 'wxsp', sub_mch_id: '1900000109' });
  });

  it('with blanks, another order of members, unknown members and no associated data', async () => {
    const { resource, ...rest } = JSON.parse(payment()) as { resource: object };
    const { associated_data: _aad, ...bare } = { ...resource, ...sealed(V17_PLAINTEXT, '') };
    const body = JSON.stringify({ later: [1.5, { deeper: null }], resource: bare, ...rest }, undefined, 2);
    expect((await readPayment(receiver().pay, message(body))).report.total_fen).toBe(100);
  });

  it('V18: a refund, and the three ways one ends', async () => {
    const resource = { ciphertext: V18_CIPHERTEXT, nonce: 'fAKcOVTdU4VI', associated_data: 'refund' };
    const body = envelope('', { original_type: 'refund', event_type: 'REFUND.SUCCESS', resource });
    expect(await readRefund(receiver().pay, message(body))).toEqual({
      out_refund_no: 'R1217752501201407033233368018',
      out_trade_no: '1217752501201407033233368018',
      refund_id: '50310108072026091004276947708',
      status: 'SUCCESS',
      notification_id: ID,
    });
    for (const status of ['ABNORMAL', 'CLOSED']) {
      const changes = { refund_status: status, success_time: undefined };
      expect(await readRefund(receiver().pay, message(refund(changes, `REFUND.${status}`)))).toMatchObject({
        status,
      });
    }
  });

  it('during a change of keys both names arrive mixed, and both are believed', async () => {
    const { pay } = receiver({ settings: { platform_certificates: [CERTIFICATE_A.pem] } });
    for (const signer of [signers.a, signers.public_key, signers.a, signers.public_key]) {
      expect((await readPayment(pay, message(payment(), signer))).notification_id).toBe(ID);
    }
  });

  it('what another merchant, appid, amount or currency says is handed on for comparison, not hidden', async () => {
    const changes = { mchid: '1900000001', appid: 'wxother', amount: { total: 1, currency: 'USD' } };
    expect((await readPayment(receiver().pay, message(payment(changes)))).report).toMatchObject({
      mch_id: '1900000001',
      appid: 'wxother',
      total_fen: 1,
      fee_type: 'USD',
    });
  });
});

describe('bad notifications', () => {
  const good_body = payment();
  const good = message(good_body);
  const without = (header: string): Message => ({
    body: good.body,
    headers: Object.fromEntries(Object.entries(good.headers).filter(([name]) => name !== header)),
  });
  const having = (header: string, value: string): Message => ({
    body: good.body,
    headers: { ...good.headers, [header]: value },
  });
  /** Signed by the platform, but the text is not what a serialiser would write. */
  const raw = (body: string): Message => message(body);
  const altered = (from: string | RegExp, to: string): Message => message(payment().replace(from, to));
  const inside = (plaintext: string): Message => message(envelope(plaintext));
  const ms = (offset_s: number): Date => new Date(NOW.getTime() + offset_s * 1000);

  /** Genuinely signed over exactly these bytes and this nonce. */
  const resigned = (body: string | Buffer, nonce = 'abc'): Message => {
    const text = Buffer.concat([Buffer.from(`1789000000\n${nonce}\n`), Buffer.from(body), Buffer.from('\n')]);
    const signature = sign('RSA-SHA256', text, signers.public_key.key).toString('base64');
    return { body, headers: { ...good.headers, 'Wechatpay-Nonce': nonce, 'Wechatpay-Signature': signature } };
  };
  const notUtf8 = (body: string): Buffer => {
    const bytes = Buffer.from(body);
    bytes[bytes.indexOf('通知')] = 0xff;
    return bytes;
  };
  const sealedUnder = (nonce: string) => ({
    ciphertext: Aes.AesGcm.encrypt(V17_PLAINTEXT, API_V3_KEY, nonce, 'transaction'),
    nonce,
  });

  const corpus: [string, string, Message][] = [
    // the signature
    ['unsigned', 'bad_signature', { body: good.body, headers: {} }],
    ['without a serial', 'bad_signature', without('Wechatpay-Serial')],
    ['without a timestamp', 'bad_signature', without('Wechatpay-Timestamp')],
    ['without a nonce', 'bad_signature', without('Wechatpay-Nonce')],
    ['without a signature', 'bad_signature', without('Wechatpay-Signature')],
    ['with an empty signature', 'bad_signature', having('Wechatpay-Signature', '')],
    ['with a URL-safe signature', 'bad_signature', having('Wechatpay-Signature', 'ab-_'.repeat(86))],
    ['with a signature of three bytes', 'bad_signature', having('Wechatpay-Signature', 'AAAA')],
    [
      'with its genuine signature and a stray character',
      'bad_signature',
      having('Wechatpay-Signature', `!${good.headers['Wechatpay-Signature']}`),
    ],
    [
      'with its genuine signature broken into lines',
      'bad_signature',
      having('Wechatpay-Signature', (good.headers['Wechatpay-Signature'] ?? '').replace(/.{76}/g, '$& ')),
    ],
    ['with a nonce that holds a blank, signed as such', 'bad_signature', resigned(payment(), 'a b')],
    ['with a timestamp in hexadecimal', 'bad_signature', having('Wechatpay-Timestamp', '0x6AA1B2C3')],
    ['with a fraction of a second', 'bad_signature', having('Wechatpay-Timestamp', '1789000000.5')],
    ['with another nonce', 'bad_signature', having('Wechatpay-Nonce', 'another')],
    ['with another timestamp', 'bad_signature', having('Wechatpay-Timestamp', '1789000001')],
    [
      'with another signature type',
      'bad_signature',
      having('Wechatpay-Signature-Type', 'WECHATPAY2-SM2-WITH-SM3'),
    ],
    ['with one more byte', 'bad_signature', { body: `${good.body}\n`, headers: good.headers }],
    [
      'pretty-printed on the way',
      'bad_signature',
      { body: JSON.stringify(JSON.parse(good_body), undefined, 1), headers: good.headers },
    ],
    [
      'with the headers of another message',
      'bad_signature',
      { body: good.body, headers: message('{}').headers },
    ],
    ['a probe', 'probe', having('Wechatpay-Signature', V19_SIGNATURE)],
    [
      'signed by a stranger under the platform’s name',
      'bad_signature',
      message(payment(), { serial: signers.public_key.serial, key: createPrivateKey(STRANGER_KEY_PEM) }),
    ],
    ['signed under a stranger’s name', 'unknown_serial', message(payment(), signers.stranger)],
    [
      'under a public key’s id that is not ours',
      'unknown_serial',
      having('Wechatpay-Serial', 'PUB_KEY_ID_1'),
    ],
    [
      'under our public key’s id in small letters',
      'unknown_serial',
      having('Wechatpay-Serial', signers.public_key.serial.toLowerCase()),
    ],
    ['under a certificate we do not hold', 'unknown_serial', message(payment(), signers.a)],
    ['five minutes old', 'stale', message(payment(), undefined, ms(-300))],
    ['a day old', 'stale', message(payment(), undefined, ms(-86_400))],
    ['five minutes early', 'stale', message(payment(), undefined, ms(300))],
    ['in milliseconds', 'stale', having('Wechatpay-Timestamp', '178900000000')],
    [
      'the v3 text signed with HMAC, not RSA',
      'bad_signature',
      having('Wechatpay-Signature', Buffer.alloc(32, 7).toString('base64')),
    ],
    // the body
    ['plaintext in place of a resource', 'malformed', raw(V17_PLAINTEXT)],
    ['no JSON', 'malformed', raw('<xml><return_code>SUCCESS</return_code></xml>')],
    ['a list', 'malformed', raw('[]')],
    ['empty', 'malformed', raw('')],
    ['with a BOM', 'malformed', raw(`\ufeff${payment()}`)],
    ['two values', 'malformed', raw(`${payment()}{}`)],
    [
      'nested a thousand deep',
      'malformed',
      altered('{"id":', `{"later":${'['.repeat(1000)}${']'.repeat(1000)},"id":`),
    ],
    ['with a byte that is no UTF-8', 'malformed', resigned(notUtf8(payment()))],
    ['with a member named twice', 'malformed', altered('{"id":', `{"id":"other","id":`)],
    ['with a member named twice by an escape', 'malformed', altered('{"id":', `{"\\u0069d":"other","id":`)],
    [
      'with __proto__',
      'malformed',
      altered('{"id":', `{"__proto__":{"event_type":"TRANSACTION.SUCCESS"},"id":`),
    ],
    ['with constructor', 'malformed', altered('{"id":', `{"constructor":1,"id":`)],
    ['with prototype spelled by an escape', 'malformed', altered('{"id":', `{"prot\\u006ftype":1,"id":`)],
    ['without an id', 'malformed', altered(`"id":"${ID}",`, '')],
    ['with a number as id', 'malformed', altered(`"${ID}"`, '7')],
    ['with a broken escape', 'malformed', altered('"summary":"', '"summary":"\\x')],
    [
      'with another kind of resource',
      'malformed',
      message(envelope(V17_PLAINTEXT, { outer: { resource_type: 'plain' } })),
    ],
    [
      'with another algorithm',
      'malformed',
      message(envelope(V17_PLAINTEXT, { resource: { algorithm: 'AEAD_SM4_GCM' } })),
    ],
    [
      'with no algorithm',
      'malformed',
      message(envelope(V17_PLAINTEXT, { resource: { algorithm: undefined } })),
    ],
    [
      'a refund’s resource under a payment’s event',
      'malformed',
      message(envelope(V17_PLAINTEXT, { original_type: 'refund' })),
    ],
    // the cipher
    [
      'sealed with another merchant’s APIv3 key',
      'undecryptable',
      message(envelope(V17_PLAINTEXT, { key: 'Z'.repeat(32) })),
    ],
    [
      'with the tag cut to 4 bytes',
      'undecryptable',
      message(
        envelope(V17_PLAINTEXT, {
          resource: (() => {
            const whole = sealed(V17_PLAINTEXT, 'transaction');
            const bytes = Buffer.from(whole.ciphertext, 'base64');
            return { ...whole, ciphertext: bytes.subarray(0, bytes.length - 12).toString('base64') };
          })(),
        }),
      ),
    ],
    ['with an empty ciphertext', 'malformed', message(envelope('', { resource: { ciphertext: '' } }))],
    [
      'with a ciphertext shorter than a tag',
      'undecryptable',
      message(envelope('', { resource: { ciphertext: 'AAAA' } })),
    ],
    [
      'with a nonce of 8 characters',
      'undecryptable',
      message(envelope(V17_PLAINTEXT, { resource: { nonce: '12345678' } })),
    ],
    [
      'with other associated data',
      'undecryptable',
      message(envelope(V17_PLAINTEXT, { resource: { associated_data: 'refund' } })),
    ],
    [
      'with an amount swapped inside the ciphertext',
      'undecryptable',
      altered(/"ciphertext":"..../, '"ciphertext":"AAAA'),
    ],
    [
      'sealed under a nonce of 8 characters',
      'undecryptable',
      message(envelope('', { resource: sealedUnder('12345678') })),
    ],
    // the content
    ['content that is no object', 'malformed', inside('"SUCCESS"')],
    ['content that is no JSON', 'malformed', inside('amount=100')],
    ['two amounts', 'malformed', inside(V17_PLAINTEXT.replace('"total":100', '"total":1,"total":100'))],
    [
      'an amount of 2⁵³ + 1',
      'malformed',
      inside(V17_PLAINTEXT.replace('"total":100', '"total":9007199254740993')),
    ],
    ['an amount of 2³¹', 'malformed', inside(V17_PLAINTEXT.replace('"total":100', '"total":2147483648'))],
    ['an amount of 1e2', 'malformed', inside(V17_PLAINTEXT.replace('"total":100', '"total":1e2'))],
    ['an amount of 100.0', 'malformed', inside(V17_PLAINTEXT.replace('"total":100', '"total":100.0'))],
    [
      'an amount a little over 100',
      'malformed',
      inside(V17_PLAINTEXT.replace('"total":100', '"total":100.00000000000000001')),
    ],
    ['an amount of −0', 'malformed', inside(V17_PLAINTEXT.replace('"total":100', '"total":-0'))],
    ['an amount as text', 'malformed', inside(V17_PLAINTEXT.replace('"total":100', '"total":"100"'))],
    ['no amount', 'malformed', message(payment({ amount: undefined }))],
    ['no WeChat number', 'malformed', message(payment({ transaction_id: undefined }))],
    ['a number of ours with an ampersand', 'malformed', message(payment({ out_trade_no: 'a&b=c1' }))],
    ['a number of ours with a NUL', 'malformed', message(payment({ out_trade_no: 'abcdef\u0000' }))],
    ['a trade type nobody knows', 'malformed', message(payment({ trade_type: 'TELEPATHY' }))],
    ['a trade that was not paid', 'malformed', message(payment({ trade_state: 'NOTPAY' }))],
    [
      'a combined order',
      'malformed',
      inside('{"combine_mchid":"1900007291","combine_out_trade_no":"C1","sub_orders":[]}'),
    ],
    // the event
    ['another event', 'not_success', message(envelope('{}', { event_type: 'COUPON.USE' }))],
    ['a refund at the payment’s door', 'not_success', message(refund())],
  ];

  it.each(corpus)('%s: %s', async (_name, verdict, bad) => {
    expect(await verdictOf(readPayment(receiver().pay, bad))).toBe(verdict);
  });

  it('the corpus’s starting point is good, so each refusal is owed to its fault', async () => {
    expect((await readPayment(receiver().pay, good)).report.total_fen).toBe(100);
  });

  it('V11: another product’s genuine notification verifies and is not taken for a payment', async () => {
    const headers = {
      'Wechatpay-Serial': 'PUB_KEY_ID_11',
      'Wechatpay-Timestamp': '1624523846',
      'Wechatpay-Nonce': 'EcZ9Cmy4Xyx1i6RlJQzLcCyEqDa26NBz',
      'Wechatpay-Signature': V11_SIGNATURE,
    };
    const settings = { platform_public_key: { id: 'PUB_KEY_ID_11', pem: V11_PUBLIC_KEY_PEM } };
    const { pay, clock } = receiver({ settings });
    clock.now = new Date(1624523846_000);
    expect(await verdictOf(readPayment(pay, { body: V11_BODY, headers }))).toBe('not_success');
  });

  it.each([
    ['an old one sent again', 301_000, 'stale'],
    ['one sent again within the window', 299_000, 'believed'],
  ])('%s: %s', async (_name, later_ms, outcome) => {
    const { pay, clock } = receiver();
    await readPayment(pay, good);
    clock.now = new Date(NOW.getTime() + later_ms);
    const again = readPayment(pay, good);
    if (outcome === 'believed') expect((await again).notification_id).toBe(ID);
    else expect(await verdictOf(again)).toBe(outcome);
  });

  it.each([
    ['another merchant’s refund', 'malformed', message(refund({ mchid: '1900000001' }))],
    ['a state the event denies', 'malformed', message(refund({ refund_status: 'CLOSED' }))],
    ['a state nobody knows', 'malformed', message(refund({ refund_status: 'CHANGE' }))],
    ['no refund number', 'malformed', message(refund({ out_refund_no: '' }))],
    ['a refund still running', 'not_success', message(refund({}, 'REFUND.PROCESSING'))],
    ['an event named like a prototype', 'not_success', message(refund({}, 'hasOwnProperty'))],
    ['a payment at the refund’s door', 'not_success', message(payment())],
    [
      'a console refund in v2 XML',
      'bad_signature',
      { body: '<xml><req_info>x</req_info></xml>', headers: {} },
    ],
  ] as [string, string, Message][])('refunds: %s: %s', async (_name, verdict, bad) => {
    expect(await verdictOf(readRefund(receiver().pay, bad))).toBe(verdict);
  });

  it('no single changed byte of a genuine message is believed', async () => {
    const { pay } = receiver();
    const bytes = Buffer.from(good.body);
    for (let at = 0; at < bytes.length; at += 7) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      const read = pay.readPaymentNotification(changed, new Headers(good.headers));
      expect(await verdictOf(read)).toBe('bad_signature');
    }
  });

  it('a signature of any length is a refusal, never a crash', async () => {
    const { pay } = receiver();
    for (let length = 0; length <= 400; length += 1) {
      const bad = having('Wechatpay-Signature', 'A'.repeat(length));
      expect(await verdictOf(readPayment(pay, bad))).toBe('bad_signature');
    }
  });

  it('a request’s own signature is not a platform’s', async () => {
    const { pay } = receiver();
    const signature = Rsa.sign(`POST\n/api/notify\n1789000000\nn\n${good.body}\n`, signers.public_key.key);
    expect(
      await verdictOf(
        readPayment(pay, {
          body: good.body,
          headers: { ...good.headers, 'Wechatpay-Nonce': 'n', 'Wechatpay-Signature': signature },
        }),
      ),
    ).toBe('bad_signature');
  });
});
