// The v2 refund notification: no signature, all that matters encrypted in req_info under the API v2 key. API v3
// merchants get it too, for refunds made in the console.

import { createCipheriv, createHash } from 'node:crypto';
import type { Struck } from './faults.ts';
import { type Message, placeOf } from './notify.ts';
import { merchantOf, type Platform } from './platform.ts';
import type { Notification, Order } from './records.ts';
import { refundStatusV2 } from './refund_v2.ts';
import { findRefund } from './refunds.ts';
import { spoiled } from './sign_v2.ts';
import { beijingIso } from './time.ts';
import { type Fields, writeXml } from './xml.ts';

/** What each content fault does before the message is encrypted. */
const INSIDE: Record<string, (fields: Fields, struck: Struck) => void> = {
  notify_other_amount: (f, s) => {
    f.refund_fee = String(Number(f.refund_fee) + s.number('delta_fen'));
    f.settlement_refund_fee = f.refund_fee;
  },
  notify_unknown_order: (f, s) => {
    f.out_trade_no = s.text('as');
    f.out_refund_no = s.text('as');
  },
  notify_extra_field: (f) => {
    f.brand_new_field = '新字段';
  },
};

/** What each fault of the envelope does. */
const OUTSIDE: Record<string, (fields: Fields, struck: Struck) => void> = {
  notify_other_merchant: (f, s) => {
    f.mch_id = s.text('mch_id');
  },
  notify_other_appid: (f, s) => {
    f.appid = s.text('appid');
  },
  notify_bad_signature: (f) => {
    f.req_info = `${spoiled((f.req_info ?? '').slice(0, 1))}${(f.req_info ?? '').slice(1)}`;
  },
};

/** AES-256-ECB under the 32 letters of the key's MD5 in lower-case hex. */
function encrypted(text: string, api_v2_key: string): string {
  const key = createHash('md5').update(api_v2_key, 'utf8').digest('hex');
  const cipher = createCipheriv('aes-256-ecb', Buffer.from(key, 'ascii'), null);
  return Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]).toString('base64');
}

/** One v2 refund notification, with the armed faults worked in. */
export function writeRefundV2(platform: Platform, order: Order, n: Notification): Message {
  const merchant = merchantOf(platform, n.mch_id);
  const refund = findRefund(platform, n.mch_id, n.out_refund_no ?? '');
  if (merchant === undefined || refund === undefined || n.refund_state === undefined) {
    throw new Error(`refund notification ${n.notification_id} has lost its refund`);
  }
  const where = placeOf(n);
  let fault: Struck | undefined;
  const strike = (name: string): Struck | undefined => {
    const struck = platform.faults.take(name, where);
    fault ??= struck;
    return struck;
  };
  const inner: Fields = {
    out_refund_no: refund.out_refund_no,
    out_trade_no: order.out_trade_no,
    refund_account: refund.account,
    refund_fee: String(refund.refund_fen),
    refund_id: refund.refund_id,
    refund_recv_accout: refund.received_account,
    refund_request_source: refund.source,
    refund_status: refundStatusV2(n.refund_state),
    settlement_refund_fee: String(refund.refund_fen),
    settlement_total_fee: String(refund.total_fen),
    ...(n.refund_state === 'SUCCESS' && refund.ended_at_ms !== undefined
      ? { success_time: beijingIso(refund.ended_at_ms).slice(0, 19).replace('T', ' ') }
      : {}),
    total_fee: String(refund.total_fen),
    transaction_id: refund.transaction_id,
    cash_refund_fee: String(refund.cash_fen),
  };
  for (const [name, change] of Object.entries(INSIDE)) {
    const struck = strike(name);
    if (struck !== undefined) change(inner, struck);
  }
  const root = writeXml(inner, new Set())
    .replace(/^<xml>/, '<root>\n')
    .replace(/<\/xml>$/, '</root>');
  const fields: Fields = {
    return_code: 'SUCCESS',
    appid: refund.appid,
    mch_id: refund.mch_id,
    ...(refund.sub_mch_id === undefined
      ? {}
      : {
          ...(refund.sub_appid === undefined ? {} : { sub_appid: refund.sub_appid }),
          sub_mch_id: refund.sub_mch_id,
        }),
    nonce_str: n.nonce_str,
    req_info: encrypted(root, merchant.api_v2_key),
  };
  for (const [name, change] of Object.entries(OUTSIDE)) {
    const struck = strike(name);
    if (struck !== undefined) change(fields, struck);
  }
  let body = writeXml(fields);
  if (strike('notify_doctype')) {
    body = `<?xml version="1.0"?><!DOCTYPE xml [<!ENTITY leak SYSTEM "file:///etc/hostname">]>${body.replace('<xml>', '<xml><leak>&leak;</leak>')}`;
  }
  const cut = strike('notify_cut') !== undefined;
  return {
    headers: {
      'Content-Type': 'text/xml',
      'Request-ID': n.request_id,
      'User-Agent': 'Mozilla/4.0',
      Accept: '*/*',
    },
    body,
    fault,
    cut,
  };
}
