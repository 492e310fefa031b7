// The merchant's certificate and key as WeChat hands them out for clients that want one file: apiclient_cert.p12,
// opened with the merchant number. The key is under AES-256-CBC and PBKDF2, the whole under HMAC-SHA256, where WeChat's
// own file still uses RC2, which OpenSSL 3 refuses. It reads nothing.

import {
  createCipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  pbkdf2Sync,
  X509Certificate,
} from 'node:crypto';
import { der, SEQUENCE } from './der.ts';

const ITERATIONS = 2048;
const FRIENDLY_NAME = 'Tenpay Certificate';

const SET = 0x31;
const INTEGER = 0x02;
const OCTETS = 0x04;
const NULL = der(0x05);
const OID = {
  data: Buffer.from('06092a864886f70d010701', 'hex'),
  shrouded_key_bag: Buffer.from('060b2a864886f70d010c0a0102', 'hex'),
  certificate_bag: Buffer.from('060b2a864886f70d010c0a0103', 'hex'),
  x509_certificate: Buffer.from('060a2a864886f70d01091601', 'hex'),
  friendly_name: Buffer.from('06092a864886f70d010914', 'hex'),
  local_key_id: Buffer.from('06092a864886f70d010915', 'hex'),
  pbes2: Buffer.from('06092a864886f70d01050d', 'hex'),
  pbkdf2: Buffer.from('06092a864886f70d01050c', 'hex'),
  hmac_sha256: Buffer.from('06082a864886f70d0209', 'hex'),
  aes_256_cbc: Buffer.from('060960864801650304012a', 'hex'),
  sha256: Buffer.from('0609608648016503040201', 'hex'),
};

/** The bundle's bytes. What ought to be random is drawn from the certificate, so that equal input gives equal bytes. */
export function pkcs12(cert_pem: string, key_pem: string, passphrase: string): Buffer {
  const certificate = new X509Certificate(cert_pem).raw;
  const drawn = (what: string) => createHash('sha256').update(certificate).update(what).digest();
  const attributes = der(
    SET,
    attribute(OID.friendly_name, der(0x1e, bmp(FRIENDLY_NAME))),
    attribute(OID.local_key_id, der(OCTETS, createHash('sha1').update(certificate).digest())),
  );
  const certificate_bag = der(
    SEQUENCE,
    OID.certificate_bag,
    der(0xa0, der(SEQUENCE, OID.x509_certificate, der(0xa0, der(OCTETS, certificate)))),
    attributes,
  );
  const key_bag = der(
    SEQUENCE,
    OID.shrouded_key_bag,
    der(
      0xa0,
      shroudedKey(key_pem, passphrase, drawn('key salt').subarray(0, 16), drawn('iv').subarray(0, 16)),
    ),
    attributes,
  );
  const safe = der(
    SEQUENCE,
    contentInfo(der(SEQUENCE, certificate_bag)),
    contentInfo(der(SEQUENCE, key_bag)),
  );
  const salt = drawn('mac salt').subarray(0, 8);
  const mac = createHmac('sha256', macKey(passphrase, salt)).update(safe).digest();
  return der(
    SEQUENCE,
    integer(3),
    contentInfo(safe),
    der(
      SEQUENCE,
      der(SEQUENCE, der(SEQUENCE, OID.sha256, NULL), der(OCTETS, mac)),
      der(OCTETS, salt),
      integer(ITERATIONS),
    ),
  );
}

function shroudedKey(key_pem: string, passphrase: string, salt: Buffer, iv: Buffer): Buffer {
  const plain = createPrivateKey(key_pem).export({ type: 'pkcs8', format: 'der' });
  const cipher = createCipheriv('aes-256-cbc', pbkdf2Sync(passphrase, salt, ITERATIONS, 32, 'sha256'), iv);
  const derivation = der(
    SEQUENCE,
    OID.pbkdf2,
    der(SEQUENCE, der(OCTETS, salt), integer(ITERATIONS), der(SEQUENCE, OID.hmac_sha256, NULL)),
  );
  const scheme = der(SEQUENCE, OID.aes_256_cbc, der(OCTETS, iv));
  return der(
    SEQUENCE,
    der(SEQUENCE, OID.pbes2, der(SEQUENCE, derivation, scheme)),
    der(OCTETS, Buffer.concat([cipher.update(plain), cipher.final()])),
  );
}

/** RFC 7292, appendix B.2, purpose 3, for one block of SHA-256. */
function macKey(passphrase: string, salt: Buffer): Buffer {
  const block = 64;
  const filled = (bytes: Buffer) => Buffer.alloc(Math.ceil(bytes.length / block) * block, bytes);
  const password = Buffer.concat([bmp(passphrase), Buffer.from([0, 0])]);
  let key = Buffer.concat([Buffer.alloc(block, 3), filled(salt), filled(password)]);
  for (let round = 0; round < ITERATIONS; round += 1) key = createHash('sha256').update(key).digest();
  return key;
}

const contentInfo = (content: Buffer) => der(SEQUENCE, OID.data, der(0xa0, der(OCTETS, content)));
const attribute = (oid: Buffer, value: Buffer) => der(SEQUENCE, oid, der(SET, value));
const bmp = (text: string) => Buffer.from(text, 'utf16le').swap16();

function integer(n: number): Buffer {
  const hex = n.toString(16);
  const bytes = Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex');
  return der(INTEGER, (bytes[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}
