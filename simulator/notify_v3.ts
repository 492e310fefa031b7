// The v3 notifications of payments and refunds: one line of JSON, the resource sealed under the APIv3 key, signed
// afresh at every attempt. Only the status of the answer counts.

import { createHash } from 'node:crypto';
import { strangeSerial } from './envelope_v3.ts';
import type { Struck } from './faults.ts';
import { placeOf, type Wording } from './notify.ts';
import { transactionV3 } from './pay_v3.ts';
import { merchantOf, type Platform } from './platform.ts';
import type { Notification, Order, RefundState } from './records.ts';
import { findRefund } from './refunds.ts';
import { spoiled } from './sign_v2.ts';
import { identityFor, probe, sealed, signatureHeaders } from './sign_v3.ts';
import { beijingIso } from './time.ts';

type Resource = Record<string, unknown>;

const REFUND_SUMMARY: Record<RefundState, string> = {
  SUCCESS: '退款成功',
  ABNORMAL: '退款异常',
  CLOSED: '退款关闭',
  PROCESSING: '退款处理中',
};

function content(
  platform: Platform,
  order: Order,
  n: Notification,
): { event: string; summary: string; kind: string; resource: Resource } {
  if (n.kind === 'payment') {
    const paid: Order = { ...order, state: 'SUCCESS' };
    return {
      event: 'TRANSACTION.SUCCESS',
      summary: '支付成功',
      kind: 'transaction',
      resource: transactionV3(paid),
    };
  }
  const refund = findRefund(platform, n.mch_id, n.out_refund_no ?? '');
  const state = n.refund_state;
  if (refund === undefined || state === undefined)
    throw new Error(`refund notification ${n.notification_id} has lost its refund`);
  return {
    event: `REFUND.${state}`,
    summary: REFUND_SUMMARY[state],
    kind: 'refund',
    resource: {
      ...(refund.sub_mch_id === undefined
        ? { mchid: refund.mch_id }
        : { sp_mchid: refund.mch_id, sub_mchid: refund.sub_mch_id }),
      out_trade_no: refund.out_trade_no,
      transaction_id: refund.transaction_id,
      out_refund_no: refund.out_refund_no,
      refund_id: refund.refund_id,
      refund_status: state,
      ...(state === 'SUCCESS' && refund.ended_at_ms !== undefined
        ? { success_time: beijingIso(refund.ended_at_ms) }
        : {}),
      amount: {
        total: refund.total_fen,
        refund: refund.refund_fen,
        payer_total: order.payment?.cash_fen ?? refund.total_fen,
        payer_refund: refund.cash_fen,
      },
      user_received_account: refund.received_account,
    },
  };
}

/** What each content fault does before the resource is sealed. */
const INSIDE: Record<string, (resource: Resource, struck: Struck) => void> = {
  notify_other_amount: (r, s) => {
    const amount = { ...(r.amount as Record<string, unknown>) };
    const name = 'refund' in amount ? 'refund' : 'total';
    amount[name] = Number(amount[name]) + s.number('delta_fen');
    r.amount = amount;
  },
  notify_other_merchant: (r, s) => {
    r['sp_mchid' in r ? 'sp_mchid' : 'mchid'] = s.text('mch_id');
  },
  notify_other_appid: (r, s) => {
    r['sp_appid' in r ? 'sp_appid' : 'appid'] = s.text('appid');
  },
  notify_other_openid: (r, s) => {
    r.payer = { ['sp_mchid' in r ? 'sp_openid' : 'openid']: s.text('openid') };
  },
  notify_unknown_order: (r, s) => {
    r.out_trade_no = s.text('as');
    if ('out_refund_no' in r) r.out_refund_no = s.text('as');
  },
  notify_extra_field: (r) => {
    r.brand_new_field = '新字段';
  },
};

/** A UUID of version 5, the same for every attempt of one notification. */
function eventId(n: Notification): string {
  const hex = createHash('sha1').update(`${n.mch_id}|${n.notification_id}|${n.made_at_ms}`).digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 3) | 8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `5${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20, 32),
  ].join('-');
}

export const notificationV3: Wording = {
  write(platform, order, n) {
    const merchant = merchantOf(platform, n.mch_id);
    if (merchant === undefined) throw new Error(`no merchant ${n.mch_id}`);
    const where = placeOf(n);
    let fault: Struck | undefined;
    const strike = (name: string): Struck | undefined => {
      const struck = platform.faults.take(name, where);
      fault ??= struck;
      return struck;
    };
    const { event, summary, kind, resource } = content(platform, order, n);
    for (const [name, change] of Object.entries(INSIDE)) {
      const struck = strike(name);
      if (struck !== undefined) change(resource, struck);
    }
    const nonce = platform.ids.letters(12);
    const key = strike('notify_other_key') ? merchant.api_v2_key : merchant.api_v3_key;
    const body = JSON.stringify({
      id: eventId(n),
      create_time: beijingIso(n.made_at_ms),
      resource_type: 'encrypt-resource',
      event_type: event,
      summary,
      resource: {
        original_type: kind,
        algorithm: 'AEAD_AES_256_GCM',
        ciphertext: sealed(JSON.stringify(resource), key, nonce, kind),
        associated_data: kind,
        nonce,
      },
    });
    // While a merchant is switching both identities come, in turns.
    const turn = (Number(n.notification_id) + n.attempts.length) % 2 === 1;
    const identity = identityFor(platform, merchant, turn);
    const stale = strike('notify_stale');
    const at_s = Math.floor(Date.now() / 1000) - (stale?.number('age_s') ?? 0);
    const signature = signatureHeaders(platform, identity, platform.ids.letters(32), body, at_s);
    if (strike('notify_wrong_serial')) signature['Wechatpay-Serial'] = strangeSerial(identity.serial);
    if (strike('notify_probe'))
      signature['Wechatpay-Signature'] = probe(signature['Wechatpay-Signature'] ?? '');
    if (strike('notify_bad_signature'))
      signature['Wechatpay-Signature'] = spoiled(signature['Wechatpay-Signature'] ?? '');
    const unsigned = strike('notify_no_signature') !== undefined;
    const sent = strike('notify_tampered') ? body.replace('"summary":"', '"summary":"已') : body;
    return {
      headers: {
        'Content-Type': 'application/json',
        'Request-ID': n.request_id,
        'User-Agent': 'Mozilla/4.0',
        Accept: '*/*',
        Pragma: 'no-cache',
        'Cache-Control': 'no-cache',
        ...(unsigned ? {} : signature),
      },
      body: sent,
      fault,
      cut: strike('notify_cut') !== undefined,
    };
  },

  refused: (status) =>
    status === 200 || status === 204 ? undefined : `HTTP ${status}, only 200 and 204 count`,
};
