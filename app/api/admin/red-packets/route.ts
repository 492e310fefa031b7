/** An operator sends a cash red packet; the same `command_key` again is the same packet. */

import { readRedPacket } from '../../../../lib/admin_counter.ts';
import { actingOperator } from '../../../../lib/admin_gate.ts';
import { context } from '../../../../lib/context.ts';
import { answering, answerJson, readJson } from '../../../../lib/http.ts';
import { redPacketInput, sendByOperator } from '../../../../lib/red_packets.ts';

export function POST(request: Request): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, async () => {
    const operator = await actingOperator(ctx, request);
    const { mch_billno, made } = await sendByOperator(ctx, operator, await readJson(request, redPacketInput));
    return answerJson({ ...(await readRedPacket(ctx, mch_billno)), made });
  });
}
