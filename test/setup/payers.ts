/**
 * A payer for each way of paying, over the simulator: begins with us as people of that way do, then pays on the phone or
 * gives up there. What comes of it in our books is the test's business.
 */

import type { Product } from '../../lib/config.ts';
import { type ChargeInput, charge } from '../../lib/counter.ts';
import type { CashDesk } from './cash_desk.ts';
import type { Counter } from './counter.ts';
import { type OnlineDesk, type OnlineWay, onlineWays } from './online_ways.ts';
import type { PaidOrder } from './paid_orders.ts';

export interface Desk extends OnlineDesk {
  cashier: CashDesk;
}

export interface Payer {
  name: string;
  product: Product;
  /** What WeChat calls it, in notifications, queries and bills. */
  trade_type: string;
  /** Who learns of the payment: WeChat's notification, or the operator who waits. */
  told_by: 'notification' | 'counter';
  /** The fault that loses the answer to a charge; ways with a notification have none. */
  answer_lost?: string;
  pays: (desk: Desk) => Promise<PaidOrder>;
  /** At the counter only: pays after the operator was told to wait for the password. */
  pays_asked?: (desk: Desk) => Promise<PaidOrder>;
  /** Begins and lets it be. */
  gives_up: (desk: Desk) => Promise<PaidOrder>;
}

async function rowOf({ ctx }: Counter, out_trade_no: string): Promise<PaidOrder> {
  return ctx.db.trade.findUniqueOrThrow({
    where: { out_trade_no },
    select: { order_no: true, out_trade_no: true, total_fen: true },
  });
}

/** Begun with us and brought to an end on the phone. */
function online({ order, begin, tap }: OnlineWay): Pick<Payer, 'pays' | 'gives_up'> {
  const to = async (desk: Desk, action: 'pay' | 'cancel'): Promise<PaidOrder> => {
    const begun = await begin(desk, await order(desk));
    if (begun.status !== 200) throw new Error(`not begun: ${begun.status} ${begun.body.error?.message}`);
    await tap(desk, begun, action);
    return rowOf(desk.counter, begun.body.out_trade_no ?? '');
  };
  return { pays: (desk) => to(desk, 'pay'), gives_up: (desk) => to(desk, 'cancel') };
}

/** A printed code: the scan makes the order. Who has no money is asked for it and leaves. */
function byPrintedCode(): Pick<Payer, 'pays' | 'gives_up'> {
  const scan = async ({ counter }: Desk, openid?: string) => {
    const { native } = counter.ctx.pay;
    if (native === undefined) throw new Error('printed codes are v2');
    const code_url = native.link('bookmark');
    return counter.control('pay', openid === undefined ? { code_url } : { code_url, openid });
  };
  const newest = async ({ counter }: Desk): Promise<PaidOrder> => {
    const made = await counter.ctx.db.trade.findFirstOrThrow({ orderBy: { created_at: 'desc' } });
    return rowOf(counter, made.out_trade_no);
  };
  return {
    pays: async (desk) => {
      await scan(desk);
      return newest(desk);
    },
    gives_up: async (desk) => {
      const poor = desk.counter.simulator_config.users.find(({ balance_fen }) => balance_fen === 0);
      if (poor === undefined) throw new Error('nobody is without money');
      const before = await desk.counter.ctx.db.trade.count();
      await scan(desk, poor.openid).catch(() => undefined);
      if ((await desk.counter.ctx.db.trade.count()) !== before + 1) throw new Error('the scan made no order');
      return newest(desk);
    },
  };
}

type Presented = ChargeInput['payer'];

/** At the counter: what the phone or the face gives is charged; with a password asked for, it is not confirmed yet. */
function presented(
  present: (desk: Desk, password: boolean) => Promise<Presented>,
): Pick<Payer, 'pays' | 'pays_asked' | 'gives_up'> {
  const charged = async (desk: Desk, password: boolean): Promise<PaidOrder> => {
    const payer = await present(desk, password);
    const wish = { title: '收款', total_fen: 990, payer, charge_key: crypto.randomUUID() };
    return rowOf(desk.counter, await charge(desk.counter.ctx, desk.cashier.operator, wish));
  };
  return {
    pays: (desk) => charged(desk, false),
    pays_asked: async (desk) => {
      const row = await charged(desk, true);
      await desk.cashier.password(row.out_trade_no, 'confirm');
      return row;
    },
    gives_up: async (desk) => {
      const row = await charged(desk, true);
      await desk.cashier.password(row.out_trade_no, 'refuse');
      return row;
    },
  };
}

export const payers: readonly Payer[] = [
  {
    name: 'JSAPI',
    product: 'JSAPI',
    trade_type: 'JSAPI',
    told_by: 'notification',
    ...online(onlineWays.JSAPI),
  },
  {
    name: 'Native',
    product: 'NATIVE',
    trade_type: 'NATIVE',
    told_by: 'notification',
    ...online(onlineWays.NATIVE),
  },
  {
    name: 'H5',
    product: 'MWEB',
    trade_type: 'MWEB',
    told_by: 'notification',
    ...online(onlineWays.MWEB),
  },
  {
    name: 'mini-program',
    product: 'MINIPROGRAM',
    trade_type: 'JSAPI',
    told_by: 'notification',
    ...online(onlineWays.MINIPROGRAM),
  },
  { name: 'APP', product: 'APP', trade_type: 'APP', told_by: 'notification', ...online(onlineWays.APP) },
  {
    name: 'payment code',
    product: 'MICROPAY',
    trade_type: 'MICROPAY',
    told_by: 'counter',
    answer_lost: 'micropay_answer_lost',
    ...presented(async ({ cashier }, password) => ({
      trade_type: 'MICROPAY',
      auth_code: await cashier.code(password),
    })),
  },
  {
    name: 'face',
    product: 'FACEPAY',
    trade_type: 'FACEPAY',
    told_by: 'counter',
    answer_lost: 'facepay_answer_lost',
    ...presented(async ({ counter }, password) => {
      const { appid } = counter.ctx.pay;
      const face = await counter.control<{ face_code: string; openid: string }>('face_code', {
        password,
        appid,
      });
      return { trade_type: 'FACEPAY', ...face };
    }),
  },
];

/** NATIVE mode 1. */
export const printedCode: Payer = {
  name: 'Native by a printed code',
  product: 'NATIVE',
  trade_type: 'NATIVE',
  told_by: 'notification',
  ...byPrintedCode(),
};
