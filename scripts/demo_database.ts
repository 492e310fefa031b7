// The database of a demo: the embedded one or the one DATABASE_URL names, held by one demo at a time, migrated, with
// goods on the shelf and an operator. Refuses a database in which another merchant's trades lie.
import { realpathSync } from 'node:fs';
import pg from 'pg';
import { setAdmin } from '../lib/admin_account.ts';
import { openDb } from '../lib/db.ts';
import { prepareQueues } from '../lib/queues.ts';
import { seed } from '../lib/seed.ts';
import { database_name } from './database.ts';
import { Fault } from './fault.ts';
import type { Life } from './life.ts';
import { migrate } from './migrations.ts';
import { startPostgres } from './postgres.ts';
import { note, step } from './progress.ts';

/** Any fixed number; a running demo holds it on its database. */
const demo_lock = 7_083_202;
export const admin_name = 'admin';
/** Stands on a table of a demo's database, so that the next demo knows it again. */
const demo_mark = 'Guitai demo';

/** Starts or finds the server and takes the database for this demo; returns its address. */
export async function takeDatabase(life: Life, data_dir: string): Promise<string> {
  const named = process.env.DATABASE_URL;
  if (named !== undefined && named !== '') {
    await holdDatabase(life, named);
    await refuseForeignDatabase(named);
    return named;
  }
  const postgres = await step('starting PostgreSQL', () =>
    startPostgres(data_dir, { database: database_name }),
  );
  const url = postgres.url(database_name);
  if (postgres.reused) note('it still ran from an earlier start');
  if (!postgres.home.startsWith(realpathSync(data_dir)))
    note(`its user cannot enter this folder: its files lie in ${postgres.home}`);
  const release = await holdDatabase(life, url);
  life.onEnd('PostgreSQL', async () => {
    await release();
    await postgres.stop();
  });
  return url;
}

/**
 * Throws, before anything is written, unless the database is empty, a demo's, or one of ours that nobody uses yet: a
 * demo changes the tables, the shelf and the operator's password.
 */
export async function refuseForeignDatabase(database_url: string): Promise<void> {
  const client = new pg.Client({ connectionString: database_url });
  await client.connect();
  try {
    const ask = async (sql: string): Promise<boolean> =>
      (await client.query<{ yes: boolean }>(`SELECT (${sql}) AS yes`)).rows[0]?.yes === true;
    const exists = (table: string): string => `to_regclass('${table}') IS NOT NULL`;
    const some_table = `EXISTS (SELECT FROM pg_tables
      WHERE schemaname NOT IN ('pg_catalog', 'information_schema', 'pgboss'))`;
    if (!(await ask(some_table))) return;
    const ours =
      (await ask(`${exists('public._prisma_migrations')} AND ${exists('public.order_item')}`)) &&
      (await ask(`EXISTS (SELECT FROM _prisma_migrations WHERE migration_name = '20261101000000_counter')`));
    if (!ours) {
      throw new Fault(
        'The database that DATABASE_URL names holds tables of something else. A demo does not touch them: name an empty database, or none.',
      );
    }
    if (await ask(`obj_description('_prisma_migrations'::regclass) IS NOT DISTINCT FROM '${demo_mark}'`))
      return;
    if (await ask('EXISTS (SELECT FROM "order") OR EXISTS (SELECT FROM admin)')) {
      throw new Fault(
        'The database that DATABASE_URL names is of a shop that is no demo. A demo would change its operator’s password: name an empty database, or none.',
      );
    }
  } finally {
    await client.end();
  }
}

/** Migrates, fills the shelf, and gives the operator a new password, which it returns. */
export async function prepareDatabase(database_url: string): Promise<string> {
  await migrate(database_url, () => prepareQueues(database_url));
  const db = openDb(database_url, { connections: 2 });
  try {
    await db.$executeRawUnsafe(`COMMENT ON TABLE "_prisma_migrations" IS '${demo_mark}'`);
    await seed(db);
    return await setAdmin(db, admin_name, new Date());
  } finally {
    await db.$disconnect();
  }
}

/** Throws if trades of a merchant lie here that the simulator does not know. */
export async function refuseForeignTrades(database_url: string, mch_ids: readonly string[]): Promise<void> {
  const db = openDb(database_url, { connections: 1 });
  try {
    const foreign = await db.trade.findFirst({
      where: { mch_id: { notIn: [...mch_ids] } },
      select: { mch_id: true },
    });
    if (foreign !== null) {
      throw new Fault(
        `The database holds trades of merchant ${foreign.mch_id}, whom the simulator does not know. ` +
          'A demo does not touch them: name an empty database in DATABASE_URL, or none.',
      );
    }
  } finally {
    await db.$disconnect();
  }
}

/** One connection for the whole demo: it holds a lock that no crash can leave behind, and sees the server die. */
async function holdDatabase(life: Life, database_url: string): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: database_url, keepAlive: true });
  let released = false;
  client.on('error', (cause) => {
    if (!released) life.fail(new Fault(`The database went away: ${cause.message}`, { cause }));
  });
  try {
    await client.connect();
  } catch (cause) {
    throw new Fault(`The database that DATABASE_URL names does not let us in: ${String(cause)}`, { cause });
  }
  const answer = await client.query<{ ours: boolean }>('select pg_try_advisory_lock($1) as ours', [
    demo_lock,
  ]);
  const release = async (): Promise<void> => {
    released = true;
    await client.end();
  };
  if (answer.rows[0]?.ours !== true) {
    await release();
    throw new Fault(
      'Another demo runs on this data folder or database. Stop it, or name another folder in GUITAI_DATA_DIR.',
    );
  }
  return release;
}
