// Prisma Migrate's own engine, as the WebAssembly that npm brings: it applies the folder prisma/migrations and keeps
// Prisma's table of them, so Prisma's command line can take over at any time. Downloads nothing.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PrismaPg } from '@prisma/adapter-pg';
import {
  bindMigrationAwareSqlAdapterFactory,
  ColumnTypeEnum,
  DriverAdapterError,
  type SqlDriverAdapter,
  type SqlMigrationAwareDriverAdapterFactory,
} from '@prisma/driver-adapter-utils';
import * as background from '@prisma/schema-engine-wasm/schema_engine_bg';
import pg from 'pg';

export interface SchemaFile {
  path: string;
  content: string;
}

let loaded: Promise<void> | undefined;

/**
 * Runs `work` with an engine on one database and closes its connection, which also gives up the engine's own lock.
 * The file is the datamodel, needed to compare, not to apply.
 */
export async function withSchemaEngine<T>(
  database_url: string,
  schema: SchemaFile | undefined,
  work: (engine: background.SchemaEngine) => Promise<T>,
): Promise<T> {
  loaded ??= loadWasm();
  await loaded;
  const pool = new pg.Pool({ connectionString: database_url, max: 1 });
  const datamodels: [string, string][] | undefined = schema && [[schema.path, schema.content]];
  try {
    const adapter = bindMigrationAwareSqlAdapterFactory(migrationAdapter(pool));
    return await work(await background.SchemaEngine.new({ datamodels }, () => undefined, adapter));
  } finally {
    await pool.end();
  }
}

/**
 * Prisma's adapter, repaired twice. It cuts a script at every semicolon, which breaks functions and leaves half a
 * migration behind a failure: here a script goes whole, so PostgreSQL runs it in one transaction. And it refuses the
 * one-byte "char" of PostgreSQL's catalogues, which the engine wants to read as a character.
 */
function migrationAdapter(pool: pg.Pool): SqlMigrationAwareDriverAdapterFactory {
  const runScript = pool.query.bind(pool);
  const char_columns = watchChars(pool);
  const factory = new PrismaPg(pool);
  const connect = async (): Promise<SqlDriverAdapter> => {
    const adapter = await factory.connect();
    const ask = adapter.queryRaw.bind(adapter);
    const queryRaw: typeof ask = async (query) => {
      const answer = await ask(query);
      for (const column of char_columns.get(answer.rows) ?? []) {
        answer.columnTypes[column] = ColumnTypeEnum.Character;
      }
      return answer;
    };
    const executeScript = async (script: string): Promise<void> => {
      await runScript(script).catch(rethrowForEngine);
    };
    return Object.assign(adapter, { queryRaw, executeScript });
  };
  const { provider, adapterName } = factory;
  return { provider, adapterName, connect, connectToShadowDb: () => factory.connectToShadowDb() };
}

/** The engine shows only errors of the adapter's own kind in words. */
function rethrowForEngine(error: unknown): never {
  if (!(error instanceof pg.DatabaseError)) throw error;
  const { code = '', severity = 'ERROR', message, detail, column, hint } = error;
  throw new DriverAdapterError({ kind: 'postgres', code, severity, message, detail, column, hint });
}

/** Shows "char" columns to the adapter as text and remembers, by the rows of an answer, which they were. */
function watchChars(pool: pg.Pool): WeakMap<unknown[], number[]> {
  const { CHAR, TEXT } = pg.types.builtins;
  const char_columns = new WeakMap<unknown[], number[]>();
  const query: (question: pg.QueryArrayConfig) => Promise<pg.QueryArrayResult> = pool.query.bind(pool);
  const queryWatched: typeof query = async (question) => {
    const answer = await query(question);
    const columns = answer.fields.flatMap((field, column) => (field.dataTypeID === CHAR ? [column] : []));
    for (const field of answer.fields) if (field.dataTypeID === CHAR) field.dataTypeID = TEXT;
    char_columns.set(answer.rows, columns);
    return answer;
  };
  Object.assign(pool, { query: queryWatched });
  return char_columns;
}

interface EngineExports extends WebAssembly.Exports {
  __wbindgen_start: () => void;
}

/** The package expects a bundler to link its two halves; Node does not, so it is done by hand. */
async function loadWasm(): Promise<void> {
  const entry = import.meta.resolve('@prisma/schema-engine-wasm/schema_engine_bg');
  const bytes = readFileSync(fileURLToPath(new URL('schema_engine_bg.wasm', entry)));
  const imports = { './schema_engine_bg.js': { ...background } } as unknown as WebAssembly.Imports;
  // Where the engine leaves its last words before a panic; without it the panic itself fails, more obscurely.
  const last_words = (message: string) => process.stderr.write(`Prisma's schema engine: ${message}\n`);
  Object.assign(globalThis, { PRISMA_WASM_PANIC_REGISTRY: { set_message: last_words } });
  const { instance } = await WebAssembly.instantiate(bytes, imports);
  background.__wbg_set_wasm(instance.exports);
  (instance.exports as EngineExports).__wbindgen_start();
}
