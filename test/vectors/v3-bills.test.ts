/**
 * API v3 bills: two steps, one digest. The file comes unsigned from an address in a signed answer, so the address is
 * checked before it is asked and the file before it is believed.
 */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { lostReply, ORIGIN, platform, type Reply, reply, unsignedReply } from './v3-platform.ts';
import { V21_BILL } from './v3-published.ts';

const PLAIN = Buffer.from(V21_BILL);
/** V21: the digest published for this bill. */
const SHA1 = 'eff39ea93691a139e5d4ba5b854c5220c3703660';
const DATE = '2026-09-09';
const FILE_URL = `${ORIGIN}/v3/billdownload/file?token=a_b-C&tartype=gzip`;

const named = (changes: object = {}): Reply =>
  reply(200, { hash_type: 'SHA1', hash_value: SHA1, download_url: FILE_URL, ...changes });

/** A file in pieces of `size` bytes, or whole. */
function file(bytes: Uint8Array, size = bytes.length || 1): Reply {
  return () => {
    let at = 0;
    return new Response(
      new ReadableStream({
        pull(controller) {
          if (at >= bytes.length) return controller.close();
          controller.enqueue(bytes.subarray(at, at + size));
          at += size;
        },
      }),
    );
  };
}

async function text(stream: ReadableStream<Uint8Array>): Promise<string> {
  return await new Response(stream).text();
}

async function streamOf(
  replies: Reply[],
  settings: NonNullable<Parameters<typeof platform>[1]>['settings'] = {},
) {
  const world = platform(replies, { settings });
  const bill = await world.pay.downloadTradeBill(DATE);
  if (bill.outcome !== 'bill') throw new Error(bill.outcome);
  return { ...world, bill };
}

describe('a bill', () => {
  it.each([
    ['plain', PLAIN, PLAIN.length],
    ['plain, byte by byte', PLAIN, 1],
    ['zipped', gzipSync(PLAIN), 10_000],
    ['zipped, byte by byte', gzipSync(PLAIN), 1],
  ])('%s comes out as the published bytes', async (_name, bytes, size) => {
    const { bill, seen } = await streamOf([named(), file(bytes, size)]);
    const read = Buffer.from(await new Response(bill.stream).arrayBuffer());
    expect(read.equals(PLAIN)).toBe(true);
    expect(`${seen[0]?.url.pathname}${seen[0]?.url.search}`).toBe(
      `/v3/bill/tradebill?bill_date=${DATE}&bill_type=ALL&tar_type=GZIP`,
    );
    expect(String(seen[1]?.url)).toBe(FILE_URL);
    expect(bill.exchange.path).toBe('/v3/billdownload/file?token=a_b-C&tartype=gzip');
  });

  it('of the flow of funds asks by account', async () => {
    const { pay, seen } = platform([named(), file(PLAIN)]);
    const bill = await pay.downloadFundFlowBill(DATE, 'FEES');
    expect(bill.outcome).toBe('bill');
    expect(`${seen[0]?.url.pathname}${seen[0]?.url.search}`).toBe(
      `/v3/bill/fundflowbill?bill_date=${DATE}&account_type=FEES&tar_type=GZIP`,
    );
  });

  it('of a partner is the sub-merchant’s', async () => {
    const { seen } = await streamOf([named(), file(PLAIN)], { sub_mch_id: '1900000109' });
    expect(seen[0]?.url.searchParams.get('sub_mchid')).toBe('1900000109');
  });

  it('no bill that day and not yet made are answers, not errors', async () => {
    const { pay } = platform([
      reply(400, { code: 'NO_STATEMENT_EXIST', message: '请求的账单文件不存在' }),
      reply(400, { code: 'STATEMENT_CREATING', message: '账单生成中' }),
    ]);
    expect((await pay.downloadTradeBill(DATE)).outcome).toBe('no_bill');
    expect((await pay.downloadTradeBill(DATE)).outcome).toBe('creating');
  });

  it('"no bill" that nobody signed is not believed', async () => {
    const { pay } = platform([unsignedReply(400, '{"code":"NO_STATEMENT_EXIST"}')]);
    await expect(pay.downloadTradeBill(DATE)).rejects.toMatchObject({ outcome: 'unknown' });
  });

  it.each(['2026-02-30', '20260909', '2026-09-09&bill_type=REFUND', ''])(
    'of the day %s is not asked',
    async (day) => {
      const { pay, seen } = platform([]);
      await expect(pay.downloadTradeBill(day)).rejects.toMatchObject({
        outcome: 'refused',
        code: 'PARAM_ERROR',
      });
      expect(seen).toEqual([]);
    },
  );
});

describe('the address of the file', () => {
  it.each([
    'http://127.0.0.1/v3/billdownload/file?token=x',
    'http://169.254.169.254/latest/meta-data/',
    'https://platform.test/v3/billdownload/file',
    'http://platform.test:8080/v3/billdownload/file',
    'http://platform.test.evil.example/v3/billdownload/file',
    'http://platform.test@evil.example/v3/billdownload/file',
    'http://user:word@platform.test/v3/billdownload/file',
    'http://user@platform.test/v3/billdownload/file',
    'http://:word@platform.test/v3/billdownload/file',
    'https://evil.example/v3/billdownload/file',
    'file:///etc/passwd',
    '/v3/billdownload/file',
    '',
  ])('%s is not asked', async (download_url) => {
    const { pay, seen } = platform([named({ download_url })]);
    await expect(pay.downloadTradeBill(DATE)).rejects.toMatchObject({
      outcome: 'unknown',
      code: 'BAD_ANSWER',
    });
    expect(seen).toHaveLength(1);
  });

  it('another host may be named beforehand, by https only', async () => {
    const bill_hosts = ['api.mch.weixin.qq.com'];
    const download_url = 'https://api.mch.weixin.qq.com/v3/billdownload/file?token=1';
    const { bill, seen } = await streamOf([named({ download_url }), file(PLAIN)], { bill_hosts });
    expect(await text(bill.stream)).toBe(V21_BILL.slice(1));
    expect(seen[1]?.url.host).toBe('api.mch.weixin.qq.com');
    const { pay } = platform([named({ download_url: download_url.replace('https', 'http') })], {
      settings: { bill_hosts },
    });
    await expect(pay.downloadTradeBill(DATE)).rejects.toMatchObject({ code: 'BAD_ANSWER' });
  });

  it.each([
    ['another digest', { hash_type: 'MD5' }],
    ['a digest that is none', { hash_value: 'x'.repeat(40) }],
    ['no digest', { hash_value: undefined }],
  ])('with %s the file is not fetched', async (_name, fault) => {
    const { pay, seen } = platform([named(fault)]);
    await expect(pay.downloadTradeBill(DATE)).rejects.toMatchObject({
      outcome: 'unknown',
      code: 'BAD_ANSWER',
    });
    expect(seen).toHaveLength(1);
  });

  it.each([
    ['a redirect', unsignedReply(302), 'HTTP_302'],
    ['an expired address', unsignedReply(401, '{"code":"SIGN_ERROR"}'), 'HTTP_401'],
    ['no answer', lostReply(), 'NO_ANSWER'],
  ] as [string, Reply, string][])('%s is an error', async (_name, answer, code) => {
    const { pay } = platform([named(), answer]);
    await expect(pay.downloadTradeBill(DATE)).rejects.toMatchObject({ outcome: 'unknown', code });
  });
});

describe('a file that must not be believed fails its stream', () => {
  const altered = Buffer.from(PLAIN);
  altered[600] = (altered[600] ?? 0) ^ 1;
  const zipped = gzipSync(PLAIN);
  const zeros = gzipSync(Buffer.alloc(20_000_000));
  const broken: Reply = () =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(PLAIN.subarray(0, 700));
          controller.error(new Error('ECONNRESET'));
        },
      }),
    );

  it.each([
    ['one byte changed', file(altered)],
    ['cut short', file(PLAIN.subarray(0, 1000))],
    ['one byte too many', file(Buffer.concat([PLAIN, Buffer.from(' ')]))],
    ['empty', file(new Uint8Array())],
    ['zipped and cut short', file(zipped.subarray(0, zipped.length - 20))],
    ['zipped and damaged', file(Buffer.concat([zipped.subarray(0, 60), zipped.subarray(61)]))],
    ['zipped, but a page’s', file(gzipSync('<html>'))],
    ['lost on the way', broken],
    ['a bomb of 20 MB in 20 KB', file(zeros)],
    ['larger than the limit', file(Buffer.alloc(2_000_000, 0x61))],
  ])('%s', async (_name, answer) => {
    const { bill } = await streamOf([named(), answer], { max_bill_bytes: 1_000_000 });
    await expect(text(bill.stream)).rejects.toMatchObject({ outcome: 'unknown', code: 'BAD_ANSWER' });
  });

  /** A file that never ends, made of this piece. */
  const endless =
    (piece: Uint8Array): Reply =>
    () =>
      new Response(new ReadableStream({ pull: (controller) => controller.enqueue(piece) }));

  it.each([
    ['of plain text', Buffer.alloc(65_536, 0x61)],
    ['of zipped nothings', Buffer.concat(Array.from({ length: 1000 }, () => gzipSync('')))],
  ])('one without end, %s, ends at the limit', async (_name, piece) => {
    const { bill } = await streamOf([named(), endless(piece)], { max_bill_bytes: 1_000_000 });
    await expect(text(bill.stream)).rejects.toThrow('longer than 1000000 bytes');
  });

  it('a bomb hands on no more than the limit', async () => {
    const { bill } = await streamOf([named(), file(zeros)], { max_bill_bytes: 1_000_000 });
    let handed_on = 0;
    const count = async (): Promise<void> => {
      for await (const chunk of bill.stream) handed_on += chunk.byteLength;
    };
    await expect(count()).rejects.toThrow('longer than 1000000 bytes');
    expect(handed_on).toBeLessThanOrEqual(1_000_000);
  });

  it('a digest over the zipped bytes is not the bill’s', async () => {
    const hash_value = createHash('sha1').update(zipped).digest('hex');
    const { bill } = await streamOf([named({ hash_value }), file(zipped)]);
    await expect(text(bill.stream)).rejects.toMatchObject({ code: 'BAD_ANSWER' });
  });

  it('one that stops coming ends after timeout_ms', async () => {
    let stopped = false;
    const stalled: Reply = () =>
      new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(PLAIN.subarray(0, 700)),
          cancel: () => {
            stopped = true;
          },
        }),
      );
    const { bill } = await streamOf([named(), stalled], { timeout_ms: 40 });
    await expect(text(bill.stream)).rejects.toMatchObject({ code: 'BAD_ANSWER' });
    expect(stopped).toBe(true);
  });

  it('a reader who leaves early ends the download', async () => {
    let sent = 0;
    let cancelled = false;
    const endless: Reply = () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            sent += 1;
            controller.enqueue(Buffer.alloc(65_536, 0x61));
          },
          cancel() {
            cancelled = true;
          },
        }),
      );
    const { bill } = await streamOf([named(), endless]);
    const reader = bill.stream.getReader();
    await reader.read();
    await reader.cancel();
    expect(cancelled).toBe(true);
    expect(sent).toBeLessThan(16);
  });

  it('a slow reader holds little: the file waits on the line', async () => {
    let sent = 0;
    const endless: Reply = () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            sent += 65_536;
            controller.enqueue(Buffer.alloc(65_536, 0x61));
          },
        }),
      );
    const { bill } = await streamOf([named(), endless], { timeout_ms: 20 });
    const reader = bill.stream.getReader();
    await reader.read();
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(sent).toBeLessThan(1_000_000);
    // Longer than timeout_ms, yet no fault of the line.
    expect((await reader.read()).done).toBe(false);
    await reader.cancel();
  });
});
