// npm start: the production server, after every setting was checked. Arguments go to `next start`.

import { existsSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { isSecure, readConfig } from '../lib/config.ts';
import { standInFront } from '../lib/front.ts';
import { loadEnvironmentFiles } from './environment_files.ts';
import { Fault, runScript } from './fault.ts';
import { inProject } from './paths.ts';

await runScript(async () => {
  loadEnvironmentFiles();
  const config = readConfig(process.env);
  if (!existsSync(inProject('.next', 'BUILD_ID'))) {
    throw new Fault('There is no production build. Make it with `npm run build`.');
  }
  // Only now: they stand on what the build generated.
  const [{ context }, { doorListener }] = await Promise.all([
    import('../lib/context.ts'),
    import('../lib/door.ts'),
  ]);
  // In this very process, so that signals and the exit code are Next's own.
  process.argv.splice(1, 1, inProject('node_modules/next/dist/bin/next'), 'start');
  process.chdir(inProject());
  let door: RequestListener | undefined;
  standInFront({
    trusted_proxies: config.TRUSTED_PROXIES,
    secure: isSecure(config),
    // WeChat's messages do not need Next, which costs more than all that is done for them.
    direct(path) {
      if (!path.startsWith('/api/notify/')) return undefined;
      door ??= doorListener(context());
      return door;
    },
  });
  await import('../node_modules/next/dist/bin/next');
  return undefined;
});
