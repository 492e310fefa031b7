// The lock files must satisfy `npm ci` on every system, whichever machine they were last written on.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { completed, type Lock, lock_file, missingOptional } from '../../scripts/complete_lock.ts';
import { inProject } from '../../scripts/paths.ts';

const readLock = (file: string): Lock => JSON.parse(readFileSync(file, 'utf8')) as Lock;

describe('package-lock.json', () => {
  it('holds the optional packages of every system', () => {
    expect(missingOptional(readLock(lock_file))).toEqual([]);
    expect(missingOptional(readLock(inProject('test', 'foreign', 'package-lock.json')))).toEqual([]);
  });

  it('gets back what a registry without a package left out', () => {
    const lock: Lock = {
      packages: {
        '': {},
        'node_modules/tool': {
          version: '1.2.3',
          dev: true,
          optionalDependencies: { 'tool-linux-x64-musl': '1.2.3' },
        },
      },
    };
    const entry = completed(lock).packages['node_modules/tool-linux-x64-musl'];
    expect(entry).toEqual({
      version: '1.2.3',
      cpu: ['x64'],
      dev: true,
      libc: ['musl'],
      optional: true,
      os: ['linux'],
    });
    expect(missingOptional(completed(lock))).toEqual([]);
  });

  it('finds a package that lies beside the one that wants it', () => {
    const lock: Lock = {
      packages: {
        '': {},
        'node_modules/outer/node_modules/tool': { version: '1.0.0', optionalDependencies: { near: '1.0.0' } },
        'node_modules/outer/node_modules/near': { version: '1.0.0' },
      },
    };
    expect(missingOptional(lock)).toEqual([]);
  });
});
