/**
 * The way out of a refund that WeChat could not deliver: to a bank card of the payer's, or back to the merchant's own. An
 * operator decides it, WeChat is asked first how the refund stands, and card number and name are kept nowhere here: they
 * travel encrypted to WeChat's key, and only the last four digits stay in the operators' book. v2 has no such call.
 */
import { z } from 'zod';
import { speechColumns } from './accounts.ts';
import { addAudit, auditingRefusals, type Operator } from './admin_audit.ts';
import { abnormalRefundBankTypes } from './banks.ts';
import type { Context } from './context.ts';
import { AppError } from './errors.ts';
import { addEvent, asWechatError, exchangeData } from './events.ts';
import { numberPattern } from './numbers.ts';
import { enqueue } from './queues.ts';
import { askRefund } from './refund_call.ts';
import { settleRefund } from './settle_refund.ts';
import type { HeldRefundState } from './states.ts';
import type { ReportedRefund, WechatPay, WechatPayV3 } from './wechat/index.ts';

const out_refund_no = z.string().regex(/^[0-9A-Za-z_\-|*@]{1,64}$/, 'must be a refund number');

export const abnormalInput = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('MERCHANT_BANK_CARD'), out_refund_no }),
  z.strictObject({
    type: z.literal('USER_BANK_CARD'),
    out_refund_no,
    bank_type: z.enum(abnormalRefundBankTypes),
    bank_account: z
      .string()
      .transform((text) => text.replace(/[ -]/g, ''))
      .pipe(z.string().regex(/^\d{12,24}$/, 'must be 12 to 24 digits')),
    real_name: z.string().trim().min(1, 'must not be empty').max(64, 'must be at most 64 characters'),
  }),
]);
export type AbnormalInput = z.output<typeof abnormalInput>;

export interface AbnormalOutcome {
  out_refund_no: string;
  state: HeldRefundState;
  /** `unknown`: WeChat's answer did not come; the queue asks, and nothing is sent a second time meanwhile. */
  outcome: 'accepted' | 'refused' | 'unknown';
  /** WeChat's code when it refused. */
  refused_code: string | null;
}

/**
 * Sends an abnormal refund on another way. Throws `not_found`, `refund_not_abnormal` (also when WeChat says that it is
 * not, or not any more), `refund_abnormal_v2`, `busy` while somebody else is at it.
 */
export function resolveAbnormal(
  ctx: Context,
  operator: Operator,
  order_no: string,
  input: AbnormalInput,
): Promise<AbnormalOutcome> {
  if (!numberPattern.test(order_no)) throw new AppError('not_found');
  const wish = told(input);
  return auditingRefusals(ctx, operator, 'refund_abnormal_refused', order_no, wish, async () => {
    const refund = await ctx.db.refund.findUnique({
      where: { out_refund_no: input.out_refund_no },
      select: { order_no: true, out_trade_no: true, state: true, trade: { select: speechColumns } },
    });
    if (refund === null || refund.order_no !== order_no) {
      throw new AppError('not_found', { field: 'out_refund_no' });
    }
    if (refund.state !== 'ABNORMAL') throw new AppError('refund_not_abnormal');
    const account = ctx.payFor(refund.trade);
    if (!speaksV3(account)) throw new AppError('refund_abnormal_v2');
    const done = await send(ctx, account, refund, input);
    await addAudit(ctx, operator, 'refund_abnormal', order_no, { ...wish, ...done });
    return done;
  });
}

function speaksV3(account: WechatPay): account is WechatPayV3 {
  return account.api_version === 'v3';
}

/** What may be written down of a wish. */
function told(input: AbnormalInput): Record<string, string> {
  const { type, out_refund_no } = input;
  if (type === 'MERCHANT_BANK_CARD') return { type, out_refund_no };
  return { type, out_refund_no, bank_type: input.bank_type, card_ends: input.bank_account.slice(-4) };
}

async function send(
  ctx: Context,
  account: WechatPayV3,
  { order_no, out_trade_no }: { order_no: string; out_trade_no: string },
  input: AbnormalInput,
): Promise<AbnormalOutcome> {
  const { out_refund_no } = input;
  const now = ctx.now();
  const until = new Date(now.getTime() + 2 * ctx.config.WECHAT_TIMEOUT_MS + 1_000);
  const { count } = await ctx.db.refund.updateMany({
    where: {
      out_refund_no,
      state: 'ABNORMAL',
      OR: [{ sending_until: null }, { sending_until: { lte: now } }],
    },
    data: { sending_until: until },
  });
  if (count !== 1) throw new AppError('busy');
  try {
    // What we hold may be hours old: somebody may have mended it in WeChat's own console.
    await askRefund(ctx, out_refund_no, 'operator');
    const refund = await ctx.db.refund.findUniqueOrThrow({ where: { out_refund_no } });
    if (refund.state !== 'ABNORMAL' || refund.refund_id === null) throw new AppError('refund_not_abnormal');
    const write = (kind: 'refund_sent' | 'refund_refused', data: ReturnType<typeof exchangeData>) =>
      addEvent(ctx.db, {
        at: ctx.now(),
        order_no,
        out_trade_no,
        kind,
        source: 'operator',
        data: { ...told(input), ...data },
      });
    let reported: ReportedRefund;
    try {
      reported = await account.applyAbnormalRefund({ ...input, refund_id: refund.refund_id });
    } catch (thrown) {
      const error = asWechatError(thrown);
      const refused = error.outcome === 'refused';
      await write(
        refused ? 'refund_refused' : 'refund_sent',
        exchangeData(withoutBody(error.exchange), error),
      );
      // Not heard is not refused: only WeChat's own word moves the refund.
      if (!refused) await askRefund(ctx, out_refund_no, 'operator');
      return await standing(ctx, out_refund_no, refused ? 'refused' : 'unknown', refused ? error.code : null);
    }
    await write('refund_sent', exchangeData(withoutBody(reported.exchange)));
    await settleRefund(ctx, reported.report, 'operator');
    const next = new Date(ctx.now().getTime() + 20_000);
    await ctx.db.$executeRaw(enqueue('refund_follow', { out_refund_no }, out_refund_no, next));
    return await standing(ctx, out_refund_no, 'accepted', null);
  } finally {
    await ctx.db.refund.updateMany({
      where: { out_refund_no, sending_until: until },
      data: { sending_until: null },
    });
  }
}

/** The card in it is encrypted, and still nobody's business here. */
function withoutBody<Exchange extends { request_body: string }>(
  exchange: Exchange | undefined,
): Exchange | undefined {
  return exchange === undefined ? undefined : { ...exchange, request_body: '' };
}

async function standing(
  ctx: Context,
  out_refund_no: string,
  outcome: AbnormalOutcome['outcome'],
  refused_code: string | null,
): Promise<AbnormalOutcome> {
  const { state } = await ctx.db.refund.findUniqueOrThrow({
    where: { out_refund_no },
    select: { state: true },
  });
  return { out_refund_no, state: state as HeldRefundState, outcome, refused_code };
}
