/** The start and the way back of WeChat's web authorisation. */
import { context } from '../../../../lib/context.ts';
import { answering } from '../../../../lib/http.ts';
import { oauth } from '../../../../lib/oauth.ts';

export function GET(request: Request): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, () => oauth(ctx, request));
}
