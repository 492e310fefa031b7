/** An operator has a day's bill fetched and compared again; answers when that is done. */
import { actingOperator } from '../../../../../lib/admin_gate.ts';
import { reconcileByOperator, reconcileInput } from '../../../../../lib/admin_statements.ts';
import { context } from '../../../../../lib/context.ts';
import { answering, answerJson, readJson } from '../../../../../lib/http.ts';

type Route = { params: Promise<{ date: string }> };

export function POST(request: Request, route: Route): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const operator = await actingOperator(ctx, request);
    await readJson(request, reconcileInput);
    return answerJson(await reconcileByOperator(ctx, operator, (await route.params).date));
  });
}
