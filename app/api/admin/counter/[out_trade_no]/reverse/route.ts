/** An operator gives up waiting for a charge: it is asked about and, while unknown, reversed. */
import { readCharge } from '../../../../../../lib/admin_counter.ts';
import { actingOperator } from '../../../../../../lib/admin_gate.ts';
import { context } from '../../../../../../lib/context.ts';
import { reverseByOperator, reverseInput } from '../../../../../../lib/counter.ts';
import { answering, answerJson, readJson } from '../../../../../../lib/http.ts';

type Route = { params: Promise<{ out_trade_no: string }> };

export function POST(request: Request, route: Route): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const operator = await actingOperator(ctx, request);
    await readJson(request, reverseInput);
    const { out_trade_no } = await route.params;
    await reverseByOperator(ctx, operator, out_trade_no);
    return answerJson(await readCharge(ctx, out_trade_no));
  });
}
