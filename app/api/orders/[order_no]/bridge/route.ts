/** What the bridge answered the page, for the timeline alone: it proves nothing and moves nothing. */
import { z } from 'zod';
import { recordBridgeResult } from '../../../../../lib/bridge.ts';
import { context } from '../../../../../lib/context.ts';
import { answering, answerJson, readJson, requireOwnOrigin } from '../../../../../lib/http.ts';
import { readSession } from '../../../../../lib/sessions.ts';

const bridgeInput = z.strictObject({
  out_trade_no: z.string().regex(/^[0-9A-Z]{30}$/),
  err_msg: z.string().max(200),
  first_url: z.string().max(2_048).optional(),
  current_url: z.string().max(2_048).optional(),
});

type Route = { params: Promise<{ order_no: string }> };

export function POST(request: Request, route: Route): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    requireOwnOrigin(ctx, request);
    const said = await readJson(request, bridgeInput);
    const session = await readSession(ctx, 'shopper', request);
    const { order_no } = await route.params;
    await recordBridgeResult(ctx, session, order_no, said, request.headers.get('user-agent') ?? '');
    return answerJson({});
  });
}
