/** An operator sends a refund that could not be delivered to a bank card instead. */
import { abnormalInput, resolveAbnormal } from '../../../../../../../lib/abnormal_refund.ts';
import { actingOperator } from '../../../../../../../lib/admin_gate.ts';
import { context } from '../../../../../../../lib/context.ts';
import { answering, answerJson, readJson } from '../../../../../../../lib/http.ts';

type Route = { params: Promise<{ order_no: string }> };

export function POST(request: Request, route: Route): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const operator = await actingOperator(ctx, request);
    const input = await readJson(request, abnormalInput);
    const { order_no } = await route.params;
    return answerJson(await resolveAbnormal(ctx, operator, order_no, input));
  });
}
