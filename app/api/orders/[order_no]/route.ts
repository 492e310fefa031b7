/** The status a waiting page polls: our state, and when to come back. */
import { z } from 'zod';
import { callerOf } from '../../../../lib/callers.ts';
import { context } from '../../../../lib/context.ts';
import { answering, answerJson, parseInput } from '../../../../lib/http.ts';
import { pollModes, pollOrder } from '../../../../lib/status.ts';

const pollInput = z.object({
  mode: z.enum(pollModes).default('confirm'),
  poll: z.coerce.number().int().min(0).max(100_000).default(0),
});

type Route = { params: Promise<{ order_no: string }> };

export function GET(request: Request, route: Route): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const { order_no } = await route.params;
    const query = parseInput(pollInput, Object.fromEntries(new URL(request.url).searchParams));
    const session = await callerOf(ctx, request);
    return answerJson(await pollOrder(ctx, session, order_no, query));
  });
}
