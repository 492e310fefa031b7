// RSA keys and X.509 certificates of the demo merchant and of the platform, made from the seed on first use, so
// that they are the same on every machine. They guard nothing: anybody can make them.

import {
  checkPrimeSync,
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
} from 'node:crypto';

export type Certificate = { key_pem: string; cert_pem: string; serial: string };
export type Keyring = ReturnType<typeof createKeyring>;

const FROM = Date.UTC(2024, 0, 1);
const UNTIL = Date.UTC(2044, 0, 1);

/** Keys are made when first asked for, about a tenth of a second each. */
export function createKeyring(seed: string) {
  const made = new Map<string, KeyObject>();
  const certificates = new Map<string, Certificate>();

  function key(what: string): KeyObject {
    const known = made.get(what);
    if (known !== undefined) return known;
    const fresh = rsaFrom(`${seed}|${what}`);
    made.set(what, fresh);
    return fresh;
  }

  return {
    key,
    /** A certificate for `name`, issued by the simulator's own root. */
    certificate(what: string, name: string): Certificate {
      const known = certificates.get(what);
      if (known !== undefined) return known;
      const serial = createHash('sha1')
        .update(`${seed}|serial|${what}`)
        .digest('hex')
        .toUpperCase()
        .replace(/^./, '5');
      const subject = key(what);
      const certificate = {
        key_pem: subject.export({ type: 'pkcs8', format: 'pem' }).toString(),
        cert_pem: x509(serial, name, subject, 'Simulated Tenpay Root CA', key('root')),
        serial,
      };
      certificates.set(what, certificate);
      return certificate;
    },
    publicPem: (what: string) =>
      createPublicKey(key(what)).export({ type: 'spki', format: 'pem' }).toString(),
  };
}

function rsaFrom(seed: string): KeyObject {
  let drawn = 0;
  const e = 65537n;
  const prime = (): bigint => {
    const bytes = Buffer.concat(
      Array.from({ length: 4 }, () => createHash('sha256').update(`${seed}|${++drawn}`).digest()),
    );
    bytes[0] = (bytes[0] ?? 0) | 0xc0;
    bytes[127] = (bytes[127] ?? 0) | 1;
    let p = BigInt(`0x${bytes.toString('hex')}`);
    while (SMALL.some((q) => p % q === 0n) || (p - 1n) % e === 0n || !checkPrimeSync(p)) p += 2n;
    return p;
  };
  const [p, q] = [prime(), prime()].sort((a, b) => (a < b ? 1 : -1));
  if (p === undefined || q === undefined) throw new Error('two primes make a key');
  const d = inverse(e, (p - 1n) * (q - 1n));
  return createPrivateKey({
    format: 'jwk',
    key: {
      kty: 'RSA',
      n: b64(p * q),
      e: b64(e),
      d: b64(d),
      p: b64(p),
      q: b64(q),
      dp: b64(d % (p - 1n)),
      dq: b64(d % (q - 1n)),
      qi: b64(inverse(q, p)),
    },
  });
}

const SMALL = [3n, 5n, 7n, 11n, 13n, 17n, 19n, 23n, 29n, 31n, 37n, 41n, 43n, 47n];

function inverse(a: bigint, modulus: bigint): bigint {
  let [r0, r1, s0, s1] = [modulus, a % modulus, 0n, 1n];
  while (r1 !== 0n) {
    const quotient = r0 / r1;
    [r0, r1, s0, s1] = [r1, r0 - quotient * r1, s1, s0 - quotient * s1];
  }
  return ((s0 % modulus) + modulus) % modulus;
}

function bytesOf(n: bigint): Buffer {
  const hex = n.toString(16);
  return Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex');
}

function b64(n: bigint): string {
  return bytesOf(n).toString('base64url');
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const size = content.length < 128 ? Buffer.from([content.length]) : longSize(content.length);
  return Buffer.concat([Buffer.from([tag]), size, content]);
}

function longSize(length: number): Buffer {
  const bytes = bytesOf(BigInt(length));
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}

const SEQUENCE = 0x30;
const SHA256_WITH_RSA = der(SEQUENCE, Buffer.from('06092a864886f70d01010b0500', 'hex'));

function name(common: string): Buffer {
  const commonName = der(SEQUENCE, Buffer.from('0603550403', 'hex'), der(0x0c, Buffer.from(common, 'utf8')));
  return der(SEQUENCE, der(0x31, commonName));
}

function utcTime(at_ms: number): Buffer {
  return der(
    0x17,
    Buffer.from(`${new Date(at_ms).toISOString().slice(2, 19).replace(/[-T:]/g, '')}Z`, 'ascii'),
  );
}

function x509(
  serial: string,
  subject: string,
  subjectKey: KeyObject,
  issuer: string,
  issuerKey: KeyObject,
): string {
  const body = der(
    SEQUENCE,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from(serial, 'hex')),
    SHA256_WITH_RSA,
    name(issuer),
    der(SEQUENCE, utcTime(FROM), utcTime(UNTIL)),
    name(subject),
    createPublicKey(subjectKey).export({ type: 'spki', format: 'der' }),
  );
  const signature = sign('sha256', body, issuerKey);
  const whole = der(SEQUENCE, body, SHA256_WITH_RSA, der(0x03, Buffer.from([0]), signature));
  return `-----BEGIN CERTIFICATE-----\n${whole.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()}\n-----END CERTIFICATE-----\n`;
}
