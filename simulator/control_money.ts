// The merchant's console and the hand behind the refunds: refunds made by hand, ended at will, and what kind of
// merchant it is. A part of the control door under /_sim/.

import { BadRequest, bodyOf, guarded, handleOf, text } from './control.ts';
import { type Answer, type Call, type Family, json } from './http.ts';
import { orderBehind } from './orders.ts';
import { merchantOf, type Platform } from './platform.ts';
import { applyRefund, endRefund, refundsOf } from './refunds.ts';
import { MERCHANT_MODES, type Refund, type RefundState } from './store.ts';
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

/** What kind of merchant it is, and what its console holds. */
function merchant(platform: Platform, call: Call): Answer {
  const { state } = platform.store;
  if (call.method === 'GET') {
    return json(200, {
      merchants: state.merchants.map(({ mch_id, mode, refund_notify_url, balance_fen }) => ({
        mch_id,
        mode,
        refund_notify_url,
        balance_fen,
      })),
    });
  }
  const body = bodyOf(call);
  const mch_id = text(body, 'mch_id') ?? state.merchants[0]?.mch_id ?? '';
  const found = merchantOf(platform, mch_id);
  if (found === undefined) throw new BadRequest(`mch_id ${mch_id} is unknown here`);
  const mode = text(body, 'mode');
  const known = MERCHANT_MODES.find((m) => m === mode);
  if (mode !== undefined && known === undefined)
    throw new BadRequest(`mode is one of ${MERCHANT_MODES.join(', ')}`);
  const url = typeof body.refund_notify_url === 'string' ? body.refund_notify_url : undefined;
  if (url !== undefined && url !== '' && !URL.canParse(url))
    throw new BadRequest('refund_notify_url is no address');
  const { balance_fen } = body;
  if (
    balance_fen !== undefined &&
    (typeof balance_fen !== 'number' || !Number.isSafeInteger(balance_fen) || balance_fen < 0)
  ) {
    throw new BadRequest('balance_fen must be a whole number of fen');
  }
  if (known !== undefined) found.mode = known;
  if (url !== undefined) found.refund_notify_url = url;
  if (typeof balance_fen === 'number') found.balance_fen = balance_fen;
  platform.store.touch();
  return json(200, {
    mch_id,
    mode: found.mode,
    refund_notify_url: found.refund_notify_url,
    balance_fen: found.balance_fen,
  });
}

export const controlMoney: Family = {
  name: 'control_money',
  logged: false,
  doors: {
    '/_sim/refund': guarded('POST', refund),
    '/_sim/refunds': guarded('GET', refunds),
    '/_sim/refunds/*': guarded('GET,POST', oneRefund),
    '/_sim/merchant': guarded('GET,PUT', merchant),
  },
};
