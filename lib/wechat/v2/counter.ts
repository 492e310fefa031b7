/**
 * Charging at the counter over API v2: payment codes and faces, their reversal, and what a face device needs. Every
 * doubt is `unknown`: a payer who is asked for the password is no failure, and a lost answer is none either.
 *
 * Source: WeChat Pay v2, 付款码支付 (提交付款码支付, 撤销订单, 付款码查询openid) and 刷脸支付.
 */
import { formatCompactTime } from '../beijing_time.ts';
import { fitDescription } from '../description.ts';
import { WechatError } from '../errors.ts';
import { sendRequest } from '../http.ts';
import type {
  ChargedTrade,
  ChargeTrade,
  CodeOwner,
  CounterPayer,
  Exchange,
  FaceAuthInfo,
  FaceDevice,
  QueriedTrade,
  ReversedTrade,
} from '../types.ts';
import {
  badAnswer,
  type Caller,
  httpFailure,
  orBadAnswer,
  type RequestFields,
  readAnswer,
  resultFailure,
  returnFailure,
} from './call.ts';
import type { CallV2 } from './errors.ts';
import { checkFields, mustBe, optional, required } from './fields.ts';
import { paidTrade, queriedTrade } from './reports.ts';
import { verifyV2 } from './sign.ts';

const OUT_TRADE_NO = /^[A-Za-z0-9_\-|*]{6,32}$/;
/** WeChat Pay v2, 提交付款码支付, auth_code: 18 digits beginning 10 to 15. */
const AUTH_CODE = /^1[0-5]\d{16}$/;
const FACE_CODE = /^[\w+/=:.-]{1,128}$/;
const OPENID = /^[A-Za-z0-9_-]{1,128}$/;
const IP = /^[0-9A-Fa-f.:]{2,45}$/;
const DEVICE_WORD = /^[\w.:-]{1,32}$/;
const RAWDATA = /^[\w+/=.-]{1,2048}$/;
const MAX_FEN = 2 ** 31 - 1;

const CHARGE = { MICROPAY: 'micropay', FACEPAY: 'facepay' } as const satisfies Record<string, CallV2>;
const REVERSE = { MICROPAY: 'reverse', FACEPAY: 'facepayreverse' } as const satisfies Record<string, CallV2>;

export async function chargeTrade(caller: Caller, trade: ChargeTrade): Promise<ChargedTrade> {
  const call = CHARGE[trade.payer.trade_type];
  const { fields, exchange } = await withoutCode(trade.payer, caller.call(call, chargeFields(caller, trade)));
  return orBadAnswer(call, exchange, () => {
    mustBe(fields, 'out_trade_no', trade.out_trade_no);
    return { report: paidTrade(fields, 'SUCCESS'), exchange };
  });
}

function chargeFields(caller: Caller, trade: ChargeTrade): RequestFields {
  const { payer } = trade;
  demand(OUT_TRADE_NO.test(trade.out_trade_no), 'out_trade_no');
  demand(isAmount(trade.total_fen), 'total_fen');
  demand(IP.test(trade.client_ip), 'client_ip');
  const common = {
    body: fitDescription(trade.description),
    out_trade_no: trade.out_trade_no,
    total_fee: String(trade.total_fen),
    spbill_create_ip: trade.client_ip,
    time_start: formatCompactTime(trade.time_start_at),
    time_expire: formatCompactTime(trade.time_expire_at),
  };
  if (payer.trade_type === 'MICROPAY') {
    demand(AUTH_CODE.test(payer.auth_code), 'auth_code');
    return { ...common, auth_code: payer.auth_code };
  }
  demand(FACE_CODE.test(payer.face_code), 'face_code');
  demand(OPENID.test(payer.openid), 'openid');
  // 刷脸支付 takes no MD5.
  demand(caller.config.sign_type === 'HMAC-SHA256', 'sign_type');
  return { ...common, face_code: payer.face_code, openid: payer.openid };
}

export async function reverseTrade(
  caller: Caller,
  out_trade_no: string,
  trade_type: CounterPayer['trade_type'],
): Promise<ReversedTrade> {
  demand(OUT_TRADE_NO.test(out_trade_no), 'out_trade_no');
  const call = REVERSE[trade_type];
  try {
    const { fields, exchange } = await caller.call(call, { out_trade_no });
    return { recall: fields.recall === 'Y', exchange };
  } catch (thrown) {
    // A refusal can carry `recall=Y`; it is then no last word.
    if (thrown instanceof WechatError && thrown.outcome === 'refused' && recalls(thrown.exchange)) {
      throw new WechatError('unknown', thrown.code, thrown.message, {
        exchange: thrown.exchange,
        cause: thrown,
      });
    }
    throw thrown;
  }
}

function recalls(exchange: Exchange | undefined): boolean {
  return /<recall>(?:<!\[CDATA\[)?Y(?:\]\]>)?<\/recall>/.test(exchange?.response_body ?? '');
}

export async function openidOfCode(caller: Caller, auth_code: string): Promise<CodeOwner> {
  demand(AUTH_CODE.test(auth_code), 'auth_code');
  const payer = { trade_type: 'MICROPAY', auth_code } as const;
  const asked = caller.call('authcodetoopenid', { auth_code });
  const { fields, exchange } = await withoutCode(payer, asked);
  return orBadAnswer('authcodetoopenid', exchange, () => {
    const sub_openid = optional(fields, 'sub_openid');
    return {
      openid: required(fields, 'openid'),
      ...(sub_openid === undefined ? {} : { sub_openid }),
      exchange,
    };
  });
}

export async function queryFaceTrade(caller: Caller, out_trade_no: string): Promise<QueriedTrade> {
  demand(OUT_TRADE_NO.test(out_trade_no), 'out_trade_no');
  const { fields, exchange } = await caller.call('facepayquery', { out_trade_no });
  return orBadAnswer('facepayquery', exchange, () => {
    mustBe(fields, 'out_trade_no', out_trade_no);
    return { report: queriedTrade(fields), exchange };
  });
}

/** Its answer has no `result_code`, so it is judged here. */
export async function faceAuthInfo(caller: Caller, device: FaceDevice): Promise<FaceAuthInfo> {
  const call = 'get_wxpayface_authinfo';
  const { config, ports } = caller;
  for (const name of ['store_id', 'device_id'] as const) demand(DEVICE_WORD.test(device[name]), name);
  demand(RAWDATA.test(device.rawdata), 'rawdata');
  demand(device.store_name !== '' && !/[<&=\p{Cc}]/u.test(device.store_name), 'store_name');
  const { request, fetch } = caller.prepare(
    call,
    { ...device, now: String(Math.floor(ports.now().getTime() / 1000)), version: '1' },
    config.sign_type,
  );
  const { status, body, exchange } = await sendRequest(fetch, ports.now, request);
  if (status !== 200) throw httpFailure(call, exchange);
  const fields = readAnswer(call, body, exchange);
  if (fields.return_code === 'FAIL') throw returnFailure(call, fields, exchange);
  if (fields.return_code !== 'SUCCESS') throw badAnswer(call, exchange, 'no return_code');
  if (!verifyV2(fields, config.api_v2_key, config.sign_type)) {
    throw new WechatError('unknown', 'BAD_SIGNATURE', `${call}: the answer's signature is wrong`, {
      exchange,
    });
  }
  if (fields.result_code === 'FAIL') throw resultFailure(call, fields, exchange);
  return orBadAnswer(call, exchange, () => {
    checkFields(fields);
    const expires_in_s = Number(required(fields, 'expires_in'));
    return { authinfo: required(fields, 'authinfo'), expires_in_s, exchange };
  });
}

/** A payment code is as good as money for a minute: what is kept of the exchange shows only how it begins. */
async function withoutCode<T extends { exchange: Exchange }>(
  payer: CounterPayer,
  called: Promise<T>,
): Promise<T> {
  const code = payer.trade_type === 'MICROPAY' ? payer.auth_code : payer.face_code;
  const mask = (exchange: Exchange | undefined): void => {
    if (exchange === undefined) return;
    exchange.request_body = exchange.request_body.replaceAll(code, `${code.slice(0, 2)}******`);
  };
  try {
    const done = await called;
    mask(done.exchange);
    return done;
  } catch (thrown) {
    if (thrown instanceof WechatError) mask(thrown.exchange);
    throw thrown;
  }
}

function isAmount(fen: number): boolean {
  return Number.isSafeInteger(fen) && fen >= 1 && fen <= MAX_FEN;
}

/** What WeChat would refuse, or what must not be signed, is refused here, before anything is sent. */
function demand(condition: boolean, name: string): void {
  if (!condition)
    throw new WechatError('refused', 'PARAM_ERROR', `${name} is not as WeChat wants it; nothing was sent`);
}
