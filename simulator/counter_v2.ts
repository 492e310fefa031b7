// The API v2 doors of a counter: payment code and face, their queries and reversals, and whose code it is. What they
// do to an order is decided in counter.ts.

import { charge, goodCode, reverse } from './counter.ts';
import {
  door,
  systemError as failing,
  heed,
  levelTwo,
  spoil,
  Unheard,
  type Verified,
} from './envelope_v2.ts';
import { counterFault, lacking, numberFault } from './fields_v2.ts';
import type { Answer, Call, Family } from './http.ts';
import { paymentFields } from './notify_v2.ts';
import { findByTransaction, findOrder, Refusal } from './orders.ts';
import { NOT_COMPARED, orderquery } from './pay_v2.ts';
import { type Platform, userOf } from './platform.ts';
import { needProduct } from './products.ts';
import type { Order } from './records.ts';
import { needCertificate } from './refund_v2.ts';
import { parseBeijing14 } from './time.ts';

type Kind = 'MICROPAY' | 'FACEPAY';
const CODE_NAME = { MICROPAY: 'auth_code', FACEPAY: 'face_code' } as const;

/** Face payment takes no MD5. */
function needHmac(kind: Kind, verified: Verified): void {
  if (kind === 'FACEPAY' && verified.sign_type !== 'HMAC-SHA256') {
    throw new Unheard('SIGNERROR', '签名错误', 'face payment takes HMAC-SHA256 only');
  }
}

function charging(kind: Kind) {
  return door((platform, call, verified) => {
    const { fields: f, merchant, sub, sign_type } = verified;
    const name = CODE_NAME[kind];
    needHmac(kind, verified);
    heed(counterFault(f, platform.strict, kind === 'FACEPAY' ? [name, 'openid'] : [name]));
    needProduct(merchant, sub, kind);
    const text = f[name] ?? '';
    if (kind === 'FACEPAY') {
      const face = platform.store.state.payment_codes[text];
      const user = userOf(platform, f.openid ?? '', f.appid);
      if (face?.kind === 'FACEPAY' && face.openid !== user?.openid) {
        throw new Refusal('PARAM_ERROR', 'openid和face_code不匹配', 'the face is of another openid');
      }
    }
    const order = charge(
      platform,
      {
        mch_id: merchant.mch_id,
        appid: f.appid ?? '',
        sub_mch_id: sub?.sub_mch_id,
        sub_appid: f.sub_appid || undefined,
        out_trade_no: f.out_trade_no ?? '',
        trade_type: kind,
        api: 'v2',
        sign_type,
        total_fen: Number(f.total_fee),
        fee_type: f.fee_type || 'CNY',
        body: f.body ?? '',
        attach: f.attach ?? '',
        device_info: f.device_info ?? '',
        notify_url: '',
        client_ip: f.spbill_create_ip ?? '',
        openid: '',
        request: Object.fromEntries(
          Object.entries(f).filter(([k, v]) => v !== '' && k !== name && !NOT_COMPARED.has(k)),
        ),
        time_expire_ms: f.time_expire ? parseBeijing14(f.time_expire) : undefined,
      },
      text,
      kind,
      call,
      call.note.faults,
    );
    return levelTwo(platform, verified, {
      ...paymentFields(platform, order),
      out_trade_no: order.out_trade_no,
      attach: order.attach,
    });
  });
}

/** The order a reversal names; transaction_id wins. */
function reversed(platform: Platform, verified: Verified): Order {
  const { fields: f, merchant, sub } = verified;
  const transaction_id = f.transaction_id ?? '';
  if (transaction_id === '') heed(lacking(f, ['out_trade_no']));
  if (transaction_id !== '' && !/^\d{10,32}$/.test(transaction_id)) {
    throw new Refusal(
      'INVALID_TRANSACTIONID',
      '无效transaction_id',
      `${transaction_id} is no number of WeChat's`,
    );
  }
  const order =
    transaction_id === ''
      ? findOrder(platform, merchant.mch_id, f.out_trade_no ?? '')
      : findByTransaction(platform, merchant.mch_id, transaction_id);
  if (order === undefined || order.sub_mch_id !== sub?.sub_mch_id) {
    throw new Refusal('ORDERNOTEXIST', '订单不存在', `no order ${transaction_id || f.out_trade_no}`);
  }
  return order;
}

/** A refusal that says whether to call again. */
function notReversed(
  platform: Platform,
  call: Call,
  verified: Verified,
  refusal: Refusal,
  recall: 'Y' | 'N',
): Answer {
  call.note.code = refusal.code;
  call.note.why = refusal.why;
  return levelTwo(platform, verified, {
    result_code: 'FAIL',
    err_code: refusal.code,
    err_code_des: refusal.text,
    recall,
  });
}

function reversing(kind: Kind) {
  return door((platform, call, verified) => {
    needHmac(kind, verified);
    heed(lacking(verified.fields, ['nonce_str']));
    heed(numberFault(verified.fields));
    needCertificate(platform, call, verified.merchant.mch_id);
    const again = platform.faults.take('reverse_recall', call);
    if (again !== undefined) {
      call.note.faults.push(again.name);
      if (again.flag('done')) reverse(platform, reversed(platform, verified));
      const busy = new Refusal('SYSTEMERROR', '系统超时', 'a fault was armed');
      return notReversed(platform, call, verified, busy, 'Y');
    }
    try {
      const order = reversed(platform, verified);
      call.out_trade_no = order.out_trade_no;
      reverse(platform, order);
    } catch (cause) {
      if (cause instanceof Refusal) return notReversed(platform, call, verified, cause, 'N');
      throw cause;
    }
    return levelTwo(platform, verified, { recall: 'N' });
  });
}

const authcodetoopenid = door((platform, _call, verified) => {
  const { fields: f, merchant } = verified;
  heed(lacking(f, ['nonce_str', 'auth_code']));
  const code = goodCode(platform, f.auth_code ?? '', 'MICROPAY', merchant.mch_id);
  const user = userOf(platform, code.openid);
  const openid = user?.openids[f.appid ?? ''];
  if (openid === undefined) {
    throw new Refusal('NOAUTH', '商户无此接口权限', `the payer has no openid under ${f.appid}`);
  }
  code.bound_to = merchant.mch_id;
  platform.store.touch();
  const sub_openid = f.sub_appid ? user?.openids[f.sub_appid] : undefined;
  return levelTwo(platform, verified, { openid, ...(sub_openid === undefined ? {} : { sub_openid }) });
});

/** What a face device needs before it may look at a face. */
const authinfo = door((platform, _call, verified) => {
  const { fields: f } = verified;
  heed(lacking(f, ['nonce_str', 'store_id', 'store_name', 'device_id', 'rawdata', 'now', 'version']));
  if (Buffer.byteLength(f.rawdata ?? '') > 2048)
    throw new Refusal('PARAM_ERROR', '参数错误：rawdata', 'rawdata is longer than 2048 bytes');
  if (!/^\d{10}$/.test(f.now ?? ''))
    throw new Refusal('PARAM_ERROR', '参数错误：now', `now ${f.now} is no 10-digit number of seconds`);
  if (f.version !== '1')
    throw new Refusal('PARAM_ERROR', '参数错误：version', `version is ${f.version}, it must be 1`);
  return levelTwo(platform, verified, {
    authinfo: Buffer.from(platform.ids.letters(180)).toString('base64'),
    expires_in: '3600',
  });
});

/** SYSTEMERROR; a reversal says besides that it wants to be called again. */
async function systemError(platform: Platform, call: Call): Promise<Answer> {
  if (!/reverse$/.test(call.path)) return failing(platform, call);
  const busy = new Refusal('SYSTEMERROR', '系统超时', 'a fault was armed');
  return door((p, c, verified) => notReversed(p, c, verified, busy, 'Y'))(platform, call);
}

export const counterV2: Family = {
  name: 'counter_v2',
  logged: true,
  doors: {
    '/pay/micropay': charging('MICROPAY'),
    '/secapi/pay/reverse': reversing('MICROPAY'),
    '/tools/authcodetoopenid': authcodetoopenid,
    '/face/get_wxpayface_authinfo': authinfo,
    '/pay/facepay': charging('FACEPAY'),
    '/pay/facepayquery': orderquery,
    '/secapi/pay/facepayreverse': reversing('FACEPAY'),
  },
  systemError,
  spoil,
};
