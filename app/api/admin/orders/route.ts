/** The operator's order list as JSON: the same filter and the same page as the console's. */
import { requireAdmin } from '../../../../lib/admin_gate.ts';
import { listOrders, orderFilter } from '../../../../lib/admin_orders.ts';
import { pageView } from '../../../../lib/admin_views.ts';
import { context } from '../../../../lib/context.ts';
import { answering, answerJson } from '../../../../lib/http.ts';

export function GET(request: Request): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    await requireAdmin(ctx, request);
    const filter = orderFilter.parse(Object.fromEntries(new URL(request.url).searchParams));
    return answerJson(pageView(await listOrders(ctx, filter)));
  });
}
