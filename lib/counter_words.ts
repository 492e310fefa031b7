/** What WeChat's refusals at the counter mean, in its own documents' words, and what the operator does next. Tables only. */

interface Words {
  zh: string;
  en: string;
}

/** WeChat Pay v2, 提交付款码支付, err_code table; 现金红包, err_code table. */
const words: Record<string, Words> = {
  AUTHCODEEXPIRE: {
    zh: '二维码已过期，请用户在微信上刷新后再试',
    en: 'The payment code has expired: the payer refreshes it in WeChat, then scan again',
  },
  AUTH_CODE_ERROR: {
    zh: '每个二维码仅限使用一次，请刷新再试',
    en: 'A payment code is good once: the payer refreshes it, then scan again',
  },
  AUTH_CODE_INVALID: {
    zh: '收银员扫描的不是微信支付的条码，请扫描微信支付被扫条码/二维码',
    en: 'This is not a WeChat payment code: scan the one under WeChat’s “Money”',
  },
  NOTENOUGH: {
    zh: '用户的零钱余额不足，请用户更换支付方式后重新收款',
    en: 'The payer has not enough money: another card, then charge again',
  },
  NOTSUPORTCARD: {
    zh: '用户使用卡种不支持当前支付形式，请用户更换银行卡后重新收款',
    en: 'The payer’s card is not supported: another card, then charge again',
  },
  BUYER_MISMATCH: {
    zh: '暂不支持同一笔订单更换支付方，请重新收款',
    en: 'One charge cannot change its payer: begin a new one',
  },
  TRADE_ERROR: {
    zh: '业务错误导致交易失败，请确认用户账户、限额或风险提示后重新收款',
    en: 'WeChat would not carry out the payment: check the payer’s account and limits, then charge again',
  },
  NOAUTH: { zh: '商户无此接口权限，请开通此产品', en: 'The merchant has not opened this product' },
  INVALID_REQUEST: {
    zh: '请求无效：商户号异常、请求重复或频率超限',
    en: 'WeChat called the request invalid',
  },
  PARAM_ERROR: { zh: '请求参数错误', en: 'A parameter was wrong' },
  LACK_PARAMS: { zh: '缺少必要的请求参数', en: 'A parameter was missing' },
  SIGNERROR: { zh: '签名错误，请检查商户密钥', en: 'The signature was wrong: check the merchant’s key' },
  XML_FORMAT_ERROR: { zh: 'XML 格式错误', en: 'The request was no proper XML' },
  REQUIRE_POST_METHOD: { zh: '请使用 POST 方法', en: 'The request was no POST' },
  POST_DATA_EMPTY: { zh: 'POST 数据为空', en: 'The request was empty' },
  NOT_UTF8: { zh: '编码格式错误，请使用 UTF-8 编码', en: 'The request was not in UTF-8' },
  APPID_NOT_EXIST: { zh: 'APPID 不存在', en: 'The appid does not exist' },
  MCHID_NOT_EXIST: { zh: '商户号不存在', en: 'The mch_id does not exist' },
  APPID_MCHID_NOT_MATCH: { zh: 'appid 和 mch_id 不匹配', en: 'appid and mch_id do not belong together' },
  PAYERROR: { zh: '支付失败（其他原因，如银行返回失败）', en: 'The payment failed, at the bank for example' },
  NO_AUTH: {
    zh: '发放失败：此请求可能存在风险，已被微信拦截',
    en: 'WeChat stopped the red packet for its risk',
  },
  SENDNUM_LIMIT: {
    zh: '该用户今日领取红包个数超过限制',
    en: 'This person has got as many red packets today as WeChat allows',
  },
  ILLEGAL_APPID: {
    zh: '非法 appid，请确认是否为公众号的 appid',
    en: 'The appid is not an official account’s',
  },
  MONEY_LIMIT: { zh: '红包金额不在商户设置的范围内', en: 'The amount is outside the merchant’s limits' },
  SEND_FAILED: { zh: '红包发放失败，请重新发一个', en: 'The red packet was not sent: send another one' },
  CA_ERROR: { zh: '商户 API 证书校验出错', en: 'The merchant’s API certificate was not accepted' },
  CERT_ERROR: { zh: '商户 API 证书校验出错', en: 'The merchant’s API certificate was not accepted' },
  NO_CERTIFICATE: { zh: '没有配置商户 API 证书', en: 'The merchant’s API certificate is not configured' },
  SIGN_ERROR: { zh: '商户签名错误', en: 'The merchant’s signature was wrong' },
  XML_ERROR: { zh: '请求的 XML 格式错误', en: 'The request was no proper XML' },
  FREQ_LIMIT: { zh: '超过频率限制，稍后会自动再发', en: 'Too many at once; it is sent again by itself' },
  OPENID_ERROR: { zh: 'openid 和 appid 不匹配', en: 'openid and appid do not belong together' },
  SECOND_OVER_LIMITED: { zh: '企业红包的按分钟发放受限', en: 'Too many red packets in this minute' },
  DAY_OVER_LIMITED: { zh: '企业红包的按天发放受限', en: 'Too many red packets today' },
};

/** The official meaning of a code; one that stands in no table is shown as it came. */
export function refusalMeaning(code: string): Words {
  const own = Object.hasOwn(words, code) ? words[code] : undefined;
  return own ?? { zh: `微信拒绝：${code}`, en: `WeChat refused: ${code}` };
}

/** 刷脸支付 answers with the codes of payment codes; what the cashier does next is another thing. */
const faceWords: Record<string, Words> = {
  AUTHCODEEXPIRE: {
    zh: '刷脸凭证已过期，请顾客在设备上重新刷脸',
    en: 'What the device gave has expired: the payer looks into the device again',
  },
  AUTH_CODE_ERROR: {
    zh: '每次刷脸只能收一笔，请顾客在设备上重新刷脸',
    en: 'One look is good for one charge: the payer looks into the device again',
  },
  AUTH_CODE_INVALID: {
    zh: 'face_code 不是刷脸设备给出的，或与 openid 不符，请重新刷脸',
    en: 'No face device gave this face_code, or it is another payer’s: look into the device again',
  },
};

/** The same for a charge of a face. */
export function faceMeaning(code: string): Words {
  const own = Object.hasOwn(faceWords, code) ? faceWords[code] : undefined;
  return own ?? refusalMeaning(code);
}

/** Red packets: the account's own purse is empty, not the payer's. */
export function redPacketMeaning(code: string): Words {
  if (code === 'NOTENOUGH') {
    return {
      zh: '商户账户余额不足，请充值；系统会用同一单号再发',
      en: 'The merchant’s account is too low: top it up, the same packet is sent again',
    };
  }
  return refusalMeaning(code);
}
