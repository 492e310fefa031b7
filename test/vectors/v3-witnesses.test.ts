/**
 * Two witnesses who never met: our signing, verifying and deciphering against wechatpay-axios-plugin's, and our JSON
 * reader against the engine's, on random messages.
 */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Aes, Formatter, Rsa } from 'wechatpay-axios-plugin';
import { authorization, requestText, signText } from '../../lib/wechat/v3/authorization.ts';
import { callText } from '../../lib/wechat/v3/call_parameters.ts';
import { apiV3Key, decryptField, encryptField, openResource } from '../../lib/wechat/v3/cipher.ts';
import { JsonRefused, type JsonValue, parseStrictJson } from '../../lib/wechat/v3/json.ts';
import { formatRfc3339, parseRfc3339 } from '../../lib/wechat/v3/rfc3339.ts';
import { verifyMessage } from '../../lib/wechat/v3/verify.ts';
import { MERCHANT_KEY_PEM, PLATFORM_KEY_PEM, PLATFORM_PUBLIC_KEY_PEM } from './v3-published.ts';

const RUNS = { numRuns: 2_000 };

const merchant_key = createPrivateKey(MERCHANT_KEY_PEM);
const merchant_public_key = createPublicKey(MERCHANT_KEY_PEM);
const platform_key = createPrivateKey(PLATFORM_KEY_PEM);
const platform_public_key = createPublicKey(PLATFORM_PUBLIC_KEY_PEM);

const letters = (min: number, max: number) =>
  fc.string({
    unit: fc.constantFrom(...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'),
    minLength: min,
    maxLength: max,
  });
const nonce = letters(1, 32);
const timestamp = fc.integer({ min: 0, max: 4_102_444_800 });
const text = fc.string({ unit: 'grapheme', maxLength: 200 });
const body = fc.oneof(text, fc.json(), fc.constant(''));
const path = fc.webPath().map((each) => `/v3${each}`);

describe('2,000 random messages of each kind', { timeout: 120_000 }, () => {
  it('requests: text, signature and header', () => {
    const property = fc.property(
      fc.constantFrom('GET' as const, 'POST' as const),
      path,
      timestamp,
      nonce,
      body,
      (method, path, timestamp, nonce, body) => {
        const request = { method, path, timestamp, nonce, body };
        const theirs = Formatter.request(method, path, String(timestamp), nonce, body);
        expect(requestText(request)).toBe(theirs);
        const signature = Rsa.sign(theirs, merchant_key);
        const ours = authorization(
          { mch_id: '1900007291', serial_no: 'ABCD', private_key: merchant_key },
          request,
        );
        const header = Formatter.authorization('1900007291', nonce, signature, timestamp, 'ABCD');
        const pairs = (value: string) => value.split(/[ ,]/).sort();
        expect(pairs(ours)).toEqual(pairs(header));
      },
    );
    fc.assert(property, RUNS);
  });

  it('call parameters', () => {
    fc.assert(
      fc.property(letters(1, 32), timestamp, nonce, letters(1, 64), (appid, timestamp, nonce, prepay_id) => {
        const theirs = Formatter.joinedByLineFeed(appid, String(timestamp), nonce, `prepay_id=${prepay_id}`);
        const ours = callText(appid, String(timestamp), nonce, `prepay_id=${prepay_id}`);
        expect(ours).toBe(theirs);
        expect(Rsa.verify(theirs, signText(ours, merchant_key), merchant_public_key)).toBe(true);
      }),
      RUNS,
    );
  });

  it('answers and notifications they sign verify here, and no altered body does', async () => {
    await fc.assert(
      fc.asyncProperty(timestamp, nonce, body, fc.nat(), async (timestamp, nonce, body, position) => {
        const headers = new Headers({
          'Wechatpay-Serial': 'PUB_KEY_ID_1',
          'Wechatpay-Timestamp': String(timestamp),
          'Wechatpay-Nonce': nonce,
          'Wechatpay-Signature': Rsa.sign(Formatter.response(String(timestamp), nonce, body), platform_key),
          'Wechatpay-Signature-Type': 'WECHATPAY2-SHA256-RSA2048',
        });
        const judge = async (bytes: Uint8Array) =>
          (await verifyMessage(headers, bytes, async () => platform_public_key, new Date(timestamp * 1000)))
            .verdict;
        const bytes = Buffer.from(body);
        expect(await judge(bytes)).toBe('verified');
        const altered = Buffer.from(bytes.length === 0 ? ' ' : bytes);
        const at = position % altered.length;
        altered[at] = (altered[at] ?? 0) ^ 1;
        expect(await judge(altered)).toBe('bad_signature');
      }),
      RUNS,
    );
  });

  it('resources they seal open here', () => {
    fc.assert(
      fc.property(letters(32, 32), letters(12, 12), text, text, (key, nonce, associated_data, plaintext) => {
        const ciphertext = Aes.AesGcm.encrypt(plaintext, key, nonce, associated_data);
        const opened = openResource({ ciphertext, nonce, associated_data }, apiV3Key(key));
        expect(opened.equals(Buffer.from(plaintext))).toBe(true);
      }),
      RUNS,
    );
  });

  it('sensitive fields pass both ways', () => {
    const field = fc
      .string({ unit: 'grapheme', maxLength: 60 })
      .filter((each) => Buffer.byteLength(each) <= 214);
    fc.assert(
      fc.property(field, (field) => {
        expect(decryptField(Rsa.encrypt(field, merchant_public_key), merchant_key)).toBe(field);
        expect(Rsa.decrypt(encryptField(field, platform_public_key), platform_key)).toBe(field);
      }),
      RUNS,
    );
  });

  it('JSON: what the engine writes reads the same, but for names that reach a prototype', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(0, 2), (value, indent) => {
        const written = JSON.stringify(value, undefined, indent);
        if (/"(?:__proto__|constructor|prototype)":/.test(written)) {
          expect(() => parseStrictJson(Buffer.from(written))).toThrow(JsonRefused);
        } else {
          expect(plain(parseStrictJson(Buffer.from(written)))).toEqual(JSON.parse(written));
        }
      }),
      RUNS,
    );
  });

  it('JSON: what the engine refuses is refused', () => {
    const mutated = fc
      .tuple(fc.json({ maxDepth: 3 }), fc.nat(), fc.constantFrom(...'{}[]",:\\ \n0-+.eEtfn\u0000x'))
      .map(([json, position, character]) => {
        const at = position % (json.length + 1);
        return json.slice(0, at) + character + json.slice(at + 1);
      });
    fc.assert(
      fc.property(mutated, (json) => {
        let accepted = true;
        try {
          JSON.parse(json);
        } catch {
          accepted = false;
        }
        if (!accepted) expect(() => parseStrictJson(Buffer.from(json))).toThrow();
      }),
      RUNS,
    );
  });

  it('times survive writing and reading, to the second', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('2011-01-01'), max: new Date('2099-12-31'), noInvalidDate: true }),
        (at) => {
          expect(parseRfc3339(formatRfc3339(at))?.getTime()).toBe(Math.floor(at.getTime() / 1000) * 1000);
        },
      ),
      RUNS,
    );
  });
});

/** Maps back to objects, for comparing with the engine. */
function plain(value: JsonValue): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries([...value].map(([name, member]) => [name, plain(member)]));
}
