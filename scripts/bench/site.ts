// What several measures share, each started when it is first asked for and stopped with the run: the databases, the
// production build of the shop, and a tiny app on the same Next for comparison.
import { cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { prepareQueues } from '../../lib/queues.ts';
import { build, isBuilt } from '../building.ts';
import type { Child } from '../children.ts';
import { Fault } from '../fault.ts';
import { ensureGenerated } from '../generated.ts';
import type { Life } from '../life.ts';
import { migrate } from '../migrations.ts';
import { inProject } from '../paths.ts';
import { freePort } from '../ports.ts';
import { startPostgres } from '../postgres.ts';
import { step } from '../progress.ts';
import { runNode } from '../run_tool.ts';
import { type Account, makeAccount } from './messages.ts';
import { type ServerPlan, startServer } from './processes.ts';
import type { Random } from './random.ts';

export interface Databases {
  counter_url: string;
  counter: pg.Client;
  peer_url: string;
  /** Empty: the peer's tables are the measure's business. */
  peer: pg.Client;
}

export interface Served {
  origin: string;
  pid: number | undefined;
}

export interface Site {
  life: Life;
  random: Random;
  account: Account;
  /** The settings of the shop, the same for each of its processes. */
  settings: Record<string, string>;
  databases(): Promise<Databases>;
  /** Our production build under `npm start`'s own script. */
  app(): Promise<Served>;
  /** The same build under `next start`, with nothing before Next. */
  bare: () => Promise<Served>;
  /** The tiny app of `peers/next_tiny` under `next start`. */
  tiny(): Promise<Served>;
  /** Starts one more server on a free port of its own. */
  serve(plan: Omit<ServerPlan, 'log_dir' | 'port'>, port: number): Promise<Served>;
}

export interface SiteOptions {
  life: Life;
  random: Random;
  /** Goes away with the run. */
  dir: string;
  /** Where the servers' logs go; they stay. */
  log_dir: string;
  /** Set when CPU profiles of our servers are wanted. */
  profile_dir?: string;
}

const next_cli = 'node_modules/next/dist/bin/next';
/** So that no checkpoint falls into one turn and not into the other. What makes a commit durable is untouched. */
const postgres_settings = ['max_wal_size=4GB', 'checkpoint_timeout=30min'];

export async function createSite(options: SiteOptions): Promise<Site> {
  const { life, random, dir, log_dir, profile_dir } = options;
  const account = makeAccount(random);
  const port = await freePort();
  const settings: Record<string, string> = {
    PUBLIC_URL: `http://127.0.0.1:${port}`,
    SESSION_PASSWORD: random.text(40, 'abcdefghijklmnopqrstuvwxyz'),
    SHOP_NAME: '柜台小店',
    // Every shopper comes from this machine.
    ADDRESS_LIMIT_PER_MINUTE: '1000000',
    WECHAT_APPID: account.appid,
    WECHAT_APP_SECRET: random.text(32, '0123456789abcdef'),
    WECHAT_MCH_ID: account.mch_id,
    WECHAT_API_V2_KEY: account.api_v2_key,
    WECHAT_SIGN_TYPE: 'MD5',
    // Nothing here speaks to WeChat; these two allow an address without https.
    GUITAI_ALLOW_SIMULATOR: 'yes',
    GUITAI_NO_REAL_MONEY: 'yes',
  };
  const served = (child: Child, its_port: number): Served => ({
    origin: `http://127.0.0.1:${its_port}`,
    pid: child.pid,
  });
  const serve: Site['serve'] = async (plan, its_port) => {
    const profile =
      profile_dir === undefined
        ? {}
        : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${join(profile_dir, plan.name)}` };
    const environment = { ...plan.environment, ...profile };
    return served(await startServer(life, { ...plan, environment, port: its_port, log_dir }), its_port);
  };
  const start = (
    name: string,
    its_port: number,
    environment: Record<string, string>,
    script: string,
    ...where: string[]
  ) => {
    const args = [...where, '-H', '127.0.0.1', '-p', String(its_port)];
    return serve({ name, script, args, environment }, its_port);
  };
  const databases = once(() => step('starting PostgreSQL', () => startDatabases(life, dir)));
  return {
    life,
    random,
    account,
    settings,
    serve,
    databases,
    app: once(async () => {
      const { counter_url } = await databases();
      await step('generating the Prisma client', () => ensureGenerated({ signal: life.signal }));
      if (!isBuilt()) {
        await step('building the app (only when its sources changed)', () => build({ signal: life.signal }));
      }
      return step('starting the app', () =>
        start('bench-app', port, { ...settings, DATABASE_URL: counter_url }, 'scripts/start.ts'),
      );
    }),
    bare: once(async () => {
      const { counter_url } = await databases();
      const its_port = await freePort();
      return step('starting the app without its front', () =>
        start('bench-bare', its_port, { ...settings, DATABASE_URL: counter_url }, next_cli, 'start'),
      );
    }),
    tiny: once(async () => {
      const tiny_dir = await step('building a tiny app on the same Next', () => buildTiny(life, dir));
      const its_port = await freePort();
      return step('starting the tiny app', () =>
        start('bench-next-tiny', its_port, {}, next_cli, 'start', tiny_dir),
      );
    }),
  };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

async function buildTiny(life: Life, dir: string): Promise<string> {
  const tiny_dir = join(dir, 'next_tiny');
  mkdirSync(tiny_dir);
  cpSync(inProject('scripts', 'bench', 'peers', 'next_tiny'), tiny_dir, { recursive: true });
  symlinkSync(inProject('node_modules'), join(tiny_dir, 'node_modules'), 'junction');
  const environment = { ...process.env, NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1' };
  const built = await runNode(next_cli, ['build', tiny_dir], { signal: life.signal, environment });
  if (built.code !== 0) throw new Fault(`The tiny app could not be built:\n${built.output}`);
  return tiny_dir;
}

async function startDatabases(life: Life, dir: string): Promise<Databases> {
  const postgres = await startPostgres(dir, {
    database: 'counter',
    settings: postgres_settings,
    copy_dir: dir,
  });
  life.onEnd('PostgreSQL', async () => {
    await postgres.stop();
    rmSync(postgres.home, { recursive: true, force: true });
  });
  const counter_url = postgres.url('counter');
  const peer_url = postgres.url('peer');
  await migrate(counter_url, () => prepareQueues(counter_url));
  const counter = await connect(life, counter_url);
  await counter.query('create database peer');
  return { counter_url, counter, peer_url, peer: await connect(life, peer_url) };
}

async function connect(life: Life, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  life.onEnd("the bench's own connection", () => client.end());
  return client;
}
