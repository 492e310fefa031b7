/**
 * Five hundred charges at the counter while everything goes wrong that can: passwords that come late, never or with a
 * no, answers that are lost, cut, unsigned or late, SYSTEMERROR and BANKERROR whether done or not, recalls, stale
 * queries, impatient operators, crashes before the call and after it. In the end WeChat's ledger and ours agree to the
 * fen, nothing is unknown, and WeChat heard of each charge at most once. COUNTER_SEED replays a plan.
 */
import { expect, it } from 'vitest';
import { charge, followCharge, reverseByOperator } from '../../lib/counter.ts';
import { AppError } from '../../lib/errors.ts';
import { type CashDesk, openCashDesk } from '../setup/cash_desk.ts';
import { type Counter, openCounter } from '../setup/counter.ts';

const seed = Number(process.env.COUNTER_SEED ?? 20_261_123);
const charges = 500;
const wave = 50;

/** mulberry32: the same seed, the same plan. */
function randomOf(state: number): () => number {
  let a = state;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const random = randomOf(seed);
/** What depends on who comes first must not move the plan. */
const chance = randomOf(seed + 1);
const below = (n: number): number => Math.floor(random() * n);
function pick<T>(list: readonly T[]): T {
  const one = list[below(list.length)];
  if (one === undefined) throw new Error('nothing to pick from');
  return one;
}

interface Plan {
  total_fen: number;
  password: boolean;
  /** What the payer does, and after how many steps of five seconds. */
  answer: 'confirm' | 'refuse' | 'fail' | 'never';
  answer_step: number;
  /** The step at which the operator loses patience. */
  give_up_step: number | undefined;
  crash: 'before the call' | 'after the call' | undefined;
  taps: number;
}

function plan(): Plan {
  const one = drawn();
  // Some lose patience at the very moment the payer finds the password.
  return one.give_up_step !== undefined && random() < 0.5
    ? { ...one, password: true, answer: 'confirm', answer_step: one.give_up_step }
    : one;
}

function drawn(): Plan {
  return {
    total_fen: 1 + below(5_000),
    password: random() < 0.5,
    answer: pick(['confirm', 'confirm', 'confirm', 'refuse', 'fail', 'never']),
    answer_step: 1 + below(9),
    give_up_step: random() < 0.2 ? 4 + below(4) : undefined,
    crash: random() < 0.06 ? pick(['before the call', 'after the call']) : undefined,
    taps: random() < 0.1 ? 3 : 1,
  };
}

/** Every wrong answer there is; what was done all the same and what was not are two. */
const faults: readonly [string, object][] = [
  ['micropay_answer_lost', {}],
  ['micropay_line_cut', {}],
  ['micropay_system_error', {}],
  ['micropay_system_error_done', {}],
  ['micropay_http_502', { done: true }],
  ['micropay_http_502', { done: false }],
  ['micropay_answer_truncated', {}],
  ['micropay_answer_bad_signature', {}],
  ['micropay_answer_slow', { delay_ms: 700 }],
  ['bank_error', { done: true }],
  ['bank_error', { done: false }],
  ['userpaying', {}],
  ['userpaying_forever', {}],
  ['query_stale', {}],
  ['orderquery_answer_lost', {}],
  ['orderquery_answer_slow', { delay_ms: 250 }],
  ['orderquery_system_error', {}],
  ['orderquery_answer_bad_signature', {}],
  ['reverse_recall', { done: true }],
  ['reverse_recall', { done: false }],
  ['reverse_answer_lost', {}],
  ['reverse_line_cut', {}],
  ['reverse_system_error_done', {}],
];

/** The faults of the next wave, each for a few calls: dealt, so that all have their turns. */
const deck: [string, object][] = [];
function dealt(): Record<string, object> {
  const hand: Record<string, object> = {};
  while (Object.keys(hand).length < 10) {
    if (deck.length === 0) deck.push(...faults);
    const [one] = deck.splice(below(deck.length), 1);
    if (one !== undefined) hand[one[0]] = { ...one[1], times: 2 + below(4) };
  }
  return hand;
}

class Killed extends Error {}

/** The app as it is when it dies at that moment. */
function dying(counter: Counter, crash: Plan['crash']) {
  const { ctx } = counter;
  const die = (): never => {
    throw new Killed('killed');
  };
  if (crash === 'before the call') return { ...ctx, payFor: die };
  return crash === 'after the call' ? { ...ctx, settle: async () => die() } : ctx;
}

async function chargeOnce(counter: Counter, desk: CashDesk, one: Plan): Promise<string> {
  const input = desk.input(await desk.code(one.password), one.total_fen);
  const ctx = dying(counter, one.crash);
  const taps = Array.from({ length: one.taps }, () =>
    charge(ctx, desk.operator, input).catch((thrown: unknown) => {
      if (!(thrown instanceof Killed)) throw thrown;
    }),
  );
  await Promise.all(taps);
  // The page asks again with the same key, as it does after no answer.
  return charge(counter.ctx, desk.operator, input);
}

/** A few at a time. */
async function together<T>(jobs: readonly (() => Promise<T>)[], width = 12): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let n = next++; n < jobs.length; n = next++) {
      const job = jobs[n];
      if (job !== undefined) results[n] = await job();
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}

/** The due jobs, several workers at once, and now and then one job twice. */
async function work(counter: Counter): Promise<void> {
  const { ctx } = counter;
  const due = await ctx.db.$queryRaw<{ out_trade_no: string }[]>`
    SELECT data->>'out_trade_no' AS out_trade_no FROM pgboss.job
    WHERE name = 'counter_follow' AND state = 'created' AND start_after <= ${ctx.now()}`;
  await together(
    due
      .filter(() => chance() < 0.1)
      .map(
        ({ out_trade_no }) =>
          () =>
            followCharge(ctx, out_trade_no),
      ),
  );
  await Promise.all([counter.work('counter_follow'), counter.work('counter_follow')]);
  await counter.work('order_paid');
}

it(`500 charges agree to the fen, whatever went wrong (COUNTER_SEED=${seed})`, {
  timeout: 240_000,
}, async () => {
  const begun = performance.now();
  const counter = await openCounter({
    environment: { WECHAT_PRODUCTS: 'MICROPAY', WECHAT_TIMEOUT_MS: '500' },
    simulator: { log_size: 60_000, seed: `counter ${seed}` },
  });
  try {
    const desk = await openCashDesk(counter);
    const live: { out_trade_no: string; one: Plan; step: number }[] = [];
    const thumb = async (out_trade_no: string, answer: string): Promise<void> => {
      const response = await fetch(`${counter.simulator_url}/_sim/password`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ out_trade_no, answer }),
      });
      await response.arrayBuffer();
    };
    const giveUp = (out_trade_no: string) =>
      reverseByOperator(counter.ctx, desk.operator, out_trade_no).catch((thrown: unknown) => {
        if (!(thrown instanceof AppError)) throw thrown;
      });

    const step = async (): Promise<void> => {
      counter.advance(5);
      await counter.control('clock', { advance_s: 5 });
      const acts = live.flatMap((charge) => {
        charge.step += 1;
        const { out_trade_no, one, step: n } = charge;
        return [
          ...(one.answer !== 'never' && one.answer_step === n ? [() => thumb(out_trade_no, one.answer)] : []),
          ...(one.give_up_step === n ? [() => giveUp(out_trade_no)] : []),
        ];
      });
      // Thumbs, impatience and workers race.
      await Promise.all([together(acts), work(counter)]);
    };

    const hits = new Map<string, number>();
    const countHits = async (): Promise<void> => {
      const { armed } = await counter.control<{ armed: Record<string, { hits: number }> }>('faults');
      for (const [name, struck] of Object.entries(armed)) {
        hits.set(name, (hits.get(name) ?? 0) + struck.hits);
      }
    };

    const numbers: string[] = [];
    for (let made = 0; made < charges; made += wave) {
      await countHits();
      await counter.control('faults', {}, 'DELETE');
      await counter.control('faults', dealt(), 'PUT');
      const plans = Array.from({ length: wave }, plan);
      const out = await together(plans.map((one) => () => chargeOnce(counter, desk, one)));
      numbers.push(...out);
      plans.forEach((one, n) => {
        live.push({ out_trade_no: out[n] ?? '', one, step: 0 });
      });
      for (let n = 0; n < 3; n += 1) await step();
    }
    await countHits();
    await counter.control('faults', {}, 'DELETE');
    const open = () =>
      counter.ctx.db.trade.count({ where: { trade_state: { in: ['NOTPAY', 'USERPAYING'] } } });
    let steps = 0;
    for (; (await open()) > 0 && steps < 60; steps += 1) await step();

    const trades = await counter.ctx.db.trade.findMany({ include: { order: true, refunds: true } });
    const { entries } = await counter.control<{
      entries: { kind: string; out_trade_no: string; amount_fen: number }[];
    }>('ledger');
    const theirs = new Map<string, number>();
    for (const { kind, out_trade_no, amount_fen } of entries) {
      const signed_fen = kind === 'payment' ? amount_fen : -amount_fen;
      theirs.set(out_trade_no, (theirs.get(out_trade_no) ?? 0) + signed_fen);
    }
    const ours = new Map(
      trades.map((trade) => [trade.out_trade_no, trade.trade_state === 'SUCCESS' ? trade.total_fen : 0]),
    );
    const sum = (book: ReadonlyMap<string, number>) => [...book.values()].reduce((a, b) => a + b, 0);
    const ends: Record<string, number> = {};
    for (const { trade_state } of trades) ends[trade_state] = (ends[trade_state] ?? 0) + 1;
    const seconds = Math.round((performance.now() - begun) / 1_000);
    process.stdout.write(
      `${trades.length} charges, seed ${seed}: ${JSON.stringify(ends)}; ours ${sum(ours)} fen, WeChat's ${sum(theirs)} fen; ${seconds} s\n`,
    );

    // Everything went wrong that can.
    expect(faults.filter(([name]) => (hits.get(name) ?? 0) === 0).map(([name]) => name)).toEqual([]);
    // Nothing unknown, each end reached, one trade per code and per order.
    expect(new Set(numbers).size).toBe(charges);
    expect(trades.length).toBe(charges);
    expect(Object.keys(ends).sort()).toEqual(['CLOSED', 'PAYERROR', 'REVOKED', 'SUCCESS']);
    expect(trades.filter(({ order }) => order.state === 'NOTPAY')).toEqual([]);
    // The same money, charge by charge.
    const differing = [...ours].filter(([out_trade_no, fen]) => (theirs.get(out_trade_no) ?? 0) !== fen);
    expect(differing).toEqual([]);
    expect(sum(theirs)).toBe(sum(ours));
    expect(trades.filter(({ surplus, refunds }) => surplus !== null || refunds.length > 0)).toEqual([]);
    expect(trades.filter(({ order }) => (order.state === 'SUCCESS') !== (order.served_at !== null))).toEqual(
      [],
    );
    // WeChat heard of a charge at most once.
    const log = await counter.control<{ entries: { path: string; out_trade_no: string }[] }>(
      'log?limit=60000&path=/pay/micropay',
    );
    const heard = log.entries.map(({ out_trade_no }) => out_trade_no);
    expect(heard.length).toBeGreaterThan(charges * 0.8);
    expect(new Set(heard).size).toBe(heard.length);
    expect(seconds).toBeLessThan(200);
  } finally {
    await counter.close();
  }
});
