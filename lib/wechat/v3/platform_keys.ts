/**
 * The ring of keys the platform signs with: certificates by serial and the WeChat Pay public key by id, both at
 * once, because during a switch messages come under either. It never falls back to "the newest key".
 *
 * A serial it does not know starts one download for everybody who waits, and then none until the interval has
 * passed: strangers who invent serials cannot make us hammer the platform.
 */
import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { WechatError } from '../errors.ts';

export interface PlatformCertificate {
  serial: string;
  key: KeyObject;
  effective_at: Date;
  expires_at: Date;
}

/** What an operator may see of one key. The public key has no dates. */
export interface PlatformKeyInfo {
  serial: string;
  effective_at?: Date;
  expires_at?: Date;
}

export interface PlatformKeysSettings {
  certificates: readonly PlatformCertificate[];
  public_key?: { id: string; key: KeyObject } | undefined;
  /** Least time between two downloads. */
  refresh_interval_ms: number;
}

export type DownloadCertificates = () => Promise<readonly PlatformCertificate[]>;

/** After a download that was cut or unanswered; a plain refusal waits the whole interval. */
const RETRY_AFTER_FAILURE_MS = 15_000;
const CERTIFICATE_SERIAL = /^[0-9A-Fa-f]{8,64}$/;

/** One certificate from its PEM text, its dates from the certificate itself; throws `TypeError`. */
export function readCertificate(pem: string): PlatformCertificate {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch (cause) {
    throw new TypeError('not an X.509 certificate', { cause });
  }
  return {
    serial: certificate.serialNumber,
    key: requireRsa(certificate.publicKey),
    effective_at: certificate.validFromDate,
    expires_at: certificate.validToDate,
  };
}

/** The WeChat Pay public key from its PEM text; throws `TypeError`. */
export function readPublicKey(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch (cause) {
    throw new TypeError('not a public key in PEM', { cause });
  }
  return requireRsa(key);
}

function requireRsa(key: KeyObject): KeyObject {
  if (key.asymmetricKeyType !== 'rsa') throw new TypeError('not an RSA key');
  return key;
}

/** Serials are compared as numbers are: without case and leading zeros. A public key's id is compared as it is. */
export function sameSerial(a: string, b: string): boolean {
  return serialName(a) === serialName(b);
}

function serialName(serial: string): string {
  return CERTIFICATE_SERIAL.test(serial) ? serial.toUpperCase().replace(/^0+/, '') : serial;
}

export class PlatformKeys {
  readonly #public_key: { id: string; key: KeyObject } | undefined;
  readonly #configured: readonly PlatformCertificate[];
  readonly #refresh_interval_ms: number;
  readonly #download: DownloadCertificates;
  readonly #now: () => Date;
  #downloaded: readonly PlatformCertificate[] = [];
  #refreshing: Promise<boolean> | undefined;
  #refresh_allowed_ms = Number.NEGATIVE_INFINITY;
  #last_failure: unknown;

  constructor(settings: PlatformKeysSettings, download: DownloadCertificates, now: () => Date) {
    this.#public_key = settings.public_key;
    this.#configured = settings.certificates;
    this.#refresh_interval_ms = settings.refresh_interval_ms;
    this.#download = download;
    this.#now = now;
  }

  /** The id to send as `Wechatpay-Serial` with every request, when the merchant has a public key. */
  get public_key_id(): string | undefined {
    return this.#public_key?.id;
  }

  /** Why the last download failed, for whoever looks into an unknown serial. */
  get last_failure(): unknown {
    return this.#last_failure;
  }

  /** The key of that serial or id, if held and inside its validity now. */
  find(serial: string): KeyObject | undefined {
    if (this.#public_key?.id === serial) return this.#public_key.key;
    const now = this.#now();
    return this.#certificates().find((one) => sameSerial(one.serial, serial) && isValid(one, now))?.key;
  }

  /** As `find`, but a certificate serial we do not hold is worth one download. */
  async resolve(serial: string): Promise<KeyObject | undefined> {
    const held = this.find(serial);
    if (held !== undefined || !CERTIFICATE_SERIAL.test(serial)) return held;
    await this.refresh();
    return this.find(serial);
  }

  /** What to encrypt sensitive fields with: the public key, else the certificate that began last. */
  encryption(): { serial: string; key: KeyObject } | undefined {
    if (this.#public_key !== undefined) return { serial: this.#public_key.id, key: this.#public_key.key };
    const now = this.#now();
    return this.#certificates()
      .filter((one) => isValid(one, now))
      .reduce<PlatformCertificate | undefined>(
        (latest, one) => (latest === undefined || one.effective_at > latest.effective_at ? one : latest),
        undefined,
      );
  }

  /** All keys held, for people. */
  list(): PlatformKeyInfo[] {
    const certificates = this.#certificates().map(({ serial, effective_at, expires_at }) => ({
      serial,
      effective_at,
      expires_at,
    }));
    return this.#public_key === undefined ? certificates : [{ serial: this.#public_key.id }, ...certificates];
  }

  /**
   * Takes a downloaded list in place of the one before; configured certificates stay. An empty list changes
   * nothing: keys that may still be needed are not dropped for want of new ones.
   */
  rotate(certificates: readonly PlatformCertificate[]): void {
    if (certificates.length > 0) this.#downloaded = [...certificates];
  }

  /**
   * Downloads the list once, however many ask at the same moment, and at most once an interval.
   * Resolves with whether a list arrived; a failed download is kept in `last_failure`, not thrown.
   */
  refresh(): Promise<boolean> {
    if (this.#refreshing !== undefined) return this.#refreshing;
    if (this.#now().getTime() < this.#refresh_allowed_ms) return Promise.resolve(false);
    const refreshing = this.#refreshNow().finally(() => {
      this.#refreshing = undefined;
    });
    this.#refreshing = refreshing;
    return refreshing;
  }

  async #refreshNow(): Promise<boolean> {
    let wait_ms = this.#refresh_interval_ms;
    try {
      this.rotate(await this.#download());
      this.#last_failure = undefined;
      return true;
    } catch (cause) {
      this.#last_failure = cause;
      // A merchant on the public key has no list (404): asking again soon would not help.
      const refused = cause instanceof WechatError && cause.outcome === 'refused';
      if (!refused) wait_ms = Math.min(wait_ms, RETRY_AFTER_FAILURE_MS);
      return false;
    } finally {
      this.#refresh_allowed_ms = this.#now().getTime() + wait_ms;
    }
  }

  #certificates(): PlatformCertificate[] {
    const downloaded = this.#downloaded;
    const configured = this.#configured.filter(
      (one) => !downloaded.some((other) => sameSerial(one.serial, other.serial)),
    );
    return [...downloaded, ...configured];
  }
}

/** Inside its own dates: from its first moment until just before its last. */
export function isValid(certificate: PlatformCertificate, now: Date): boolean {
  return certificate.effective_at <= now && now < certificate.expires_at;
}
