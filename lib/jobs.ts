/**
 * The worker's side of the queues: what each job does, and how it plans the next one. Every handler may run twice,
 * late, or on another machine, and changes nothing that is already so.
 */
import { PgBoss } from 'pg-boss';
import { workAccountMessage } from './account_work.ts';
import { askTrade, nextAsk } from './ask.ts';
import { expireOrder } from './close.ts';
import type { Context } from './context.ts';
import { followCharge } from './counter.ts';
import { Prisma } from './db.ts';
import { forgetUnbelieved } from './notify_archive.ts';
import { planOrderMessage, sendOrderMessage } from './order_messages.ts';
import { enqueue, type JobData, type QueueName, queueSchema, queues } from './queues.ts';
import { followRedPacket, openRedPacketStates } from './red_packets.ts';
import { followRefund } from './refund_call.ts';
import { refundSurplus } from './refunds.ts';
import { dueDays, reconcileDay } from './statements.ts';
import { openTradeStates } from './states.ts';
import { closeLeftovers, closeSuperseded, findSuperseded } from './superseded.ts';

export { prepareQueues } from './queues.ts';

type Handlers = { [Name in QueueName]: (ctx: Context, data: JobData[Name]) => Promise<void> };

export const handlers: Handlers = {
  async trade_ask(ctx, { out_trade_no }) {
    const before = await ctx.db.trade.findUnique({ where: { out_trade_no }, select: askColumns });
    if (before === null || !isOpen(before.trade_state)) return;
    // A page may have asked a moment ago; then this turn is skipped, not the next.
    await askTrade(ctx, out_trade_no, { source: 'worker', min_gap_ms: 2_000 });
    const trade = await ctx.db.trade.findUnique({ where: { out_trade_no }, select: askColumns });
    if (trade === null || !isOpen(trade.trade_state)) return;
    const next_at = nextAsk(trade.created_at, ctx.now());
    // From then on the expiry of the order asks, closes and asks again.
    if (next_at >= trade.expires_at) return;
    await ctx.db.$executeRaw(enqueue('trade_ask', { out_trade_no }, out_trade_no, next_at));
  },

  async trade_close(ctx, { out_trade_no }) {
    const again_at = await closeSuperseded(ctx, out_trade_no);
    if (again_at !== undefined) {
      await ctx.db.$executeRaw(enqueue('trade_close', { out_trade_no }, out_trade_no, again_at));
    }
  },

  async order_expire(ctx, { order_no }) {
    const again_at = await expireOrder(ctx, order_no);
    if (again_at !== undefined) {
      await ctx.db.$executeRaw(enqueue('order_expire', { order_no }, order_no, again_at));
    }
  },

  async order_paid(ctx, { order_no }) {
    const now = ctx.now();
    // One guarded statement: served once, however often the job runs.
    await ctx.db.$executeRaw(Prisma.sql`
      WITH served AS (
        UPDATE "order" SET served_at = ${now}
        WHERE order_no = ${order_no} AND state = 'SUCCESS' AND served_at IS NULL RETURNING order_no)
      INSERT INTO event (at, order_no, kind, source, data)
      SELECT ${now}, order_no, 'order_served', 'worker', '{}'::jsonb FROM served`);
    await closeLeftovers(ctx, order_no);
    await planOrderMessage(ctx, order_no);
  },

  async order_message(ctx, { order_no }) {
    await sendOrderMessage(ctx, order_no);
  },

  async account_message(ctx, { id }) {
    const again_at = await workAccountMessage(ctx, id);
    if (again_at !== undefined) await ctx.db.$executeRaw(enqueue('account_message', { id }, id, again_at));
  },

  async refund_follow(ctx, { out_refund_no }) {
    const again_at = await followRefund(ctx, out_refund_no);
    if (again_at !== undefined) {
      await ctx.db.$executeRaw(enqueue('refund_follow', { out_refund_no }, out_refund_no, again_at));
    }
  },

  async counter_follow(ctx, { out_trade_no }) {
    const again_at = await followCharge(ctx, out_trade_no);
    if (again_at !== undefined) {
      await ctx.db.$executeRaw(enqueue('counter_follow', { out_trade_no }, out_trade_no, again_at));
    }
  },

  async red_packet_follow(ctx, { mch_billno }) {
    const again_at = await followRedPacket(ctx, mch_billno);
    if (again_at !== undefined) {
      await ctx.db.$executeRaw(enqueue('red_packet_follow', { mch_billno }, mch_billno, again_at));
    }
  },

  async surplus_refund(ctx, { out_trade_no }) {
    await refundSurplus(ctx, out_trade_no);
  },

  async statement(ctx) {
    for (const bill_date of await dueDays(ctx)) {
      const { state, differences, settled } = await reconcileDay(ctx, bill_date);
      ctx.log.info({ bill_date, state, differences, settled }, 'statement');
    }
  },

  async sweep(ctx) {
    await sweep(ctx);
  },
};

const askColumns = { trade_state: true, created_at: true, expires_at: true } as const;

const isOpen = (trade_state: string): boolean => openTradeStates.some((open) => open === trade_state);

/** Finds what lost its job (a restore, a purged queue, a bug) and gives it a new one; forgets what has expired. */
export async function sweep(ctx: Context): Promise<void> {
  const now = ctx.now();
  const ago = (minutes: number): Date => new Date(now.getTime() - minutes * 60_000);
  const trades = await ctx.db.trade.findMany({
    where: {
      trade_state: { in: [...openTradeStates] },
      created_at: { lt: ago(2) },
      expires_at: { gt: now },
      OR: [{ asked_at: null }, { asked_at: { lt: ago(10) } }],
    },
    select: { out_trade_no: true },
    take: 500,
  });
  for (const { out_trade_no } of trades) {
    await ctx.db.$executeRaw(enqueue('trade_ask', { out_trade_no }, out_trade_no, now));
  }
  for (const out_trade_no of await findSuperseded(ctx)) {
    await ctx.db.$executeRaw(enqueue('trade_close', { out_trade_no }, out_trade_no, now));
  }
  // Whatever became of the order, a trade left open past its end is asked about, closed and asked about again.
  const open = { trade_state: { in: [...openTradeStates] }, expires_at: { lt: ago(8) } };
  const ending = await ctx.db.order.findMany({
    where: { OR: [{ state: 'NOTPAY', expires_at: { lt: ago(8) } }, { trades: { some: open } }] },
    select: { order_no: true },
    take: 500,
  });
  for (const { order_no } of ending) {
    await ctx.db.$executeRaw(enqueue('order_expire', { order_no }, order_no, now));
  }
  const unserved = await ctx.db.order.findMany({
    where: { state: 'SUCCESS', served_at: null, paid_at: { lt: ago(2) } },
    select: { order_no: true },
    take: 500,
  });
  for (const { order_no } of unserved) {
    await ctx.db.$executeRaw(enqueue('order_paid', { order_no }, order_no, now));
  }
  const refunds = await ctx.db.refund.findMany({
    where: { state: { in: ['REQUESTED', 'PROCESSING'] }, created_at: { lt: ago(10) } },
    select: { out_refund_no: true },
    take: 500,
  });
  for (const { out_refund_no } of refunds) {
    await ctx.db.$executeRaw(enqueue('refund_follow', { out_refund_no }, out_refund_no, now));
  }
  const packets = await ctx.db.red_packet.findMany({
    where: {
      state: { in: [...openRedPacketStates] },
      OR: [{ asked_at: { lt: ago(7 * 60) } }, { asked_at: null, created_at: { lt: ago(7 * 60) } }],
    },
    select: { mch_billno: true },
    take: 500,
  });
  for (const { mch_billno } of packets) {
    await ctx.db.$executeRaw(enqueue('red_packet_follow', { mch_billno }, mch_billno, now));
  }
  const charges = await ctx.db.trade.findMany({
    where: {
      trade_type: { in: ['MICROPAY', 'FACEPAY'] },
      trade_state: { in: [...openTradeStates] },
      created_at: { lt: ago(2) },
    },
    select: { out_trade_no: true },
    take: 500,
  });
  for (const { out_trade_no } of charges) {
    await ctx.db.$executeRaw(enqueue('counter_follow', { out_trade_no }, out_trade_no, now));
  }
  const surplus = await ctx.db.trade.findMany({
    where: { surplus: { not: null }, refunds: { none: {} } },
    select: { out_trade_no: true },
    take: 500,
  });
  for (const { out_trade_no } of surplus) {
    await ctx.db.$executeRaw(enqueue('surplus_refund', { out_trade_no }, out_trade_no, now));
  }
  const unsent = await ctx.db.order_message.findMany({
    where: { state: { in: ['WAITING', 'SENDING'] }, created_at: { lt: ago(15) } },
    select: { order_no: true },
    take: 500,
  });
  for (const { order_no } of unsent) {
    await ctx.db.$executeRaw(enqueue('order_message', { order_no }, order_no, now));
  }
  const unheard = await ctx.db.account_message.findMany({
    where: { worked_at: null, received_at: { lt: ago(5) } },
    select: { id: true },
    take: 500,
  });
  for (const { id } of unheard) {
    await ctx.db.$executeRaw(enqueue('account_message', { id }, id, now));
  }
  // What people wrote to the account is not ours to keep.
  await ctx.db.account_message.deleteMany({ where: { received_at: { lt: ago(30 * 24 * 60) } } });
  await ctx.db.oauth_state.deleteMany({ where: { created_at: { lt: ago(60) } } });
  await ctx.db.session.deleteMany({ where: { expires_at: { lt: ago(7 * 24 * 60) } } });
  await ctx.db.login_attempt.deleteMany({ where: { at: { lt: ago(24 * 60) } } });
  await ctx.db.tally.deleteMany({ where: { window_at: { lt: ago(24 * 60) } } });
  await forgetUnbelieved(ctx);
}

export interface Worker {
  /** Takes no new job, waits for the running ones, at most ten seconds. */
  stop: () => Promise<void>;
}

/** Starts working on every queue. Several workers may run on one database. */
export async function startWorker(ctx: Context): Promise<Worker> {
  const boss = new PgBoss({
    connectionString: ctx.config.DATABASE_URL,
    schema: queueSchema,
    application_name: 'guitai-worker',
    max: 4,
    migrate: false,
    superviseIntervalSeconds: 30,
    monitorIntervalSeconds: 30,
  });
  boss.on('error', (err) => ctx.log.error({ err }, 'job queue'));
  await boss.start();
  const take = async <Name extends QueueName>(name: Name): Promise<void> => {
    await boss.work<JobData[Name]>(
      name,
      { pollingIntervalSeconds: 0.5, localConcurrency: name === 'sweep' ? 1 : 2 },
      async (jobs) => {
        for (const { data } of jobs) await handlers[name](ctx, data);
      },
    );
  };
  for (const name of Object.keys(queues) as QueueName[]) await take(name);
  await boss.schedule('statement', '10,40 10-23 * * *', {}, { tz: 'Asia/Shanghai' });
  await boss.schedule('sweep', '* * * * *', {}, { tz: 'Asia/Shanghai' });
  return { stop: () => boss.stop({ graceful: true, timeout: 9_000, close: true }) };
}
