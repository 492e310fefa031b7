/** An operator asks WeChat again about an order; the answer shows what stood before and after. */
import { actingOperator } from '../../../../../../lib/admin_gate.ts';
import { requeryInput, requeryOrder } from '../../../../../../lib/admin_query.ts';
import { context } from '../../../../../../lib/context.ts';
import { answering, answerJson, readJson } from '../../../../../../lib/http.ts';

type Route = { params: Promise<{ order_no: string }> };

export function POST(request: Request, route: Route): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const operator = await actingOperator(ctx, request);
    const input = await readJson(request, requeryInput);
    const { order_no } = await route.params;
    return answerJson(await requeryOrder(ctx, operator, order_no, input));
  });
}
