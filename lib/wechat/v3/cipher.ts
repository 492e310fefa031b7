/**
 * The two ciphers of WeChat Pay v3: AES-256-GCM for what the platform hides from the wire (notifications,
 * certificates), RSA-OAEP with SHA-1 for single sensitive fields. It refuses short tags and anything that is not
 * plain Base64; decrypting proves possession of a key, never who sent the message.
 */
import {
  constants,
  createDecipheriv,
  createSecretKey,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
} from 'node:crypto';

const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** A ciphertext that does not open: wrong key, altered, cut, or never one. */
export class CipherRefused extends Error {
  override readonly name = 'CipherRefused';
}

export interface SealedResource {
  /** Base64 of the ciphertext and its 16-byte tag. */
  ciphertext: string;
  /** 12 characters; has nothing to do with the nonces of signatures. */
  nonce: string;
  /** Empty when the message has none. */
  associated_data: string;
}

/** The APIv3 key as WeChat's console shows it: exactly 32 bytes of ASCII, used as they are. */
export function apiV3Key(text: string): KeyObject {
  if (!/^[\x21-\x7e]{32}$/.test(text)) throw new TypeError('api_v3_key is not 32 printable ASCII characters');
  return createSecretKey(Buffer.from(text));
}

/** Opens a resource sealed with the APIv3 key; throws `CipherRefused`. */
export function openResource(resource: SealedResource, api_v3_key: KeyObject): Buffer {
  const sealed = fromBase64(resource.ciphertext);
  const nonce = Buffer.from(resource.nonce);
  if (sealed.length < TAG_BYTES) throw new CipherRefused('the ciphertext is shorter than its tag');
  if (nonce.length !== NONCE_BYTES) throw new CipherRefused('the nonce is not 12 bytes');
  const decipher = createDecipheriv('aes-256-gcm', api_v3_key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(resource.associated_data));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    // `final` is what authenticates: nothing is returned before it has agreed.
    return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]);
  } catch (cause) {
    throw new CipherRefused('the resource does not open with this APIv3 key', { cause });
  }
}

/** One sensitive field for the platform, Base64; at most 214 bytes of UTF-8 with a 2048-bit key. */
export function encryptField(text: string, platform_key: KeyObject): string {
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  return publicEncrypt({ key: platform_key, padding, oaepHash: 'sha1' }, Buffer.from(text)).toString(
    'base64',
  );
}

/** One sensitive field the platform encrypted to the merchant's certificate; throws `CipherRefused`. */
export function decryptField(ciphertext: string, merchant_key: KeyObject): string {
  const sealed = fromBase64(ciphertext);
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  try {
    return privateDecrypt({ key: merchant_key, padding, oaepHash: 'sha1' }, sealed).toString('utf8');
  } catch (cause) {
    throw new CipherRefused('the field does not open with this private key', { cause });
  }
}

function fromBase64(text: string): Buffer {
  if (!BASE64.test(text)) throw new CipherRefused('not Base64');
  return Buffer.from(text, 'base64');
}
