// Which database a command works on, told on standard error: the one DATABASE_URL names, in the environment or in `.env`
// as for `npm start`, else the embedded one of the data folder, started for the time of the command if it does not run.
import { loadEnvironmentFiles } from './environment_files.ts';
import { dataDir } from './paths.ts';
import { startPostgres } from './postgres.ts';

/** The address without user and password; one that cannot be read is told by whoever connects. */
function tell(database_url: string): void {
  const url = URL.parse(database_url);
  if (url !== null) process.stderr.write(`database ${url.pathname.slice(1)} on ${url.host}\n`);
}

export const database_name = 'guitai';

/** Runs `work` with the address of the database. */
export async function withDatabase<T>(work: (database_url: string) => Promise<T>): Promise<T> {
  loadEnvironmentFiles();
  const named = process.env.DATABASE_URL;
  if (named !== undefined && named !== '') {
    tell(named);
    return work(named);
  }
  process.stderr.write(`no DATABASE_URL: the embedded database in ${dataDir()}\n`);
  const postgres = await startPostgres(dataDir(), { database: database_name });
  try {
    return await work(postgres.url(database_name));
  } finally {
    if (!postgres.reused) await postgres.stop();
  }
}
