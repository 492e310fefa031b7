/**
 * WeChat Pay API v2 for one merchant: orders, queries, refunds and what the page needs to start a payment. Pure of
 * state: it keeps nothing between calls and never retries; its caller decides by `WechatError.outcome`.
 *
 * Source: WeChat Pay v2, 统一下单, 查询订单, 关闭订单, 申请退款, 查询退款.
 */
import { formatCompactTime } from '../beijing_time.ts';
import { fitDescription } from '../description.ts';
import { WechatError } from '../errors.ts';
import type {
  ClosedTrade,
  Exchange,
  Placed,
  PlaceRefund,
  PlaceTrade,
  Ports,
  TradeAccount,
  WechatPay,
} from '../types.ts';
import type { XmlFields } from '../xml.ts';
import { downloadFundFlowBill, downloadTradeBill } from './bills.ts';
import {
  type Caller,
  createCaller,
  orBadAnswer,
  type RequestFields,
  type WechatPayV2Config,
} from './call.ts';
import { appParameters, jsapiParameters, miniProgramParameters } from './call_parameters.ts';
import { chargeTrade, faceAuthInfo, openidOfCode, queryFaceTrade, reverseTrade } from './counter.ts';
import { mustBe, required } from './fields.ts';
import { nativeAnswer, nativeLink, readNativeScan, shortUrl } from './native.ts';
import { readPaymentNotification, readRefundNotification } from './notifications.ts';
import { queryRedPacket, sendRedPacket } from './red_packets.ts';
import { acceptedRefund, queriedRefund, queriedTrade } from './reports.ts';

const OUT_TRADE_NO = /^[A-Za-z0-9_\-|*]{6,32}$/;
const OUT_REFUND_NO = /^[A-Za-z0-9_\-|*@]{1,64}$/;
const OPENID = /^[A-Za-z0-9_-]{1,128}$/;
const ATTACH = /^[A-Za-z0-9_-]{0,127}$/;
const IP = /^[0-9A-Fa-f.:]{2,45}$/;
/** WeChat refuses a query string, and a fragment never reaches it. */
const NOTIFY_URL = /^https?:\/\/[^\s?#]{1,240}$/;
const MAX_FEN = 2 ** 31 - 1;
const MAX_REFUND_REASON_BYTES = 80;

/** Throws at once when the client certificate cannot be read. */
export function createWechatPayV2(config: WechatPayV2Config, ports: Ports): WechatPay {
  return clientOf(createCaller(config, ports));
}

function clientOf(caller: Caller): WechatPay {
  const { config, ports } = caller;
  return {
    api_version: 'v2',
    sign_type: config.sign_type,
    mch_id: config.mch_id,
    ...accountOf(config),
    counter: {
      chargeTrade: (trade) => chargeTrade(caller, trade),
      reverseTrade: (out_trade_no, trade_type) => reverseTrade(caller, out_trade_no, trade_type),
      openidOfCode: (auth_code) => openidOfCode(caller, auth_code),
      queryFaceTrade: (out_trade_no) => queryFaceTrade(caller, out_trade_no),
      faceAuthInfo: (device) => faceAuthInfo(caller, device),
      sendRedPacket: (packet) => sendRedPacket(caller, packet),
      queryRedPacket: (mch_billno) => queryRedPacket(caller, mch_billno),
    },
    forAccount: (account) => clientOf(caller.forAccount(account)),
    async placeTrade(trade) {
      const { fields, exchange } = await caller.call('unifiedorder', placeTradeFields(config, trade));
      return orBadAnswer('unifiedorder', exchange, () => placed(trade, fields, exchange));
    },
    async queryTrade(out_trade_no) {
      demand(OUT_TRADE_NO.test(out_trade_no), 'out_trade_no');
      const { fields, exchange } = await caller.call('orderquery', { out_trade_no });
      return orBadAnswer('orderquery', exchange, () => {
        mustBe(fields, 'out_trade_no', out_trade_no);
        return { report: queriedTrade(fields), exchange };
      });
    },
    closeTrade: (out_trade_no) => closeTrade(caller, out_trade_no),
    async placeRefund(refund) {
      const { fields, exchange } = await caller.call('refund', placeRefundFields(refund));
      return orBadAnswer('refund', exchange, () => ({ report: acceptedRefund(fields, refund), exchange }));
    },
    async queryRefund(out_refund_no) {
      demand(OUT_REFUND_NO.test(out_refund_no), 'out_refund_no');
      const { fields, exchange } = await caller.call('refundquery', { out_refund_no });
      return orBadAnswer('refundquery', exchange, () => ({
        report: queriedRefund(fields, out_refund_no),
        exchange,
      }));
    },
    jsapiParameters: (prepay_id) => jsapiParameters(config, ports, prepay_id),
    miniProgramParameters: (prepay_id) => miniProgramParameters(config, ports, prepay_id),
    appParameters: (prepay_id) => appParameters(config, ports, prepay_id),
    native: {
      link: (product_id) => nativeLink(config, ports, product_id),
      shortUrl: (long_url) => shortUrl(caller, long_url),
      readScan: (raw) => readNativeScan(config, raw),
      answer: (answer) => nativeAnswer(config, ports, answer),
    },
    readPaymentNotification: async (raw) => readPaymentNotification(config, raw),
    readRefundNotification: async (raw) => readRefundNotification(config, raw),
    downloadTradeBill: (bill_date, bill_type = 'ALL') => downloadTradeBill(caller, bill_date, bill_type),
    downloadFundFlowBill: (bill_date, account = 'BASIC') => downloadFundFlowBill(caller, bill_date, account),
  };
}

function accountOf({ appid, sub_mch_id, sub_appid }: TradeAccount): TradeAccount {
  return {
    appid,
    ...(sub_mch_id === undefined ? {} : { sub_mch_id }),
    ...(sub_appid === undefined ? {} : { sub_appid }),
  };
}

/** The same trade gives the same fields each time, as a repeat after a lost answer must. */
function placeTradeFields(config: WechatPayV2Config, trade: PlaceTrade): RequestFields {
  demand(OUT_TRADE_NO.test(trade.out_trade_no), 'out_trade_no');
  demand(isAmount(trade.total_fen), 'total_fen');
  demand(IP.test(trade.payer_client_ip), 'payer_client_ip');
  demand(NOTIFY_URL.test(trade.notify_url), 'notify_url');
  demand(ATTACH.test(trade.attach ?? ''), 'attach');
  return {
    body: fitDescription(trade.description),
    attach: trade.attach,
    out_trade_no: trade.out_trade_no,
    total_fee: String(trade.total_fen),
    spbill_create_ip: trade.payer_client_ip,
    time_start: formatCompactTime(trade.time_start_at),
    time_expire: formatCompactTime(trade.time_expire_at),
    notify_url: trade.notify_url,
    trade_type: trade.trade_type,
    ...fieldsOfTradeType(config, trade),
  };
}

function fieldsOfTradeType(config: WechatPayV2Config, trade: PlaceTrade): RequestFields {
  switch (trade.trade_type) {
    case 'JSAPI': {
      // The page gets one appid, so the payer has to be known under that one.
      const name = config.sub_appid === undefined ? 'openid' : 'sub_openid';
      const openid = trade[name];
      demand(openid !== undefined && OPENID.test(openid), name);
      return { [name]: openid };
    }
    case 'NATIVE':
      return { product_id: trade.product_id ?? trade.out_trade_no };
    case 'MWEB': {
      demand(trade.h5 !== undefined, 'h5');
      const { wap_url, wap_name } = trade.h5 ?? {};
      return { scene_info: JSON.stringify({ h5_info: { type: 'Wap', wap_url, wap_name } }) };
    }
    case 'APP':
      return {};
  }
}

function placed(trade: PlaceTrade, fields: XmlFields, exchange: Exchange): Placed {
  mustBe(fields, 'trade_type', trade.trade_type);
  return {
    prepay_id: required(fields, 'prepay_id'),
    ...(trade.trade_type === 'NATIVE' ? { code_url: required(fields, 'code_url') } : {}),
    ...(trade.trade_type === 'MWEB' ? { h5_url: required(fields, 'mweb_url') } : {}),
    exchange,
  };
}

const CLOSED_BY_CODE: ReadonlyMap<string, ClosedTrade['outcome']> = new Map([
  ['ORDERCLOSED', 'closed'],
  ['ORDERPAID', 'paid'],
  ['ORDERNOTEXIST', 'not_found'],
]);

async function closeTrade(caller: Caller, out_trade_no: string): Promise<ClosedTrade> {
  demand(OUT_TRADE_NO.test(out_trade_no), 'out_trade_no');
  try {
    const { exchange } = await caller.call('closeorder', { out_trade_no });
    return { outcome: 'closed', exchange };
  } catch (error) {
    if (error instanceof WechatError && error.exchange !== undefined) {
      const outcome = CLOSED_BY_CODE.get(error.code);
      if (outcome !== undefined) return { outcome, exchange: error.exchange };
    }
    throw error;
  }
}

function placeRefundFields(refund: PlaceRefund): RequestFields {
  demand(OUT_REFUND_NO.test(refund.out_refund_no), 'out_refund_no');
  demand(OUT_TRADE_NO.test(refund.out_trade_no), 'out_trade_no');
  demand(isAmount(refund.total_fen), 'total_fen');
  demand(isAmount(refund.refund_fen) && refund.refund_fen <= refund.total_fen, 'refund_fen');
  demand(refund.notify_url === undefined || NOTIFY_URL.test(refund.notify_url), 'notify_url');
  return {
    out_trade_no: refund.out_trade_no,
    out_refund_no: refund.out_refund_no,
    total_fee: String(refund.total_fen),
    refund_fee: String(refund.refund_fen),
    refund_desc: refund.reason && fitDescription(refund.reason, MAX_REFUND_REASON_BYTES, ''),
    notify_url: refund.notify_url,
  };
}

function isAmount(fen: number): boolean {
  return Number.isSafeInteger(fen) && fen >= 1 && fen <= MAX_FEN;
}

/** What WeChat would refuse, or what must not be signed, is refused here, before anything is sent. */
function demand(condition: boolean, name: string): void {
  if (!condition)
    throw new WechatError('refused', 'PARAM_ERROR', `${name} is not as WeChat wants it; nothing was sent`);
}
