// The API v2 doors for money coming in: unified order, order query, close. They judge in WeChat's order, answer
// on its two levels and sign every level-2 answer with the request's sign type.

import { type FieldFault, lacking, numberFault, unifiedorderFault } from './fields_v2.ts';
import type { Answer, Call, Family } from './http.ts';
import { paymentFields } from './notify_v2.ts';
import {
  closeOrder,
  findByTransaction,
  findOrder,
  payerFor,
  payOrder,
  placeOrder,
  Refusal,
  type Wanted,
} from './orders.ts';
import { accountOf, merchantOf, type Platform, userOf } from './platform.ts';
import { type SignType, signedV2, spoiled, verifiesV2 } from './sign_v2.ts';
import type { Merchant, Order, TradeState, TradeType } from './store.ts';
import { parseBeijing14 } from './time.ts';
import { type Fields, readXml, writeXml } from './xml.ts';

const BODY_CAP_BYTES = 64 * 1024;

type Verified = { fields: Fields; merchant: Merchant; sign_type: SignType };

/** Thrown inside a door to answer at level 1. */
class Unheard extends Error {
  readonly code: string;
  readonly text: string;
  readonly why: string;
  constructor(code: string, text: string, why: string) {
    super(why);
    this.code = code;
    this.text = text;
    this.why = why;
  }
}

function xmlAnswer(platform: Platform, fields: Fields): Answer {
  return {
    status: 200,
    headers: { 'Content-Type': 'text/xml; charset=utf-8', 'Request-ID': platform.ids.requestId() },
    body: writeXml(fields),
  };
}

function levelOne(
  platform: Platform,
  call: Call,
  fault: { code: string; text: string; why: string },
): Answer {
  call.note.code = fault.code;
  call.note.why = fault.why;
  return xmlAnswer(platform, { return_code: 'FAIL', return_msg: fault.text });
}

function levelTwo(platform: Platform, verified: Verified, own: Fields): Answer {
  const { fields, merchant, sign_type } = verified;
  const message: Fields = {
    return_code: 'SUCCESS',
    return_msg: 'OK',
    appid: fields.appid ?? '',
    mch_id: merchant.mch_id,
    ...(fields.device_info ? { device_info: fields.device_info } : {}),
    nonce_str: platform.ids.nonce(),
    result_code: 'SUCCESS',
    ...own,
  };
  return xmlAnswer(platform, signedV2(message, sign_type, merchant.api_v2_key));
}

function refused(
  platform: Platform,
  call: Call,
  verified: Verified,
  code: string,
  text: string,
  why: string,
): Answer {
  call.note.code = code;
  call.note.why = why;
  return levelTwo(platform, verified, { result_code: 'FAIL', err_code: code, err_code_des: text });
}

/** Method, body, UTF-8, XML, merchant, signature: what makes a message heard at all. */
function verify(platform: Platform, call: Call): Verified {
  if (call.method !== 'POST') {
    throw new Unheard('REQUIRE_POST_METHOD', '请使用post方法', `the method is ${call.method}`);
  }
  if (call.body.length === 0) throw new Unheard('POST_DATA_EMPTY', 'post数据为空', 'the body is empty');
  if (call.body.length > BODY_CAP_BYTES)
    throw new Unheard('XML_FORMAT_ERROR', 'XML格式错误', 'more than 64 KiB');
  const read = readXml(call.body);
  if ('fault' in read) {
    throw new Unheard(read.fault, read.fault === 'NOT_UTF8' ? '编码格式错误' : 'XML格式错误', read.why);
  }
  const { fields } = read;
  call.out_trade_no = fields.out_trade_no ?? '';
  const merchant = merchantOf(platform, fields.mch_id ?? '');
  if (merchant === undefined) {
    throw new Unheard(
      'MCHID_NOT_EXIST',
      '商户号mch_id或sub_mch_id不存在',
      fields.mch_id ? `mch_id ${fields.mch_id} is unknown here` : 'mch_id is missing',
    );
  }
  const named = fields.sign_type ?? '';
  if (named !== '' && named !== 'MD5' && named !== 'HMAC-SHA256') {
    throw new Unheard('SIGNERROR', '签名错误', `sign_type ${named} is neither MD5 nor HMAC-SHA256`);
  }
  const sign_type = named === '' ? 'MD5' : named;
  if (!verifiesV2(fields, sign_type, merchant.api_v2_key)) {
    throw new Unheard('SIGNERROR', '签名错误', whyUnsigned(fields, sign_type, merchant));
  }
  return { fields, merchant, sign_type };
}

/** Guesses what went wrong with a signature, for the log only. */
function whyUnsigned(fields: Fields, sign_type: SignType, merchant: Merchant): string {
  const sign = fields.sign ?? '';
  if (sign === '') return 'sign is missing';
  const other: SignType = sign_type === 'MD5' ? 'HMAC-SHA256' : 'MD5';
  if (verifiesV2(fields, other, merchant.api_v2_key)) {
    return `it is signed with ${other}, but sign_type says ${fields.sign_type ?? 'nothing, which means MD5'}`;
  }
  if (verifiesV2(fields, sign_type, merchant.api_v3_key)) return 'it is signed with the APIv3 key';
  if (verifiesV2({ ...fields, sign: sign.toUpperCase() }, sign_type, merchant.api_v2_key)) {
    return 'the signature is right but in lower case';
  }
  const { sign_type: _left, ...without } = fields;
  if (verifiesV2(without, sign_type, merchant.api_v2_key))
    return 'sign_type was left out of the signed string';
  return `the ${sign_type} signature over ${Object.keys(fields).sort().join(', ')} does not fit the API v2 key of ${merchant.mch_id}`;
}

/** Wraps a door: verifies, checks the account, runs it, and puts every refusal in its place. */
function door(handle: (platform: Platform, call: Call, verified: Verified) => Answer | Promise<Answer>) {
  return async (platform: Platform, call: Call): Promise<Answer> => {
    let verified: Verified | undefined;
    try {
      verified = verify(platform, call);
      const appid = verified.fields.appid ?? '';
      if (appid === '' || accountOf(platform, appid) === undefined) {
        const why = appid === '' ? 'appid is missing' : `appid ${appid} is unknown here`;
        throw new Refusal('APPID_NOT_EXIST', 'APPID不存在', why);
      }
      if (!verified.merchant.appids.includes(appid)) {
        throw new Refusal(
          'APPID_MCHID_NOT_MATCH',
          'appid和mch_id不匹配',
          `appid ${appid} is not bound to mch_id ${verified.merchant.mch_id}`,
        );
      }
      return await handle(platform, call, verified);
    } catch (cause) {
      if (cause instanceof Unheard) return levelOne(platform, call, cause);
      if (cause instanceof Refusal && verified !== undefined) {
        if (cause.code === 'TIME_EXPIRE_TOO_SHORT')
          return levelOne(platform, call, { ...cause, code: 'PARAM_ERROR' });
        return refused(platform, call, verified, cause.code, cause.text, cause.why);
      }
      throw cause;
    }
  };
}

function heed(fault: FieldFault | undefined): void {
  if (fault === undefined) return;
  if (fault.level === 1) throw new Unheard(fault.code, fault.text, fault.why);
  throw new Refusal(fault.code, fault.text, fault.why);
}

/** Left out of the comparison when a number comes again. */
const NOT_COMPARED: ReadonlySet<string> = new Set([
  'nonce_str',
  'sign',
  'sign_type',
  'spbill_create_ip',
  'time_start',
]);

const unifiedorder = door(async (platform, call, verified) => {
  const { fields: f, merchant, sign_type } = verified;
  heed(unifiedorderFault(f, platform.strict));
  const trade_type = f.trade_type as TradeType;
  if (!merchant.products.includes(trade_type)) {
    throw new Refusal('NOAUTH', '商户无此接口权限', `${merchant.mch_id} has not opened ${trade_type}`);
  }
  const appid = f.appid ?? '';
  const openid = trade_type === 'JSAPI' ? (f.openid ?? '') : '';
  if (openid !== '' && userOf(platform, openid, appid) === undefined) {
    if (userOf(platform, openid) === undefined) {
      throw new Unheard('PARAM_ERROR', 'invalid openid', `nobody has the openid ${openid}`);
    }
    throw new Unheard(
      'PARAM_ERROR',
      'appid and openid not match',
      `${openid} belongs to another appid than ${appid}`,
    );
  }
  const wanted: Wanted = {
    mch_id: merchant.mch_id,
    appid,
    out_trade_no: f.out_trade_no ?? '',
    trade_type,
    api: 'v2',
    sign_type,
    total_fen: Number(f.total_fee),
    fee_type: f.fee_type || 'CNY',
    body: f.body ?? '',
    attach: f.attach ?? '',
    device_info: f.device_info ?? '',
    notify_url: f.notify_url ?? '',
    openid,
    request: Object.fromEntries(Object.entries(f).filter(([k, v]) => v !== '' && !NOT_COMPARED.has(k))),
    time_expire_ms: f.time_expire ? parseBeijing14(f.time_expire) : undefined,
  };
  const { order, prepay } = placeOrder(platform, wanted);
  const early = platform.faults.take('notify_before_answer', call);
  if (early !== undefined) {
    call.note.faults.push(early.name);
    payOrder(platform, order, prepay, payerFor(platform, order, early.text('openid')));
    await platform.notifier.settleOrder(order);
    await platform.clock.sleep(early.number('hold_ms'));
  }
  return levelTwo(platform, verified, {
    prepay_id: prepay.prepay_id,
    trade_type,
    ...(prepay.code_url === undefined ? {} : { code_url: prepay.code_url }),
    ...(prepay.h5_url === undefined ? {} : { mweb_url: prepay.h5_url }),
  });
});

const STATE_TEXT: Record<TradeState, string> = {
  SUCCESS: '支付成功',
  REFUND: '订单发生过退款，退款详情请查询退款单',
  NOTPAY: '订单未支付',
  CLOSED: '订单已关闭',
  REVOKED: '订单已撤销',
  USERPAYING: '需要用户输入支付密码',
  PAYERROR: '支付失败，请重新下单支付',
};

const orderquery = door((platform, call, verified) => {
  const { fields: f, merchant } = verified;
  heed(lacking(f, ['nonce_str']));
  heed(numberFault(f));
  const transaction_id = f.transaction_id ?? '';
  const out_trade_no = f.out_trade_no ?? '';
  if (transaction_id === '' && out_trade_no === '') heed(lacking(f, ['out_trade_no']));
  const order =
    transaction_id !== ''
      ? findByTransaction(platform, merchant.mch_id, transaction_id)
      : findOrder(platform, merchant.mch_id, out_trade_no);
  if (order === undefined || order.appid !== f.appid) {
    throw new Refusal(
      'ORDERNOTEXIST',
      'order not exist',
      `no order ${transaction_id || out_trade_no} of this merchant`,
    );
  }
  call.out_trade_no = order.out_trade_no;
  const stale = order.payment === undefined ? undefined : platform.faults.take('query_stale', call);
  if (stale !== undefined) call.note.faults.push(stale.name);
  return levelTwo(platform, verified, {
    ...(order.device_info === '' ? {} : { device_info: order.device_info }),
    ...(stale === undefined ? paymentFields(platform, order) : {}),
    out_trade_no: order.out_trade_no,
    attach: order.attach,
    trade_state: stale === undefined ? order.state : 'NOTPAY',
    trade_state_desc: STATE_TEXT[stale === undefined ? order.state : 'NOTPAY'],
  });
});

const closeorder = door(async (platform, call, verified) => {
  const { fields: f, merchant } = verified;
  heed(lacking(f, ['nonce_str', 'out_trade_no']));
  heed(numberFault(f));
  const out_trade_no = f.out_trade_no ?? '';
  const slow = platform.faults.take('close_slow', call);
  if (slow !== undefined) {
    call.note.faults.push(slow.name);
    await platform.clock.sleep(slow.number('delay_ms'));
  }
  const open = findOrder(platform, merchant.mch_id, out_trade_no);
  const beaten = open?.state === 'NOTPAY' ? platform.faults.take('close_order_paid', call) : undefined;
  if (open !== undefined && beaten !== undefined) {
    call.note.faults.push(beaten.name);
    if (!beaten.flag('pay'))
      throw new Refusal('ORDERPAID', '订单已支付，不能发起关单', 'the fault says so; it is not paid');
    payOrder(platform, open, undefined, payerFor(platform, open, beaten.text('openid')));
  }
  const order: Order = closeOrder(platform, merchant.mch_id, out_trade_no);
  const revived = platform.faults.take('close_then_paid', call);
  if (revived !== undefined) {
    call.note.faults.push(revived.name);
    payOrder(platform, order, undefined, payerFor(platform, order, revived.text('openid')), { late: true });
  }
  return levelTwo(platform, verified, { result_msg: 'OK' });
});

export const payV2: Family = {
  name: 'pay_v2',
  logged: true,
  doors: {
    '/pay/unifiedorder': unifiedorder,
    '/pay/orderquery': orderquery,
    '/pay/closeorder': closeorder,
  },
  systemError(platform, call) {
    try {
      const verified = verify(platform, call);
      return refused(platform, call, verified, 'SYSTEMERROR', '系统错误', 'a fault was armed');
    } catch (cause) {
      if (cause instanceof Unheard) return levelOne(platform, call, cause);
      throw cause;
    }
  },
  spoil(answer) {
    const body = answer.body
      .toString()
      .replace(/(<sign><!\[CDATA\[)([0-9A-F]+)/, (_all, open, sign) => open + spoiled(sign));
    return { ...answer, body };
  },
};
