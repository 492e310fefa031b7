// npm run dev: the same as the demo, with Next's development server, which follows changes of the sources.
import { runScript } from './fault.ts';
import { live } from './life.ts';
import { startStack } from './stack.ts';

await runScript(() => live((life) => startStack(life, 'development')));
