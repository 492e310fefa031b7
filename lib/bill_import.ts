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
import type { DbSession } from './db.ts';
import { readTradeBill, type TradeBillRow, type TradeBillSummary } from './wechat/index.ts';

/** Largest piece of a kept bill. */
const piece_bytes = 1_048_576;
/** Rows handed to COPY at once: large enough to be cheap, small enough for memory. */
const copyBatch_chars = 65_536;

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
export async function importBill(
  ctx: Context,
  session: DbSession,
  { mch_id, bill_date, replaces_kept }: BillDay,
  stream: ReadableStream<Uint8Array>,
  progress: (rows: number) => void,
): Promise<ImportedBill> {
  const hash = createHash('sha256');
  const keeper = await keepBill(ctx, mch_id, bill_date);
  const copy = session.query(copyFrom('COPY bill_line FROM STDIN'));
  const copied = finished(copy);
  // A refused COPY is told by `copied`; without a listener its early failure would end the process.
  copied.catch(() => undefined);
  let waiting = '';
  let rows = 0;
  let good = false;
  const flush = async (): Promise<void> => {
    const text = waiting;
    waiting = '';
    if (!copy.write(text)) await Promise.race([once(copy, 'drain'), copied]);
  };
  try {
    const kept = stream.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        async transform(chunk, controller) {
          hash.update(chunk);
          await keeper.write(chunk);
          controller.enqueue(chunk);
        },
      }),
    );
    const summary = await readTradeBill(kept, (row) => {
      waiting += copyLine(row);
      rows += 1;
      if (rows % 20_000 === 0) progress(rows);
      return waiting.length > copyBatch_chars ? flush() : undefined;
    });
    await flush();
    // The session is ours again when it has nothing left to do, a moment after COPY has answered.
    const idle = once(session, 'drain');
    copy.end();
    await Promise.all([copied, idle]);
    good = true;
    return { summary, sha256: hash.digest('hex') };
  } catch (cause) {
    copy.destroy(new Error('the bill was refused'));
    throw cause;
  } finally {
    await keeper.end(good || replaces_kept);
  }
}

const escapes: Record<string, string> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

function copyLine(row: TradeBillRow): string {
  const text = [
    row.appid,
    row.mch_id,
    row.sub_mch_id,
    row.transaction_id,
    row.out_trade_no,
    row.openid,
    row.trade_type,
    row.trade_state,
    row.bank_type,
    row.fee_type,
    row.refund_id,
    row.out_refund_no,
    row.refund_state,
  ].join('\u0001');
  const safe = /[\\\t\n\r]/.test(text) ? text.replace(/[\\\t\n\r]/g, (sign) => escapes[sign] ?? sign) : text;
  return `${row.trade_time}+08\t${safe.replaceAll('\u0001', '\t')}\t${row.total_fen}\t${row.refund_fen}\t${row.fee_e5}\t${row.rate}\n`;
}

/** Writes the bill into its pieces as it passes, after those of an earlier try; at the end one of the two goes. */
async function keepBill(ctx: Context, mch_id: string, bill_date: Date) {
  const last = await ctx.db.statement_chunk.findFirst({
    where: { mch_id, bill_date },
    orderBy: { part: 'desc' },
    select: { part: true },
  });
  const earlier = last?.part ?? 0;
  const gzip = createGzip({ level: 3 });
  let part = earlier;
  let held: Buffer[] = [];
  let size = 0;
  const store = async (): Promise<void> => {
    const data = Buffer.concat(held);
    held = [];
    size = 0;
    part += 1;
    await ctx.db.statement_chunk.create({ data: { mch_id, bill_date, part, data }, select: { part: true } });
  };
  const drained = (async () => {
    for await (const chunk of gzip) {
      held.push(chunk as Buffer);
      size += (chunk as Buffer).byteLength;
      if (size >= piece_bytes) await store();
    }
    if (size > 0) await store();
  })();
  return {
    async write(chunk: Uint8Array): Promise<void> {
      if (!gzip.write(chunk)) await Promise.race([once(gzip, 'drain'), drained]);
    },
    async end(replaces: boolean): Promise<void> {
      gzip.end();
      await drained;
      await ctx.db.statement_chunk.deleteMany({
        where: { mch_id, bill_date, part: replaces ? { lte: earlier } : { gt: earlier } },
      });
    },
  };
}
