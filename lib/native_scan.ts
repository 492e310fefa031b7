/**
 * NATIVE mode 1: somebody scanned a printed code, and WeChat waits for the order it stands for. A code names an order of
 * ours or goods on the shelf; goods become an order of the scanner's. What is not signed by WeChat becomes nothing.
 */
import { createHash } from 'node:crypto';
import type { Context } from './context.ts';
import { AppError, explain } from './errors.ts';
import { clientIp, readBounded } from './http.ts';
import { notificationLimit_bytes } from './notify.ts';
import { numberPattern } from './numbers.ts';
import { placeOrder } from './orders.ts';
import type { Session } from './sessions.ts';
import { placeTrade } from './trades.ts';
import { isOpened } from './ways.ts';
import {
  acknowledgeV2,
  type NativeAnswer,
  type NativeCodes,
  type NativeScan,
  NotificationError,
} from './wechat/index.ts';

/** `POST /api/wechat/native`, the address set in the merchant platform as 扫码回调链接. */
export async function receiveScan(ctx: Context, request: Request): Promise<Response> {
  const codes = printedCodes(ctx);
  if (codes === undefined) return new Response(null, { status: 404 });
  let scan: NativeScan;
  try {
    const body = await readBounded(request, notificationLimit_bytes);
    if (body === undefined) throw new NotificationError('malformed', 'the body is larger than 64 KiB');
    scan = codes.readScan(body);
  } catch (thrown) {
    if (!(thrown instanceof NotificationError)) throw thrown;
    ctx.log.warn({ verdict: thrown.verdict, why: thrown.message }, 'a scan is not believed');
    return xml(acknowledgeV2('FAIL', thrown.verdict === 'bad_signature' ? '签名错误' : '报文有误'));
  }
  return xml(codes.answer(await answerOf(ctx, scan, clientIp(ctx, request.headers))));
}

/**
 * Only over v2, only when NATIVE is opened, and for no service provider: WeChat's documents for providers describe mode 2
 * alone, so whose openid such a scan tells, and what its answer must hold, is known to nobody here.
 */
export function printedCodes(ctx: Pick<Context, 'config' | 'pay'>): NativeCodes | undefined {
  const { config, pay } = ctx;
  return isOpened(config, 'NATIVE') && config.WECHAT_SUB_MERCHANTS === undefined ? pay.native : undefined;
}

async function answerOf(ctx: Context, scan: NativeScan, payer_client_ip: string): Promise<NativeAnswer> {
  try {
    const { order_no, session } = await orderOf(ctx, scan);
    const { placed } = await placeTrade(ctx, { session, payer_client_ip }, order_no, 'NATIVE');
    if (placed.prepay_id === null) throw new Error(`${placed.out_trade_no} was placed without a prepay_id`);
    return { result_code: 'SUCCESS', prepay_id: placed.prepay_id };
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    ctx.log.warn({ product_id: scan.product_id, code: thrown.code }, 'a scan got no order');
    // The payer reads it on the phone.
    return { result_code: 'FAIL', err_code_des: explain(new AppError(thrown.code), 'zh') };
  }
}

/**
 * A code that names an order is paid by whoever scans it, as any NATIVE code. One that names goods makes an order of
 * the scanner's: one for each scan, however often WeChat tells of it.
 */
async function orderOf(
  ctx: Context,
  { product_id, openid, nonce_str }: NativeScan,
): Promise<{ order_no: string; session: Session | undefined }> {
  if (numberPattern.test(product_id)) return { order_no: product_id, session: undefined };
  const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
  // No row and no cookie: an identity that only a signed scan can take.
  const session: Session = { id: digest(`scan ${openid}`), kind: 'shopper', openid, admin_id: null };
  const { order_no } = await placeOrder(ctx, session, {
    items: [{ product_id, quantity: 1 }],
    checkout_key: digest(`${nonce_str} ${product_id}`),
  });
  return { order_no, session };
}

function xml(text: string): Response {
  return new Response(text, {
    headers: { 'Content-Type': 'text/xml; charset=utf-8', 'Cache-Control': 'no-store' },
  });
}
