// The API v2 doors of cash red packets: to one person, to a group, and what became of one. They take MD5 and the
// client certificate, and their answers carry no signature. What becomes of a packet is decided in redpack.ts.

import { Unheard, verify, xmlAnswer } from './envelope_v2.ts';
import { lacking } from './fields_v2.ts';
import type { Answer, Call, Door, Family } from './http.ts';
import { Refusal } from './orders.ts';
import { actingFor, UnknownSub } from './parties.ts';
import { accountOf, type Platform } from './platform.ts';
import { needProduct } from './products.ts';
import type { RedPacket } from './records.ts';
import { findPacket, sendPacket } from './redpack.ts';
import { needCertificate } from './refund_v2.ts';
import type { Merchant, SubMerchant } from './registers.ts';
import { beijingIso } from './time.ts';
import { type Fields, writeXml } from './xml.ts';

/** These doors' own names for what the envelope finds wrong, and for a missing permission or certificate. */
const OWN_NAMES: Record<string, [string, string?]> = {
  SIGNERROR: ['SIGN_ERROR'],
  XML_FORMAT_ERROR: ['XML_ERROR'],
  NOT_UTF8: ['XML_ERROR'],
  POST_DATA_EMPTY: ['XML_ERROR'],
  REQUIRE_POST_METHOD: ['PARAM_ERROR'],
  MCHID_NOT_EXIST: ['PARAM_ERROR'],
  LACK_PARAMS: ['PARAM_ERROR'],
  NOAUTH: ['NO_AUTH', '产品权限未开通，请前往商户平台>产品中心开通'],
  CERT_ERROR: ['CA_ERROR', '证书校验错误，请带上正确的证书后重试'],
};

type Verified = { fields: Fields; merchant: Merchant; sub: SubMerchant | undefined };

const fault = (code: string, text: string, why: string) => new Refusal(code, text, why);

/** Method, XML, merchant, MD5 signature, certificate, account: in this order. */
function heard(platform: Platform, call: Call, appid_name: string): Verified {
  const { fields, merchant, sign_type } = verify(platform, call);
  if (sign_type !== 'MD5') throw fault('SIGN_ERROR', '签名错误', 'red packets take MD5 only');
  needCertificate(platform, call, merchant.mch_id);
  const appid = fields[appid_name] ?? '';
  const account = accountOf(platform, appid);
  if (account === undefined || account.kind === 'app' || !merchant.appids.includes(appid)) {
    const why = `${appid_name} ${appid || '(missing)'} is no official account or mini-program bound to ${merchant.mch_id}`;
    throw fault('ILLEGAL_APPID', '非法appid，请确认是否为公众号的appid，不能为APP的appid', why);
  }
  const sub = actingFor(platform, merchant, fields.sub_mch_id ?? '');
  needProduct(merchant, sub, 'REDPACK');
  return { fields, merchant, sub };
}

/** Echoed in every answer of the sending doors, good or bad. */
const ECHOED = ['mch_billno', 'mch_id', 'wxappid', 're_openid', 'total_amount'] as const;

function door(
  appid_name: string,
  handle: (platform: Platform, call: Call, verified: Verified) => Answer,
): Door {
  return (platform, call) => {
    try {
      return handle(platform, call, heard(platform, call, appid_name));
    } catch (cause) {
      if (cause instanceof Refusal || cause instanceof Unheard || cause instanceof UnknownSub) {
        return refused(platform, call, cause);
      }
      throw cause;
    }
  };
}

function refused(platform: Platform, call: Call, cause: Refusal | Unheard | UnknownSub): Answer {
  const found =
    cause instanceof UnknownSub ? { code: 'PARAM_ERROR', text: '子商户号有误', why: cause.message } : cause;
  const [code, text] = OWN_NAMES[found.code] ?? [found.code];
  call.note.code = code;
  call.note.why = found.why;
  const words = text ?? found.text;
  const body = call.body.toString('utf8');
  const echo: Fields = {};
  for (const name of ECHOED) {
    const value = new RegExp(`<${name}>(?:<!\\[CDATA\\[)?([^<\\]]{1,128})`).exec(body)?.[1];
    if (value !== undefined) echo[name] = value;
  }
  return xmlAnswer(platform, {
    return_code: cause instanceof Unheard ? 'FAIL' : 'SUCCESS',
    return_msg: words,
    result_code: 'FAIL',
    err_code: code,
    err_code_des: words,
    ...echo,
  });
}

const REQUIRED = [
  'nonce_str',
  'mch_billno',
  'send_name',
  're_openid',
  'total_amount',
  'total_num',
  'wishing',
  'act_name',
  'remark',
];
const MOST_BYTES: Record<string, number> = {
  send_name: 32,
  wishing: 128,
  act_name: 32,
  remark: 256,
  re_openid: 32,
  scene_id: 32,
};
/** Left out of the comparison when a number comes again. */
const NOT_COMPARED = new Set(['nonce_str', 'sign', 'client_ip', 'risk_info']);

function need(f: Fields, names: string[]): void {
  const lack = lacking(f, names);
  if (lack !== undefined) throw fault('PARAM_ERROR', `参数错误:${lack.text}`, lack.why);
}

function needFormats(f: Fields): void {
  const bad = (name: string, why: string) => fault('PARAM_ERROR', `参数错误:${name}`, why);
  if (!/^[0-9A-Za-z]{1,28}$/.test(f.mch_billno ?? ''))
    throw bad('mch_billno', `mch_billno ${f.mch_billno} is not 1 to 28 digits and letters`);
  for (const name of ['total_amount', 'total_num']) {
    if (!/^[1-9]\d{0,8}$/.test(f[name] ?? '')) throw bad(name, `${name} ${f[name]} is no whole number`);
  }
  for (const [name, most] of Object.entries(MOST_BYTES)) {
    const bytes = Buffer.byteLength(f[name] ?? '');
    if (bytes > most) throw bad(name, `${name} is ${bytes} bytes of UTF-8, at most ${most} are allowed`);
  }
  if (f.scene_id && !/^PRODUCT_[1-8]$/.test(f.scene_id))
    throw bad('scene_id', `there is no scene ${f.scene_id}`);
}

function sending(hb_type: RedPacket['hb_type']) {
  return door('wxappid', (platform, call, { fields: f, merchant, sub }) => {
    need(f, [...REQUIRED, hb_type === 'GROUP' ? 'amt_type' : 'client_ip']);
    needFormats(f);
    if (hb_type === 'GROUP' && f.amt_type !== 'ALL_RAND')
      throw fault('PARAM_ERROR', '参数错误:amt_type', `amt_type is ${f.amt_type}, it must be ALL_RAND`);
    const packet = sendPacket(
      platform,
      {
        mch_id: merchant.mch_id,
        sub_mch_id: f.consume_mch_id === merchant.mch_id ? undefined : sub?.sub_mch_id,
        mch_billno: f.mch_billno ?? '',
        appid: f.wxappid ?? '',
        hb_type,
        re_openid: f.re_openid ?? '',
        total_fen: Number(f.total_amount),
        total_num: Number(f.total_num),
        send_name: f.send_name ?? '',
        wishing: f.wishing ?? '',
        act_name: f.act_name ?? '',
        remark: f.remark ?? '',
        scene_id: f.scene_id ?? '',
        request: {
          ...Object.fromEntries(Object.entries(f).filter(([k, v]) => v !== '' && !NOT_COMPARED.has(k))),
          hb_type,
        },
      },
      call,
      call.note.faults,
    );
    return xmlAnswer(platform, {
      return_code: 'SUCCESS',
      return_msg: '发放成功',
      result_code: 'SUCCESS',
      err_code: 'SUCCESS',
      err_code_des: '发放成功',
      mch_billno: packet.mch_billno,
      mch_id: packet.mch_id,
      wxappid: packet.appid,
      re_openid: packet.re_openid,
      total_amount: String(packet.total_fen),
      send_listid: packet.send_listid,
    });
  });
}

const spaced = (at_ms: number) => beijingIso(at_ms).slice(0, 19).replace('T', ' ');

const gethbinfo = door('appid', (platform, _call, { fields: f, merchant }) => {
  need(f, ['nonce_str', 'mch_billno', 'bill_type']);
  if (f.bill_type !== 'MCHT')
    throw fault('PARAM_ERROR', '参数错误:bill_type', `bill_type is ${f.bill_type}, it must be MCHT`);
  const packet = findPacket(platform, merchant.mch_id, f.mch_billno ?? '');
  if (packet === undefined) {
    throw fault('NOT_FOUND', '指定单号数据不存在', `no red packet ${f.mch_billno} of this merchant`);
  }
  const returned = packet.refund_fen > 0 && packet.ended_at_ms !== undefined;
  const answer = xmlAnswer(platform, {
    return_code: 'SUCCESS',
    return_msg: 'OK',
    result_code: 'SUCCESS',
    err_code: 'SUCCESS',
    err_code_des: 'OK',
    mch_billno: packet.mch_billno,
    mch_id: packet.mch_id,
    detail_id: packet.send_listid,
    status: packet.state,
    send_type: 'API',
    hb_type: packet.hb_type,
    total_num: String(packet.total_num),
    total_amount: String(packet.total_fen),
    ...(packet.reason === '' ? {} : { reason: packet.reason }),
    send_time: spaced(packet.made_at_ms),
    ...(returned
      ? { refund_time: spaced(packet.ended_at_ms ?? 0), refund_amount: String(packet.refund_fen) }
      : {}),
    wishing: packet.wishing,
    remark: packet.remark,
    act_name: packet.act_name,
  });
  const each = packet.taken.map(
    ({ openid, amount_fen, at_ms }) =>
      `<hbinfo>${writeXml({ openid, amount: String(amount_fen), rcv_time: spaced(at_ms) }).slice(5, -6)}</hbinfo>`,
  );
  const list = each.length === 0 ? '' : `<hblist>${each.join('')}</hblist>`;
  return { ...answer, body: answer.body.toString().replace(/<\/xml>$/, () => `${list}</xml>`) };
});

/** SYSTEMERROR, unsigned like everything here. */
const systemError: Door = (platform, call) =>
  refused(
    platform,
    call,
    fault('SYSTEMERROR', '请求已受理，请稍后使用原单号查询发放结果', 'a fault was armed'),
  );

export const redpackV2: Family = {
  name: 'redpack_v2',
  logged: true,
  doors: {
    '/mmpaymkttransfers/sendredpack': sending('NORMAL'),
    '/mmpaymkttransfers/sendgroupredpack': sending('GROUP'),
    '/mmpaymkttransfers/gethbinfo': gethbinfo,
  },
  systemError,
};
