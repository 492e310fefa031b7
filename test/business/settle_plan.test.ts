/** How PostgreSQL runs the settling statement: by the keys of what it settles, however many trades there are. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Db, openDb } from '../../lib/db.ts';
import { settleBatch } from '../../lib/settle.ts';
import { counterBooks } from '../../scripts/bench/books.ts';
import { makeAccount, makeTrades } from '../../scripts/bench/messages.ts';
import { createRandom } from '../../scripts/bench/random.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';
import { byNotification, paidReport } from '../setup/rows.ts';

let database: TestDatabase;
let client: pg.Client;
let db: Db;

beforeAll(async () => {
  database = await createTestDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  db = openDb(database.url, { connections: 1 });
});
afterAll(async () => {
  await db.$disconnect();
  await client.end();
  await database.drop();
});

const random = createRandom(1);
const account = makeAccount(random);

test.each(['before statistics were gathered', 'with statistics'])(
  'no table is read whole, %s',
  async (when) => {
    const trades = makeTrades(random, 4_000);
    await counterBooks(client, account).add(trades);
    if (when === 'with statistics') await client.query('ANALYZE');
    // The statement as settleBatch sends it, explained as the plan that a prepared statement ends with.
    const sent: { text: string; values: unknown[] }[] = [];
    const listening = Object.create(db, {
      $queryRaw: {
        value: async (sql: { text: string; values: unknown[] }) => {
          sent.push({ text: sql.text, values: sql.values });
          return [];
        },
      },
    }) as Db;
    const batch = trades.slice(0, 64).map((trade) => byNotification(paidReport(trade)));
    await settleBatch(listening, new Date(), batch);
    const [statement] = sent;
    if (statement === undefined) throw new Error('nothing was sent');
    await client.query('SET plan_cache_mode = force_generic_plan');
    await client.query(`PREPARE settle (text) AS ${statement.text}`);
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(
      `EXPLAIN EXECUTE settle (${client.escapeLiteral(String(statement.values[0]))})`,
    );
    await client.query('DEALLOCATE settle');
    const plan = rows.map((row) => row['QUERY PLAN']);
    expect(
      plan.filter((line) => line.includes('Index Scan') && line.includes('on trade t')).length,
    ).toBeGreaterThan(0);
    expect(plan.filter((line) => line.includes('Seq Scan'))).toEqual([]);
  },
);
