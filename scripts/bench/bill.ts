// How long the shop needs to take a day's trade bill into PostgreSQL, and with how much memory, beside a plain COPY of
// the same rows. Each turn is a process of its own, and every row and every fen must have arrived.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault } from '../fault.ts';
import { note, step } from '../progress.ts';
import { runNode } from '../run_tool.ts';
import { type BillFile, writeBill } from './bill_file.ts';
import type { Ran } from './bill_runner.ts';
import type { Measure, Party } from './results.ts';
import type { Site } from './site.ts';
import { median, ratioOfRounds, turnsOf } from './statistics.ts';

export interface BillPlan {
  rows: number;
  rounds: number;
}

/** What the goals are about: a bill of a busy merchant's day. */
const goal_rows = 1_000_000;
const most_memory_mb = 200;

interface Runner {
  name: string;
  args: (file: BillFile) => string[];
}

const runners: readonly Runner[] = [
  { name: 'our import', args: ({ gzip_path, bill_date }) => ['import', gzip_path, bill_date] },
  { name: 'plain COPY of a CSV', args: ({ csv_path }) => ['copy', csv_path] },
];

/** Imports and copies in turns. Throws a Fault when a turn ended with other rows or another sum than the bill's. */
export async function measureBill(
  site: Pick<Site, 'account' | 'databases' | 'life' | 'random' | 'settings'>,
  plan: BillPlan,
): Promise<Measure> {
  const { counter_url } = await site.databases();
  const environment = { ...process.env, ...site.settings, DATABASE_URL: counter_url };
  const dir = mkdtempSync(join(tmpdir(), 'guitai-bench-bill-'));
  try {
    const count = plan.rows.toLocaleString('en-US');
    const file = await step(`writing a bill of ${count} rows`, () =>
      writeBill(dir, site.account, site.random, plan.rows),
    );
    const results = new Map<Runner, Ran[]>(runners.map((runner) => [runner, []]));
    for (let round = 0; round < plan.rounds; round += 1) {
      for (const runner of turnsOf(runners, round)) {
        const ran = await step(`round ${round + 1} of ${plan.rounds}: ${runner.name}`, () =>
          run(runner, file, environment, site.life.signal),
        );
        note(`${ran.seconds.toFixed(2)} s, at most ${Math.round(ran.peak_mb)} MB`);
        results.get(runner)?.push(ran);
      }
    }
    const [ours, copy] = runners.map((runner) => partyOf(runner.name, results.get(runner) ?? []));
    if (ours === undefined || copy === undefined) throw new Error('two take part');
    return measureOf(ours, copy, file, plan);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function run(
  { name, args }: Runner,
  file: BillFile,
  environment: Record<string, string | undefined>,
  signal: AbortSignal,
): Promise<Ran> {
  const { code, output } = await runNode('scripts/bench/bill_runner.ts', args(file), { environment, signal });
  const line = output.split('\n').find((each) => each.startsWith('{'));
  if (code !== 0 || line === undefined) throw new Fault(`${name} ended with code ${code}:\n${output}`);
  const ran = JSON.parse(line) as Ran;
  if (ran.rows !== file.rows || ran.payment_fen !== file.payment_fen) {
    throw new Fault(
      `${name} was fast, but not right: ${ran.rows} rows of ${ran.payment_fen} fen, ` +
        `expected ${file.rows} of ${file.payment_fen}`,
    );
  }
  return ran;
}

function partyOf(name: string, ran: readonly Ran[]): Party {
  const rounds = ran.map(({ seconds }) => seconds);
  return {
    name,
    figure: median(rounds),
    rounds,
    details: {
      'rows per second': median(ran.map(({ rows, seconds }) => rows / seconds)),
      'peak MB': median(ran.map(({ peak_mb }) => peak_mb)),
    },
  };
}

function measureOf(ours: Party, copy: Party, file: BillFile, { rows, rounds }: BillPlan): Measure {
  const count = rows.toLocaleString('en-US');
  const fewer =
    rows === goal_rows ? '' : ` (fewer than the ${goal_rows.toLocaleString('en-US')} of the full run)`;
  return {
    id: 'bill',
    title: `A trade bill of ${count} rows into the database`,
    unit: 's',
    parties: [ours, copy],
    comparisons: [
      {
        peer: `${ours.name} ÷ ${copy.name}`,
        ratio: ratioOfRounds(ours.rounds, copy.rounds),
        goal: { relation: '≤', ratio: 4 },
      },
      {
        peer: `${ours.name}’s peak memory ÷ ${most_memory_mb} MB`,
        ratio: (ours.details['peak MB'] ?? Number.NaN) / most_memory_mb,
        goal: { relation: '≤', ratio: 1 },
      },
    ],
    conditions:
      `a bill of ${count} rows${fewer}, every tenth a refund, gzipped as WeChat sends it: unzipped, read, checked ` +
      'against its own summary, kept as it came and copied, all as a stream, beside COPY of the same rows ' +
      `(${Math.round(file.csv_bytes / 1_000_000)} MB as CSV) into an equal table; ${rounds} alternating rounds, each ` +
      'in a process of its own whose peak counts everything it loaded; after every turn rows and sums were checked',
  };
}
