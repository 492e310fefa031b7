/**
 * Web authorisation: how a page inside WeChat learns the payer's openid. Builds the address to send the browser to and
 * exchanges the code that comes back, once; sessions, state and return paths are the caller's.
 *
 * Source: WeChat Official Accounts, 网页授权.
 */
import { badAnswer, callOfficialAccount, textOf, textOr } from './official_account.ts';
import type { Ports } from './types.ts';

export type OauthScope = 'snsapi_base' | 'snsapi_userinfo';

const STATE = /^[a-zA-Z0-9]{1,128}$/;
const OPENID = /^[A-Za-z0-9_-]{1,128}$/;

/**
 * Where to redirect the browser. The order of the parameters and the fragment matter to WeChat's clients.
 * Throws `TypeError` on a state that WeChat would answer with an error page: letters and digits, at most 128.
 */
export function authorizeUrl(request: {
  /** `https://open.weixin.qq.com`, or a simulator. */
  open_base_url: string;
  appid: string;
  /** Full address on the account's 网页授权域名. */
  redirect_uri: string;
  scope: OauthScope;
  state: string;
}): string {
  if (!STATE.test(request.state)) throw new TypeError('state must be 1 to 128 letters and digits');
  const base = request.open_base_url.replace(/\/+$/, '');
  return (
    `${base}/connect/oauth2/authorize?appid=${encodeURIComponent(request.appid)}` +
    `&redirect_uri=${encodeURIComponent(request.redirect_uri)}&response_type=code` +
    `&scope=${request.scope}&state=${request.state}#wechat_redirect`
  );
}

export interface Authorised {
  openid: string;
  scope: string;
  /** Only for accounts bound to an open platform. */
  unionid?: string;
  /** A snapshot page's made-up user: take no payment from this openid, ask for the full page. */
  is_snapshotuser: boolean;
  /** The web token, for the profile; not the basic access_token. */
  access_token: string;
}

/**
 * A code for the payer's openid. A code works once and lives five minutes: 40163 means it was exchanged already (a
 * reloaded page), so send the browser to authorise again. Rejects with `OfficialAccountError`.
 */
export async function exchangeCode(
  request: { api_base_url: string; appid: string; secret: string; code: string; timeout_ms?: number },
  ports: Ports,
): Promise<Authorised> {
  const { api_base_url, appid, secret, code, timeout_ms } = request;
  const json = await callOfficialAccount(
    {
      api_base_url,
      path: '/sns/oauth2/access_token',
      query: { appid, secret, code, grant_type: 'authorization_code' },
      timeout_ms,
    },
    ports,
  );
  const openid = textOf(json, 'openid');
  if (!OPENID.test(openid)) throw badAnswer('openid is misshapen');
  const unionid = textOr(json.unionid, undefined);
  return {
    openid,
    scope: textOr(json.scope, ''),
    ...(unionid === undefined ? {} : { unionid }),
    is_snapshotuser: json.is_snapshotuser === 1,
    access_token: textOf(json, 'access_token'),
  };
}
