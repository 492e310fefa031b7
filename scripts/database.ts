// Which database a command works on: the one DATABASE_URL names, else the embedded one of the data folder, which is
// started for the time of the command if it does not run.
import { dataDir } from './paths.ts';
import { startPostgres } from './postgres.ts';

export const database_name = 'guitai';

/** Runs `work` with the address of the database. */
export async function withDatabase<T>(work: (database_url: string) => Promise<T>): Promise<T> {
  const named = process.env.DATABASE_URL;
  if (named !== undefined && named !== '') return work(named);
  const postgres = await startPostgres(dataDir(), { database: database_name });
  try {
    return await work(postgres.url(database_name));
  } finally {
    if (!postgres.reused) await postgres.stop();
  }
}
