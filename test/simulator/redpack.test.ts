// Cash red packets: what is refused and how, that no fen is lost on the way, and their return after a day.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Identity, identityOf, postSecurely } from './merchant_tls.ts';
import { type Fields, fromXml, openWorld, sign, toXml, type World } from './world.ts';

let w: World;
beforeAll(async () => {
  w = await openWorld();
});
afterAll(() => w.close());
afterEach(async () => {
  await w.control('POST', 'reset');
});

const rich = (balance_fen = 1_000_000) => w.control('PUT', 'merchant', { balance_fen });

async function post(path: string, own: Fields, identity: Identity | undefined = identityOf(w)) {
  const fields: Fields = { mch_id: w.merchant.mch_id, nonce_str: 'n', ...own };
  fields.sign ??= sign(fields, w.merchant.api_v2_key);
  const url = `${w.config.tls_url}/mmpaymkttransfers/${path}`;
  const { text } = await postSecurely(url, toXml(fields), w.config.ca_pem, identity);
  return { text, fields: fromXml(text.replace(/<hblist>[\s\S]*<\/hblist>/, '')) };
}

let count = 0;
const packet = (own: Fields = {}): Fields => {
  count += 1;
  return {
    mch_billno: `B${String(count).padStart(10, '0')}`,
    wxappid: w.merchant.appid,
    send_name: '柜台',
    re_openid: w.user.openid,
    total_amount: '888',
    total_num: '1',
    wishing: '恭喜发财',
    client_ip: '127.0.0.1',
    act_name: '开业',
    remark: '谢谢',
    ...own,
  };
};
const send = async (own: Fields = {}) => {
  const fields = packet(own);
  const answer = await post('sendredpack', fields);
  return { ...answer, sent: fields, mch_billno: fields.mch_billno ?? '' };
};
const info = (mch_billno: string) =>
  post('gethbinfo', { mch_billno, appid: w.merchant.appid, bill_type: 'MCHT' });
const status = async (mch_billno: string) => (await info(mch_billno)).fields.status;
const open = (mch_billno: string, openid?: string) =>
  w.control('POST', 'red_packets/open', { mch_billno, openid });

/** All money there is: payers, merchants, and what is under way. */
async function whole() {
  const { body } = await w.control('GET', 'ledger');
  const held = (body as unknown as { red_packets_fen: number }).red_packets_fen;
  return [...body.users, ...body.merchants].reduce((sum, p) => sum + p.balance_fen, held);
}

describe('a red packet', () => {
  it('is sent, opened by its payer alone, and every fen is somewhere at each step', async () => {
    await rich();
    const before = await whole();
    const { fields, mch_billno, text } = await send();
    expect(fields).toMatchObject({
      return_code: 'SUCCESS',
      result_code: 'SUCCESS',
      mch_billno,
      re_openid: w.user.openid,
      total_amount: '888',
    });
    expect(fields.send_listid).not.toBe('');
    expect(text).not.toContain('<sign>');
    expect(await status(mch_billno)).toBe('SENT');
    expect(await whole()).toBe(before);
    expect((await open(mch_billno, w.other.openid)).status).toBe(400);
    expect((await open(mch_billno)).status).toBe(200);
    expect((await open(mch_billno)).status).toBe(400);
    const told = await info(mch_billno);
    expect(told.fields).toMatchObject({ status: 'RECEIVED', hb_type: 'NORMAL', send_type: 'API' });
    const [, inner = ''] = /<hblist><hbinfo>([\s\S]*)<\/hbinfo><\/hblist>/.exec(told.text) ?? [];
    expect(fromXml(inner)).toMatchObject({ openid: w.user.openid, amount: '888' });
    expect(await whole()).toBe(before);
    const ledger = (await w.control('GET', 'ledger')).body;
    expect(ledger.users[0]?.balance_fen).toBe(w.user.balance_fen + 888);
    expect(ledger.merchants[0]?.balance_fen).toBe(1_000_000 - 888);
  });

  it('goes back after 24 hours when nobody took it', async () => {
    await rich();
    const before = await whole();
    const { mch_billno } = await send();
    await w.advance(24 * 3600 - 5);
    expect(await status(mch_billno)).toBe('SENT');
    await w.advance(6);
    expect(await status(mch_billno)).toBe('RFUND_ING');
    expect((await open(mch_billno)).status).toBe(400);
    await w.advance(10);
    expect((await info(mch_billno)).fields).toMatchObject({ status: 'REFUND', refund_amount: '888' });
    expect((await w.control('GET', 'ledger')).body.merchants[0]?.balance_fen).toBe(1_000_000);
    expect(await whole()).toBe(before);
  });

  it('is sent once for one number, and another request under it is FATAL_ERROR', async () => {
    await rich();
    const first = await send();
    const again = await post('sendredpack', first.sent);
    expect(again.fields.send_listid).toBe(first.fields.send_listid);
    const other = await post('sendredpack', { ...first.sent, total_amount: '889' });
    expect(other.fields).toMatchObject({ result_code: 'FAIL', err_code: 'FATAL_ERROR' });
    expect((await w.control('GET', 'ledger')).body.merchants[0]?.balance_fen).toBe(1_000_000 - 888);
  });

  it('stands in the fund flow on its way out and on its way back', async () => {
    await rich();
    const { mch_billno } = await send();
    const day = (await w.control('GET', 'clock')).body.now.slice(0, 10).replaceAll('-', '');
    await w.advance(2 * 86400);
    const fields: Fields = {
      appid: w.merchant.appid,
      mch_id: w.merchant.mch_id,
      nonce_str: 'n',
      sign_type: 'HMAC-SHA256',
      bill_date: day,
      account_type: 'Basic',
    };
    fields.sign = sign(fields, w.merchant.api_v2_key, 'HMAC-SHA256');
    const url = `${w.config.tls_url}/pay/downloadfundflow`;
    const { text } = await postSecurely(url, toXml(fields), w.config.ca_pem, identityOf(w));
    const [row = ''] = text.split('\r\n').filter((line) => line.includes(mch_billno));
    expect(row).toContain('`现金红包,`现金红包,`支出,`8.88');
  });
});

describe('refused', () => {
  const wrong: [string, Fields, string][] = [
    ['less than a yuan', { total_amount: '99' }, 'MONEY_LIMIT'],
    ['more than 200 yuan', { total_amount: '20001' }, 'MONEY_LIMIT'],
    ['an amount that is no whole number', { total_amount: '1.5' }, 'PARAM_ERROR'],
    ['two for one person', { total_num: '2' }, 'PARAM_ERROR'],
    ['a number with other characters', { mch_billno: 'A-1' }, 'PARAM_ERROR'],
    ['a missing wishing', { wishing: '' }, 'PARAM_ERROR'],
    ['a scene nobody knows', { scene_id: 'PRODUCT_9' }, 'PARAM_ERROR'],
    ['an openid of nobody', { re_openid: 'oNobody' }, 'OPENID_ERROR'],
    ['an appid that is not bound', { wxappid: 'wx0000000000000000' }, 'ILLEGAL_APPID'],
    ['a wrong signature', { sign: 'F'.repeat(32) }, 'SIGN_ERROR'],
  ];
  it.each(wrong)('%s, with WeChat’s code, unsigned, and no money moves', async (_what, own, code) => {
    await rich();
    const { fields, text } = await send(own);
    expect(fields).toMatchObject({ result_code: 'FAIL', err_code: code });
    expect(text).not.toContain('<sign>');
    expect((await w.lastLog()).why).not.toBe('');
    expect((await w.control('GET', 'ledger')).body.merchants[0]?.balance_fen).toBe(1_000_000);
  });

  it('without money: NOTENOUGH; the same number goes through after topping up', async () => {
    const { fields, sent } = await send();
    expect(fields.err_code).toBe('NOTENOUGH');
    await rich();
    expect((await post('sendredpack', sent)).fields.result_code).toBe('SUCCESS');
  });

  it('without a certificate: CA_ERROR', async () => {
    await rich();
    const fields: Fields = { mch_id: w.merchant.mch_id, nonce_str: 'n', ...packet() };
    fields.sign = sign(fields, w.merchant.api_v2_key);
    const plain = await w.raw('/mmpaymkttransfers/sendredpack', toXml(fields));
    expect(plain.fields.err_code).toBe('CA_ERROR');
  });

  it('without the product: NO_AUTH; an eleventh to one person on a day: SENDNUM_LIMIT', async () => {
    await rich();
    for (let i = 0; i < 10; i += 1) expect((await send()).fields.result_code).toBe('SUCCESS');
    expect((await send()).fields.err_code).toBe('SENDNUM_LIMIT');
    expect((await send({ re_openid: w.other.openid })).fields.result_code).toBe('SUCCESS');
    await w.advance(86400);
    expect((await send()).fields.result_code).toBe('SUCCESS');
    await w.control('PUT', 'merchant', { products: ['JSAPI'] });
    expect((await send()).fields.err_code).toBe('NO_AUTH');
  });

  it('a query of an unknown number: NOT_FOUND', async () => {
    expect((await info('NOBODY')).fields).toMatchObject({ result_code: 'FAIL', err_code: 'NOT_FOUND' });
  });
});

it('outside 1 to 200 yuan it is sent with a scene_id', async () => {
  await rich();
  expect((await send({ total_amount: '30', scene_id: 'PRODUCT_2' })).fields.result_code).toBe('SUCCESS');
});

it('a group shares it by lot: everybody once, the shares are the whole, the rest comes back', async () => {
  await rich();
  const before = await whole();
  const { client_ip: _ip, ...one } = packet({ total_amount: '1000', total_num: '4', amt_type: 'ALL_RAND' });
  expect((await post('sendgroupredpack', one)).fields.result_code).toBe('SUCCESS');
  const mch_billno = one.mch_billno ?? '';
  for (const u of w.config.users.slice(0, 3)) expect((await open(mch_billno, u.openid)).status).toBe(200);
  expect((await open(mch_billno, w.user.openid)).body.message).toBe('你已领取过');
  await w.advance(86400 + 60);
  const told = await info(mch_billno);
  expect(told.fields).toMatchObject({ status: 'REFUND', hb_type: 'GROUP', total_num: '4' });
  const taken = [...told.text.matchAll(/<amount><!\[CDATA\[(\d+)/g)].reduce(
    (sum, m) => sum + Number(m[1]),
    0,
  );
  expect(taken + Number(told.fields.refund_amount)).toBe(1000);
  expect(await whole()).toBe(before);
});

function fault(name: string, what: string, run: () => Promise<void>): void {
  it(`${name}: ${what}`, run);
}

describe('faults of red packets', () => {
  fault('redpack_freq_limit', 'FREQ_LIMIT and nothing sent', async () => {
    await rich();
    await w.faults({ redpack_freq_limit: { times: 1 } });
    const { fields, mch_billno } = await send();
    expect(fields.err_code).toBe('FREQ_LIMIT');
    expect((await info(mch_billno)).fields.err_code).toBe('NOT_FOUND');
  });

  fault('redpack_processing', 'PROCESSING, although it is sent', async () => {
    await rich();
    await w.faults({ redpack_processing: { times: 1 } });
    const { fields, mch_billno } = await send();
    expect([fields.err_code, await status(mch_billno)]).toEqual(['PROCESSING', 'SENT']);
  });

  it('sendredpack_system_error_done: sent, although SYSTEMERROR', async () => {
    await rich();
    await w.faults({ sendredpack_system_error_done: { times: 1 } });
    const { fields, mch_billno } = await send();
    expect([fields.err_code, await status(mch_billno)]).toEqual(['SYSTEMERROR', 'SENT']);
  });

  fault('redpack_sending', 'under way for delay_s, then SENT', async () => {
    await rich();
    await w.faults({ redpack_sending: { times: 1, delay_s: 60 } });
    const { mch_billno } = await send();
    expect(await status(mch_billno)).toBe('SENDING');
    await w.advance(61);
    expect(await status(mch_billno)).toBe('SENT');
  });

  fault('redpack_failed', 'accepted, then FAILED with the money back', async () => {
    await rich();
    await w.faults({ redpack_failed: { times: 1 } });
    const { mch_billno, sent } = await send();
    expect(await status(mch_billno)).toBe('FAILED');
    expect((await post('sendredpack', sent)).fields.err_code).toBe('SEND_FAILED');
    expect((await w.control('GET', 'ledger')).body.merchants[0]?.balance_fen).toBe(1_000_000);
  });
});
