/**
 * Partner mode: who sells what. An ordinary merchant has no sellers, and its orders and trades name none.
 */
import { z } from 'zod';
import type { Config } from './config.ts';
import { AppError } from './errors.ts';

/** A seller as an operator's request names it. */
export const sellerInput = z.string().regex(/^\d{8,10}$/, 'must be 8 to 10 digits');

/**
 * The `sub_mch_id` an order of these goods is sold under; null for an ordinary merchant. One order is one seller's,
 * because one trade can pay only one. Throws `several_sellers`, and `no_such_product` for a seller we do not serve.
 * `wanted`: whose money the operator says it is, without goods the first's; throws `no_such_seller`.
 */
export function sellerOf(
  config: Pick<Config, 'WECHAT_SUB_MERCHANTS'>,
  goods: readonly { title: string; sub_mch_id: string | null }[],
  wanted?: string,
): string | null {
  const known = sellerNames(config);
  const seller = goods.length === 0 ? bareSellerOf(config, wanted) : sellerOfGoods(config, goods);
  if (wanted !== undefined && (seller !== wanted || !known.has(wanted))) {
    throw new AppError('no_such_seller', { field: 'sub_mch_id' });
  }
  return seller;
}

/** Of an amount without goods. */
function bareSellerOf(config: Pick<Config, 'WECHAT_SUB_MERCHANTS'>, wanted: string | undefined) {
  return wanted ?? config.WECHAT_SUB_MERCHANTS?.[0]?.sub_mch_id ?? null;
}

function sellerOfGoods(
  config: Pick<Config, 'WECHAT_SUB_MERCHANTS'>,
  goods: readonly { title: string; sub_mch_id: string | null }[],
): string | null {
  const [first] = config.WECHAT_SUB_MERCHANTS ?? [];
  if (first === undefined) return null;
  const sellers = new Set(goods.map(({ sub_mch_id }) => sub_mch_id ?? first.sub_mch_id));
  const [seller] = sellers;
  if (sellers.size > 1) throw new AppError('several_sellers', { field: 'items' });
  const served = config.WECHAT_SUB_MERCHANTS?.some(({ sub_mch_id }) => sub_mch_id === seller) === true;
  if (seller === undefined || !served) {
    throw new AppError('no_such_product', {
      field: 'items',
      detail: goods.map(({ title }) => title).join(', '),
    });
  }
  return seller;
}

/** The sellers' names for people, by `sub_mch_id`. */
export function sellerNames(config: Pick<Config, 'WECHAT_SUB_MERCHANTS'>): ReadonlyMap<string, string> {
  return new Map((config.WECHAT_SUB_MERCHANTS ?? []).map(({ sub_mch_id, name }) => [sub_mch_id, name]));
}
