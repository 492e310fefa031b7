// npm run pictures: draws docs/pictures anew. The walk itself stands among the tests, whose phones and desks it uses.
import { runScript } from './fault.ts';
import { runNode } from './run_tool.ts';

await runScript(async () => (await runNode('test/browser/pictures.ts', [], { show: true })).code);
