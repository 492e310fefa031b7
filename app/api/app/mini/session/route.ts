/** A mini-program signs in: `wx.login`'s code for a bearer token. */
import { context } from '../../../../../lib/context.ts';
import { answering, answerJson, readJson } from '../../../../../lib/http.ts';
import { miniSignIn, signInMini } from '../../../../../lib/mini.ts';
import { limitCaller } from '../../../../../lib/tally.ts';

export function POST(request: Request): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const { code } = await readJson(request, miniSignIn);
    await limitCaller(ctx, request.headers, 'sign_in');
    return answerJson(await signInMini(ctx, code), 201);
  });
}
