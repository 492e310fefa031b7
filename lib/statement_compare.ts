/**
 * One join in SQL between a bill in the session's `bill_line` and our rows. It finds, it does not mend; every
 * difference is kept once with both sides' evidence, and one that is gone at a later look is resolved by it.
 */
import type { DbSession } from './db.ts';

export interface ComparedDay {
  mch_id: string;
  bill_date: Date;
  day_start: Date;
  now: Date;
}

export const differenceKinds = [
  'missing_here',
  'missing_there',
  'amount',
  'state',
  'refund',
  'fee',
  'foreign',
  'repeated',
  'flow',
] as const;
export type DifferenceKind = (typeof differenceKinds)[number];

/*
 * `paid` meets the day's payments full; a bill line without a partner looks for its trade under any date. A fee may
 * differ from amount × rate by half a fen, since WeChat does not publish how it rounds; the fee that comes back with one
 * of several refunds by a whole one. A refund that WeChat closed need not stand in a bill at all, and one that was under
 * way or abnormal when the bill was made may have ended since. A charge of the counter that was taken back stands there
 * as paid and as reversed, on either side of midnight perhaps: nothing came and nothing is missing.
 */
const compare = `
CREATE TEMPORARY TABLE found AS
WITH undone AS (
  SELECT t.out_trade_no FROM trade t JOIN bill_line b ON b.out_trade_no = t.out_trade_no AND b.mch_id = t.mch_id
  WHERE t.mch_id = $1 AND t.trade_state = 'REVOKED' AND t.reverse_answer = 'done'
    AND t.created_at >= $2::timestamptz - interval '1 hour' AND t.created_at < $2::timestamptz + interval '1 day'
  GROUP BY t.out_trade_no, t.total_fen, t.created_at
  HAVING (sum(b.total_fen) = t.total_fen AND sum(b.refund_fen) FILTER (WHERE b.trade_state = 'REVOKED') = t.total_fen
          AND count(*) = 2)
    OR (count(*) = 1 AND greatest(sum(b.total_fen), sum(b.refund_fen)) = t.total_fen
        AND (t.created_at < $2 OR t.created_at >= $2::timestamptz + interval '23 hours'))
), lines AS (
  SELECT *, row_number() OVER (PARTITION BY out_trade_no, out_refund_no ORDER BY trade_at) AS nth,
    (fee_e5 - round((CASE WHEN out_refund_no = '' THEN total_fen ELSE -refund_fen END) * 1000
                    * coalesce(nullif(trim(trailing '%' from rate), '')::numeric, 0) / 100)) AS fee_off_e5
  FROM bill_line WHERE out_trade_no NOT IN (SELECT out_trade_no FROM undone)
), ours AS (
  SELECT out_trade_no, sub_mch_id, total_fen, trade_state, transaction_id, success_at FROM trade
  WHERE mch_id = $1 AND success_at >= $2 AND success_at < $2::timestamptz + interval '1 day'
), paid AS (
  SELECT coalesce(l.out_trade_no, o.out_trade_no) AS subject, l.out_trade_no IS NOT NULL AS there,
    l.mch_id, l.sub_mch_id, l.appid, l.total_fen AS bill_fen, l.trade_state AS bill_state, l.transaction_id AS bill_transaction,
    l.trade_at, l.nth, l.fee_e5, l.fee_off_e5, l.rate,
    coalesce(o.out_trade_no, t.out_trade_no) IS NOT NULL AS here,
    CASE WHEN o.out_trade_no IS NULL THEN t.sub_mch_id ELSE o.sub_mch_id END AS our_sub_mch_id,
    coalesce(o.total_fen, t.total_fen) AS total_fen, coalesce(o.trade_state, t.trade_state) AS trade_state,
    coalesce(o.transaction_id, t.transaction_id) AS transaction_id, coalesce(o.success_at, t.success_at) AS success_at
  FROM (SELECT * FROM lines WHERE out_refund_no = '') l
  FULL JOIN ours o ON o.out_trade_no = l.out_trade_no
  LEFT JOIN trade t ON o.out_trade_no IS NULL AND t.out_trade_no = l.out_trade_no
), back AS (
  SELECT coalesce(l.out_refund_no, r.out_refund_no) AS subject, l.out_refund_no IS NOT NULL AS there, l.mch_id,
    coalesce(l.out_trade_no, r.out_trade_no) AS out_trade_no, l.refund_fen AS bill_fen, l.refund_state AS bill_state,
    l.refund_id AS bill_refund_id, l.trade_at, l.nth, l.fee_e5, l.fee_off_e5, l.rate,
    coalesce(r.out_refund_no, x.out_refund_no) IS NOT NULL AS here,
    coalesce(r.refund_fen, x.refund_fen) AS refund_fen, coalesce(r.state, x.state) AS state,
    coalesce(r.refund_id, x.refund_id) AS refund_id
  FROM (SELECT * FROM lines WHERE out_refund_no <> '') l
  FULL JOIN (SELECT f.* FROM refund f JOIN trade t USING (out_trade_no)
             WHERE t.mch_id = $1 AND f.created_at >= $2 AND f.created_at < $2::timestamptz + interval '1 day'
               AND f.state IN ('PROCESSING', 'SUCCESS', 'ABNORMAL', 'CLOSED')) r
    ON r.out_refund_no = l.out_refund_no
  LEFT JOIN refund x ON r.out_refund_no IS NULL AND x.out_refund_no = l.out_refund_no
), judged AS (
  SELECT CASE
      WHEN there AND mch_id <> $1 THEN 'foreign'
      WHEN there AND nth > 1 THEN 'repeated'
      WHEN there AND NOT here THEN 'missing_here'
      WHEN there AND sub_mch_id <> coalesce(our_sub_mch_id, '') THEN 'foreign'
      WHEN NOT there AND trade_state IN ('SUCCESS', 'REFUND') THEN 'missing_there'
      WHEN there AND bill_fen <> total_fen THEN 'amount'
      WHEN there AND (trade_state NOT IN ('SUCCESS', 'REFUND') OR bill_state <> 'SUCCESS'
                      OR transaction_id IS DISTINCT FROM bill_transaction) THEN 'state'
      WHEN there AND abs(fee_off_e5) > 500 THEN 'fee' END AS kind,
    subject, subject AS out_trade_no,
    CASE WHEN here THEN jsonb_build_object('total_fen', total_fen, 'trade_state', trade_state,
      'transaction_id', transaction_id, 'success_at', success_at)
      || CASE WHEN our_sub_mch_id IS NULL THEN '{}' ELSE jsonb_build_object('sub_mch_id', our_sub_mch_id) END
      ELSE '{}' END AS ours,
    CASE WHEN there THEN jsonb_build_object('total_fen', bill_fen, 'trade_state', bill_state, 'mch_id', mch_id,
      'appid', appid, 'transaction_id', bill_transaction, 'trade_at', trade_at, 'fee_e5', fee_e5, 'rate', rate)
      || CASE sub_mch_id WHEN '' THEN '{}' ELSE jsonb_build_object('sub_mch_id', sub_mch_id) END
      ELSE '{}' END AS theirs
  FROM paid
  UNION ALL
  SELECT CASE
      WHEN there AND mch_id <> $1 THEN 'foreign'
      WHEN there AND nth > 1 THEN 'repeated'
      WHEN there AND NOT here THEN 'refund'
      WHEN NOT there AND state <> 'CLOSED' THEN 'refund'
      WHEN bill_fen <> refund_fen OR (bill_state = 'SUCCESS' AND state <> 'SUCCESS')
        OR (bill_state NOT IN ('SUCCESS', 'PROCESSING', 'CHANGE', 'ABNORMAL') AND state = 'SUCCESS')
        OR (refund_id IS NOT NULL AND refund_id <> bill_refund_id) THEN 'refund'
      WHEN abs(fee_off_e5) > 1000 THEN 'fee' END,
    subject, out_trade_no,
    CASE WHEN here THEN jsonb_build_object('refund_fen', refund_fen, 'state', state, 'refund_id', refund_id)
      ELSE '{}' END,
    CASE WHEN there THEN jsonb_build_object('refund_fen', bill_fen, 'refund_state', bill_state, 'mch_id', mch_id,
      'refund_id', bill_refund_id, 'trade_at', trade_at, 'fee_e5', fee_e5, 'rate', rate) ELSE '{}' END
  FROM back
)
SELECT DISTINCT ON (kind, subject) kind, subject, out_trade_no, ours, theirs FROM judged WHERE kind IS NOT NULL`;

/** How a resolution reads that this comparison wrote itself when a difference was gone. */
const vanished = 'no longer there when the day was compared again';

/*
 * A difference that comes back is open again: the same when it had vanished, and another one than the operator
 * explained when its evidence differs. Of what another day's bill holds, only a line in this one is news. A trade that
 * was refunded meanwhile was still paid.
 */
const keep = `
INSERT INTO difference AS d (mch_id, bill_date, kind, subject, out_trade_no, ours, theirs, found_at)
SELECT $1, $2::date, kind, subject, out_trade_no, ours, theirs, $3 FROM found
ON CONFLICT (mch_id, bill_date, kind, subject) DO UPDATE
SET ours = excluded.ours, theirs = excluded.theirs, resolved_at = NULL, resolution = NULL, resolved_by = NULL,
  found_at = excluded.found_at
WHERE d.resolved_at IS NOT NULL AND CASE
  WHEN d.resolved_by = 'bill' AND d.resolution = '${vanished}' THEN true
  WHEN d.resolved_by = 'bill' THEN d.theirs <> excluded.theirs
  ELSE d.theirs <> excluded.theirs
    OR replace(d.ours::text, '"REFUND"', '"SUCCESS"') <> replace(excluded.ours::text, '"REFUND"', '"SUCCESS"') END`;

/** A provider's day by the sub-merchants it is made of; an ordinary merchant's lines name none. */
const split = [
  'DELETE FROM statement_seller WHERE mch_id = $1 AND bill_date = $2::date',
  `INSERT INTO statement_seller (mch_id, bill_date, sub_mch_id, payments, payment_fen, refunds, refund_fen, fee_e5)
   SELECT $1::text, $2::date, sub_mch_id,
     count(*) FILTER (WHERE out_refund_no = ''), coalesce(sum(total_fen) FILTER (WHERE out_refund_no = ''), 0),
     count(*) FILTER (WHERE out_refund_no <> ''), coalesce(sum(refund_fen) FILTER (WHERE out_refund_no <> ''), 0),
     sum(fee_e5)
   FROM bill_line WHERE mch_id = $1::text AND sub_mch_id <> '' GROUP BY sub_mch_id`,
];

/** What this day's second look no longer shows, and what another day's bill turned out to hold. */
const resolve = `
UPDATE difference d SET resolved_at = $3, resolved_by = 'bill', resolution = CASE
    WHEN d.bill_date = $2::date THEN '${vanished}'
    ELSE 'found in the bill of ' || $2 END
WHERE d.mch_id = $1 AND d.resolved_at IS NULL AND (d.kind = 'flow') = $4 AND (
  (d.bill_date = $2::date AND NOT EXISTS (
    SELECT FROM found f WHERE f.kind = d.kind AND f.subject = d.subject))
  OR (d.bill_date BETWEEN $2::date - 3 AND $2::date + 3 AND d.bill_date <> $2::date
    AND d.theirs = '{}' AND EXISTS (SELECT FROM bill_line b
      WHERE (d.kind = 'missing_there' AND b.out_trade_no = d.subject AND b.out_refund_no = '')
         OR (d.kind = 'refund' AND b.out_refund_no = d.subject))))`;

/** Compares and keeps what differs, in one transaction of the session. Returns our own side's totals of the day. */
export async function compareBill(
  session: DbSession,
  { mch_id, bill_date, day_start, now }: ComparedDay,
): Promise<{ payments: number; payment_fen: string }> {
  const date = bill_date.toISOString().slice(0, 10);
  await session.query('ANALYZE bill_line');
  await session.query('BEGIN');
  try {
    await session.query(
      `${compare.replaceAll('$1', quote(mch_id)).replaceAll('$2', quote(day_start.toISOString()))}`,
    );
    await session.query(keep, [mch_id, date, now]);
    await session.query(resolve, [mch_id, date, now, false]);
    for (const statement of split) await session.query(statement, [mch_id, date]);
    await session.query('COMMIT');
  } catch (cause) {
    await session.query('ROLLBACK');
    throw cause;
  }
  const { rows } = await session.query<{ payments: number; payment_fen: string }>(
    `SELECT count(*)::int AS payments, coalesce(sum(total_fen), 0)::text AS payment_fen FROM trade
     WHERE mch_id = $1 AND success_at >= $2 AND success_at < $2::timestamptz + interval '1 day'`,
    [mch_id, day_start],
  );
  return rows[0] ?? { payments: 0, payment_fen: '0' };
}

/** A disagreement of the day's sums, found outside the join. */
export interface FoundSum {
  kind: 'flow';
  subject: string;
  out_trade_no: null;
  ours: Record<string, unknown>;
  theirs: Record<string, unknown>;
}

/** Keeps what the fund flow and the bill disagree about, and resolves what they no longer do; as a bill's own. */
export async function keepDifferences(
  session: DbSession,
  { mch_id, bill_date, now }: Omit<ComparedDay, 'day_start'>,
  found: readonly FoundSum[],
): Promise<void> {
  const date = bill_date.toISOString().slice(0, 10);
  await session.query('BEGIN');
  try {
    await session.query('TRUNCATE found');
    await session.query(
      `INSERT INTO found (kind, subject, out_trade_no, ours, theirs)
       SELECT kind, subject, out_trade_no, ours, theirs
       FROM json_to_recordset($1::json) AS f(kind text, subject text, out_trade_no text, ours jsonb, theirs jsonb)`,
      [JSON.stringify(found)],
    );
    await session.query(keep, [mch_id, date, now]);
    await session.query(resolve, [mch_id, date, now, true]);
    await session.query('COMMIT');
  } catch (cause) {
    await session.query('ROLLBACK');
    throw cause;
  }
}

/** CREATE TABLE AS takes no parameters; these two are a configured number and a time we made. */
function quote(text: string): string {
  if (!/^[0-9A-Za-z:.-]+$/.test(text)) throw new Error(`not a merchant number or a time: ${text}`);
  return `'${text}'`;
}
