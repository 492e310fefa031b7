/** Paying an order one way: what the payer's side needs to go on, signed or fetched here; a code comes drawn, too. */
import { z } from 'zod';
import { writerOf } from '../../../../../lib/callers.ts';
import { context } from '../../../../../lib/context.ts';
import { answering, answerJson, clientIp, readJson } from '../../../../../lib/http.ts';
import { limitCaller } from '../../../../../lib/tally.ts';
import { startTrade } from '../../../../../lib/trades.ts';
import { wayOf, ways } from '../../../../../lib/ways.ts';
import { qrRegion } from '../../../../(shop)/pay/regions.ts';

const payInput = z.strictObject({ trade_type: z.enum(ways) });

type Route = { params: Promise<{ order_no: string }> };

export function POST(request: Request, route: Route): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const session = await writerOf(ctx, request);
    const { trade_type } = await readJson(request, payInput);
    await limitCaller(ctx, request.headers, 'pay');
    const { order_no } = await route.params;
    const payer = { session, payer_client_ip: clientIp(ctx, request.headers) };
    const started = await startTrade(ctx, payer, order_no, wayOf(trade_type, session));
    return answerJson('code_url' in started ? { ...started, code_svg: qrRegion(started.code_url) } : started);
  });
}
