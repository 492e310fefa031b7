/** How a charge of the counter stands; a page that waits asks again and again. */
import { readCharge } from '../../../../../lib/admin_counter.ts';
import { requireAdmin } from '../../../../../lib/admin_gate.ts';
import { context } from '../../../../../lib/context.ts';
import { answering, answerJson } from '../../../../../lib/http.ts';

type Route = { params: Promise<{ out_trade_no: string }> };

export function GET(request: Request, route: Route): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    await requireAdmin(ctx, request);
    return answerJson(await readCharge(ctx, (await route.params).out_trade_no));
  });
}
