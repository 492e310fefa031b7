/** An operator signs in. */
import { loginInput, signIn } from '../../../../lib/admin_account.ts';
import { context } from '../../../../lib/context.ts';
import { answering, answerJson, clientIp, readJson, requireOwnOrigin } from '../../../../lib/http.ts';

export function POST(request: Request): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    requireOwnOrigin(ctx, request);
    const input = await readJson(request, loginInput);
    const begun = await signIn(ctx, input, { ip: clientIp(ctx, request.headers), request });
    const answer = answerJson({}, 200, { 'Set-Cookie': begun.set_cookie });
    answer.headers.append('Set-Cookie', begun.device_cookie);
    return answer;
  });
}
