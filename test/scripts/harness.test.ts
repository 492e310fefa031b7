// The harness itself can fail: an unannounced console.error is red, and everything red is counted.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inProject, project_dir } from '../../scripts/paths.ts';

let folder: string;

/** Inside the project, so that imports of packages resolve. */
beforeAll(() => {
  folder = mkdtempSync(inProject('node_modules', '.cache-harness-'));
  const setup = JSON.stringify(inProject('test', 'setup', 'console.ts'));
  const counts = JSON.stringify(inProject('test', 'setup', 'counts.ts'));
  writeFileSync(
    join(folder, 'vitest.config.ts'),
    `export default { root: ${JSON.stringify(folder)}, test: {
       include: ['*.case.ts'], exclude: [], setupFiles: [${setup}], reporters: ['default', ${counts}] } };`,
  );
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(name: string, text: string): { code: number | null; last_line: string; output: string } {
  const file = join(folder, `${name}.case.ts`);
  const setup = JSON.stringify(inProject('test', 'setup', 'console.ts'));
  writeFileSync(
    file,
    `import { expect, it } from 'vitest';\nimport { expectConsoleError } from ${setup};\n${text}`,
  );
  const vitest = inProject('node_modules', 'vitest', 'vitest.mjs');
  const { TEST_COUNTS_FILE: _, VITEST: __, ...env } = process.env;
  const args = [vitest, 'run', '--config', join(folder, 'vitest.config.ts'), `${name}.case.ts`];
  const ended = spawnSync(process.execPath, args, { cwd: project_dir, env, encoding: 'utf8' });
  const last_line = ended.stdout.trimEnd().split('\n').at(-1) ?? '';
  return { code: ended.status, last_line, output: ended.stdout + ended.stderr };
}

describe('the test harness', () => {
  it('fails a test that writes an unannounced console.error', () => {
    const ended = run(
      'loud',
      "it('a', () => console.error('the bill is wrong'));\nit('b', () => expect(1).toBe(1));",
    );
    expect(ended).toMatchObject({ code: 1, last_line: '1 passed, 1 failed' });
    expect(ended.output).toContain('the bill is wrong');
  });

  it('passes a test that announced its console.error, and fails one that announced in vain', () => {
    const announced = "it('a', () => { expectConsoleError(/bill/); console.error('the bill is wrong'); });";
    const in_vain = "it('b', () => { expectConsoleError(/never/); });";
    expect(run('announced', `${announced}\n${in_vain}`)).toMatchObject({
      code: 1,
      last_line: '1 passed, 1 failed',
    });
  });

  it('counts a file that does not load, and an error outside any test', () => {
    expect(run('broken', "import './nothing.ts';\nit('a', () => undefined);")).toMatchObject({
      code: 1,
      last_line: '0 passed, 1 failed',
    });
    const late = "it('a', () => { setTimeout(() => { throw new Error('late'); }, 0); });\n";
    const wait = "it('b', () => new Promise((resolve) => setTimeout(resolve, 50)));";
    expect(run('late', late + wait)).toMatchObject({ code: 1, last_line: '2 passed, 1 failed' });
  });
});
