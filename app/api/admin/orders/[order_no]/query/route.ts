/** An operator asks WeChat again about an order; the answer shows what stood before and after. */
import { requireAdmin } from '../../../../../../lib/admin_gate.ts';
import { requeryInput, requeryOrder } from '../../../../../../lib/admin_query.ts';
import { context } from '../../../../../../lib/context.ts';
import { answering, answerJson, readJson, requireOwnOrigin } from '../../../../../../lib/http.ts';

type Route = { params: Promise<{ order_no: string }> };

export function POST(request: Request, route: Route): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    requireOwnOrigin(ctx, request);
    await requireAdmin(ctx, request);
    const input = await readJson(request, requeryInput);
    const { order_no } = await route.params;
    return answerJson(await requeryOrder(ctx, order_no, input));
  });
}
