/**
 * A mini-program's user signs in: the code of `wx.login` becomes an openid and a key of a session of ours, which the
 * mini-program sends as `Authorization: Bearer …`. WeChat's session_key never leaves, nor stays on, our side.
 */
import { z } from 'zod';
import { noteAccountFault, noteAccountWorks } from './account_faults.ts';
import type { Context } from './context.ts';
import { AppError } from './errors.ts';
import { beginKey } from './sessions.ts';
import { requireOpened } from './ways.ts';
import { exchangeMiniCode, OfficialAccountError } from './wechat/index.ts';

export const miniSignIn = z.strictObject({ code: z.string().regex(/^[A-Za-z0-9_-]{1,128}$/) });

/** WeChat's words for a code that is wrong, old or used. */
const spentCodes = [40_029, 40_163, 42_003];

export interface MiniSession {
  token: string;
  expires_at: Date;
}

/** Throws `product_not_opened`, `sign_in_required` for a code WeChat does not take, `wechat_unknown` for no answer. */
export async function signInMini(ctx: Context, code: string): Promise<MiniSession> {
  requireOpened(ctx.config, 'MINIPROGRAM');
  const { WECHAT_MINI_APPID: appid, WECHAT_MINI_SECRET: secret, WECHAT_API_BASE_URL } = ctx.config;
  if (appid === undefined || secret === undefined)
    throw new Error('MINIPROGRAM is opened without its account');
  try {
    const { openid } = await exchangeMiniCode(
      { api_base_url: WECHAT_API_BASE_URL, appid, secret, code, timeout_ms: ctx.config.WECHAT_TIMEOUT_MS },
      ctx.ports,
    );
    await noteAccountWorks(ctx, 'mini');
    const { key, expires_at } = await beginKey(ctx, 'mini', { openid });
    return { token: key, expires_at };
  } catch (thrown) {
    if (!(thrown instanceof OfficialAccountError)) throw thrown;
    const spent = thrown.errcode !== undefined && spentCodes.includes(thrown.errcode);
    if (!spent) await noteAccountFault(ctx, 'mini', thrown);
    throw new AppError(spent ? 'sign_in_required' : 'wechat_unknown', { cause: thrown });
  }
}
