// Who acts for whom: the sub-merchant a service provider names, its own accounts, and whether the provider serves it
// at all. It knows no XML and no JSON.

import { Refusal } from './orders.ts';
import { accountOf, merchantOf, type Platform } from './platform.ts';
import type { Merchant, SubMerchant } from './registers.ts';

/** A number that nobody has, which API v2 and v3 word differently from one of another provider's. */
export class UnknownSub extends Error {}

/**
 * The sub-merchant `merchant` acts for; undefined when an ordinary merchant names none. Refuses a provider that names
 * none, a number this provider does not serve, and one that nobody has.
 */
export function actingFor(
  platform: Platform,
  merchant: Merchant,
  sub_mch_id: string,
): SubMerchant | undefined {
  const { sub_merchants } = merchant;
  if (sub_mch_id === '') {
    if (sub_merchants === undefined) return undefined;
    throw new UnknownSub(`${merchant.mch_id} is a service provider and must say for whom it acts`);
  }
  const own = sub_merchants?.find((s) => s.sub_mch_id === sub_mch_id);
  if (own !== undefined) return own;
  const elsewhere =
    merchantOf(platform, sub_mch_id) !== undefined ||
    platform.store.state.merchants.some((m) => m.sub_merchants?.some((s) => s.sub_mch_id === sub_mch_id));
  if (!elsewhere) throw new UnknownSub(`sub_mch_id ${sub_mch_id} is unknown here`);
  const why = `${merchant.mch_id} does not act for ${sub_mch_id}`;
  throw new Refusal('INVALID_REQUEST', '受理关系不存在', why);
}

/** Refuses a sub_appid that nobody has or that is not bound to the sub-merchant. */
export function needSubAppid(platform: Platform, sub: SubMerchant, sub_appid: string): void {
  if (sub_appid === '') return;
  if (accountOf(platform, sub_appid) !== undefined && sub.sub_appids.includes(sub_appid)) return;
  const why = `sub_appid ${sub_appid} is not bound to ${sub.sub_mch_id}`;
  throw new Refusal('APPID_MCHID_NOT_MATCH', 'sub_mch_id与sub_appid不匹配', why);
}
