/**
 * Talking to WeChat about a refund: sending it under its own number as often as it takes, and asking what became
 * of it. An unknown answer changes nothing; only WeChat's word does.
 */
import { speechColumns } from './accounts.ts';
import type { Context } from './context.ts';
import { addEvent, asWechatError, type EventSource, exchangeData } from './events.ts';
import { enqueue } from './queues.ts';
import { type RefundVerdict, settleRefund } from './settle_refund.ts';
import type { PlaceRefund, ReportedRefund } from './wechat/index.ts';

/** Refusals that pass by themselves, with a top-up or with a certificate: the same number is sent again later. */
const passing = new Set([
  'NO_CERTIFICATE',
  'CERT_ERROR',
  'CA_ERROR',
  'NOTENOUGH',
  'NOT_ENOUGH',
  'FREQUENCY_LIMITED',
  'FREQUENCY_LIMIT_EXCEED',
  'RATELIMIT_EXCEEDED',
  'INVALID_REQ_TOO_MUCH',
  'BIZERR_NEED_RETRY',
  'ORDER_NOT_READY',
]);

const columns = {
  out_refund_no: true,
  out_trade_no: true,
  order_no: true,
  state: true,
  refund_fen: true,
  total_fen: true,
  reason: true,
  created_at: true,
  trade: { select: { ...speechColumns, transaction_id: true } },
} as const;

/** One step of a refund's way: send it, or ask about it. Returns when to take the next step, or undefined at the end. */
export async function followRefund(ctx: Context, out_refund_no: string): Promise<Date | undefined> {
  const refund = await ctx.db.refund.findUnique({ where: { out_refund_no }, select: columns });
  if (refund === null) return undefined;
  const after = (seconds: number): Date => new Date(ctx.now().getTime() + seconds * 1_000);
  if (refund.state === 'REQUESTED') {
    const sent = await sendRefund(ctx, out_refund_no);
    if (sent === 'over') return undefined;
    return sent === 'sent' ? after(20) : after(sent === 'later' ? 300 : 10);
  }
  if (refund.state === 'PROCESSING' || refund.state === 'ABNORMAL') {
    await askRefund(ctx, out_refund_no, 'worker');
    const now = await ctx.db.refund.findUniqueOrThrow({ where: { out_refund_no }, select: { state: true } });
    if (now.state !== 'PROCESSING' && now.state !== 'ABNORMAL') return undefined;
    const age_s = (ctx.now().getTime() - refund.created_at.getTime()) / 1_000;
    return after(age_s < 600 ? 60 : age_s < 86_400 ? 1_800 : 21_600);
  }
  return undefined;
}

/** `sent`: WeChat accepted it. `unknown`: send again. `later`: refused for now. `over`: refused for good. */
export type SendOutcome = 'sent' | 'unknown' | 'later' | 'over';

/** Sends a requested refund once; several callers at a time make one call. */
export async function sendRefund(ctx: Context, out_refund_no: string): Promise<SendOutcome> {
  const now = ctx.now();
  const { count } = await ctx.db.refund.updateMany({
    where: {
      out_refund_no,
      state: 'REQUESTED',
      OR: [{ sending_until: null }, { sending_until: { lte: now } }],
    },
    data: { sending_until: new Date(now.getTime() + ctx.config.WECHAT_TIMEOUT_MS + 1_000) },
  });
  if (count !== 1) return 'unknown';
  const refund = await ctx.db.refund.findUniqueOrThrow({ where: { out_refund_no }, select: columns });
  const { order_no, out_trade_no, trade } = refund;
  const request: PlaceRefund = {
    out_refund_no,
    out_trade_no,
    ...(trade.transaction_id === null ? {} : { transaction_id: trade.transaction_id }),
    total_fen: refund.total_fen,
    refund_fen: refund.refund_fen,
    reason: refund.reason,
    notify_url: `${ctx.config.PUBLIC_URL}/api/notify/${trade.api_version}/refund`,
  };
  const tell = (data: ReturnType<typeof exchangeData>, kind: 'refund_sent' | 'refund_refused') =>
    addEvent(ctx.db, {
      at: ctx.now(),
      order_no,
      out_trade_no,
      kind,
      source: 'worker',
      data: { out_refund_no, ...data },
    });
  let told: ReportedRefund;
  try {
    told = await ctx.payFor(trade).placeRefund(request);
  } catch (thrown) {
    const error = asWechatError(thrown);
    const later = passing.has(error.code);
    const refused = !later && (error.outcome === 'refused' || error.code === 'ERROR');
    await tell(exchangeData(error.exchange, error), refused ? 'refund_refused' : 'refund_sent');
    // A refusal speaks of this call alone, and v2's ERROR is a bag: an earlier call may have been accepted unheard.
    const asked = refused ? await askRefund(ctx, out_refund_no, 'worker') : undefined;
    if (asked === 'applied' || asked === 'already') return 'sent';
    const release = asked === 'not_found';
    await ctx.db.refund.updateMany({
      where: { out_refund_no, state: 'REQUESTED' },
      data: {
        sending_until: null,
        refused_code: later || refused ? error.code : null,
        ...(release ? { state: 'REFUSED', ended_at: ctx.now() } : {}),
      },
    });
    if (release) return 'over';
    return later || asked === 'mismatch' ? 'later' : 'unknown';
  }
  await tell(exchangeData(told.exchange), 'refund_sent');
  await settleRefund(ctx, told.report, 'worker');
  return 'sent';
}

/**
 * Asks WeChat about a refund, ours or the console's, and settles what it says. `out_trade_no` is whose trade a refund
 * that we do not know is said to be of: it tells over which account to ask.
 */
export async function askRefund(
  ctx: Context,
  out_refund_no: string,
  source: EventSource,
  out_trade_no?: string,
): Promise<RefundVerdict | 'unknown' | 'not_found'> {
  const refund = await ctx.db.refund.findUnique({ where: { out_refund_no }, select: columns });
  const trade =
    refund?.trade ??
    (out_trade_no === undefined
      ? null
      : await ctx.db.trade.findUnique({ where: { out_trade_no }, select: speechColumns }));
  const account = trade === null ? ctx.pay : ctx.payFor(trade);
  let told: ReportedRefund;
  try {
    told = await account.queryRefund(out_refund_no);
  } catch (thrown) {
    const error = asWechatError(thrown);
    if (refund !== null) {
      await addEvent(ctx.db, {
        at: ctx.now(),
        order_no: refund.order_no,
        out_trade_no: refund.out_trade_no,
        kind: 'refund_query',
        source,
        data: { out_refund_no, ...exchangeData(error.exchange, error) },
      });
    }
    const missing = error.code === 'REFUNDNOTEXIST' || error.code === 'RESOURCE_NOT_EXISTS';
    return missing ? 'not_found' : 'unknown';
  }
  const verdict = await settleRefund(ctx, told.report, source);
  const settled = await ctx.db.refund.findUnique({ where: { out_refund_no }, select: columns });
  if (settled !== null) {
    await addEvent(ctx.db, {
      at: ctx.now(),
      order_no: settled.order_no,
      out_trade_no: settled.out_trade_no,
      kind: 'refund_query',
      source,
      data: { out_refund_no, ...exchangeData(told.exchange), status: told.report.status, verdict },
    });
    if (settled.state === 'PROCESSING') {
      await ctx.db.$executeRaw(
        enqueue('refund_follow', { out_refund_no }, out_refund_no, new Date(ctx.now().getTime() + 60_000)),
      );
    }
  }
  return verdict;
}
