// npm run demo: shop, admin and simulator on this machine with nothing configured, as the production build.
import { runScript } from './fault.ts';
import { live } from './life.ts';
import { startStack } from './stack.ts';

await runScript(() => live((life) => startStack(life, 'production')));
