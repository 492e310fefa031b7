/**
 * One script of a shop's life through API v2 and API v3: what the business saw must be the same, down to every event and
 * every fen. And a deployment that changes from one to the other finishes what it began with the first.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { closeByOperator } from '../../lib/admin_actions.ts';
import { requeryOrder } from '../../lib/admin_query.ts';
import { beijingDay, beijingDayStart } from '../../lib/beijing.ts';
import { askRefund } from '../../lib/refund_call.ts';
import { billReadyAt, reconcileDay } from '../../lib/statements.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';
import {
  applications,
  followed,
  operator,
  type PaidOrder,
  paidOrder,
  passTime,
  refundRow,
  refundRows,
  simulatedLedger,
  statesOf,
  submitRefund,
} from '../setup/paid_orders.ts';
import { callsOf, notificationsOf } from '../setup/simulator_log.ts';

type Version = 'v2' | 'v3';
const versions = ['v2', 'v3'] as const;

/** Where each version's calls go, for faults that are bound to one door. */
const doors = {
  v2: {
    place: '/pay/unifiedorder',
    query: '/pay/orderquery',
    refund: '/secapi/pay/refund',
    refund_query: '/pay/refundquery',
    bill: '/pay/downloadbill',
  },
  v3: {
    place: '/v3/pay/transactions/jsapi',
    query: '/v3/pay/transactions/out-trade-no/*',
    refund: '/v3/refund/domestic/refunds',
    refund_query: '/v3/refund/domestic/refunds/*',
    bill: '/v3/bill/tradebill',
  },
} as const;

let counter: Counter;
let shopper: Shopper;
async function open(api_version: Version): Promise<void> {
  counter = await openCounter({ api_version, environment: { WECHAT_TIMEOUT_MS: '500' } });
  shopper = counter.shopper();
  await shopper.signIn();
}
afterEach(() => counter.close());

const arm = (faults: Record<string, unknown>) => counter.control('faults', faults, 'PUT');
const disarm = () => counter.control('faults', undefined, 'DELETE');
const paid = (product_id?: string): Promise<PaidOrder> => paidOrder(counter, shopper, product_id);
async function started(product_id = 'longjing'): Promise<PaidOrder> {
  const { order_no, total_fen } = await shopper.order(product_id);
  return { order_no, total_fen, out_trade_no: (await shopper.pay(order_no)).out_trade_no };
}
const payAtWechat = async ({ out_trade_no }: PaidOrder): Promise<void> => {
  await counter.control('pay', { out_trade_no });
  await passTime(counter, 0);
};
const redeliver = async ({ out_trade_no }: PaidOrder): Promise<void> => {
  for (const { notification_id } of await notificationsOf(counter, out_trade_no)) {
    await counter.control(`notifications/${notification_id}/redeliver`, {});
  }
};
const tomorrowAtEleven = async (): Promise<void> => {
  const midnight = (beijingDayStart(beijingDay(counter.ctx.now()))?.getTime() ?? 0) + 86_400_000;
  await until(new Date(midnight + 11 * 3_600_000));
};
const until = (at: Date): Promise<void> =>
  passTime(counter, Math.ceil((at.getTime() - counter.ctx.now().getTime()) / 1_000));

/** Codes nobody acts on keep each version's spelling: SYSTEMERROR, SYSTEM_ERROR. */
const bare = (code: string): string => code.replaceAll('_', '');

/** An order as the business saw it: no numbers, no times, no words of one version's own. */
async function seen({ order_no }: PaidOrder) {
  const { db } = counter.ctx;
  const [order, trades, refunds, events, sums] = await Promise.all([
    db.order.findUniqueOrThrow({ where: { order_no } }),
    db.trade.findMany({ where: { order_no } }),
    db.refund.findMany({ where: { order_no }, orderBy: { created_at: 'asc' } }),
    db.event.findMany({ where: { order_no }, orderBy: { id: 'asc' } }),
    shopper.go(`/api/orders/${order_no}`).then((answer) => answer.json() as Promise<Record<string, unknown>>),
  ]);
  const numbers = trades.map(({ out_trade_no }) => out_trade_no);
  const notifications = await db.notification.findMany({
    where: { out_trade_no: { in: numbers } },
    orderBy: { received_at: 'asc' },
  });
  return {
    order: order.state,
    trades: trades.map((trade) => ({
      trade_state: trade.trade_state,
      total_fen: trade.total_fen,
      payer_total_fen: trade.payer_total_fen,
      surplus: trade.surplus,
      bank_type: trade.bank_type,
      placed: trade.prepay_id !== null,
      known_to_wechat: trade.transaction_id !== null,
    })),
    refunds: refunds.map(({ origin, state, refund_fen, total_fen, user_received_account, success_at }) => ({
      origin,
      state,
      refund_fen,
      total_fen,
      user_received_account,
      arrived: success_at !== null,
    })),
    notifications: notifications.map(({ kind, verdict, detail }) => ({
      kind,
      verdict,
      detail: kind === 'refund' ? '' : detail,
    })),
    events: events.map(({ kind, source, data }) => {
      const told = data as Record<string, unknown>;
      const error = told.error as { outcome: string; code: string } | undefined;
      const {
        from,
        to,
        total_fen,
        payer_total_fen,
        refund_fen,
        outcome,
        trade_state,
        status,
        verdict,
        differs,
      } = told;
      return JSON.stringify({
        kind,
        source,
        said: {
          from,
          to,
          total_fen,
          payer_total_fen,
          refund_fen,
          outcome,
          trade_state,
          status,
          verdict,
          differs,
        },
        error: error === undefined ? undefined : [error.outcome, bare(error.code)],
      });
    }),
    sums: { ...sums, order_no: undefined, expires_at: undefined, paid_at: undefined },
  };
}

/** The script. Each scene gives the order it played with; what came of it is read at the end of the day. */
async function live(version: Version): Promise<Record<string, unknown>> {
  await open(version);
  await tomorrowAtEleven();
  await shopper.signIn();
  const day = beijingDay(counter.ctx.now());
  const door = doors[version];
  const scenes: Record<string, PaidOrder> = {};
  const notes: Record<string, unknown> = {};

  scenes.told = await paid();
  await redeliver(scenes.told);
  notes.requery = (({ outcome, said }) => ({ outcome, said }))(
    await requeryOrder(counter.ctx, operator, scenes.told.order_no),
  );

  await arm({ answer_lost: { times: 1, path: door.place }, notify_copies: { times: 1, copies: 3 } });
  scenes.answer_lost = await started();
  await payAtWechat(scenes.answer_lost);

  await disarm();
  await arm({ notify_never: { times: 1 } });
  scenes.asked_by_the_page = await started('tea-cup');
  await counter.control('pay', { out_trade_no: scenes.asked_by_the_page.out_trade_no, coupon_fen: 300 });
  notes.page = (await shopper.status(scenes.asked_by_the_page.order_no, '?poll=0')).state;

  scenes.closed = await started('bookmark');
  notes.closed = await closeByOperator(counter.ctx, operator, scenes.closed.order_no);
  await arm({ close_order_paid: { times: 1 }, notify_never: { times: 1 } });
  scenes.paid_while_closing = await started('bookmark');
  notes.paid_while_closing = await closeByOperator(counter.ctx, operator, scenes.paid_while_closing.order_no);

  await arm({ close_then_paid: { times: 1 }, query_stale: { times: 1 }, notify_late: { times: 1 } });
  scenes.paid_after_close = await started('postcard');
  notes.paid_after_close = await closeByOperator(counter.ctx, operator, scenes.paid_after_close.order_no);
  await passTime(counter, 61);
  await counter.work('surplus_refund');
  await counter.work('refund_follow');
  await passTime(counter, 6);

  await disarm();
  const lies = ['notify_other_amount', 'notify_other_appid', 'notify_other_merchant', 'notify_other_openid'];
  for (const lie of lies) {
    await arm({ [lie]: { times: 1 } });
    const scene = await started('bookmark');
    scenes[lie] = scene;
    await payAtWechat(scene);
    notes[`${lie}, before the truth`] = await statesOf(counter, scene);
    await redeliver(scene);
  }
  await arm({ notify_unknown_order: { times: 1 } });
  await payAtWechat(await started('bookmark'));
  await disarm();

  scenes.refunded = await paid();
  const refund = (refund_fen: number) =>
    submitRefund(counter, scenes.refunded ?? { order_no: '', out_trade_no: '', total_fen: 0 }, refund_fen);
  const part = await refund(5_000);
  await passTime(counter, 6);
  notes.refund_query = await askRefund(counter.ctx, part.out_refund_no, 'operator');
  await expect(refund(7_801)).rejects.toMatchObject({ code: 'refund_too_much' });
  await arm({ answer_lost: { times: 1, path: door.refund } });
  await refund(1_000);
  await passTime(counter, 11);
  await counter.work('refund_follow');
  await arm({ refund_not_enough: { times: 1 } });
  const waiting = await refund(1_000);
  notes.not_enough = [waiting.state, waiting.refused_code];
  await followed(counter, 301);
  await arm({ refund_account_abnormal: { times: 1 } });
  const refused = await refund(1_000);
  notes.refused = [refused.state, refused.refused_code];
  await arm({ refund_closed: { times: 1 } });
  await refund(1_000);
  await passTime(counter, 6);
  await arm({ refund_abnormal: { times: 1 } });
  await refund(1_000);
  await passTime(counter, 6);
  await arm({ system_error_done: { times: 1, path: door.refund } });
  await refund(1_000);
  await passTime(counter, 11);
  await counter.work('refund_follow');
  await disarm();
  notes.unknown_refund = await askRefund(counter.ctx, 'NOBODY-ASKED-FOR-THIS', 'operator');

  await arm({ notify_never: true });
  scenes.found_by_the_bill = await started('tea-cup');
  await counter.control('pay', { out_trade_no: scenes.found_by_the_bill.out_trade_no });
  await disarm();
  await until(new Date((billReadyAt(day)?.getTime() ?? 0) + 300_000));
  await arm({ bill_creating: { times: 1 } });
  const bill = async () => {
    const { state, rows, settled, differences } = await reconcileDay(counter.ctx, day);
    return { state, rows, settled, differences };
  };
  notes.bill_creating = await bill();
  await arm({ bill_other_amount: { times: 1, out_trade_no: scenes.told.out_trade_no } });
  notes.bill_other_amount = await bill();
  notes.bill = await bill();
  notes.unknown_orders = await counter.ctx.db.notification.count({ where: { verdict: 'unknown_order' } });

  await shopper.signIn();
  const outcome: Record<string, unknown> = { notes };
  for (const [scene, order] of Object.entries(scenes)) outcome[scene] = await seen(order);
  const { paid_fen, refunded_fen } = await simulatedLedger(counter);
  outcome.ledger = { paid_fen, refunded_fen };
  return outcome;
}

test('the same day over v2 and over v3: the business saw the same', { timeout: 90_000 }, async () => {
  const lived: Record<string, unknown>[] = [];
  for (const version of versions) {
    lived.push(await live(version));
    if (version === 'v2') await counter.close();
  }
  const [v2, v3] = lived;
  expect(v3).toEqual(v2);
  // Not merely equal: equal and right.
  expect(v2).toMatchObject({
    told: { order: 'SUCCESS', notifications: [{ verdict: 'applied' }, { verdict: 'already' }] },
    answer_lost: { order: 'SUCCESS' },
    asked_by_the_page: { order: 'SUCCESS', trades: [{ total_fen: 8_800, payer_total_fen: 8_500 }] },
    closed: { order: 'CLOSED', trades: [{ trade_state: 'CLOSED' }] },
    paid_while_closing: { order: 'SUCCESS' },
    paid_after_close: {
      order: 'CLOSED',
      refunds: [{ origin: 'surplus', state: 'SUCCESS', refund_fen: 1_200 }],
    },
    notify_other_amount: {
      notifications: [{ verdict: 'mismatch', detail: 'total_fee' }, { verdict: 'applied' }],
    },
    notify_other_appid: { notifications: [{ verdict: 'mismatch', detail: 'appid' }, { verdict: 'applied' }] },
    notify_other_merchant: {
      notifications: [{ verdict: 'mismatch', detail: 'mch_id' }, { verdict: 'applied' }],
    },
    notify_other_openid: {
      notifications: [{ verdict: 'mismatch', detail: 'openid' }, { verdict: 'applied' }],
    },
    refunded: {
      order: 'REFUND',
      refunds: ['SUCCESS', 'SUCCESS', 'SUCCESS', 'REFUSED', 'CLOSED', 'ABNORMAL', 'SUCCESS'].map((state) => ({
        state,
      })),
      sums: { refunded_fen: 8_000 },
    },
    found_by_the_bill: { order: 'SUCCESS' },
    notes: {
      requery: { outcome: 'told', said: 'SUCCESS' },
      page: 'SUCCESS',
      paid_while_closing: { outcome: 'paid' },
      'notify_other_amount, before the truth': { order: 'NOTPAY', trade: 'NOTPAY' },
      not_enough: ['REQUESTED', 'NOTENOUGH'],
      refused: ['REFUSED', 'USER_ACCOUNT_ABNORMAL'],
      unknown_refund: 'not_found',
      bill_creating: { state: 'WAITING' },
      bill_other_amount: { state: 'COMPARED', differences: 2 },
      bill: { state: 'COMPARED', differences: 0 },
      unknown_orders: 1,
    },
  });
});

const pathsOf = async ({ out_trade_no }: PaidOrder): Promise<string[]> =>
  (await callsOf(counter, out_trade_no)).map(({ path }) => path);

describe.each([
  ['v2', 'v3', 'HMAC-SHA256', 'RSA'],
  ['v3', 'v2', 'RSA', 'HMAC-SHA256'],
] as const)('a deployment begun on %s and restarted on %s', (first, second, old_sign_type, new_sign_type) => {
  const change = () => counter.restart({ WECHAT_TIMEOUT_MS: '500', WECHAT_API_VERSION: second });

  test('finishes its old trades over what they began with; new ones use the new', async () => {
    await open(first);
    const [to_pay, to_close, to_ask, to_refund] = [
      await started(),
      await started(),
      await started(),
      await paid(),
    ];
    await change();

    expect((await shopper.pay(to_pay.order_no)).jsapi.signType).toBe(old_sign_type);
    await payAtWechat(to_pay);
    expect(await statesOf(counter, to_pay)).toEqual({ order: 'SUCCESS', trade: 'SUCCESS' });
    await closeByOperator(counter.ctx, operator, to_close.order_no);
    expect(await statesOf(counter, to_close)).toEqual({ order: 'CLOSED', trade: 'CLOSED' });
    await arm({ notify_never: true });
    await counter.control('pay', { out_trade_no: to_ask.out_trade_no });
    await disarm();
    expect((await shopper.status(to_ask.order_no, '?poll=0')).state).toBe('SUCCESS');
    const { out_refund_no } = await submitRefund(counter, to_refund, 5_000);
    await passTime(counter, 6);
    expect((await refundRow(counter, out_refund_no)).state).toBe('SUCCESS');
    for (const order of [to_pay, to_close, to_ask, to_refund]) {
      for (const path of await pathsOf(order)) expect(path.startsWith('/v3/')).toBe(first === 'v3');
    }

    const fresh = await shopper.order('longjing');
    const { out_trade_no, jsapi } = await shopper.pay(fresh.order_no);
    expect(jsapi.signType).toBe(new_sign_type);
    const order = { ...fresh, out_trade_no };
    await payAtWechat(order);
    expect(await statesOf(counter, order)).toEqual({ order: 'SUCCESS', trade: 'SUCCESS' });
    for (const path of await pathsOf(order)) expect(path.startsWith('/v3/')).toBe(second === 'v3');
  });

  test('a refund whose answer was lost before the change goes on under its number, over the old version', async () => {
    await open(first);
    const order = await paid();
    await arm({ answer_lost: { times: 1, path: doors[first].refund }, notify_never: true });
    const { out_refund_no } = await submitRefund(counter, order, 5_000);
    await change();
    await followed(counter, 11);
    await followed(counter, 21);
    expect((await refundRow(counter, out_refund_no)).state).toBe('SUCCESS');
    const calls = await applications(counter, order.out_trade_no);
    expect(calls.map((call) => call.out_refund_no)).toEqual([out_refund_no, out_refund_no]);
    expect(await simulatedLedger(counter, order.out_trade_no)).toMatchObject({ refunded_fen: 5_000 });
  });
});

test.each(['v2', 'v3'] as const)('a console refund reaches a v3 shop as %s', async (api_version) => {
  await open('v3');
  await counter.control(
    'merchant',
    { refund_notify_url: `${counter.host.origin}/api/notify/v3/refund` },
    'PUT',
  );
  const order = await paid();
  await counter.control('refund', { out_trade_no: order.out_trade_no, refund_fen: 2_800, api_version });
  await passTime(counter, 6);
  expect(await refundRows(counter, order.out_trade_no)).toMatchObject([
    { origin: 'console', state: 'SUCCESS', refund_fen: 2_800 },
  ]);
  const sent = (await notificationsOf(counter, order.out_trade_no)).at(-1);
  expect(sent?.attempts.map(({ accepted }) => accepted)).toEqual([true]);
  expect(sent?.attempts[0]?.request_body[0]).toBe(api_version === 'v2' ? '<' : '{');
});
