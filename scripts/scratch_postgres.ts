// A PostgreSQL in a temporary folder, for tests and for comparing schemas: fast because nothing in it needs to
// outlive a power cut, and gone without a trace afterwards.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { database_name } from './database.ts';
import { type Postgres, startPostgres } from './postgres.ts';

const settings = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'autovacuum=off'];

/** How the folder's name begins. */
export const scratch_prefix = 'guitai-scratch-';

/** Runs `work` beside a new server with one empty database. */
export async function withScratchPostgres<T>(work: (postgres: Postgres) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), scratch_prefix));
  chmodSync(dir, 0o711);
  try {
    const postgres = await startPostgres(dir, { database: database_name, settings, copy_dir: dir });
    try {
      return await work(postgres);
    } finally {
      await postgres.stop();
      rmSync(postgres.home, { recursive: true, force: true });
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
