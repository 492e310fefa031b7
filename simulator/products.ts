// Whether a merchant has opened what it asks for. The refusal is WeChat's; the log says which product is closed.

import { Refusal } from './orders.ts';
import type { Merchant, Product, SubMerchant } from './registers.ts';

/** Refuses when the merchant, or the sub-merchant it acts for, has not opened `product`. */
export function needProduct(merchant: Merchant, sub: SubMerchant | undefined, product: Product): void {
  const opened = sub === undefined ? merchant.products : sub.products;
  if (opened.includes(product)) return;
  const who = sub === undefined ? merchant.mch_id : `sub-merchant ${sub.sub_mch_id}`;
  throw new Refusal(
    'NOAUTH',
    '商户无此接口权限',
    `${who} has not opened ${product}; it has ${opened.join(', ') || 'nothing'}`,
  );
}
