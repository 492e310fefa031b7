// The last line of a test run: `N passed, N failed`, counting tests. A file that does not load and an error outside
// any test each count as one failure. `npm test` asks for the numbers in a file, to add its own.
import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

export default class Counts implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const counts = { passed: 0, failed: unhandled.length, skipped: 0 };
    for (const module of modules) {
      counts.failed += module.errors().length;
      for (const suite of module.children.allSuites()) counts.failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        counts[state === 'passed' || state === 'skipped' ? state : 'failed'] += 1;
      }
    }
    const file = process.env.TEST_COUNTS_FILE;
    if (file !== undefined) {
      writeFileSync(file, JSON.stringify(counts));
      return;
    }
    // After the other reporters, which print at the same moment.
    setImmediate(() => {
      if (counts.skipped > 0) process.stdout.write(`${counts.skipped} not run\n`);
      process.stdout.write(`${counts.passed} passed, ${counts.failed} failed\n`);
    });
  }
}
