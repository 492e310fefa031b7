// npm run build: the production build, always made anew. Needs no secrets and no network.
import { build } from './building.ts';
import { runScript } from './fault.ts';
import { ensureGenerated } from './generated.ts';

await runScript(async () => {
  await ensureGenerated();
  await build({ show: true });
  return 0;
});
