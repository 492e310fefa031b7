/**
 * What happens at the counter over API v2: charging by code and by face, reversing, red packets. What is sent, what is
 * believed, and that doubt is never called a refusal. Answers are signed by another implementation than ours
 * (wechatpay-axios-plugin); codes and fields are those of WeChat Pay v2, 付款码支付, 刷脸支付 and 现金红包.
 */
import { describe, expect, it } from 'vitest';
import { Hash } from 'wechatpay-axios-plugin';
import {
  type ChargeTrade,
  type CounterCalls,
  createWechatPayV2,
  parseXml,
  type SendRedPacket,
  WechatError,
  type WechatPayV2Config,
} from '../../lib/wechat/index.ts';

const KEY = '192006250b4c09247ec02edce69f6a2d';
const NOW = new Date('2025-07-04T07:30:00Z');
const CONFIG: WechatPayV2Config = {
  appid: 'wx2421b1c4370ec43b',
  mch_id: '10000100',
  api_v2_key: KEY,
  sign_type: 'HMAC-SHA256',
  base_url: 'https://api.mch.weixin.qq.com',
};
const CODE = '134650031281234567';
const CHARGE: ChargeTrade = {
  out_trade_no: 'C20250704000001',
  description: '柜台小店-收款',
  total_fen: 1024,
  client_ip: '10.0.0.7',
  time_start_at: NOW,
  time_expire_at: new Date(NOW.getTime() + 90_000),
  payer: { trade_type: 'MICROPAY', auth_code: CODE },
};
const PAID = {
  out_trade_no: CHARGE.out_trade_no,
  openid: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o',
  is_subscribe: 'N',
  trade_type: 'MICROPAY',
  bank_type: 'OTHERS',
  fee_type: 'CNY',
  total_fee: '1024',
  cash_fee: '1024',
  transaction_id: '4200000263201902167700134212',
  time_end: '20250704153001',
};
const PACKET: SendRedPacket = {
  mch_billno: '1000010020250704000000000001'.slice(0, 28),
  re_openid: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o',
  total_fen: 188,
  total_num: 1,
  send_name: '柜台小店',
  wishing: '恭喜发财',
  act_name: '开业',
  remark: '柜台红包',
  client_ip: '127.0.0.1',
};

type Fields = Record<string, string>;

function xml(fields: Fields): string {
  return `<xml>${Object.entries(fields)
    .map(([name, value]) => `<${name}><![CDATA[${value}]]></${name}>`)
    .join('')}</xml>`;
}

function signed(fields: Fields): string {
  const all = {
    return_code: 'SUCCESS',
    return_msg: 'OK',
    appid: CONFIG.appid,
    mch_id: CONFIG.mch_id,
    nonce_str: 'IITRi8Iabbblz1Jc',
    result_code: 'SUCCESS',
    ...fields,
  };
  return xml({ ...all, sign: Hash.sign('HMAC-SHA256', all, KEY) });
}

const failed = (err_code: string, more: Fields = {}): string =>
  signed({ result_code: 'FAIL', err_code, err_code_des: '说明', ...more });

function counterWith(answer: string | Error, config: Partial<WechatPayV2Config> = {}) {
  const sent: { url: string; fields: Fields }[] = [];
  const fetch: typeof globalThis.fetch = async (url, init = {}) => {
    sent.push({ url: String(url), fields: { ...parseXml(Buffer.from(String(init.body))) } });
    if (answer instanceof Error) throw answer;
    return new Response(answer);
  };
  const pay = createWechatPayV2(
    { ...CONFIG, ...config },
    {
      fetch,
      fetch_with_certificate: fetch,
      now: () => NOW,
      nonce: (length = 32) => 'n'.repeat(length),
    },
  );
  if (pay.counter === undefined) throw new Error('v2 has no counter');
  return { counter: pay.counter, sent };
}

async function failure(promise: Promise<unknown>): Promise<WechatError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof WechatError)) throw new Error('no WechatError', { cause: error });
  return error;
}

const outcomes = async (call: (counter: CounterCalls) => Promise<unknown>, codes: readonly string[]) =>
  Promise.all(
    codes.map(async (code) => [code, (await failure(call(counterWith(failed(code)).counter))).outcome]),
  );

describe('charging a payment code', () => {
  it('sends what the document asks for, signed, and reports the money', async () => {
    const { counter, sent } = counterWith(signed(PAID));
    const { report } = await counter.chargeTrade(CHARGE);
    expect(report).toMatchObject({
      trade_state: 'SUCCESS',
      trade_type: 'MICROPAY',
      total_fen: 1024,
      transaction_id: PAID.transaction_id,
    });
    expect(sent[0]?.url).toBe('https://api.mch.weixin.qq.com/pay/micropay');
    const { sign, ...fields } = sent[0]?.fields ?? {};
    expect(sign).toBe(Hash.sign('HMAC-SHA256', fields, KEY));
    expect(fields).toMatchObject({
      auth_code: CODE,
      total_fee: '1024',
      spbill_create_ip: '10.0.0.7',
      time_expire: '20250704153130',
    });
    expect(fields).not.toHaveProperty('notify_url');
    expect(fields).not.toHaveProperty('trade_type');
  });

  it('keeps no usable code, neither of an answer nor of a failure', async () => {
    const { exchange } = await counterWith(signed(PAID)).counter.chargeTrade(CHARGE);
    const lost = await failure(counterWith(new TypeError('cut')).counter.chargeTrade(CHARGE));
    const refused = await failure(counterWith(failed('AUTHCODEEXPIRE')).counter.chargeTrade(CHARGE));
    for (const kept of [exchange, lost.exchange, refused.exchange]) {
      expect(kept?.request_body).toContain('13******');
      expect(JSON.stringify(kept)).not.toContain(CODE);
    }
  });

  it('refuses what is no payment code without sending it', async () => {
    for (const auth_code of [
      '164650031281234567',
      '1346500312812345',
      '13465003128123456x',
      '1346500312812345678',
    ]) {
      const { counter, sent } = counterWith(signed(PAID));
      const error = await failure(
        counter.chargeTrade({ ...CHARGE, payer: { trade_type: 'MICROPAY', auth_code } }),
      );
      expect([error.outcome, sent.length]).toEqual(['refused', 0]);
    }
  });

  it('calls every doubt unknown', async () => {
    const doubtful = [
      'USERPAYING',
      'SYSTEMERROR',
      'BANKERROR',
      'ORDERPAID',
      'OUT_TRADE_NO_USED',
      'ORDERREVERSED',
      'SOMETHING_NEW',
    ];
    expect(await outcomes((counter) => counter.chargeTrade(CHARGE), doubtful)).toEqual(
      doubtful.map((code) => [code, 'unknown']),
    );
    const lost = await failure(counterWith(new TypeError('cut')).counter.chargeTrade(CHARGE));
    expect([lost.code, lost.outcome]).toEqual(['NO_ANSWER', 'unknown']);
  });

  it('believes a refusal that says nothing was taken', async () => {
    const certain = [
      'AUTHCODEEXPIRE',
      'AUTH_CODE_ERROR',
      'AUTH_CODE_INVALID',
      'NOTENOUGH',
      'NOTSUPORTCARD',
      'TRADE_ERROR',
    ];
    expect(await outcomes((counter) => counter.chargeTrade(CHARGE), certain)).toEqual(
      certain.map((code) => [code, 'refused']),
    );
  });

  it('takes no answer to another number for its own', async () => {
    const { counter } = counterWith(signed({ ...PAID, out_trade_no: 'C20250704000002' }));
    expect((await failure(counter.chargeTrade(CHARGE))).code).toBe('BAD_ANSWER');
  });
});

describe('reversing', () => {
  it('says whether WeChat wants to be asked again', async () => {
    const reverse = (recall: string) =>
      counterWith(signed({ recall })).counter.reverseTrade(CHARGE.out_trade_no, 'MICROPAY');
    expect((await reverse('N')).recall).toBe(false);
    expect((await reverse('Y')).recall).toBe(true);
  });

  it('believes no refusal that asks to be called again', async () => {
    const reverse = (more: Fields) =>
      failure(
        counterWith(failed('INVALID_REQUEST', more)).counter.reverseTrade(CHARGE.out_trade_no, 'MICROPAY'),
      );
    expect((await reverse({ recall: 'Y' })).outcome).toBe('unknown');
    expect((await reverse({ recall: 'N' })).outcome).toBe('refused');
  });

  it('has a door of its own for faces', async () => {
    const { counter, sent } = counterWith(signed({ recall: 'N' }));
    await counter.reverseTrade(CHARGE.out_trade_no, 'FACEPAY');
    expect(sent[0]?.url).toBe('https://api.mch.weixin.qq.com/secapi/pay/facepayreverse');
  });
});

describe('faces and owners of codes', () => {
  it('charges a face under HMAC-SHA256 only', async () => {
    const payer = { trade_type: 'FACEPAY', face_code: 'FACE-0123456789', openid: PAID.openid } as const;
    const { counter, sent } = counterWith(signed({ ...PAID, trade_type: 'FACEPAY' }));
    expect((await counter.chargeTrade({ ...CHARGE, payer })).report.trade_type).toBe('FACEPAY');
    expect(sent[0]?.fields).toMatchObject({ face_code: 'FACE-0123456789', openid: PAID.openid });
    const md5 = counterWith(signed(PAID), { sign_type: 'MD5' });
    expect((await failure(md5.counter.chargeTrade({ ...CHARGE, payer }))).code).toBe('PARAM_ERROR');
    expect(md5.sent).toEqual([]);
  });

  it('asks WeChat’s own host for a device’s auth info, whose answer has no result_code', async () => {
    const body = {
      return_code: 'SUCCESS',
      return_msg: 'OK',
      nonce_str: 'IITRi8Iabbblz1Jc',
      authinfo: 'eyJhdXRoIjoxfQ==',
      expires_in: '3600',
    };
    const answer = xml({ ...body, sign: Hash.sign('HMAC-SHA256', body, KEY) });
    const { counter, sent } = counterWith(answer);
    const device = { store_id: 's1', store_name: '一号店', device_id: 'd1', rawdata: 'cmF3' };
    expect(await counter.faceAuthInfo(device)).toMatchObject({
      authinfo: 'eyJhdXRoIjoxfQ==',
      expires_in_s: 3600,
    });
    expect(sent[0]?.url).toBe('https://payapp.weixin.qq.com/face/get_wxpayface_authinfo');
    const forged = counterWith(answer.replace('eyJ', 'eyK')).counter.faceAuthInfo(device);
    expect((await failure(forged)).code).toBe('BAD_SIGNATURE');
  });

  it('tells whose code it is', async () => {
    const { counter } = counterWith(signed({ openid: PAID.openid }));
    expect((await counter.openidOfCode(CODE)).openid).toBe(PAID.openid);
  });
});

describe('red packets', () => {
  const sentAnswer = {
    return_code: 'SUCCESS',
    return_msg: '发放成功',
    result_code: 'SUCCESS',
    err_code: 'SUCCESS',
    mch_billno: PACKET.mch_billno,
    mch_id: CONFIG.mch_id,
    wxappid: CONFIG.appid,
    re_openid: PACKET.re_openid,
    total_amount: '188',
    send_listid: '100000000020150520314766074200',
  };

  it('is signed with MD5 over wxappid, whatever the account uses', async () => {
    const { counter, sent } = counterWith(xml(sentAnswer));
    expect((await counter.sendRedPacket(PACKET)).send_listid).toBe(sentAnswer.send_listid);
    const { sign, ...fields } = sent[0]?.fields ?? {};
    expect(sign).toBe(Hash.sign('MD5', fields, KEY));
    expect(fields).toMatchObject({ wxappid: CONFIG.appid, total_amount: '188', total_num: '1' });
    expect(fields).not.toHaveProperty('appid');
    expect(fields).not.toHaveProperty('sign_type');
  });

  it('goes to the shared door when several are to take part', async () => {
    const { counter, sent } = counterWith(xml({ ...sentAnswer, total_amount: '900' }));
    await counter.sendRedPacket({ ...PACKET, total_fen: 900, total_num: 3 });
    expect(sent[0]?.url).toContain('/mmpaymkttransfers/sendgroupredpack');
    expect(sent[0]?.fields).toMatchObject({ total_num: '3', amt_type: 'ALL_RAND' });
  });

  it('believes no unsigned answer about another packet, amount or person', async () => {
    for (const other of [
      { mch_billno: 'X' },
      { total_amount: '189' },
      { re_openid: 'oOther' },
      { wxappid: 'wxother' },
    ]) {
      const { counter } = counterWith(xml({ ...sentAnswer, ...other }));
      const error = await failure(counter.sendRedPacket(PACKET));
      expect([error.code, error.outcome]).toEqual(['BAD_ANSWER', 'unknown']);
    }
  });

  it('does not know what SYSTEMERROR, PROCESSING and FATAL_ERROR did', async () => {
    const codes = ['SYSTEMERROR', 'PROCESSING', 'FATAL_ERROR', 'NO_AUTH', 'NOTENOUGH', 'SENDNUM_LIMIT'];
    expect(await outcomes((counter) => counter.sendRedPacket(PACKET), codes)).toEqual([
      ['SYSTEMERROR', 'unknown'],
      ['PROCESSING', 'unknown'],
      ['FATAL_ERROR', 'unknown'],
      ['NO_AUTH', 'refused'],
      ['NOTENOUGH', 'refused'],
      ['SENDNUM_LIMIT', 'refused'],
    ]);
  });

  it('reads the nested list of who took what', async () => {
    const flat = xml({
      return_code: 'SUCCESS',
      result_code: 'SUCCESS',
      mch_billno: PACKET.mch_billno,
      mch_id: CONFIG.mch_id,
      detail_id: '1000000000201503283103439304',
      status: 'RECEIVED',
      send_type: 'API',
      hb_type: 'GROUP',
      total_num: '3',
      total_amount: '900',
    });
    const list =
      '<hblist><hbinfo><openid><![CDATA[oOne]]></openid><amount>500</amount><rcv_time><![CDATA[2025-07-04 15:31:00]]></rcv_time></hbinfo>' +
      '<hbinfo><openid><![CDATA[oTwo]]></openid><amount>400</amount></hbinfo></hblist>';
    const { counter } = counterWith(flat.replace('</xml>', `${list}</xml>`));
    const { report } = await counter.queryRedPacket(PACKET.mch_billno);
    expect(report).toMatchObject({ status: 'RECEIVED', total_fen: 900, total_num: 3 });
    expect(report.taken).toEqual([
      { openid: 'oOne', amount_fen: 500, received_at: new Date('2025-07-04T07:31:00Z') },
      { openid: 'oTwo', amount_fen: 400, received_at: undefined },
    ]);
  });
});
