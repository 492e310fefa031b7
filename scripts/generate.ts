// npm install runs this: the Prisma client and the pay page's script, made from their sources, and the foreign clients
// of the tests. Without those the shop works as well, so what keeps them away is told and does not end an install.
import { explain, runScript } from './fault.ts';
import { ensureForeignClients, wantForeignClients } from './foreign_clients.ts';
import { ensureGenerated } from './generated.ts';

await runScript(async () => {
  await ensureGenerated();
  if (wantForeignClients()) {
    await ensureForeignClients().catch((thrown) => process.stderr.write(`${explain(thrown)}\n`));
  }
  return 0;
});
