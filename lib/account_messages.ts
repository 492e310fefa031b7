/**
 * The official account's server door. A message is read up to a cap, proved to be WeChat's, kept once however often it
 * is sent, and put on the queue in the same statement; the answer is `success` and never a word to the sender. Whoever
 * cannot prove to be WeChat learns nothing.
 */
import { hash } from 'node:crypto';
import type { Context } from './context.ts';
import { Prisma } from './db.ts';
import { readBounded } from './http.ts';
import { newId } from './numbers.ts';
import { enqueueSelect } from './queues.ts';
import {
  decryptPush,
  NotificationError,
  type PushSignature,
  parseXml,
  serverSignatureHolds,
  XmlError,
  type XmlFields,
} from './wechat/index.ts';

/** A text of 2 KB is WeChat's longest; whatever is larger than this is not WeChat's. */
const pushLimit_bytes = 64 * 1_024;
/** WeChat signs each of its three tries anew and makes them within fifteen seconds; the rest is for clocks that are off. */
const signatureLife_ms = 10 * 60_000;
/** WeChat waits five seconds, then shows the sender that the account is out of order. */
const answerWithin_ms = 4_000;

/** `GET`: WeChat asks once, when the address is set. Its `echostr` goes back, and to nobody else. */
export function checkServerAddress(ctx: Context, request: Request): Response {
  const token = ctx.config.WECHAT_SERVER_TOKEN;
  if (token === undefined) return new Response(null, { status: 404 });
  const { query, echostr } = signedQuery(request);
  if (echostr === '' || echostr.length > 256 || !isFromWechat(ctx, token, query)) return forbidden();
  return answerText(echostr);
}

/** `POST`: a message or an event, plain or encrypted. */
export async function receivePush(ctx: Context, request: Request): Promise<Response> {
  const token = ctx.config.WECHAT_SERVER_TOKEN;
  if (token === undefined) return new Response(null, { status: 404 });
  const over = AbortSignal.timeout(answerWithin_ms);
  try {
    // The address's own signature first: a stranger does not get to send a body.
    if (!isFromWechat(ctx, token, signedQuery(request).query)) return forbidden();
    const body = await readBounded(request, pushLimit_bytes, over);
    if (body === undefined) return new Response(null, { status: 413 });
    const opened = openPush(ctx, token, request, body);
    const kept = await Promise.race([keep(ctx, opened), tooLate(over)]);
    ctx.log.info({ msg_type: opened.msg_type, event: opened.event, kept }, 'pushed by WeChat');
    return answerText('success');
  } catch (thrown) {
    if (thrown instanceof NotificationError) {
      ctx.log.warn({ verdict: thrown.verdict, detail: thrown.message }, 'a push that is not believed');
      return thrown.verdict === 'malformed' ? new Response(null, { status: 400 }) : forbidden();
    }
    // Not kept, as far as we know: WeChat sends it again, and what was kept after all is dropped then.
    if (request.signal.aborted && !over.aborted) ctx.log.debug({ err: thrown }, 'the caller hung up');
    else ctx.log.error({ err: thrown }, 'a push was not kept');
    return new Response(null, { status: 500 });
  }
}

/** Signed with our token, and lately: an old address that somebody read in a log opens nothing. */
function isFromWechat(ctx: Context, token: string, query: PushSignature): boolean {
  if (!/^\d{1,12}$/.test(query.timestamp)) return false;
  const age_ms = ctx.now().getTime() - Number(query.timestamp) * 1_000;
  return Math.abs(age_ms) <= signatureLife_ms && serverSignatureHolds(token, query);
}

interface Push {
  sealed: 'plain' | 'aes';
  body: Buffer;
  dedupe_key: string;
  msg_type: string;
  event: string;
  openid: string;
}

function openPush(ctx: Context, token: string, request: Request, body: Uint8Array): Push {
  const encoding_aes_key = ctx.config.WECHAT_SERVER_AES_KEY;
  const { query, msg_signature, encrypt_type } = signedQuery(request);
  if (encrypt_type !== 'aes') {
    // A plain message's signature says nothing of its body, so with a key only what the key opens is believed.
    if (encoding_aes_key !== undefined) {
      throw new NotificationError('bad_signature', 'plain, although WECHAT_SERVER_AES_KEY is set');
    }
    return describe('plain', Buffer.from(body));
  }
  if (encoding_aes_key === undefined) {
    throw new NotificationError('undecryptable', 'encrypted, but WECHAT_SERVER_AES_KEY is not set');
  }
  const encrypt = envelope(body).Encrypt ?? '';
  const account = { appid: ctx.config.WECHAT_APPID, token, encoding_aes_key };
  const message = decryptPush(account, { ...query, signature: msg_signature }, encrypt);
  return describe('aes', Buffer.from(message));
}

function envelope(body: Uint8Array): XmlFields {
  try {
    return parseXml(body);
  } catch (cause) {
    if (!(cause instanceof XmlError)) throw cause;
    throw new NotificationError('malformed', cause.message, cause);
  }
}

/** Some events nest; they are kept as they came, told apart by their bytes. */
function describe(sealed: Push['sealed'], body: Buffer): Push {
  const unread = { sealed, body, dedupe_key: `sha256 ${hash('sha256', body, 'hex')}` };
  let fields: XmlFields;
  try {
    fields = parseXml(body);
  } catch (thrown) {
    if (!(thrown instanceof XmlError)) throw thrown;
    return { ...unread, msg_type: '', event: '', openid: '' };
  }
  const { MsgType = '', Event = '', FromUserName = '', CreateTime = '', MsgId, MsgID } = fields;
  // An event has no MsgId of its own; the MsgID of TEMPLATESENDJOBFINISH names the message that was sent.
  const key =
    MsgType !== 'event' && MsgId !== undefined
      ? `msg ${MsgId}`
      : `event ${FromUserName} ${CreateTime} ${Event} ${MsgID ?? ''}`;
  return {
    sealed,
    body,
    dedupe_key: key.length > 255 ? unread.dedupe_key : key,
    msg_type: MsgType.slice(0, 32),
    event: Event.slice(0, 64),
    openid: FromUserName.slice(0, 128),
  };
}

/** The row and its job, or neither; false when it was there already. */
async function keep(ctx: Context, push: Push): Promise<boolean> {
  const made = await ctx.db.$executeRaw(
    new Prisma.Sql(
      [
        'WITH kept AS (INSERT INTO account_message (id, dedupe_key, received_at, sealed, msg_type, event, openid, body) VALUES (',
        '::uuid, ',
        ', ',
        ', ',
        ', ',
        ', ',
        ', ',
        ', ',
        `) ON CONFLICT (dedupe_key) DO NOTHING RETURNING id)
        ${enqueueSelect('account_message', `jsonb_build_object('id', id)`, 'id::text')} FROM kept ON CONFLICT DO NOTHING`,
      ],
      [newId(), push.dedupe_key, ctx.now(), push.sealed, push.msg_type, push.event, push.openid, push.body],
    ),
  );
  return made === 1;
}

function tooLate(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('not kept in time')), { once: true });
  });
}

function signedQuery(request: Request) {
  const { searchParams } = new URL(request.url);
  const word = (name: string): string => searchParams.get(name) ?? '';
  return {
    query: { signature: word('signature'), timestamp: word('timestamp'), nonce: word('nonce') },
    echostr: word('echostr'),
    msg_signature: word('msg_signature'),
    encrypt_type: word('encrypt_type'),
  };
}

function forbidden(): Response {
  return new Response(null, { status: 403, headers: { 'Cache-Control': 'no-store' } });
}

function answerText(text: string): Response {
  return new Response(text, {
    headers: {
      'Content-Type': 'text/plain; charset=utf-8',
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
    },
  });
}
