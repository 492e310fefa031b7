// npm run migrate: brings the database and its queues up to date; safe to run from several machines at once.
// npm run migrate -- --diff NAME: writes the SQL by which prisma/schema.prisma differs as a new migration.
import { parseArgs } from 'node:util';
import { prepareQueues } from '../lib/queues.ts';
import { database_name, withDatabase } from './database.ts';
import { runScript } from './fault.ts';
import { migrate, writeMigration } from './migrations.ts';
import { withScratchPostgres } from './scratch_postgres.ts';

await runScript(async () => {
  const { values } = parseArgs({ options: { diff: { type: 'string' } } });
  const { diff } = values;
  if (diff !== undefined) {
    const file = await withScratchPostgres((postgres) =>
      writeMigration(diff, postgres.url(database_name), new Date()),
    );
    process.stdout.write(
      file === undefined
        ? 'The schema and the migrations agree.\n'
        : `${file}\nRead it, add what Prisma cannot spell, commit it.\n`,
    );
    return 0;
  }
  const applied = await withDatabase((url) => migrate(url, () => prepareQueues(url)));
  process.stdout.write(applied.length === 0 ? 'Nothing to migrate.\n' : `Applied ${applied.join(', ')}.\n`);
  return 0;
});
