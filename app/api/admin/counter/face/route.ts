/** A face device's raw data for WeChat's auth info, which lets the device recognise payers for a while. */
import { actingOperator } from '../../../../../lib/admin_gate.ts';
import { context } from '../../../../../lib/context.ts';
import { faceAuth, faceAuthInput } from '../../../../../lib/counter_face.ts';
import { answering, answerJson, readJson } from '../../../../../lib/http.ts';

export function POST(request: Request): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const operator = await actingOperator(ctx, request);
    return answerJson(await faceAuth(ctx, operator, await readJson(request, faceAuthInput)));
  });
}
