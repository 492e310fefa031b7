/**
 * The v3 client over a real socket, where answers stall, break off and come in pieces: what fake fetches cannot show.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, expect, it } from 'vitest';
import { createWechatPayV3, type WechatPayV3 } from '../../lib/wechat/v3/client.ts';
import { API_V3_KEY, APPID, MCH_ID, PUBLIC_KEY_ID, signedHeaders } from './v3-platform.ts';
import { MERCHANT_KEY_PEM, PLATFORM_PUBLIC_KEY_PEM, V17_PLAINTEXT, V21_BILL } from './v3-published.ts';

const ORDER = '1217752501201407033233368018';
let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function merchantOf(listener: RequestListener): Promise<{ pay: WechatPayV3; origin: string }> {
  const started = createServer(listener);
  server = started;
  await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(started.address() as AddressInfo).port}`;
  const pay = createWechatPayV3(
    {
      appid: APPID,
      mch_id: MCH_ID,
      merchant_private_key_pem: MERCHANT_KEY_PEM,
      merchant_serial_no: '408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB',
      api_v3_key: API_V3_KEY,
      platform_public_key: { id: PUBLIC_KEY_ID, pem: PLATFORM_PUBLIC_KEY_PEM },
      base_url: origin,
      timeout_ms: 1_000,
    },
    { fetch, now: () => new Date(), nonce: () => 'abc123' },
  );
  return { pay, origin };
}

const sign = (body: string): Record<string, string> => signedHeaders(body, undefined, new Date());

it('a signed answer in pieces is read whole, and a signed 204 closes', async () => {
  const { pay } = await merchantOf((request, response) => {
    if (request.method === 'POST') return response.writeHead(204, sign('')).end();
    response.writeHead(200, sign(V17_PLAINTEXT));
    const bytes = Buffer.from(V17_PLAINTEXT);
    for (let at = 0; at < bytes.length; at += 7) response.write(bytes.subarray(at, at + 7));
    response.end();
  });
  expect((await pay.queryTrade(ORDER)).report.trade_state_desc).toBe('支付成功');
  expect((await pay.closeTrade(ORDER)).outcome).toBe('closed');
});

it('asks for no encoding, so that nothing between changes the signed bytes', async () => {
  let accepted: string | undefined;
  const { pay } = await merchantOf((request, response) => {
    accepted = String(request.headers['accept-encoding']);
    response.writeHead(200, sign(V17_PLAINTEXT)).end(V17_PLAINTEXT);
  });
  await pay.queryTrade(ORDER);
  expect(accepted).toBe('identity');
});

it('follows no redirect', async () => {
  const paths: (string | undefined)[] = [];
  const { pay } = await merchantOf((request, response) => {
    paths.push(request.url);
    response.writeHead(307, { location: '/elsewhere' }).end();
  });
  await expect(pay.queryTrade(ORDER)).rejects.toMatchObject({ outcome: 'unknown', code: 'HTTP_307' });
  expect(paths).toHaveLength(1);
});

it.each([
  ['never answers', () => undefined],
  ['hangs up', (_request, response) => response.destroy()],
  ['begins to answer and stalls', (_request, response) => response.writeHead(200).write('{"trade_state":')],
  [
    'hangs up in the middle',
    (_request, response) => {
      response.writeHead(200, { 'content-length': '500' }).write('{"trade_state":"SUCC');
      setTimeout(() => response.destroy(), 10);
    },
  ],
] as [string, RequestListener][])(
  'a platform that %s leaves the outcome unknown',
  async (_name, listener) => {
    const { pay } = await merchantOf(listener);
    await expect(pay.queryTrade(ORDER)).rejects.toMatchObject({ outcome: 'unknown', code: 'NO_ANSWER' });
  },
);

it('nobody at the address: unknown', async () => {
  const { pay } = await merchantOf(() => undefined);
  server?.close();
  await expect(pay.queryTrade(ORDER)).rejects.toMatchObject({ outcome: 'unknown', code: 'NO_ANSWER' });
});

it.each(['whole', 'stalling', 'broken off'])('a bill over a real line, %s', async (kind) => {
  const file = gzipSync(V21_BILL);
  const { pay, origin } = await merchantOf((request, response) => {
    if (request.url?.startsWith('/v3/bill/')) {
      const body = JSON.stringify({
        hash_type: 'SHA1',
        hash_value: 'eff39ea93691a139e5d4ba5b854c5220c3703660',
        download_url: `${origin}/v3/billdownload/file?token=1`,
      });
      return response.writeHead(200, sign(body)).end(body);
    }
    response.writeHead(200, { 'content-length': String(file.length) });
    if (kind === 'whole') return response.end(file);
    response.write(file.subarray(0, 200));
    if (kind === 'broken off') setTimeout(() => response.destroy(), 10);
  });
  const bill = await pay.downloadTradeBill('2026-09-09');
  const read = bill.outcome === 'bill' ? new Response(bill.stream).text() : expect.fail(bill.outcome);
  if (kind === 'whole') expect(await read).toBe(V21_BILL.slice(1));
  else await expect(read).rejects.toMatchObject({ outcome: 'unknown', code: 'BAD_ANSWER' });
});
