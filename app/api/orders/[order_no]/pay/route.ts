/** One tap on the pay button: the parameters for the bridge, signed here. */
import { z } from 'zod';
import { context } from '../../../../../lib/context.ts';
import { AppError } from '../../../../../lib/errors.ts';
import { answering, answerJson, clientIp, readJson, requireOwnOrigin } from '../../../../../lib/http.ts';
import { readSession } from '../../../../../lib/sessions.ts';
import { startJsapiTrade } from '../../../../../lib/trades.ts';

const payInput = z.strictObject({ trade_type: z.enum(['JSAPI', 'NATIVE', 'APP', 'MWEB']) });

type Route = { params: Promise<{ order_no: string }> };

export function POST(request: Request, route: Route): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    requireOwnOrigin(ctx, request);
    const { trade_type } = await readJson(request, payInput);
    if (trade_type !== 'JSAPI') throw new AppError('product_not_opened', { field: 'trade_type' });
    const session = await readSession(ctx, 'shopper', request);
    if (session === undefined) throw new AppError('openid_required');
    const { order_no } = await route.params;
    return answerJson(await startJsapiTrade(ctx, session, order_no, clientIp(ctx, request.headers)));
  });
}
