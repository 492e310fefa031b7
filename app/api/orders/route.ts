/** Placing an order: once per `checkout_key`, priced by us. A browser without a session gets one here. */
import { writerOf } from '../../../lib/callers.ts';
import { context } from '../../../lib/context.ts';
import { answering, answerJson, readJson } from '../../../lib/http.ts';
import { orderInput, placeOrder } from '../../../lib/orders.ts';
import { beginSession } from '../../../lib/sessions.ts';
import { limitCaller } from '../../../lib/tally.ts';

export function POST(request: Request): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const known = await writerOf(ctx, request);
    const input = await readJson(request, orderInput);
    await limitCaller(ctx, request.headers, 'order');
    const begun = known === undefined ? await beginSession(ctx, 'shopper') : undefined;
    const session = known ?? begun?.session;
    if (session === undefined) throw new Error('a session is either known or begun');
    const order = await placeOrder(ctx, session, input);
    return answerJson(order, 201, begun === undefined ? {} : { 'Set-Cookie': begun.set_cookie });
  });
}
