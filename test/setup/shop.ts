/**
 * The whole shop as real processes for a test: the production build under `npm start`'s own script, a worker, a
 * database of its own and the simulator, all on free ports of 127.0.0.1. Nothing is mocked, and every process ends
 * by its own id.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import { openDb } from '../../lib/db.ts';
import { seed } from '../../lib/seed.ts';
import { isBuilt } from '../../scripts/building.ts';
import { type Environment, inProject } from '../../scripts/paths.ts';
import { freePort } from '../../scripts/ports.ts';
import { type Simulator, startSimulator } from '../../simulator/server.ts';
import type { SimulatorConfig } from './counter.ts';

export interface Running {
  pid: number;
  /** Everything it wrote so far, both streams. */
  output: () => string;
  /** Sends a signal and waits for the end. */
  end: (signal: NodeJS.Signals) => Promise<Ended>;
  ended: Promise<Ended>;
}

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface SimulatedUser {
  openid: string;
  nickname: string;
}

export interface Shop {
  origin: string;
  database_url: string;
  simulator: Simulator;
  users: SimulatedUser[];
  /** Every setting the processes get. */
  settings: Environment;
  /** Starts the app at the shop's address, or at another port; resolves once it is ready for payments. */
  startApp: (port?: number) => Promise<Running>;
  startWorker: () => Promise<Running>;
  /** Posts (or gets, or puts) to the simulator's control door; throws what it refuses. */
  control: <Answer>(path: string, body?: unknown, method?: string) => Promise<Answer>;
  /** Asks the shop's database. */
  rows: <Row extends pg.QueryResultRow>(sql: string, values?: unknown[]) => Promise<Row[]>;
  /** Ends every process that still runs, then simulator and database connection. */
  close: () => Promise<void>;
}

export interface ShopOptions {
  /** Settings beside the shop's own; of what the simulator has, when they are a provider's. */
  environment?: Environment | ((simulated: SimulatorConfig) => Environment);
}

const ready_within_ms = 60_000;

/** Database filled, simulator listening; no process runs yet. The caller made the database and drops it. */
export async function openShop(database_url: string, options: ShopOptions = {}): Promise<Shop> {
  if (!isBuilt()) throw new Error('the production build is not of these sources: npm run build');
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const simulator = await startSimulator({ shop_origin: origin });
  const simulated = await simulatorConfig(simulator.url);
  const { official_account, mini_program, app, merchants, users, tls_url, ca_pem } = simulated;
  const [merchant] = merchants;
  if (merchant === undefined) throw new Error('the simulator has no merchant');
  await fillShelf(database_url);
  const pool = new pg.Pool({ connectionString: database_url, max: 2 });
  // A dropped database ends idle connections; that is no fault of the test.
  pool.on('error', () => undefined);
  const { PATH, HOME, TMPDIR, LANG, SystemRoot } = process.env;
  const settings: Environment = {
    PATH,
    HOME,
    TMPDIR,
    LANG,
    SystemRoot,
    NODE_ENV: 'production',
    NEXT_TELEMETRY_DISABLED: '1',
    DATABASE_URL: database_url,
    PUBLIC_URL: origin,
    SESSION_PASSWORD: 'a password that only this test knows, 0123456789',
    SHOP_NAME: '柜台小店',
    // Every shopper comes from this machine.
    ADDRESS_LIMIT_PER_MINUTE: '1000000',
    WECHAT_APPID: merchant.appid,
    WECHAT_APP_SECRET: official_account.secret,
    WECHAT_MCH_ID: merchant.mch_id,
    WECHAT_MINI_APPID: mini_program.appid,
    WECHAT_MINI_SECRET: mini_program.secret,
    WECHAT_APP_APPID: app.appid,
    APP_API_KEYS: 'app:the-key-of-an-app-server-in-a-test-0123456789',
    WECHAT_API_V2_KEY: merchant.api_v2_key,
    WECHAT_API_V3_KEY: merchant.api_v3_key,
    WECHAT_PAY_PUBLIC_KEY_ID: merchant.platform_public_key_id,
    WECHAT_PAY_PUBLIC_KEY: merchant.platform_public_key_pem,
    WECHAT_MERCHANT_CERTIFICATE: merchant.merchant_cert_pem,
    WECHAT_MERCHANT_KEY: merchant.merchant_key_pem,
    WECHAT_PAY_CERTIFICATE_BASE_URL: tls_url,
    WECHAT_PAY_CA: ca_pem,
    WECHAT_PAY_BASE_URL: simulator.url,
    WECHAT_API_BASE_URL: simulator.url,
    WECHAT_OPEN_BASE_URL: simulator.url,
    WECHAT_JS_SDK_URL: `${simulator.url}/open/js/jweixin-1.6.0.js`,
    GUITAI_ALLOW_SIMULATOR: 'yes',
    GUITAI_NO_REAL_MONEY: 'yes',
    ...(typeof options.environment === 'function' ? options.environment(simulated) : options.environment),
  };
  const running = new Set<Running>();
  const start = (script: string, args: string[]): ReturnType<typeof startNode> => {
    const started = startNode(script, args, settings);
    running.add(started.running);
    void started.running.ended.then(() => running.delete(started.running));
    return started;
  };
  return {
    origin,
    database_url,
    simulator,
    users,
    settings,
    startApp: async (own_port = port) => {
      const { running: app } = start('scripts/start.ts', ['-H', '127.0.0.1', '-p', String(own_port)]);
      await untilReady(`http://127.0.0.1:${own_port}/api/health/ready`, app);
      return app;
    },
    startWorker: async () => {
      const { running: worker, child } = start('scripts/worker.ts', []);
      await Promise.race([once(child, 'message'), diesEarly(worker)]);
      return worker;
    },
    control: async <Answer>(path: string, body?: unknown, method?: string) => {
      const answer = await fetch(`${simulator.url}/_sim/${path}`, {
        method: method ?? (body === undefined ? 'GET' : 'POST'),
        ...(body === undefined
          ? {}
          : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`simulator ${path}: ${answer.status} ${text}`);
      return JSON.parse(text) as Answer;
    },
    rows: async <Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []) =>
      (await pool.query<Row>(sql, values)).rows,
    close: async () => {
      await Promise.all([...running].map((one) => one.end('SIGTERM')));
      await simulator.close();
      await pool.end();
    },
  };
}

async function simulatorConfig(url: string): Promise<SimulatorConfig> {
  return (await (await fetch(`${url}/_sim/config`)).json()) as SimulatorConfig;
}

async function fillShelf(database_url: string): Promise<void> {
  const db = openDb(database_url, { connections: 1 });
  try {
    await seed(db);
  } finally {
    await db.$disconnect();
  }
}

/** Node on a script of the project, with exactly these settings; it dies with the test. */
export function startNode(
  script: string,
  args: string[],
  environment: Environment,
): { running: Running; child: ChildProcess } {
  const with_parent = pathToFileURL(inProject('scripts', 'die_with_parent.ts')).href;
  const child = spawn(process.execPath, ['--import', with_parent, inProject(script), ...args], {
    cwd: inProject(),
    env: environment as NodeJS.ProcessEnv,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (line) => {
      output += `${line}\n`;
    });
  }
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  const running: Running = {
    pid: child.pid ?? -1,
    output: () => output,
    ended,
    end: (signal) => {
      child.kill(signal);
      return ended;
    },
  };
  return { running, child };
}

async function untilReady(address: string, app: Running): Promise<void> {
  const early = diesEarly(app);
  const give_up_at = Date.now() + ready_within_ms;
  while (Date.now() < give_up_at) {
    const asked = fetch(address, { signal: AbortSignal.timeout(5_000) }).then(
      (answer) => answer.ok,
      () => false,
    );
    if (await Promise.race([asked, early])) return;
    // The port opens without telling anybody.
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the app did not become ready:\n${app.output()}`);
}

async function diesEarly(running: Running): Promise<never> {
  const { code, signal } = await running.ended;
  throw new Error(`it ended with ${code ?? signal} before it was ready:\n${running.output()}`);
}
