// Whose call an API v3 request is: the ordinary merchant's members, or a service provider's sp_ and sub_ members,
// brought to one shape and checked against each other.

import { type Heard, needMchid, RefusalV3, translated } from './envelope_v3.ts';
import type { Call } from './http.ts';
import { Refusal } from './orders.ts';
import { actingFor, needSubAppid, UnknownSub } from './parties.ts';
import { accountOf, type Platform, userOf } from './platform.ts';
import type { SubMerchant } from './registers.ts';

/** One member of a JSON body as text, found by its path; empty when it is not there. */
export function word(body: Record<string, unknown>, ...path: string[]): string {
  let value: unknown = body;
  for (const name of path) {
    value =
      typeof value === 'object' && value !== null
        ? Object.entries(value).find(([k]) => k === name)?.[1]
        : undefined;
  }
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

export type Parties = {
  appid: string;
  sub: SubMerchant | undefined;
  sub_appid: string | undefined;
  /** Who must pay, under appid or under sub_appid. */
  openid: string;
  sub_openid: string | undefined;
};

/** The sub-merchant named, in API v3's words when it is refused. */
export function subOf(platform: Platform, heard: Heard, sub_mchid: string): SubMerchant | undefined {
  try {
    return actingFor(platform, heard.merchant, sub_mchid);
  } catch (cause) {
    if (cause instanceof Refusal) throw translated(cause);
    if (!(cause instanceof UnknownSub)) throw cause;
    if (sub_mchid !== '') throw new RefusalV3(400, 'MCH_NOT_EXISTS', '商户号不存在', cause.message);
    throw new RefusalV3(
      400,
      'PARAM_ERROR',
      '输入源“/body/sub_mchid”映射到字段“子商户号”必填性规则校验失败，此字段为必填项',
      cause.message,
      {
        location: 'body',
        value: '',
      },
    );
  }
}

/** Refuses an openid that is nobody's, or somebody's under another appid. */
function needOpenid(platform: Platform, openid: string, appid: string, pointer: string): void {
  if (openid === '' || userOf(platform, openid, appid) !== undefined) return;
  const elsewhere = userOf(platform, openid) !== undefined;
  const why = elsewhere
    ? `${openid} belongs to another appid than ${appid}`
    : `nobody has the openid ${openid}`;
  throw new RefusalV3(400, 'PARAM_ERROR', elsewhere ? 'appid与openid不匹配' : '无效的openid', why, {
    location: 'body',
    value: openid,
    field: pointer,
  });
}

/** Accounts, binding and payer of a body, of either kind. */
export function partiesOf(platform: Platform, heard: Heard): Parties {
  const { body, merchant } = heard;
  const partner = 'sp_mchid' in body;
  const appid = word(body, partner ? 'sp_appid' : 'appid');
  if (accountOf(platform, appid) === undefined || !merchant.appids.includes(appid)) {
    const why = `appid ${appid} is not bound to mchid ${merchant.mch_id}`;
    throw new RefusalV3(400, 'APPID_MCHID_NOT_MATCH', 'appid和mch_id不匹配，请检查后再试', why);
  }
  if (!partner) {
    const openid = word(body, 'payer', 'openid');
    needOpenid(platform, openid, appid, '/payer/openid');
    return { appid, sub: undefined, sub_appid: undefined, openid, sub_openid: undefined };
  }
  const sub = subOf(platform, heard, word(body, 'sub_mchid'));
  const sub_appid = word(body, 'sub_appid');
  if (sub !== undefined) needSubAppid(platform, sub, sub_appid);
  const openid = word(body, 'payer', 'sp_openid');
  const sub_openid = word(body, 'payer', 'sub_openid');
  needOpenid(platform, openid, appid, '/payer/sp_openid');
  if (sub_openid !== '' && sub_appid === '') {
    throw new RefusalV3(400, 'PARAM_ERROR', '传了sub_openid时，sub_appid必传', 'sub_appid is missing');
  }
  needOpenid(platform, sub_openid, sub_appid, '/payer/sub_openid');
  return { appid, sub, sub_appid: sub_appid || undefined, openid, sub_openid: sub_openid || undefined };
}

/** Who asks with a GET: mchid, or sp_mchid and sub_mchid, in the query. */
export function askedFor(platform: Platform, call: Call, heard: Heard): SubMerchant | undefined {
  if (!call.path.startsWith('/v3/pay/partner/')) {
    needMchid(call, heard);
    return undefined;
  }
  needMchid(call, heard, 'sp_mchid');
  return subOf(platform, heard, call.query.get('sub_mchid') ?? '');
}
