/**
 * Downloads the platform's certificates (`GET /v3/certificates`). The answer is decrypted first and verified with
 * one of the certificates inside it, because at first start nobody holds a key yet; the APIv3 key is what
 * vouches for them. It refuses a list whose own signature does not hold.
 */
import { WechatError } from '../errors.ts';
import type { Ports } from '../types.ts';
import { judge, readAnswer } from './answers.ts';
import { CipherRefused, openResource } from './cipher.ts';
import type { Fields } from './fields.ts';
import { JsonRefused } from './json.ts';
import {
  isValid,
  type PlatformCertificate,
  type PlatformKeys,
  readCertificate,
  sameSerial,
} from './platform_keys.ts';
import type { Merchant } from './settings.ts';
import { type RawAnswer, send } from './transport.ts';
import { verifyMessage } from './verify.ts';

/**
 * The platform's present certificates, decrypted and verified; validity is what the list says.
 * A merchant on the public key only gets 404 `RESOURCE_NOT_EXISTS`: `refused`.
 *
 * @param held keys already held, which may have signed the list too
 */
export async function fetchCertificates(
  merchant: Merchant,
  ports: Ports,
  held: Pick<PlatformKeys, 'find' | 'public_key_id'>,
): Promise<PlatformCertificate[]> {
  const raw = await send(merchant, ports, {
    method: 'GET',
    path: '/v3/certificates',
    platform_serial: held.public_key_id,
  });
  const downloaded = raw.status === 200 ? readList(merchant, raw) : [];
  const now = ports.now();
  const find = async (serial: string) =>
    held.find(serial) ?? downloaded.find((one) => sameSerial(one.serial, serial) && isValid(one, now))?.key;
  judge(raw, await verifyMessage(raw.headers, raw.body, find, now));
  return downloaded;
}

function readList(merchant: Merchant, raw: RawAnswer): PlatformCertificate[] {
  const answer = { status: 200 as const, body: raw.body, exchange: raw.exchange };
  try {
    return readAnswer(answer, (fields) => fields.objects('data').map((entry) => readEntry(merchant, entry)));
  } catch (cause) {
    if (!(cause instanceof CipherRefused)) throw cause;
    throw new WechatError('unknown', 'BAD_ANSWER', `a platform certificate does not open: ${cause.message}`, {
      exchange: raw.exchange,
      cause,
    });
  }
}

function readEntry(merchant: Merchant, entry: Fields): PlatformCertificate {
  const sealed = entry.object('encrypt_certificate');
  sealed.word('algorithm', { AEAD_AES_256_GCM: 'AEAD_AES_256_GCM' });
  const resource = {
    ciphertext: sealed.text('ciphertext', 65_536),
    nonce: sealed.text('nonce', 12),
    associated_data: sealed.optionalText('associated_data') ?? '',
  };
  const certificate = certificateOf(openResource(resource, merchant.api_v3_key).toString('utf8'));
  if (!sameSerial(certificate.serial, entry.identifier('serial_no'))) {
    throw new JsonRefused('serial_no is not the serial of the certificate it names');
  }
  return {
    ...certificate,
    effective_at: entry.time('effective_time'),
    expires_at: entry.time('expire_time'),
  };
}

function certificateOf(pem: string): PlatformCertificate {
  try {
    return readCertificate(pem);
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new JsonRefused('a platform certificate cannot be read', { cause });
  }
}
