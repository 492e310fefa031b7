/** How an order of this APP's server stands. */
import { pollAppOrder } from '../../../../../lib/app_orders.ts';
import { appServerOf } from '../../../../../lib/callers.ts';
import { context } from '../../../../../lib/context.ts';
import { answering, answerJson } from '../../../../../lib/http.ts';

type Route = { params: Promise<{ order_no: string }> };

export function GET(request: Request, route: Route): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const session = appServerOf(ctx, request);
    const { order_no } = await route.params;
    return answerJson(await pollAppOrder(ctx, session, order_no));
  });
}
