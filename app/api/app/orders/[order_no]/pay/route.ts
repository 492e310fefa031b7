/** The parameters with which the APP on the payer's phone calls WeChat's SDK. */
import { appPayInput, startAppTrade } from '../../../../../../lib/app_orders.ts';
import { appServerOf } from '../../../../../../lib/callers.ts';
import { context } from '../../../../../../lib/context.ts';
import { answering, answerJson, readJson } from '../../../../../../lib/http.ts';

type Route = { params: Promise<{ order_no: string }> };

export function POST(request: Request, route: Route): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const session = appServerOf(ctx, request);
    const { payer_client_ip } = await readJson(request, appPayInput);
    const { order_no } = await route.params;
    return answerJson(await startAppTrade(ctx, session, order_no, payer_client_ip));
  });
}
