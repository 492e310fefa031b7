// The official account's own credentials: access_token, stable_token and the jsapi ticket, with their lives,
// overlaps and error numbers.

import { sendSubscribe, sendTemplate } from './account_message.ts';
import type { Door, Family } from './http.ts';
import { apiAnswer, apiError, busy, credentialFault, issue, withErrcodes } from './oauth.ts';
import { fromWhitelist, metered, readJson, tokenOf } from './official.ts';
import type { Platform } from './platform.ts';
import type { Token } from './registers.ts';

const LIFE_MS = 7200 * 1000;
const OVERLAP_MS = 300 * 1000;
const FORCE_GAP_MS = 30 * 1000;
const FORCE_PER_DAY = 20;

function tokensOf(platform: Platform, appid: string, kind: Token['kind']): Token[] {
  return Object.values(platform.store.state.tokens)
    .filter((t) => t.appid === appid && t.kind === kind)
    .sort((a, b) => a.made_at_ms - b.made_at_ms);
}

/** The earlier tokens of this kind live on for five minutes at most. */
function retire(platform: Platform, appid: string, kind: Token['kind']): void {
  const until = platform.clock.now() + OVERLAP_MS;
  for (const old of tokensOf(platform, appid, kind)) old.dead_at_ms = Math.min(old.dead_at_ms, until);
}

const token: Door = (platform, call) => {
  const word = (name: string) => call.query.get(name) ?? '';
  if (word('grant_type') !== 'client_credential') {
    return apiError(platform, call, 40002, 'invalid grant_type', 'grant_type must be client_credential');
  }
  const fault =
    credentialFault(platform, call, word('appid'), word('secret')) ??
    fromWhitelist(platform, call) ??
    metered(platform, call, word('appid'));
  if (fault !== undefined) return fault;
  retire(platform, word('appid'), 'basic');
  const made = issue(platform, { kind: 'basic', appid: word('appid'), openid: '', scope: '' }, LIFE_MS);
  return apiAnswer({ access_token: made.token, expires_in: 7200 });
};

const stableToken: Door = (platform, call) => {
  if (call.method !== 'POST')
    return apiError(platform, call, 43002, 'require POST method', `it was ${call.method}`);
  if (call.body.length === 0) return apiError(platform, call, 44002, 'empty post data', 'the body is empty');
  const asked = readJson(call);
  if (asked === undefined)
    return apiError(platform, call, 47001, 'data format error', 'the body is no JSON object');
  if (asked.grant_type !== 'client_credential') {
    return apiError(platform, call, 40002, 'invalid grant_type', 'grant_type must be client_credential');
  }
  const appid = String(asked.appid ?? '');
  const fault =
    credentialFault(platform, call, appid, String(asked.secret ?? '')) ??
    fromWhitelist(platform, call) ??
    metered(platform, call, appid);
  if (fault !== undefined) return fault;
  const now = platform.clock.now();
  const past = tokensOf(platform, appid, 'stable');
  const last = past.at(-1);
  const forced = asked.force_refresh === true;
  if (!forced && last !== undefined && last.dead_at_ms - now > OVERLAP_MS) {
    return apiAnswer({ access_token: last.token, expires_in: Math.floor((last.dead_at_ms - now) / 1000) });
  }
  if (forced) {
    const forcedToday = past.filter((t) => t.scope === 'forced' && now - t.made_at_ms < 86_400_000);
    const newest = forcedToday.at(-1);
    if (newest !== undefined && now - newest.made_at_ms < FORCE_GAP_MS) {
      return apiError(
        platform,
        call,
        45011,
        'api minute-quota reach limit',
        'forced less than 30 seconds ago',
      );
    }
    if (forcedToday.length >= FORCE_PER_DAY) {
      return apiError(
        platform,
        call,
        45009,
        'reach max api daily quota limit',
        'forced 20 times within a day',
      );
    }
  }
  retire(platform, appid, 'stable');
  const made = issue(platform, { kind: 'stable', appid, openid: '', scope: forced ? 'forced' : '' }, LIFE_MS);
  return apiAnswer({ access_token: made.token, expires_in: 7200 });
};

const getticket: Door = (platform, call) => {
  const word = (name: string) => call.query.get(name) ?? '';
  const now = platform.clock.now();
  const read = tokenOf(platform, call);
  if ('refusal' in read) return read.refusal;
  const { used } = read;
  const over = metered(platform, call, used.appid);
  if (over !== undefined) return over;
  if (word('type') !== 'jsapi')
    return apiError(platform, call, 40097, 'invalid args', 'only type=jsapi is played here');
  const last = tokensOf(platform, used.appid, 'ticket').at(-1);
  const ticket =
    last !== undefined && last.dead_at_ms - now > OVERLAP_MS
      ? last
      : issue(platform, { kind: 'ticket', appid: used.appid, openid: '', scope: '' }, LIFE_MS);
  return apiAnswer({
    errcode: 0,
    errmsg: 'ok',
    ticket: ticket.token,
    expires_in: Math.floor((ticket.dead_at_ms - now) / 1000),
  });
};

export const cgiBin: Family = {
  name: 'cgi_bin',
  logged: true,
  doors: withErrcodes({
    '/cgi-bin/token': token,
    '/cgi-bin/stable_token': stableToken,
    '/cgi-bin/ticket/getticket': getticket,
    '/cgi-bin/message/template/send': sendTemplate,
    '/cgi-bin/message/subscribe/bizsend': sendSubscribe,
  }),
  systemError: busy,
};
