/** One order with its trades and its timeline, as JSON for an operator. */
import { requireAdmin } from '../../../../../lib/admin_gate.ts';
import { readOrder } from '../../../../../lib/admin_orders.ts';
import { orderView } from '../../../../../lib/admin_views.ts';
import { context } from '../../../../../lib/context.ts';
import { AppError } from '../../../../../lib/errors.ts';
import { answering, answerJson } from '../../../../../lib/http.ts';
import { numberPattern } from '../../../../../lib/numbers.ts';

type Route = { params: Promise<{ order_no: string }> };

export function GET(request: Request, route: Route): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    await requireAdmin(ctx, request);
    const { order_no } = await route.params;
    const read = numberPattern.test(order_no) ? await readOrder(ctx, order_no) : undefined;
    if (read === undefined) throw new AppError('not_found');
    return answerJson(orderView(read));
  });
}
