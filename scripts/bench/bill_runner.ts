// The process whose seconds and memory are measured: imports a bill by the shop's own code, or copies a CSV of the same
// rows into an equal table and does nothing else. `import FILE DATE` or `copy FILE`; says one line of JSON.
import '../small_heap.ts';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { from as copyFrom } from 'pg-copy-streams';
import { createBillTable, importBill } from '../../lib/bill_import.ts';
import { readConfig } from '../../lib/config.ts';
import { createContext } from '../../lib/context.ts';
import { type DbSession, withSession } from '../../lib/db.ts';

export interface Ran {
  seconds: number;
  /** The most memory this process ever held. */
  peak_mb: number;
  rows: number;
  payment_fen: number;
}

const [mode, path = '', bill_date = ''] = process.argv.slice(2);
const config = readConfig(process.env);

const seconds = await withSession(config.DATABASE_URL, async (session) => {
  await createBillTable(session);
  const began_at = performance.now();
  if (mode === 'import') await runImport(session);
  else await runCopy(session);
  const taken = (performance.now() - began_at) / 1_000;
  const { rows } = await session.query<{ rows: number; payment_fen: string }>(
    'SELECT count(*)::int AS rows, coalesce(sum(total_fen), 0)::text AS payment_fen FROM bill_line',
  );
  return { taken, rows: rows[0]?.rows ?? 0, payment_fen: Number(rows[0]?.payment_fen) };
});

const ran: Ran = {
  seconds: seconds.taken,
  peak_mb: process.resourceUsage().maxRSS / 1_024,
  rows: seconds.rows,
  payment_fen: seconds.payment_fen,
};
process.stdout.write(`${JSON.stringify(ran)}\n`);

async function runImport(session: DbSession): Promise<void> {
  const ctx = createContext(config);
  try {
    const plain = createReadStream(path).pipe(createGunzip({ chunkSize: 65_536 }));
    const day = {
      mch_id: ctx.pay.mch_id,
      bill_date: new Date(`${bill_date}T00:00:00Z`),
      replaces_kept: true,
    };
    const stream = Readable.toWeb(plain) as ReadableStream<Uint8Array>;
    await importBill(ctx, session, day, stream, () => undefined);
  } finally {
    await ctx.close();
  }
}

async function runCopy(session: DbSession): Promise<void> {
  await pipeline(
    createReadStream(path),
    session.query(copyFrom('COPY bill_line FROM STDIN WITH (FORMAT csv)')),
  );
}
