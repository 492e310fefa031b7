/**
 * Every state machine of the counter as data: which states we hold, what WeChat can tell us, where that leads.
 * Pure tables, also read by the browser; a state or an event that is missing here does not compile.
 */

export const orderStates = ['NOTPAY', 'SUCCESS', 'REFUND', 'CLOSED'] as const;
export type OrderState = (typeof orderStates)[number];

export const tradeStates = [
  'NOTPAY',
  'USERPAYING',
  'SUCCESS',
  'REFUND',
  'CLOSED',
  'REVOKED',
  'PAYERROR',
] as const;
export type HeldTradeState = (typeof tradeStates)[number];

/** What verified evidence says of a trade; WeChat's ACCEPT is "not final" to us, as NOTPAY is. */
export const tradeEvidence = [
  'NOTPAY',
  'USERPAYING',
  'ACCEPT',
  'SUCCESS',
  'REFUND',
  'CLOSED',
  'REVOKED',
  'PAYERROR',
] as const;
export type TradeEvidence = (typeof tradeEvidence)[number];

/**
 * `stay`: nothing new. `hold`: not what we hold, but no reason to move (an older answer, a state of another moment).
 * A held state that took money never leaves it: PAID always wins.
 */
export type TradeMove = HeldTradeState | 'stay' | 'hold';

export const tradeMoves: Record<HeldTradeState, Record<TradeEvidence, TradeMove>> = {
  NOTPAY: {
    NOTPAY: 'stay',
    USERPAYING: 'USERPAYING',
    ACCEPT: 'stay',
    SUCCESS: 'SUCCESS',
    REFUND: 'SUCCESS',
    CLOSED: 'CLOSED',
    REVOKED: 'REVOKED',
    PAYERROR: 'PAYERROR',
  },
  USERPAYING: {
    NOTPAY: 'hold',
    USERPAYING: 'stay',
    ACCEPT: 'hold',
    SUCCESS: 'SUCCESS',
    REFUND: 'SUCCESS',
    CLOSED: 'CLOSED',
    REVOKED: 'REVOKED',
    PAYERROR: 'PAYERROR',
  },
  SUCCESS: {
    NOTPAY: 'hold',
    USERPAYING: 'hold',
    ACCEPT: 'hold',
    SUCCESS: 'stay',
    REFUND: 'stay',
    CLOSED: 'hold',
    REVOKED: 'hold',
    PAYERROR: 'hold',
  },
  REFUND: {
    NOTPAY: 'hold',
    USERPAYING: 'hold',
    ACCEPT: 'hold',
    SUCCESS: 'stay',
    REFUND: 'stay',
    CLOSED: 'hold',
    REVOKED: 'hold',
    PAYERROR: 'hold',
  },
  CLOSED: {
    NOTPAY: 'hold',
    USERPAYING: 'hold',
    ACCEPT: 'hold',
    SUCCESS: 'SUCCESS',
    REFUND: 'SUCCESS',
    CLOSED: 'stay',
    REVOKED: 'hold',
    PAYERROR: 'hold',
  },
  REVOKED: {
    NOTPAY: 'hold',
    USERPAYING: 'hold',
    ACCEPT: 'hold',
    SUCCESS: 'SUCCESS',
    REFUND: 'SUCCESS',
    CLOSED: 'hold',
    REVOKED: 'stay',
    PAYERROR: 'hold',
  },
  PAYERROR: {
    NOTPAY: 'hold',
    USERPAYING: 'hold',
    ACCEPT: 'hold',
    SUCCESS: 'SUCCESS',
    REFUND: 'SUCCESS',
    CLOSED: 'CLOSED',
    REVOKED: 'REVOKED',
    PAYERROR: 'stay',
  },
};

/** Held states in which WeChat may still take money without us knowing: the ones to ask about. */
export const openTradeStates = ['NOTPAY', 'USERPAYING'] as const satisfies readonly HeldTradeState[];

/** Held states in which WeChat did take money. */
export const paidTradeStates = ['SUCCESS', 'REFUND'] as const satisfies readonly HeldTradeState[];

export const refundStates = ['REQUESTED', 'PROCESSING', 'SUCCESS', 'CLOSED', 'ABNORMAL', 'REFUSED'] as const;
export type HeldRefundState = (typeof refundStates)[number];

/** What WeChat can say of a refund, and where that leads; `SUCCESS` and `CLOSED` are final. */
export type RefundMove = Exclude<HeldRefundState, 'REQUESTED' | 'REFUSED'> | 'stay';

export const refundMoves: Record<
  HeldRefundState,
  Record<'PROCESSING' | 'SUCCESS' | 'CLOSED' | 'ABNORMAL', RefundMove>
> = {
  REQUESTED: { PROCESSING: 'PROCESSING', SUCCESS: 'SUCCESS', CLOSED: 'CLOSED', ABNORMAL: 'ABNORMAL' },
  PROCESSING: { PROCESSING: 'stay', SUCCESS: 'SUCCESS', CLOSED: 'CLOSED', ABNORMAL: 'ABNORMAL' },
  ABNORMAL: { PROCESSING: 'PROCESSING', SUCCESS: 'SUCCESS', CLOSED: 'CLOSED', ABNORMAL: 'stay' },
  SUCCESS: { PROCESSING: 'stay', SUCCESS: 'stay', CLOSED: 'stay', ABNORMAL: 'stay' },
  CLOSED: { PROCESSING: 'stay', SUCCESS: 'stay', CLOSED: 'stay', ABNORMAL: 'stay' },
  // WeChat's word wins over our memory of a refusal.
  REFUSED: { PROCESSING: 'PROCESSING', SUCCESS: 'SUCCESS', CLOSED: 'CLOSED', ABNORMAL: 'ABNORMAL' },
};

/** Refund states whose amount is gone or may still go: what is left to refund is what remains beside them. */
export const reservingRefundStates = [
  'REQUESTED',
  'PROCESSING',
  'SUCCESS',
  'ABNORMAL',
] as const satisfies readonly HeldRefundState[];

/** What WeChat has not decided yet, within seconds as a rule. */
export const openRefundStates = ['REQUESTED', 'PROCESSING'] as const satisfies readonly HeldRefundState[];

export const refundStateLabels: Record<HeldRefundState, { zh: string; en: string }> = {
  REQUESTED: { zh: '已提交', en: 'Requested' },
  PROCESSING: { zh: '处理中', en: 'Processing' },
  SUCCESS: { zh: '退款成功', en: 'Refunded' },
  CLOSED: { zh: '退款关闭', en: 'Refund closed' },
  ABNORMAL: { zh: '退款异常', en: 'Refund abnormal' },
  REFUSED: { zh: '微信拒绝', en: 'Refused by WeChat' },
};

/** What `settle` did with a piece of evidence. */
export const settleVerdicts = ['applied', 'already', 'mismatch', 'unknown_order', 'not_final'] as const;
export type SettleVerdict = (typeof settleVerdicts)[number];

/** What the pay page shows; `server` states come from the status route, the others are the page's own moments. */
export const pageStates = [
  'waiting_for_bridge',
  'no_bridge',
  'watching',
  'ready',
  'invoking',
  'returned',
  'confirming',
  'cancelled',
  'failed',
  'still_unknown',
  'paid',
  'closed',
  'expired',
  'refunded',
] as const;
export type PageState = (typeof pageStates)[number];

/** Labels for people, one per held state; the operator's chips and the shopper's list both read them. */
export const orderStateLabels: Record<OrderState, { zh: string; en: string }> = {
  NOTPAY: { zh: '待支付', en: 'Unpaid' },
  SUCCESS: { zh: '已支付', en: 'Paid' },
  REFUND: { zh: '已退款', en: 'Refunded' },
  CLOSED: { zh: '已关闭', en: 'Closed' },
};

const partlyRefunded = { zh: '部分退款', en: 'Partly refunded' };

/** Whether less went back than was paid, of an order or a trade in state `REFUND`. */
export function isPartlyRefunded(state: string, total_fen: number, refunded_fen: number): boolean {
  return state === 'REFUND' && refunded_fen > 0 && refunded_fen < total_fen;
}

/** The label of an order of which `refunded_fen` has gone back: part of the money is not all of it. */
export function orderLabel(
  state: OrderState,
  total_fen: number,
  refunded_fen: number,
): { zh: string; en: string } {
  return isPartlyRefunded(state, total_fen, refunded_fen) ? partlyRefunded : orderStateLabels[state];
}

/** The same of a trade. */
export function tradeLabel(
  state: HeldTradeState,
  total_fen: number,
  refunded_fen: number,
): { zh: string; en: string } {
  return isPartlyRefunded(state, total_fen, refunded_fen) ? partlyRefunded : tradeStateLabels[state];
}

export const tradeStateLabels: Record<HeldTradeState, { zh: string; en: string }> = {
  NOTPAY: { zh: '待支付', en: 'Unpaid' },
  USERPAYING: { zh: '输入密码中', en: 'Payer is entering the password' },
  SUCCESS: { zh: '已支付', en: 'Paid' },
  REFUND: { zh: '已退款', en: 'Refunded' },
  CLOSED: { zh: '已关闭', en: 'Closed' },
  REVOKED: { zh: '已撤销', en: 'Reversed' },
  PAYERROR: { zh: '支付失败', en: 'Payment failed' },
};

/** `REQUESTED` and `REFUSED` are ours; the others are WeChat's words for a red packet. */
export const redPacketStates = [
  'REQUESTED',
  'SENDING',
  'SENT',
  'RECEIVED',
  'RFUND_ING',
  'REFUND',
  'FAILED',
  'REFUSED',
] as const;
export type RedPacketState = (typeof redPacketStates)[number];

/** What nothing follows any more. */
export const redPacketEnds = ['RECEIVED', 'REFUND', 'FAILED'] as const satisfies readonly RedPacketState[];

/** What WeChat has not decided yet, within seconds as a rule. */
export const openRedPacketStates = ['REQUESTED', 'SENDING'] as const satisfies readonly RedPacketState[];

export const redPacketStateLabels: Record<RedPacketState, { zh: string; en: string }> = {
  REQUESTED: { zh: '已提交', en: 'Requested' },
  SENDING: { zh: '发放中', en: 'Being sent' },
  SENT: { zh: '已发放待领取', en: 'Sent, not yet taken' },
  RECEIVED: { zh: '已领取', en: 'Taken' },
  RFUND_ING: { zh: '退回中', en: 'Coming back' },
  REFUND: { zh: '已退回', en: 'Came back' },
  FAILED: { zh: '发放失败', en: 'Not sent' },
  REFUSED: { zh: '微信拒绝', en: 'Refused by WeChat' },
};
