/**
 * Signing in from a mini-program: the code of `wx.login` for the user's openid. The session_key that comes along opens
 * what the user's phone encrypts; nothing here needs it, so it is dropped.
 *
 * Source: WeChat Mini Programs, code2Session.
 */
import { badAnswer, callOfficialAccount, textOf, textOr } from './official_account.ts';
import type { Ports } from './types.ts';

const OPENID = /^[A-Za-z0-9_-]{1,128}$/;

/** A code works once and lives five minutes (40029, 40163 otherwise). Rejects with `OfficialAccountError`. */
export async function exchangeMiniCode(
  request: { api_base_url: string; appid: string; secret: string; code: string; timeout_ms?: number },
  ports: Ports,
): Promise<{ openid: string; unionid?: string }> {
  const { api_base_url, appid, secret, code, timeout_ms } = request;
  const json = await callOfficialAccount(
    {
      api_base_url,
      path: '/sns/jscode2session',
      query: { appid, secret, js_code: code, grant_type: 'authorization_code' },
      timeout_ms,
    },
    ports,
  );
  const openid = textOf(json, 'openid');
  if (!OPENID.test(openid)) throw badAnswer('openid is misshapen');
  const unionid = textOr(json.unionid, undefined);
  return { openid, ...(unionid === undefined ? {} : { unionid }) };
}
