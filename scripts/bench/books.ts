// The rows under a load: puts unpaid trades into a database and counts afterwards what became of them. A bench that
// was answered wrongly has measured nothing, so every turn ends here.
import type pg from 'pg';
import type { Account, BenchMessage, BenchTrade } from './messages.ts';

/** What a turn sent and what it was answered. */
export interface Turn {
  messages: readonly BenchMessage[];
  /** `out_trade_no` of the messages answered with SUCCESS. */
  acknowledged: ReadonlySet<string>;
  /** Answers that were not SUCCESS. */
  refused: number;
}

export interface Books {
  add(trades: readonly BenchTrade[]): Promise<void>;
  /** What is wrong, in sentences; empty when every trade was paid once and every message answered so. */
  faults(turn: Turn): Promise<string[]>;
}

/** The shop's own tables. */
export function counterBooks(client: pg.Client, account: Account): Books {
  return {
    add: async (trades) => {
      await client.query(
        `WITH trades AS (
           SELECT * FROM json_to_recordset($1::json) AS t(order_no text, out_trade_no text, total_fen int, openid text)
         ), orders AS (
           INSERT INTO "order" (order_no, session_id, checkout_key, openid, state, title, total_fen, created_at, expires_at)
           SELECT order_no, order_no, order_no, openid, 'NOTPAY', '测试商品', total_fen, now(), now() + interval '30 minutes'
           FROM trades
         )
         INSERT INTO trade (out_trade_no, order_no, appid, mch_id, api_version, sign_type, trade_type, trade_state,
                            total_fen, openid, request, prepay_id, created_at, expires_at)
         SELECT out_trade_no, order_no, $2, $3, 'v2', 'MD5', 'JSAPI', 'NOTPAY', total_fen, openid,
                '{"body": "柜台小店-测试商品", "spbill_create_ip": "203.0.113.7"}', out_trade_no, now(),
                now() + interval '30 minutes'
         FROM trades`,
        [JSON.stringify(trades), account.appid, account.mch_id],
      );
    },
    faults: async ({ messages, acknowledged, refused }) => {
      const { rows } = await client.query<Record<string, number>>(
        `WITH sent AS (SELECT unnest($1::text[]) AS out_trade_no)
         SELECT
           (SELECT count(*)::int FROM sent JOIN trade USING (out_trade_no) WHERE trade_state = 'SUCCESS') AS trades,
           (SELECT count(*)::int FROM sent JOIN trade USING (out_trade_no) JOIN "order" o USING (order_no)
            WHERE o.state = 'SUCCESS' AND o.paid_trade_no = sent.out_trade_no) AS orders,
           (SELECT count(*)::int FROM sent JOIN event e USING (out_trade_no) WHERE e.kind = 'paid') AS events,
           (SELECT count(*)::int FROM sent JOIN notification n USING (out_trade_no)
            WHERE n.verdict IN ('applied', 'already')) AS archived,
           (SELECT count(*)::int FROM sent JOIN trade USING (out_trade_no) JOIN pgboss.job j
              ON j.name = 'order_paid' AND j.singleton_key = order_no) AS jobs`,
        [[...acknowledged]],
      );
      const found = rows[0] ?? {};
      const distinct = new Set(messages.map(({ trade }) => trade.out_trade_no)).size;
      return differences({
        'answers that were not SUCCESS': [refused, 0],
        'trades acknowledged': [acknowledged.size, distinct],
        'trades paid': [found.trades, distinct],
        'orders paid': [found.orders, distinct],
        'payments on the timeline': [found.events, distinct],
        'messages archived': [found.archived, messages.length],
        'jobs for the next step': [found.jobs, distinct],
      });
    },
  };
}

/** The tables of the Express peer: as small as its code allows. */
export const peerTables = `
  CREATE TABLE orders (
    order_no text PRIMARY KEY, out_trade_no text NOT NULL UNIQUE, total_fee int NOT NULL,
    state text NOT NULL DEFAULT 'UNPAID', transaction_id text, time_end text, created_at timestamptz DEFAULT now());
  CREATE TABLE outbox (id bigserial PRIMARY KEY, topic text NOT NULL, payload jsonb NOT NULL,
    created_at timestamptz DEFAULT now())`;

export function peerBooks(client: pg.Client): Books {
  return {
    add: async (trades) => {
      await client.query(
        `INSERT INTO orders (order_no, out_trade_no, total_fee)
         SELECT order_no, out_trade_no, total_fen
         FROM json_to_recordset($1::json) AS t(order_no text, out_trade_no text, total_fen int)`,
        [JSON.stringify(trades)],
      );
    },
    faults: async ({ messages, acknowledged, refused }) => {
      const { rows } = await client.query<Record<string, number>>(
        `WITH sent AS (SELECT unnest($1::text[]) AS out_trade_no), paid AS (
           SELECT order_no FROM sent JOIN orders USING (out_trade_no) WHERE state = 'PAID')
         SELECT (SELECT count(*)::int FROM paid) AS orders,
                (SELECT count(*)::int FROM outbox WHERE payload->>'order_no' IN (SELECT order_no FROM paid)) AS outbox`,
        [[...acknowledged]],
      );
      const found = rows[0] ?? {};
      const distinct = new Set(messages.map(({ trade }) => trade.out_trade_no)).size;
      return differences({
        'answers that were not SUCCESS': [refused, 0],
        'trades acknowledged': [acknowledged.size, distinct],
        'orders paid': [found.orders, distinct],
        'rows for the next step': [found.outbox, distinct],
      });
    },
  };
}

/** An echo keeps nothing; every answer must be what was sent. */
export const echoBooks: Books = {
  add: async () => undefined,
  faults: async ({ refused }) => differences({ 'answers that were not what was sent': [refused, 0] }),
};

function differences(counts: Record<string, [found: number | undefined, expected: number]>): string[] {
  return Object.entries(counts)
    .filter(([, [found, expected]]) => found !== expected)
    .map(([what, [found, expected]]) => `${what}: ${found}, expected ${expected}`);
}
