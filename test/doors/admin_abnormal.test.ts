/**
 * A refund that WeChat could not deliver, sent on by an operator: both ways out, each check of the server, what is written
 * down and what is not, and the same wish twice. Against the simulator over v3; over v2 it is said plainly that it cannot be.
 */
import { constants, privateDecrypt, sign } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { POST as abnormal } from '../../app/api/admin/orders/[order_no]/refund/abnormal/route.ts';
import type { AbnormalOutcome } from '../../lib/abnormal_refund.ts';
import { setAdmin } from '../../lib/admin_account.ts';
import { auditInWords } from '../../lib/admin_audit_words.ts';
import { refundsOfOrder } from '../../lib/admin_refunds.ts';
import { beginSession } from '../../lib/sessions.ts';
import { createKeyring } from '../../simulator/keys.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';
import { type PaidOrder, paidOrder, passTime, submitRefund } from '../setup/paid_orders.ts';

const seed = 'abnormal';
const card = {
  type: 'USER_BANK_CARD',
  bank_type: 'CMB_DEBIT',
  bank_account: '6225 8801 2345 6789',
  real_name: '张三',
} as const;

async function openDesk(api_version: 'v2' | 'v3') {
  const sent: { path: string; body: string; serial: string | null }[] = [];
  /** What becomes of the call instead of reaching WeChat and coming back. */
  const line: { answer?: (pass: () => Promise<Response>) => Promise<Response> } = {};
  const counter = await openCounter({
    api_version,
    simulator: { seed },
    fetch: async (input, init) => {
      const path = new URL(String(input)).pathname;
      if (path.endsWith('/apply-abnormal-refund')) {
        sent.push({
          path,
          body: String(init?.body),
          serial: new Headers(init?.headers).get('wechatpay-serial'),
        });
        if (line.answer !== undefined) return line.answer(() => fetch(input, init));
      }
      return fetch(input, init);
    },
  });
  const { ctx } = counter;
  await setAdmin(ctx.db, 'operator', ctx.now());
  const admin = await ctx.db.admin.findUniqueOrThrow({ where: { username: 'operator' } });
  const begun = await beginSession(ctx, 'admin', { admin_id: admin.id });
  const cookie = begun.set_cookie.split(';')[0] ?? '';
  const shopper = counter.shopper();
  await shopper.signIn();
  const post = (order_no: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    abnormal(
      new Request(`${counter.host.origin}/api/admin/orders/${order_no}/refund/abnormal`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin: counter.host.origin, cookie, ...headers },
        body: JSON.stringify(body),
      }),
      { params: Promise.resolve({ order_no }) },
    );
  return { counter, shopper, post, sent, line };
}

/** A paid order whose refund of all of it ended as ABNORMAL. */
async function stuck(
  counter: Counter,
  shopper: Shopper,
): Promise<PaidOrder & { out_refund_no: string; refund_id: string }> {
  const order = await paidOrder(counter, shopper, 'bookmark');
  await counter.control('faults', { refund_abnormal: { times: 1 } }, 'PUT');
  const { out_refund_no } = await submitRefund(counter, order, order.total_fen);
  await counter.control('faults', undefined, 'DELETE');
  await passTime(counter, 90);
  await counter.work('refund_follow');
  const row = await counter.ctx.db.refund.findUniqueOrThrow({ where: { out_refund_no } });
  expect(row.state).toBe('ABNORMAL');
  return { ...order, out_refund_no, refund_id: row.refund_id ?? '' };
}

describe('over v3', () => {
  let desk: Awaited<ReturnType<typeof openDesk>>;
  beforeAll(async () => {
    desk = await openDesk('v3');
  });
  beforeEach(async () => {
    desk.sent.length = 0;
    delete desk.line.answer;
    await desk.counter.control('faults', undefined, 'DELETE');
  });
  afterAll(() => desk.counter.close());
  const state = async (out_refund_no: string): Promise<string> =>
    (await desk.counter.ctx.db.refund.findUniqueOrThrow({ where: { out_refund_no } })).state;
  const audits = (order_no: string) =>
    desk.counter.ctx.db.audit.findMany({ where: { target: order_no }, orderBy: { id: 'asc' } });

  test('to the payer’s card: sealed for WeChat, followed to its end, written down without the card', async () => {
    const { counter, shopper, post, sent } = desk;
    const refund = await stuck(counter, shopper);
    const answer = await post(refund.order_no, { ...card, out_refund_no: refund.out_refund_no });
    expect(answer.status).toBe(200);
    expect((await answer.json()) as AbnormalOutcome).toEqual({
      out_refund_no: refund.out_refund_no,
      state: 'PROCESSING',
      outcome: 'accepted',
      refused_code: null,
    });
    expect(sent).toHaveLength(1);
    expect(sent[0]?.path).toContain(refund.refund_id);
    expect(sent[0]?.serial).toBe(counter.simulator_config.merchants[0]?.platform_public_key_id);
    const body = JSON.parse(sent[0]?.body ?? '{}') as Record<string, string>;
    const opened = (name: string): string =>
      privateDecrypt(
        {
          key: createKeyring(seed).key('platform public key'),
          padding: constants.RSA_PKCS1_OAEP_PADDING,
          oaepHash: 'sha1',
        },
        Buffer.from(body[name] ?? '', 'base64'),
      ).toString('utf8');
    expect([opened('bank_account'), opened('real_name'), body.bank_type]).toEqual([
      '6225880123456789',
      '张三',
      'CMB_DEBIT',
    ]);
    await passTime(counter, 90);
    await counter.work('refund_follow');
    expect(await state(refund.out_refund_no)).toBe('SUCCESS');
    const [row] = await refundsOfOrder(counter.ctx, refund.order_no);
    expect(row).toMatchObject({ user_received_account: '用户银行卡', api_version: 'v3' });

    const [audit] = (await audits(refund.order_no)).filter(({ action }) => action === 'refund_abnormal');
    expect(audit?.data).toMatchObject({ card_ends: '6789', bank_type: 'CMB_DEBIT', outcome: 'accepted' });
    expect(audit && auditInWords(audit).join()).toContain('卡号末四位 6789');
    const { db } = counter.ctx;
    const kept = JSON.stringify([
      await db.event.findMany({ where: { order_no: refund.order_no }, select: { data: true } }),
      (await audits(refund.order_no)).map(({ data }) => data),
      await db.refund.findMany(),
    ]);
    for (const secret of ['6225880123456789', '12345678', '张三', body.bank_account ?? '']) {
      expect(kept).not.toContain(secret);
    }
  });

  test('to the merchant’s card', async () => {
    const { counter, shopper, post } = desk;
    const { order_no, out_refund_no } = await stuck(counter, shopper);
    expect(await (await post(order_no, { type: 'MERCHANT_BANK_CARD', out_refund_no })).json()).toMatchObject({
      outcome: 'accepted',
      state: 'PROCESSING',
    });
    await passTime(counter, 90);
    await counter.work('refund_follow');
    expect(await state(out_refund_no)).toBe('SUCCESS');
  });

  test('twice at once and once more afterwards: WeChat hears it once', async () => {
    const { counter, shopper, post, sent } = desk;
    const { order_no, out_refund_no } = await stuck(counter, shopper);
    const wish = { type: 'MERCHANT_BANK_CARD', out_refund_no };
    const both = await Promise.all([post(order_no, wish), post(order_no, wish)]);
    expect(both.map(({ status }) => status).filter((status) => status === 200)).toHaveLength(1);
    const late = await post(order_no, wish);
    expect([late.status, (await late.json()).error.code]).toEqual([409, 'refund_not_abnormal']);
    expect(sent).toHaveLength(1);
  });

  test('already mended in WeChat’s console: asked first, and nothing is sent', async () => {
    const { counter, shopper, post, sent } = desk;
    const { order_no, out_refund_no } = await stuck(counter, shopper);
    const wish = { type: 'MERCHANT_BANK_CARD', out_refund_no };
    await post(order_no, wish);
    // Our row has not heard of it.
    await counter.ctx.db.refund.update({ where: { out_refund_no }, data: { state: 'ABNORMAL' } });
    const answer = await post(order_no, wish);
    expect([answer.status, (await answer.json()).error.code]).toEqual([409, 'refund_not_abnormal']);
    expect(sent).toHaveLength(1);
    expect(await state(out_refund_no)).toBe('PROCESSING');
  });

  test('refused by WeChat: the code is told and written down, the refund stays as it was and can be tried again', async () => {
    const { counter, shopper, post, line } = desk;
    const { order_no, out_refund_no } = await stuck(counter, shopper);
    const wish = { type: 'MERCHANT_BANK_CARD', out_refund_no };
    line.answer = async () => {
      const body = '{"code":"NOT_ENOUGH","message":"基本账户余额不足，请充值后重新发起"}';
      const timestamp = String(Math.floor(Date.now() / 1_000));
      const key = createKeyring(seed).key('platform public key');
      const text = Buffer.from(`${timestamp}\nnonce\n${body}\n`);
      return new Response(body, {
        status: 403,
        headers: {
          'Content-Type': 'application/json',
          'Wechatpay-Nonce': 'nonce',
          'Wechatpay-Timestamp': timestamp,
          'Wechatpay-Serial': counter.simulator_config.merchants[0]?.platform_public_key_id ?? '',
          'Wechatpay-Signature': sign('sha256', text, key).toString('base64'),
        },
      });
    };
    expect(await (await post(order_no, wish)).json()).toMatchObject({
      state: 'ABNORMAL',
      outcome: 'refused',
      refused_code: 'NOTENOUGH',
    });
    expect((await audits(order_no)).at(-1)?.data).toMatchObject({ outcome: 'refused' });
    const events = await counter.ctx.db.event.findMany({ where: { order_no, kind: 'refund_refused' } });
    expect(events).toHaveLength(1);
    delete line.answer;
    expect(await (await post(order_no, wish)).json()).toMatchObject({ outcome: 'accepted' });
  });

  test.each([
    ['before WeChat heard of it', 'ABNORMAL', false],
    ['after WeChat took it', 'PROCESSING', true],
  ] as const)(
    'the line is cut %s: unknown, and WeChat’s own word decides',
    async (_when, expected, heard) => {
      const { counter, shopper, post, line, sent } = desk;
      const { order_no, out_refund_no } = await stuck(counter, shopper);
      const wish = { type: 'MERCHANT_BANK_CARD', out_refund_no };
      line.answer = async (pass) => {
        if (heard) await pass();
        throw new TypeError('fetch failed');
      };
      expect(await (await post(order_no, wish)).json()).toMatchObject({
        outcome: 'unknown',
        state: expected,
      });
      delete line.answer;
      expect((await post(order_no, wish)).status).toBe(heard ? 409 : 200);
      expect(sent).toHaveLength(heard ? 1 : 2);
      expect(await state(out_refund_no)).toBe('PROCESSING');
    },
  );

  const wrong: [string, Record<string, unknown>][] = [
    ['no type', {}],
    ['another type', { type: 'OTHER' }],
    ['no card', { type: 'USER_BANK_CARD' }],
    ['a bank that is none of the fifteen', { ...card, bank_type: 'CMB_CREDIT' }],
    ['letters in the number', { ...card, bank_account: '6225x80123456789' }],
    ['a short number', { ...card, bank_account: '6225' }],
    ['no name', { ...card, real_name: ' ' }],
    ['a field too many', { ...card, amount: 1 }],
    ['a card with the merchant’s way', { ...card, type: 'MERCHANT_BANK_CARD' }],
  ];
  test.each(wrong)('%s is refused before WeChat hears of it', async (_what, wish) => {
    const { counter, post, sent } = desk;
    const refund = await counter.ctx.db.refund.findFirstOrThrow();
    const answer = await post(refund.order_no, { out_refund_no: refund.out_refund_no, ...wish });
    expect(answer.status).toBe(400);
    expect(JSON.stringify(await answer.json())).not.toContain('6225');
    expect(sent).toHaveLength(0);
  });

  test('a refund of another order, one that does not exist, one that is not abnormal: refused and written down', async () => {
    const { counter, shopper, post, sent } = desk;
    const one = await stuck(counter, shopper);
    const other = await paidOrder(counter, shopper, 'bookmark');
    const fine = await submitRefund(counter, other, 100);
    const tries: [string, string, number, string][] = [
      [other.order_no, one.out_refund_no, 404, 'not_found'],
      [one.order_no, 'R-nobody', 404, 'not_found'],
      [other.order_no, fine.out_refund_no, 409, 'refund_not_abnormal'],
    ];
    for (const [order_no, out_refund_no, status, code] of tries) {
      const answer = await post(order_no, { ...card, out_refund_no });
      expect([answer.status, (await answer.json()).error.code]).toEqual([status, code]);
      const last = (await audits(order_no)).at(-1);
      expect(last).toMatchObject({ action: 'refund_abnormal_refused', data: { code, card_ends: '6789' } });
      expect(JSON.stringify(last?.data)).not.toContain('6225');
    }
    expect(sent).toHaveLength(0);
  });

  test('without a session, or from another site: refused', async () => {
    const { counter, post, sent } = desk;
    const { order_no, out_refund_no } = await counter.ctx.db.refund.findFirstOrThrow();
    const wish = { type: 'MERCHANT_BANK_CARD', out_refund_no };
    expect((await post(order_no, wish, { cookie: '' })).status).toBe(401);
    expect((await post(order_no, wish, { origin: 'https://evil.example' })).status).toBe(403);
    expect(sent).toHaveLength(0);
  });
});

test('over v2: it says plainly that WeChat’s merchant platform must do it', async () => {
  const { counter, shopper, post, sent } = await openDesk('v2');
  try {
    const { order_no, out_refund_no } = await stuck(counter, shopper);
    const answer = await post(order_no, { ...card, out_refund_no }, { 'accept-language': 'zh-CN' });
    expect(answer.status).toBe(409);
    const { error } = await answer.json();
    expect(error.code).toBe('refund_abnormal_v2');
    expect(error.message).toContain('商户平台');
    expect(sent).toHaveLength(0);
  } finally {
    await counter.close();
  }
});
