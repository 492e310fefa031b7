// npm run check: format and lint, types, walls. Runs all three even when one fails, and names every fault.
import { existsSync } from 'node:fs';
import { explain, Fault, runScript } from './fault.ts';
import { ensureGenerated } from './generated.ts';
import { inProject } from './paths.ts';
import { note, step } from './progress.ts';
import { runNode } from './run_tool.ts';
import { findBreaches } from './walls.ts';

await runScript(async () => {
  await step('generating what the sources need', () => ensureGenerated());
  const faults = [
    await attempt('format and lint', () =>
      tool('node_modules/@biomejs/biome/bin/biome', ['check', '--error-on-warnings']),
    ),
    await attempt('types', checkTypes),
    await attempt('walls', checkWalls),
  ];
  return faults.some(Boolean) ? 1 : 0;
});

/** True if it failed; the reason has been printed. */
async function attempt(title: string, work: () => Promise<void>): Promise<boolean> {
  try {
    await step(title, work);
    return false;
  } catch (error) {
    note(explain(error));
    return true;
  }
}

async function checkTypes(): Promise<void> {
  // Next writes the types of its routes and of style sheets; without them a fresh clone does not type-check.
  await tool('node_modules/next/dist/bin/next', ['typegen']);
  await tool('node_modules/typescript/bin/tsc', ['--noEmit']);
}

async function checkWalls(): Promise<void> {
  const breaches = await findBreaches();
  if (breaches.length === 0) return;
  throw new Fault(breaches.map(({ rule, from, to }) => `${rule}: ${from} → ${to}`).join('\n'));
}

async function tool(script: string, args: string[]): Promise<void> {
  if (!existsSync(inProject(script))) throw new Fault(`${script} is not installed. Run \`npm ci\`.`);
  const run = await runNode(script, args);
  if (run.code !== 0) throw new Fault(run.output.trim());
}
