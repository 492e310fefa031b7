/**
 * A day's bill from WeChat into one PostgreSQL session: kept as it came (gzipped, in pieces), checked, and copied row
 * by row into a temporary table, all while it streams. Nothing of it counts before it has ended and added up.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { from as copyFrom } from 'pg-copy-streams';
import type { Context } from './context.ts';
import { type DbSession, withSession } from './db.ts';
import { readTradeBill, type TradeBillRow, type TradeBillSummary } from './wechat/index.ts';

/** Largest piece of a kept bill. */
const piece_bytes = 1_048_576;
/** Rows handed to COPY at once: large enough to be cheap, small enough for memory. */
const copyBatch_bytes = 131_072;
/** How far reading may be ahead of COPY and of keeping, so that none of the three waits for each piece of another. */
const ahead_bytes = 524_288;

export interface ImportedBill {
  summary: TradeBillSummary;
  sha256: string;
}

const createTable = `
  CREATE TEMPORARY TABLE bill_line (
    trade_at timestamptz NOT NULL, appid text NOT NULL, mch_id text NOT NULL, sub_mch_id text NOT NULL,
    transaction_id text NOT NULL, out_trade_no text COLLATE "C" NOT NULL, openid text NOT NULL,
    trade_type text NOT NULL, trade_state text NOT NULL, bank_type text NOT NULL, fee_type text NOT NULL,
    refund_id text NOT NULL, out_refund_no text COLLATE "C" NOT NULL, refund_state text NOT NULL,
    total_fen bigint NOT NULL, refund_fen bigint NOT NULL, fee_e5 bigint NOT NULL, rate text NOT NULL)`;

export async function createBillTable(session: DbSession): Promise<void> {
  await session.query(createTable);
}

export interface BillDay {
  mch_id: string;
  bill_date: Date;
  /** Whether a file that is no bill is kept as evidence instead of the one before; a good bill always is. */
  replaces_kept: boolean;
}

/** Fills the session's `bill_line`. `progress` is called now and then with the rows so far. */
export function importBill(
  ctx: Context,
  session: DbSession,
  day: BillDay,
  stream: AsyncIterable<Uint8Array>,
  progress: (rows: number) => void,
): Promise<ImportedBill> {
  return withSession(ctx.config.DATABASE_URL, async (own) => {
    const keeper = keepBill(own, day.mch_id, day.bill_date);
    let good = false;
    try {
      const imported = await copyBill(session, keeper, stream, progress);
      good = true;
      return imported;
    } finally {
      await keeper.end(good || day.replaces_kept);
    }
  });
}

async function copyBill(
  session: DbSession,
  keeper: ReturnType<typeof keepBill>,
  stream: AsyncIterable<Uint8Array>,
  progress: (rows: number) => void,
): Promise<ImportedBill> {
  const hash = createHash('sha256');
  const copy = session.query(copyFrom('COPY bill_line FROM STDIN'));
  const copied = finished(copy);
  // A refused COPY is told by `copied`; without a listener its early failure would end the process.
  copied.catch(() => undefined);
  let batch = Buffer.allocUnsafe(copyBatch_bytes);
  let used = 0;
  let rows = 0;
  const flush = (): Promise<unknown> | undefined => {
    copy.write(batch.subarray(0, used));
    batch = Buffer.allocUnsafe(copyBatch_bytes);
    used = 0;
    return copy.writableLength < ahead_bytes ? undefined : Promise.race([once(copy, 'drain'), copied]);
  };
  try {
    const kept = passing(stream, (chunk) => {
      hash.update(chunk);
      return keeper.write(chunk);
    });
    const summary = await readTradeBill(kept, (row) => {
      const line = copyLine(row);
      rows += 1;
      if (rows % 20_000 === 0) progress(rows);
      // Three bytes are the most that a character takes.
      const full = used + line.length * 3 > copyBatch_bytes;
      const waiting = full ? flush() : undefined;
      used += batch.write(line, used);
      return waiting;
    });
    copy.write(batch.subarray(0, used));
    // The session is ours again when it has nothing left to do, a moment after COPY has answered.
    const idle = once(session, 'drain');
    copy.end();
    await Promise.all([copied, idle]);
    return { summary, sha256: hash.digest('hex') };
  } catch (cause) {
    copy.destroy(new Error('the bill was refused'));
    throw cause;
  }
}

/** The same pieces, each shown to `each` before it goes on. */
async function* passing(
  stream: AsyncIterable<Uint8Array>,
  each: (chunk: Uint8Array) => Promise<unknown> | undefined,
): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of stream) {
    await each(chunk);
    yield chunk;
  }
}

const escapes: Record<string, string> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

function copyLine(row: TradeBillRow): string {
  const { trade_time, appid, mch_id, sub_mch_id, transaction_id, out_trade_no, openid, trade_type } = row;
  const { trade_state, bank_type, fee_type, refund_id, out_refund_no, refund_state } = row;
  const text =
    `${appid}\u0001${mch_id}\u0001${sub_mch_id}\u0001${transaction_id}\u0001${out_trade_no}\u0001${openid}\u0001` +
    `${trade_type}\u0001${trade_state}\u0001${bank_type}\u0001${fee_type}\u0001${refund_id}\u0001${out_refund_no}\u0001` +
    `${refund_state}`;
  const safe = /[\\\t\n\r]/.test(text) ? text.replace(/[\\\t\n\r]/g, (sign) => escapes[sign] ?? sign) : text;
  return `${trade_time}+08\t${safe.replaceAll('\u0001', '\t')}\t${row.total_fen}\t${row.refund_fen}\t${row.fee_e5}\t${row.rate}\n`;
}

/**
 * Writes the bill into its pieces as it passes, after those of an earlier try; at the end one of the two goes. In a
 * session of its own, since the other one copies, and as bytes, which the client's own inserts make texts of.
 */
function keepBill(session: DbSession, mch_id: string, bill_date: Date) {
  const day = [mch_id, bill_date.toISOString().slice(0, 10)];
  const gzip = createGzip({ level: 1, chunkSize: 65_536 });
  let held: Buffer[] = [];
  let size = 0;
  const drained = (async () => {
    const { rows } = await session.query<{ part: number }>(
      'SELECT coalesce(max(part), 0) AS part FROM statement_chunk WHERE mch_id = $1 AND bill_date = $2::date',
      day,
    );
    const earlier = rows[0]?.part ?? 0;
    let part = earlier;
    const store = async (): Promise<void> => {
      const data = Buffer.concat(held);
      held = [];
      size = 0;
      part += 1;
      await session.query(
        'INSERT INTO statement_chunk (mch_id, bill_date, part, data) VALUES ($1, $2::date, $3, $4)',
        [...day, part, data],
      );
    };
    for await (const chunk of gzip) {
      held.push(chunk as Buffer);
      size += (chunk as Buffer).byteLength;
      if (size >= piece_bytes) await store();
    }
    if (size > 0) await store();
    return earlier;
  })();
  // Told when the keeper is asked next; without a listener an early failure would end the process.
  drained.catch(() => undefined);
  return {
    write(chunk: Uint8Array): Promise<unknown> | undefined {
      gzip.write(chunk);
      return gzip.writableLength < ahead_bytes ? undefined : Promise.race([once(gzip, 'drain'), drained]);
    },
    async end(replaces: boolean): Promise<void> {
      gzip.end();
      const earlier = await drained;
      await session.query(
        `DELETE FROM statement_chunk WHERE mch_id = $1 AND bill_date = $2::date AND part ${replaces ? '<=' : '>'} $3`,
        [...day, earlier],
      );
    },
  };
}
