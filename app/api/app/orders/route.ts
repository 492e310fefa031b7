/** The APP's server orders: priced by us, once per `Idempotency-Key`. */
import { appOrderInput, idempotencyKey } from '../../../../lib/app_orders.ts';
import { appServerOf } from '../../../../lib/callers.ts';
import { context } from '../../../../lib/context.ts';
import { answering, answerJson, readJson } from '../../../../lib/http.ts';
import { placeOrder } from '../../../../lib/orders.ts';

export function POST(request: Request): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const session = appServerOf(ctx, request);
    const checkout_key = idempotencyKey(request);
    const { items } = await readJson(request, appOrderInput);
    return answerJson(await placeOrder(ctx, session, { items, checkout_key }), 201);
  });
}
