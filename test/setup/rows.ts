/**
 * Rows and evidence for tests of the books, made directly: no HTTP, no simulator. Every number is fresh, so tests
 * of one file can share a database.
 */
import type { Db } from '../../lib/db.ts';
import { newNumber, randomText } from '../../lib/numbers.ts';
import type { Evidence } from '../../lib/settle.ts';
import type { HeldRefundState, HeldTradeState, OrderState } from '../../lib/states.ts';
import type { TradeReport } from '../../lib/wechat/index.ts';

export const account = { appid: 'wx0000000000000001', mch_id: '1900000001' } as const;
export const payer = 'oTestPayer0000000000000000001';

export interface MadeTrade {
  order_no: string;
  out_trade_no: string;
  total_fen: number;
}

export interface TradeWishes {
  order_state?: OrderState;
  trade_state?: HeldTradeState;
  total_fen?: number;
  order_no?: string;
  now?: Date;
}

/** One order with one trade in the states asked for; with `order_no`, a further trade of that order. */
export async function makeTrade(db: Db, wishes: TradeWishes = {}): Promise<MadeTrade> {
  const now = wishes.now ?? new Date();
  const total_fen = wishes.total_fen ?? 100;
  const order_no = wishes.order_no ?? newNumber(now);
  const out_trade_no = newNumber(now);
  const paid = wishes.trade_state === 'SUCCESS' || wishes.trade_state === 'REFUND';
  if (wishes.order_no === undefined) {
    const state = wishes.order_state ?? 'NOTPAY';
    const order_paid = state === 'SUCCESS' || state === 'REFUND';
    await db.order.create({
      data: {
        order_no,
        session_id: randomText(16),
        checkout_key: randomText(16),
        openid: payer,
        state,
        title: '测试商品',
        total_fen,
        created_at: now,
        expires_at: new Date(now.getTime() + 1_800_000),
        paid_at: order_paid ? now : null,
        paid_trade_no: order_paid ? out_trade_no : null,
      },
    });
  }
  await db.trade.create({
    data: {
      out_trade_no,
      order_no,
      ...account,
      api_version: 'v2',
      sign_type: 'HMAC-SHA256',
      trade_type: 'JSAPI',
      trade_state: wishes.trade_state ?? 'NOTPAY',
      total_fen,
      openid: payer,
      request: {},
      created_at: now,
      expires_at: new Date(now.getTime() + 1_800_000),
      transaction_id: paid ? `T${out_trade_no}` : null,
      success_at: paid ? now : null,
    },
  });
  return { order_no, out_trade_no, total_fen };
}

/** Money of a paid trade that went back, or is on its way; the books of trade and order stay as they are. */
export async function makeRefund(
  db: Db,
  { order_no, out_trade_no, total_fen }: MadeTrade,
  refund_fen: number,
  state: HeldRefundState = 'SUCCESS',
): Promise<void> {
  await db.refund.create({
    data: {
      out_refund_no: newNumber(new Date()),
      out_trade_no,
      order_no,
      command_key: randomText(16),
      origin: 'operator',
      state,
      refund_fen,
      total_fen,
      reason: '测试',
      created_at: new Date(),
    },
  });
}

/** What WeChat says of a paid trade; `changes` make it say something else. */
export function paidReport(
  { out_trade_no, total_fen }: MadeTrade,
  changes: Partial<TradeReport> = {},
): TradeReport {
  return {
    ...account,
    out_trade_no,
    trade_state: 'SUCCESS',
    transaction_id: `T${out_trade_no}`,
    trade_type: 'JSAPI',
    total_fen,
    payer_total_fen: total_fen,
    fee_type: 'CNY',
    openid: payer,
    bank_type: 'OTHERS',
    success_at: new Date('2026-11-23T10:00:00Z'),
    ...changes,
  };
}

export function byQuery(report: TradeReport): Evidence {
  return { source: 'query', report };
}

export function byNotification(report: TradeReport): Evidence {
  return {
    source: 'notification',
    report,
    sign_type: 'HMAC-SHA256',
    message: {
      id: crypto.randomUUID(),
      received_at: new Date(),
      api_version: 'v2',
      headers: { 'content-type': 'text/xml' },
      body: Buffer.from('<xml><a>1</a></xml>'),
    },
  };
}
