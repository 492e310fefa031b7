// An older Node gets one line and exit code 1, not a stack trace.
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { inProject } from '../../scripts/paths.ts';

function withNode(version: string) {
  const pretend = `Object.defineProperty(process.versions, 'node', { value: '${version}' });`;
  const guard = JSON.stringify(inProject('scripts', 'require_node.cjs'));
  return spawnSync(process.execPath, ['-e', `${pretend} require(${guard}); console.log('went on');`], {
    encoding: 'utf8',
  });
}

describe('require_node', () => {
  it.each(['14.0.0', '20.20.2', '24.6.9'])('stops Node %s with one line', (version) => {
    const run = withNode(version);
    expect(run.status).toBe(1);
    expect(run.stdout).toBe('');
    expect(run.stderr.trim().split('\n')).toHaveLength(1);
    expect(run.stderr).toContain(version);
  });

  it.each(['24.7.0', '24.21.0', '26.0.0'])('lets Node %s go on', (version) => {
    const run = withNode(version);
    expect([run.status, run.stdout, run.stderr]).toEqual([0, 'went on\n', '']);
  });
});
