/**
 * The notify doors. Each message is read up to a cap, verified, compared and archived with its verdict; it is
 * acknowledged only after the commit that holds its effect. Nothing in the request can switch a check off.
 */

import type { Context } from './context.ts';
import { readBounded } from './http.ts';
import { newId } from './numbers.ts';
import type { ArchivedMessage } from './settle.ts';
import type { SettleVerdict } from './states.ts';
import { acknowledgeV2, NotificationError } from './wechat/index.ts';

/** WeChat's messages are a few kilobytes; whatever is larger is not WeChat's. */
export const notificationLimit_bytes = 64 * 1_024;

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

/** `POST /api/notify/v2/payment`: WeChat's XML in, exactly WeChat's XML out. */
export async function receivePaymentV2(ctx: Context, request: Request): Promise<Response> {
  const body = await readBounded(request, notificationLimit_bytes);
  const message = archivable(ctx, request.headers, body ?? new Uint8Array());
  try {
    if (body === undefined) throw new NotificationError('malformed', 'the body is larger than 64 KiB');
    const notification = await ctx.pay.readPaymentNotification(body, request.headers);
    const settled = await ctx.settle({
      source: 'notification',
      report: notification.report,
      sign_type: notification.sign_type,
      message,
    });
    if (settled.verdict === 'applied' || settled.verdict === 'already') return answerV2('SUCCESS', 'OK');
    ctx.log.warn(
      { notification_id: message.id, verdict: settled.verdict, differs: settled.differs },
      'a signed notification does not describe our trade',
    );
    return answerV2('FAIL', reasons[settled.verdict]);
  } catch (thrown) {
    if (thrown instanceof NotificationError) {
      await archiveRefused(ctx, message, thrown);
      return answerV2('FAIL', thrown.verdict === 'bad_signature' ? '签名错误' : '报文有误');
    }
    // Not known whether it was committed: WeChat's retry, or our own query, will tell.
    ctx.log.error({ notification_id: message.id, err: thrown }, 'notification not settled');
    return answerV2('FAIL', '系统繁忙', 500);
  }
}

const reasons: Record<Exclude<SettleVerdict, 'applied' | 'already'>, string> = {
  mismatch: '与商户订单不符',
  unknown_order: '订单不存在',
  not_final: '状态未定',
};

function answerV2(code: 'SUCCESS' | 'FAIL', text: string, status = 200): Response {
  return new Response(acknowledgeV2(code, text), {
    status,
    headers: { 'Content-Type': 'text/xml; charset=utf-8', 'Cache-Control': 'no-store' },
  });
}

function archivable(ctx: Context, headers: Headers, body: Uint8Array): ArchivedMessage {
  const kept: Record<string, string> = {};
  for (const name of keptHeaders) {
    const value = headers.get(name);
    if (value !== null) kept[name] = value.slice(0, 1_024).replaceAll('\u0000', '');
  }
  return { id: newId(), received_at: ctx.now(), api_version: 'v2', headers: kept, body };
}

/** A message that was not believed is kept as it came, with why. */
async function archiveRefused(
  ctx: Context,
  message: ArchivedMessage,
  error: NotificationError,
): Promise<void> {
  await ctx.db.notification.create({
    data: {
      id: message.id,
      received_at: message.received_at,
      api_version: message.api_version,
      kind: 'payment',
      headers: message.headers,
      body: Buffer.from(message.body),
      verdict: error.verdict,
      detail: error.message.slice(0, 500).replaceAll('\u0000', ''),
    },
    select: { id: true },
  });
  ctx.log.warn({ notification_id: message.id, verdict: error.verdict }, 'notification refused');
}
