/**
 * The parameters a page, a mini-program or an app hands to WeChat to start a payment, signed with the merchant's
 * private key (WeChat Pay v3, 调起支付签名). They prove nothing about money: only a query or a notification does.
 */
import type { AppParameters, JsapiParameters, MiniProgramParameters, Ports } from '../types.ts';
import { checked } from './arguments.ts';
import { signText } from './authorization.ts';
import type { Merchant } from './settings.ts';

/** The four signed lines: appid, time, nonce and `prepay_id=…` (an app: the bare prepay id). */
export function callText(appid: string, timestamp: string, nonce: string, subject: string): string {
  return `${appid}\n${timestamp}\n${nonce}\n${subject}\n`;
}

/** Parameters of `getBrandWCPayRequest`; `appid` is the account the payer's openid belongs to. */
export function jsapiParameters(
  merchant: Merchant,
  ports: Ports,
  prepay_id: string,
  appid = payingAppid(merchant),
): JsapiParameters {
  const subject = `prepay_id=${checked('prepay_id', prepay_id)}`;
  const { timeStamp, nonceStr, signature } = signCall(merchant, ports, appid, subject);
  return { appId: appid, timeStamp, nonceStr, package: subject, signType: 'RSA', paySign: signature };
}

export function miniProgramParameters(
  merchant: Merchant,
  ports: Ports,
  prepay_id: string,
  appid = payingAppid(merchant),
): MiniProgramParameters {
  const { appId: _signed, ...parameters } = jsapiParameters(merchant, ports, prepay_id, appid);
  return parameters;
}

/** `partnerId` is the merchant the app's appid belongs to. */
export function appParameters(merchant: Merchant, ports: Ports, prepay_id: string): AppParameters {
  const appid = payingAppid(merchant);
  const { timeStamp, nonceStr, signature } = signCall(
    merchant,
    ports,
    appid,
    checked('prepay_id', prepay_id),
  );
  return {
    appId: appid,
    partnerId: merchant.partner?.sub_appid === undefined ? merchant.mch_id : merchant.partner.sub_mch_id,
    prepayId: prepay_id,
    packageValue: 'Sign=WXPay',
    nonceStr,
    timeStamp,
    sign: signature,
  };
}

/** In partner mode with a `sub_appid`, the payer stands in the sub-merchant's account. */
function payingAppid(merchant: Merchant): string {
  return merchant.partner?.sub_appid ?? merchant.appid;
}

function signCall(merchant: Merchant, ports: Ports, appid: string, subject: string) {
  const timeStamp = String(Math.floor(ports.now().getTime() / 1000));
  const nonceStr = ports.nonce();
  const signature = signText(callText(appid, timeStamp, nonceStr, subject), merchant.private_key);
  return { timeStamp, nonceStr, signature };
}
