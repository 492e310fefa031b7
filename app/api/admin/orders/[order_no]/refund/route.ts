/** An operator gives money back; the same `command_key` again is the same refund. */
import { refundByOperator, refundInput } from '../../../../../../lib/admin_actions.ts';
import { actingOperator } from '../../../../../../lib/admin_gate.ts';
import { context } from '../../../../../../lib/context.ts';
import { answering, answerJson, readJson } from '../../../../../../lib/http.ts';

type Route = { params: Promise<{ order_no: string }> };

export function POST(request: Request, route: Route): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const operator = await actingOperator(ctx, request);
    const input = await readJson(request, refundInput);
    const { order_no } = await route.params;
    return answerJson(await refundByOperator(ctx, operator, order_no, input));
  });
}
