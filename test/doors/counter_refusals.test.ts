/**
 * WeChat's no at the counter, one code after another: at the charge door each is told with its meaning in Chinese and in
 * English, and nothing is owed; what is no last word is never shown as one, and a query decides.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import * as status from '../../app/api/admin/counter/[out_trade_no]/route.ts';
import * as charge from '../../app/api/admin/counter/charge/route.ts';
import { setAdmin } from '../../lib/admin_account.ts';
import type { ShownCharge } from '../../lib/admin_counter.ts';
import { faceMeaning, redPacketMeaning, refusalMeaning } from '../../lib/counter_words.ts';
import { counterOf } from '../../lib/reverse.ts';
import { type CallV2, ERR_CODES } from '../../lib/wechat/v2/errors.ts';
import { type CashDesk, openCashDesk } from '../setup/cash_desk.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';
import { passTime, simulatedLedger } from '../setup/paid_orders.ts';
import { signedXml } from '../setup/v2_message.ts';

let counter: Counter;
let desk: CashDesk;
let operator: Shopper;
/** In place of WeChat's answer to a charge: this code. `done`: the charge itself was carried out. */
let instead: { code: string; done: boolean } | undefined;

beforeAll(async () => {
  counter = await openCounter({
    environment: { WECHAT_PRODUCTS: 'MICROPAY,FACEPAY', WECHAT_TIMEOUT_MS: '700' },
    fetch: async (input, init) => {
      if (instead === undefined || !/\/pay\/(micropay|facepay)$/.test(String(input))) {
        return fetch(input, init);
      }
      if (instead.done) await fetch(input, init);
      return new Response(refusedWith(instead.code));
    },
  });
  desk = await openCashDesk(counter);
  const password = await setAdmin(counter.ctx.db, 'boss', counter.ctx.now());
  operator = counter.shopper();
  const answer = await operator.post('/api/admin/login', { username: 'boss', password });
  expect(answer.status).toBe(200);
});
afterEach(async () => {
  instead = undefined;
  await counter.control('faults', undefined, 'DELETE');
});
afterAll(() => counter.close());

/** WeChat Pay v2, 提交付款码支付: a business refusal, signed as the answer of this merchant. */
function refusedWith(code: string): string {
  const { appid, mch_id } = counter.ctx.pay;
  const fields = [
    ['return_code', 'SUCCESS'],
    ['return_msg', 'OK'],
    ['appid', appid],
    ['mch_id', mch_id],
    ['nonce_str', 'refused0by0wechat'],
    ['result_code', 'FAIL'],
    ['err_code', code],
    ['err_code_des', `the text that came with ${code}`],
  ] as const;
  return signedXml(fields, counter.settings.WECHAT_API_V2_KEY ?? '', 'HMAC-SHA256');
}

const headers = () => ({
  cookie: [...operator.cookies].map(([name, value]) => `${name}=${value}`).join('; '),
  origin: counter.host.origin,
  'content-type': 'application/json',
});

/** The charge door's answer. */
async function charged(payer: unknown, total_fen = 990): Promise<ShownCharge> {
  const body = JSON.stringify({ title: '收款', total_fen, payer, charge_key: crypto.randomUUID() });
  const url = `${counter.host.origin}/api/admin/counter/charge`;
  const answer = await charge.POST(new Request(url, { method: 'POST', headers: headers(), body }));
  expect(answer.status).toBe(200);
  return (await answer.json()) as ShownCharge;
}

async function looked(out_trade_no: string): Promise<ShownCharge> {
  const url = `${counter.host.origin}/api/admin/counter/${out_trade_no}`;
  const answer = await status.GET(new Request(url, { headers: headers() }), {
    params: Promise.resolve({ out_trade_no }),
  });
  expect(answer.status).toBe(200);
  return (await answer.json()) as ShownCharge;
}

const byCode = (auth_code: string) => ({ trade_type: 'MICROPAY', auth_code });
const presenting = {
  MICROPAY: async () => byCode(await desk.code(false)),
  FACEPAY: async () => {
    const { appid } = counter.ctx.pay;
    const { face_code, openid } = await counter.control<{ face_code: string; openid: string }>('face_code', {
      password: false,
      appid,
    });
    return { trade_type: 'FACEPAY', face_code, openid };
  },
} as const;

/** Told as refused by this code with its meaning, now and later; no money moved, and the order is over. */
async function expectRefused(shown: ShownCharge, code: string): Promise<void> {
  const { out_trade_no, order_no, trade_type } = shown;
  const refused = { code, ...(trade_type === 'FACEPAY' ? faceMeaning : refusalMeaning)(code) };
  expect(shown).toMatchObject({ standing: 'refused', refused, next_poll_ms: null, paid_at: null });
  await desk.pass(6);
  expect(await looked(out_trade_no)).toMatchObject({ standing: 'refused', refused });
  expect(await counter.ctx.db.order.findUniqueOrThrow({ where: { order_no } })).toMatchObject({
    state: 'CLOSED',
  });
  expect(await simulatedLedger(counter, out_trade_no)).toMatchObject({ entries: [] });
}

/** Not shown as refused, whatever the code, while no query has told. */
function expectUndecided(shown: ShownCharge, standing: 'waiting' | 'confirming'): void {
  expect(shown).toMatchObject({ standing, refused: null });
  expect(shown.next_poll_ms).toBeGreaterThan(0);
}

const codesOf = (call: CallV2, outcome: 'refused' | 'unknown') =>
  [...ERR_CODES[call]].filter(([, is]) => is === outcome).map(([code]) => code);

const tables = [
  ['提交付款码支付', 'micropay', refusalMeaning],
  ['刷脸支付', 'facepay', faceMeaning],
  ['普通红包', 'sendredpack', redPacketMeaning],
  ['裂变红包', 'sendgroupredpack', redPacketMeaning],
] as const;

describe.each(tables)('the refusals of %s', (_, call, meaningOf) => {
  // PAYERROR is what a query says of a charge; NO_CERTIFICATE is our own, before anything is sent.
  test.each([...codesOf(call, 'refused'), 'PAYERROR', 'NO_CERTIFICATE'])(
    '%s is told in both languages',
    (code) => {
      const { zh, en } = meaningOf(code);
      expect(zh).toMatch(/\p{Script=Han}/u);
      expect(en).toMatch(/^[A-Za-z][^\p{Script=Han}]{10,}$/u);
      // What stands in no table is shown bare: no code of WeChat's may come to that.
      expect([zh, en].filter((words) => words.endsWith(code))).toEqual([]);
    },
  );
});

test('a code that is in no table is shown as it came, and no name of JavaScript’s own is a code', () => {
  for (const code of ['BRAND_NEW_CODE', 'constructor', '__proto__', 'toString']) {
    expect(refusalMeaning(code)).toEqual({ zh: `微信拒绝：${code}`, en: `WeChat refused: ${code}` });
  }
});

test('a face is not told to be scanned', () => {
  for (const code of ['AUTHCODEEXPIRE', 'AUTH_CODE_ERROR', 'AUTH_CODE_INVALID']) {
    expect(refusalMeaning(code).zh).toMatch(/码/);
    expect(faceMeaning(code).zh).toMatch(/刷脸/);
    expect(faceMeaning(code).zh).not.toMatch(/扫|二维码|条码/);
  }
  expect(faceMeaning('NOTENOUGH')).toEqual(refusalMeaning('NOTENOUGH'));
});

describe('refused by the platform itself', () => {
  test('AUTHCODEEXPIRE: the code was shown more than a minute ago', async () => {
    const auth_code = await desk.code(false);
    await passTime(counter, 61);
    await expectRefused(await charged(byCode(auth_code)), 'AUTHCODEEXPIRE');
  });

  test('AUTH_CODE_INVALID: eighteen digits that no phone shows', async () => {
    await expectRefused(await charged(byCode('130000000000000000')), 'AUTH_CODE_INVALID');
  });

  test('AUTH_CODE_ERROR: another till of the same merchant charged the code before', async () => {
    const auth_code = await desk.code(false);
    const now = counter.ctx.now();
    const { report } = await counterOf(counter.ctx.pay).chargeTrade({
      out_trade_no: 'ANOTHERTILL0000000001',
      description: '另一个收银台',
      total_fen: 100,
      client_ip: '127.0.0.1',
      time_start_at: now,
      time_expire_at: new Date(now.getTime() + 90_000),
      payer: { trade_type: 'MICROPAY', auth_code },
    });
    expect(report.trade_state).toBe('SUCCESS');
    await expectRefused(await charged(byCode(auth_code)), 'AUTH_CODE_ERROR');
  });

  test('the code used twice at our own till: said so by us, and WeChat is not called', async () => {
    const payer = byCode(await desk.code(false));
    expect((await charged(payer)).standing).toBe('paid');
    const url = `${counter.host.origin}/api/admin/counter/charge`;
    const said = [];
    for (const language of ['zh-CN', 'en']) {
      const body = JSON.stringify({ title: '收款', total_fen: 1, payer, charge_key: crypto.randomUUID() });
      const request = { method: 'POST', headers: { ...headers(), 'accept-language': language }, body };
      const answer = await charge.POST(new Request(url, request));
      const { error } = (await answer.json()) as { error: { code: string; message: string } };
      expect(error.code).toBe('auth_code_used');
      said.push(error.message);
    }
    expect(said).toEqual([expect.stringMatching(/\p{Script=Han}/u), expect.stringMatching(/^[ -~’]+$/)]);
  });

  test('AUTH_CODE_INVALID: a face_code that no device gave', async () => {
    const payer = { ...(await presenting.FACEPAY()), face_code: 'nobody-s-face' };
    await expectRefused(await charged(payer), 'AUTH_CODE_INVALID');
  });

  test('NOTENOUGH: the payer has no money', async () => {
    const poor = counter.simulator_config.users.find(({ balance_fen }) => balance_fen === 0);
    if (poor === undefined) throw new Error('nobody is without money');
    await expectRefused(await charged(byCode(await desk.code(false, poor.openid))), 'NOTENOUGH');
  });

  test.each(['MICROPAY', 'FACEPAY'] as const)('NOAUTH: %s is not opened at WeChat', async (trade_type) => {
    await counter.control('merchant', { products: ['JSAPI'] }, 'PUT');
    const shown = await charged(await presenting[trade_type]());
    await counter.control('merchant', { products: ['MICROPAY', 'FACEPAY'] }, 'PUT');
    await expectRefused(shown, 'NOAUTH');
  });

  test('PAYERROR: the bank says no after the password', async () => {
    const shown = await charged(byCode(await desk.code(true)));
    expectUndecided(shown, 'waiting');
    await desk.password(shown.out_trade_no, 'fail');
    await desk.pass(6);
    expect(await looked(shown.out_trade_no)).toMatchObject({
      standing: 'refused',
      refused: { code: 'PAYERROR', ...refusalMeaning('PAYERROR') },
    });
  });
});

describe.each([
  ['MICROPAY', 'micropay'],
  ['FACEPAY', 'facepay'],
] as const)('%s: every code of its table, on the wire', (trade_type, call) => {
  test.each(codesOf(call, 'refused'))('%s: refused, with its meaning', async (code) => {
    instead = { code, done: false };
    await expectRefused(await charged(await presenting[trade_type]()), code);
  });

  test.each(codesOf(call, 'unknown'))(
    '%s after the money moved: asked about at once and again, and paid',
    async (code) => {
      const query = trade_type === 'MICROPAY' ? 'orderquery' : 'facepayquery';
      await counter.control('faults', { [`${query}_system_error`]: { times: 1 } }, 'PUT');
      instead = { code, done: true };
      const shown = await charged(await presenting[trade_type]());
      expectUndecided(shown, code === 'USERPAYING' ? 'waiting' : 'confirming');
      await desk.pass(6);
      expect(await looked(shown.out_trade_no)).toMatchObject({ standing: 'paid', refused: null });
      expect(await simulatedLedger(counter, shown.out_trade_no)).toMatchObject({ paid_fen: 990 });
    },
  );
});

describe('no last word of the platform’s', () => {
  test('USERPAYING: waited for, and paid by the password', async () => {
    const shown = await charged(byCode(await desk.code(true)));
    expectUndecided(shown, 'waiting');
    await desk.password(shown.out_trade_no, 'confirm');
    await desk.pass(6);
    expect((await looked(shown.out_trade_no)).standing).toBe('paid');
  });

  test.each([
    ['BANKERROR', { bank_error: { done: true, times: 1 } }, 'paid', 'paid'],
    ['BANKERROR', { bank_error: { done: false, times: 1 } }, 'confirming', 'reversed'],
    ['SYSTEMERROR', { micropay_system_error: { times: 1 } }, 'confirming', 'closed'],
  ] as const)('%s (%j): %s after the first query, in the end %s', async (code, fault, standing, end) => {
    await counter.control('faults', fault, 'PUT');
    const shown = await charged(byCode(await desk.code(false)));
    expect(shown).toMatchObject({ standing, refused: null });
    const { data } = await counter.ctx.db.event.findFirstOrThrow({
      where: { out_trade_no: shown.out_trade_no, kind: 'charge' },
    });
    expect(data).toMatchObject({ error: { code } });
    for (let waited_s = 0; waited_s < 180; waited_s += 10) await desk.pass(10);
    expect(await looked(shown.out_trade_no)).toMatchObject({ standing: end, refused: null });
  });
});
