// `npm run demo` as a newcomer starts it: everything comes up, an order is paid, and everything goes again.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { build, isBuilt } from '../../scripts/building.ts';
import { type Environment, inProject, project_dir } from '../../scripts/paths.ts';
import { isFree } from '../../scripts/ports.ts';
import { Shopper, type SimulatorConfig } from '../setup/counter.ts';

interface Demo {
  child: ChildProcess;
  shop: string;
  admin: string;
  simulator: string;
  password: string;
  ended: Promise<[number | null, NodeJS.Signals | null]>;
  said: () => string;
}

let data_dir: string;
let demo: ChildProcess | undefined;

// So that the tests' own patience is not spent on the build; `npm test` has made it already.
beforeAll(async () => {
  if (!isBuilt()) await build();
}, 900_000);

beforeEach(() => {
  data_dir = mkdtempSync(join(tmpdir(), 'guitai-demo-'));
  chmodSync(data_dir, 0o711);
});

afterEach(async () => {
  if (demo !== undefined && demo.exitCode === null && demo.signalCode === null) {
    demo.kill('SIGTERM');
    await once(demo, 'exit');
  }
  demo = undefined;
  // Where root's PostgreSQL cannot enter the temporary folder, its files lie elsewhere.
  const postgres = join(data_dir, 'postgres');
  if (existsSync(postgres)) rmSync(realpathSync(postgres), { recursive: true });
  rmSync(data_dir, { recursive: true, force: true });
});

async function startDemo(): Promise<Demo> {
  const { PATH } = process.env;
  const environment: Environment = { PATH, GUITAI_DATA_DIR: data_dir, PORT: '0', SIMULATOR_PORT: '0' };
  const child = spawn(process.execPath, [inProject('scripts', 'demo.ts')], {
    cwd: project_dir,
    env: environment as NodeJS.ProcessEnv,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  demo = child;
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += String(text)));
  const ended = once(child, 'exit') as Demo['ended'];
  while (!/^READY$/m.test(said)) {
    if (child.exitCode !== null) throw new Error(`the demo ended:\n${said}`);
    await sleep(100);
  }
  const word = (name: string): string => new RegExp(`^${name} +(\\S+)`, 'm').exec(said)?.[1] ?? '';
  const [shop, admin, simulator, password] = ['shop', 'admin', 'simulator', 'password'].map(word) as [
    string,
    string,
    string,
    string,
  ];
  return { child, shop, admin, simulator, password, ended, said: () => said };
}

/** Processes whose command names this demo's folder or ports; PostgreSQL, app, worker and simulator do. */
function leftovers(marks: readonly string[]): string[] {
  const { stdout } = spawnSync('ps', ['-ww', '-eo', 'args='], { encoding: 'utf8' });
  return stdout
    .split('\n')
    .filter((line) => marks.some((mark) => line.includes(mark)) && !line.startsWith('ps '));
}

function port(address: string): number {
  return Number(new URL(address).port);
}

describe('npm run demo', () => {
  it('comes up with shop, admin and simulator, takes a payment, and leaves nothing on SIGTERM', async () => {
    const { child, shop, admin, simulator, password, ended, said } = await startDemo();
    expect((await fetch(shop)).status).toBe(200);
    expect((await fetch(admin)).status).toBe(200);

    const config = (await (await fetch(`${simulator}/_sim/config`)).json()) as SimulatorConfig;
    const shopper = new Shopper(shop, simulator, config.users[0]?.openid ?? '');
    await shopper.signIn();
    const { order_no, total_fen } = await shopper.order();
    const { out_trade_no } = await shopper.pay(order_no);
    const paid = await fetch(`${simulator}/_sim/pay`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ out_trade_no, openid: shopper.openid }),
    });
    expect(paid.status).toBe(200);
    await expect
      .poll(async () => (await shopper.status(order_no)).state, { timeout: 20_000 })
      .toBe('SUCCESS');
    expect(total_fen).toBeGreaterThan(0);

    const login = await fetch(`${shop}/api/admin/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: shop },
      body: JSON.stringify({ username: 'admin', password }),
    });
    expect(login.status).toBeLessThan(300);
    const cookie = login.headers.getSetCookie().map((text) => text.split(';')[0] ?? '');

    // A red packet larger than what was sold so far: the demo's merchant has something in its account.
    const packet = await fetch(`${shop}/api/admin/red-packets`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: shop, cookie: cookie.join('; ') },
      body: JSON.stringify({
        openid: shopper.openid,
        total_fen: 20_000,
        total_num: 1,
        act_name: '开业',
        wishing: '恭喜发财',
        command_key: crypto.randomUUID(),
      }),
    });
    expect([packet.status, await packet.json()]).toEqual([
      200,
      expect.objectContaining({ state: expect.stringMatching(/^SEN/), refused: null }),
    ]);

    // Tomorrow, 10:05, in Beijing: today's bill is there, and the demo compares it without being asked.
    const { now_ms } = (await (await fetch(`${simulator}/_sim/clock`)).json()) as { now_ms: number };
    const beijing_ms = 8 * 3_600_000;
    const today_ms = Math.floor((now_ms + beijing_ms) / 86_400_000) * 86_400_000 - beijing_ms;
    const advance_s = Math.ceil((today_ms + 34 * 3_600_000 + 300_000 - now_ms) / 1_000);
    await fetch(`${simulator}/_sim/clock`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ advance_s }),
    });
    const today = new Date(today_ms + beijing_ms).toISOString().slice(0, 10);
    await expect
      .poll(said, { timeout: 30_000 })
      .toContain(`statement ${today}: COMPARED, 1 rows, 0 settled by it, 0 differences`);
    const page = await fetch(`${shop}/admin/statements/${today}`, { headers: { cookie: cookie.join('; ') } });
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('相符')]);

    child.kill('SIGTERM');
    expect(await ended, said()).toEqual([0, null]);
    expect(leftovers([data_dir, shop])).toEqual([]);
    expect(await Promise.all([isFree(port(shop)), isFree(port(simulator))])).toEqual([true, true]);
  });

  it('killed without warning takes its children with it, and the next start goes on with the same data', async () => {
    const first = await startDemo();
    const cookie = readFileSync(join(data_dir, 'session-password'), 'utf8');
    first.child.kill('SIGKILL');
    await first.ended;
    await expect.poll(() => isFree(port(first.shop)), { timeout: 10_000 }).toBe(true);
    await expect.poll(() => isFree(port(first.simulator)), { timeout: 10_000 }).toBe(true);
    const second = await startDemo();
    expect(second.said()).toContain('still ran from an earlier start');
    expect(readFileSync(join(data_dir, 'session-password'), 'utf8')).toBe(cookie);
    second.child.kill('SIGINT');
    expect(await second.ended, second.said()).toEqual([0, null]);
    expect(leftovers([data_dir])).toEqual([]);
  });

  it('fails with the last words of a child that died, and stops the others', async () => {
    const { child, shop, ended, said } = await startDemo();
    const { stdout } = spawnSync('ps', ['-eo', 'pid=,ppid=,args=', '-ww'], { encoding: 'utf8' });
    const worker = stdout
      .split('\n')
      .find((line) => line.includes(` ${child.pid} `) && line.includes('worker.ts'));
    process.kill(Number(worker?.trim().split(/\s+/)[0]), 'SIGKILL');
    expect(await ended).toEqual([1, null]);
    expect(said()).toMatch(/worker ended by itself with code 137/);
    expect(leftovers([data_dir, shop])).toEqual([]);
  });
});
