/**
 * Writing on the timeline. Events are only ever added; what they say is what the operator sees when a payment is
 * in doubt, so each names its source and keeps the exchange with WeChat that it came from.
 */
import type { Db, Prisma, Tx } from './db.ts';
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
