/**
 * The parameters a page, a mini-program or an app hands to WeChat to start a payment, signed with the API key and the
 * sign type the trade was placed with. They prove nothing about money: only a query or a notification does.
 *
 * Source: WeChat Pay v2, JSAPI调起支付, 小程序调起支付, APP调起支付.
 */
import { WechatError } from '../errors.ts';
import type { AppParameters, JsapiParameters, MiniProgramParameters, Ports } from '../types.ts';
import { type SignTypeV2, signV2 } from './sign.ts';

interface Signer {
  appid: string;
  mch_id: string;
  sub_appid?: string;
  sub_mch_id?: string;
  api_v2_key: string;
  sign_type: SignTypeV2;
}

const PREPAY_ID = /^[A-Za-z0-9_-]{1,64}$/;

function checked(prepay_id: string): string {
  if (PREPAY_ID.test(prepay_id)) return prepay_id;
  throw new WechatError('refused', 'PARAM_ERROR', 'prepay_id is not as WeChat gives it; nothing was signed');
}

/** In partner mode with a `sub_appid`, the payer stands in the sub-merchant's account. */
const payingAppid = ({ appid, sub_appid }: Signer): string => sub_appid ?? appid;

const seconds = (ports: Ports): string => String(Math.floor(ports.now().getTime() / 1000));

/** Parameters of `getBrandWCPayRequest`. */
export function jsapiParameters(signer: Signer, ports: Ports, prepay_id: string): JsapiParameters {
  const signed = {
    appId: payingAppid(signer),
    timeStamp: seconds(ports),
    nonceStr: ports.nonce(),
    package: `prepay_id=${checked(prepay_id)}`,
    signType: signer.sign_type,
  };
  return { ...signed, paySign: signV2(signed, signer.api_v2_key, signer.sign_type) };
}

/** Parameters of `wx.requestPayment`: `appId` is signed and not handed over. */
export function miniProgramParameters(
  signer: Signer,
  ports: Ports,
  prepay_id: string,
): MiniProgramParameters {
  const { appId: _signed, ...parameters } = jsapiParameters(signer, ports, prepay_id);
  return parameters;
}

/** `PayReq` of the mobile SDKs. The signed names are lower case and hold no sign type. */
export function appParameters(signer: Signer, ports: Ports, prepay_id: string): AppParameters {
  const appid = payingAppid(signer);
  const partnerid = signer.sub_appid === undefined ? signer.mch_id : (signer.sub_mch_id ?? signer.mch_id);
  const signed = {
    appid,
    partnerid,
    prepayid: checked(prepay_id),
    package: 'Sign=WXPay',
    noncestr: ports.nonce(),
    timestamp: seconds(ports),
  } as const;
  return {
    appId: appid,
    partnerId: partnerid,
    prepayId: prepay_id,
    packageValue: signed.package,
    nonceStr: signed.noncestr,
    timeStamp: signed.timestamp,
    sign: signV2(signed, signer.api_v2_key, signer.sign_type),
  };
}
