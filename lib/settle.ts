/**
 * The one door for money. A notification, an active query and a daily bill all end here: compared with our own
 * rows, written with a guard, archived, put on the timeline and handed to the job queue by one statement that
 * either committed whole or did not happen. It refuses to decide anything the evidence does not say.
 */

import { type Db, Prisma } from './db.ts';
import { enqueueSelect } from './queues.ts';
import { type SettleVerdict, tradeMoves } from './states.ts';
import type { SignType, TradeReport } from './wechat/index.ts';

export interface ArchivedMessage {
  id: string;
  received_at: Date;
  api_version: 'v2' | 'v3';
  headers: Record<string, string>;
  body: Uint8Array;
}

export interface Evidence {
  source: 'notification' | 'query' | 'bill';
  /** Verified, reshaped, not yet believed. */
  report: TradeReport;
  /** Notifications only: the algorithm that verified; it must be the one the trade was placed with. */
  sign_type?: SignType;
  /** The question was asked after WeChat had refused to reverse this trade. */
  after_reverse?: boolean;
  /** Notifications only: the message itself, archived with its verdict in the same statement. */
  message?: ArchivedMessage;
}

export interface Settled {
  verdict: SettleVerdict;
  /** Names of the fields that differ from our row, for a `mismatch`. */
  differs: string[];
  order_no: string | undefined;
  out_trade_no: string;
  /** Set when this evidence brought money beyond what the order asked for. */
  surplus: 'late' | 'double' | undefined;
}

const moveRows = Object.entries(tradeMoves)
  .flatMap(([held, row]) => Object.entries(row).map(([said, move]) => `('${held}','${said}','${move}')`))
  .join(',');

/*
 * Reading guide. `locked` takes the rows in one global order (order, then trade), so two batches never deadlock;
 * after it nobody else can move them, and READ COMMITTED hands us their latest version. `judged` compares field
 * by field; that a trade was paid is not believed while a reversal of it may be under way, nor after one was
 * done. `ranked` lets only one of several messages in a batch act: the first that tells of money, else the
 * first. The rest writes. `moved` asks for no state on purpose: its WHERE would look at our snapshot, which may be
 * older than what the lock waited for; the guard is the lock, and `held` is what the row is. A bill has no column for
 * the payer under a sub-merchant's account; who began a trade bound to an openid is who paid it.
 */
const before = `
WITH evidence AS MATERIALIZED (
  SELECT * FROM json_to_recordset(`;
const after = `::json) AS e(
    ord int, now timestamptz, source text, appid text, mch_id text, sub_appid text, sub_mch_id text,
    out_trade_no text, said text, transaction_id text, trade_type text, total_fen bigint, payer_total_fen bigint,
    fee_type text, openid text, sub_openid text, bank_type text, success_at timestamptz, sign_type text,
    after_reverse boolean, notification_id uuid, received_at timestamptz, api_version text, headers jsonb, body text)
), locked AS MATERIALIZED (
  SELECT t.out_trade_no, t.order_no, t.appid, t.mch_id, t.sub_appid, t.sub_mch_id, t.trade_type, t.total_fen,
         t.openid, t.sign_type, t.trade_state, t.transaction_id, o.state AS order_state, t.reversing_at, t.reverse_answer
  FROM "order" o JOIN "trade" t ON t.order_no = o.order_no
  WHERE t.out_trade_no = ANY (ARRAY(SELECT out_trade_no FROM evidence))
  ORDER BY o.order_no, t.out_trade_no
  FOR UPDATE OF o, t
), compared AS MATERIALIZED (
  SELECT e.*, l.order_no, l.order_state, l.trade_state AS held, m.move,
    l.reverse_answer IS NOT DISTINCT FROM 'done'
      OR (l.reversing_at IS NOT NULL AND e.source <> 'bill' AND e.after_reverse IS NOT TRUE) AS reversing,
    concat_ws(',',
      CASE WHEN e.appid IS DISTINCT FROM l.appid THEN 'appid' END,
      CASE WHEN e.mch_id IS DISTINCT FROM l.mch_id THEN 'mch_id' END,
      CASE WHEN e.sub_appid IS NOT NULL AND e.sub_appid IS DISTINCT FROM l.sub_appid THEN 'sub_appid' END,
      CASE WHEN e.sub_mch_id IS DISTINCT FROM l.sub_mch_id THEN 'sub_mch_id' END,
      CASE WHEN e.sign_type IS NOT NULL AND e.sign_type <> l.sign_type THEN 'sign_type' END,
      CASE WHEN e.trade_type IS NOT NULL AND e.trade_type <> l.trade_type THEN 'trade_type' END,
      CASE WHEN e.total_fen IS NOT NULL AND e.total_fen <> l.total_fen THEN 'total_fee' END,
      CASE WHEN e.payer_total_fen > e.total_fen THEN 'cash_fee' END,
      CASE WHEN e.fee_type IS NOT NULL AND e.fee_type <> 'CNY' THEN 'fee_type' END,
      CASE WHEN l.sub_appid IS NULL AND e.openid <> l.openid THEN 'openid' END,
      CASE WHEN l.sub_appid IS NOT NULL AND e.sub_openid <> l.openid THEN 'sub_openid' END,
      CASE WHEN l.transaction_id IS NOT NULL AND e.transaction_id <> l.transaction_id THEN 'transaction_id' END,
      CASE WHEN e.said IN ('SUCCESS', 'REFUND') THEN concat_ws(',',
        CASE WHEN e.total_fen IS NULL THEN 'total_fee' END,
        CASE WHEN e.trade_type IS NULL THEN 'trade_type' END,
        CASE WHEN e.success_at IS NULL THEN 'time_end' END,
        CASE WHEN e.transaction_id IS NULL THEN 'transaction_id' END,
        CASE WHEN l.openid IS NOT NULL AND l.sub_appid IS NULL AND e.openid IS NULL THEN 'openid' END,
        CASE WHEN l.openid IS NOT NULL AND l.sub_appid IS NOT NULL AND e.sub_openid IS NULL AND e.source <> 'bill'
             THEN 'sub_openid' END,
        CASE WHEN EXISTS (SELECT FROM "trade" x WHERE x.transaction_id = e.transaction_id
                          AND x.out_trade_no <> e.out_trade_no) THEN 'transaction_id' END) END
    ) AS differs
  FROM evidence e
  LEFT JOIN locked l ON l.out_trade_no = e.out_trade_no
  LEFT JOIN (VALUES ${moveRows}) AS m(held, said, move) ON m.held = l.trade_state AND m.said = e.said
), judged AS (
  SELECT *, CASE
      WHEN order_no IS NULL THEN 'unknown_order'
      WHEN trim(both ',' from differs) <> '' OR move IS NULL THEN 'mismatch'
      WHEN move = 'SUCCESS' AND reversing THEN 'not_final'
      WHEN move NOT IN ('stay', 'hold') THEN 'applied'
      WHEN move = 'stay' AND said IN ('SUCCESS', 'REFUND') THEN 'already'
      ELSE 'not_final' END AS judgement
  FROM compared
), ranked AS (
  SELECT *, row_number() OVER w AS nth, first_value(move) OVER w AS first_move,
         first_value(transaction_id) OVER w AS first_transaction_id
  FROM judged WINDOW w AS (PARTITION BY out_trade_no, judgement ORDER BY move = 'SUCCESS' DESC, ord)
), acting AS MATERIALIZED (
  SELECT *, move = 'SUCCESS' AND order_state = 'NOTPAY'
            AND row_number() OVER (PARTITION BY order_no, move = 'SUCCESS' ORDER BY ord) = 1 AS takes_order
  FROM ranked WHERE judgement = 'applied' AND nth = 1
), moved AS (
  UPDATE "trade" t SET
    trade_state = a.move,
    transaction_id = CASE WHEN a.move = 'SUCCESS' THEN a.transaction_id ELSE t.transaction_id END,
    payer_total_fen = CASE WHEN a.move = 'SUCCESS' THEN a.payer_total_fen ELSE t.payer_total_fen END,
    payer_openid = CASE WHEN a.move = 'SUCCESS' THEN coalesce(
        left(nullif(CASE WHEN t.sub_appid IS NULL THEN a.openid ELSE a.sub_openid END, ''), 128),
        t.payer_openid, t.openid) ELSE t.payer_openid END,
    bank_type = CASE WHEN a.move = 'SUCCESS' THEN left(a.bank_type, 32) ELSE t.bank_type END,
    success_at = CASE WHEN a.move = 'SUCCESS' THEN a.success_at ELSE t.success_at END,
    closed_at = CASE WHEN a.move IN ('SUCCESS', 'USERPAYING') THEN t.closed_at ELSE a.now END,
    surplus = CASE WHEN a.move <> 'SUCCESS' OR a.takes_order THEN NULL
                   WHEN a.order_state = 'CLOSED' THEN 'late' ELSE 'double' END
  FROM acting a
  WHERE t.out_trade_no = a.out_trade_no
  RETURNING a.ord, t.out_trade_no, t.surplus
), served AS (
  UPDATE "order" o SET state = 'SUCCESS', paid_at = a.success_at, paid_trade_no = a.out_trade_no
  FROM acting a JOIN moved USING (ord)
  WHERE o.order_no = a.order_no AND o.state = 'NOTPAY' AND a.takes_order
  RETURNING o.order_no
), final AS (
  SELECT r.*, m.surplus AS surplus_now, CASE
      WHEN r.judgement <> 'applied' THEN r.judgement
      WHEN m.ord IS NOT NULL THEN 'applied'
      WHEN r.nth = 1 THEN 'raced'
      WHEN r.move <> r.first_move THEN 'not_final'
      WHEN r.transaction_id IS NOT DISTINCT FROM r.first_transaction_id THEN 'already'
      ELSE 'mismatch' END AS verdict
  FROM ranked r LEFT JOIN moved m ON m.ord = r.ord
), archived AS (
  INSERT INTO "notification" (id, received_at, api_version, kind, headers, body, verdict, detail, out_trade_no)
  SELECT notification_id, received_at, api_version, 'payment', headers, decode(body, 'base64'), verdict,
         CASE WHEN verdict = 'mismatch' THEN trim(both ',' from differs) ELSE '' END, out_trade_no
  FROM final WHERE notification_id IS NOT NULL
  ON CONFLICT (id) DO NOTHING
), told AS (
  INSERT INTO "event" (at, order_no, out_trade_no, kind, source, data, notification_id)
  SELECT f.now, f.order_no, f.out_trade_no,
         CASE WHEN f.move = 'USERPAYING' THEN 'payer_asked'
              WHEN f.move <> 'SUCCESS' THEN 'trade_closed'
              WHEN f.surplus_now = 'late' THEN 'paid_late'
              WHEN f.surplus_now = 'double' THEN 'paid_twice' ELSE 'paid' END,
         f.source,
         jsonb_strip_nulls(jsonb_build_object('from', f.held, 'to', f.move, 'transaction_id', f.transaction_id,
           'total_fen', f.total_fen, 'payer_total_fen', f.payer_total_fen, 'success_at', f.success_at)),
         f.notification_id
  FROM final f WHERE f.verdict = 'applied'
), jobs AS (
  ${enqueueSelect('order_paid', `jsonb_build_object('order_no', order_no)`, 'order_no')} FROM served ON CONFLICT DO NOTHING
), give_back AS (
  ${enqueueSelect('surplus_refund', `jsonb_build_object('out_trade_no', out_trade_no)`, 'out_trade_no')}
  FROM moved WHERE surplus IS NOT NULL ON CONFLICT DO NOTHING
)
SELECT ord, verdict, trim(both ',' from differs) AS differs, order_no, out_trade_no, surplus_now AS surplus
FROM final ORDER BY ord`;

interface SettledRow {
  ord: number;
  verdict: SettleVerdict | 'raced';
  differs: string;
  order_no: string | null;
  out_trade_no: string;
  surplus: 'late' | 'double' | null;
}

/**
 * Settles a batch in one committed statement and returns one verdict per piece of evidence, in order. A thrown
 * error means "not known": the same evidence may be brought again and will be `already` if it had been applied.
 */
export async function settleBatch(db: Db, now: Date, batch: readonly Evidence[]): Promise<Settled[]> {
  const json = JSON.stringify(batch.map((evidence, ord) => evidenceRow(evidence, ord, now)));
  const run = () => db.$queryRaw<SettledRow[]>(new Prisma.Sql([before, after], [json]));
  const rows = await run().catch((error: unknown) => {
    // Nothing was written, and what stood in the way has committed by now: the second look can see it.
    if (lostToNeighbour(error)) return run();
    throw error;
  });
  return rows.map((row) => {
    if (row.verdict === 'raced') throw new Error(`trade ${row.out_trade_no} moved under its lock`);
    return {
      verdict: row.verdict,
      differs: row.verdict === 'mismatch' ? [...new Set(row.differs.split(','))] : [],
      order_no: row.order_no ?? undefined,
      out_trade_no: row.out_trade_no,
      surplus: row.surplus ?? undefined,
    };
  });
}

/** A unique key taken, a deadlock or a serialisation failure: PostgreSQL took this statement back whole. */
function lostToNeighbour(error: unknown): boolean {
  return (
    error instanceof Prisma.PrismaClientKnownRequestError && /Code: `(23505|40P01|40001)`/.test(error.message)
  );
}

function evidenceRow(
  { source, report, sign_type, after_reverse, message }: Evidence,
  ord: number,
  now: Date,
) {
  return {
    ord,
    now,
    source,
    appid: report.appid,
    mch_id: report.mch_id,
    sub_appid: report.sub_appid,
    sub_mch_id: report.sub_mch_id,
    out_trade_no: report.out_trade_no,
    said: report.trade_state,
    transaction_id: report.transaction_id,
    trade_type: report.trade_type,
    total_fen: report.total_fen,
    payer_total_fen: report.payer_total_fen,
    fee_type: report.fee_type,
    openid: report.openid,
    sub_openid: report.sub_openid,
    bank_type: report.bank_type,
    success_at: report.success_at,
    sign_type,
    after_reverse,
    notification_id: message?.id,
    received_at: message?.received_at,
    api_version: message?.api_version,
    headers: message?.headers,
    body: message === undefined ? undefined : Buffer.from(message.body).toString('base64'),
  };
}
