// npm run admin [-- NAME]: makes an operator, or gives an existing one a new password, and prints it once.
// npm run admin -- --unlock [NAME]: forgets the wrong passwords that were tried at a name, or at all of them.
import { parseArgs } from 'node:util';
import { setAdmin } from '../lib/admin_account.ts';
import { forgiveGuesses } from '../lib/admin_guesses.ts';
import { openDb } from '../lib/db.ts';
import { withDatabase } from './database.ts';
import { Fault, runScript } from './fault.ts';

await runScript(() => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { unlock: { type: 'boolean', default: false } },
  });
  const [name = 'admin', ...more] = positionals;
  if (more.length > 0 || !/^[\w.@-]{1,64}$/.test(name)) {
    throw new Fault('Give one name: up to 64 letters, digits and . _ @ -');
  }
  return withDatabase(async (database_url) => {
    const db = openDb(database_url, { connections: 2 });
    try {
      if (values.unlock) {
        const forgiven = await forgiveGuesses(db, positionals[0]);
        process.stdout.write(`forgot ${forgiven} wrong guess(es)\n`);
        return 0;
      }
      process.stdout.write(`user      ${name}\npassword  ${await setAdmin(db, name, new Date())}\n`);
    } finally {
      await db.$disconnect();
    }
    return 0;
  });
});
