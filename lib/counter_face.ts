/**
 * Letting a face device in: its raw data is exchanged at WeChat for auth info that the device uses to recognise payers.
 * It takes no money; what a recognised face pays is a charge like any other.
 */
import { z } from 'zod';
import { addAudit, auditingRefusals, type Operator } from './admin_audit.ts';
import type { Context } from './context.ts';
import { AppError } from './errors.ts';
import { asWechatError } from './events.ts';
import { counterOf } from './reverse.ts';
import { sellerInput, sellerOf } from './sellers.ts';
import { requireOpened } from './ways.ts';

const word = z.string().regex(/^[\w.:-]{1,32}$/, 'must be 1 to 32 letters, digits, _ . : or -');

export const faceAuthInput = z.strictObject({
  store_id: word,
  store_name: z
    .string()
    .trim()
    .min(1)
    .max(42)
    .regex(/^[^<>&=\p{Cc}]+$/u, 'must be plain text'),
  device_id: word,
  /** As the device's `getWxpayfaceRawdata` gave it. */
  rawdata: z.string().regex(/^[\w+/=.-]{1,2048}$/, 'must be what the device gave'),
  /** Partner mode: at whose desk the device stands; the first's unless told. */
  sub_mch_id: sellerInput.optional(),
});

export interface FaceAuth {
  authinfo: string;
  /** Seconds for which the device may keep it. */
  expires_in_s: number;
}

/** Throws `product_not_opened`, `no_such_seller`, `wechat_refused`, `wechat_unknown`. */
export async function faceAuth(
  ctx: Context,
  operator: Operator,
  { sub_mch_id: wanted, ...device }: z.output<typeof faceAuthInput>,
): Promise<FaceAuth> {
  const { device_id, store_id } = device;
  return auditingRefusals(ctx, operator, 'face_auth', device_id, { store_id }, async () => {
    requireOpened(ctx.config, 'FACEPAY');
    if (ctx.config.WECHAT_API_V2_KEY === undefined) {
      throw new AppError('product_not_opened', { detail: 'FACEPAY: WECHAT_API_V2_KEY' });
    }
    const sub_mch_id = sellerOf(ctx.config, [], wanted);
    const { appid, sub_appid } = ctx.payAs(ctx.config.WECHAT_APPID, sub_mch_id);
    const account = ctx.payFor({
      api_version: 'v2',
      sign_type: 'HMAC-SHA256',
      appid,
      sub_mch_id,
      sub_appid: sub_appid ?? null,
    });
    const { authinfo, expires_in_s } = await counterOf(account)
      .faceAuthInfo(device)
      .catch((thrown: unknown) => {
        const cause = asWechatError(thrown);
        throw new AppError(cause.outcome === 'refused' ? 'wechat_refused' : 'wechat_unknown', { cause });
      });
    await addAudit(ctx, operator, 'face_auth', device_id, { store_id });
    return { authinfo, expires_in_s };
  });
}
