/**
 * The official account's server: proves that a request comes from WeChat, and opens and closes encrypted messages.
 * Knows nothing of what a message says.
 *
 * Source: WeChat Official Accounts, 消息推送, 消息加解密说明.
 */
import { createCipheriv, createDecipheriv, hash, timingSafeEqual } from 'node:crypto';
import { NotificationError } from './errors.ts';

export interface MessagePushAccount {
  appid: string;
  token: string;
  /** 43 characters. */
  encoding_aes_key: string;
}

/** What stands in the query of every push. */
export interface PushSignature {
  signature: string;
  timestamp: string;
  nonce: string;
}

const BLOCK_BYTES = 32;
const RANDOM_BYTES = 16;
const LENGTH_BYTES = 4;

/** Whether `signature` is made with our token: of the address check and of plain pushes. */
export function serverSignatureHolds(token: string, { signature, timestamp, nonce }: PushSignature): boolean {
  return sameText(signature, sortedSha1(token, timestamp, nonce));
}

/**
 * Opens the `Encrypt` text of a push (or the `echostr` of an encrypted address check) whose `msg_signature` is
 * `signature`. Gives the message inside, usually XML. Throws `NotificationError`.
 */
export function decryptPush(account: MessagePushAccount, signed: PushSignature, encrypt: string): string {
  const expected = sortedSha1(account.token, signed.timestamp, signed.nonce, encrypt);
  if (!sameText(signed.signature, expected)) {
    throw new NotificationError('bad_signature', 'msg_signature does not hold');
  }
  const plain = unpad(decipher(account, encrypt));
  const message_start = RANDOM_BYTES + LENGTH_BYTES;
  if (plain.length < message_start) throw undecryptable('too short');
  const message_end = message_start + plain.readUInt32BE(RANDOM_BYTES);
  if (message_end > plain.length) throw undecryptable('its length does not fit');
  if (plain.toString('utf8', message_end) !== account.appid)
    throw undecryptable('it is meant for another account');
  return plain.toString('utf8', message_start, message_end);
}

/** A passive reply, encrypted; `random` is 16 bytes. */
export function encryptPush(
  account: MessagePushAccount,
  message: string,
  made: { timestamp: string; nonce: string; random: Uint8Array },
): string {
  if (made.random.length !== RANDOM_BYTES) throw new RangeError(`random must be ${RANDOM_BYTES} bytes`);
  const body = Buffer.from(message);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(body.length);
  const plain = pad(Buffer.concat([made.random, length, body, Buffer.from(account.appid)]));
  const key = aesKey(account);
  const cipher = createCipheriv('aes-256-cbc', key, key.subarray(0, 16)).setAutoPadding(false);
  const encrypt = Buffer.concat([cipher.update(plain), cipher.final()]).toString('base64');
  const signature = sortedSha1(account.token, made.timestamp, made.nonce, encrypt);
  return `<xml>
<Encrypt><![CDATA[${encrypt}]]></Encrypt>
<MsgSignature><![CDATA[${signature}]]></MsgSignature>
<TimeStamp>${made.timestamp}</TimeStamp>
<Nonce><![CDATA[${made.nonce}]]></Nonce>
</xml>`;
}

function decipher(account: MessagePushAccount, encrypt: string): Buffer {
  const key = aesKey(account);
  const opened = createDecipheriv('aes-256-cbc', key, key.subarray(0, 16)).setAutoPadding(false);
  try {
    return Buffer.concat([opened.update(encrypt, 'base64'), opened.final()]);
  } catch (cause) {
    throw undecryptable('no whole blocks', cause);
  }
}

function aesKey(account: MessagePushAccount): Buffer {
  const key = Buffer.from(`${account.encoding_aes_key}=`, 'base64');
  if (key.length !== 32) throw new RangeError('encoding_aes_key must be 43 characters of base64');
  return key;
}

/** PKCS#7 with a block of 32, which no library pads by itself. */
function pad(plain: Buffer): Buffer {
  const padding = BLOCK_BYTES - (plain.length % BLOCK_BYTES);
  return Buffer.concat([plain, Buffer.alloc(padding, padding)]);
}

function unpad(padded: Buffer): Buffer {
  const padding = padded.at(-1) ?? 0;
  if (padding < 1 || padding > BLOCK_BYTES || padding > padded.length)
    throw undecryptable('its padding is wrong');
  return padded.subarray(0, padded.length - padding);
}

function sortedSha1(...parts: string[]): string {
  return hash('sha1', parts.sort().join(''), 'hex');
}

function sameText(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function undecryptable(why: string, cause?: unknown): NotificationError {
  return new NotificationError('undecryptable', `the push does not open: ${why}`, cause);
}
