/**
 * Writing on the timeline. Events are only ever added; what they say is what the operator sees when a payment is
 * in doubt, so each names its source and keeps the exchange with WeChat that it came from.
 */
import { type Db, Prisma, type Tx } from './db.ts';
import type { Exchange } from './wechat/index.ts';
import { WechatError } from './wechat/index.ts';

export const eventKinds = [
  'order_created',
  'order_claimed',
  'order_closed',
  'order_served',
  'trade_created',
  'trade_closed',
  'unified_order',
  'query',
  'close',
  'bridge_result',
  'charge',
  'payer_asked',
  'reverse',
  'paid',
  'paid_late',
  'paid_twice',
  'refund_requested',
  'refund_sent',
  'refund_query',
  'refund_moved',
  'refund_refused',
  'message_sent',
  'message_delivered',
  'message_refused',
  'message_unknown',
] as const;
export type EventKind = (typeof eventKinds)[number];

export type EventSource = 'shopper' | 'worker' | 'operator' | 'notification' | 'query' | 'bill';

export interface NewEvent {
  at: Date;
  order_no?: string | null;
  out_trade_no?: string | null;
  kind: EventKind;
  source: EventSource;
  data: Prisma.InputJsonObject;
}

export function addEvent(db: Pick<Db | Tx, 'event'>, event: NewEvent) {
  return db.event.create({ data: event, select: { id: true } });
}

/** So many steps of a kind are kept of a trade whatever they say; of further ones that say the same, one an hour. */
const keptRepeats = 20;
const repeatGap_ms = 60 * 60_000;

/** What a repeated step says, without what is new each time: nonce, signature, instant. */
function saidBy(data: unknown): string {
  const { error, trade_state, verdict, outcome } = (data ?? {}) as Record<string, unknown>;
  const { outcome: failed, code } = (error ?? {}) as Record<string, unknown>;
  return JSON.stringify([failed, code, trade_state, verdict, outcome]);
}

/** Adds a step that a page or a job may repeat without end, unless it says what the one before said and many did. */
export async function addRepeatable(
  db: Pick<Db, 'event' | '$queryRaw'>,
  event: NewEvent & { order_no: string; out_trade_no: string },
): Promise<void> {
  const { order_no, out_trade_no, kind } = event;
  const [kept] = await db.$queryRaw<{ count: number; at: Date | null; data: unknown }[]>(Prisma.sql`
    SELECT count(*)::int AS count, max(at) AS at,
      (SELECT data FROM event WHERE order_no = ${order_no} AND out_trade_no = ${out_trade_no} AND kind = ${kind}
        ORDER BY id DESC LIMIT 1) AS data
    FROM event WHERE order_no = ${order_no} AND out_trade_no = ${out_trade_no} AND kind = ${kind}`);
  if (kept !== undefined && kept.at !== null && kept.count >= keptRepeats) {
    const again = saidBy(kept.data) === saidBy(event.data);
    if (again && event.at.getTime() - kept.at.getTime() < repeatGap_ms) return;
  }
  await addEvent(db, event);
}

/** An exchange as it is kept on the timeline; a refused or unknown call keeps its code and outcome with it. */
export function exchangeData(exchange: Exchange | undefined, error?: WechatError): Prisma.InputJsonObject {
  return {
    ...(exchange === undefined
      ? {}
      : {
          exchange: {
            method: exchange.method,
            path: exchange.path,
            request_body: exchange.request_body,
            status: exchange.status ?? null,
            response_body: exchange.response_body ?? null,
            request_id: exchange.request_id ?? null,
            started_at: exchange.started_at.toISOString(),
            duration_ms: Math.round(exchange.duration_ms),
          },
        }),
    ...(error === undefined
      ? {}
      : { error: { outcome: error.outcome, code: error.code, message: error.message } }),
  };
}

/** The WechatError inside anything thrown by a call to WeChat; everything else is a fault of ours and goes on. */
export function asWechatError(thrown: unknown): WechatError {
  if (thrown instanceof WechatError) return thrown;
  throw thrown;
}
