// Vitest's global set-up: one PostgreSQL for the whole run, held by a process that outlives us only to clean up.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestProject } from 'vitest/node';
import { ensureGenerated } from '../../scripts/generated.ts';

export interface TestServer {
  server_url: string;
  template: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    postgres: TestServer;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await ensureGenerated();
  const keeper = spawn(process.execPath, [new URL('postgres_keeper.ts', import.meta.url).pathname], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // Ctrl-C is for the run; the keeper goes when the run has gone.
    detached: process.platform !== 'win32',
  });
  const ended = once(keeper, 'exit');
  for await (const line of createInterface({ input: keeper.stdout })) {
    project.provide('postgres', JSON.parse(line) as TestServer);
    return async () => {
      keeper.stdin.end();
      await ended;
    };
  }
  throw new Error('the PostgreSQL of the tests did not start; the reason stands above');
}
