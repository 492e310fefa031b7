// The API v3 routes for money going back: apply, query, and the way out of an abnormal refund. What becomes of a
// refund is decided in refunds.ts.

import { type Heard, plain, RefusalV3, type Route, translated } from './envelope_v3.ts';
import { feeBackFen } from './fees.ts';
import { ABNORMAL_REFUND, REFUND } from './fields_v3.ts';
import type { Call } from './http.ts';
import { findByTransaction, findOrder, ofSub, Refusal } from './orders.ts';
import { subOf } from './parties_v3.ts';
import type { Platform } from './platform.ts';
import type { Order, Refund } from './records.ts';
import { applyRefund, findRefund, findRefundById, refundsOf, reviveRefund } from './refunds.ts';
import { orderKey } from './store.ts';
import { beijingIso } from './time.ts';

const word = (body: Record<string, unknown>, name: string) =>
  typeof body[name] === 'string' ? body[name] : '';

/** A refund as the application and the query answer it. */
function refundV3(platform: Platform, order: Order, refund: Refund, processing = false) {
  const state = processing ? 'PROCESSING' : refund.state;
  const { payment } = order;
  return {
    refund_id: refund.refund_id,
    out_refund_no: refund.out_refund_no,
    transaction_id: refund.transaction_id,
    out_trade_no: refund.out_trade_no,
    channel: 'ORIGINAL',
    user_received_account: refund.received_account,
    ...(state === 'SUCCESS' && refund.ended_at_ms !== undefined
      ? { success_time: beijingIso(refund.ended_at_ms) }
      : {}),
    create_time: beijingIso(refund.made_at_ms),
    status: state,
    funds_account: refund.account.startsWith('REFUND_SOURCE') ? 'AVAILABLE' : refund.account,
    amount: {
      total: refund.total_fen,
      refund: refund.refund_fen,
      from: [],
      payer_total: payment?.cash_fen ?? refund.total_fen,
      payer_refund: refund.cash_fen,
      settlement_refund: refund.refund_fen,
      settlement_total: refund.total_fen,
      discount_refund: refund.coupon_fen,
      currency: order.fee_type,
      refund_fee: feeBackFen(refundsOf(platform, order), refund),
    },
    promotion_detail:
      refund.coupon_fen === 0
        ? []
        : [
            {
              promotion_id: payment?.coupon_id,
              scope: 'GLOBAL',
              type: 'CASH',
              amount: payment?.coupon_fen,
              refund_amount: refund.coupon_fen,
            },
          ],
  };
}

const missing = (text: string, why: string) => new RefusalV3(404, 'RESOURCE_NOT_EXISTS', text, why);

function refundedOrder(platform: Platform, heard: Heard): Order {
  const { body, merchant } = heard;
  const sub = subOf(platform, heard, word(body, 'sub_mchid'));
  const transaction_id = word(body, 'transaction_id');
  const out_trade_no = word(body, 'out_trade_no');
  if (transaction_id === '' && out_trade_no === '') {
    const text = '微信支付订单号和商户订单号至少填写一个';
    throw new RefusalV3(400, 'PARAM_ERROR', text, 'neither transaction_id nor out_trade_no is given');
  }
  const order = ofSub(
    transaction_id !== ''
      ? findByTransaction(platform, merchant.mch_id, transaction_id)
      : findOrder(platform, merchant.mch_id, out_trade_no),
    sub,
  );
  if (order === undefined) throw missing('订单不存在', `no order ${transaction_id || out_trade_no}`);
  if (out_trade_no !== '' && order.out_trade_no !== out_trade_no) {
    const text = '支付单号校验不一致，请核实后再试';
    throw new RefusalV3(400, 'INVALID_REQUEST', text, `${transaction_id} is not ${out_trade_no}`);
  }
  if (order.payment === undefined) throw missing('原订单不存在', `${order.out_trade_no} is not paid`);
  return order;
}

function apply(platform: Platform, call: Call, heard: Heard) {
  const { body } = heard;
  const order = refundedOrder(platform, heard);
  call.out_trade_no = order.out_trade_no;
  const amount = Object.fromEntries(Object.entries(body.amount as object));
  const notify_url = word(body, 'notify_url');
  if (
    notify_url !== '' &&
    (!/^https?:\/\//.test(notify_url) || !URL.canParse(notify_url) || /[?#]/.test(notify_url))
  ) {
    throw new RefusalV3(400, 'PARAM_ERROR', 'notify_url格式错误', `${notify_url} is no plain address`);
  }
  try {
    const { refund, struck } = applyRefund(
      platform,
      order,
      {
        out_refund_no: word(body, 'out_refund_no'),
        refund_fen: Number(amount.refund),
        total_fen: Number(amount.total),
        reason: word(body, 'reason'),
        notify_url,
        api: 'v3',
        source: 'API',
        account: word(body, 'funds_account') || 'AVAILABLE',
      },
      call,
    );
    call.note.faults.push(...struck);
    return plain(200, refundV3(platform, order, refund));
  } catch (cause) {
    if (cause instanceof Refusal) throw translated(cause);
    throw cause;
  }
}

function orderOf(platform: Platform, refund: Refund): Order {
  const order = platform.store.state.orders[orderKey(refund.mch_id, refund.out_trade_no)];
  if (order === undefined) throw new Error(`refund ${refund.out_refund_no} has lost its order`);
  return order;
}

const BANKS = 'CMB COMM ABC CCB ICBC BOC PAB SPDB CITIC CEB CMBC CIB GDB PSBC NBCB'
  .split(' ')
  .map((b) => `${b}_DEBIT`);

function abnormal(platform: Platform, _call: Call, heard: Heard) {
  const { body, merchant, named } = heard;
  const refund = findRefundById(platform, merchant.mch_id, named[0] ?? '');
  const sub = subOf(platform, heard, word(body, 'sub_mchid'));
  if (refund === undefined || refund.sub_mch_id !== sub?.sub_mch_id)
    throw missing('退款单不存在', `no refund ${named[0]}`);
  if (refund.out_refund_no !== body.out_refund_no) {
    throw new RefusalV3(
      400,
      'INVALID_REQUEST',
      '退款单号校验不一致',
      `${named[0]} is not ${String(body.out_refund_no)}`,
    );
  }
  if (body.type === 'USER_BANK_CARD') {
    const lacking = ['bank_type', 'bank_account', 'real_name'].find((n) => word(body, n) === '');
    if (lacking !== undefined)
      throw new RefusalV3(
        400,
        'PARAM_ERROR',
        `${lacking}为必填项`,
        `${lacking} is needed for the payer's card`,
      );
    if (!BANKS.includes(word(body, 'bank_type')))
      throw new RefusalV3(400, 'PARAM_ERROR', '不支持的银行类型', `bank_type ${word(body, 'bank_type')}`);
  }
  reviveRefund(platform, refund, body.type === 'USER_BANK_CARD' ? '用户银行卡' : '商户结算银行账户');
  return plain(200, refundV3(platform, orderOf(platform, refund), refund));
}

const REFUNDS = '/v3/refund/domestic/refunds';

export const REFUND_ROUTES: Route[] = [
  { method: 'POST', path: new RegExp(`^${REFUNDS}$`), schema: REFUND, handle: apply },
  {
    method: 'GET',
    path: new RegExp(`^${REFUNDS}/([^/]+)$`),
    handle(platform, call, heard) {
      const refund = findRefund(platform, heard.merchant.mch_id, heard.named[0] ?? '');
      const sub = subOf(platform, heard, call.query.get('sub_mchid') ?? '');
      if (refund === undefined || refund.sub_mch_id !== sub?.sub_mch_id)
        throw missing('退款单不存在', `no refund ${heard.named[0]}`);
      call.out_trade_no = refund.out_trade_no;
      const stale = platform.faults.take('refund_query_stale', call);
      if (stale !== undefined) call.note.faults.push(stale.name);
      return plain(200, refundV3(platform, orderOf(platform, refund), refund, stale !== undefined));
    },
  },
  {
    method: 'POST',
    path: new RegExp(`^${REFUNDS}/([^/]+)/apply-abnormal-refund$`),
    schema: ABNORMAL_REFUND,
    handle: abnormal,
  },
];
