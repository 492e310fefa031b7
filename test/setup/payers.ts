/**
 * A payer for each way of paying, over the simulator: begins with us as people of that way do, then pays on the phone or
 * gives up there. What comes of it in our books is the test's business.
 */

import type { Product } from '../../lib/config.ts';
import { type ChargeInput, charge } from '../../lib/counter.ts';
import type { CashDesk } from './cash_desk.ts';
import { app_key, type Counter, type Shopper } from './counter.ts';
import type { PaidOrder } from './paid_orders.ts';

export interface Desk {
  counter: Counter;
  /** Signed in inside WeChat. */
  shopper: Shopper;
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

const goods = { items: [{ product_id: 'bookmark', quantity: 1 }] };

async function rowOf({ ctx }: Counter, out_trade_no: string): Promise<PaidOrder> {
  return ctx.db.trade.findUniqueOrThrow({
    where: { out_trade_no },
    select: { order_no: true, out_trade_no: true, total_fen: true },
  });
}

async function json<Answer>(asked: Promise<Response>): Promise<Answer> {
  const answer = await asked;
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.url}: ${answer.status} ${text}`);
  return JSON.parse(text) as Answer;
}

/** A caller that is no browser: a key, no cookie, no Origin. */
const callWith = (counter: Counter, key: string, path: string, body: unknown, more: HeadersInit = {}) =>
  fetch(counter.host.origin + path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(key === '' ? {} : { authorization: `Bearer ${key}` }),
      ...more,
    },
    body: JSON.stringify(body),
  });

/** The page inside WeChat: the bridge judges address, parameters, signature and payer before anybody can pay. */
async function overBridge({ counter, shopper }: Desk, action: 'pay' | 'cancel'): Promise<PaidOrder> {
  const { order_no } = await shopper.order('bookmark');
  const { out_trade_no, jsapi } = await shopper.pay(order_no);
  const { invocation_id, why } = await counter.control<{ invocation_id?: string; why?: string }>(
    'bridge/invoke',
    {
      method: 'getBrandWCPayRequest',
      params: jsapi,
      page_url: `${counter.host.origin}/pay/${order_no}`,
      openid: shopper.openid,
    },
  );
  if (invocation_id === undefined) throw new Error(`the bridge turned the page away: ${why}`);
  const { err_msg } = await counter.control('bridge/finish', { invocation_id, action });
  await json(shopper.post(`/api/orders/${order_no}/bridge`, { out_trade_no, err_msg }));
  return rowOf(counter, out_trade_no);
}

/** A browser outside WeChat, signed in nowhere, gets an address to pay at. */
const atAddress =
  (trade_type: 'NATIVE' | 'MWEB', name: 'code_url' | 'h5_url') =>
  async ({ counter }: Desk): Promise<{ row: PaidOrder; address: Record<string, string> }> => {
    const visitor = counter.shopper();
    const { order_no } = await visitor.order('bookmark');
    const begun = await json<Record<string, string>>(
      visitor.post(`/api/orders/${order_no}/pay`, { trade_type }),
    );
    const address = begun[name] ?? '';
    if (name === 'h5_url') await throughGate(address, `${counter.host.origin}/pay/${order_no}`);
    return { row: await rowOf(counter, begun.out_trade_no ?? ''), address: { [name]: address } };
  };

/** WeChat's page behind an H5 address, which judges the browser and where it came from. */
async function throughGate(h5_url: string, referer: string): Promise<void> {
  const page = await (await fetch(h5_url, { headers: { 'user-agent': 'Safari/604.1', referer } })).text();
  if (!page.includes('data-testid="h5-open-wechat"')) throw new Error(`the H5 gate stayed shut: ${page}`);
}

const byAddress = (
  trade_type: 'NATIVE' | 'MWEB',
  name: 'code_url' | 'h5_url',
): Pick<Payer, 'pays' | 'gives_up'> => {
  const begin = atAddress(trade_type, name);
  return {
    pays: async (desk) => {
      const { row, address } = await begin(desk);
      await desk.counter.control('pay', address);
      return row;
    },
    gives_up: async (desk) => {
      const { row, address } = await begin(desk);
      await desk.counter.control('cancel', address);
      return row;
    },
  };
};

/** Call parameters, handed to the phone as the client's SDK would. */
const bySdk = (
  door: 'mini_pay' | 'app_pay',
  begin: (desk: Desk) => Promise<{ out_trade_no: string; parameters: Record<string, string> }>,
): Pick<Payer, 'pays' | 'gives_up'> => {
  const tap = async (desk: Desk, action: 'pay' | 'cancel'): Promise<PaidOrder> => {
    const { out_trade_no, parameters } = await begin(desk);
    await desk.counter.control(door, action === 'pay' ? parameters : { ...parameters, action });
    return rowOf(desk.counter, out_trade_no);
  };
  return { pays: (desk) => tap(desk, 'pay'), gives_up: (desk) => tap(desk, 'cancel') };
};

async function asMiniProgram({ counter }: Desk) {
  const { code } = await counter.control<{ code: string }>('mini_code', {});
  const { token } = await json<{ token: string }>(callWith(counter, '', '/api/app/mini/session', { code }));
  const checkout_key = crypto.randomUUID();
  const { order_no } = await json<{ order_no: string }>(
    callWith(counter, token, '/api/orders', { ...goods, checkout_key }),
  );
  const { out_trade_no, mini_program } = await json<{
    out_trade_no: string;
    mini_program: Record<string, string>;
  }>(callWith(counter, token, `/api/orders/${order_no}/pay`, { trade_type: 'JSAPI' }));
  return { out_trade_no, parameters: mini_program };
}

async function asApp({ counter }: Desk) {
  const key = { 'idempotency-key': crypto.randomUUID() };
  const { order_no } = await json<{ order_no: string }>(
    callWith(counter, app_key, '/api/app/orders', goods, key),
  );
  const { out_trade_no, app } = await json<{ out_trade_no: string; app: Record<string, string> }>(
    callWith(counter, app_key, `/api/app/orders/${order_no}/pay`, { payer_client_ip: '203.0.113.9' }),
  );
  return { out_trade_no, parameters: app };
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

/** `wx.chooseWXPay` is begun at the door of JSAPI and handed the same parameters, so JSAPI stands for both. */
export const payers: readonly Payer[] = [
  {
    name: 'JSAPI',
    product: 'JSAPI',
    trade_type: 'JSAPI',
    told_by: 'notification',
    pays: (desk) => overBridge(desk, 'pay'),
    gives_up: (desk) => overBridge(desk, 'cancel'),
  },
  {
    name: 'Native',
    product: 'NATIVE',
    trade_type: 'NATIVE',
    told_by: 'notification',
    ...byAddress('NATIVE', 'code_url'),
  },
  {
    name: 'H5',
    product: 'MWEB',
    trade_type: 'MWEB',
    told_by: 'notification',
    ...byAddress('MWEB', 'h5_url'),
  },
  {
    name: 'mini-program',
    product: 'MINIPROGRAM',
    trade_type: 'JSAPI',
    told_by: 'notification',
    ...bySdk('mini_pay', asMiniProgram),
  },
  { name: 'APP', product: 'APP', trade_type: 'APP', told_by: 'notification', ...bySdk('app_pay', asApp) },
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
