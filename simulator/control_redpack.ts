// Red packets as they stand, and the payer's thumb that opens one. A part of the control door under /_sim/.

import { BadRequest, bodyOf, guarded, text } from './control.ts';
import { type Answer, type Call, type Family, json } from './http.ts';
import { Refusal } from './orders.ts';
import { type Platform, userOf } from './platform.ts';
import type { RedPacket } from './records.ts';
import { openPacket, runPackets } from './redpack.ts';
import { beijingIso } from './time.ts';

function shown({ request: _request, shares_fen, ...packet }: RedPacket) {
  return {
    ...packet,
    shares_left: shares_fen.length,
    made_at: beijingIso(packet.made_at_ms),
    dead_at: beijingIso(packet.dead_at_ms),
  };
}

function list(platform: Platform, call: Call): Answer {
  runPackets(platform);
  const number = call.query.get('mch_billno') ?? '';
  const found = Object.values(platform.store.state.red_packets).filter(
    (p) => number === '' || p.mch_billno === number,
  );
  return json(200, { red_packets: found.slice(-Number(call.query.get('limit') ?? 200)).map(shown) });
}

function open(platform: Platform, call: Call): Answer {
  const body = bodyOf(call);
  const mch_billno = text(body, 'mch_billno');
  const mch_id = text(body, 'mch_id');
  const packet = Object.values(platform.store.state.red_packets).find(
    (p) => p.mch_billno === mch_billno && (mch_id === undefined || p.mch_id === mch_id),
  );
  if (packet === undefined) {
    throw new Refusal(
      'ORDERNOTEXIST',
      '红包不存在',
      `no red packet ${mch_billno ?? '(mch_billno is missing)'}`,
    );
  }
  const user = userOf(platform, text(body, 'openid') ?? packet.re_openid);
  if (user === undefined) throw new BadRequest('openid names no user');
  return json(200, shown(openPacket(platform, packet, user)));
}

export const controlRedpack: Family = {
  name: 'control_redpack',
  logged: false,
  doors: {
    '/_sim/red_packets': guarded('GET', list),
    '/_sim/red_packets/open': guarded('POST', open),
  },
};
