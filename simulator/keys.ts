// RSA keys and X.509 certificates of the demo merchant and of the platform, made from the seed on first use, so
// that they are the same on every machine. They guard nothing: anybody can make them.

import { checkPrimeSync, createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { pkcs12 } from './pkcs12.ts';
import { type CertificateWanted, certificatePem } from './x509.ts';

export type Certificate = { key_pem: string; cert_pem: string; serial: string };
export type Keyring = ReturnType<typeof createKeyring>;

const ROOT = 'Simulated Tenpay Root CA';

/** Keys already made in this process, by seed and purpose: the same seed always gives the same key. */
const MADE = new Map<string, KeyObject>();

/** Keys are made when first asked for, about a tenth of a second each. */
export function createKeyring(seed: string) {
  const certificates = new Map<string, Certificate>();
  const bundles = new Map<string, Buffer>();

  function key(what: string): KeyObject {
    const known = MADE.get(`${seed}|${what}`);
    if (known !== undefined) return known;
    const fresh = rsaFrom(`${seed}|${what}`);
    MADE.set(`${seed}|${what}`, fresh);
    return fresh;
  }

  function issue(what: string, name: string, use: CertificateWanted['use'], hosts: string[]): Certificate {
    const known = certificates.get(what);
    if (known !== undefined) return known;
    const serial = createHash('sha1')
      .update(`${seed}|serial|${what}`)
      .digest('hex')
      .toUpperCase()
      .replace(/^./, '5');
    const subject_key = key(what);
    const issuer_key = key('root');
    const certificate = {
      key_pem: subject_key.export({ type: 'pkcs8', format: 'pem' }).toString(),
      cert_pem: certificatePem({ serial, subject: name, subject_key, issuer: ROOT, issuer_key, use, hosts }),
      serial,
    };
    certificates.set(what, certificate);
    return certificate;
  }

  return {
    key,
    /** A certificate for `name`, issued by the simulator's own root; `client` ones open its TLS doors. */
    certificate: (what: string, name: string, use: 'client' | 'signer' = 'signer') =>
      issue(what, name, use, []),
    /** A certificate and its key in one PKCS #12 file. */
    bundle({ serial, cert_pem, key_pem }: Certificate, passphrase: string): Buffer {
      const known = bundles.get(serial) ?? pkcs12(cert_pem, key_pem, passphrase);
      bundles.set(serial, known);
      return known;
    },
    /** The certificate of the TLS listener for these names and addresses. */
    serverCertificate: (hosts: string[]) => issue('tls server', hosts[0] ?? 'localhost', 'server', hosts),
    /** The root itself, which a client must trust to reach the TLS listener. */
    authority: () => issue('root', ROOT, 'authority', []),
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

/** The odd primes below a thousand: most candidates fall here, cheaply. */
const SMALL = Array.from({ length: 499 }, (_, i) => 2 * i + 3)
  .filter((n) => {
    for (let d = 3; d * d <= n; d += 2) if (n % d === 0) return false;
    return true;
  })
  .map(BigInt);

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
