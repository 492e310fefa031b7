// The worker as a process: it refuses wrong settings in plain words, and leaves when it is told to.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { inProject, project_dir } from '../../scripts/paths.ts';
import { createTestDatabase } from '../setup/database.ts';

const settings = {
  PUBLIC_URL: 'http://127.0.0.1:1',
  SESSION_PASSWORD: 'a password that only this test knows, 0123456789',
  SHOP_NAME: '柜台小店',
  WECHAT_APPID: 'wx71f0c4d9a2b85e36',
  WECHAT_APP_SECRET: '5c0e91ab7f3d2648b1e07d9c4a6f8352',
  WECHAT_MCH_ID: '1648302957',
  WECHAT_API_V2_KEY: '9d4b7a16c3e80f52d7b94c1e6a05f38b',
  WECHAT_PAY_BASE_URL: 'http://127.0.0.1:1',
  WECHAT_API_BASE_URL: 'http://127.0.0.1:1',
  WECHAT_OPEN_BASE_URL: 'http://127.0.0.1:1',
  GUITAI_ALLOW_SIMULATOR: 'yes',
  GUITAI_NO_REAL_MONEY: 'yes',
};
const script = inProject('scripts', 'worker.ts');
let worker: ChildProcess | undefined;

afterEach(() => {
  worker?.kill('SIGKILL');
  worker = undefined;
});

async function startWorker(): Promise<{ child: ChildProcess; said: () => string }> {
  const { url } = await createTestDatabase();
  const child = spawn(process.execPath, [script], {
    cwd: project_dir,
    env: { PATH: process.env.PATH, NODE_ENV: 'production', ...settings, DATABASE_URL: url },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  worker = child;
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (said += String(text)));
  await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => Promise.reject(new Error(`the worker ended: ${said}`))),
  ]);
  return { child, said: () => said };
}

describe('the worker', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'leaves within ten seconds of %s, with exit code 0',
    async (signal) => {
      const { child, said } = await startWorker();
      const asked_at = Date.now();
      child.kill(signal);
      const [code] = await once(child, 'exit');
      expect({ code, said: said() }).toMatchObject({ code: 0 });
      expect(Date.now() - asked_at).toBeLessThan(10_000);
    },
  );

  it('names every wrong or missing setting at once and ends with 1, without a stack trace', () => {
    const { WECHAT_MCH_ID: _, ...rest } = settings;
    const env = {
      PATH: process.env.PATH,
      NODE_ENV: 'production' as const,
      ...rest,
      DATABASE_URL: 'mysql://shop',
    };
    const run = spawnSync(process.execPath, [script], { cwd: project_dir, env, encoding: 'utf8' });
    expect(run.status).toBe(1);
    expect(run.stderr).toContain('DATABASE_URL');
    expect(run.stderr).toContain('WECHAT_MCH_ID');
    expect(run.stderr).not.toMatch(/^\s+at /m);
  });
});
