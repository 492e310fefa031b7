// Everything a shop needs, on one machine with nothing configured: database, simulator, app and worker, started in
// order and stopped in the opposite order. Used by `npm run demo` (production build) and `npm run dev`.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build, isBuilt } from './building.ts';
import { type Child, startChild } from './children.ts';
import { admin_name, prepareDatabase, refuseForeignTrades, takeDatabase } from './demo_database.ts';
import { demoEnvironment, type SimulatorConfig } from './demo_settings.ts';
import { followMornings } from './demo_statements.ts';
import { Fault } from './fault.ts';
import type { Life } from './life.ts';
import { dataDir, type Environment } from './paths.ts';
import { choosePort, freePort, isFree } from './ports.ts';
import { note, step } from './progress.ts';

const next_cli = 'node_modules/next/dist/bin/next';
const health_patience_ms = 120_000;
/** What the demo's merchant has in its account when it opens. */
const purse_fen = 100_000;

export type Mode = 'production' | 'development';

/** Starts everything, then prints the addresses and READY. */
export async function startStack(life: Life, mode: Mode): Promise<void> {
  const data_dir = dataDir();
  const log_dir = join(data_dir, 'logs');
  const app = await choosePort('PORT', 3000);
  const platform = await choosePort('SIMULATOR_PORT', 8801);
  if (app.moved) note(`port 3000 is taken: the shop gets ${app.port}`);
  if (platform.moved) note(`port 8801 is taken: the simulator gets ${platform.port}`);
  const public_url = `http://127.0.0.1:${app.port}`;
  const go = <T>(title: string, work: () => Promise<T>): Promise<T> => {
    life.signal.throwIfAborted();
    return step(title, work);
  };
  const run = (name: string, script: string, args: string[], more: Partial<ChildArguments>): Child => {
    life.signal.throwIfAborted();
    const child = startChild({
      name,
      script,
      args,
      log_dir,
      environment: process.env,
      onDeath: life.fail,
      ...more,
    });
    life.onEnd(name, child.stop);
    return child;
  };

  if (mode === 'production' && !isBuilt()) {
    await go('building the app (only when its sources changed)', () => build({ signal: life.signal }));
  }
  const database_url = await takeDatabase(life, data_dir);
  const admin_password = await go('preparing the database', () => prepareDatabase(database_url));
  const state_file = join(data_dir, 'simulator.json');
  const first_time = !existsSync(state_file);
  const simulator = await go('starting the simulator', () =>
    startSimulator(life, platform.port, public_url, state_file, run),
  );
  if (first_time) await fillPurse(simulator.simulator);
  await refuseForeignTrades(
    database_url,
    simulator.config.merchants.map(({ mch_id }) => mch_id),
  );

  const addresses = { database_url, public_url, simulator_url: simulator.simulator };
  const settings = demoEnvironment(data_dir, addresses, simulator.config);
  const environment: Environment = { ...settings, NODE_ENV: mode };
  const onLine = mode === 'development' ? (line: string) => process.stderr.write(`${line}\n`) : undefined;
  const shown = onLine === undefined ? {} : { onLine };
  await go('starting the app and the worker', async () => {
    const worker = run('worker', 'scripts/worker.ts', [], { environment, ...shown });
    const [script, command] = mode === 'production' ? ['scripts/start.ts', []] : [next_cli, ['dev']];
    const args = [...command, '-H', '127.0.0.1', '-p', String(app.port)];
    run('app', script, args, { environment, ...shown });
    await orAborted(
      life,
      Promise.all([worker.message, untilHealthy(`${public_url}/api/health/ready`, life)]),
    );
  });
  life.signal.throwIfAborted();
  await followMornings(life, environment, simulator.simulator);
  process.stdout.write(
    `${[
      `shop       ${public_url}`,
      `phone      ${simulator.phone}  (WeChat's browser on a simulated phone: open the shop here to pay)`,
      `admin      ${public_url}/admin`,
      `simulator  ${simulator.simulator}  (its page for people: ${simulator.page})`,
      `user       ${admin_name}`,
      `password   ${admin_password}  (for this run; the next start makes a new one)`,
      `app key    ${settings.APP_API_KEYS?.replace(/^[^:]*:/, '')}  (for an APP's server: docs/ways-of-paying.md)`,
      `database   ${database_url}`,
      `logs       ${log_dir}`,
      'READY',
    ].join('\n')}\n`,
  );
}

type ChildArguments = Parameters<typeof startChild>[0];
type Run = (name: string, script: string, args: string[], more: Partial<ChildArguments>) => Child;

/** The one line `simulator/main.ts --json` prints before READY. */
interface SimulatorLine {
  simulator: string;
  phone: string;
  page: string;
  config: SimulatorConfig;
}

async function startSimulator(
  life: Life,
  port: number,
  shop_origin: string,
  state_file: string,
  run: Run,
): Promise<SimulatorLine> {
  const phone_port = (await isFree(port + 1)) ? port + 1 : await freePort();
  const args = ['--port', String(port), '--phone-port', String(phone_port), '--shop-origin', shop_origin];
  let first_line: string | undefined;
  const ready = new Promise<SimulatorLine>((resolve, reject) => {
    const onLine = (line: string): void => {
      first_line ??= line.startsWith('{') ? line : undefined;
      if (line !== 'READY') return;
      if (first_line === undefined) reject(new Fault('The simulator was ready without saying where.'));
      else resolve(JSON.parse(first_line) as SimulatorLine);
    };
    run('simulator', 'simulator/main.ts', [...args, '--state', state_file, '--json'], { onLine });
  });
  return orAborted(life, ready);
}

/** Red packets go out of the merchant's own account, and a shop that has sold nothing yet has nothing in it. */
async function fillPurse(simulator_url: string): Promise<void> {
  const answer = await fetch(`${simulator_url}/_sim/merchant`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ balance_fen: purse_fen }),
  });
  if (!answer.ok) throw new Fault(`The simulator gave the merchant no money: ${await answer.text()}`);
}

async function untilHealthy(address: string, life: Life): Promise<void> {
  const give_up_at = Date.now() + health_patience_ms;
  let last = 'it did not answer';
  while (Date.now() < give_up_at) {
    life.signal.throwIfAborted();
    try {
      const answer = await fetch(address, {
        signal: AbortSignal.any([life.signal, AbortSignal.timeout(30_000)]),
      });
      if (answer.ok) return;
      last = `${answer.status} ${await answer.text()}`;
    } catch (error) {
      last = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    }
    await sleep(150);
  }
  throw new Fault(`The app does not become healthy at ${address}: ${last}`);
}

/** What is awaited, unless the end of everything comes first. */
function orAborted<T>(life: Life, awaited: Promise<T>): Promise<T> {
  const { signal } = life;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    awaited.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
