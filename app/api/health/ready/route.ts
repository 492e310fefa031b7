/** Whether payments can be taken right now, and if not, why. */
import { context } from '../../../../lib/context.ts';
import { readiness } from '../../../../lib/health.ts';
import { answerJson } from '../../../../lib/http.ts';

export async function GET(): Promise<Response> {
  const state = await readiness(context());
  return answerJson(state, state.ready ? 200 : 503);
}
