// npm install runs this: the Prisma client and the pay page's script, made from their sources.
import { runScript } from './fault.ts';
import { ensureGenerated } from './generated.ts';

await runScript(async () => {
  await ensureGenerated();
  return 0;
});
