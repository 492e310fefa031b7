// A process of its own that holds the PostgreSQL of one test run: it makes the migrated template, says where it is,
// and clears everything away when its stdin ends, even if the run was killed.
import { prepareQueues } from '../../lib/queues.ts';
import { database_name } from '../../scripts/database.ts';
import { runScript } from '../../scripts/fault.ts';
import { migrate } from '../../scripts/migrations.ts';
import { withScratchPostgres } from '../../scripts/scratch_postgres.ts';

await runScript(async () => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => process.stdin.destroy());
  }
  const released = new Promise<void>((resolve) => process.stdin.resume().once('close', resolve));
  await withScratchPostgres(async (postgres) => {
    const template_url = postgres.url(database_name);
    await migrate(template_url, () => prepareQueues(template_url));
    const server = { server_url: postgres.url('postgres'), template: database_name };
    process.stdout.write(`${JSON.stringify(server)}\n`);
    await released;
  });
  return 0;
});
