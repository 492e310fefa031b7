/**
 * Keeping what reached a notify door. A message that was believed is kept whole; one that was not may be anybody's, so
 * of it there is the beginning and a digest, so many rows a minute and no more, for a month.
 */
import { createHash } from 'node:crypto';
import type { Context } from './context.ts';
import { Prisma } from './db.ts';
import type { ArchivedMessage } from './settle.ts';
import { countOne } from './tally.ts';
import type { NotificationError, NotificationVerdict } from './wechat/index.ts';

export type NotificationKind = 'payment' | 'refund';

/** Enough to see what it was meant to be. */
const keptHead_bytes = 2_048;
/** WeChat's own probes and a wrong key show in the first few; the rest of a flood says nothing new. */
const mostUnbelieved_per_minute = 120;
const unbelievedLife_ms = 30 * 86_400_000;
const sweptAtOnce = 5_000;

export interface Judged {
  verdict: string;
  detail: string;
  out_trade_no?: string | undefined;
}

/** A message that was believed and moved no payment is kept as it came, with why. */
export async function archive(
  ctx: Context,
  message: ArchivedMessage,
  kind: NotificationKind,
  judged: Judged,
): Promise<void> {
  await keep(ctx, message, kind, judged, { body: Buffer.from(message.body) });
}

/** Keeps the beginning of a message that was not believed, or only counts it when there are too many. */
export async function archiveUnbelieved(
  ctx: Context,
  message: ArchivedMessage,
  kind: NotificationKind,
  { verdict, message: detail }: NotificationError,
): Promise<void> {
  const count = await countOne(ctx, 'notify unbelieved');
  if (count > mostUnbelieved_per_minute) {
    if (count === mostUnbelieved_per_minute + 1) {
      ctx.log.warn(
        { count, verdict },
        'too many refused notifications: the rest of this minute is only counted',
      );
    }
    return;
  }
  ctx.log.warn({ notification_id: message.id, verdict }, 'notification refused');
  await keep(
    ctx,
    message,
    kind,
    { verdict, detail },
    {
      body: Buffer.from(message.body.subarray(0, keptHead_bytes)),
      body_bytes: message.body.byteLength,
      body_sha256: createHash('sha256').update(message.body).digest('hex'),
    },
  );
}

/** Typed so that a new reason for not believing is swept as well. */
const unbelieved: Record<NotificationVerdict, true> = {
  malformed: true,
  bad_signature: true,
  stale: true,
  unknown_serial: true,
  undecryptable: true,
  probe: true,
  not_success: true,
};

/** Forgets what was not believed a month ago. Written out, so that PostgreSQL sees that the partial index serves. */
export async function forgetUnbelieved(ctx: Context): Promise<void> {
  const before = new Date(ctx.now().getTime() - unbelievedLife_ms);
  const verdicts = Prisma.raw(
    Object.keys(unbelieved)
      .map((verdict) => `'${verdict}'`)
      .join(', '),
  );
  await ctx.db.$executeRaw(Prisma.sql`
    DELETE FROM notification WHERE id IN (
      SELECT id FROM notification WHERE verdict IN (${verdicts}) AND received_at < ${before}
      ORDER BY received_at LIMIT ${sweptAtOnce})`);
}

async function keep(
  ctx: Context,
  message: ArchivedMessage,
  kind: NotificationKind,
  { verdict, detail, out_trade_no }: Judged,
  body: { body: Buffer<ArrayBuffer>; body_bytes?: number; body_sha256?: string },
): Promise<void> {
  await ctx.db.notification.create({
    data: {
      id: message.id,
      received_at: message.received_at,
      api_version: message.api_version,
      kind,
      headers: message.headers,
      ...body,
      verdict,
      detail: detail.slice(0, 500).replaceAll('\u0000', ''),
      out_trade_no: out_trade_no ?? null,
    },
    select: { id: true },
  });
}
