/**
 * The operator's counter: one amount, one payment code or face, one trade that WeChat hears of once. Order, trade and
 * the job that follows them are committed before the call; what no answer told is asked for, and at the end reversed.
 */
import { hash } from 'node:crypto';
import { z } from 'zod';
import { addAudit, auditingRefusals, type Operator } from './admin_audit.ts';
import { askTrade } from './ask.ts';
import { closeOrder, closeTrade } from './close.ts';
import type { Context } from './context.ts';
import { isDuplicate } from './db.ts';
import { AppError } from './errors.ts';
import { addEvent, asWechatError, exchangeData } from './events.ts';
import { isFen, maxFen } from './money.ts';
import { newNumber, numberPattern } from './numbers.ts';
import { orderInput, priceItems, quantities } from './orders.ts';
import { enqueue } from './queues.ts';
import { counterOf, isCounterTrade, ownReport, reversibleAfter_ms } from './reverse.ts';
import { sellerInput, sellerOf } from './sellers.ts';
import { openTradeStates } from './states.ts';
import { requireOpened } from './ways.ts';
import { type CounterPayer, fitDescription, type WechatError } from './wechat/index.ts';

/** WeChat closes an unpaid charge by itself after this; no charge under its number is taken later. */
const chargeLife_ms = 90_000;
/** 付款码支付: a query every five to ten seconds. */
export const askEvery_ms = 5_000;
const mostSpacing_ms = 60_000;

/** 18 digits, beginning 10 to 15 (付款码支付, auth_code). */
export const authCodePattern = /^1[0-5]\d{16}$/;

const payerInput = z.discriminatedUnion('trade_type', [
  z.strictObject({ trade_type: z.literal('MICROPAY'), auth_code: z.string().max(64) }),
  z.strictObject({
    trade_type: z.literal('FACEPAY'),
    face_code: z.string().regex(/^[\w+/=:.-]{8,128}$/, 'must be what the face device gave'),
    openid: z.string().regex(/^[\w-]{1,128}$/, 'must be what the face device gave'),
  }),
]);

export const chargeInput = z
  .strictObject({
    /** Whole fen; or `items` of the catalogue, whose prices count. */
    total_fen: z.number().int('must be whole fen').min(1).max(maxFen).optional(),
    items: orderInput.shape.items.optional(),
    /** Partner mode: whose money it is; goods say it themselves. */
    sub_mch_id: sellerInput.optional(),
    title: z
      .string()
      .trim()
      .min(1, 'must say what is sold')
      .max(40)
      .regex(/^[^\p{Cc}<>&]+$/u, 'must be plain text'),
    payer: payerInput,
    /** Made by the page once per charge, so that a repeated submit is the same charge. */
    charge_key: z.string().regex(/^[A-Za-z0-9_-]{16,64}$/, 'must be 16 to 64 letters, digits, _ or -'),
  })
  .refine(({ total_fen, items }) => (total_fen === undefined) !== (items === undefined), {
    path: ['total_fen'],
    message: 'must be given, or items, not both',
  });
export type ChargeInput = z.output<typeof chargeInput>;

/** Nothing to say but "this one"; an object all the same, so that only a JSON request reverses. */
export const reverseInput = z.strictObject({});

/**
 * Charges a payer and returns the number to follow, when WeChat has answered or not. The same `charge_key` again is the
 * same charge, and WeChat is not called again. Throws `auth_code_form`, `auth_code_used`, `charge_key_reused`,
 * `no_such_seller`.
 */
export async function charge(ctx: Context, operator: Operator, input: ChargeInput): Promise<string> {
  const { payer, title } = input;
  const wish = { title, trade_type: payer.trade_type, total_fen: input.total_fen ?? 0 };
  return auditingRefusals(ctx, operator, 'charge_refused', input.charge_key, wish, async () => {
    requireOpened(ctx.config, payer.trade_type);
    if (ctx.config.WECHAT_API_V2_KEY === undefined) {
      throw new AppError('product_not_opened', { detail: `${payer.trade_type}: WECHAT_API_V2_KEY` });
    }
    const known = await findCharge(ctx, operator, input);
    if (known !== undefined) return known;
    if (payer.trade_type === 'MICROPAY' && !authCodePattern.test(payer.auth_code)) {
      throw new AppError('auth_code_form', { field: 'payer.auth_code' });
    }
    const opened = await open(ctx, operator, input).catch(async (thrown: unknown) => {
      if (!isDuplicate(thrown)) throw thrown;
      // The same tap twice, or a code that has paid before.
      const raced = await findCharge(ctx, operator, input);
      if (raced === undefined) throw new AppError('auth_code_used', { field: 'payer', cause: thrown });
      return raced;
    });
    if (typeof opened === 'string') return opened;
    await send(ctx, opened, payer);
    return opened.out_trade_no;
  });
}

/** The charge this key made before; a key that asked for anything else is refused. The code itself is not kept. */
async function findCharge(ctx: Context, operator: Operator, input: ChargeInput): Promise<string | undefined> {
  const order = await ctx.db.order.findUnique({
    where: { admin_id_checkout_key: { admin_id: operator.admin.id, checkout_key: input.charge_key } },
    select: {
      total_fen: true,
      title: true,
      sub_mch_id: true,
      items: { select: { product_id: true, quantity: true } },
      trades: { select: { out_trade_no: true, trade_type: true } },
    },
  });
  const trade = order?.trades[0];
  if (order === null || trade === undefined) return undefined;
  const same =
    (input.total_fen ?? order.total_fen) === order.total_fen &&
    (input.sub_mch_id ?? order.sub_mch_id) === order.sub_mch_id &&
    quantities(input.items ?? []) === quantities(order.items) &&
    descriptionOf(ctx, input.title) === order.title &&
    input.payer.trade_type === trade.trade_type;
  if (!same) throw new AppError('charge_key_reused', { field: 'charge_key' });
  return trade.out_trade_no;
}

function descriptionOf(ctx: Context, title: string): string {
  return fitDescription(`${ctx.config.SHOP_NAME}-${title}`);
}

interface OpenedCharge {
  out_trade_no: string;
  order_no: string;
  total_fen: number;
  description: string;
  appid: string;
  mch_id: string;
  sub_mch_id: string | null;
  sub_appid: string | null;
  sign_type: string;
  client_ip: string;
  created_at: Date;
  expires_at: Date;
}

/** Order, trade, timeline, audit and the job that follows: all or nothing, before WeChat hears of it. */
async function open(ctx: Context, operator: Operator, input: ChargeInput): Promise<OpenedCharge> {
  const { payer } = input;
  const items = input.items === undefined ? [] : await priceItems(ctx, input.items);
  const total_fen =
    input.total_fen ?? items.reduce((sum, { price_fen, quantity }) => sum + price_fen * quantity, 0);
  if (!isFen(total_fen))
    throw new AppError('bad_request', { field: 'items', detail: 'the total is too large' });
  const now = ctx.now();
  const order_no = newNumber(now);
  const out_trade_no = newNumber(now);
  const expires_at = new Date(now.getTime() + chargeLife_ms);
  const sub_mch_id = sellerOf(ctx.config, items, input.sub_mch_id);
  const account = ctx.payAs(ctx.config.WECHAT_APPID, sub_mch_id);
  const opened: OpenedCharge = {
    out_trade_no,
    order_no,
    total_fen,
    description: descriptionOf(ctx, input.title),
    appid: account.appid,
    mch_id: account.mch_id,
    sub_mch_id,
    sub_appid: account.sub_appid ?? null,
    // 刷脸支付 takes HMAC-SHA256 only.
    sign_type: payer.trade_type === 'FACEPAY' ? 'HMAC-SHA256' : ctx.config.WECHAT_SIGN_TYPE,
    client_ip: operator.ip,
    created_at: now,
    expires_at,
  };
  const { appid, mch_id, sub_appid, sign_type } = opened;
  await ctx.db.$transaction(async (tx) => {
    await tx.order.create({
      data: {
        order_no,
        origin: 'counter',
        admin_id: operator.admin.id,
        checkout_key: input.charge_key,
        state: 'NOTPAY',
        title: opened.description,
        total_fen,
        sub_mch_id,
        created_at: now,
        expires_at,
        items: { createMany: { data: items.map(({ sub_mch_id: _, ...item }, line) => ({ ...item, line })) } },
      },
      select: { order_no: true },
    });
    await tx.trade.create({
      data: {
        ...{ out_trade_no, order_no, mch_id, appid, sub_mch_id, sub_appid, sign_type, total_fen },
        api_version: 'v2',
        trade_type: payer.trade_type,
        trade_state: 'NOTPAY',
        // Never sent again, so neither the code nor the face is kept.
        request: {},
        payer_key: payerKey(payer),
        placing_until: new Date(now.getTime() + ctx.config.WECHAT_TIMEOUT_MS + 1_000),
        created_at: now,
        expires_at,
      },
      select: { out_trade_no: true },
    });
    await addEvent(tx, {
      at: now,
      order_no,
      kind: 'order_created',
      source: 'operator',
      data: { total_fen, expires_at: expires_at.toISOString() },
    });
    await addEvent(tx, {
      at: now,
      order_no,
      out_trade_no,
      kind: 'trade_created',
      source: 'operator',
      data: { trade_type: payer.trade_type, total_fen },
    });
    await addAudit({ db: tx, now: ctx.now }, operator, 'charge', order_no, {
      out_trade_no,
      total_fen,
      trade_type: payer.trade_type,
    });
    await tx.$executeRaw(
      enqueue('counter_follow', { out_trade_no }, out_trade_no, new Date(now.getTime() + askEvery_ms)),
    );
  });
  return opened;
}

function payerKey(payer: CounterPayer): string {
  const presented = payer.trade_type === 'MICROPAY' ? payer.auth_code : payer.face_code;
  return hash('sha256', `${payer.trade_type} ${presented}`, 'hex');
}

/** The one call. A refusal ends the trade; anything that is neither money nor a refusal is left to be asked about. */
async function send(ctx: Context, opened: OpenedCharge, payer: CounterPayer): Promise<void> {
  const { out_trade_no, order_no, created_at, expires_at } = opened;
  const tell = (data: ReturnType<typeof exchangeData>) =>
    addEvent(ctx.db, { at: ctx.now(), order_no, out_trade_no, kind: 'charge', source: 'operator', data });
  const account = ctx.payFor({ ...opened, api_version: 'v2' });
  let error: WechatError;
  try {
    const { report, exchange } = await counterOf(account).chargeTrade({
      out_trade_no,
      description: opened.description,
      total_fen: opened.total_fen,
      client_ip: opened.client_ip,
      time_start_at: created_at,
      time_expire_at: expires_at,
      payer,
    });
    await ctx.settle({ source: 'query', report });
    await tell(exchangeData(exchange));
    await release(ctx, out_trade_no);
    return;
  } catch (thrown) {
    error = asWechatError(thrown);
  }
  const asked = error.code === 'USERPAYING';
  await tell(
    asked
      ? { ...exchangeData(error.exchange), trade_state: 'USERPAYING' }
      : exchangeData(error.exchange, error),
  );
  await release(ctx, out_trade_no, error.outcome === 'refused' ? error.code : undefined);
  if (asked) {
    await ctx.settle({ source: 'query', report: { ...ownReport(opened), trade_state: 'USERPAYING' } });
  }
  if (error.outcome === 'refused') {
    await ctx.settle({ source: 'query', report: { ...ownReport(opened), trade_state: 'PAYERROR' } });
    await closeOrder(ctx, order_no, 'operator');
  }
}

async function release(ctx: Context, out_trade_no: string, refused_code?: string): Promise<void> {
  await ctx.db.trade.updateMany({
    where: { out_trade_no },
    data: { placing_until: null, ...(refused_code === undefined ? {} : { refused_code }) },
  });
}

/** Until when a payer may still find the password; after it the charge is reversed. */
export function waitsUntil(ctx: Context, created_at: Date): Date {
  return new Date(created_at.getTime() + ctx.config.COUNTER_WAIT_SECONDS * 1_000);
}

/**
 * One step of an undecided charge: ask, or after the wait reverse. Returns when to take the next step, or undefined
 * when all is decided. Any number of workers may take it at once.
 */
export async function followCharge(ctx: Context, out_trade_no: string): Promise<Date | undefined> {
  const select = {
    order_no: true,
    trade_state: true,
    created_at: true,
    reversing_at: true,
    reverse_calls: true,
  } as const;
  const read = () => ctx.db.trade.findUnique({ where: { out_trade_no }, select });
  let trade = await read();
  if (trade === null) return undefined;
  const { order_no, created_at } = trade;
  const wait_until = waitsUntil(ctx, created_at);
  if (isOpen(trade.trade_state)) {
    if (trade.reversing_at === null && ctx.now() < wait_until) {
      await askTrade(ctx, out_trade_no, { source: 'worker', min_gap_ms: askEvery_ms - 1_000 });
    } else {
      await closeTrade(ctx, out_trade_no, 'worker');
    }
    trade = (await read()) ?? trade;
  }
  if (isOpen(trade.trade_state)) {
    const now = ctx.now().getTime();
    if (trade.reversing_at === null) {
      return new Date(Math.max(now, Math.min(now + askEvery_ms, wait_until.getTime())));
    }
    return new Date(now + Math.min(askEvery_ms * 2 ** (trade.reverse_calls - 1), mostSpacing_ms));
  }
  if (trade.trade_state !== 'SUCCESS' && trade.trade_state !== 'REFUND') {
    await closeOrder(ctx, order_no, 'worker');
  }
  return undefined;
}

const isOpen = (trade_state: string): boolean => openTradeStates.some((open) => open === trade_state);

/** An operator gives up waiting. Throws `not_reversible` once the outcome is known, `reverse_too_early`. */
export async function reverseByOperator(
  ctx: Context,
  operator: Operator,
  out_trade_no: string,
): Promise<void> {
  if (!numberPattern.test(out_trade_no)) throw new AppError('not_found');
  const trade = await ctx.db.trade.findUnique({
    where: { out_trade_no },
    select: { order_no: true, trade_type: true, trade_state: true, created_at: true },
  });
  if (trade === null || !isCounterTrade(trade.trade_type)) throw new AppError('not_found');
  const { order_no } = trade;
  await auditingRefusals(ctx, operator, 'reverse_refused', order_no, { out_trade_no }, async () => {
    if (!isOpen(trade.trade_state)) throw new AppError('not_reversible');
    if (ctx.now().getTime() - trade.created_at.getTime() < reversibleAfter_ms) {
      throw new AppError('reverse_too_early');
    }
    const outcome = await closeTrade(ctx, out_trade_no, 'operator');
    if (outcome === 'closed') await closeOrder(ctx, order_no, 'operator');
    else if (outcome !== 'paid') {
      await ctx.db.$executeRaw(enqueue('counter_follow', { out_trade_no }, out_trade_no, ctx.now()));
    }
    await addAudit(ctx, operator, 'reverse', order_no, { out_trade_no, outcome });
  });
}
