/**
 * The platform's keys over their life: first download, rotation, the change from certificates to the public key and
 * back, and strangers who invent serials.
 */
import { createPublicKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Rsa } from 'wechatpay-axios-plugin';
import { WechatError } from '../../lib/wechat/errors.ts';
import { type PlatformCertificate, PlatformKeys } from '../../lib/wechat/v3/platform_keys.ts';
import {
  certificateList,
  lostReply,
  NOW,
  PUBLIC_KEY_ID,
  platform,
  type Reply,
  reply,
  sealed,
  signedHeaders,
  signers,
  unsignedReply,
} from './v3-platform.ts';
import { CERTIFICATE_A, CERTIFICATE_B } from './v3-platform-keys.ts';
import { MERCHANT_KEY_PEM, PLATFORM_PUBLIC_KEY_PEM, V18_PLAINTEXT } from './v3-published.ts';

const ORDER = '1217752501201407033233368018';
const CERTIFICATE_MODE = { platform_public_key: undefined };
const unpaid = { appid: 'wx1', mchid: '1900007291', out_trade_no: ORDER, trade_state: 'NOTPAY' };
const answers = (...each: (keyof typeof signers)[]): Reply[] =>
  each.map((name) => (request) => reply(200, unpaid, signers[name])(request));
const downloads = ({ seen }: { seen: { url: URL }[] }): number =>
  seen.filter(({ url }) => url.pathname === '/v3/certificates').length;
const list = (...certificates: (typeof CERTIFICATE_A)[]): Reply =>
  reply(200, certificateList(certificates), signers.a);
const refusal = (outcome: string, code: string) => expect.objectContaining({ outcome, code });

describe('the list of certificates', () => {
  it('is downloaded when the first answer names one, and the answer is then believed', async () => {
    const world = platform(answers('a', 'a'), {
      certificates: list(CERTIFICATE_A),
      settings: CERTIFICATE_MODE,
    });
    expect((await world.pay.queryTrade(ORDER)).report.trade_state).toBe('NOTPAY');
    expect((await world.pay.queryTrade(ORDER)).report.trade_state).toBe('NOTPAY');
    expect(downloads(world)).toBe(1);
    expect(world.seen[0]?.headers.has('wechatpay-serial')).toBe(false);
    expect(world.pay.platformKeys()).toEqual({
      keys: [
        {
          serial: CERTIFICATE_A.serial,
          effective_at: new Date('2026-01-01T00:00:00+08:00'),
          expires_at: new Date('2030-12-31T00:00:00+08:00'),
        },
      ],
    });
  });

  it('a serial that begins with a zero is found with and without it', async () => {
    const shortened = { serial: CERTIFICATE_B.serial.replace(/^0/, '').toLowerCase(), key: signers.b.key };
    const world = platform([reply(200, unpaid, shortened)], {
      settings: { ...CERTIFICATE_MODE, platform_certificates: [CERTIFICATE_B.pem] },
    });
    expect((await world.pay.queryTrade(ORDER)).report.out_trade_no).toBe(ORDER);
    expect(downloads(world)).toBe(0);
  });

  const body = certificateList([CERTIFICATE_A]);
  const parsed = JSON.parse(body) as { data: [Record<string, unknown>] };
  const entry = (changes: object): string => JSON.stringify({ data: [{ ...parsed.data[0], ...changes }] });
  it.each([
    ['unsigned', unsignedReply(200, body), 'BAD_SIGNATURE'],
    ['signed by a stranger', reply(200, body, signers.stranger), 'BAD_SIGNATURE'],
    [
      'signed by a stranger under a listed name',
      reply(200, body, { serial: CERTIFICATE_A.serial, key: signers.stranger.key }),
      'BAD_SIGNATURE',
    ],
    ['too old', reply(200, body, signers.a, new Date(NOW.getTime() - 400_000)), 'BAD_SIGNATURE'],
    [
      'sealed with another APIv3 key',
      reply(
        200,
        entry({ encrypt_certificate: sealed(CERTIFICATE_A.pem, 'certificate', 'Z'.repeat(32)) }),
        signers.a,
      ),
      'BAD_ANSWER',
    ],
    [
      'naming another serial',
      reply(200, entry({ serial_no: CERTIFICATE_B.serial }), signers.a),
      'BAD_ANSWER',
    ],
    [
      'holding something else than a certificate',
      reply(200, entry({ encrypt_certificate: sealed('-----BEGIN NOTHING-----', 'certificate') }), signers.a),
      'BAD_ANSWER',
    ],
    [
      'whose only certificate has expired',
      reply(
        200,
        certificateList([CERTIFICATE_A], {
          effective_time: '2020-01-01T00:00:00+08:00',
          expire_time: '2026-09-10T08:26:40+08:00',
        }),
        signers.a,
      ),
      'BAD_SIGNATURE',
    ],
    ['lost', lostReply(), 'NO_ANSWER'],
  ] as [string, Reply, string][])(
    '%s: no key comes of it, and the answer stays unknown',
    async (_name, certificates, code) => {
      const world = platform(answers('a'), { certificates, settings: CERTIFICATE_MODE });
      await expect(world.pay.queryTrade(ORDER)).rejects.toEqual(refusal('unknown', 'BAD_SIGNATURE'));
      expect(world.pay.platformKeys().keys).toEqual([]);
      expect(world.pay.platformKeys().failure).toEqual(refusal('unknown', code));
    },
  );

  it('a merchant on the public key has none: refused, and not asked again before the interval', async () => {
    const none = reply(404, { code: 'RESOURCE_NOT_EXISTS', message: '无可用的平台证书' });
    const world = platform(answers('a', 'a', 'a'), { certificates: none });
    const failure = refusal('unknown', 'BAD_SIGNATURE');
    await expect(world.pay.queryTrade(ORDER)).rejects.toEqual(failure);
    world.clock.now = new Date(NOW.getTime() + 120_000);
    await expect(world.pay.queryTrade(ORDER)).rejects.toEqual(failure);
    expect(downloads(world)).toBe(1);
    expect(world.pay.platformKeys().failure).toEqual(refusal('refused', 'RESOURCE_NOT_EXISTS'));
  });
});

describe('the change from certificate to public key', () => {
  it('answers under either name are believed, back and forth, and every request names the public key', async () => {
    const world = platform(answers('a', 'public_key', 'a', 'public_key', 'public_key', 'a'), {
      settings: { platform_certificates: [CERTIFICATE_A.pem] },
    });
    for (let n = 0; n < 6; n += 1) await world.pay.queryTrade(ORDER);
    expect(world.seen.map(({ headers }) => headers.get('wechatpay-serial'))).toEqual(
      Array.from({ length: 6 }, () => PUBLIC_KEY_ID),
    );
    expect(downloads(world)).toBe(0);
  });

  it('a rotation: the new certificate is fetched when first named, the old one stays good until it ends', async () => {
    const world = platform(answers('a', 'b', 'a', 'b'), {
      certificates: list(CERTIFICATE_A, CERTIFICATE_B),
      settings: { ...CERTIFICATE_MODE, platform_certificates: [CERTIFICATE_A.pem] },
    });
    for (let n = 0; n < 4; n += 1) await world.pay.queryTrade(ORDER);
    expect(downloads(world)).toBe(1);
  });
});

describe('strangers', () => {
  it('a hundred messages under invented serials cost one download', async () => {
    const invented = (n: number): Reply =>
      reply(200, unpaid, { serial: `AB${n}`.padStart(40, '7'), key: signers.stranger.key });
    const world = platform(
      Array.from({ length: 100 }, (_, n) => invented(n)),
      { certificates: list(CERTIFICATE_A), settings: CERTIFICATE_MODE },
    );
    const asked = Array.from({ length: 50 }, () =>
      world.pay.queryTrade(ORDER).catch((error: unknown) => error),
    );
    for (const failure of await Promise.all(asked)) expect(failure).toBeInstanceOf(WechatError);
    for (let n = 0; n < 50; n += 1) {
      await expect(world.pay.queryTrade(ORDER)).rejects.toEqual(refusal('unknown', 'BAD_SIGNATURE'));
    }
    expect(downloads(world)).toBe(1);
  });

  it('a public key’s id we do not hold costs none', async () => {
    const world = platform([reply(200, unpaid, { serial: 'PUB_KEY_ID_99', key: signers.stranger.key })]);
    await expect(world.pay.queryTrade(ORDER)).rejects.toEqual(refusal('unknown', 'BAD_SIGNATURE'));
    expect(downloads(world)).toBe(0);
  });
});

describe('PlatformKeys', () => {
  const certificate = (
    serial: string,
    from: string,
    to: string,
    pem = CERTIFICATE_A.pem,
  ): PlatformCertificate => ({
    serial,
    key: createPublicKey(pem),
    effective_at: new Date(from),
    expires_at: new Date(to),
  });
  const ring = (
    certificates: PlatformCertificate[],
    download: () => Promise<PlatformCertificate[]> = () => Promise.reject(new Error('no line')),
    clock = { now: NOW },
  ) => new PlatformKeys({ certificates, refresh_interval_ms: 600_000 }, download, () => clock.now);

  it('a key counts from its first moment until just before its last', () => {
    const keys = ring([
      certificate('AAAAAAA1', '2026-09-10T08:26:40+08:00', '2026-12-31T00:00:00Z'),
      certificate('AAAAAAA2', '2026-09-10T08:26:41+08:00', '2026-12-31T00:00:00Z'),
      certificate('AAAAAAA3', '2020-01-01T00:00:00Z', '2026-09-10T08:26:40+08:00'),
    ]);
    expect(['AAAAAAA1', 'AAAAAAA2', 'AAAAAAA3'].map((serial) => keys.find(serial) !== undefined)).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('encrypts with the certificate that began last, not with one that has yet to begin', () => {
    const keys = ring([
      certificate('AAAAAAA1', '2026-01-01T00:00:00Z', '2030-01-01T00:00:00Z'),
      certificate('AAAAAAA2', '2026-09-01T00:00:00Z', '2031-01-01T00:00:00Z'),
      certificate('AAAAAAA3', '2026-10-01T00:00:00Z', '2032-01-01T00:00:00Z'),
    ]);
    expect(keys.encryption()?.serial).toBe('AAAAAAA2');
  });

  it('many who wait share one download; the next comes after the interval', async () => {
    let downloaded = 0;
    const clock = { now: NOW };
    const keys = ring(
      [],
      async () => {
        downloaded += 1;
        return [certificate('BBBBBBB1', '2026-01-01T00:00:00Z', '2030-01-01T00:00:00Z')];
      },
      clock,
    );
    const found = await Promise.all(Array.from({ length: 20 }, () => keys.resolve('BBBBBBB1')));
    expect(found.every((key) => key !== undefined)).toBe(true);
    expect(await keys.resolve('BBBBBBB2')).toBeUndefined();
    expect(downloaded).toBe(1);
    clock.now = new Date(NOW.getTime() + 600_000);
    await keys.resolve('BBBBBBB2');
    expect(downloaded).toBe(2);
  });

  it('after a download that failed on the line another may follow in 15 s', async () => {
    let downloaded = 0;
    const clock = { now: NOW };
    const keys = ring(
      [],
      async () => {
        downloaded += 1;
        throw new Error(`line ${downloaded}`);
      },
      clock,
    );
    expect(await keys.refresh()).toBe(false);
    expect(await keys.refresh()).toBe(false);
    expect(downloaded).toBe(1);
    clock.now = new Date(NOW.getTime() + 15_000);
    await keys.refresh();
    expect(downloaded).toBe(2);
    expect(keys.last_failure).toEqual(new Error('line 2'));
  });

  it('a new list takes the old one’s place, an empty one does not, and configured keys stay', () => {
    const always = ['2020-01-01T00:00:00Z', '2030-01-01T00:00:00Z'] as const;
    const keys = ring([certificate('CCCCCCC0', ...always)]);
    keys.rotate([certificate('CCCCCCC1', ...always)]);
    keys.rotate([certificate('CCCCCCC2', ...always)]);
    keys.rotate([]);
    expect(keys.list().map(({ serial }) => serial)).toEqual(['CCCCCCC2', 'CCCCCCC0']);
  });
});

it('an abnormal refund’s card is encrypted to the key its header names', async () => {
  const refund = { ...(JSON.parse(V18_PLAINTEXT) as object), status: 'PROCESSING' };
  const world = platform([reply(200, refund, signers.b)], {
    certificates: list(CERTIFICATE_A, CERTIFICATE_B),
    settings: { ...CERTIFICATE_MODE, platform_certificates: [CERTIFICATE_B.pem] },
  });
  const { report } = await world.pay.applyAbnormalRefund({
    refund_id: '50310108072026091004276947708',
    out_refund_no: 'R1217752501201407033233368018',
    type: 'USER_BANK_CARD',
    bank_type: 'CMB_DEBIT',
    bank_account: '6225880000000000',
    real_name: '张三',
  });
  expect(report.status).toBe('PROCESSING');
  const [request] = world.seen;
  expect(request?.url.pathname).toBe(
    '/v3/refund/domestic/refunds/50310108072026091004276947708/apply-abnormal-refund',
  );
  expect(request?.headers.get('wechatpay-serial')).toBe(CERTIFICATE_B.serial);
  const body = JSON.parse(request?.body ?? '') as Record<string, string>;
  expect(Rsa.decrypt(body.real_name ?? '', signers.b.key)).toBe('张三');
  expect(Rsa.decrypt(body.bank_account ?? '', signers.b.key)).toBe('6225880000000000');
  expect(request?.body).not.toContain('6225880000000000');
});

it('a sensitive field of an answer opens with the merchant’s key', () => {
  const { pay } = platform([]);
  expect(pay.decryptField(Rsa.encrypt('李四', createPublicKey(MERCHANT_KEY_PEM)))).toBe('李四');
});

it('the platform of these tests signs as the published vectors say it must', () => {
  const headers = signedHeaders('{}');
  const text = `${headers['Wechatpay-Timestamp']}\n${headers['Wechatpay-Nonce']}\n{}\n`;
  expect(
    Rsa.verify(text, headers['Wechatpay-Signature'] ?? '', createPublicKey(PLATFORM_PUBLIC_KEY_PEM)),
  ).toBe(true);
});
