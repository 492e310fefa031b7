/**
 * The catalogue: what can be bought and at which price. Prices come from here and from nowhere else.
 */
import type { Context } from './context.ts';

export interface Product {
  product_id: string;
  title: string;
  description: string;
  picture: string;
  price_fen: number;
}

/** What is on sale, in the shop's order. */
export function listProducts(ctx: Context): Promise<Product[]> {
  return ctx.db.product.findMany({
    where: { on_sale: true },
    orderBy: [{ position: 'asc' }, { product_id: 'asc' }],
    select: { product_id: true, title: true, description: true, picture: true, price_fen: true },
  });
}
