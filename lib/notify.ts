/**
 * The notify doors. Each message is read up to a cap, verified, compared and archived with its verdict; it is
 * acknowledged only after the commit that holds its effect. Nothing in the request can switch a check off.
 */
import { v3SignType } from './accounts.ts';
import type { Context } from './context.ts';
import { readBounded } from './http.ts';
import { archive, archiveUnbelieved, type NotificationKind } from './notify_archive.ts';
import { newId } from './numbers.ts';
import { askNotifiedRefund } from './refund_notice.ts';
import type { ArchivedMessage } from './settle.ts';
import { type ApiVersion, acknowledgeV2, NotificationError, type WechatPay } from './wechat/index.ts';

/** WeChat's messages are a few kilobytes; whatever is larger is not WeChat's. */
export const notificationLimit_bytes = 64 * 1_024;

/** WeChat waits five seconds for an answer; one that it would not hear is given before, as "not known". */
const answerWithin_ms = 4_000;

/** Headers worth keeping as evidence; cookies and whatever else a stranger sends are not. */
const keptHeaders = [
  'content-type',
  'content-length',
  'request-id',
  'user-agent',
  'wechatpay-nonce',
  'wechatpay-serial',
  'wechatpay-signature',
  'wechatpay-signature-type',
  'wechatpay-timestamp',
  'x-forwarded-for',
];

/** How a door answers: `taken` ends WeChat's retries, `refused` is a message not believed, `unknown` asks for another. */
interface Verdict {
  answer: 'taken' | 'refused' | 'unknown';
  /** For WeChat's log, in the language it writes its own. */
  text: string;
}

/** `POST /api/notify/v2/payment` and `/api/notify/v3/payment`. */
export function receivePayment(ctx: Context, api_version: ApiVersion, request: Request): Promise<Response> {
  return receive(ctx, api_version, 'payment', request, async (account, message, headers) => {
    const notification = await account.readPaymentNotification(message.body, headers);
    const settled = await ctx.settle({
      source: 'notification',
      report: notification.report,
      sign_type: notification.sign_type,
      message,
    });
    if (settled.verdict === 'applied' || settled.verdict === 'already')
      return { answer: 'taken', text: 'OK' };
    ctx.log.warn(
      { notification_id: message.id, verdict: settled.verdict, differs: settled.differs },
      'a signed notification does not describe our trade',
    );
    const texts = { mismatch: '与商户订单不符', unknown_order: '订单不存在', not_final: '状态未定' };
    return { answer: 'refused', text: texts[settled.verdict] };
  });
}

/**
 * `POST /api/notify/v2/refund` and `/api/notify/v3/refund`. The message only says which refund to ask about: v2's
 * carries no signature at all. A refund made in WeChat's console reaches a v3 merchant as v2's XML.
 */
export function receiveRefund(ctx: Context, api_version: ApiVersion, request: Request): Promise<Response> {
  return receive(ctx, api_version, 'refund', request, async (account, message, headers) => {
    const spoken = isXml(message.body) ? accountOf(ctx, 'v2') : account;
    if (spoken === undefined) throw new NotificationError('malformed', 'XML, but no v2 key is configured');
    const { out_refund_no, out_trade_no } = await spoken.readRefundNotification(message.body, headers);
    const verdict = await askNotifiedRefund(ctx, out_refund_no, out_trade_no);
    await archive(ctx, message, 'refund', { verdict, detail: out_refund_no, out_trade_no });
    if (verdict === 'applied' || verdict === 'already') return { answer: 'taken', text: 'OK' };
    if (verdict === 'unknown') return { answer: 'unknown', text: '系统繁忙' };
    return { answer: 'refused', text: '与商户退款不符' };
  });
}

/** What every door does around its own reading: cap, archive what is not believed, answer in WeChat's form. */
async function receive(
  ctx: Context,
  api_version: ApiVersion,
  kind: NotificationKind,
  request: Request,
  read: (account: WechatPay, message: ArchivedMessage, headers: Headers) => Promise<Verdict>,
): Promise<Response> {
  let message = archivable(ctx, api_version, request.headers, new Uint8Array());
  const verdict = await within(answerWithin_ms, async (signal): Promise<Verdict> => {
    const body = await readBounded(request, notificationLimit_bytes, signal);
    if (body !== undefined) message = { ...message, body };
    try {
      if (body === undefined) throw new NotificationError('malformed', 'the body is larger than 64 KiB');
      const account = accountOf(ctx, api_version);
      if (account === undefined)
        throw new NotificationError('malformed', `API ${api_version} is not configured`);
      return await read(account, message, request.headers);
    } catch (thrown) {
      if (thrown instanceof NotificationError) {
        await archiveUnbelieved(ctx, message, kind, thrown);
        return { answer: 'refused', text: thrown.verdict === 'bad_signature' ? '签名错误' : '报文有误' };
      }
      throw thrown;
    }
  }).catch((err: unknown): Verdict => {
    // Not known whether it was committed: WeChat's retry, or our own query, will tell.
    ctx.log.error({ notification_id: message.id, err }, 'notification not settled');
    return { answer: 'unknown', text: '系统繁忙' };
  });
  return api_version === 'v2' || isXml(message.body) ? answerV2(verdict) : answerV3(verdict);
}

/** What `work` comes to, or a rejection when the time is over; the signal tells it that nobody waits any more. */
async function within<Result>(
  limit_ms: number,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(new Error(`not done within ${limit_ms} ms`)), limit_ms);
  const late = new Promise<never>((_resolve, reject) => {
    over.signal.addEventListener('abort', () => reject(over.signal.reason), { once: true });
  });
  try {
    return await Promise.race([work(over.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** v2 asks for HTTP 200 and its own XML, whatever is said in it; only an outage of ours is a 500. */
function answerV2({ answer, text }: Verdict): Response {
  return new Response(acknowledgeV2(answer === 'taken' ? 'SUCCESS' : 'FAIL', text), {
    status: answer === 'unknown' ? 500 : 200,
    headers: { 'Content-Type': 'text/xml; charset=utf-8', 'Cache-Control': 'no-store' },
  });
}

/** v3 reads the status alone: 200 or 204 ends its retries, anything else asks for another delivery. */
function answerV3({ answer, text }: Verdict): Response {
  if (answer === 'taken')
    return new Response(null, { status: 204, headers: { 'Cache-Control': 'no-store' } });
  return new Response(JSON.stringify({ code: 'FAIL', message: text }), {
    status: answer === 'unknown' ? 500 : 400,
    headers: { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store' },
  });
}

/** The account that reads messages of a version; undefined when its keys are not configured. */
function accountOf(ctx: Context, api_version: ApiVersion): WechatPay | undefined {
  if (ctx.pay.api_version === api_version) return ctx.pay;
  if (api_version === 'v2') {
    if (ctx.config.WECHAT_API_V2_KEY === undefined) return undefined;
    return ctx.payOver({ api_version, sign_type: ctx.config.WECHAT_SIGN_TYPE });
  }
  if (ctx.config.WECHAT_API_V3_KEY === undefined || ctx.config.WECHAT_MERCHANT_KEY === undefined)
    return undefined;
  return ctx.payOver({ api_version, sign_type: v3SignType });
}

function isXml(body: Uint8Array): boolean {
  return body[0] === 0x3c;
}

function archivable(
  ctx: Context,
  api_version: ApiVersion,
  headers: Headers,
  body: Uint8Array,
): ArchivedMessage {
  const kept: Record<string, string> = {};
  for (const name of keptHeaders) {
    const value = headers.get(name);
    if (value !== null) kept[name] = value.slice(0, 1_024).replaceAll('\u0000', '');
  }
  return { id: newId(), received_at: ctx.now(), api_version, headers: kept, body };
}
