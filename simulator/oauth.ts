// Web authorisation: the authorise page that a browser inside WeChat is sent to, and the /sns/ calls that turn its
// code into an openid. Codes live five minutes and are good once.

import {
  type Answer,
  type Call,
  cookie,
  type Door,
  escapeHtml,
  type Family,
  html,
  redirect,
} from './http.ts';
import { accountOf, type Platform, userOf } from './platform.ts';
import type { Token, User } from './registers.ts';

const CODE_LIFE_MS = 5 * 60 * 1000;
const WEB_TOKEN_LIFE_MS = 7200 * 1000;
const REFRESH_LIFE_MS = 30 * 24 * 3600 * 1000;

/** One of WeChat's error pages, with its number. */
function errorPage(call: Call, number: string, text: string, why: string): Answer {
  call.note.code = number;
  call.note.why = why;
  return html(
    200,
    page(
      '错误',
      `<div class="oops">Oops! Something went wrong:(</div><p class="text">${escapeHtml(text)}</p><p class="number">错误码：<b data-testid="oauth-error">${number}</b></p><p class="why">${escapeHtml(why)}</p>`,
    ),
  );
}

function page(title: string, inner: string): string {
  return `<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${title}</title><style>
body{font:16px/1.6 -apple-system,"PingFang SC","Noto Sans CJK SC","Microsoft YaHei",sans-serif;margin:0;background:#f5f5f5;color:#191919;display:flex;min-height:100vh;justify-content:center}
main{width:100%;max-width:420px;background:#fff;padding:48px 24px;box-sizing:border-box;text-align:center}
.oops{font-size:20px;margin-bottom:12px}.number,.why{color:#767676;font-size:14px}
.face{width:64px;height:64px;border-radius:8px;background:#07c160;color:#fff;font-size:28px;line-height:64px;margin:0 auto 12px}
a.button{display:block;margin:12px auto 0;max-width:220px;padding:9px;border-radius:8px;text-decoration:none;font-weight:600}
.allow{background:#07c160;color:#fff;margin-top:48px!important}.refuse{background:#f2f2f2;color:#06ae56}
</style></head><body><main>${inner}</main></body></html>`;
}

/** Who holds the phone: the user named by the cookie, else the first demo user. */
export function holder(platform: Platform, call: Call): User | undefined {
  return userOf(platform, cookie(call.headers, '_sim_openid')) ?? platform.store.state.users[0];
}

function hostAllowed(target: URL, domains: string[]): boolean {
  return domains.some((d) => (d.includes(':') ? target.host === d : target.hostname === d));
}

const authorize: Door = (platform, call) => {
  const { query } = call;
  const word = (name: string) => query.get(name) ?? '';
  if (word('appid') === '') return errorPage(call, '10012', 'appid 参数错误', 'appid is missing');
  const account = accountOf(platform, word('appid'));
  if (account === undefined) {
    return errorPage(call, '10012', 'AppID 参数错误', `appid ${word('appid')} is unknown here`);
  }
  if (word('redirect_uri') === '')
    return errorPage(call, '10011', 'redirect_uri 参数错误', 'redirect_uri is missing');
  const domains = platform.store.state.oauth_domains;
  const target = URL.canParse(word('redirect_uri')) ? new URL(word('redirect_uri')) : undefined;
  if (target === undefined || !/^https?:$/.test(target.protocol) || !hostAllowed(target, domains)) {
    return errorPage(
      call,
      '10003',
      'redirect_uri 参数错误',
      `the host of ${word('redirect_uri')} is none of the registered OAuth domains ${domains.join(', ')}`,
    );
  }
  if (word('response_type') !== 'code') {
    return errorPage(call, '10014', 'response_type 参数错误', 'response_type must be code');
  }
  const scope = word('scope');
  if (scope === '') return errorPage(call, '10010', 'scope 参数错误', 'scope is missing');
  if (scope !== 'snsapi_base' && scope !== 'snsapi_userinfo') {
    return errorPage(call, '10005', 'Scope 参数错误或没有 Scope 权限', `there is no scope ${scope}`);
  }
  const state = word('state');
  if (Buffer.byteLength(state, 'utf8') > 128) {
    return errorPage(call, '10013', 'state 参数错误', 'state is longer than 128 bytes');
  }
  if (platform.strict && !/MicroMessenger/.test(call.headers['user-agent'] ?? '')) {
    return errorPage(
      call,
      '',
      '请在微信客户端打开链接',
      'strict: the browser is not WeChat by its User-Agent',
    );
  }
  if (state !== '' && !/^[A-Za-z0-9]+$/.test(state)) {
    call.note.why = 'a warning only: state should be letters and digits';
  }
  const user = holder(platform, call);
  const openid = user?.openids[account.appid];
  if (user === undefined || openid === undefined) {
    return errorPage(call, '10004', '该公众号无法使用', `nobody has an openid under ${account.appid}`);
  }
  if (scope === 'snsapi_userinfo' && query.get('_sim_consent') === null) {
    const link = (answer: string) => {
      const again = new URLSearchParams(query);
      again.set('_sim_consent', answer);
      return escapeHtml(`${call.path}?${again.toString()}`);
    };
    return html(
      200,
      page(
        '微信授权',
        `<div class="face">${escapeHtml(user.nickname.slice(0, 1))}</div><div>${escapeHtml(account.name)}</div><p class="text">申请获取你的昵称、头像</p><p class="number">以 ${escapeHtml(user.nickname)} 的身份</p><a class="button allow" data-testid="consent-allow" href="${link('allow')}">允许</a><a class="button refuse" data-testid="consent-refuse" href="${link('refuse')}">拒绝</a>`,
      ),
    );
  }
  if (query.get('_sim_consent') === 'refuse') {
    call.note.code = 'refused';
    call.note.why = `${user.nickname} refused; the page gets state and no code`;
    target.searchParams.append('state', state);
    return redirect(target.href);
  }
  const code = platform.ids.oauthCode();
  platform.store.state.oauth_codes[code] = {
    code,
    appid: account.appid,
    openid,
    scope,
    dead_at_ms: platform.clock.now() + CODE_LIFE_MS,
    used: false,
  };
  platform.store.touch();
  target.searchParams.append('code', code);
  target.searchParams.append('state', state);
  return redirect(target.href);
};

/** JSON with HTTP 200 and text/plain, as the official-account API answers. */
export function apiAnswer(value: Record<string, unknown>): Answer {
  return { status: 200, headers: { 'Content-Type': 'text/plain' }, body: JSON.stringify(value) };
}

/** An errcode answer; `why` goes to the log. */
export function apiError(platform: Platform, call: Call, errcode: number, text: string, why: string): Answer {
  call.note.code = String(errcode);
  call.note.why = why;
  return apiAnswer({ errcode, errmsg: errcode === -1 ? text : `${text}, rid: ${platform.ids.rid()}` });
}

/** WeChat's texts of the errcodes that no door here comes to by itself; the others are in their places. */
const ERRMSG: Record<number, string> = {
  [-1]: 'system error',
  40001: 'invalid credential, access_token is invalid or not latest',
  40003: 'invalid openid',
  40013: 'invalid appid',
  40014: 'invalid access_token',
  40029: 'invalid code',
  40037: 'invalid template_id',
  40125: 'invalid appsecret',
  40163: 'code been used',
  40164: 'invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist',
  42001: 'access_token expired',
  43004: 'require subscribe',
  43101: 'user refuse to accept the msg',
  45009: 'reach max api daily quota limit',
  45011: 'api minute-quota reach limit',
  47003: 'argument invalid! data format error',
  48001: 'api unauthorized',
  48004: 'api forbidden for irregularities',
  50002: 'user limited',
};

/** The same doors, each of which the fault api_errcode may answer in its place. */
export function withErrcodes(doors: Record<string, Door>): Record<string, Door> {
  const guarded = Object.entries(doors).map(([path, door]): [string, Door] => [
    path,
    (platform, call) => {
      const struck = platform.faults.take('api_errcode', call);
      if (struck === undefined) return door(platform, call);
      call.note.faults.push(struck.name);
      const errcode = struck.number('errcode');
      return apiError(platform, call, errcode, ERRMSG[errcode] ?? 'error', `the fault ${struck.name}`);
    },
  ]);
  return Object.fromEntries(guarded);
}

/** The first thing wrong with a pair of appid and secret. */
export function credentialFault(
  platform: Platform,
  call: Call,
  appid: string,
  secret: string,
): Answer | undefined {
  if (appid === '') return apiError(platform, call, 41002, 'appid missing', 'appid is missing');
  if (secret === '') return apiError(platform, call, 41004, 'appsecret missing', 'secret is missing');
  const account = accountOf(platform, appid);
  if (account === undefined) {
    return apiError(platform, call, 40013, 'invalid appid', `appid ${appid} is unknown here`);
  }
  if (account.secret !== secret) {
    return apiError(platform, call, 40125, 'invalid appsecret', `the secret is not that of ${appid}`);
  }
  return undefined;
}

/** Puts a new token on record. */
export function issue(
  platform: Platform,
  token: Omit<Token, 'token' | 'made_at_ms' | 'dead_at_ms'>,
  life_ms: number,
) {
  const now = platform.clock.now();
  const made: Token = { ...token, token: platform.ids.token(), made_at_ms: now, dead_at_ms: now + life_ms };
  const { tokens } = platform.store.state;
  for (const old of Object.values(tokens)) if (old.dead_at_ms + 86_400_000 < now) delete tokens[old.token];
  tokens[made.token] = made;
  platform.store.touch();
  return made;
}

const accessToken: Door = (platform, call) => {
  const word = (name: string) => call.query.get(name) ?? '';
  const fault = credentialFault(platform, call, word('appid'), word('secret'));
  if (fault !== undefined) return fault;
  if (word('code') === '') return apiError(platform, call, 41008, 'missing code', 'code is missing');
  if (word('grant_type') !== 'authorization_code') {
    return apiError(platform, call, 40002, 'invalid grant_type', 'grant_type must be authorization_code');
  }
  const code = platform.store.state.oauth_codes[word('code')];
  if (code === undefined || code.appid !== word('appid')) {
    return apiError(platform, call, 40029, 'invalid code', 'no such code was given out for this appid');
  }
  if (code.used) return apiError(platform, call, 40163, 'code been used', 'a code is good once');
  if (code.dead_at_ms <= platform.clock.now()) {
    return apiError(platform, call, 42003, 'code expired', 'the code is older than 5 minutes');
  }
  code.used = true;
  const about = { appid: code.appid, openid: code.openid, scope: code.scope };
  const web = issue(platform, { kind: 'web', ...about }, WEB_TOKEN_LIFE_MS);
  const refresh = issue(platform, { kind: 'refresh', ...about }, REFRESH_LIFE_MS);
  return apiAnswer({
    access_token: web.token,
    expires_in: 7200,
    refresh_token: refresh.token,
    openid: code.openid,
    scope: code.scope,
    ...(code.scope === 'snsapi_userinfo' ? { unionid: userOf(platform, code.openid)?.unionid } : {}),
  });
};

const refreshToken: Door = (platform, call) => {
  const word = (name: string) => call.query.get(name) ?? '';
  const known = platform.store.state.tokens[word('refresh_token')];
  if (word('appid') === '') return apiError(platform, call, 41002, 'appid missing', 'appid is missing');
  if (known === undefined || known.kind !== 'refresh' || known.appid !== word('appid')) {
    return apiError(platform, call, 40030, 'invalid refresh_token', 'no such refresh_token for this appid');
  }
  if (known.dead_at_ms <= platform.clock.now()) {
    return apiError(platform, call, 42002, 'refresh_token expired', 'it is older than 30 days');
  }
  const { appid, openid, scope } = known;
  const web = issue(platform, { kind: 'web', appid, openid, scope }, WEB_TOKEN_LIFE_MS);
  return apiAnswer({ access_token: web.token, expires_in: 7200, refresh_token: known.token, openid, scope });
};

/** The web token named in the query, or the refusal. */
function webToken(platform: Platform, call: Call): { token: Token } | { refusal: Answer } {
  const word = (name: string) => call.query.get(name) ?? '';
  const token = platform.store.state.tokens[word('access_token')];
  const no = (errcode: number, text: string, why: string) => ({
    refusal: apiError(platform, call, errcode, text, why),
  });
  if (word('access_token') === '') return no(41001, 'access_token missing', 'access_token is missing');
  if (token === undefined || token.kind !== 'web')
    return no(40001, 'invalid credential', 'no such web access_token');
  if (token.dead_at_ms <= platform.clock.now())
    return no(42001, 'access_token expired', 'it is older than 2 hours');
  if (token.openid !== word('openid'))
    return no(40003, 'invalid openid', 'the token belongs to another openid');
  return { token };
}

const userinfo: Door = (platform, call) => {
  const read = webToken(platform, call);
  if ('refusal' in read) return read.refusal;
  if (read.token.scope !== 'snsapi_userinfo') {
    return apiError(platform, call, 48001, 'api unauthorized', 'the code was asked for with snsapi_base');
  }
  const user = userOf(platform, read.token.openid);
  return apiAnswer({
    openid: read.token.openid,
    nickname: user?.nickname,
    sex: 0,
    language: '',
    city: '',
    province: '',
    country: '',
    headimgurl: '',
    privilege: [],
    unionid: user?.unionid,
  });
};

const auth: Door = (platform, call) => {
  const read = webToken(platform, call);
  return 'refusal' in read ? read.refusal : apiAnswer({ errcode: 0, errmsg: 'ok' });
};

/** The answer of a busy official-account server. */
export const busy: Door = (platform, call) =>
  apiError(platform, call, -1, 'system error', 'a fault was armed');

export const oauthPage: Family = {
  name: 'oauth_page',
  logged: true,
  doors: { '/connect/oauth2/authorize': authorize },
};

export const sns: Family = {
  name: 'sns',
  logged: true,
  doors: withErrcodes({
    '/sns/oauth2/access_token': accessToken,
    '/sns/oauth2/refresh_token': refreshToken,
    '/sns/userinfo': userinfo,
    '/sns/auth': auth,
  }),
  systemError: busy,
};
