/** An operator closes an unpaid order; the answer shows what stood before and after. */
import { closeByOperator, closeInput } from '../../../../../../lib/admin_actions.ts';
import { actingOperator } from '../../../../../../lib/admin_gate.ts';
import { context } from '../../../../../../lib/context.ts';
import { answering, answerJson, readJson } from '../../../../../../lib/http.ts';

type Route = { params: Promise<{ order_no: string }> };

export function POST(request: Request, route: Route): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const operator = await actingOperator(ctx, request);
    await readJson(request, closeInput);
    const { order_no } = await route.params;
    return answerJson(await closeByOperator(ctx, operator, order_no));
  });
}
