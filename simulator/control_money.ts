// The hand behind the refunds: made as in the merchant's console, and ended at will. A part of the control door
// under /_sim/.

import { BadRequest, bodyOf, guarded, handleOf, text } from './control.ts';
import { type Answer, type Call, type Family, json } from './http.ts';
import { orderBehind } from './orders.ts';
import type { Platform } from './platform.ts';
import type { Refund, RefundState } from './records.ts';
import { applyRefund, endRefund, refundsOf } from './refunds.ts';
import { beijingIso } from './time.ts';

export function showRefund(refund: Refund) {
  return {
    ...refund,
    made_at: beijingIso(refund.made_at_ms),
    due_at: beijingIso(refund.due_at_ms),
    ended_at: refund.ended_at_ms === undefined ? null : beijingIso(refund.ended_at_ms),
  };
}

const ENDS: readonly RefundState[] = ['SUCCESS', 'ABNORMAL', 'CLOSED'];

function endOf(body: Record<string, unknown>): RefundState | undefined {
  const as = text(body, 'as');
  if (as === undefined) return undefined;
  const known = ENDS.find((e) => e === as);
  if (known === undefined) throw new BadRequest(`as is one of ${ENDS.join(', ')}`);
  return known;
}

/** A refund as the merchant's own console makes it. */
function refund(platform: Platform, call: Call): Answer {
  const body = bodyOf(call);
  const { order } = orderBehind(platform, handleOf(body));
  call.out_trade_no = order.out_trade_no;
  const taken_fen = refundsOf(platform, order)
    .filter((r) => r.state !== 'CLOSED')
    .reduce((sum, r) => sum + r.refund_fen, 0);
  const { refund_fen = order.total_fen - taken_fen } = body;
  if (typeof refund_fen !== 'number' || !Number.isSafeInteger(refund_fen) || refund_fen < 0) {
    throw new BadRequest('refund_fen must be a whole number of fen');
  }
  const api_version = text(body, 'api_version') ?? 'v2';
  if (api_version !== 'v2' && api_version !== 'v3') throw new BadRequest('api_version is v2 or v3');
  const as = endOf(body);
  const { refund: made } = applyRefund(
    platform,
    order,
    {
      out_refund_no: text(body, 'out_refund_no') ?? platform.ids.digits(20),
      refund_fen,
      total_fen: undefined,
      reason: text(body, 'reason') ?? '',
      notify_url: text(body, 'notify_url') ?? '',
      api: 'v2',
      source: 'VENDOR_PLATFORM',
      account: 'REFUND_SOURCE_UNSETTLED_FUNDS',
      notify_api: api_version,
    },
    call,
  );
  if (as !== undefined) made.ends_as = as;
  return json(200, showRefund(made));
}

function refunds(platform: Platform, call: Call): Answer {
  const number = call.query.get('out_trade_no') ?? '';
  const found = Object.values(platform.store.state.refunds).filter(
    (r) => number === '' || r.out_trade_no === number,
  );
  return json(200, { refunds: found.slice(-Number(call.query.get('limit') ?? 200)).map(showRefund) });
}

/** One refund: how it stands, or its end now. */
function oneRefund(platform: Platform, call: Call): Answer {
  const number = decodeURIComponent(call.path.slice('/_sim/refunds/'.length));
  const found = Object.values(platform.store.state.refunds).find((r) => r.out_refund_no === number);
  if (found === undefined) return json(404, { code: 'NOT_FOUND', message: `no refund ${number}` });
  if (call.method === 'POST') {
    const as = endOf(bodyOf(call));
    if (as === undefined) throw new BadRequest(`as is one of ${ENDS.join(', ')}`);
    endRefund(platform, found, as, platform.clock.now());
  }
  return json(200, showRefund(found));
}

export const controlMoney: Family = {
  name: 'control_money',
  logged: false,
  doors: {
    '/_sim/refund': guarded('POST', refund),
    '/_sim/refunds': guarded('GET', refunds),
    '/_sim/refunds/*': guarded('GET,POST', oneRefund),
  },
};
