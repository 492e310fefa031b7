// A mini-program's login: the code its wx.login gets, good once and for five minutes, and the call that turns it
// into openid and session_key. Its codes are no codes of web pages.

import { BadRequest, bodyOf, guarded, text } from './control.ts';
import { type Door, type Family, json } from './http.ts';
import { apiAnswer, apiError, busy, credentialFault } from './oauth.ts';
import { accountOf, type Platform, userOf } from './platform.ts';

const CODE_LIFE_MS = 5 * 60 * 1000;
const MARK = 'mini:';

const code2session: Door = (platform, call) => {
  const word = (name: string) => call.query.get(name) ?? '';
  const fault = credentialFault(platform, call, word('appid'), word('secret'));
  if (fault !== undefined) return fault;
  if (accountOf(platform, word('appid'))?.kind !== 'mini_program') {
    return apiError(platform, call, 40013, 'invalid appid', `${word('appid')} is no mini-program`);
  }
  if (word('grant_type') !== 'authorization_code') {
    return apiError(platform, call, 40002, 'invalid grant_type', 'grant_type must be authorization_code');
  }
  if (word('js_code') === '') return apiError(platform, call, 41008, 'missing code', 'js_code is missing');
  const code = platform.store.state.oauth_codes[MARK + word('js_code')];
  if (code === undefined || code.appid !== word('appid')) {
    return apiError(
      platform,
      call,
      40029,
      'invalid code',
      'no such code was given out for this mini-program',
    );
  }
  if (code.used) return apiError(platform, call, 40163, 'code been used', 'a code is good once');
  if (code.dead_at_ms <= platform.clock.now()) {
    return apiError(platform, call, 40029, 'invalid code', 'the code is older than 5 minutes');
  }
  code.used = true;
  platform.store.touch();
  return apiAnswer({
    openid: code.openid,
    session_key: Buffer.from(platform.ids.hex(32), 'hex').toString('base64'),
    unionid: userOf(platform, code.openid)?.unionid,
  });
};

/** What wx.login gives a user in a mini-program. */
function login(platform: Platform, body: Record<string, unknown>) {
  const { state } = platform.store;
  const appid = text(body, 'appid') ?? state.accounts.find((a) => a.kind === 'mini_program')?.appid ?? '';
  if (accountOf(platform, appid)?.kind !== 'mini_program') {
    throw new BadRequest(`appid ${appid} is no mini-program here`);
  }
  const named = text(body, 'openid');
  const user = named === undefined ? state.users[0] : userOf(platform, named);
  const openid = user?.openids[appid];
  if (openid === undefined) throw new BadRequest(`openid ${named} names no user`);
  const code = platform.ids.oauthCode();
  state.oauth_codes[MARK + code] = {
    code,
    appid,
    openid,
    scope: 'mini_program',
    dead_at_ms: platform.clock.now() + CODE_LIFE_MS,
    used: false,
  };
  platform.store.touch();
  return { code, appid, openid };
}

export const miniProgram: Family = {
  name: 'mini_program',
  logged: true,
  doors: { '/sns/jscode2session': code2session },
  systemError: busy,
};

export const miniProgramControl: Family = {
  name: 'mini_program_control',
  logged: false,
  doors: {
    '/_sim/mini_code': guarded('POST', (platform, call) => json(200, login(platform, bodyOf(call)))),
  },
};
