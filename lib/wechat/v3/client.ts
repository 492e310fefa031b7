/**
 * WeChat Pay API v3 for one merchant: puts settings, keys and calls together behind the interface the business knows.
 * It holds no row and no environment; all it remembers is the platform's certificates.
 */
import type { Ports, QueriedTrade, ReportedRefund, TradeAccount, WechatPay } from '../types.ts';
import { asking } from './answers.ts';
import { SCHEME } from './authorization.ts';
import { downloadFundFlowBill, downloadTradeBill } from './bills.ts';
import { appParameters, jsapiParameters, miniProgramParameters } from './call_parameters.ts';
import { fetchCertificates } from './certificates.ts';
import { decryptField } from './cipher.ts';
import { readPaymentNotification, readRefundNotification } from './notifications.ts';
import { closeTrade, placeTrade, queryTrade, queryTradeById } from './orders.ts';
import { type PlatformKeyInfo, PlatformKeys } from './platform_keys.ts';
import { type AbnormalRefund, applyAbnormalRefund, placeRefund, queryRefund } from './refunds.ts';
import { type Merchant, readSettings, type WechatPayV3Settings, withAccount } from './settings.ts';

/** What v3 can do beyond what both versions share. */
export interface WechatPayV3 extends WechatPay {
  readonly api_version: 'v3';
  forAccount(account: TradeAccount): WechatPayV3;
  /** By WeChat's number, which only a paid trade has. */
  queryTradeById(transaction_id: string): Promise<QueriedTrade>;
  /** The way out of a refund in `ABNORMAL`: to another card of the payer's, or to the merchant's. */
  applyAbnormalRefund(refund: AbnormalRefund): Promise<ReportedRefund>;
  /** A sensitive field the platform encrypted to the merchant's certificate. */
  decryptField(ciphertext: string): string;
  /** Downloads the platform's certificates, at most once an interval; resolves with whether a list arrived. */
  refreshPlatformKeys(): Promise<boolean>;
  /** The keys we would believe, and until when; `failure` is why the last download brought none. */
  platformKeys(): { keys: PlatformKeyInfo[]; failure?: unknown };
}

/** Parses every key once; throws `TypeError` naming the setting that is wrong. */
export function createWechatPayV3(settings: WechatPayV3Settings, ports: Ports): WechatPayV3 {
  const merchant = readSettings(settings);
  const keys: PlatformKeys = new PlatformKeys(
    {
      certificates: merchant.platform_certificates,
      public_key: merchant.platform_public_key,
      refresh_interval_ms: merchant.certificate_refresh_interval_ms,
    },
    () => fetchCertificates(merchant, ports, keys),
    ports.now,
  );
  return clientOf(merchant, ports, keys);
}

/** Every account of a merchant believes the same keys, downloaded once. */
function clientOf(merchant: Merchant, ports: Ports, keys: PlatformKeys): WechatPayV3 {
  const ask = asking(merchant, ports, keys);
  const find = (serial: string) => keys.resolve(serial);
  return {
    api_version: 'v3',
    sign_type: SCHEME,
    appid: merchant.appid,
    mch_id: merchant.mch_id,
    ...(merchant.partner === undefined ? {} : { sub_mch_id: merchant.partner.sub_mch_id }),
    ...(merchant.partner?.sub_appid === undefined ? {} : { sub_appid: merchant.partner.sub_appid }),
    forAccount: (account) => clientOf(withAccount(merchant, account), ports, keys),
    placeTrade: (trade) => placeTrade(merchant, ask, trade),
    queryTrade: (out_trade_no) => queryTrade(merchant, ask, out_trade_no),
    queryTradeById: (transaction_id) => queryTradeById(merchant, ask, transaction_id),
    closeTrade: (out_trade_no) => closeTrade(merchant, ask, out_trade_no),
    placeRefund: (refund) => placeRefund(merchant, ask, refund),
    queryRefund: (out_refund_no) => queryRefund(merchant, ask, out_refund_no),
    applyAbnormalRefund: (refund) => applyAbnormalRefund(merchant, ask, keys, refund),
    jsapiParameters: (prepay_id) => jsapiParameters(merchant, ports, prepay_id),
    miniProgramParameters: (prepay_id) => miniProgramParameters(merchant, ports, prepay_id),
    appParameters: (prepay_id) => appParameters(merchant, ports, prepay_id),
    readPaymentNotification: (raw, headers) =>
      readPaymentNotification(merchant, find, raw, headers, ports.now()),
    readRefundNotification: (raw, headers) =>
      readRefundNotification(merchant, find, raw, headers, ports.now()),
    downloadTradeBill: (bill_date, bill_type = 'ALL') =>
      downloadTradeBill(merchant, ports, ask, bill_date, bill_type),
    downloadFundFlowBill: (bill_date, account = 'BASIC') =>
      downloadFundFlowBill(merchant, ports, ask, bill_date, account),
    decryptField: (ciphertext) => decryptField(ciphertext, merchant.private_key),
    refreshPlatformKeys: () => keys.refresh(),
    platformKeys: () => ({
      keys: keys.list(),
      ...(keys.last_failure === undefined ? {} : { failure: keys.last_failure }),
    }),
  };
}
