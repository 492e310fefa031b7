/** The bench of the bill on a small one: it measures what it says, and notices when rows are missing. */
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readTradeBill } from '../../lib/wechat/index.ts';
import { measureBill } from '../../scripts/bench/bill.ts';
import { writeBill } from '../../scripts/bench/bill_file.ts';
import { makeAccount } from '../../scripts/bench/messages.ts';
import { createRandom } from '../../scripts/bench/random.ts';
import { asText } from '../../scripts/bench/report.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';

let database: TestDatabase;
let client: pg.Client;
let dir: string;
beforeAll(async () => {
  database = await createTestDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  dir = mkdtempSync(join(tmpdir(), 'guitai-bench-test-'));
});
afterAll(async () => {
  await client.end();
  await database.drop();
  rmSync(dir, { recursive: true, force: true });
});

const random = createRandom(3);
const account = makeAccount(random);

/** As much of the bench's site as a bill needs. */
const site = () => ({
  account,
  random,
  life: { signal: new AbortController().signal, onEnd: () => undefined, fail: () => undefined },
  settings: {
    PUBLIC_URL: 'http://127.0.0.1:1',
    SESSION_PASSWORD: 'a password that only this test knows, 0123456789',
    SHOP_NAME: '柜台小店',
    WECHAT_APPID: account.appid,
    WECHAT_APP_SECRET: '0'.repeat(32),
    WECHAT_MCH_ID: account.mch_id,
    WECHAT_API_V2_KEY: account.api_v2_key,
    GUITAI_ALLOW_SIMULATOR: 'yes',
    GUITAI_NO_REAL_MONEY: 'yes',
  },
  databases: async () => ({ counter_url: database.url, counter: client, peer_url: '', peer: client }),
});

test('the bill it writes is one, and its CSV has the same rows', async () => {
  const file = await writeBill(dir, account, random, 1_003);
  const plain = gunzipSync(await readFile(file.gzip_path));
  const rows: string[] = [];
  const summary = await readTradeBill(new Blob([new Uint8Array(plain)]).stream(), (row) => {
    rows.push(`${row.out_trade_no} ${row.out_refund_no} ${row.total_fen} ${row.refund_fen} ${row.fee_e5}`);
    return undefined;
  });
  expect(summary).toMatchObject({ rows: 1_003, refunds: 100, payment_fen: file.payment_fen });
  const csv = (await readFile(file.csv_path, 'utf8')).trimEnd().split('\n');
  const copied = csv.map((line) => {
    const values = line.split(',').map((value) => (value === '""' ? '' : value));
    return [values[5], values[12], values[14], values[15], values[16]].join(' ');
  });
  expect(copied).toEqual(rows);
});

test('two thousand rows: seconds, memory and two goals, and the bill is kept', async () => {
  const measure = await measureBill(site(), { rows: 2_000, rounds: 1 });
  const [ours, copy] = measure.parties;
  for (const party of [ours, copy]) {
    expect(party?.figure).toBeGreaterThan(0);
    expect(party?.details['peak MB']).toBeGreaterThan(20);
  }
  expect(measure.comparisons.map(({ goal }) => goal)).toEqual([
    { relation: '≤', ratio: 4 },
    { relation: '≤', ratio: 1 },
  ]);
  const text = asText({ command: 'npm run bench', machine: 'a desk', measures: [measure] });
  for (const part of ['A trade bill of 2,000 rows', 'peak MB', 'plain COPY', 'fewer than the 1,000,000']) {
    expect(text.replace(/\s+/g, ' ')).toContain(part);
  }
  const { rows } = await client.query('SELECT count(*)::int AS parts FROM statement_chunk');
  expect(rows).toEqual([{ parts: 1 }]);
}, 60_000);

test('an import that fails is a fault, not a number', async () => {
  const broken = { ...site(), account: { ...account, appid: 'with,a comma' } };
  await expect(measureBill(broken, { rows: 100, rounds: 1 })).rejects.toThrow(/ended with code/);
}, 60_000);
