// X.509 certificates written in plain DER, as far as this platform's own authority needs them: a root, leaves for
// merchants, for the platform and for the TLS listener. It reads nothing and knows no other algorithm than SHA-256
// with RSA.

import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { isIP, isIPv4 } from 'node:net';
import { der, SEQUENCE } from './der.ts';

const FROM = Date.UTC(2024, 0, 1);
const UNTIL = Date.UTC(2044, 0, 1);

export type CertificateWanted = {
  /** Upper-case hex, at most 20 bytes, first digit below 8. */
  serial: string;
  subject: string;
  subject_key: KeyObject;
  issuer: string;
  issuer_key: KeyObject;
  /** `server` needs its names; `client` is a merchant's API certificate; `signer` only carries a key. */
  use: 'authority' | 'server' | 'client' | 'signer';
  /** Host names and addresses of a server. */
  hosts?: string[];
};

export const VALIDITY = { from_ms: FROM, until_ms: UNTIL };

/** One certificate in PEM. RSA signatures of this kind are deterministic, so equal input gives equal bytes. */
export function certificatePem(wanted: CertificateWanted): string {
  const body = der(
    SEQUENCE,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from(wanted.serial, 'hex')),
    SHA256_WITH_RSA,
    name(wanted.issuer),
    der(SEQUENCE, utcTime(FROM), utcTime(UNTIL)),
    name(wanted.subject),
    spki(wanted.subject_key),
    der(0xa3, der(SEQUENCE, ...extensions(wanted))),
  );
  const signature = sign('sha256', body, wanted.issuer_key);
  const whole = der(SEQUENCE, body, SHA256_WITH_RSA, der(0x03, Buffer.from([0]), signature));
  const lines = whole.toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

const SHA256_WITH_RSA = der(SEQUENCE, Buffer.from('06092a864886f70d01010b0500', 'hex'));
const OID = {
  common_name: Buffer.from('0603550403', 'hex'),
  basic_constraints: Buffer.from('0603551d13', 'hex'),
  key_usage: Buffer.from('0603551d0f', 'hex'),
  extended_key_usage: Buffer.from('0603551d25', 'hex'),
  subject_alt_name: Buffer.from('0603551d11', 'hex'),
  subject_key_id: Buffer.from('0603551d0e', 'hex'),
  authority_key_id: Buffer.from('0603551d23', 'hex'),
  server_auth: Buffer.from('06082b06010505070301', 'hex'),
  client_auth: Buffer.from('06082b06010505070302', 'hex'),
};

function extensions(wanted: CertificateWanted): Buffer[] {
  const authority = wanted.use === 'authority';
  const list = [
    extension(
      OID.basic_constraints,
      true,
      der(SEQUENCE, ...(authority ? [der(0x01, Buffer.from([0xff]))] : [])),
    ),
    // keyCertSign and cRLSign, or digitalSignature and keyEncipherment.
    extension(OID.key_usage, true, der(0x03, Buffer.from(authority ? [1, 0x06] : [5, 0xa0]))),
    extension(OID.subject_key_id, false, der(0x04, keyId(wanted.subject_key))),
    extension(OID.authority_key_id, false, der(SEQUENCE, der(0x80, keyId(wanted.issuer_key)))),
  ];
  if (wanted.use === 'server') {
    const names = (wanted.hosts ?? []).map((host) =>
      isIP(host) === 0 ? der(0x82, Buffer.from(host, 'ascii')) : der(0x87, addressBytes(host)),
    );
    list.push(
      extension(OID.extended_key_usage, false, der(SEQUENCE, OID.server_auth)),
      extension(OID.subject_alt_name, false, der(SEQUENCE, ...names)),
    );
  }
  if (wanted.use === 'client') {
    list.push(extension(OID.extended_key_usage, false, der(SEQUENCE, OID.client_auth)));
  }
  return list;
}

function extension(oid: Buffer, critical: boolean, value: Buffer): Buffer {
  return der(SEQUENCE, oid, ...(critical ? [der(0x01, Buffer.from([0xff]))] : []), der(0x04, value));
}

function addressBytes(host: string): Buffer {
  if (isIPv4(host)) return Buffer.from(host.split('.').map(Number));
  const [head = '', tail = ''] = host.split('::');
  const groups = (text: string) => text.split(':').filter((g) => g !== '');
  const [left, right] = [groups(head), groups(tail)];
  const middle = Array<string>(8 - left.length - right.length).fill('0');
  return Buffer.from([...left, ...middle, ...right].map((g) => g.padStart(4, '0')).join(''), 'hex');
}

function spki(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' });
}

function keyId(key: KeyObject): Buffer {
  return createHash('sha1').update(spki(key)).digest();
}

function name(common: string): Buffer {
  return der(SEQUENCE, der(0x31, der(SEQUENCE, OID.common_name, der(0x0c, Buffer.from(common, 'utf8')))));
}

function utcTime(at_ms: number): Buffer {
  const text = new Date(at_ms).toISOString().slice(2, 19).replace(/[-T:]/g, '');
  return der(0x17, Buffer.from(`${text}Z`, 'ascii'));
}
