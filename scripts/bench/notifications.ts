// Notifications per second, durable: the app as `npm start` serves it, and its route when Next serves it, beside Next's
// own floor and beside the ordinary way to write the same thing; the lean door for information. Alternating rounds in
// one run; the books are checked after each.
import { Fault } from '../fault.ts';
import { freePort } from '../ports.ts';
import { note, step } from '../progress.ts';
import { type Books, counterBooks, echoBooks, peerBooks, peerTables } from './books.ts';
import { type LoadResult, runLoad } from './load.ts';
import { makeMessages, makeTrades } from './messages.ts';
import { cpuOf } from './processes.ts';
import type { Comparison, Measure, Party } from './results.ts';
import type { Served, Site } from './site.ts';
import { median, ratioOfRounds, turnsOf } from './statistics.ts';

export interface NotificationPlan {
  rounds: number;
  /** How long each turn of each round shall take. */
  turn_s: number;
}

const connections = 64;
const duplicate_share = 0.1;
const warm_up_messages = 3_000;

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
export async function measureNotifications(site: Site, plan: NotificationPlan): Promise<Measure> {
  const servers = await startServers(site);
  const rates = new Map<Server, number>();
  for (const server of servers) {
    const warm = await step(`warming up ${server.name}`, () => turn(site, server, warm_up_messages));
    rates.set(server, warm.per_s);
  }
  const results = new Map<Server, TurnResult[]>(servers.map((server) => [server, []]));
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const server of turnsOf(servers, round)) {
      const messages = Math.max(connections * 4, Math.round((rates.get(server) ?? 0) * plan.turn_s));
      const title = `round ${round + 1} of ${plan.rounds}: ${messages} notifications to ${server.name}`;
      const result = await step(title, () => turn(site, server, messages));
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
  const [app, route, echo, express, door] = parties;
  if (
    app === undefined ||
    route === undefined ||
    echo === undefined ||
    express === undefined ||
    door === undefined
  ) {
    throw new Error('five servers take part');
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
      compared(app, express, `our app ÷ ${express.name}`, { relation: '≥', ratio: 1 }),
      compared(app, echo, `our app ÷ ${echo.name}`, { relation: '≥', ratio: 0.85 }),
      compared(route, echo, `our Next route ÷ ${echo.name}`, { relation: '≥', ratio: 0.85 }),
      compared(route, express, `our Next route ÷ ${express.name}`),
      compared(echo, express, `Next's own echo ÷ ${express.name}`),
      compared(door, express, `the lean door ÷ ${express.name}`),
    ],
    conditions:
      `${connections} connections, each message another signed v2 XML of about 1 KB for another unpaid trade, ` +
      `${duplicate_share * 100} % of them a second time; PostgreSQL with fsync and synchronous_commit on; ` +
      `${plan.rounds} alternating rounds of about ${plan.turn_s} s each; after every turn the books were checked: ` +
      'each trade acknowledged is paid, once',
  };
}

async function turn(site: Site, server: Server, messages: number): Promise<TurnResult> {
  const trades = makeTrades(site.random, Math.round(messages / (1 + duplicate_share)));
  await server.books.add(trades);
  const sent = makeMessages(site.random, site.account, trades, duplicate_share);
  const acknowledged = new Set<string>();
  let refused = 0;
  const cpu_before = cpuOf(server.pid);
  const load = await runLoad({
    url: server.url,
    messages: sent,
    connections,
    signal: site.life.signal,
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

function isEcho(sent: Buffer, status: number, body: string): boolean {
  return status === 200 && body === sent.toString();
}

function saysSuccess(_sent: Buffer, status: number, body: string): boolean {
  return status === 200 && /<return_code>(<!\[CDATA\[)?SUCCESS(\]\]>)?<\/return_code>/.test(body);
}

async function startServers(site: Site): Promise<Server[]> {
  const { account, settings } = site;
  const app = await site.app();
  const bare = await site.bare();
  const tiny = await site.tiny();
  const { counter_url, counter, peer_url, peer } = await site.databases();
  await peer.query(peerTables);
  const { express, door } = await step('starting the Express peer and the lean door', async () => {
    const express_port = await freePort();
    const door_port = await freePort();
    return {
      express: await site.serve(
        {
          name: 'bench-express',
          script: 'scripts/bench/peers/express_tenpay.mjs',
          environment: {
            PORT: String(express_port),
            DATABASE_URL: peer_url,
            APPID: account.appid,
            MCH_ID: account.mch_id,
            API_KEY: account.api_v2_key,
          },
        },
        express_port,
      ),
      door: await site.serve(
        {
          name: 'bench-door',
          script: 'scripts/door.ts',
          environment: { ...settings, DATABASE_URL: counter_url, DOOR_PORT: String(door_port) },
        },
        door_port,
      ),
    };
  });
  const books = counterBooks(counter, account);
  const server = (
    name: string,
    { origin, pid }: Served,
    path: string,
    its_books: Books,
    isRight = saysSuccess,
  ) => ({
    name,
    url: origin + path,
    pid,
    books: its_books,
    isRight,
  });
  const payment = '/api/notify/v2/payment';
  return [
    server('our app (npm start)', app, payment, books),
    server('our Next route', bare, payment, books),
    server("Next's own echo", tiny, '/echo', echoBooks, isEcho),
    server('Express 5 + tenpay + pg', express, '/notify', peerBooks(peer)),
    server('our lean door', door, payment, books),
  ];
}
