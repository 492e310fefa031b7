/**
 * Cash red packets over API v2: one person's or shared by lot, and what became of one. They are signed with MD5 whatever
 * the account uses, their answers are not signed at all, so every answer is held against what was asked.
 *
 * Source: WeChat Pay v2, 现金红包 (发放红包, 发放裂变红包, 查询红包记录).
 */
import { parseSpacedTime } from '../beijing_time.ts';
import { WechatError } from '../errors.ts';
import { type Answer, sendRequest } from '../http.ts';
import type {
  QueriedRedPacket,
  RedPacketReport,
  RedPacketStatus,
  SendRedPacket,
  SentRedPacket,
} from '../types.ts';
import { parseXml, XmlError, type XmlFields } from '../xml.ts';
import {
  badAnswer,
  type Caller,
  httpFailure,
  orBadAnswer,
  type RequestFields,
  readAnswer,
  resultFailure,
  returnFailure,
} from './call.ts';
import type { CallV2 } from './errors.ts';
import { FieldError, mustBe, optional, optionalFen, required, requiredFen } from './fields.ts';

const MCH_BILLNO = /^[A-Za-z0-9]{1,28}$/;
const OPENID = /^[A-Za-z0-9_-]{1,128}$/;
const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;
const SCENE_ID = /^PRODUCT_[1-8]$/;
/** Text that people read; nothing in it can be taken for a second field of the signed string. */
const TEXT = /^[^<>&=\p{Cc}]+$/u;
const MAX_FEN = 2 ** 31 - 1;

const STATUSES: ReadonlySet<string> = new Set<RedPacketStatus>([
  'SENDING',
  'SENT',
  'FAILED',
  'RECEIVED',
  'RFUND_ING',
  'REFUND',
]);

export async function sendRedPacket(caller: Caller, packet: SendRedPacket): Promise<SentRedPacket> {
  const group = packet.total_num > 1;
  const call = group ? 'sendgroupredpack' : 'sendredpack';
  const { config } = caller;
  demand(MCH_BILLNO.test(packet.mch_billno), 'mch_billno');
  demand(OPENID.test(packet.re_openid), 're_openid');
  demand(isCount(packet.total_fen, MAX_FEN), 'total_fen');
  demand(isCount(packet.total_num, 20) && packet.total_num !== 2, 'total_num');
  demand(IPV4.test(packet.client_ip), 'client_ip');
  demand(packet.scene_id === undefined || SCENE_ID.test(packet.scene_id), 'scene_id');
  for (const [name, most] of [
    ['send_name', 32],
    ['wishing', 128],
    ['act_name', 32],
    ['remark', 256],
  ] as const) {
    demand(TEXT.test(packet[name]) && Buffer.byteLength(packet[name]) <= most, name);
  }
  const answer = await ask(caller, call, {
    appid: undefined,
    sub_appid: undefined,
    wxappid: config.appid,
    ...(config.sub_mch_id === undefined ? {} : { msgappid: config.sub_appid ?? config.appid }),
    mch_billno: packet.mch_billno,
    send_name: packet.send_name,
    re_openid: packet.re_openid,
    total_amount: String(packet.total_fen),
    total_num: String(packet.total_num),
    ...(group ? { amt_type: 'ALL_RAND' } : { client_ip: packet.client_ip }),
    wishing: packet.wishing,
    act_name: packet.act_name,
    remark: packet.remark,
    scene_id: packet.scene_id,
  });
  const { exchange } = answer;
  const fields = judge(call, readAnswer(call, answer.body, exchange), answer);
  return orBadAnswer(call, exchange, () => {
    mustBe(fields, 'mch_billno', packet.mch_billno);
    mustBe(fields, 'mch_id', config.mch_id);
    mustBe(fields, 'wxappid', config.appid);
    mustBe(fields, 're_openid', packet.re_openid);
    mustBe(fields, 'total_amount', String(packet.total_fen));
    return { send_listid: optional(fields, 'send_listid'), exchange };
  });
}

export async function queryRedPacket(caller: Caller, mch_billno: string): Promise<QueriedRedPacket> {
  const call = 'gethbinfo';
  demand(MCH_BILLNO.test(mch_billno), 'mch_billno');
  const answer = await ask(caller, call, { mch_billno, bill_type: 'MCHT', sub_appid: undefined });
  const { exchange } = answer;
  const { flat, list } = apart(call, answer);
  const fields = judge(call, flat, answer);
  return orBadAnswer(call, exchange, () => {
    mustBe(fields, 'mch_billno', mch_billno);
    mustBe(fields, 'mch_id', caller.config.mch_id);
    return { report: reportOf(fields, list), exchange };
  });
}

function ask(caller: Caller, call: CallV2, fields: RequestFields): Promise<Answer> {
  const { request, fetch } = caller.prepare(call, { ...fields, sign_type: undefined }, 'MD5');
  return sendRequest(fetch, caller.ports.now, request);
}

function judge(call: CallV2, fields: XmlFields, { status, exchange }: Answer): XmlFields {
  if (status !== 200) throw httpFailure(call, exchange);
  if (fields.return_code === 'FAIL') throw returnFailure(call, fields, exchange);
  if (fields.return_code !== 'SUCCESS') throw badAnswer(call, exchange, 'no return_code');
  if (fields.result_code === 'FAIL') throw resultFailure(call, fields, exchange);
  if (fields.result_code !== 'SUCCESS') throw badAnswer(call, exchange, 'no result_code');
  return fields;
}

/** The one nested list of API v2, `hblist`, taken out and read by itself. */
function apart(call: CallV2, { body, exchange, status }: Answer): { flat: XmlFields; list: XmlFields[] } {
  if (status !== 200) throw httpFailure(call, exchange);
  const text = Buffer.from(body).toString();
  const [hblist = ''] = /<hblist>[\s\S]*<\/hblist>/.exec(text) ?? [];
  const entries = hblist.match(/<hbinfo>[\s\S]*?<\/hbinfo>/g) ?? [];
  const flat = readAnswer(call, Buffer.from(text.replace(hblist, '')), exchange);
  try {
    return { flat, list: entries.map((entry) => parseXml(Buffer.from(entry), 'hbinfo')) };
  } catch (cause) {
    if (!(cause instanceof XmlError)) throw cause;
    throw badAnswer(call, exchange, 'its list is no XML of WeChat', cause);
  }
}

function reportOf(fields: XmlFields, list: readonly XmlFields[]): RedPacketReport {
  const status = required(fields, 'status');
  if (!isStatus(status)) throw new FieldError('status is a word we do not know');
  return {
    mch_billno: required(fields, 'mch_billno'),
    detail_id: optional(fields, 'detail_id'),
    status,
    total_fen: requiredFen(fields, 'total_amount'),
    total_num: requiredFen(fields, 'total_num'),
    reason: optional(fields, 'reason'),
    refund_fen: optionalFen(fields, 'refund_amount'),
    taken: list.map((entry) => {
      const openid = required(entry, 'openid');
      if (!OPENID.test(openid)) throw new FieldError('openid is misshapen');
      return {
        openid,
        amount_fen: requiredFen(entry, 'amount'),
        received_at: parseSpacedTime(optional(entry, 'rcv_time') ?? ''),
      };
    }),
  };
}

function isStatus(word: string): word is RedPacketStatus {
  return STATUSES.has(word);
}

function isCount(value: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= 1 && value <= most;
}

/** What WeChat would refuse, or what must not be signed, is refused here, before anything is sent. */
function demand(condition: boolean, name: string): void {
  if (!condition)
    throw new WechatError('refused', 'PARAM_ERROR', `${name} is not as WeChat wants it; nothing was sent`);
}
