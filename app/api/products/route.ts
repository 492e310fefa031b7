/** The shelf as JSON. */
import { context } from '../../../lib/context.ts';
import { answering, answerJson } from '../../../lib/http.ts';
import { listProducts } from '../../../lib/products.ts';

export function GET(request: Request): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const products = await listProducts(ctx);
    return answerJson(products.map(({ product_id, title, price_fen }) => ({ product_id, title, price_fen })));
  });
}
