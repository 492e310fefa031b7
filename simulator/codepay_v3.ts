// The API v3 routes of a payment code: charge and reverse. What they do to an order is decided in counter.ts.

import { charge, reverse } from './counter.ts';
import { type Heard, plain, RefusalV3, type Route } from './envelope_v3.ts';
import { CODEPAY, PARTNER, REVERSE, type Schema } from './fields_v3.ts';
import type { Call } from './http.ts';
import { findOrder, ofSub } from './orders.ts';
import { partiesOf, word } from './parties_v3.ts';
import { compared, numberFault, partyMembers, transactionV3 } from './pay_v3.ts';
import type { Platform } from './platform.ts';
import { needProduct } from './products.ts';

function codepay(platform: Platform, call: Call, heard: Heard) {
  const { body, merchant } = heard;
  const { appid, sub, sub_appid } = partiesOf(platform, heard);
  needProduct(merchant, sub, 'MICROPAY');
  call.out_trade_no = word(body, 'out_trade_no');
  const order = charge(
    platform,
    {
      mch_id: merchant.mch_id,
      appid,
      sub_mch_id: sub?.sub_mch_id,
      sub_appid,
      out_trade_no: word(body, 'out_trade_no'),
      trade_type: 'MICROPAY',
      api: 'v3',
      sign_type: merchant.sign_type,
      total_fen: Number(word(body, 'amount', 'total')),
      fee_type: word(body, 'amount', 'currency') || 'CNY',
      body: word(body, 'description'),
      attach: word(body, 'attach'),
      device_info: word(body, 'scene_info', 'device_id'),
      notify_url: '',
      client_ip: word(body, 'scene_info', 'device_ip'),
      openid: '',
      request: compared(body, 'MICROPAY'),
      time_expire_ms: undefined,
    },
    word(body, 'payer', 'auth_code'),
    'MICROPAY',
    call,
    call.note.faults,
  );
  return plain(200, transactionV3(order));
}

function reversing(platform: Platform, call: Call, heard: Heard) {
  const [out_trade_no = ''] = heard.named;
  const { merchant } = heard;
  numberFault(out_trade_no);
  const { sub } = partiesOf(platform, heard);
  call.out_trade_no = out_trade_no;
  const order = ofSub(findOrder(platform, merchant.mch_id, out_trade_no), sub);
  if (order === undefined) {
    throw new RefusalV3(404, 'ORDER_NOT_EXIST', '订单不存在', `no order ${out_trade_no} of this merchant`);
  }
  reverse(platform, order);
  return plain(200, { ...partyMembers(order), out_trade_no });
}

function codesAt(base: string, codepay_schema: Schema, reverse_schema: Schema): Route[] {
  return [
    { method: 'POST', path: new RegExp(`^${base}/codepay$`), schema: codepay_schema, handle: codepay },
    {
      method: 'POST',
      path: new RegExp(`^${base}/out-trade-no/([^/]+)/reverse$`),
      schema: reverse_schema,
      handle: reversing,
    },
  ];
}

export const CODEPAY_ROUTES: Route[] = [
  ...codesAt('/v3/pay/transactions', CODEPAY, REVERSE),
  ...codesAt('/v3/pay/partner/transactions', PARTNER.codepay, PARTNER.reverse),
];
