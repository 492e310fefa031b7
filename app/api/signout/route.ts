/** Ends the shopper's session, and with it every copy of its cookie. */
import { context } from '../../../lib/context.ts';
import { answering, answerJson, requireOwnOrigin } from '../../../lib/http.ts';
import { endSession } from '../../../lib/sessions.ts';

export function POST(request: Request): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    requireOwnOrigin(ctx, request);
    return answerJson({}, 200, { 'Set-Cookie': await endSession(ctx, 'shopper', request) });
  });
}
