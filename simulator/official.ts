// What every call of the official account's API is judged by before its own business: who may ask for tokens, how
// often a day, and whether the access_token is one. It does nothing else.

import type { Answer, Call } from './http.ts';
import { apiError } from './oauth.ts';
import type { Platform } from './platform.ts';
import type { Token } from './registers.ts';
import { beijingDay } from './time.ts';

/** 40164 for an address that is not on the account's list; nobody looks while the list is empty. */
export function fromWhitelist(platform: Platform, call: Call): Answer | undefined {
  const { ip_whitelist } = platform.store.state.official;
  if (ip_whitelist.length === 0 || ip_whitelist.includes(call.ip)) return undefined;
  const text = `invalid ip ${call.ip} ipv6 ::ffff:${call.ip}, not in whitelist`;
  return apiError(platform, call, 40164, text, `the IP whitelist has ${ip_whitelist.join(', ')}`);
}

/** Counts the call; 45009 when its day's quota is used up. The count begins anew at midnight in Beijing. */
export function metered(platform: Platform, call: Call, appid: string): Answer | undefined {
  const { official } = platform.store.state;
  const day = beijingDay(platform.clock.now());
  const key = `${day} ${appid} ${call.path}`;
  for (const old of Object.keys(official.calls)) if (!old.startsWith(day)) delete official.calls[old];
  const made = (official.calls[key] ?? 0) + 1;
  const most = official.quotas[call.path];
  if (most !== undefined && made > most) {
    return apiError(
      platform,
      call,
      45009,
      'reach max api daily quota limit',
      `${call.path} may be called ${most} times a day`,
    );
  }
  official.calls[key] = made;
  platform.store.touch();
  return undefined;
}

/** The living access_token named in the query, or the refusal. */
export function tokenOf(platform: Platform, call: Call): { used: Token } | { refusal: Answer } {
  const no = (errcode: number, text: string, why: string) => ({
    refusal: apiError(platform, call, errcode, text, why),
  });
  const name = call.query.get('access_token') ?? '';
  if (name === '') return no(41001, 'access_token missing', 'access_token is missing');
  const used = platform.store.state.tokens[name];
  if (used === undefined || (used.kind !== 'basic' && used.kind !== 'stable')) {
    return no(
      40001,
      'invalid credential, access_token is invalid or not latest, could get access_token by getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r',
      'this is no access_token of an official account',
    );
  }
  if (used.dead_at_ms <= platform.clock.now()) {
    return no(42001, 'access_token expired', 'it is older than 2 hours, or a newer one retired it');
  }
  return { used };
}

/** The body as a JSON object; undefined when it is none, which is an answer (47001) of its own. */
export function readJson(call: Call): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(call.body.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value))
      : undefined;
  } catch {
    // Told to the caller by the doors, each in its own words.
    return undefined;
  }
}
