// npm run demo: shop, admin and simulator on this machine with nothing configured, as the production build.
import { runScript } from './fault.ts';
import { ensureGenerated } from './generated.ts';
import { live } from './life.ts';
import { step } from './progress.ts';

await runScript(() =>
  live(async (life) => {
    await step('generating what the sources need', () => ensureGenerated({ signal: life.signal }));
    // Only now: the stack reaches the generated client through the business.
    const { startStack } = await import('./stack.ts');
    await startStack(life, 'production');
  }),
);
