/**
 * A service provider with several sub-merchants in one deployment, over both versions: whose shop it is, whose money,
 * under which account the payer is known, and whose bill. Both ways to set it up: the shop lives in the provider's
 * official account, or in a sub-merchant's.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { closeByOperator } from '../../lib/admin_actions.ts';
import { readSellers } from '../../lib/admin_statements.ts';
import { beijingDay, beijingDayStart } from '../../lib/beijing.ts';
import { charge } from '../../lib/counter.ts';
import { reconcileDay } from '../../lib/statements.ts';
import { openCashDesk } from '../setup/cash_desk.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';
import {
  operator,
  paidOrder,
  passTime,
  refundRows,
  simulatedLedger,
  statesOf,
  submitRefund,
} from '../setup/paid_orders.ts';
import { type PartnerHome, partnerSettings, sellersOf } from '../setup/partner_home.ts';

const [first, second] = sellersOf.provider;
const [own_account] = sellersOf['sub-merchant'];

let counter: Counter;
let shopper: Shopper;
afterEach(() => counter.close());

async function open(api_version: 'v2' | 'v3', home: PartnerHome): Promise<void> {
  counter = await openCounter({ api_version });
  await counter.restart(partnerSettings(counter.simulator_config, home));
  if (home === 'provider') {
    await counter.ctx.db.product.updateMany({
      where: { product_id: 'tea-cup' },
      data: { sub_mch_id: second },
    });
  }
  shopper = counter.shopper();
  await shopper.signIn();
}

const tradeOf = (out_trade_no: string) => counter.ctx.db.trade.findUniqueOrThrow({ where: { out_trade_no } });

async function tomorrowAtEleven(): Promise<void> {
  const midnight = (beijingDayStart(beijingDay(counter.ctx.now()))?.getTime() ?? 0) + 86_400_000;
  const seconds = Math.ceil((midnight + 11 * 3_600_000 - counter.ctx.now().getTime()) / 1_000);
  await passTime(counter, seconds);
}

describe.each(['v2', 'v3'] as const)('over API %s', (api_version) => {
  test('each order is its seller’s: paid, refunded, closed, and the bill splits by sub-merchant', async () => {
    await open(api_version, 'provider');
    await tomorrowAtEleven();
    await shopper.signIn();
    const day = beijingDay(counter.ctx.now());
    const tea = await paidOrder(counter, shopper, 'longjing');
    const cup = await paidOrder(counter, shopper, 'tea-cup');
    expect(await tradeOf(tea.out_trade_no)).toMatchObject({
      trade_state: 'SUCCESS',
      mch_id: '1900000300',
      sub_mch_id: first,
      sub_appid: null,
      appid: counter.ctx.config.WECHAT_APPID,
    });
    expect(await tradeOf(cup.out_trade_no)).toMatchObject({ trade_state: 'SUCCESS', sub_mch_id: second });

    const refund = await submitRefund(counter, cup, 300);
    await counter.work('refund_follow');
    await passTime(counter, 90);
    await counter.work('refund_follow');
    expect(await refundRows(counter, cup.out_trade_no)).toMatchObject([
      { out_refund_no: refund.out_refund_no, state: 'SUCCESS', refund_fen: 300 },
    ]);

    const left = await shopper.order('longjing');
    const { out_trade_no: left_no } = await shopper.pay(left.order_no);
    expect(await closeByOperator(counter.ctx, operator, left.order_no)).toMatchObject({ outcome: 'closed' });
    expect((await tradeOf(left_no)).trade_state).toBe('CLOSED');

    // Every notification and query of this one is lost: the bill alone tells.
    await counter.control('faults', { notify_never: true }, 'PUT');
    const silent = await shopper.order('longjing');
    const { out_trade_no: silent_no } = await shopper.pay(silent.order_no);
    await counter.control('pay', { out_trade_no: silent_no });
    await counter.control('faults', undefined, 'DELETE');

    await tomorrowAtEleven();
    const told = await reconcileDay(counter.ctx, day);
    expect(told).toMatchObject({ state: 'COMPARED', settled: 1, differences: 0 });
    expect(await statesOf(counter, { ...silent, out_trade_no: silent_no })).toEqual({
      order: 'SUCCESS',
      trade: 'SUCCESS',
    });
    expect(await readSellers(counter.ctx, day)).toMatchObject([
      { sub_mch_id: first, payments: 2, payment_fen: 25_600, refunds: 0 },
      { sub_mch_id: second, payments: 1, payment_fen: 8_800, refunds: 1, refund_fen: 300 },
    ]);
    expect(await simulatedLedger(counter)).toMatchObject({ paid_fen: 34_400, refunded_fen: 300 });
  });

  test('in a sub-merchant’s account the payer is known there, and the page pays under it', async () => {
    await open(api_version, 'sub-merchant');
    const { order_no } = await shopper.order('longjing');
    const { out_trade_no, jsapi } = await shopper.pay(order_no);
    const { WECHAT_APPID, WECHAT_SP_APPID } = counter.ctx.config;
    expect(jsapi.appId).toBe(WECHAT_APPID);
    const trade = await tradeOf(out_trade_no);
    expect(trade).toMatchObject({ appid: WECHAT_SP_APPID, sub_appid: WECHAT_APPID, sub_mch_id: own_account });
    await counter.control('pay', { out_trade_no });
    await passTime(counter, 0);
    expect((await tradeOf(out_trade_no)).trade_state).toBe('SUCCESS');
    const heard = await counter.ctx.db.notification.findFirstOrThrow({ where: { out_trade_no } });
    expect(heard.verdict).toBe('applied');
    await submitRefund(counter, { order_no, out_trade_no, total_fen: 12_800 }, 100);
    await counter.work('refund_follow');
    await passTime(counter, 90);
    await counter.work('refund_follow');
    expect(await refundRows(counter, out_trade_no)).toMatchObject([{ state: 'SUCCESS', refund_fen: 100 }]);
  });

  test('a signed message about another sub-merchant, or another payer under it, changes nothing', async () => {
    await open(api_version, 'sub-merchant');
    const { order_no } = await shopper.order('longjing');
    const { out_trade_no } = await shopper.pay(order_no);
    await counter.ctx.db.trade.update({ where: { out_trade_no }, data: { sub_mch_id: first } });
    await counter.control('pay', { out_trade_no });
    await passTime(counter, 0);
    const heard = await counter.ctx.db.notification.findFirstOrThrow({ where: { out_trade_no } });
    expect(heard).toMatchObject({ verdict: 'mismatch', detail: expect.stringContaining('sub_mch_id') });
    await counter.ctx.db.trade.update({
      where: { out_trade_no },
      data: { sub_mch_id: own_account, openid: 'oSomebodyElse' },
    });
    await passTime(counter, 60);
    const all = await counter.ctx.db.notification.findMany({
      where: { out_trade_no },
      orderBy: { received_at: 'asc' },
    });
    expect(all.at(-1)).toMatchObject({ verdict: 'mismatch', detail: expect.stringContaining('sub_openid') });
    expect((await tradeOf(out_trade_no)).trade_state).toBe('NOTPAY');
  });
});

test('goods of two sellers are two orders', async () => {
  await open('v2', 'provider');
  const items = ['longjing', 'tea-cup'].map((product_id) => ({ product_id, quantity: 1 }));
  const answer = await shopper.post('/api/orders', { items, checkout_key: 'two-sellers-in-one-basket' });
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({ error: { code: 'several_sellers', field: 'items' } });
  expect(await counter.ctx.db.order.count()).toBe(0);
});

test('a bare amount at the counter is the first sub-merchant’s', async () => {
  await open('v2', 'provider');
  const { settings } = counter;
  await counter.restart({ ...settings, WECHAT_PRODUCTS: 'JSAPI,MICROPAY' });
  const desk = await openCashDesk(counter);
  const out_trade_no = await desk.charge(await desk.code(false), 500);
  expect((await desk.show(out_trade_no)).seller).toBe(`店 ${first}`);
  expect(await tradeOf(out_trade_no)).toMatchObject({
    trade_type: 'MICROPAY',
    trade_state: 'SUCCESS',
    sub_mch_id: first,
    total_fen: 500,
  });
});

test('a bare amount at the counter is whose the operator says, of those we serve; goods say it themselves', async () => {
  await open('v2', 'provider');
  // The one who is chosen is not the one who would have been taken.
  await counter.restart({
    ...counter.settings,
    WECHAT_PRODUCTS: 'JSAPI,MICROPAY',
    WECHAT_SUB_MERCHANTS: JSON.stringify(
      [second, first].map((sub_mch_id) => ({ sub_mch_id, name: sub_mch_id })),
    ),
  });
  const desk = await openCashDesk(counter);
  const wish = desk.input(await desk.code(false), 500);
  const refusal = (doing: Promise<unknown>) =>
    doing.then(
      () => undefined,
      (thrown: { code: string; field?: string }) => [thrown.code, thrown.field],
    );
  const nobody = ['no_such_seller', 'sub_mch_id'];
  for (const sub_mch_id of [own_account, '1900000300', '00000000']) {
    expect(await refusal(charge(counter.ctx, desk.operator, { ...wish, sub_mch_id }))).toEqual(nobody);
  }
  const items = [{ product_id: 'longjing', quantity: 1 }];
  const { total_fen: _, ...goods } = wish;
  expect(await refusal(charge(counter.ctx, desk.operator, { ...goods, items, sub_mch_id: first }))).toEqual(
    nobody,
  );
  expect(await counter.ctx.db.trade.count()).toBe(0);

  const chosen = { ...wish, sub_mch_id: first };
  const out_trade_no = await charge(counter.ctx, desk.operator, chosen);
  expect(await charge(counter.ctx, desk.operator, chosen)).toBe(out_trade_no);
  expect(await refusal(charge(counter.ctx, desk.operator, { ...chosen, sub_mch_id: second }))).toEqual([
    'charge_key_reused',
    'charge_key',
  ]);
  expect(await tradeOf(out_trade_no)).toMatchObject({ trade_state: 'SUCCESS', sub_mch_id: first });
});
