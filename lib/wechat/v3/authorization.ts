/**
 * Signs what a merchant sends: the request's five lines and the `Authorization` header that carries them
 * (WeChat Pay v3, 签名生成). It never serialises: the body it is given is the body that goes on the wire.
 */
import { type KeyObject, sign } from 'node:crypto';

export const SCHEME = 'WECHATPAY2-SHA256-RSA2048';

export interface Signer {
  /** The merchant who signs; in partner mode the service provider. */
  mch_id: string;
  /** Serial of the merchant's own certificate, never of a platform key. */
  serial_no: string;
  private_key: KeyObject;
}

export interface SignedRequest {
  method: 'GET' | 'POST';
  /** Path and query exactly as sent, beginning with `/`. */
  path: string;
  /** The very string that is sent; empty for GET. */
  body: string;
  /** Seconds since the epoch. */
  timestamp: number;
  nonce: string;
}

/** The signed text: five lines, each ended by a line feed, the last one too. */
export function requestText({ method, path, timestamp, nonce, body }: SignedRequest): string {
  return `${method}\n${path}\n${timestamp}\n${nonce}\n${body}\n`;
}

/** RSASSA-PKCS1-v1_5 with SHA-256 over the UTF-8 bytes, in Base64. */
export function signText(text: string, private_key: KeyObject): string {
  return sign('RSA-SHA256', Buffer.from(text), private_key).toString('base64');
}

/** The value of the `Authorization` header. */
export function authorization(signer: Signer, request: SignedRequest): string {
  const signature = signText(requestText(request), signer.private_key);
  return `${SCHEME} mchid="${signer.mch_id}",nonce_str="${request.nonce}",signature="${signature}",timestamp="${request.timestamp}",serial_no="${signer.serial_no}"`;
}
