// In every test file: a console.error that no test announced fails the test it happened in, and databases the file
// left behind are dropped.
import { afterAll, afterEach, beforeEach } from 'vitest';
import { dropTestDatabases } from './database.ts';

const written: string[] = [];
let expected: RegExp[] = [];

console.error = (...parts: unknown[]): void => {
  written.push(
    parts.map((part) => (part instanceof Error ? (part.stack ?? part.message) : String(part))).join(' '),
  );
};

/** Says that this test will see a console.error like this one; not seeing it fails the test, too. */
export function expectConsoleError(pattern: RegExp): void {
  expected.push(pattern);
}

function settleConsole(): void {
  const unexpected = written.filter((line) => !expected.some((pattern) => pattern.test(line)));
  const unseen = expected.filter((pattern) => !written.some((line) => pattern.test(line)));
  written.length = 0;
  expected = [];
  if (unexpected.length > 0) throw new Error(`unexpected console.error:\n${unexpected.join('\n')}`);
  if (unseen.length > 0) throw new Error(`expected on console.error but not seen: ${unseen.join(', ')}`);
}

beforeEach(settleConsole);
afterEach(settleConsole);
afterAll(async () => {
  settleConsole();
  await dropTestDatabases();
});
