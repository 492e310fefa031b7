/** How many things need a person: what the header asks again on every page. */
import { countAttention } from '../../../../lib/admin_attention.ts';
import { requireAdmin } from '../../../../lib/admin_gate.ts';
import { context } from '../../../../lib/context.ts';
import { answering, answerJson } from '../../../../lib/http.ts';

export function GET(request: Request): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    await requireAdmin(ctx, request);
    return answerJson({ count: await countAttention(ctx) });
  });
}
