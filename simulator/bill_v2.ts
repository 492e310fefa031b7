// The API v2 doors for bills: the trade bill, and the fund flow, which wants the client certificate and HMAC-SHA256.
// A bill is text or gzip, a refusal is XML.

import { billDay, billFile, billStanding, billText, type TradeBillType, tradeBill } from './bills.ts';
import { door, heed, spoil, systemError, Unheard, xmlAnswer } from './envelope_v2.ts';
import { lacking } from './fields_v2.ts';
import { fundFlow } from './fund_flow.ts';
import type { Answer, Call, Family } from './http.ts';
import { Refusal } from './orders.ts';
import type { Platform } from './platform.ts';
import { needCertificate } from './refund_v2.ts';
import type { Fields } from './xml.ts';

/** A refusal of downloadbill: unsigned, the reason in return_msg and a number beside it. */
function noBill(platform: Platform, call: Call, text: string, error_code: string, why: string): Answer {
  call.note.code = text;
  call.note.why = why;
  return xmlAnswer(platform, { return_code: 'FAIL', return_msg: text, error_code });
}

function file(platform: Platform, call: Call, text: string, f: Fields): Answer {
  const { bytes, type, struck } = billFile(platform, text, f.tar_type === 'GZIP', call.path);
  call.note.faults.push(...struck);
  return { status: 200, headers: { 'Content-Type': type }, body: bytes };
}

const downloadbill = door((platform, call, verified) => {
  const { fields: f, merchant, sub } = verified;
  heed(lacking(f, ['nonce_str', 'bill_date']));
  const from_ms = billDay(f.bill_date ?? '');
  if (from_ms === undefined)
    return noBill(platform, call, 'data format error', '20001', `bill_date is ${f.bill_date}`);
  const type = (['ALL', 'SUCCESS', 'REFUND'] as TradeBillType[]).find((t) => t === (f.bill_type || 'ALL'));
  if (type === undefined)
    return noBill(platform, call, 'invalid bill_type', '20001', `bill_type ${f.bill_type} is not made here`);
  if (f.tar_type && f.tar_type !== 'GZIP')
    return noBill(platform, call, 'data format error', '20001', `tar_type is ${f.tar_type}`);
  const { standing, why, struck } = billStanding(platform, from_ms, call);
  call.note.faults.push(...struck);
  if (standing === 'creating') return noBill(platform, call, 'Bill Creating', '20003', why);
  if (standing === 'none') return noBill(platform, call, 'No Bill Exist', '20002', why);
  const made = tradeBill(platform, { ...merchant, sub_mch_id: sub?.sub_mch_id }, from_ms, type, call.path);
  call.note.faults.push(...made.struck);
  if (made.bill === undefined)
    return noBill(platform, call, 'No Bill Exist', '20002', 'nothing of that kind happened that day');
  return file(platform, call, billText(made.bill), f);
}, true);

const downloadfundflow = door((platform, call, verified) => {
  const { fields: f, merchant, sign_type } = verified;
  if (sign_type !== 'HMAC-SHA256')
    throw new Unheard('SIGNERROR', '签名错误', 'the fund flow takes HMAC-SHA256 only');
  heed(lacking(f, ['nonce_str', 'bill_date', 'account_type']));
  const from_ms = billDay(f.bill_date ?? '');
  if (from_ms === undefined)
    throw new Refusal('PARAM_ERROR', '参数错误：bill_date', `bill_date is ${f.bill_date}`);
  if (!['Basic', 'Operation', 'Fees'].includes(f.account_type ?? ''))
    throw new Refusal('PARAM_ERROR', '参数错误：account_type', `account_type is ${f.account_type}`);
  needCertificate(platform, call, merchant.mch_id);
  const { standing, why, struck } = billStanding(platform, from_ms, call);
  call.note.faults.push(...struck);
  if (standing === 'creating') throw new Refusal('BILL_CREATING', '账单未生成', why);
  if (standing === 'none') throw new Refusal('NO_BILL_EXIST', '账单不存在', why);
  const flow = f.account_type === 'Basic' ? fundFlow(platform, merchant.mch_id, from_ms) : undefined;
  if (flow === undefined) throw new Refusal('NO_BILL_EXIST', '账单不存在', 'nothing moved that day');
  return file(platform, call, billText(flow), f);
}, true);

export const billV2: Family = {
  name: 'bill_v2',
  logged: true,
  doors: { '/pay/downloadbill': downloadbill, '/pay/downloadfundflow': downloadfundflow },
  systemError,
  spoil,
};
