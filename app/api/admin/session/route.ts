/** Who is signed in, if anybody: lets the login page notice that a link from elsewhere merely left the strict cookie behind. */
import { readAdmin } from '../../../../lib/admin_account.ts';
import { context } from '../../../../lib/context.ts';
import { answering, answerJson } from '../../../../lib/http.ts';

export function GET(request: Request): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const admin = await readAdmin(ctx, request);
    return answerJson({ username: admin?.username ?? null });
  });
}
