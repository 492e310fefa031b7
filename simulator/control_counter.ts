// The payer at a counter: shows a payment code or a face, answers the password prompt. A part of the control door
// under /_sim/.

import { BadRequest, bodyOf, guarded, text } from './control.ts';
import { answerPrompt, newCode } from './counter.ts';
import { type Answer, type Call, type Family, json } from './http.ts';
import { orderBehind } from './orders.ts';
import { type Platform, userOf } from './platform.ts';
import type { PaymentCode } from './records.ts';
import { showOrder } from './show.ts';
import { beijingIso } from './time.ts';

const ANSWERS = ['confirm', 'refuse', 'fail'] as const;

function code(kind: PaymentCode['kind']) {
  return (platform: Platform, call: Call): Answer => {
    const body = bodyOf(call);
    const named = text(body, 'openid');
    const user = named === undefined ? platform.store.state.users[0] : userOf(platform, named);
    if (user === undefined) throw new BadRequest(`no user has the openid ${named}`);
    const { password } = body;
    if (password !== undefined && typeof password !== 'boolean')
      throw new BadRequest('password is true, false or absent');
    const made = newCode(platform, user, kind, password);
    const shared = { expires_at: beijingIso(made.dead_at_ms), nickname: user.nickname };
    if (kind === 'MICROPAY') return json(200, { auth_code: made.code, openid: user.openid, ...shared });
    // A face device knows the openid under the appid it was set up with.
    const appid = text(body, 'appid');
    const openid = appid === undefined ? user.openid : user.openids[appid];
    if (openid === undefined) throw new BadRequest(`nobody has an openid under ${appid}`);
    return json(200, { face_code: made.code, openid, ...shared });
  };
}

function password(platform: Platform, call: Call): Answer {
  const body = bodyOf(call);
  const out_trade_no = text(body, 'out_trade_no');
  if (out_trade_no === undefined) throw new BadRequest('out_trade_no is missing');
  const mch_id = text(body, 'mch_id');
  const answer = ANSWERS.find((a) => a === (text(body, 'answer') ?? 'confirm'));
  if (answer === undefined) throw new BadRequest(`answer is one of ${ANSWERS.join(', ')}`);
  const { order } = orderBehind(platform, mch_id === undefined ? { out_trade_no } : { out_trade_no, mch_id });
  call.out_trade_no = order.out_trade_no;
  return json(200, showOrder(platform, answerPrompt(platform, order, answer)));
}

export const controlCounter: Family = {
  name: 'control_counter',
  logged: false,
  doors: {
    '/_sim/payment_code': guarded('POST', code('MICROPAY')),
    '/_sim/face_code': guarded('POST', code('FACEPAY')),
    '/_sim/password': guarded('POST', password),
  },
};
