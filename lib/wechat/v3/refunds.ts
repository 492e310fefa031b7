/**
 * Refunds: apply, query, and the way out of an abnormal one (WeChat Pay v3, 退款申请, 查询单笔退款, 发起异常退款).
 * An answer of 200 means accepted, not returned. The same `out_refund_no` is the same refund however often it is
 * sent; only a query decides after an unclear answer.
 */
import { fitDescription } from '../description.ts';
import type { PlaceRefund, ReportedRefund } from '../types.ts';
import { type Answer, type Ask, readAnswer } from './answers.ts';
import { checked, checkedFen, checkedIfAny, notSent } from './arguments.ts';
import { encryptField } from './cipher.ts';
import { JsonRefused } from './json.ts';
import type { PlatformKeys } from './platform_keys.ts';
import { readRefund } from './reports.ts';
import type { Merchant } from './settings.ts';

const PATH = '/v3/refund/domestic/refunds';
const MAX_REASON_BYTES = 80;

/** Where the money of an `ABNORMAL` refund shall go instead: the payer's own card, or the merchant's. */
export type AbnormalRefund = { refund_id: string; out_refund_no: string } & (
  | { type: 'USER_BANK_CARD'; bank_type: string; bank_account: string; real_name: string }
  | { type: 'MERCHANT_BANK_CARD' }
);

export async function placeRefund(
  merchant: Merchant,
  ask: Ask,
  refund: PlaceRefund,
): Promise<ReportedRefund> {
  const body = {
    sub_mchid: merchant.partner?.sub_mch_id,
    // One of the two names the trade; WeChat's own number cannot be ambiguous.
    ...(refund.transaction_id
      ? { transaction_id: checked('transaction_id', refund.transaction_id) }
      : { out_trade_no: checked('out_trade_no', refund.out_trade_no) }),
    out_refund_no: checked('out_refund_no', refund.out_refund_no),
    reason: fitDescription(refund.reason ?? '', MAX_REASON_BYTES, '') || undefined,
    notify_url: checkedIfAny('notify_url', refund.notify_url),
    amount: {
      refund: checkedFen('refund_fen', refund.refund_fen, refund.total_fen),
      total: checkedFen('total_fen', refund.total_fen),
      currency: 'CNY',
    },
  };
  const answer = await ask({
    method: 'POST',
    path: PATH,
    body: JSON.stringify(body),
    missing: 'ORDERNOTEXIST',
  });
  return readReported(answer, refund);
}

/** Unknown to WeChat: refused, `REFUNDNOTEXIST`; then the application may be repeated with the same number. */
export async function queryRefund(
  merchant: Merchant,
  ask: Ask,
  out_refund_no: string,
): Promise<ReportedRefund> {
  const query = merchant.partner === undefined ? '' : `?sub_mchid=${merchant.partner.sub_mch_id}`;
  const path = `${PATH}/${encodeURIComponent(checked('out_refund_no', out_refund_no))}${query}`;
  return readReported(await ask({ method: 'GET', path, missing: 'REFUNDNOTEXIST' }), { out_refund_no });
}

/** Card number and name travel encrypted to the platform's key, which the request then names. */
export async function applyAbnormalRefund(
  merchant: Merchant,
  ask: Ask,
  keys: PlatformKeys,
  refund: AbnormalRefund,
): Promise<ReportedRefund> {
  const sealed = refund.type === 'USER_BANK_CARD' ? await sealCard(keys, refund) : undefined;
  const body = {
    sub_mchid: merchant.partner?.sub_mch_id,
    out_refund_no: checked('out_refund_no', refund.out_refund_no),
    type: refund.type,
    ...sealed?.card,
  };
  const answer = await ask({
    method: 'POST',
    path: `${PATH}/${checked('refund_id', refund.refund_id)}/apply-abnormal-refund`,
    body: JSON.stringify(body),
    platform_serial: sealed?.serial,
  });
  return readReported(answer, { out_refund_no: refund.out_refund_no });
}

async function sealCard(
  keys: PlatformKeys,
  card: { bank_type: string; bank_account: string; real_name: string },
): Promise<{ serial: string; card: object }> {
  if (keys.encryption() === undefined) await keys.refresh();
  const platform = keys.encryption();
  if (platform === undefined) throw notSent('there is no platform key to encrypt with');
  return {
    serial: platform.serial,
    card: {
      bank_type: card.bank_type,
      bank_account: encryptField(card.bank_account, platform.key),
      real_name: encryptField(card.real_name, platform.key),
    },
  };
}

/** What was asked comes back in the answer; an answer about something else is not ours. */
function readReported(
  answer: Answer,
  asked: { out_refund_no: string; refund_fen?: number; out_trade_no?: string },
): ReportedRefund {
  const report = readAnswer(answer, (fields) => {
    const refund = readRefund(fields);
    for (const name of ['out_refund_no', 'refund_fen', 'out_trade_no'] as const) {
      const [told, expected] = [refund[name], asked[name]];
      if (told !== undefined && expected !== undefined && told !== expected) {
        throw new JsonRefused(`${name} is not the one asked for`);
      }
    }
    return refund;
  });
  return { report, exchange: answer.exchange };
}
