/**
 * API v3's keys while they change: certificate, public key, both in turns, and the way back. No genuine message is refused,
 * none under an unknown name is believed, and what is signed but says something else about our trade moves nothing.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Counter, openCounter, type Shopper, type SimulatedMerchant } from '../setup/counter.ts';
import {
  followed,
  type PaidOrder,
  paidOrder,
  passTime,
  refundRow,
  statesOf,
  submitRefund,
} from '../setup/paid_orders.ts';
import { notificationsOf } from '../setup/simulator_log.ts';

let counter: Counter;
let shopper: Shopper;
let merchant: SimulatedMerchant;
beforeAll(async () => {
  counter = await openCounter({ api_version: 'v3' });
  shopper = counter.shopper();
  await shopper.signIn();
  const [first] = counter.simulator_config.merchants;
  if (first === undefined) throw new Error('the simulator has no merchant');
  merchant = first;
});
beforeEach(async () => {
  await counter.control('faults', undefined, 'DELETE');
  await counter.ctx.db.$executeRaw`DELETE FROM pgboss.job`;
  await counter.ctx.db.notification.deleteMany();
});
afterAll(() => counter.close());

const arm = (faults: Record<string, unknown>) => counter.control('faults', faults, 'PUT');
const certificateOnly = { WECHAT_PAY_PUBLIC_KEY_ID: '', WECHAT_PAY_PUBLIC_KEY: '' };
const wechatIs = (mode: 'certificate' | 'public_key' | 'switching') =>
  counter.control('merchant', { mode }, 'PUT');
const paid = (): Promise<PaidOrder> => paidOrder(counter, shopper);

const verdicts = async (): Promise<string[]> =>
  (await counter.ctx.db.notification.findMany({ orderBy: { received_at: 'asc' } })).map(
    ({ verdict }) => verdict,
  );

/** How often WeChat's list of certificates was asked for. */
async function downloads(): Promise<number> {
  const { entries } = await counter.control<{ entries: unknown[] }>('log?path=/v3/certificates&limit=2000');
  return entries.length;
}

/** The names a trade's messages were signed under, and whether each was taken at once. */
async function messagesOf({ out_trade_no }: PaidOrder): Promise<{ serial: string; taken: boolean }[]> {
  const notifications = await notificationsOf(counter, out_trade_no);
  return notifications.flatMap(({ attempts }) =>
    attempts.map(({ accepted, request_headers }) => ({
      serial: request_headers['Wechatpay-Serial'] ?? '',
      taken: accepted,
    })),
  );
}

/** Money in and back, with every call and message there is. Returns the names WeChat signed its messages under. */
async function payAndRefund({ twice = false } = {}): Promise<Set<string>> {
  const order = await paid();
  const { out_refund_no, state } = await submitRefund(counter, order, 5_000);
  expect(state).toBe('PROCESSING');
  await passTime(counter, 6);
  expect((await refundRow(counter, out_refund_no)).state).toBe('SUCCESS');
  if (twice) {
    for (const { notification_id } of await notificationsOf(counter, order.out_trade_no)) {
      await counter.control(`notifications/${notification_id}/redeliver`, {});
    }
  }
  const messages = await messagesOf(order);
  expect(messages.map(({ taken }) => taken)).toEqual(Array<boolean>(twice ? 4 : 2).fill(true));
  return new Set(messages.map(({ serial }) => serial));
}

describe('nothing genuine is refused', () => {
  test('certificate only: the list is fetched once, before the first answer is believed', async () => {
    await wechatIs('certificate');
    await counter.restart(certificateOnly);
    const before = await downloads();
    for (let n = 0; n < 3; n += 1) {
      expect(await payAndRefund()).toEqual(new Set([merchant.platform_cert_serial]));
    }
    expect(await downloads()).toBe(before + 1);
  });

  test('certificate only, already at hand: no list is fetched', async () => {
    await wechatIs('certificate');
    await counter.restart({ ...certificateOnly, WECHAT_PLATFORM_CERTIFICATES: merchant.platform_cert_pem });
    const before = await downloads();
    await payAndRefund();
    expect(await downloads()).toBe(before);
  });

  test('public key only: no list is fetched', async () => {
    await wechatIs('public_key');
    await counter.restart({});
    const before = await downloads();
    expect(await payAndRefund()).toEqual(new Set([merchant.platform_public_key_id]));
    expect(await downloads()).toBe(before);
  });

  test('the week of the switch: both names in turns, then forward, then back, then forward again', async () => {
    const { platform_cert_serial: certificate, platform_public_key_id: public_key } = merchant;
    await counter.restart({});
    const before = await downloads();
    await wechatIs('switching');
    for (let n = 0; n < 3; n += 1) {
      expect(await payAndRefund({ twice: true })).toEqual(new Set([certificate, public_key]));
    }
    for (const [mode, serial] of [
      ['public_key', public_key],
      ['certificate', certificate],
      ['switching', undefined],
      ['public_key', public_key],
    ] as const) {
      await wechatIs(mode);
      const signed = await payAndRefund();
      if (serial !== undefined) expect(signed).toEqual(new Set([serial]));
    }
    expect(new Set(await verdicts())).toEqual(new Set(['applied', 'already']));
    expect(await downloads()).toBe(before + 1);
  });

  test('a shop that has not set the public key yet: those messages wait, and are taken once it has', async () => {
    await wechatIs('switching');
    await counter.restart(certificateOnly);
    const orders: PaidOrder[] = [];
    for (let n = 0; n < 2; n += 1) {
      const { order_no, total_fen } = await shopper.order('longjing');
      orders.push({ order_no, total_fen, out_trade_no: (await shopper.pay(order_no)).out_trade_no });
    }
    await wechatIs('public_key');
    for (const { out_trade_no } of orders) await counter.control('pay', { out_trade_no });
    await passTime(counter, 0);
    expect(await verdicts()).toEqual(['unknown_serial', 'unknown_serial']);
    for (const order of orders) expect((await statesOf(counter, order)).order).toBe('NOTPAY');
    await counter.restart({});
    await passTime(counter, 16);
    for (const order of orders) {
      expect(await statesOf(counter, order)).toEqual({ order: 'SUCCESS', trade: 'SUCCESS' });
    }
  });
});

describe('nothing else is believed', () => {
  beforeAll(async () => {
    await wechatIs('certificate');
    await counter.restart(certificateOnly);
    await payAndRefund();
  });

  test('twenty messages under a certificate nobody knows: all refused and kept, one list fetched, not twenty', async () => {
    // A deployment of its own: a fetched list is good for ten minutes.
    await counter.restart({ ...certificateOnly, WECHAT_PLATFORM_CERTIFICATES: merchant.platform_cert_pem });
    await arm({ notify_wrong_serial: { times: 2 }, notify_copies: { copies: 10, times: 2 } });
    const before = await downloads();
    const orders = [await paid(), await paid()];
    expect(await verdicts()).toEqual(Array<string>(20).fill('unknown_serial'));
    expect(await downloads()).toBe(before + 1);
    for (const order of orders) expect((await statesOf(counter, order)).order).toBe('NOTPAY');
    await passTime(counter, 16);
    for (const order of orders) expect((await statesOf(counter, order)).order).toBe('SUCCESS');
  });

  const refusals: [string, string, string][] = [
    ['WeChat’s own test of our eyes (SIGNTEST)', 'notify_probe', 'probe'],
    ['a spoiled signature', 'notify_bad_signature', 'bad_signature'],
    ['no signature', 'notify_no_signature', 'bad_signature'],
    ['a body changed on the way', 'notify_tampered', 'bad_signature'],
    ['signed ten minutes ago', 'notify_stale', 'stale'],
    ['sealed under another key', 'notify_other_key', 'undecryptable'],
  ];
  test.each(refusals)('%s: refused, kept, and the genuine repeat is taken', async (_what, fault, verdict) => {
    await arm({ [fault]: { times: 1 } });
    const order = await paid();
    expect(await verdicts()).toEqual([verdict]);
    expect(await statesOf(counter, order)).toEqual({ order: 'NOTPAY', trade: 'NOTPAY' });
    await passTime(counter, 16);
    expect(await verdicts()).toEqual([verdict, 'applied']);
    expect(await statesOf(counter, order)).toEqual({ order: 'SUCCESS', trade: 'SUCCESS' });
  });

  const lies: [string, Record<string, unknown>, string][] = [
    ['notify_other_amount', { delta_fen: 1 }, 'total_fee'],
    ['notify_other_amount', { delta_fen: -12_799 }, 'total_fee,cash_fee'],
    ['notify_other_appid', {}, 'appid'],
    ['notify_other_merchant', {}, 'mch_id'],
    ['notify_other_openid', {}, 'openid'],
  ];
  test.each(lies)(
    '%s %j, correctly signed: a mismatch, kept with the field’s name',
    async (lie, how, field) => {
      await arm({ [lie]: { ...how, times: 1 } });
      const order = await paid();
      const [kept] = await counter.ctx.db.notification.findMany();
      expect(kept).toMatchObject({ verdict: 'mismatch', detail: field, out_trade_no: order.out_trade_no });
      expect(JSON.stringify(kept?.headers)).toContain('wechatpay-signature');
      expect(await statesOf(counter, order)).toEqual({ order: 'NOTPAY', trade: 'NOTPAY' });
      expect((await messagesOf(order)).map(({ taken }) => taken)).toEqual([false]);
      await passTime(counter, 16);
      expect(await statesOf(counter, order)).toEqual({ order: 'SUCCESS', trade: 'SUCCESS' });
    },
  );

  const answers: [string, number][] = [
    ['answer_probe', 2],
    ['answer_unsigned', 1],
    ['answer_wrong_serial', 1],
    ['answer_stale', 1],
    ['answer_tampered', 1],
    ['answer_bad_signature', 1],
  ];
  test.each(answers)(
    'a refund accepted with %s: not heard, asked again, one refund',
    async (fault, times) => {
      const order = await paid();
      await arm({ [fault]: { times, path: '/v3/refund/domestic/refunds' }, notify_never: true });
      const { out_refund_no, state } = await submitRefund(counter, order, 5_000);
      expect(state).toBe('REQUESTED');
      await followed(counter, 11);
      await followed(counter, 21);
      expect((await refundRow(counter, out_refund_no)).state).toBe('SUCCESS');
      const { refunded_fen } = await counter.control<{ refunded_fen: number }>(
        `ledger?out_trade_no=${order.out_trade_no}`,
      );
      expect(refunded_fen).toBe(5_000);
    },
  );

  test('an answer that only tests our eyes is asked for again at once', async () => {
    const order = await paid();
    await arm({ answer_probe: { times: 1 } });
    expect((await submitRefund(counter, order, 5_000)).state).toBe('PROCESSING');
  });
});
