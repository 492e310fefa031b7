// NATIVE mode 1: a printed code carries no order, so the scan asks the merchant for one at the address its console
// names; and the short links made of such codes. It calls no host the notifications may not call either.

import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { whyBarred } from './notify.ts';
import { orderBehind, Refusal } from './orders.ts';
import { accountOf, merchantOf, type Platform } from './platform.ts';
import type { Order, Prepay } from './records.ts';
import type { Merchant, User } from './registers.ts';
import { type SignType, signedV2, verifiesV2 } from './sign_v2.ts';
import { type Fields, readXml, writeXml } from './xml.ts';

const ANSWER_WITHIN_MS = 5000;
const LINK = 'weixin://wxpay/bizpayurl?';
const SHORT = 'weixin://wxpay/s/';

const badLink = (why: string) => new Refusal('INVALID_REQUEST', '原生支付URL参数错误', why);
const badAnswer = (why: string) => new Refusal('INVALID_REQUEST', '商家订单信息有误，请联系商家', why);

/** What a scanned code stands for: a short link is looked up, anything else is itself. */
export function resolved(platform: Platform, code_url: string): string {
  if (!code_url.startsWith(SHORT)) return code_url;
  const long_url = platform.store.state.short_urls[code_url];
  if (long_url === undefined) throw badLink(`nobody was given ${code_url}`);
  return long_url;
}

/** Whether a code is one of mode 1: a signed link with a product in it. */
export function isModeOne(code_url: string): boolean {
  return code_url.startsWith(LINK) && new URLSearchParams(code_url.slice(LINK.length)).has('product_id');
}

/** MD5 signs 32 characters, HMAC-SHA256 64; these messages carry no sign_type of their own. */
function verified(fields: Fields, merchant: Merchant): SignType | undefined {
  const sign_type: SignType =
    fields.sign_type === 'HMAC-SHA256' || (fields.sign ?? '').length === 64 ? 'HMAC-SHA256' : 'MD5';
  return verifiesV2(fields, sign_type, merchant.api_v2_key) ? sign_type : undefined;
}

/** The fields of a mode 1 link, its signature and its accounts checked. */
export function readLink(
  platform: Platform,
  code_url: string,
): { fields: Fields; merchant: Merchant; sign_type: SignType } {
  const fields: Fields = Object.fromEntries(new URLSearchParams(code_url.slice(LINK.length)));
  for (const name of ['appid', 'mch_id', 'product_id', 'time_stamp', 'nonce_str', 'sign']) {
    if ((fields[name] ?? '') === '') throw badLink(`${name} is missing in the link`);
  }
  const merchant = merchantOf(platform, fields.mch_id ?? '');
  if (merchant === undefined || accountOf(platform, fields.appid ?? '') === undefined) {
    throw badLink(`mch_id ${fields.mch_id} or appid ${fields.appid} is unknown here`);
  }
  if (!merchant.appids.includes(fields.appid ?? '')) {
    throw badLink(`appid ${fields.appid} is not bound to mch_id ${merchant.mch_id}`);
  }
  if (!/^\d{10}$/.test(fields.time_stamp ?? '')) {
    throw badLink(`time_stamp ${fields.time_stamp} is not a 10-digit number of seconds`);
  }
  if (Buffer.byteLength(fields.product_id ?? '') > 32) throw badLink('product_id is longer than 32 bytes');
  const sign_type = verified(fields, merchant);
  if (sign_type === undefined) throw badLink('the link does not carry the signature of its own fields');
  return { fields, merchant, sign_type };
}

/** Asks the merchant for an order for this scan; the order must be a fresh NATIVE one of that merchant. */
export async function scanModeOne(
  platform: Platform,
  code_url: string,
  user: User,
): Promise<{ order: Order; prepay: Prepay | undefined }> {
  const { fields, merchant, sign_type } = readLink(platform, code_url);
  if (!merchant.products.includes('NATIVE')) {
    throw new Refusal('NOAUTH', '商户无此接口权限', `${merchant.mch_id} has not opened NATIVE`);
  }
  const url = merchant.native_callback_url ?? '';
  if (url === '') {
    throw badAnswer(`${merchant.mch_id} has no native_callback_url: set it with PUT /_sim/merchant`);
  }
  const barred = whyBarred(url, platform.allow_any_notify_host);
  if (barred !== undefined) throw badAnswer(barred);
  const asked = signedV2(
    {
      appid: fields.appid ?? '',
      openid: user.openids[fields.appid ?? ''] ?? '',
      mch_id: merchant.mch_id,
      is_subscribe: user.is_subscribe,
      nonce_str: platform.ids.nonce(),
      product_id: fields.product_id ?? '',
    },
    sign_type,
    merchant.api_v2_key,
  );
  const answer = await post(url, writeXml(asked)).catch((cause: unknown) => {
    throw badAnswer(`${url}: ${cause instanceof Error ? cause.message : String(cause)}`);
  });
  const note = (code: string, why: string) =>
    platform.log.add({
      at_ms: platform.clock.now(),
      kind: 'notify',
      method: 'POST',
      path: url,
      request: writeXml(asked),
      status: answer.status,
      answer: answer.body.toString('utf8'),
      out_trade_no: '',
      code,
      why,
      faults: [],
    });
  try {
    const found = judged(platform, merchant, fields.appid ?? '', answer);
    note('', '');
    return found;
  } catch (cause) {
    if (cause instanceof Refusal) note(cause.code, cause.why);
    throw cause;
  }
}

function judged(
  platform: Platform,
  merchant: Merchant,
  appid: string,
  answer: { status: number; body: Buffer },
): { order: Order; prepay: Prepay | undefined } {
  if (answer.status !== 200) throw badAnswer(`the merchant answered HTTP ${answer.status}`);
  const read = readXml(answer.body);
  if ('fault' in read) throw badAnswer(`the merchant's answer is not the XML WeChat expects: ${read.why}`);
  const f = read.fields;
  if (f.return_code !== 'SUCCESS') {
    throw badAnswer(`return_code is ${f.return_code ?? 'missing'} (${f.return_msg ?? 'no return_msg'})`);
  }
  if (verified(f, merchant) === undefined) throw badAnswer("the merchant's answer is not signed rightly");
  if (f.appid !== appid || f.mch_id !== merchant.mch_id) {
    throw badAnswer("appid or mch_id of the merchant's answer are not those of the code");
  }
  if (f.result_code !== 'SUCCESS') {
    throw new Refusal('INVALID_REQUEST', f.err_code_des || '商家订单信息有误', 'the merchant said FAIL');
  }
  const { order, prepay } = orderBehind(platform, { prepay_id: f.prepay_id ?? '' });
  if (order.mch_id !== merchant.mch_id || order.appid !== appid || order.trade_type !== 'NATIVE') {
    throw badAnswer(`${f.prepay_id} is no NATIVE order of this merchant under this appid`);
  }
  return { order, prepay };
}

function post(url: string, text: string): Promise<{ status: number; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const target = new URL(url);
    const body = Buffer.from(text, 'utf8');
    const request = (target.protocol === 'https:' ? httpsRequest : httpRequest)(target, {
      method: 'POST',
      agent: false,
      headers: { 'Content-Type': 'text/xml', 'Content-Length': String(body.length) },
    });
    const timer = setTimeout(
      () => request.destroy(new Error(`no answer within ${ANSWER_WITHIN_MS / 1000} seconds`)),
      ANSWER_WITHIN_MS,
    );
    request.on('error', (cause) => {
      clearTimeout(timer);
      reject(cause);
    });
    request.on('response', (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        clearTimeout(timer);
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) });
      });
    });
    request.end(body);
  });
}

/** The short link of a mode 1 code; the same code always gets the same one. */
export function shortened(platform: Platform, long_url: string): string {
  const { short_urls } = platform.store.state;
  const known = Object.entries(short_urls).find(([, long]) => long === long_url)?.[0];
  if (known !== undefined) return known;
  const short_url = `${SHORT}${platform.ids.letters(7)}`;
  short_urls[short_url] = long_url;
  platform.store.touch();
  return short_url;
}
