// Cash red packets: limits, the money leaving the merchant, who may open one, and its return after a day on the
// platform's clock. Refusals carry WeChat's code and text; it knows no XML and no HTTP.

import type { Where } from './faults.ts';
import { Refusal } from './orders.ts';
import { differences } from './placing.ts';
import { type Platform, purseOf, userOf } from './platform.ts';
import type { LedgerEntry, RedPacket } from './records.ts';
import type { User } from './registers.ts';
import { orderKey } from './store.ts';
import { beijingDay } from './time.ts';

const DAY_MS = 24 * 3600 * 1000;
const LEAST_FEN = 100;
const MOST_FEN = 20_000;
const SCENE_MOST_FEN = 499_900;
const A_DAY_EACH = 10;

export type PacketWanted = Pick<
  RedPacket,
  | 'mch_id'
  | 'mch_billno'
  | 'appid'
  | 'hb_type'
  | 're_openid'
  | 'total_fen'
  | 'total_num'
  | 'send_name'
  | 'wishing'
  | 'act_name'
  | 'remark'
  | 'request'
> & { sub_mch_id: string | undefined; scene_id: string };

export function findPacket(platform: Platform, mch_id: string, mch_billno: string): RedPacket | undefined {
  runPackets(platform);
  return platform.store.state.red_packets[orderKey(mch_id, mch_billno)];
}

/** What of all packets has left its merchant and reached nobody yet. */
export function heldFen(platform: Platform): number {
  return Object.values(platform.store.state.red_packets).reduce((sum, p) => sum + restFen(p), 0);
}

function restFen(packet: RedPacket): number {
  return packet.total_fen - packet.refund_fen - packet.taken.reduce((sum, t) => sum + t.amount_fen, 0);
}

function booked(
  platform: Platform,
  packet: RedPacket,
  own: Pick<LedgerEntry, 'kind' | 'amount_fen' | 'at_ms'> & { openid?: string },
): void {
  const { store } = platform;
  const openid = own.openid ?? packet.re_openid;
  store.state.ledger.push({
    entry_id: store.number(),
    mch_id: packet.mch_id,
    sub_mch_id: packet.sub_mch_id,
    appid: packet.appid,
    out_trade_no: '',
    transaction_id: packet.send_listid,
    mch_billno: packet.mch_billno,
    cash_fen: own.kind === 'redpack_claim' ? own.amount_fen : 0,
    user_balance_fen: userOf(platform, openid)?.balance_fen ?? 0,
    merchant_balance_fen: purseOf(platform, packet)?.balance_fen ?? 0,
    ...own,
    openid,
  });
  store.touch();
}

/** At random, each share a fen at least, all of them the whole. */
function shared(platform: Platform, total_fen: number, count: number): number[] {
  const shares: number[] = [];
  let left_fen = total_fen;
  for (let left = count; left > 1; left -= 1) {
    const most_fen = Math.max(1, Math.floor((2 * left_fen) / left) - 1);
    const share_fen = 1 + (Number.parseInt(platform.ids.hex(8), 16) % most_fen);
    shares.push(Math.min(share_fen, left_fen - (left - 1)));
    left_fen -= shares.at(-1) ?? 0;
  }
  return [...shares, left_fen];
}

function needAllowed(platform: Platform, wanted: PacketWanted): void {
  const { total_fen, total_num, hb_type } = wanted;
  const counts = hb_type === 'NORMAL' ? total_num === 1 : total_num >= 3 && total_num <= 20;
  if (!counts) {
    const why = `total_num is ${total_num}; one for a person, 3 to 20 for a group`;
    throw new Refusal('PARAM_ERROR', '参数错误:总人数有误', why);
  }
  const least_fen = wanted.scene_id === '' ? LEAST_FEN : 1;
  const most_fen = wanted.scene_id === '' ? MOST_FEN : SCENE_MOST_FEN;
  const each_fen = total_fen / total_num;
  if (each_fen < least_fen || each_fen > most_fen) {
    const why = `${each_fen} fen each; without scene_id it is ${LEAST_FEN} to ${MOST_FEN}`;
    throw new Refusal('MONEY_LIMIT', '红包金额发放限制', why);
  }
  const day = beijingDay(platform.clock.now());
  const today = Object.values(platform.store.state.red_packets).filter(
    (p) => p.mch_id === wanted.mch_id && p.re_openid === wanted.re_openid && beijingDay(p.made_at_ms) === day,
  );
  if (today.length >= A_DAY_EACH) {
    const why = `${wanted.re_openid} got ${today.length} of this merchant's today`;
    throw new Refusal('SENDNUM_LIMIT', '该用户今日领取红包个数超过限制', why);
  }
}

/** Sends one; the same number with the same fields is answered again and sends nothing more. */
export function sendPacket(
  platform: Platform,
  wanted: PacketWanted,
  where: Where,
  struck: string[],
): RedPacket {
  const { store, clock, ids, faults } = platform;
  const now = clock.now();
  const strike = (name: string) => {
    const fault = faults.take(name, where);
    if (fault !== undefined) struck.push(fault.name);
    return fault;
  };
  if (strike('redpack_freq_limit')) {
    throw new Refusal('FREQ_LIMIT', '超过频率限制，请稍后再试', 'a fault was armed');
  }
  const known = findPacket(platform, wanted.mch_id, wanted.mch_billno);
  if (known !== undefined) {
    const changed = differences(known.request, wanted.request);
    if (changed.length > 0) {
      const why = `${wanted.mch_billno} was first sent with another ${changed.join(', ')}`;
      throw new Refusal('FATAL_ERROR', '重复请求时，参数与原单不一致', why);
    }
    if (known.state === 'FAILED') {
      throw new Refusal('SEND_FAILED', '红包发放失败，请更换单号再重试', known.reason);
    }
    return known;
  }
  const user = userOf(platform, wanted.re_openid, wanted.appid);
  if (user === undefined) {
    const why = `nobody has the openid ${wanted.re_openid} under ${wanted.appid}`;
    throw new Refusal('OPENID_ERROR', 'openid和appid不匹配', why);
  }
  needAllowed(platform, wanted);
  const purse = purseOf(platform, wanted);
  if (purse === undefined) throw new Error(`no merchant ${wanted.mch_id}`);
  const bound = platform.refunds.unfinished(wanted.mch_id, wanted.sub_mch_id);
  const free_fen = purse.balance_fen - bound.reduce((sum, r) => sum + r.refund_fen, 0);
  if (free_fen < wanted.total_fen) {
    const why = `the merchant has ${free_fen} fen free, the packet takes ${wanted.total_fen}`;
    throw new Refusal('NOTENOUGH', '帐号余额不足，请到商户平台充值后再重试', why);
  }
  const slow = strike('redpack_sending');
  const fails = strike('redpack_failed');
  const sent_at_ms = now + (slow?.number('delay_s') ?? 0) * 1000;
  const { scene_id: _scene, ...rest } = wanted;
  const packet: RedPacket = {
    ...rest,
    send_listid: `1000${ids.digits(28)}`,
    shares_fen: shared(platform, wanted.total_fen, wanted.total_num),
    taken: [],
    state: 'SENDING',
    reason: fails === undefined ? '' : '发放失败',
    made_at_ms: now,
    sent_at_ms,
    dead_at_ms: sent_at_ms + DAY_MS,
    refund_fen: 0,
  };
  purse.balance_fen -= packet.total_fen;
  store.state.red_packets[orderKey(packet.mch_id, packet.mch_billno)] = packet;
  booked(platform, packet, { kind: 'redpack', amount_fen: packet.total_fen, at_ms: now });
  runPackets(platform);
  platform.notifier.pump();
  if (strike('redpack_processing')) {
    throw new Refusal(
      'PROCESSING',
      '请求已受理，请稍后使用原单号查询发放结果',
      'a fault was armed; it is sent',
    );
  }
  return packet;
}

/** The payer opens it: the next share goes to the balance. */
export function openPacket(platform: Platform, packet: RedPacket, user: User): RedPacket {
  runPackets(platform);
  const openid = user.openids[packet.appid];
  const no = (text: string, why: string) => new Refusal('INVALID_REQUEST', text, why);
  if (openid === undefined) throw no('无法领取', `${user.nickname} has no openid under ${packet.appid}`);
  if (packet.hb_type === 'NORMAL' && openid !== packet.re_openid) {
    throw no('这不是发给你的红包', `it is for ${packet.re_openid}`);
  }
  if (packet.taken.some((t) => t.openid === openid)) throw no('你已领取过', 'one share each');
  if (packet.state === 'RECEIVED') throw no('手慢了，红包派完了', 'every share is taken');
  if (packet.state !== 'SENT') throw no('红包已超过24小时或尚未到达', `it is ${packet.state}`);
  const amount_fen = packet.shares_fen.shift();
  if (amount_fen === undefined) throw no('手慢了，红包派完了', 'every share is taken');
  const at_ms = platform.clock.now();
  user.balance_fen += amount_fen;
  packet.taken.push({ openid, amount_fen, at_ms });
  if (packet.shares_fen.length === 0) packet.state = 'RECEIVED';
  booked(platform, packet, { kind: 'redpack_claim', amount_fen, at_ms, openid });
  return packet;
}

function dueOf(packet: RedPacket): number | null {
  if (packet.state === 'SENDING') return packet.sent_at_ms;
  if (packet.state === 'SENT') return packet.dead_at_ms;
  return packet.state === 'RFUND_ING' ? (packet.back_at_ms ?? null) : null;
}

function giveBack(platform: Platform, packet: RedPacket, at_ms: number): void {
  const purse = purseOf(platform, packet);
  if (purse === undefined) throw new Error(`red packet ${packet.mch_billno} has lost its merchant`);
  const amount_fen = restFen(packet);
  purse.balance_fen += amount_fen;
  packet.refund_fen += amount_fen;
  packet.shares_fen = [];
  packet.ended_at_ms = at_ms;
  booked(platform, packet, { kind: 'redpack_return', amount_fen, at_ms });
}

function step(platform: Platform, packet: RedPacket, at_ms: number): void {
  if (packet.state === 'SENDING' && packet.reason === '') packet.state = 'SENT';
  else if (packet.state === 'SENDING') {
    packet.state = 'FAILED';
    giveBack(platform, packet, at_ms);
  } else if (packet.state === 'SENT') {
    packet.state = 'RFUND_ING';
    packet.back_at_ms = at_ms + platform.refund_delay_s * 1000;
  } else {
    packet.state = 'REFUND';
    giveBack(platform, packet, at_ms);
  }
  platform.store.touch();
}

/** When the next packet changes by itself. */
export function nextPacketDue(platform: Platform): number | null {
  let next: number | null = null;
  for (const packet of Object.values(platform.store.state.red_packets)) {
    const due = dueOf(packet);
    if (due !== null && (next === null || due < next)) next = due;
  }
  return next;
}

/** Everything that falls due by now: arrivals, failures, returns. */
export function runPackets(platform: Platform): void {
  const now = platform.clock.now();
  for (const packet of Object.values(platform.store.state.red_packets)) {
    for (let due = dueOf(packet); due !== null && due <= now; due = dueOf(packet))
      step(platform, packet, due);
  }
}
