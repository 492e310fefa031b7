// How the tests run: everything without a browser in parallel, then the browser alone, since it wants both cores.
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const everywhere = {
  environment: 'node' as const,
  setupFiles: ['test/setup/console.ts'],
  hookTimeout: 120_000,
  // Long enough for a machine that others use as well; a test that passes does not wait for it.
  expect: { poll: { timeout: 15_000 } },
};

export default defineConfig({
  test: {
    globalSetup: ['test/setup/postgres.ts'],
    reporters: ['default', './test/setup/counts.ts'],
    allowOnly: false,
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      {
        test: {
          ...everywhere,
          name: 'counter',
          include: ['test/**/*.test.{ts,tsx}'],
          exclude: ['test/browser/**', 'test/foreign/**', '**/node_modules/**'],
          testTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Other people's clients, with dependencies of their own (scripts/foreign_clients.ts installs them).
        test: {
          ...everywhere,
          name: 'foreign',
          include: ['test/foreign/*.test.ts'],
          testTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...everywhere,
          name: 'browser',
          include: ['test/browser/**/*.test.{ts,tsx}'],
          fileParallelism: false,
          maxWorkers: 1,
          testTimeout: 120_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
