// Brings a database to the shape of prisma/migrations, one process at a time, and writes the SQL of a new migration.
// Never drops or resets anything by itself.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { Fault } from './fault.ts';
import { inProject } from './paths.ts';
import { withSchemaEngine } from './schema_engine.ts';

/** Any fixed number; whoever migrates a Guitai database holds it. */
const migration_lock = 7_083_201;
const no_filters = { externalTables: [], externalEnums: [] };

/** Where the schema and its migrations lie. */
export interface MigrationFiles {
  schema: string;
  migrations: string;
}

const our_files: MigrationFiles = {
  schema: inProject('prisma', 'schema.prisma'),
  migrations: inProject('prisma', 'migrations'),
};

/**
 * Applies what is missing, then runs `afterwards`, all under one lock, so that instances that start together wait
 * for each other. Returns the names of the migrations it applied.
 */
export async function migrate(
  database_url: string,
  afterwards?: () => Promise<void>,
  files: MigrationFiles = our_files,
): Promise<string[]> {
  const client = new pg.Client({ connectionString: database_url });
  await connect(client, database_url);
  try {
    await client.query('select pg_advisory_lock($1)', [migration_lock]);
    const names = await withSchemaEngine(database_url, undefined, async (engine) => {
      for (const migrationName of await unfinished(client)) {
        await engine.markMigrationRolledBack({ migrationName });
      }
      const migrationsList = readMigrations(files.migrations);
      const applied = await engine.applyMigrations({ migrationsList, filters: no_filters });
      return applied.appliedMigrationNames;
    });
    await afterwards?.();
    return names;
  } catch (error) {
    throw explainEngine(error);
  } finally {
    // Ends the session and with it the lock.
    await client.end();
  }
}

/**
 * Compares the migrations with the schema and writes the difference as a new migration to be read and mended by
 * hand. `scratch_url` is an empty database for replaying them. Returns the file, or undefined if nothing differs.
 */
export async function writeMigration(
  name: string,
  scratch_url: string,
  now: Date,
  files: MigrationFiles = our_files,
): Promise<string | undefined> {
  if (!/^[a-z0-9_]+$/.test(name))
    throw new Fault(`A migration's name has only a-z, 0-9 and _, not "${name}".`);
  await migrate(scratch_url, undefined, files);
  const sql = await missingSql(scratch_url, files);
  if (sql === undefined) return undefined;
  const stamp = now.toISOString().replace(/\D/g, '').slice(0, 14);
  const folder = join(files.migrations, `${stamp}_${name}`);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'migration.sql');
  writeFileSync(file, sql);
  return file;
}

/** The SQL that would bring this database to the schema; undefined if Prisma sees no difference. */
export async function missingSql(
  database_url: string,
  files: MigrationFiles = our_files,
): Promise<string | undefined> {
  const schema = { path: files.schema, content: readFileSync(files.schema, 'utf8') };
  try {
    const difference = await withSchemaEngine(database_url, schema, (engine) =>
      engine.diff({
        from: { tag: 'schemaDatasource', files: [schema], configDir: dirname(files.schema) },
        to: { tag: 'schemaDatamodel', files: [schema] },
        script: true,
        exitCode: true,
        filters: no_filters,
      }),
    );
    return difference.exitCode === 0 ? undefined : (difference.stdout ?? undefined);
  } catch (error) {
    throw explainEngine(error);
  }
}

/**
 * Migrations that began and did not end. Each runs in one transaction, so a crash left nothing of them but the note
 * that they began; taking that back lets them run again.
 */
async function unfinished(client: pg.Client): Promise<string[]> {
  const table = await client.query<{ there: boolean }>(
    "select to_regclass('_prisma_migrations') is not null as there",
  );
  if (table.rows[0]?.there !== true) return [];
  const found = await client.query<{ migration_name: string }>(
    'select migration_name from _prisma_migrations where finished_at is null and rolled_back_at is null',
  );
  return found.rows.map((row) => row.migration_name);
}

function readMigrations(folder: string) {
  const lockfile = join(folder, 'migration_lock.toml');
  const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return {
    baseDir: folder,
    lockfile: {
      path: 'migration_lock.toml',
      content: existsSync(lockfile) ? readFileSync(lockfile, 'utf8') : null,
    },
    shadowDbInitScript: '',
    migrationDirectories: names
      .map((entry) => entry.name)
      .sort()
      .map((path) => ({
        path,
        migrationFile: {
          path: 'migration.sql',
          content: { tag: 'ok' as const, value: readFileSync(join(folder, path, 'migration.sql'), 'utf8') },
        },
      })),
  };
}

async function connect(client: pg.Client, database_url: string): Promise<void> {
  try {
    await client.connect();
  } catch (cause) {
    const { host, pathname } = new URL(database_url);
    const why = cause instanceof AggregateError ? String(cause.errors[0]) : String(cause);
    throw new Fault(
      `The database ${pathname.slice(1)} on ${host} does not let us in: ${why.replace(/^\w*error: /i, '')}.`,
      {
        cause,
      },
    );
  }
}

/** The engine's errors carry a trace of its own inside; the first lines are for people. */
function explainEngine(error: unknown): unknown {
  if (!(error instanceof Error) || error.name === 'Fault') return error;
  const migration = /migration_name="([^"]+)"/.exec(error.message)?.[1];
  const words = (error.message.split(/\n +0: /)[0] ?? error.message)
    .replace('external connector error\n', '')
    .trim();
  const where = migration === undefined ? '' : ` It stopped at ${migration}, of which nothing was kept.`;
  return new Fault(`The database could not be migrated: ${words}.${where}`, { cause: error });
}
