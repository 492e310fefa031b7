/**
 * The queues by name, and the SQL that puts a job on one inside the caller's own transaction: a job exists if and
 * only if the write that wanted it was committed. pg-boss owns the tables; what we know of them stands here alone.
 */
import { PgBoss } from 'pg-boss';
import { Prisma } from './db.ts';

interface QueuePlan {
  /** At most one waiting job per key. */
  unique: boolean;
  retry_limit: number;
  retry_delay_s: number;
  retry_delay_max_s: number;
  expire_s: number;
}

export const queues = {
  /** Ask WeChat about one unpaid trade, then plan the next time. */
  trade_ask: { unique: true, retry_limit: 10, retry_delay_s: 5, retry_delay_max_s: 300, expire_s: 60 },
  /** Close a trade that its order does not need any more, although it can still be paid. */
  trade_close: { unique: true, retry_limit: 50, retry_delay_s: 5, retry_delay_max_s: 300, expire_s: 120 },
  /** Close an order whose time is over: query, close, query. */
  order_expire: { unique: true, retry_limit: 50, retry_delay_s: 5, retry_delay_max_s: 300, expire_s: 120 },
  /** Serve a paid order, once. */
  order_paid: { unique: true, retry_limit: 50, retry_delay_s: 2, retry_delay_max_s: 300, expire_s: 60 },
  /** Send a refund, or ask what became of it, until it is final. */
  refund_follow: { unique: true, retry_limit: 50, retry_delay_s: 5, retry_delay_max_s: 600, expire_s: 60 },
  /** Ask about an undecided charge of the counter; after the wait, reverse it. */
  counter_follow: { unique: true, retry_limit: 50, retry_delay_s: 2, retry_delay_max_s: 60, expire_s: 60 },
  /** Send a red packet, or ask what became of it, until it is final. */
  red_packet_follow: {
    unique: true,
    retry_limit: 50,
    retry_delay_s: 5,
    retry_delay_max_s: 600,
    expire_s: 60,
  },
  /** Give back money that is more than was asked for, once per trade. */
  surplus_refund: { unique: true, retry_limit: 50, retry_delay_s: 5, retry_delay_max_s: 600, expire_s: 60 },
  /** Tell the buyer of a served order, once. */
  order_message: { unique: true, retry_limit: 10, retry_delay_s: 5, retry_delay_max_s: 600, expire_s: 120 },
  /** Do what a message or event says that WeChat pushed to the official account's server. */
  account_message: { unique: true, retry_limit: 10, retry_delay_s: 5, retry_delay_max_s: 300, expire_s: 60 },
  /** From ten in the morning: fetch and compare the bills that are due. */
  statement: { unique: true, retry_limit: 0, retry_delay_s: 1, retry_delay_max_s: 60, expire_s: 3_600 },
  /** Every minute: whatever fell through a crack is put back on its queue. */
  sweep: { unique: true, retry_limit: 0, retry_delay_s: 1, retry_delay_max_s: 60, expire_s: 55 },
} as const satisfies Record<string, QueuePlan>;

export type QueueName = keyof typeof queues;

/** Payload of each queue. */
export interface JobData {
  trade_ask: { out_trade_no: string };
  trade_close: { out_trade_no: string };
  order_expire: { order_no: string };
  order_paid: { order_no: string };
  refund_follow: { out_refund_no: string };
  counter_follow: { out_trade_no: string };
  red_packet_follow: { mch_billno: string };
  surplus_refund: { out_trade_no: string };
  order_message: { order_no: string };
  account_message: { id: string };
  statement: Record<string, never>;
  sweep: Record<string, never>;
}

export const queueSchema = 'pgboss';

/**
 * `INSERT … SELECT` without its FROM, for use inside a larger statement. `data` and `key` are SQL expressions of
 * the rows selected from; `start_after` too.
 */
export function enqueueSelect(name: QueueName, data: string, key: string, start_after = 'now()'): string {
  const plan: QueuePlan = queues[name];
  return `INSERT INTO ${queueSchema}.job
    (name, data, singleton_key, start_after, policy, retry_limit, retry_delay, retry_backoff, retry_delay_max, expire_seconds)
  SELECT '${name}', ${data}, ${key}, ${start_after}, '${plan.unique ? 'short' : 'standard'}',
    ${plan.retry_limit}, ${plan.retry_delay_s}, true, ${plan.retry_delay_max_s}, ${plan.expire_s}`;
}

/** The statement that puts one job on a queue, for the caller's transaction; a waiting job of the same key is kept instead. */
export function enqueue<Name extends QueueName>(
  name: Name,
  data: JobData[Name],
  key: string,
  start_after: Date,
): Prisma.Sql {
  const [head = '', middle = '', tail = '', rest = ''] = enqueueSelect(
    name,
    '?::jsonb',
    '?::text',
    '?::timestamptz',
  ).split('?');
  return new Prisma.Sql(
    [head, middle, tail, `${rest} ON CONFLICT DO NOTHING`],
    [JSON.stringify(data), key, start_after],
  );
}

/** Creates or updates pg-boss's own tables and our queues. Safe to call again and from several processes. */
export async function prepareQueues(database_url: string): Promise<void> {
  const boss = new PgBoss({
    connectionString: database_url,
    schema: queueSchema,
    supervise: false,
    schedule: false,
    max: 2,
  });
  const faults: unknown[] = [];
  boss.on('error', (fault) => faults.push(fault));
  await boss.start();
  try {
    for (const [name, plan] of Object.entries(queues)) {
      const options = {
        policy: plan.unique ? ('short' as const) : ('standard' as const),
        retryLimit: plan.retry_limit,
        retryDelay: plan.retry_delay_s,
        retryDelayMax: plan.retry_delay_max_s,
        retryBackoff: true,
        expireInSeconds: plan.expire_s,
      };
      await boss.createQueue(name, options);
      const { policy: _, ...changeable } = options;
      await boss.updateQueue(name, changeable);
    }
  } finally {
    await boss.stop({ graceful: false, close: true });
  }
  if (faults.length > 0) throw new AggregateError(faults, 'pg-boss could not prepare its tables');
}
