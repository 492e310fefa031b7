// A demo takes an empty database or a demo's, and refuses any other before it has written a word.
import pg from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { setAdmin } from '../../lib/admin_account.ts';
import { openDb } from '../../lib/db.ts';
import { prepareDatabase, refuseForeignDatabase } from '../../scripts/demo_database.ts';
import { createTestDatabase } from '../setup/database.ts';

let url: string;
let client: pg.Client;

async function take(migrated: boolean): Promise<void> {
  ({ url } = await createTestDatabase(migrated ? {} : { migrated: false }));
  client = new pg.Client({ connectionString: url });
  await client.connect();
}
const tables = async () =>
  (
    await client.query<{ name: string }>(`SELECT tablename AS name FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`)
  ).rows.map(({ name }) => name);

beforeEach(() => take(false));
afterEach(() => client.end());

it('takes an empty database, and knows it again with its orders and its operator', async () => {
  await refuseForeignDatabase(url);
  await prepareDatabase(url);
  await refuseForeignDatabase(url);
});

it('refuses one with other tables, whatever their names', async () => {
  for (const name of ['customers', 'order_item', '_prisma_migrations']) {
    await client.query(`CREATE TABLE "${name}" (migration_name text)`);
    const before = await tables();
    await expect(refuseForeignDatabase(url)).rejects.toThrow(/tables of something else/);
    expect(await tables()).toEqual(before);
  }
});

it('takes one that was only migrated, and refuses a shop’s, whose operator keeps the password', async () => {
  await client.end();
  await take(true);
  await refuseForeignDatabase(url);
  const db = openDb(url, { connections: 1 });
  await setAdmin(db, 'admin', new Date());
  const before = await db.admin.findMany();
  await expect(refuseForeignDatabase(url)).rejects.toThrow(/no demo/);
  expect(await db.admin.findMany()).toEqual(before);
  await db.$disconnect();
});
