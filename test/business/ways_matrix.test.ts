/**
 * Every way of paying in every home a deployment can have: paid, given up by the payer, refunded, and compared with the
 * day's bill, which also settles what nobody told us of. One bill a home, so that the ways stand in it side by side.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { closeByOperator } from '../../lib/admin_actions.ts';
import { beijingDay, beijingDayStart } from '../../lib/beijing.ts';
import { products } from '../../lib/config_ways.ts';
import { billReadyAt, reconcileDay } from '../../lib/statements.ts';
import { openCashDesk } from '../setup/cash_desk.ts';
import { openCounter } from '../setup/counter.ts';
import {
  followed,
  operator,
  type PaidOrder,
  passTime,
  refundRow,
  simulatedLedger,
  statesOf,
  submitRefund,
} from '../setup/paid_orders.ts';
import { partnerSettings, sellersOf } from '../setup/partner_home.ts';
import { type Desk, type Payer, payers, printedCode } from '../setup/payers.ts';

const homes = (['v2', 'v3'] as const).flatMap((api_version) =>
  (['merchant', 'provider', 'sub-merchant'] as const).map((home) => ({ api_version, home })),
);
const who = {
  merchant: 'ordinary merchant',
  provider: 'service provider, its own account',
  'sub-merchant': 'service provider, the sub-merchant’s account',
};

describe.each(homes.map((each) => ({ ...each, title: `${each.api_version}, ${who[each.home]}` })))(
  '$title',
  ({ api_version, home }) => {
    let desk: Desk;
    let day: string;
    /** By way, what the bill must say of it. */
    const billed = new Map<string, { paid: PaidOrder[]; unheard: PaidOrder; given_up: PaidOrder[] }>();

    beforeAll(async () => {
      const counter = await openCounter({
        api_version,
        environment: { WECHAT_PRODUCTS: products.join(',') },
      });
      const opened = { WECHAT_PRODUCTS: products.join(',') };
      if (home !== 'merchant') {
        await counter.restart({ ...opened, ...partnerSettings(counter.simulator_config, home) });
      }
      const mch_id = counter.ctx.config.WECHAT_MCH_ID;
      const native_callback_url = `${counter.host.origin}/api/wechat/native`;
      await counter.control('merchant', { mch_id, native_callback_url }, 'PUT');
      const midnight = (beijingDayStart(beijingDay(counter.ctx.now()))?.getTime() ?? 0) + 86_400_000;
      await passTime(counter, Math.ceil((midnight + 11 * 3_600_000 - counter.ctx.now().getTime()) / 1_000));
      day = beijingDay(counter.ctx.now());
      const shopper = counter.shopper();
      await shopper.signIn();
      desk = { counter, shopper, cashier: await openCashDesk(counter) };
    });
    afterAll(() => desk.counter.close());

    const ways = api_version === 'v2' && home === 'merchant' ? [...payers, printedCode] : payers;
    const tradeOf = (out_trade_no: string) =>
      desk.counter.ctx.db.trade.findUniqueOrThrow({ where: { out_trade_no } });

    describe.each(ways)('$name', (way: Payer) => {
      test('paid: settled by whoever tells, in the way’s, the seller’s and the payer’s name', async () => {
        const paid = await way.pays(desk);
        await passTime(desk.counter, 0);
        expect(await statesOf(desk.counter, paid)).toEqual({ order: 'SUCCESS', trade: 'SUCCESS' });
        const trade = await tradeOf(paid.out_trade_no);
        expect(trade).toMatchObject({
          // What is presented at a counter is charged over v2 whatever the shop speaks online.
          api_version: way.told_by === 'counter' ? 'v2' : api_version,
          trade_type: way.trade_type,
          sub_mch_id: home === 'merchant' ? null : sellersOf[home][0],
          total_fen: 990,
          payer_total_fen: 990,
        });
        const known = desk.counter.simulator_config.users[0]?.openids ?? {};
        expect(trade.payer_openid).toBe(known[trade.sub_appid ?? trade.appid]);
        const { ctx } = desk.counter;
        const told = await ctx.db.event.findFirstOrThrow({
          where: { order_no: paid.order_no, kind: 'paid' },
        });
        const heard = await ctx.db.notification.count({
          where: { out_trade_no: paid.out_trade_no, verdict: 'applied' },
        });
        expect([told.source, heard]).toEqual(
          way.told_by === 'notification' ? ['notification', 1] : ['query', 0],
        );
        expect(await simulatedLedger(desk.counter, paid.out_trade_no)).toMatchObject({ paid_fen: 990 });
        remember(way, { paid: [paid] });
      });

      test('given up by the payer: unpaid, then closed or reversed on both sides, no money moved', async () => {
        const left = await way.gives_up(desk);
        if (way.told_by === 'counter') {
          for (let waited_s = 0; waited_s < 45; waited_s += 5) await desk.cashier.pass(5);
        } else {
          expect(await statesOf(desk.counter, left)).toEqual({ order: 'NOTPAY', trade: 'NOTPAY' });
          expect(await closeByOperator(desk.counter.ctx, operator, left.order_no)).toMatchObject({
            outcome: 'closed',
          });
        }
        const ended = way.told_by === 'counter' ? 'REVOKED' : 'CLOSED';
        expect(await statesOf(desk.counter, left)).toEqual({ order: 'CLOSED', trade: ended });
        expect(await desk.counter.control(`orders/${left.out_trade_no}`)).toMatchObject({
          trade_state: ended,
        });
        expect(await simulatedLedger(desk.counter, left.out_trade_no)).toMatchObject({ paid_fen: 0 });
        remember(way, { given_up: [left] });
      });

      test('refunded: followed until the money is back', async () => {
        const paid = await way.pays(desk);
        await passTime(desk.counter, 0);
        const { out_refund_no } = await submitRefund(desk.counter, paid, paid.total_fen);
        await followed(desk.counter, 90);
        expect(await refundRow(desk.counter, out_refund_no)).toMatchObject({
          state: 'SUCCESS',
          refund_fen: 990,
        });
        expect(await statesOf(desk.counter, paid)).toEqual({ order: 'REFUND', trade: 'REFUND' });
        expect(await simulatedLedger(desk.counter, paid.out_trade_no)).toMatchObject({
          paid_fen: 990,
          refunded_fen: 990,
        });
        remember(way, { paid: [paid] });
      });

      test('paid while nobody listens or asks: open in our books', async () => {
        const { counter } = desk;
        await counter.control(
          'faults',
          way.answer_lost === undefined ? { notify_never: true } : { [way.answer_lost]: { times: 1 } },
          'PUT',
        );
        const unheard = await way.pays(desk);
        await counter.control('faults', undefined, 'DELETE');
        await passTime(counter, 0);
        // The worker is down until the day is over.
        await counter.ctx.db.$executeRaw`DELETE FROM pgboss.job`;
        expect(await statesOf(counter, unheard)).toEqual({ order: 'NOTPAY', trade: 'NOTPAY' });
        remember(way, { unheard });
      });
    });

    describe('the day’s bill', () => {
      let bill: string[][];
      beforeAll(async () => {
        const { counter } = desk;
        const ready_at = billReadyAt(day)?.getTime() ?? 0;
        await passTime(counter, Math.ceil((ready_at + 300_000 - counter.ctx.now().getTime()) / 1_000));
        expect(await reconcileDay(counter.ctx, day)).toMatchObject({
          state: 'COMPARED',
          settled: ways.length,
          differences: 0,
          problem: '',
        });
        const downloaded = await counter.ctx.pay.downloadTradeBill(day);
        if (downloaded.outcome !== 'bill') throw new Error(`no bill of ${day}`);
        const text = await new Response(downloaded.stream).text();
        bill = text.split(/\r?\n/).map((line) => line.split(',').map((cell) => cell.replace(/^`/, '')));
      });

      test.each(ways)(
        '$name: reconciled, and the payment nobody told of settled by the bill',
        async ({ name, trade_type }) => {
          const mine = billed.get(name);
          if (mine === undefined) throw new Error(`nothing was paid by ${name}`);
          const rowsOf = ({ out_trade_no }: PaidOrder) => bill.filter((row) => row.includes(out_trade_no));
          for (const paid of [...mine.paid, mine.unheard]) {
            expect(rowsOf(paid).every((row) => row.includes(trade_type))).toBe(true);
          }
          expect(mine.paid.map((paid) => rowsOf(paid).length)).toEqual([1, 2]);
          expect(rowsOf(mine.unheard)).toHaveLength(1);
          expect(mine.given_up.flatMap(rowsOf)).toEqual([]);
          expect(await statesOf(desk.counter, mine.unheard)).toEqual({ order: 'SUCCESS', trade: 'SUCCESS' });
          const { source } = await desk.counter.ctx.db.event.findFirstOrThrow({
            where: { order_no: mine.unheard.order_no, kind: 'paid' },
          });
          expect(source).toBe('bill');
        },
      );

      test('both ledgers agree to the fen', async () => {
        const { _sum } = await desk.counter.ctx.db.trade.aggregate({
          _sum: { total_fen: true },
          where: { trade_state: { in: ['SUCCESS', 'REFUND'] } },
        });
        const refunds = await desk.counter.ctx.db.refund.aggregate({
          _sum: { refund_fen: true },
          where: { state: 'SUCCESS' },
        });
        expect(await simulatedLedger(desk.counter)).toMatchObject({
          paid_fen: _sum.total_fen,
          refunded_fen: refunds._sum.refund_fen,
        });
        expect(_sum.total_fen).toBe(ways.length * 3 * 990);
      });
    });

    function remember(
      way: Payer,
      told: Partial<{ paid: PaidOrder[]; unheard: PaidOrder; given_up: PaidOrder[] }>,
    ) {
      const held = billed.get(way.name);
      const unheard = told.unheard ?? held?.unheard ?? { order_no: '', out_trade_no: '', total_fen: 0 };
      billed.set(way.name, {
        paid: [...(held?.paid ?? []), ...(told.paid ?? [])],
        given_up: [...(held?.given_up ?? []), ...(told.given_up ?? [])],
        unheard,
      });
    }
  },
);
