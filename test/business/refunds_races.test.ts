/**
 * A thousand trades, several refunds of each wished for and sent at the same moment, to a WeChat that would accept any
 * sum and loses answers: PostgreSQL alone keeps the promise that nothing goes back twice or beyond what was paid.
 */
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../lib/config.ts';
import { type Context, createContext } from '../../lib/context.ts';
import { AppError } from '../../lib/errors.ts';
import { followRefund } from '../../lib/refund_call.ts';
import { isReserving, requestRefund } from '../../lib/refunds.ts';
import { settleRefund } from '../../lib/settle_refund.ts';
import { type PlaceRefund, type RefundStatus, WechatError, type WechatPay } from '../../lib/wechat/index.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';
import { account, makeTrade } from '../setup/rows.ts';

const wished = 1_000;
const sent = 100;
const at_once = 6;

let database: TestDatabase;
let ctx: Context;
beforeAll(async () => {
  database = await createTestDatabase();
  const config = readConfig({
    DATABASE_URL: database.url,
    PUBLIC_URL: 'http://127.0.0.1:1',
    SESSION_PASSWORD: 'a password that only this test knows, 0123456789',
    SHOP_NAME: '柜台小店',
    WECHAT_APPID: account.appid,
    WECHAT_APP_SECRET: '0'.repeat(32),
    WECHAT_MCH_ID: account.mch_id,
    WECHAT_API_V2_KEY: '0'.repeat(32),
    GUITAI_ALLOW_SIMULATOR: 'yes',
    GUITAI_NO_REAL_MONEY: 'yes',
  });
  const made = createContext(config, { log: pino({ level: 'silent' }) });
  const pay: WechatPay = { ...made.pay, ...greedyWechat() };
  ctx = { ...made, pay, payFor: () => pay };
});
afterAll(async () => {
  await ctx.close();
  await database.drop();
});

/** The same draws for the same seed, so that a failing round can be run again. */
function dice(seed: number) {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    upTo: (most: number): number => 1 + Math.floor(next() * most),
    happens: (chance: number): boolean => next() < chance,
  };
}
type Dice = ReturnType<typeof dice>;

interface There {
  out_trade_no: string;
  refund_fen: number;
  total_fen: number;
  status: RefundStatus;
}
/** What WeChat has accepted, by our number; and the dice of each trade's round. */
const there = new Map<string, There>();
const chances = new Map<string, Dice>();

const exchange = {
  method: 'POST' as const,
  path: '/secapi/pay/refund',
  request_body: '',
  started_at: new Date(0),
  duration_ms: 0,
};

/** Accepts every sum; knows only that one number is one refund. Loses what it hears, or what it says. */
function greedyWechat(): Pick<WechatPay, 'placeRefund' | 'queryRefund'> {
  const reported = (out_refund_no: string, { out_trade_no, refund_fen, total_fen, status }: There) => ({
    report: { out_refund_no, refund_id: `W${out_refund_no}`, out_trade_no, refund_fen, total_fen, status },
    exchange,
  });
  return {
    async placeRefund({ out_refund_no, out_trade_no, refund_fen, total_fen }: PlaceRefund) {
      const chance = chances.get(out_trade_no) ?? dice(1);
      if (chance.happens(0.1)) throw new WechatError('unknown', 'CONNECTION', 'cut before');
      if (chance.happens(0.05)) throw new WechatError('refused', 'NOTENOUGH', 'no money');
      if (chance.happens(0.05)) throw new WechatError('refused', 'USER_ACCOUNT_ABNORMAL', 'gone');
      const held = there.get(out_refund_no) ?? { out_trade_no, refund_fen, total_fen, status: 'PROCESSING' };
      there.set(out_refund_no, held);
      if (chance.happens(0.2)) throw new WechatError('unknown', 'CONNECTION', 'cut after');
      return reported(out_refund_no, { ...held, status: 'PROCESSING' });
    },
    async queryRefund(out_refund_no: string) {
      const held = there.get(out_refund_no);
      if (held === undefined) throw new WechatError('refused', 'REFUNDNOTEXIST', 'never heard');
      return reported(out_refund_no, held);
    },
  };
}

/** Several wishes of one trade at once, nothing sent. Returns how many reserved something. */
async function raceToReserve(seed: number): Promise<number> {
  const chance = dice(seed);
  const { out_trade_no, total_fen } = await makeTrade(ctx.db, {
    order_state: 'SUCCESS',
    trade_state: 'SUCCESS',
    total_fen: chance.upTo(10_000),
  });
  const numberOfKey = new Map<string, string>();
  const wish = async (command_key: string, refund_fen: number): Promise<void> => {
    const told = await requestRefund(ctx, {
      out_trade_no,
      refund_fen,
      reason: '试',
      command_key,
      origin: 'operator',
    });
    expect(numberOfKey.get(command_key) ?? told.out_refund_no).toBe(told.out_refund_no);
    numberOfKey.set(command_key, told.out_refund_no);
  };
  const results = await Promise.allSettled(
    Array.from({ length: 2 + chance.upTo(3) }, (_, n) =>
      wish(`${out_trade_no}:${n % 3}`, n < 3 ? chance.upTo(total_fen) : 1),
    ),
  );
  for (const result of results) {
    if (result.status === 'rejected')
      expect(['refund_too_much', 'refund_key_reused']).toContain(result.reason.code);
  }
  const rows = await ctx.db.refund.findMany({ where: { out_trade_no } });
  const reserved_fen = rows.reduce((sum, { refund_fen }) => sum + refund_fen, 0);
  expect(reserved_fen, `seed ${seed}: reserved of ${total_fen}`).toBeLessThanOrEqual(total_fen);
  expect(rows.length, `seed ${seed}: one row a key`).toBe(numberOfKey.size);
  return rows.length;
}

/** Runs a race per seed, some at the same time. */
async function eachSeed(rounds: number, race: (seed: number) => Promise<unknown>): Promise<void> {
  const seeds = Array.from({ length: rounds }, (_, n) => n + 1).values();
  const runner = async (): Promise<void> => {
    for (const seed of seeds) await race(seed);
  };
  await Promise.all(Array.from({ length: at_once }, runner));
}

async function race(seed: number): Promise<void> {
  const chance = dice(seed);
  const { out_trade_no, order_no, total_fen } = await makeTrade(ctx.db, {
    order_state: 'SUCCESS',
    trade_state: 'SUCCESS',
    total_fen: chance.upTo(10_000),
  });
  chances.set(out_trade_no, chance);
  const numberOfKey = new Map<string, string>();
  const wishOnce = async (command_key: string, refund_fen: number): Promise<void> => {
    try {
      const { out_refund_no } = await requestRefund(ctx, {
        out_trade_no,
        refund_fen,
        reason: '试',
        command_key,
        origin: 'operator',
      });
      expect(numberOfKey.get(command_key) ?? out_refund_no, `seed ${seed}: one number a wish`).toBe(
        out_refund_no,
      );
      numberOfKey.set(command_key, out_refund_no);
      await followRefund(ctx, out_refund_no);
    } catch (thrown) {
      if (!(thrown instanceof AppError)) throw thrown;
      expect(['refund_too_much', 'refund_key_reused']).toContain(thrown.code);
    }
  };
  for (let wave = 0; wave < 2; wave += 1) {
    const keys = Array.from({ length: chance.upTo(4) }, (_, n) => ({
      command_key: `${out_trade_no}:${wave}:${n}`,
      refund_fen: chance.upTo(total_fen),
    }));
    await Promise.all(
      keys.flatMap(({ command_key, refund_fen }) =>
        Array.from({ length: chance.upTo(2) }, () =>
          wishOnce(command_key, chance.happens(0.1) ? chance.upTo(total_fen) : refund_fen),
        ),
      ),
    );
    // Some end at WeChat, whatever we have heard; message, worker and bill meet at the row.
    const begun = [...numberOfKey.values()];
    for (const number of begun) {
      const held = there.get(number);
      if (held?.status === 'PROCESSING' && chance.happens(0.7)) {
        held.status = chance.happens(0.4) ? 'CLOSED' : 'SUCCESS';
      }
    }
    await Promise.all(
      begun.flatMap((number) => {
        const held = there.get(number);
        const told = { out_refund_no: number, refund_id: `W${number}` };
        return [
          followRefund(ctx, number),
          held === undefined ? undefined : settleRefund(ctx, { ...told, ...held }, 'notification'),
          followRefund(ctx, number),
        ];
      }),
    );
  }
  const rows = await ctx.db.refund.findMany({ where: { order_no } });
  const sum = (fens: number[]): number => fens.reduce((total, fen) => total + fen, 0);
  const reserved = rows.filter(({ state }) => isReserving(state)).map(({ refund_fen }) => refund_fen);
  const accepted = [...there].filter(([, held]) => held.out_trade_no === out_trade_no);
  const given = accepted.filter(([, { status }]) => status !== 'CLOSED').map(([, held]) => held.refund_fen);
  expect(sum(reserved), `seed ${seed}: reserved of ${total_fen}`).toBeLessThanOrEqual(total_fen);
  expect(sum(given), `seed ${seed}: given back of ${total_fen}`).toBeLessThanOrEqual(total_fen);
  expect(new Set(rows.map(({ command_key }) => command_key)).size).toBe(rows.length);
  for (const [number, held] of accepted) {
    const row = rows.find(({ out_refund_no }) => out_refund_no === number);
    expect(row, `seed ${seed}: ${number} at WeChat, unknown here`).toBeDefined();
    expect(row?.refund_fen).toBe(held.refund_fen);
    if (held.status === 'SUCCESS' || held.status === 'CLOSED') expect(row?.state).toBe(held.status);
  }
  const moved = accepted.some(([, { status }]) => status === 'SUCCESS');
  const { state } = await ctx.db.order.findUniqueOrThrow({ where: { order_no } });
  expect(state).toBe(moved ? 'REFUND' : 'SUCCESS');
}

test(`${wished} trades, several refunds wished for at once: never too much, one number a wish`, {
  timeout: 180_000,
}, async () => {
  const reserved: number[] = [];
  await eachSeed(wished, async (seed) => reserved.push(await raceToReserve(seed)));
  expect(new Set(reserved)).toEqual(new Set([1, 2, 3]));
});

test(`${sent} trades, their refunds sent, lost, refused, ended and told at once: the same`, {
  timeout: 180_000,
}, async () => {
  await ctx.db.refund.deleteMany();
  await eachSeed(sent, race);
  const counts = await ctx.db.refund.groupBy({ by: ['state'], _count: true });
  // Every way a refund can stand has been met.
  expect(new Set(counts.map(({ state }) => state))).toEqual(
    new Set(['REQUESTED', 'PROCESSING', 'SUCCESS', 'CLOSED', 'REFUSED']),
  );
});
