/** The signature for `wx.config` of one page of ours, named by `?url=`. */
import { context } from '../../../../lib/context.ts';
import { answering, answerJson } from '../../../../lib/http.ts';
import { pageJsSdk } from '../../../../lib/js_sdk.ts';

export function GET(request: Request): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () =>
    answerJson(await pageJsSdk(ctx, new URL(request.url).searchParams.get('url'))),
  );
}
