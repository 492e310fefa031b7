// Notifications per second, durable: the production route beside Next's own floor, beside the ordinary way to write
// the same thing, and the lean door for information. Alternating rounds in one run; the books are checked after each.
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { prepareQueues } from '../../lib/queues.ts';
import { build, isBuilt } from '../building.ts';
import { Fault } from '../fault.ts';
import { ensureGenerated } from '../generated.ts';
import type { Life } from '../life.ts';
import { migrate } from '../migrations.ts';
import { inProject } from '../paths.ts';
import { freePort } from '../ports.ts';
import { startPostgres } from '../postgres.ts';
import { note, step } from '../progress.ts';
import { runNode } from '../run_tool.ts';
import type { Bench } from './bench.ts';
import { type Books, counterBooks, echoBooks, peerBooks, peerTables } from './books.ts';
import { type LoadResult, runLoad } from './load.ts';
import { type Account, makeAccount, makeMessages, makeTrades } from './messages.ts';
import { cpuOf, startServer } from './processes.ts';
import type { Comparison, Measure, Party } from './results.ts';
import { median, ratioOfRounds, turnsOf } from './statistics.ts';

export interface NotificationPlan {
  rounds: number;
  /** How long each turn of each round shall take. */
  turn_s: number;
}

const connections = 64;
const duplicate_share = 0.1;
const warm_up_messages = 1_500;
const next_cli = 'node_modules/next/dist/bin/next';
/** So that no checkpoint falls into one turn and not into the other. What makes a commit durable is untouched. */
const postgres_settings = ['max_wal_size=4GB', 'checkpoint_timeout=30min'];

interface Server {
  name: string;
  url: string;
  pid: number | undefined;
  books: Books;
  isRight: (sent: Buffer, status: number, body: string) => boolean;
}

interface TurnResult extends LoadResult {
  /** Processor time of the server for each message. */
  cpu_us: number | undefined;
}

/** Starts the peers, lets them take turns, and compares. Throws a Fault when a server answered wrongly. */
export async function measureNotifications(bench: Bench, plan: NotificationPlan): Promise<Measure> {
  const account = makeAccount(bench.random);
  const servers = await startServers(bench, account);
  const rates = new Map<Server, number>();
  for (const server of servers) {
    const warm = await step(`warming up ${server.name}`, () =>
      turn(bench, account, server, warm_up_messages),
    );
    rates.set(server, warm.per_s);
  }
  const results = new Map<Server, TurnResult[]>(servers.map((server) => [server, []]));
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const server of turnsOf(servers, round)) {
      const messages = Math.max(connections * 4, Math.round((rates.get(server) ?? 0) * plan.turn_s));
      const title = `round ${round + 1} of ${plan.rounds}: ${messages} notifications to ${server.name}`;
      const result = await step(title, () => turn(bench, account, server, messages));
      note(`${Math.round(result.per_s)}/s`);
      rates.set(server, result.per_s);
      results.get(server)?.push(result);
    }
  }
  return measureOf(
    servers.map((server) => partyOf(server.name, results.get(server) ?? [])),
    plan,
  );
}

function partyOf(name: string, results: readonly TurnResult[]): Party {
  const rounds = results.map(({ per_s }) => per_s);
  const cpu = results.flatMap(({ cpu_us }) => (cpu_us === undefined ? [] : [cpu_us]));
  return {
    name,
    figure: median(rounds),
    rounds,
    details: {
      'p50 ms': median(results.map(({ p50_ms }) => p50_ms)),
      'p99 ms': median(results.map(({ p99_ms }) => p99_ms)),
      ...(cpu.length === 0 ? {} : { 'server CPU µs each': median(cpu) }),
    },
  };
}

function measureOf(parties: Party[], plan: NotificationPlan): Measure {
  const [route, echo, express, door] = parties;
  if (route === undefined || echo === undefined || express === undefined || door === undefined) {
    throw new Error('four servers take part');
  }
  const compared = (ours: Party, peer: Party, label: string, goal?: Comparison['goal']): Comparison => ({
    peer: label,
    ratio: ratioOfRounds(ours.rounds, peer.rounds),
    ...(goal === undefined ? {} : { goal }),
  });
  return {
    id: 'notifications',
    title: 'Payment notifications, verified, settled and committed',
    unit: 'per second',
    parties,
    comparisons: [
      compared(route, express, `our Next route ÷ ${express.name}`, { relation: '≥', ratio: 1 }),
      compared(route, echo, `our Next route ÷ ${echo.name}`, { relation: '≥', ratio: 0.85 }),
      compared(door, express, `the lean door ÷ ${express.name}`),
      compared(door, route, 'the lean door ÷ our Next route'),
    ],
    conditions:
      `${connections} connections, each message another signed v2 XML of about 1 KB for another unpaid trade, ` +
      `${duplicate_share * 100} % of them a second time; PostgreSQL with fsync and synchronous_commit on; ` +
      `${plan.rounds} alternating rounds of about ${plan.turn_s} s each; after every turn the books were checked: ` +
      'each trade acknowledged is paid, once',
  };
}

async function turn(bench: Bench, account: Account, server: Server, messages: number): Promise<TurnResult> {
  const trades = makeTrades(bench.random, Math.round(messages / (1 + duplicate_share)));
  await server.books.add(trades);
  const sent = makeMessages(bench.random, account, trades, duplicate_share);
  const acknowledged = new Set<string>();
  let refused = 0;
  const cpu_before = cpuOf(server.pid);
  const load = await runLoad({
    url: server.url,
    messages: sent,
    connections,
    signal: bench.life.signal,
    onAnswer: ({ trade, body }, status, answer) => {
      if (server.isRight(body, status, answer)) acknowledged.add(trade.out_trade_no);
      else refused += 1;
    },
  });
  const cpu_after = cpuOf(server.pid);
  const faults = await server.books.faults({ messages: sent, acknowledged, refused });
  if (faults.length > 0)
    throw new Fault(`${server.name} answered fast, but not rightly:\n  ${faults.join('\n  ')}`);
  const cpu_us =
    cpu_before === undefined || cpu_after === undefined
      ? undefined
      : ((cpu_after - cpu_before) * 1_000) / sent.length;
  return { ...load, cpu_us };
}

function saysSuccess(_sent: Buffer, status: number, body: string): boolean {
  return status === 200 && /<return_code>(<!\[CDATA\[)?SUCCESS(\]\]>)?<\/return_code>/.test(body);
}

async function startServers(bench: Bench, account: Account): Promise<Server[]> {
  const { life, dir, log_dir } = bench;
  await step('generating the Prisma client', () => ensureGenerated({ signal: life.signal }));
  if (!isBuilt()) {
    await step('building the app (only when its sources changed)', () => build({ signal: life.signal }));
  }
  const echo_dir = await step("building Next's own echo", () => buildEcho(bench));
  const databases = await step('starting PostgreSQL', () => startDatabases(life, dir));

  const settings = {
    DATABASE_URL: databases.counter_url,
    PUBLIC_URL: 'https://shop.example.com',
    SESSION_PASSWORD: bench.random.text(40, 'abcdefghijklmnopqrstuvwxyz'),
    SHOP_NAME: '柜台小店',
    WECHAT_APPID: account.appid,
    WECHAT_APP_SECRET: bench.random.text(32, '0123456789abcdef'),
    WECHAT_MCH_ID: account.mch_id,
    WECHAT_API_V2_KEY: account.api_v2_key,
    WECHAT_SIGN_TYPE: 'MD5',
  };
  const ports = {
    route: await freePort(),
    echo: await freePort(),
    express: await freePort(),
    door: await freePort(),
  };
  const nextArgs = (port: number, ...where: string[]) => [
    'start',
    ...where,
    '-H',
    '127.0.0.1',
    '-p',
    String(port),
  ];
  return step('starting the servers', async () => {
    const route = await startServer(life, {
      name: 'bench-next-route',
      script: next_cli,
      args: nextArgs(ports.route),
      environment: { ...settings, ...profiled(bench, 'route') },
      port: ports.route,
      log_dir,
    });
    const echo = await startServer(life, {
      name: 'bench-next-echo',
      script: next_cli,
      args: nextArgs(ports.echo, echo_dir),
      environment: {},
      port: ports.echo,
      log_dir,
    });
    const express = await startServer(life, {
      name: 'bench-express-peer',
      script: 'scripts/bench/peers/express_tenpay.mjs',
      environment: {
        PORT: String(ports.express),
        DATABASE_URL: databases.peer_url,
        APPID: account.appid,
        MCH_ID: account.mch_id,
        API_KEY: account.api_v2_key,
      },
      port: ports.express,
      log_dir,
    });
    const door = await startServer(life, {
      name: 'bench-door',
      script: 'scripts/door.ts',
      environment: { ...settings, DOOR_PORT: String(ports.door), ...profiled(bench, 'door') },
      port: ports.door,
      log_dir,
    });
    const counter = counterBooks(databases.counter, account);
    const at = (port: number, path: string): string => `http://127.0.0.1:${port}${path}`;
    const payment = '/api/notify/v2/payment';
    return [
      {
        name: 'our Next route',
        url: at(ports.route, payment),
        pid: route.pid,
        books: counter,
        isRight: saysSuccess,
      },
      {
        name: "Next's own echo",
        url: at(ports.echo, '/echo'),
        pid: echo.pid,
        books: echoBooks,
        isRight: (sent, status, body) => status === 200 && body === sent.toString(),
      },
      {
        name: 'Express 5 + tenpay + pg',
        url: at(ports.express, '/notify'),
        pid: express.pid,
        books: peerBooks(databases.peer),
        isRight: saysSuccess,
      },
      {
        name: 'our lean door',
        url: at(ports.door, payment),
        pid: door.pid,
        books: counter,
        isRight: saysSuccess,
      },
    ];
  });
}

function profiled({ profile_dir }: Bench, name: string): { NODE_OPTIONS?: string } {
  if (profile_dir === undefined) return {};
  return { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${join(profile_dir, name)}` };
}

async function buildEcho({ life, dir }: Bench): Promise<string> {
  const echo_dir = join(dir, 'next_echo');
  mkdirSync(echo_dir);
  cpSync(inProject('scripts', 'bench', 'peers', 'next_echo'), echo_dir, { recursive: true });
  symlinkSync(inProject('node_modules'), join(echo_dir, 'node_modules'), 'junction');
  const environment = { ...process.env, NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1' };
  const built = await runNode(next_cli, ['build', echo_dir], { signal: life.signal, environment });
  if (built.code !== 0) throw new Fault(`Next's own echo could not be built:\n${built.output}`);
  return echo_dir;
}

interface Databases {
  counter_url: string;
  counter: pg.Client;
  peer_url: string;
  peer: pg.Client;
}

async function startDatabases(life: Life, dir: string): Promise<Databases> {
  const postgres = await startPostgres(dir, {
    database: 'counter',
    settings: postgres_settings,
    copy_dir: dir,
  });
  life.onEnd('PostgreSQL', postgres.stop);
  const counter_url = postgres.url('counter');
  const peer_url = postgres.url('peer');
  await migrate(counter_url, () => prepareQueues(counter_url));
  const counter = new pg.Client({ connectionString: counter_url });
  await counter.connect();
  life.onEnd("the bench's own connections", async () => {
    await counter.end();
    await peer.end();
  });
  await counter.query('create database peer');
  const peer = new pg.Client({ connectionString: peer_url });
  await peer.connect();
  await peer.query(peerTables);
  return { counter_url, counter, peer_url, peer };
}
