/**
 * What WeChat posts to the notify addresses under v2, and how it wants to be answered. Believes a payment only by its
 * signature; a refund notification has none, so what it says is a hint to query.
 *
 * Source: WeChat Pay v2, 支付结果通知, 退款结果通知.
 */
import { createDecipheriv, hash } from 'node:crypto';
import { NotificationError } from '../errors.ts';
import type { PaymentNotification, RefundNotification } from '../types.ts';
import { parseXml, XmlError, type XmlFields } from '../xml.ts';
import { checkFields, FieldError, mustBe, required } from './fields.ts';
import { paidTrade, refundStatus } from './reports.ts';
import { signTypeOfLength, verifyV2 } from './sign.ts';

interface Recipient {
  mch_id: string;
  api_v2_key: string;
}

/**
 * A payment notification whose signature holds, whatever appid, merchant or amount it speaks of: comparing them with
 * the trade's row is the caller's. `sign_type` is the algorithm that verified, told by the signature's length; the
 * caller refuses it when the trade was placed with the other one. Throws `NotificationError`.
 */
export function readPaymentNotification(recipient: Recipient, raw: Uint8Array): PaymentNotification {
  const fields = readXml(raw);
  const sign_type = signTypeOfLength(fields.sign);
  if (sign_type === undefined || !verifyV2(fields, recipient.api_v2_key, sign_type)) {
    throw new NotificationError('bad_signature', 'the signature does not hold');
  }
  const paid = ['return_code', 'result_code'].every((name) => fields[name] === 'SUCCESS');
  if (!paid || (fields.trade_state || 'SUCCESS') !== 'SUCCESS') {
    throw new NotificationError('not_success', 'it tells of no successful payment');
  }
  return orMalformed(() => {
    checkFields(fields);
    return { report: paidTrade(fields, 'SUCCESS'), sign_type };
  });
}

/** A refund notification, decrypted. ECB proves little: query the refund before believing any of it. Throws `NotificationError`. */
export function readRefundNotification(recipient: Recipient, raw: Uint8Array): RefundNotification {
  const outer = readXml(raw);
  if (outer.return_code !== 'SUCCESS')
    throw new NotificationError('not_success', 'return_code is not SUCCESS');
  return orMalformed(() => {
    mustBe(outer, 'mch_id', recipient.mch_id);
    const inner = readXml(decryptRequestInfo(required(outer, 'req_info'), recipient.api_v2_key), 'root');
    checkFields(inner);
    return {
      out_refund_no: required(inner, 'out_refund_no'),
      out_trade_no: required(inner, 'out_trade_no'),
      refund_id: required(inner, 'refund_id'),
      status: refundStatus(required(inner, 'refund_status')),
    };
  });
}

/** `req_info`: AES-256-ECB under the 32 ASCII characters of the key's lower-case MD5. Throws `NotificationError`. */
export function decryptRequestInfo(req_info: string, api_v2_key: string): Uint8Array {
  const decipher = createDecipheriv('aes-256-ecb', hash('md5', api_v2_key, 'hex'), null);
  try {
    return Buffer.concat([decipher.update(req_info, 'base64'), decipher.final()]);
  } catch (cause) {
    throw new NotificationError('undecryptable', 'req_info does not decrypt under our key', cause);
  }
}

/**
 * The answer to any v2 notification. `SUCCESS` ends the retries; `FAIL` asks for another try. Whatever `return_msg`
 * holds besides letters, digits and blanks is left out.
 */
export function acknowledgeV2(return_code: 'SUCCESS' | 'FAIL', return_msg: string): string {
  const text = return_msg.replace(/[^\p{L}\p{N}_ -]/gu, '').slice(0, 128);
  return `<xml>
  <return_code><![CDATA[${return_code}]]></return_code>
  <return_msg><![CDATA[${text}]]></return_msg>
</xml>`;
}

function readXml(raw: Uint8Array, root?: string): XmlFields {
  try {
    return parseXml(raw, root);
  } catch (cause) {
    if (!(cause instanceof XmlError)) throw cause;
    throw new NotificationError('malformed', cause.message, cause);
  }
}

function orMalformed<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof FieldError)) throw cause;
    throw new NotificationError('malformed', cause.message, cause);
  }
}
