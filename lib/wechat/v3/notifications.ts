/**
 * Reads the platform's notifications: signature over the raw bytes first, then strict JSON, then decryption, then
 * the event. What comes out is verified, not yet believed: comparing appid, merchant and amount with our own row is
 * the caller's. It refuses by `NotificationError`, never by an exception of a parser or a cipher.
 *
 * A refund made by hand in the merchant console, and one whose own `notify_url` was not given, is announced as v2 XML
 * even to a v3 merchant (WeChat Pay v3, 退款结果通知): that is for the v2 reader, so a door that serves both must look
 * at the first byte before it chooses.
 */
import { NotificationError, type NotificationVerdict } from '../errors.ts';
import type { PaymentNotification, RefundNotification } from '../types.ts';
import { SCHEME } from './authorization.ts';
import { CipherRefused, openResource } from './cipher.ts';
import { type Fields, readFields } from './fields.ts';
import { JsonRefused } from './json.ts';
import { REFUND_STATUSES, readTrade } from './reports.ts';
import type { Merchant } from './settings.ts';
import { type FindPlatformKey, type Refusal, verifyMessage } from './verify.ts';

const VERDICTS = {
  unsigned: 'bad_signature',
  bad_signature: 'bad_signature',
  stale: 'stale',
  unknown_serial: 'unknown_serial',
  probe: 'probe',
} as const satisfies Record<Refusal, NotificationVerdict>;

const REFUND_EVENTS = {
  'REFUND.SUCCESS': 'SUCCESS',
  'REFUND.ABNORMAL': 'ABNORMAL',
  'REFUND.CLOSED': 'CLOSED',
} as const;

interface Opened {
  id: string;
  event_type: string;
  content: Fields;
}

/** `TRANSACTION.SUCCESS`; another event that verifies is `not_success` and may be acknowledged unread. */
export async function readPaymentNotification(
  merchant: Merchant,
  find: FindPlatformKey,
  raw: Uint8Array,
  headers: Headers,
  now: Date,
): Promise<PaymentNotification> {
  await verifyNotification(headers, raw, find, now);
  return reading(() => {
    const { id, content } = open(merchant, raw, 'transaction', (event) => event === 'TRANSACTION.SUCCESS');
    const report = readTrade(content);
    if (report.trade_state !== 'SUCCESS') throw new JsonRefused('trade_state is not what the event says');
    return { report, sign_type: SCHEME, notification_id: id };
  });
}

/** `REFUND.SUCCESS`, `.ABNORMAL` or `.CLOSED` of this merchant; it only tells which refund to query. */
export async function readRefundNotification(
  merchant: Merchant,
  find: FindPlatformKey,
  raw: Uint8Array,
  headers: Headers,
  now: Date,
): Promise<RefundNotification> {
  await verifyNotification(headers, raw, find, now);
  return reading(() => {
    const { id, event_type, content } = open(merchant, raw, 'refund', (event) =>
      Object.hasOwn(REFUND_EVENTS, event),
    );
    // A provider has one address for all its sub-merchants, so the message itself says whose form it has.
    const mch_id = content.identifier(content.has('sp_mchid') ? 'sp_mchid' : 'mchid');
    if (mch_id !== merchant.mch_id) throw new JsonRefused('the refund is another merchant’s');
    const status = content.word('refund_status', REFUND_STATUSES);
    if (event_type !== `REFUND.${status}`) throw new JsonRefused('refund_status is not what the event says');
    return {
      out_refund_no: content.identifier('out_refund_no'),
      out_trade_no: content.identifier('out_trade_no'),
      refund_id: content.identifier('refund_id'),
      status,
      notification_id: id,
    };
  });
}

async function verifyNotification(
  headers: Headers,
  raw: Uint8Array,
  find: FindPlatformKey,
  now: Date,
): Promise<void> {
  const verification = await verifyMessage(headers, raw, find, now);
  if (verification.verdict === 'verified') return;
  throw new NotificationError(VERDICTS[verification.verdict], verification.reason);
}

/** The envelope and, when the event is one the caller wants, its decrypted content. */
function open(
  merchant: Merchant,
  raw: Uint8Array,
  original_type: string,
  wanted: (event_type: string) => boolean,
): Opened {
  const envelope = readFields(raw);
  const id = envelope.identifier('id');
  const event_type = envelope.text('event_type', 64);
  if (!wanted(event_type)) throw new NotificationError('not_success', `the event is ${event_type}`);
  envelope.word('resource_type', { 'encrypt-resource': 'encrypt-resource' });
  const resource = envelope.object('resource');
  resource.word('algorithm', { AEAD_AES_256_GCM: 'AEAD_AES_256_GCM' });
  resource.word('original_type', { [original_type]: original_type });
  const content = openResource(
    {
      ciphertext: resource.text('ciphertext', 1024 * 1024),
      nonce: resource.text('nonce', 12),
      associated_data: resource.optionalText('associated_data') ?? '',
    },
    merchant.api_v3_key,
  );
  return { id, event_type, content: readFields(content) };
}

function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof JsonRefused) throw new NotificationError('malformed', cause.message, cause);
    if (cause instanceof CipherRefused) throw new NotificationError('undecryptable', cause.message, cause);
    throw cause;
  }
}
