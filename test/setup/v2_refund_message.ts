/**
 * API v2 refund notifications as the tests themselves write and take apart: `req_info` is AES-256-ECB under the MD5 of the
 * key, with no signature around it, so its sixteen-byte blocks can be cut and pasted by whoever has seen a few.
 */
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';
import { fieldsOf, type Pairs, xmlOf } from './v2_message.ts';

const keyOf = (api_v2_key: string): string => createHash('md5').update(api_v2_key).digest('hex');

/** `req_info` of any inner fields. */
export function sealed(inner: Pairs, api_v2_key: string): string {
  const cipher = createCipheriv('aes-256-ecb', keyOf(api_v2_key), null);
  const text = xmlOf(inner).replace('<xml>', '<root>').replace('</xml>', '</root>');
  return Buffer.concat([cipher.update(text), cipher.final()]).toString('base64');
}

export function opened(message: string, api_v2_key: string): Record<string, string> {
  const decipher = createDecipheriv('aes-256-ecb', keyOf(api_v2_key), null);
  const bytes = Buffer.from(fieldsOf(message).req_info ?? '', 'base64');
  return fieldsOf(Buffer.concat([decipher.update(bytes), decipher.final()]).toString());
}

/** The message with another `req_info`. */
export function withRequestInfo(message: string, req_info: string): string {
  return xmlOf(Object.entries({ ...fieldsOf(message), req_info }));
}

/** The sixteen-byte blocks of a message's `req_info`. */
export function blocksOf(message: string): Buffer[] {
  const bytes = Buffer.from(fieldsOf(message).req_info ?? '', 'base64');
  return Array.from({ length: bytes.length / 16 }, (_, n) => bytes.subarray(n * 16, n * 16 + 16));
}

export const ofBlocks = (blocks: readonly Buffer[]): string => Buffer.concat(blocks).toString('base64');
