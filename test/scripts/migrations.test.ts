// Migrations on real databases: whole or not at all, once even when several start together, as Prisma would do it.
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { prepareQueues } from '../../lib/queues.ts';
import { type MigrationFiles, migrate, missingSql, writeMigration } from '../../scripts/migrations.ts';
import { inProject } from '../../scripts/paths.ts';
import { createTestDatabase } from '../setup/database.ts';

const real: MigrationFiles = {
  schema: inProject('prisma', 'schema.prisma'),
  migrations: inProject('prisma', 'migrations'),
};
const minimal_schema = 'datasource db {\n  provider = "postgresql"\n}\n';

let folder: string;
let files: MigrationFiles;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'guitai-migrations-'));
  files = { schema: join(folder, 'schema.prisma'), migrations: join(folder, 'migrations') };
  mkdirSync(files.migrations);
  writeFileSync(files.schema, minimal_schema);
  writeFileSync(join(files.migrations, 'migration_lock.toml'), 'provider = "postgresql"\n');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function addMigration(name: string, sql: string): void {
  mkdirSync(join(files.migrations, name), { recursive: true });
  writeFileSync(join(files.migrations, name, 'migration.sql'), sql);
}

async function ask(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function emptyDatabase(): Promise<string> {
  return (await createTestDatabase({ migrated: false })).url;
}

describe('the migrations of the project', () => {
  it('apply to an empty database once, with the checksums Prisma expects', async () => {
    const url = await emptyDatabase();
    const applied = await migrate(url);
    expect(applied).toEqual(migrationNames());
    expect(await migrate(url)).toEqual([]);
    const rows = await ask(url, 'select migration_name, checksum from _prisma_migrations order by 1');
    expect(rows).toEqual(
      applied.map((name) => ({
        migration_name: name,
        checksum: createHash('sha256')
          .update(readFileSync(join(real.migrations, name, 'migration.sql')))
          .digest('hex'),
      })),
    );
  });

  it('apply on top of every earlier version of themselves', async () => {
    cpSync(real.migrations, files.migrations, { recursive: true });
    const names = migrationNames();
    const url = await emptyDatabase();
    for (const [done, name] of names.entries()) {
      for (const later of names.slice(done + 1))
        rmSync(join(files.migrations, later), { recursive: true, force: true });
      expect(await migrate(url, undefined, files)).toEqual([name]);
      cpSync(real.migrations, files.migrations, { recursive: true });
    }
  });

  it('make what the schema says', async () => {
    const url = await emptyDatabase();
    await migrate(url);
    expect(await missingSql(url)).toBeUndefined();
  });

  it('are applied once when several instances start together', async () => {
    const url = await emptyDatabase();
    const applied = await Promise.all([1, 2, 3].map(() => migrate(url, () => prepareQueues(url))));
    expect(applied.flat()).toEqual(migrationNames());
    expect(await ask(url, "select to_regclass('pgboss.job') is not null as queues")).toEqual([
      { queues: true },
    ]);
  });

  function migrationNames(): string[] {
    return readdirSync(real.migrations, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort();
  }
});

describe('a migration', () => {
  it('that fails leaves nothing behind, names itself and the cause, and runs once it is mended', async () => {
    const url = await emptyDatabase();
    addMigration('20260101000000_half', 'create table kept (id int); alter table missing add column id int;');
    await expect(migrate(url, undefined, files)).rejects.toThrow(/missing[\s\S]*20260101000000_half/);
    expect(await ask(url, "select to_regclass('kept') as kept")).toEqual([{ kept: null }]);
    addMigration('20260101000000_half', 'create table kept (id int);');
    expect(await migrate(url, undefined, files)).toEqual(['20260101000000_half']);
  });

  it('interrupted by a crash runs again', async () => {
    const url = await emptyDatabase();
    addMigration('20260101000000_first', 'create table first (id int);');
    await migrate(url, undefined, files);
    addMigration('20260102000000_second', 'create table second (id int);');
    await ask(
      url,
      `insert into _prisma_migrations (id, checksum, migration_name, started_at, applied_steps_count)
       values ('a crash', '', '20260102000000_second', now(), 0)`,
    );
    expect(await migrate(url, undefined, files)).toEqual(['20260102000000_second']);
  });

  it('may hold functions and texts with semicolons', async () => {
    const url = await emptyDatabase();
    const body = "begin perform 1; return 'a;b'; end";
    addMigration(
      '20260101000000_function',
      `create function f() returns text language plpgsql as $$ ${body} $$;`,
    );
    await migrate(url, undefined, files);
    expect(await ask(url, 'select f()')).toEqual([{ f: 'a;b' }]);
  });

  it('is written from what the schema has more, and nothing is written when both agree', async () => {
    addMigration('20260101000000_first', 'create table "first" (id int primary key);');
    const first = 'model first {\n  id Int @id\n}\n';
    writeFileSync(files.schema, minimal_schema + first);
    const now = new Date('2026-02-03T04:05:06Z');
    expect(await writeMigration('same', await emptyDatabase(), now, files)).toBeUndefined();
    writeFileSync(files.schema, `${minimal_schema}${first}model second {\n  id Int @id\n}\n`);
    const file = await writeMigration('second', await emptyDatabase(), now, files);
    expect(file).toBe(join(files.migrations, '20260203040506_second', 'migration.sql'));
    expect(readFileSync(file ?? '', 'utf8')).toContain('CREATE TABLE "second"');
  });

  it('has a name that is safe in a path', async () => {
    await expect(writeMigration('../etc', 'postgresql://nowhere', new Date(), files)).rejects.toThrow(/name/);
  });
});

describe('a database that does not let us in', () => {
  it('is named with the reason', async () => {
    const url = new URL(await emptyDatabase());
    url.pathname = '/nonesuch';
    await expect(migrate(url.href)).rejects.toThrow(/nonesuch.*does not exist/);
    await expect(migrate('postgresql://a:b@127.0.0.1:9/shop')).rejects.toThrow(
      /shop on 127.0.0.1:9.*ECONNREFUSED/,
    );
  });
});
