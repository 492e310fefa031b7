/** An operator explains a difference between WeChat's bill and our books; the first explanation stands. */
import { actingOperator } from '../../../../../../lib/admin_gate.ts';
import { explainDifference, explainInput } from '../../../../../../lib/admin_statements.ts';
import { context } from '../../../../../../lib/context.ts';
import { answering, answerJson, readJson } from '../../../../../../lib/http.ts';

type Route = { params: Promise<{ id: string }> };

export function POST(request: Request, route: Route): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const operator = await actingOperator(ctx, request);
    const input = await readJson(request, explainInput);
    return answerJson(await explainDifference(ctx, operator, (await route.params).id, input));
  });
}
