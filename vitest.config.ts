// How the tests run: everything without a browser in parallel, then the browser alone, since it wants both cores.
import { defineConfig } from 'vitest/config';

const everywhere = {
  environment: 'node' as const,
  setupFiles: ['test/setup/console.ts'],
  hookTimeout: 60_000,
};

export default defineConfig({
  test: {
    globalSetup: ['test/setup/postgres.ts'],
    reporters: ['default', './test/setup/counts.ts'],
    allowOnly: false,
    maxWorkers: 3,
    projects: [
      {
        test: {
          ...everywhere,
          name: 'counter',
          include: ['test/**/*.test.{ts,tsx}'],
          exclude: ['test/browser/**', 'test/foreign/**', '**/node_modules/**'],
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Other people's clients, with dependencies of their own (scripts/foreign_clients.ts installs them).
        test: {
          ...everywhere,
          name: 'foreign',
          include: ['test/foreign/*.test.ts'],
          testTimeout: 30_000,
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
