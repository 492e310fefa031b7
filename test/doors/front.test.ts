/** What stands before Next: the server Next would make, made in its place with a listener that only echoes. */
import { once } from 'node:events';
import http from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { patience, standInFront } from '../../lib/front.ts';

/** A server made as Next makes its own, after the front was put there; answers with the caller it was told. */
async function serve(trusted_proxies: number, secure = false) {
  const before = http.createServer;
  standInFront({ trusted_proxies, secure });
  const server = http.createServer((incoming, outgoing) => {
    outgoing.end(`seen ${String(incoming.headers['x-forwarded-for'])}`);
  });
  expect(http.createServer).toBe(before);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

/** Everything a raw request hears. */
async function say(port: number, head: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let heard = '';
  socket.setEncoding('utf8').on('data', (text) => {
    heard += text;
  });
  socket.write(`${head}\r\nConnection: close\r\n\r\n`);
  await once(socket, 'close');
  return heard;
}

describe('who is calling', () => {
  const spoken = 'GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7';

  test('without a proxy, what the client says of itself is not believed', async () => {
    const { server, port } = await serve(0);
    expect(await say(port, spoken)).toContain('seen 127.0.0.1');
    server.close();
  });

  test('behind a proxy, what the proxy wrote stays', async () => {
    const { server, port } = await serve(1);
    expect(await say(port, spoken)).toContain('seen 6.6.6.6, 7.7.7.7');
    expect(await say(port, 'GET / HTTP/1.1\r\nHost: shop')).toContain('seen 127.0.0.1');
    server.close();
  });
});

test.each([
  ['TRACE / HTTP/1.1\r\nHost: shop', 405],
  ['OPTIONS * HTTP/1.1\r\nHost: shop', 400],
  ['GET /%E0%A4%A HTTP/1.1\r\nHost: shop', 400],
  ['GET http://elsewhere/ HTTP/1.1\r\nHost: shop', 400],
  ['GET / HTTP/1.1\r\nHost: user:word@shop', 400],
])('%j never reaches a handler: %i, and not a word', async (head, status) => {
  const { server, port } = await serve(0);
  const heard = await say(port, head);
  expect(heard).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(heard).toMatch(/\r\n\r\n$/);
  server.close();
});

test.each([
  'GET /pay/20261123183007ABCDEFGHJKMNPQRS?x=%E0%A4%A HTTP/1.1\r\nHost: shop.example.com',
  'GET /%E4%B8%AD HTTP/1.1\r\nHost: 127.0.0.1:3000',
  'GET / HTTP/1.1\r\nHost: [::1]:3000',
  'GET / HTTP/1.0',
])('%j is let through', async (head) => {
  const { server, port } = await serve(0);
  expect(await say(port, head)).toMatch(/^HTTP\/1.1 200 /);
  server.close();
});

test('a caller has seconds, not minutes, for its headers and its body', async () => {
  const { server } = await serve(0);
  expect(server.headersTimeout).toBe(patience.headersTimeout);
  expect(server.requestTimeout).toBe(patience.requestTimeout);
  server.close();
});

test('browsers are told to stay on https where the shop is reached so, and only there', async () => {
  for (const secure of [true, false]) {
    const { server, port } = await serve(0, secure);
    for (const head of ['GET / HTTP/1.1\r\nHost: shop', 'TRACE / HTTP/1.1\r\nHost: shop']) {
      const heard = await say(port, head);
      expect(heard.includes('Strict-Transport-Security: max-age=31536000\r\n')).toBe(secure);
    }
    server.close();
  }
});

test('a wish for another protocol is an ordinary request: nobody keeps its socket', async () => {
  const { server, port } = await serve(0);
  let kept = 0;
  server.on('upgrade', () => {
    kept += 1;
  });
  const head = 'GET /orders/ HTTP/1.1\r\nHost: shop\r\nUpgrade: websocket';
  expect(await say(port, `${head}\r\nConnection: Upgrade`)).toContain('seen 127.0.0.1');
  expect(kept).toBe(0);
  server.close();
});
