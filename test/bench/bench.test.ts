/** The bench itself: its numbers, its messages, and above all that it notices when a server only seems fast. */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '../../lib/config.ts';
import { type Context, createContext } from '../../lib/context.ts';
import { openDoor } from '../../lib/door.ts';
import { counterBooks, peerBooks, peerTables } from '../../scripts/bench/books.ts';
import { runLoad } from '../../scripts/bench/load.ts';
import { type BenchMessage, makeAccount, makeMessages, makeTrades } from '../../scripts/bench/messages.ts';
import { createRandom } from '../../scripts/bench/random.ts';
import { asJson, asMarkdown, asText } from '../../scripts/bench/report.ts';
import { allKept, type Measure, outcomeOf } from '../../scripts/bench/results.ts';
import { median, quantile, ratioOfRounds, turnsOf } from '../../scripts/bench/statistics.ts';
import { createTestDatabase } from '../setup/database.ts';

describe('numbers', () => {
  test('medians and quantiles', () => {
    expect(median([5, 1, 3])).toBe(3);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(quantile([1, 2, 3, 4, 5], 0.99)).toBeCloseTo(4.96);
    expect(median([])).toBeNaN();
  });

  test('a machine that halves its speed in the middle of the run does not change a ratio', () => {
    expect(ratioOfRounds([100, 100, 50, 50], [200, 200, 100, 100])).toBe(0.5);
  });

  test('who comes first in one round comes last in the next', () => {
    expect([0, 1, 2].map((round) => turnsOf(['a', 'b', 'c'], round).join(''))).toEqual(['abc', 'cba', 'abc']);
  });
});

describe('goals', () => {
  const measure = (ratio: number, relation: '≥' | '≤', goal: number): Measure => ({
    id: 'speed',
    title: 'Speed',
    unit: 'per second',
    parties: [{ name: 'ours', figure: 1_234, rounds: [1_234], details: { 'p99 ms': 4.5678 } }],
    comparisons: [
      { peer: 'ours ÷ theirs', ratio, goal: { relation, ratio: goal } },
      { peer: 'ours ÷ another', ratio: 0.001 },
    ],
    conditions: 'on paper',
  });

  test.each([
    [1, '≥', 1, true],
    [0.99, '≥', 1, false],
    [1.3, '≤', 1.3, true],
    [1.31, '≤', 1.3, false],
    [Number.NaN, '≥', 1, false],
    [Number.NaN, '≤', 1, false],
  ] as const)('%d %s %d is kept: %s', (ratio, relation, goal, kept) => {
    expect(allKept([measure(ratio, relation, goal)])).toBe(kept);
  });

  test('what has no goal is information and fails nothing', () => {
    expect(outcomeOf({ peer: 'x', ratio: 0 })).toBe('information');
  });

  test('each shape of the report tells figure, ratio, goal and outcome', () => {
    const report = { command: 'npm run bench --', machine: 'a desk', measures: [measure(0.5, '≥', 1)] };
    for (const text of [asText(report), asMarkdown(report)]) {
      for (const part of ['npm run bench', 'a desk', '1,234', '4.57', '0.50', '≥ 1', 'FAIL', 'on paper']) {
        expect(text).toContain(part);
      }
    }
    expect(JSON.parse(asJson(report)).measures[0].comparisons[0]).toMatchObject({
      ratio: 0.5,
      outcome: 'fail',
    });
  });
});

describe('messages', () => {
  const make = (seed: number): BenchMessage[] => {
    const random = createRandom(seed);
    return makeMessages(random, makeAccount(random), makeTrades(random, 100), 0.1);
  };

  test('one for each trade, a tenth of them twice, about a kilobyte, the same for the same seed', () => {
    const messages = make(7);
    expect(messages).toHaveLength(110);
    expect(new Set(messages.map(({ trade }) => trade.out_trade_no)).size).toBe(100);
    expect(new Set(messages.map(({ body }) => body.toString())).size).toBe(100);
    for (const { body } of messages) expect(Math.abs(body.length - 1_100)).toBeLessThan(150);
    expect(make(7)).toEqual(messages);
    expect(make(8)).not.toEqual(messages);
  });
});

describe('a turn', () => {
  const random = createRandom(1);
  const account = makeAccount(random);
  const signal = new AbortController().signal;
  let client: pg.Client;
  let ctx: Context;
  let server: Server | undefined;

  beforeAll(async () => {
    const database = await createTestDatabase();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query(peerTables);
    ctx = createContext(
      readConfig({
        DATABASE_URL: database.url,
        PUBLIC_URL: 'https://shop.example.com',
        SESSION_PASSWORD: 'a password that only this test knows, 0123456789',
        SHOP_NAME: '柜台小店',
        WECHAT_APPID: account.appid,
        WECHAT_APP_SECRET: 'a'.repeat(32),
        WECHAT_MCH_ID: account.mch_id,
        WECHAT_API_V2_KEY: account.api_v2_key,
        WECHAT_SIGN_TYPE: 'MD5',
        LOG_LEVEL: 'silent',
      }),
    );
  });
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
    server = undefined;
  });
  afterAll(async () => {
    await ctx.close();
    await client.end();
  });

  const serve = async (listener: RequestListener): Promise<string> => {
    server = createServer(listener);
    const listening = server;
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(listening.address() as AddressInfo).port}/notify`;
  };
  const send = async (url: string, messages: readonly BenchMessage[]) => {
    const acknowledged = new Set<string>();
    let refused = 0;
    const result = await runLoad({
      url,
      messages,
      connections: 8,
      signal,
      onAnswer: ({ trade }, status, body) => {
        if (status === 200 && body.includes('SUCCESS')) acknowledged.add(trade.out_trade_no);
        else refused += 1;
      },
    });
    return { result, turn: { messages, acknowledged, refused } };
  };
  const fresh = async () => {
    const trades = makeTrades(random, 100);
    await counterBooks(client, account).add(trades);
    return makeMessages(random, account, trades, 0.1);
  };

  test('with the real door: every message is answered once, and the books have no fault', async () => {
    const messages = await fresh();
    const door = await openDoor(ctx, '127.0.0.1', 0);
    const { result, turn } = await send(`${door.origin}/api/notify/v2/payment`, messages);
    await door.close();
    expect(turn.refused).toBe(0);
    expect(result.per_s).toBeGreaterThan(0);
    expect(result.p99_ms).toBeGreaterThanOrEqual(result.p50_ms);
    expect(await counterBooks(client, account).faults(turn)).toEqual([]);
  });

  test('a server that says SUCCESS and writes nothing is found out', async () => {
    const messages = await fresh();
    const url = await serve((request, response) => {
      request.resume().on('end', () => response.end('<xml><return_code>SUCCESS</return_code></xml>'));
    });
    const { turn } = await send(url, messages);
    const faults = await counterBooks(client, account).faults(turn);
    expect(faults).toContain('trades paid: 0, expected 100');
    expect(faults).toContain('messages archived: 0, expected 110');
    expect(await peerBooks(client).faults(turn)).toContain('orders paid: 0, expected 100');
  });

  test('a server that refuses some is found out', async () => {
    const messages = await fresh();
    const [spared] = messages;
    const door = await openDoor(ctx, '127.0.0.1', 0);
    await client.query('UPDATE trade SET total_fen = total_fen + 1 WHERE out_trade_no = $1', [
      spared?.trade.out_trade_no,
    ]);
    const { turn } = await send(`${door.origin}/api/notify/v2/payment`, messages);
    await door.close();
    const faults = await counterBooks(client, account).faults(turn);
    expect(faults).toContain('trades acknowledged: 99, expected 100');
    expect(faults.join()).toMatch(/answers that were not SUCCESS: [12], expected 0/);
  });

  test('a server that hangs up on some is a fault, not a number', async () => {
    const messages = await fresh();
    let count = 0;
    const url = await serve((request, response) => {
      count += 1;
      if (count % 10 === 0) request.socket.destroy();
      else request.resume().on('end', () => response.end('SUCCESS'));
    });
    await expect(send(url, messages)).rejects.toThrow(/answered \d+ of 110 messages/);
  });
});
