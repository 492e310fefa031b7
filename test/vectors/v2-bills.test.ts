/**
 * Bills under v2: text or gzip told from XML errors by the first bytes, streamed, and never half of one taken for a
 * whole one.
 */
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { Hash } from 'wechatpay-axios-plugin';
import {
  createWechatPayV2,
  type DownloadedBill,
  type Ports,
  parseXml,
  WechatError,
  type WechatPay,
} from '../../lib/wechat/index.ts';

const KEY = '192006250b4c09247ec02edce69f6a2d';
const TIMEOUT_MS = 250;

/** Shape and first row as in WxJava's WxPayBillResultTest (2019), ids changed. */
const BILL = `\ufeff交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注\r
\`2021-10-24 21:31:47,\`wx2421b1c4370ec43b,\`10000100,\`0,\`,\`4200001118202110248678272487,\`201210240000023,\`oePyf52e7mpMJjSrTpbig7qiy0ZE,\`MWEB,\`SUCCESS,\`OTHERS,\`CNY,\`0.01,\`0.00,\`0,\`0,\`0.00,\`0.00,\`,\`,\`测试商品,\`,\`0.00000,\`0.60%,\`0.01,\`0.00,\`\r
总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\r
\`1,\`0.01,\`0.00,\`0.00,\`0.00000,\`0.01,\`0.00\r
`;

function streamOf(parts: Iterable<Uint8Array>, end: 'close' | 'error' | 'stall' = 'close'): Response {
  const left = [...parts];
  return new Response(
    new ReadableStream<Uint8Array>({
      pull(controller) {
        const part = left.shift();
        if (part !== undefined) controller.enqueue(part);
        else if (end === 'close') controller.close();
        else if (end === 'error') controller.error(new TypeError('terminated'));
        else return new Promise(() => undefined);
        return undefined;
      },
    }),
  );
}

function pieces(whole: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(whole.length / size) }, (_, n) =>
    whole.subarray(n * size, (n + 1) * size),
  );
}

function clientWith(
  answer: () => Response | Promise<Response>,
  sign_type: 'MD5' | 'HMAC-SHA256' = 'MD5',
): { pay: WechatPay; sent: { url: string; fields: Record<string, string> }[]; signals: AbortSignal[] } {
  const signals: AbortSignal[] = [];
  const sent: { url: string; fields: Record<string, string> }[] = [];
  const fetch: typeof globalThis.fetch = async (url, init = {}) => {
    sent.push({ url: String(url), fields: { ...parseXml(Buffer.from(String(init.body))) } });
    if (init.signal) signals.push(init.signal);
    const response = await answer();
    if (response.body === null) return response;
    // As a real network does, an abort reaches the body as well.
    const line = new TransformStream<Uint8Array, Uint8Array>();
    response.body.pipeTo(line.writable, init.signal ? { signal: init.signal } : {}).catch(() => undefined);
    return new Response(line.readable, { status: response.status, headers: response.headers });
  };
  const ports: Ports = {
    fetch,
    fetch_with_certificate: fetch,
    now: () => new Date(0),
    nonce: () => 'n'.repeat(32),
  };
  const pay = createWechatPayV2(
    {
      appid: 'wx2421b1c4370ec43b',
      mch_id: '10000100',
      api_v2_key: KEY,
      sign_type,
      base_url: 'https://api.mch.weixin.qq.com',
      timeout_ms: TIMEOUT_MS,
    },
    ports,
  );
  return { pay, sent, signals };
}

async function bytesOf(bill: DownloadedBill): Promise<Buffer> {
  if (bill.outcome !== 'bill') throw new Error(`no bill: ${bill.outcome}`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of bill.stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function failure(promise: Promise<unknown>): Promise<WechatError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof WechatError)) throw new Error('no WechatError', { cause: error });
  return error;
}

const xml = (fields: Record<string, string>): string =>
  `<xml>${Object.entries(fields)
    .map(([name, value]) => `<${name}><![CDATA[${value}]]></${name}>`)
    .join('')}</xml>`;

describe('asking for a bill', () => {
  it('of trades: the day without dashes, zipped, signed as the account signs', async () => {
    const { pay, sent } = clientWith(() => new Response(BILL));
    await pay.downloadTradeBill('2025-07-04');
    const [
      {
        url,
        fields: { sign, ...fields },
      } = { url: '', fields: {} as Record<string, string> },
    ] = sent;
    expect(url).toBe('https://api.mch.weixin.qq.com/pay/downloadbill');
    expect(fields).toEqual({
      appid: 'wx2421b1c4370ec43b',
      mch_id: '10000100',
      nonce_str: 'n'.repeat(32),
      sign_type: 'MD5',
      bill_date: '20250704',
      bill_type: 'ALL',
      tar_type: 'GZIP',
    });
    expect(sign).toBe(Hash.sign('MD5', fields, KEY));
  });

  it.each([
    [undefined, 'Basic'],
    ['BASIC', 'Basic'],
    ['OPERATION', 'Operation'],
    ['FEES', 'Fees'],
  ] as const)('of funds for %s: always HMAC-SHA256, the account as %s', async (account, account_type) => {
    const { pay, sent } = clientWith(() => new Response(BILL), 'MD5');
    await pay.downloadFundFlowBill('2025-07-04', account);
    const [
      {
        url,
        fields: { sign, ...fields },
      } = { url: '', fields: {} as Record<string, string> },
    ] = sent;
    expect(url).toBe('https://api.mch.weixin.qq.com/pay/downloadfundflow');
    expect(fields).toMatchObject({
      bill_date: '20250704',
      account_type,
      tar_type: 'GZIP',
      sign_type: 'HMAC-SHA256',
    });
    expect(sign).toBe(Hash.sign('HMAC-SHA256', fields, KEY));
  });

  it.each(['20250704', '2025-02-30', '', '2025-07-04&x=1'])('not for the day %j', async (day) => {
    const { pay, sent } = clientWith(() => new Response(BILL));
    expect(await failure(pay.downloadTradeBill(day))).toMatchObject({
      outcome: 'refused',
      code: 'PARAM_ERROR',
    });
    expect(await failure(pay.downloadFundFlowBill(day))).toMatchObject({
      outcome: 'refused',
      code: 'PARAM_ERROR',
    });
    expect(sent).toEqual([]);
  });
});

describe('a bill arrives', () => {
  const plain = Buffer.from(BILL);
  const zipped = gzipSync(plain);

  it.each([
    ['zipped', zipped],
    ['plain', plain],
    ['plain without a mark', Buffer.from(BILL.slice(1))],
  ])('%s, in pieces of any size', async (_name, body) => {
    const expected = body === zipped ? plain : body;
    for (const size of [1, 2, 3, 7, 1000, 100_000]) {
      const { pay } = clientWith(() => streamOf(pieces(body, size)));
      expect((await bytesOf(await pay.downloadTradeBill('2025-07-04'))).equals(expected)).toBe(true);
    }
  });

  it('keeps the exchange, without the bill in it', async () => {
    const { pay } = clientWith(() => new Response(zipped, { headers: { 'Request-ID': '08F7' } }));
    const bill = await pay.downloadTradeBill('2025-07-04');
    expect(bill.exchange).toMatchObject({ path: '/pay/downloadbill', status: 200, request_id: '08F7' });
    expect(bill.exchange).not.toHaveProperty('response_body');
    await bytesOf(bill);
  });

  it('is not hurried when its reader is slow', async () => {
    const { pay } = clientWith(() => streamOf(pieces(zipped, 50)));
    const bill = await pay.downloadTradeBill('2025-07-04');
    await new Promise((resolve) => setTimeout(resolve, TIMEOUT_MS * 2));
    expect((await bytesOf(bill)).equals(plain)).toBe(true);
  });

  it('is fetched no further than it is read', async () => {
    let pulled = 0;
    const endless = new Response(
      new ReadableStream<Uint8Array>({
        pull(controller) {
          pulled += 1;
          controller.enqueue(Buffer.alloc(100_000, '`'));
        },
      }),
    );
    const bill = await clientWith(() => endless).pay.downloadTradeBill('2025-07-04');
    if (bill.outcome !== 'bill') throw new Error('no bill');
    const reader = bill.stream.getReader();
    await reader.read();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(pulled).toBeLessThan(20);
    await reader.cancel();
  });

  it.each<[string, () => Response, string]>([
    [
      'a zipped bill that ends too soon',
      () => streamOf([zipped.subarray(0, zipped.length - 20)]),
      'BAD_ANSWER',
    ],
    ['a damaged zip', () => streamOf([zipped.subarray(0, 40), Buffer.alloc(200, 7)]), 'BAD_ANSWER'],
    ['a zipped bill on a line that breaks', () => streamOf([zipped.subarray(0, 100)], 'error'), 'NO_ANSWER'],
    ['a plain bill on a line that breaks', () => streamOf([plain.subarray(0, 100)], 'error'), 'NO_ANSWER'],
    ['a bill that stalls', () => streamOf([plain.subarray(0, 100)], 'stall'), 'NO_ANSWER'],
  ])('%s fails as a stream and never ends as a whole one', async (_name, answer, code) => {
    const bill = await clientWith(answer).pay.downloadTradeBill('2025-07-04');
    expect(bill.outcome).toBe('bill');
    expect(await failure(bytesOf(bill))).toMatchObject({ outcome: 'unknown', code });
  });
});

describe('a line that is not needed any more is let go', () => {
  const endless = (first: string, status = 200): Response =>
    new Response(
      new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(Buffer.from(first)),
        pull: (controller) => controller.enqueue(Buffer.alloc(1000, 'x')),
      }),
      { status },
    );

  it.each<[string, Response, (pay: WechatPay) => Promise<unknown>]>([
    ['after an error page', endless('<html>', 502), (pay) => failure(pay.downloadTradeBill('2025-07-04'))],
    ['after a page too long', endless('<html>'), (pay) => failure(pay.downloadTradeBill('2025-07-04'))],
    [
      'when the reader leaves',
      endless('交易时间,'),
      async (pay) => {
        const bill = await pay.downloadTradeBill('2025-07-04');
        if (bill.outcome !== 'bill') throw new Error('no bill');
        await bill.stream.cancel();
      },
    ],
    [
      'when the reader leaves a zipped one',
      streamOf(pieces(gzipSync(BILL.repeat(1000), { level: 0 }), 1000)),
      async (pay) => {
        const bill = await pay.downloadTradeBill('2025-07-04');
        if (bill.outcome !== 'bill') throw new Error('no bill');
        const reader = bill.stream.getReader();
        await reader.read();
        await reader.cancel();
      },
    ],
  ])('%s', async (_name, answer, ask) => {
    const { pay, signals } = clientWith(() => answer);
    await ask(pay);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(signals.map((signal) => signal.aborted)).toEqual([true]);
  });
});

describe('no bill arrives', () => {
  const fail = (return_msg: string, more = {}): Response =>
    new Response(xml({ return_code: 'FAIL', return_msg, ...more }));

  it.each<[string, () => Response, string]>([
    ['No Bill Exist, as WeChat writes it', () => fail('No Bill Exist', { error_code: '20002' }), 'no_bill'],
    ['NO Bill Exist, as its page has it', () => fail('NO Bill Exist'), 'no_bill'],
    ['Bill Creating', () => fail('Bill Creating'), 'creating'],
    [
      'NO_BILL_EXIST as a code',
      () => fail('OK', { return_code: 'SUCCESS', result_code: 'FAIL', err_code: 'NO_BILL_EXIST' }),
      'no_bill',
    ],
    [
      'BILL_CREATING as a code, after blanks',
      () =>
        new Response(`\n ${xml({ return_code: 'SUCCESS', result_code: 'FAIL', err_code: 'BILL_CREATING' })}`),
      'creating',
    ],
  ])('%s', async (_name, answer, outcome) => {
    for (const ask of ['downloadTradeBill', 'downloadFundFlowBill'] as const) {
      const bill = await clientWith(answer).pay[ask]('2025-07-04');
      expect(bill).toMatchObject({ outcome, exchange: { status: 200 } });
      expect(bill.exchange.response_body).toContain('<xml>');
    }
  });

  it.each<[string, () => Response | Promise<Response>, string, string]>([
    ['SYSTEMERROR', () => fail('SYSTEMERROR'), 'unknown', 'SYSTEMERROR'],
    ['a zip error of WeChat', () => fail('CompressGZip Error'), 'unknown', 'RETURN_FAIL'],
    ['a wrong signature', () => fail('签名错误'), 'refused', 'SIGNERROR'],
    ['SIGN ERROR', () => fail('SIGN ERROR'), 'refused', 'SIGNERROR'],
    ['invalid bill_type', () => fail('invalid bill_type'), 'refused', 'PARAM_ERROR'],
    ['data format error', () => fail('data format error'), 'refused', 'PARAM_ERROR'],
    ['missing parameter', () => fail('missing parameter'), 'refused', 'LACK_PARAMS'],
    ['an HTML page', () => new Response('<html>busy</html>'), 'unknown', 'BAD_ANSWER'],
    ['an endless page', () => new Response(`<html>${'x'.repeat(1024 * 1024)}`), 'unknown', 'BAD_ANSWER'],
    ['an empty answer', () => new Response(''), 'unknown', 'BAD_ANSWER'],
    ['no body', () => new Response(null), 'unknown', 'BAD_ANSWER'],
    ['HTTP 502', () => new Response('<html>', { status: 502 }), 'unknown', 'HTTP_502'],
    ['a redirect', () => new Response(null, { status: 302 }), 'unknown', 'HTTP_302'],
    ['a line that fails', () => Promise.reject(new TypeError('fetch failed')), 'unknown', 'NO_ANSWER'],
    ['a line that breaks at once', () => streamOf([], 'error'), 'unknown', 'NO_ANSWER'],
    ['an answer that stalls at once', () => streamOf([], 'stall'), 'unknown', 'NO_ANSWER'],
    [
      'an XML answer that stalls',
      () => streamOf([Buffer.from('<xml><return')], 'stall'),
      'unknown',
      'NO_ANSWER',
    ],
  ])('%s', async (_name, answer, outcome, code) => {
    expect(await failure(clientWith(answer).pay.downloadTradeBill('2025-07-04'))).toMatchObject({
      outcome,
      code,
    });
  });
});
