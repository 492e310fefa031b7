/** The process answers; nothing else is claimed. */
import { answerJson } from '../../../../lib/http.ts';

export function GET(): Response {
  return answerJson({ live: true });
}
