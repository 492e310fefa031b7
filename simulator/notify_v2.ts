// The v2 payment notification: XML signed with the order's sign type. It takes nothing but HTTP 200 with a
// well-formed <xml> saying SUCCESS for an acknowledgement.

import type { Struck } from './faults.ts';
import { placeOf, type Wording } from './notify.ts';
import { writeRefundV2 } from './notify_refund_v2.ts';
import { merchantOf, type Platform, userOf } from './platform.ts';
import type { Order } from './records.ts';
import { type SignType, signedV2, spoiled } from './sign_v2.ts';
import { beijing14 } from './time.ts';
import { type Fields, readXml, writeXml } from './xml.ts';

/** The fields of a payment that query answers and notifications share. */
export function paymentFields(platform: Platform, order: Order): Fields {
  const { payment } = order;
  if (payment === undefined) return {};
  return {
    openid: payment.openid,
    is_subscribe: userOf(platform, payment.openid)?.is_subscribe ?? 'N',
    ...(payment.sub_openid === undefined ? {} : { sub_openid: payment.sub_openid, sub_is_subscribe: 'N' }),
    trade_type: order.trade_type,
    bank_type: payment.bank_type,
    total_fee: String(payment.total_fen),
    fee_type: order.fee_type,
    cash_fee: String(payment.cash_fen),
    ...(payment.coupon_fen > 0 && payment.coupon_id !== undefined
      ? {
          coupon_fee: String(payment.coupon_fen),
          coupon_count: '1',
          coupon_id_0: payment.coupon_id,
          coupon_type_0: 'CASH',
          coupon_fee_0: String(payment.coupon_fen),
        }
      : {}),
    transaction_id: payment.transaction_id,
    time_end: beijing14(payment.paid_at_ms),
  };
}

/** What each content fault does to the message before it is signed. */
const BEFORE_SIGNING: Record<string, (fields: Fields, struck: Struck, order: Order) => void> = {
  notify_other_amount: (f, s) => {
    f.total_fee = String(Number(f.total_fee) + s.number('delta_fen'));
    f.cash_fee = f.total_fee;
  },
  notify_other_merchant: (f, s) => {
    f.mch_id = s.text('mch_id');
  },
  notify_other_appid: (f, s) => {
    f.appid = s.text('appid');
  },
  notify_other_openid: (f, s) => {
    f.openid = s.text('openid');
  },
  notify_unknown_order: (f, s) => {
    f.out_trade_no = s.text('as');
  },
  notify_extra_field: (f) => {
    f.brand_new_field = '新字段';
  },
  notify_sign_type_present: (f, _s, order) => {
    f.sign_type = order.sign_type;
  },
};

/** What each fault of the envelope does to the signed message. */
const AFTER_SIGNING: Record<string, (fields: Fields) => void> = {
  notify_bad_signature: (f) => {
    f.sign = spoiled(f.sign ?? '');
  },
  notify_no_signature: (f) => {
    delete f.sign;
  },
};

const OTHER: Record<SignType, SignType> = { MD5: 'HMAC-SHA256', 'HMAC-SHA256': 'MD5' };

export const notificationV2: Wording = {
  write(platform, order, notification) {
    const merchant = merchantOf(platform, order.mch_id);
    if (merchant === undefined) throw new Error(`no merchant ${order.mch_id}`);
    if (notification.kind === 'refund') return writeRefundV2(platform, order, notification);
    const where = placeOf(notification);
    let fault: Struck | undefined;
    const strike = (name: string): Struck | undefined => {
      const struck = platform.faults.take(name, where);
      fault ??= struck;
      return struck;
    };
    const fields: Fields = {
      appid: order.appid,
      ...(order.attach === '' ? {} : { attach: order.attach }),
      ...(order.device_info === '' ? {} : { device_info: order.device_info }),
      mch_id: order.mch_id,
      ...(order.sub_mch_id === undefined
        ? {}
        : {
            ...(order.sub_appid === undefined ? {} : { sub_appid: order.sub_appid }),
            sub_mch_id: order.sub_mch_id,
          }),
      nonce_str: notification.nonce_str,
      out_trade_no: order.out_trade_no,
      result_code: 'SUCCESS',
      return_code: 'SUCCESS',
      ...paymentFields(platform, order),
    };
    for (const [name, change] of Object.entries(BEFORE_SIGNING)) {
      const struck = strike(name);
      if (struck !== undefined) change(fields, struck, order);
    }
    const sign_type = strike('notify_other_sign_type') ? OTHER[order.sign_type] : order.sign_type;
    const signed = signedV2(fields, sign_type, merchant.api_v2_key);
    for (const [name, change] of Object.entries(AFTER_SIGNING)) if (strike(name)) change(signed);
    let body = writeXml(signed);
    if (strike('notify_doctype')) {
      body = `<?xml version="1.0"?><!DOCTYPE xml [<!ENTITY leak SYSTEM "file:///etc/hostname">]>${body.replace('<xml>', '<xml><leak>&leak;</leak>')}`;
    }
    const cut = strike('notify_cut') !== undefined;
    return {
      headers: {
        'Content-Type': 'text/xml',
        'Request-ID': notification.request_id,
        'User-Agent': 'Mozilla/4.0',
        Accept: '*/*',
      },
      body,
      fault,
      cut,
    };
  },

  refused(status, body) {
    if (status !== 200) return `HTTP ${status}, only 200 counts`;
    if (body.length === 0) return 'the answer is empty';
    const read = readXml(body);
    if ('fault' in read) return `the answer is not the XML WeChat expects: ${read.why}`;
    if (read.fields.return_code !== 'SUCCESS') {
      return `return_code is ${read.fields.return_code ?? 'missing'} (${read.fields.return_msg ?? 'no return_msg'})`;
    }
    return undefined;
  },
};
