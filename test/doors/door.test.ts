/** The lean door: the same handlers on a server of their own, its limits, its start and its end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '../../lib/config.ts';
import { type Context, createContext } from '../../lib/context.ts';
import { doorHandler, openDoor } from '../../lib/door.ts';
import { notificationLimit_bytes } from '../../lib/notify.ts';
import { createTestDatabase } from '../setup/database.ts';
import { account } from '../setup/rows.ts';

let ctx: Context;
let settings: Record<string, string>;

beforeAll(async () => {
  const database = await createTestDatabase();
  settings = {
    DATABASE_URL: database.url,
    PUBLIC_URL: 'https://shop.example.com',
    SESSION_PASSWORD: 'a password that only this test knows, 0123456789',
    SHOP_NAME: '柜台小店',
    WECHAT_APPID: account.appid,
    WECHAT_APP_SECRET: 'a'.repeat(32),
    WECHAT_MCH_ID: account.mch_id,
    WECHAT_API_V2_KEY: 'b'.repeat(32),
    LOG_LEVEL: 'silent',
  };
  ctx = createContext(readConfig(settings));
});
afterAll(async () => {
  await ctx.close();
});

/** What a raw connection hears until the other side closes it. */
async function hear(socket: Socket): Promise<string> {
  let heard = '';
  socket.setEncoding('utf8').on('data', (text) => {
    heard += text;
  });
  await once(socket, 'close');
  return heard;
}

const refused = '<return_code><![CDATA[FAIL]]></return_code>';
const payment = '/api/notify/v2/payment';

test('it answers every notify address that Next answers', async () => {
  const routes = readdirSync(new URL('../../app/api/notify', import.meta.url), {
    recursive: true,
    encoding: 'utf8',
  })
    .filter((file) => file.endsWith('route.ts'))
    .map((file) => `/api/notify/${file.slice(0, -'/route.ts'.length)}`);
  expect(routes).toContain(payment);
  const handle = doorHandler(ctx);
  for (const route of routes) {
    const answer = await handle(new Request(`http://door${route}`, { method: 'POST', body: 'nothing' }));
    expect([route, answer.status]).not.toEqual([route, 404]);
    expect(await answer.text()).toContain('FAIL');
  }
});

test('it serves its own health and nothing else', async () => {
  const handle = doorHandler(ctx);
  const ask = async (path: string, method = 'GET') =>
    (await handle(new Request(`http://door${path}`, { method }))).status;
  expect(await ask('/api/health/ready')).toBe(200);
  expect(await ask('/api/health/live')).toBe(200);
  expect(await ask('/api/orders', 'POST')).toBe(404);
  expect(await ask('/')).toBe(404);
  expect(await ask(payment)).toBe(405);
});

describe('over a socket', () => {
  const open = () => openDoor(ctx, '127.0.0.1', 0);
  const dial = (origin: string) => connect(Number(new URL(origin).port), '127.0.0.1');

  test('a body beyond the limit is refused without being read to its end, and the connection is closed', async () => {
    const door = await open();
    const socket = dial(door.origin);
    const claimed = notificationLimit_bytes * 1_000;
    socket.write(`POST ${payment} HTTP/1.1\r\nHost: shop\r\nContent-Length: ${claimed}\r\n\r\n`);
    socket.write(Buffer.alloc(notificationLimit_bytes + 1, 'a'));
    const heard = await hear(socket);
    expect(heard).toContain(refused);
    expect(heard).toContain('connection: close');
    await door.close();
  });

  test('a body cut into single bytes is the same message', async () => {
    const door = await open();
    const socket = dial(door.origin);
    const body = '<xml><return_code>SUCCESS</return_code></xml>';
    socket.setNoDelay(true);
    socket.write(
      `POST ${payment} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    for (const byte of body) {
      socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await hear(socket)).toContain('签名错误');
    await door.close();
  });

  test('an address that is none and a caller that hangs up leave the door standing', async () => {
    const door = await open();
    const strange = dial(door.origin);
    strange.write('GET http://elsewhere/ HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n');
    expect(await hear(strange)).toMatch(/^HTTP\/1\.1 400 /);
    const gone = dial(door.origin);
    gone.write(`POST ${payment} HTTP/1.1\r\nHost: shop\r\nContent-Length: 100\r\n\r\nhalf`);
    await once(gone, 'connect');
    gone.destroy();
    const answer = await fetch(`${door.origin}/api/health/live`);
    expect(await answer.json()).toEqual({ live: true });
    await door.close();
  });

  test('without a proxy the archived message names the caller, whatever it said; with one, what the proxy said', async () => {
    const direct = await open();
    const behind = await openDoor({ ...ctx, config: { ...ctx.config, TRUSTED_PROXIES: 1 } }, '127.0.0.1', 0);
    for (const [door, said, kept] of [
      [direct, undefined, '127.0.0.1'],
      [direct, '203.0.113.9', '127.0.0.1'],
      [behind, '203.0.113.9', '203.0.113.9'],
      [behind, undefined, '127.0.0.1'],
    ] as const) {
      const marker = crypto.randomUUID();
      await fetch(`${door.origin}${payment}`, {
        method: 'POST',
        body: marker,
        headers: said === undefined ? {} : { 'X-Forwarded-For': said },
      });
      const row = await ctx.db.notification.findFirstOrThrow({
        where: { body: Buffer.from(marker) },
      });
      expect(row.headers).toMatchObject({ 'x-forwarded-for': kept });
    }
    await direct.close();
    await behind.close();
  });

  test.each([
    ['TRACE / HTTP/1.1\r\nHost: shop', 405],
    ['OPTIONS * HTTP/1.1\r\nHost: shop', 400],
    ['GET /%E0%A4%A HTTP/1.1\r\nHost: shop', 400],
    ['GET / HTTP/1.1\r\nHost: user:word@shop', 400],
    ['GET / HTTP/1.1\r\nHost: shop:99999', 400],
    ['GET / HTTP/1.1\r\nHost: a b', 400],
  ])('%j is answered %i and nothing is thrown', async (head, status) => {
    const door = await open();
    const socket = dial(door.origin);
    socket.write(`${head}\r\nConnection: close\r\n\r\n`);
    const heard = await hear(socket);
    expect(heard).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(heard).toMatch(/\r\n\r\n$/);
    await door.close();
  });
});

describe('as a process', () => {
  const start = (changes: Record<string, string> = {}): ChildProcess =>
    spawn(process.execPath, [new URL('../../scripts/door.ts', import.meta.url).pathname], {
      env: { ...settings, DOOR_PORT: '0', NODE_ENV: 'production', ...changes },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const originOf = async (child: ChildProcess): Promise<string> => {
    if (child.stdout === null) throw new Error('no stdout');
    for await (const line of createInterface({ input: child.stdout })) {
      const [, origin] = /^door (.+)$/.exec(line) ?? [];
      if (origin !== undefined) return origin;
    }
    throw new Error('it ended before it was open');
  };

  test('told to stop, it finishes the message it has begun and ends with 0', async () => {
    const child = start();
    const ended = once(child, 'exit');
    const origin = await originOf(child);
    let answer: Promise<Response> | undefined;
    // While the table is locked the message cannot be archived, and so not answered.
    await ctx.db.$transaction(async (tx) => {
      await tx.$executeRaw`LOCK TABLE notification IN ACCESS EXCLUSIVE MODE`;
      answer = fetch(`${origin}${payment}`, { method: 'POST', body: 'nothing' });
      await waitUntilBlocked();
      child.kill('SIGTERM');
      await expect.poll(() => refusesConnections(origin)).toBe(true);
    });
    const text = await (await answer)?.text();
    expect(text).toContain(refused);
    expect(await ended).toEqual([0, null]);
  });

  async function waitUntilBlocked(): Promise<void> {
    await expect
      .poll(async () => {
        const [row] = await ctx.db.$queryRaw<{ blocked: bigint }[]>`
          SELECT count(*) AS blocked FROM pg_locks WHERE NOT granted`;
        return Number(row?.blocked);
      })
      .toBeGreaterThan(0);
  }

  function refusesConnections(origin: string): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(Number(new URL(origin).port), '127.0.0.1');
      socket.once('connect', () => {
        socket.destroy();
        resolve(false);
      });
      socket.once('error', () => resolve(true));
    });
  }

  test('a wrong setting is told with all the others, and it does not start', async () => {
    const child = start({ DATABASE_URL: 'nowhere', WECHAT_MCH_ID: 'x', SHOP_NAME: '' });
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
    const [code] = await once(child, 'close');
    expect(code).toBe(1);
    for (const setting of ['DATABASE_URL', 'WECHAT_MCH_ID', 'SHOP_NAME'])
      expect(said).toContain(`${setting}:`);
    expect(said).not.toContain('nowhere');
  });

  test('a port that is taken is told in a sentence', async () => {
    const door = await openDoor(ctx, '127.0.0.1', 0);
    const child = start({ DOOR_PORT: new URL(door.origin).port });
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
    const [code] = await once(child, 'close');
    expect(code).toBe(1);
    expect(said).toMatch(/^The door cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/);
    await door.close();
  });
});
