/**
 * API v2 messages as the tests themselves write and read them, with any key, algorithm, order and number of fields:
 * a third hand beside the protocol and the simulator, sharing code with neither.
 */
import { createHash, createHmac } from 'node:crypto';

export type SignType = 'MD5' | 'HMAC-SHA256';

/** Pairs, so that a field can stand twice. */
export type Pairs = readonly (readonly [name: string, value: string])[];

/** The v2 signature of the pairs: sorted by name, empty values and `sign` left out, the key at the end. */
export function signOf(pairs: Pairs, api_v2_key: string, sign_type: SignType): string {
  const text = [...pairs]
    .filter(([name, value]) => name !== 'sign' && value !== '')
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([name, value]) => `${name}=${value}`)
    .concat(`key=${api_v2_key}`)
    .join('&');
  const digest =
    sign_type === 'MD5' ? createHash('md5').update(text) : createHmac('sha256', api_v2_key).update(text);
  return digest.digest('hex').toUpperCase();
}

export function xmlOf(pairs: Pairs): string {
  return `<xml>${pairs.map(([name, value]) => `<${name}><![CDATA[${value}]]></${name}>`).join('')}</xml>`;
}

/** The message with its correct signature at the end. */
export function signedXml(pairs: Pairs, api_v2_key: string, sign_type: SignType): string {
  return xmlOf([...pairs, ['sign', signOf(pairs, api_v2_key, sign_type)]]);
}

/** The fields of a plain message of WeChat's, in its order. */
export function fieldsOf(xml: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [, name = '', cdata, plain] of xml.matchAll(
    /<(\w+)>(?:<!\[CDATA\[([\s\S]*?)\]\]>|([^<]*))<\/\1>/g,
  )) {
    fields[name] = cdata ?? plain ?? '';
  }
  return fields;
}
