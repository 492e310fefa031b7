/** Who is signed in: lets the login page notice that a link from elsewhere merely left the strict cookie behind. */
import { requireAdmin } from '../../../../lib/admin_gate.ts';
import { context } from '../../../../lib/context.ts';
import { answering, answerJson } from '../../../../lib/http.ts';

export function GET(request: Request): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const { username } = await requireAdmin(ctx, request);
    return answerJson({ username });
  });
}
