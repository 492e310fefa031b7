/** An operator charges a payment code or a face; the same `charge_key` again is the same charge. */
import { readCharge } from '../../../../../lib/admin_counter.ts';
import { actingOperator } from '../../../../../lib/admin_gate.ts';
import { context } from '../../../../../lib/context.ts';
import { charge, chargeInput } from '../../../../../lib/counter.ts';
import { answering, answerJson, readJson } from '../../../../../lib/http.ts';

export function POST(request: Request): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const operator = await actingOperator(ctx, request);
    const out_trade_no = await charge(ctx, operator, await readJson(request, chargeInput));
    return answerJson(await readCharge(ctx, out_trade_no));
  });
}
