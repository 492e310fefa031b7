/**
 * The one door of the protocol room. Whoever wants WeChat goes through here; nothing behind it opens a database, reads
 * the environment or keeps state.
 */
export { type AccountMessageKind, sendAccountMessage } from './account_message.ts';
export { fitDescription, MAX_DESCRIPTION_BYTES } from './description.ts';
export { NotificationError, type NotificationVerdict, type Outcome, WechatError } from './errors.ts';
export { type FundFlowSum, type FundFlowSummary, readFundFlow } from './fund_flow_bill.ts';
export { type JsSdkConfig, jsSdkConfig, signJsSdk } from './js_sdk.ts';
export {
  decryptPush,
  encryptPush,
  type MessagePushAccount,
  type PushSignature,
  serverSignatureHolds,
} from './message_push.ts';
export { exchangeMiniCode } from './mini_program.ts';
export { type Authorised, authorizeUrl, exchangeCode, type OauthScope } from './oauth.ts';
export { fetchJsapiTicket, fetchStableToken } from './official_account.ts';
export {
  errcodeWords,
  isTokenRejected,
  knownErrcodes,
  OfficialAccountError,
} from './official_account_errors.ts';
export { BillError, readTradeBill, type TradeBillRow, type TradeBillSummary } from './trade_bill.ts';
export type * from './types.ts';
export type { WechatPayV2Config } from './v2/call.ts';
export type { ClientCertificate } from './v2/certificate.ts';
export { createWechatPayV2 } from './v2/client.ts';
export { acknowledgeV2 } from './v2/notifications.ts';
export type { SignTypeV2 } from './v2/sign.ts';
export { createWechatPayV3, type WechatPayV3 } from './v3/client.ts';
export type { WechatPayV3Settings } from './v3/settings.ts';
export { parseXml, XmlError, type XmlFields } from './xml.ts';
