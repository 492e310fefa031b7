// npm run seed: puts the demo goods on the shelf; what an owner has edited stays.
import { openDb } from '../lib/db.ts';
import { seed } from '../lib/seed.ts';
import { withDatabase } from './database.ts';
import { runScript } from './fault.ts';

await runScript(() =>
  withDatabase(async (database_url) => {
    const db = openDb(database_url, { connections: 2 });
    try {
      await seed(db);
    } finally {
      await db.$disconnect();
    }
    process.stdout.write('The shelf is filled.\n');
    return 0;
  }),
);
