/** An operator signs out; the session's row ends, not only the cookie. */
import { context } from '../../../../lib/context.ts';
import { answering, answerJson, requireOwnOrigin } from '../../../../lib/http.ts';
import { endSession } from '../../../../lib/sessions.ts';

export function POST(request: Request): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    requireOwnOrigin(ctx, request);
    return answerJson({}, 200, { 'Set-Cookie': await endSession(ctx, 'admin', request) });
  });
}
