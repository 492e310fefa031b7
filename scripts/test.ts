// npm test: what `npm run check` checks, then the production build, then every test layer, browser included. The last
// line is `N passed, N failed`, where a failed check or build counts as one; a test that did not run is a failure too.
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build, isBuilt } from './building.ts';
import { explain, runScript } from './fault.ts';
import { ensureForeignClients, haveForeignClients } from './foreign_clients.ts';
import { note, step } from './progress.ts';
import { runNode } from './run_tool.ts';
import { scratch_prefix } from './scratch_postgres.ts';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

await runScript(async () => {
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stopping.abort(new Error(`stopped by ${signal}`)));
  }
  // Whatever the tools and tests put into the temporary folder goes with this one.
  const temporary = mkdtempSync(join(tmpdir(), 'guitai-run-'));
  chmodSync(temporary, 0o711);
  process.env.TMPDIR = temporary;
  try {
    const { signal } = stopping;
    let failed_before = 0;
    for (const work of [check, freshBuild, foreignClients])
      failed_before += await failures(() => work(signal));
    const counts = await runTests(join(temporary, 'counts.json'), signal);
    if (counts.skipped > 0) note(`${counts.skipped} did not run, and count as failed`);
    const failed = counts.failed + counts.skipped + failed_before;
    process.stdout.write(`${counts.passed} passed, ${failed} failed\n`);
    return failed === 0 ? 0 : 1;
  } finally {
    await untilServersAreGone(temporary);
    rmSync(temporary, { recursive: true, force: true });
  }
});

/** A run that was stopped leaves its PostgreSQL to a process that clears it away; deleting under it would hurt. */
async function untilServersAreGone(temporary: string): Promise<void> {
  for (let waited_ms = 0; waited_ms < 20_000; waited_ms += 100) {
    if (!readdirSync(temporary).some((name) => name.startsWith(scratch_prefix))) return;
    await sleep(100);
  }
}

async function failures(work: () => Promise<boolean>): Promise<number> {
  try {
    return (await work()) ? 0 : 1;
  } catch (error) {
    note(explain(error));
    return 1;
  }
}

async function check(signal: AbortSignal): Promise<boolean> {
  const checked = await runNode('scripts/check.ts', [], { signal, show: true });
  return checked.code === 0;
}

async function freshBuild(signal: AbortSignal): Promise<boolean> {
  if (!isBuilt()) await step('building the app', () => build({ signal }));
  return true;
}

async function foreignClients(): Promise<boolean> {
  if (!haveForeignClients()) await step('installing the clients of test/foreign', ensureForeignClients);
  return true;
}

/** Arguments of ours go to vitest, so that `npm test -- test/business` runs one layer. */
async function runTests(counts_file: string, signal: AbortSignal): Promise<Counts> {
  const environment = { ...process.env, TEST_COUNTS_FILE: counts_file };
  const args = ['run', ...process.argv.slice(2)];
  const run = await runNode('node_modules/vitest/vitest.mjs', args, { environment, signal, show: true });
  if (!existsSync(counts_file)) return { passed: 0, failed: 1, skipped: 0 };
  const counts = JSON.parse(readFileSync(counts_file, 'utf8')) as Counts;
  // Vitest may know of a failure that no test shows, such as a set-up that did not end.
  return run.code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}
