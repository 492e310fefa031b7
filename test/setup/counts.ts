// The last line of a test run: `N passed, N failed`, counting tests. A file that does not load and an error outside
// any test each count as one failure.
import type { Reporter, TestModule } from 'vitest/node';

export default class Counts implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    let passed = 0;
    let skipped = 0;
    let failed = unhandled.length;
    for (const module of modules) {
      failed += module.errors().length;
      for (const suite of module.children.allSuites()) failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') passed += 1;
        else if (state === 'skipped') skipped += 1;
        else failed += 1;
      }
    }
    // After the other reporters, which print at the same moment.
    setImmediate(() => {
      if (skipped > 0) process.stdout.write(`${skipped} not run\n`);
      process.stdout.write(`${passed} passed, ${failed} failed\n`);
    });
  }
}
