// Paying at a counter, by payment code or by face, whichever API asks: which codes are good, who is asked for the
// password, what becomes of the order, and its reversal. It knows no XML, no JSON and no HTTP; nobody is notified.

import type { Where } from './faults.ts';
import { findOrder, ORDER_LIFE_MS, payOrder, Refusal } from './orders.ts';
import { differences, type Wanted } from './placing.ts';
import { type Platform, purseOf, userOf } from './platform.ts';
import type { Order, PaymentCode } from './records.ts';
import type { User } from './registers.ts';
import { orderKey } from './store.ts';
import { beijing14 } from './time.ts';

const CODE_LIFE_MS = 60_000;
const FACE_LIFE_MS = 30 * 60_000;
const PROMPT_MS = 90_000;
const REVERSE_WITHIN_MS = 7 * 24 * 3600 * 1000;
/** Above this the payer's password is asked for. */
const WITHOUT_PASSWORD_FEN = 100_000;

/** A fresh code on a user's phone, or of its face. */
export function newCode(
  platform: Platform,
  user: User,
  kind: PaymentCode['kind'],
  password: boolean | undefined,
): PaymentCode {
  const { store, ids, clock } = platform;
  const now = clock.now();
  for (const old of Object.values(store.state.payment_codes)) {
    if (old.dead_at_ms + 86_400_000 < now) delete store.state.payment_codes[old.code];
  }
  const code: PaymentCode = {
    code: kind === 'MICROPAY' ? `1${Number(ids.digits(1)) % 6}${ids.digits(16)}` : `face_${ids.letters(40)}`,
    kind,
    openid: user.openid,
    ...(password === undefined ? {} : { password }),
    used: false,
    made_at_ms: now,
    dead_at_ms: now + (kind === 'MICROPAY' ? CODE_LIFE_MS : FACE_LIFE_MS),
  };
  store.state.payment_codes[code.code] = code;
  store.touch();
  return code;
}

/** The code a merchant scanned, when it may be charged by this merchant now. */
export function goodCode(
  platform: Platform,
  text: string,
  kind: PaymentCode['kind'],
  mch_id: string,
): PaymentCode {
  const invalid = (why: string) => new Refusal('AUTH_CODE_INVALID', '请扫描微信支付被扫条码/二维码', why);
  if (kind === 'MICROPAY' && !/^1[0-5]\d{16}$/.test(text)) {
    throw invalid('a payment code has 18 digits and begins with 10 to 15');
  }
  const code = platform.store.state.payment_codes[text];
  if (code === undefined || code.kind !== kind) throw invalid('no phone here shows this code');
  if (code.used) {
    throw new Refusal('AUTH_CODE_ERROR', '每个二维码仅限使用一次，请刷新再试', 'the code was used already');
  }
  if (code.dead_at_ms <= platform.clock.now()) {
    const why = `the code was good until ${beijing14(code.dead_at_ms)}`;
    throw new Refusal('AUTHCODEEXPIRE', '二维码已过期，请用户在微信上刷新后再试', why);
  }
  if (code.bound_to !== undefined && code.bound_to !== mch_id) {
    const why = `${code.bound_to} asked for its openid: until it is refreshed only that merchant may charge it`;
    throw new Refusal('AUTH_CODE_ERROR', '授权码参数错误', why);
  }
  return code;
}

const neededPassword = () => new Refusal('USERPAYING', '需要用户输入支付密码', 'the payer is asked');

/** The order under this number, when it may still be charged; a changed one is another order. */
function chargeable(platform: Platform, wanted: Wanted): Order | undefined {
  const { out_trade_no } = wanted;
  const known = findOrder(platform, wanted.mch_id, out_trade_no);
  if (known === undefined) return undefined;
  if (known.state === 'REVOKED')
    throw new Refusal('ORDERREVERSED', '该订单已撤销', `${out_trade_no} was reversed`);
  if (known.payment !== undefined) throw new Refusal('ORDERPAID', '该订单已支付', `${out_trade_no} is paid`);
  if (known.state === 'CLOSED') throw new Refusal('ORDERCLOSED', '该订单已关闭', `${out_trade_no} is closed`);
  const changed = differences(known.request, wanted.request);
  if (changed.length > 0) {
    const why = `${out_trade_no} was first used with another ${changed.join(', ')}`;
    throw new Refusal('OUT_TRADE_NO_USED', '商户订单号重复', why);
  }
  if (known.state === 'USERPAYING') throw neededPassword();
  if (known.state === 'PAYERROR') {
    throw new Refusal('TRADE_ERROR', '支付失败，请重新下单支付', `${out_trade_no} failed: use a new number`);
  }
  return known;
}

/**
 * Charges a code: small amounts at once, larger ones after the password. A refusal of USERPAYING or BANKERROR leaves
 * an order behind whose end only a query tells. `struck` gets the names of the faults that had their way.
 */
export function charge(
  platform: Platform,
  wanted: Wanted,
  text: string,
  kind: PaymentCode['kind'],
  where: Where,
  struck: string[],
): Order {
  const { store, clock, faults } = platform;
  const now = clock.now();
  const strike = (name: string) => {
    const fault = faults.take(name, where);
    if (fault !== undefined) struck.push(fault.name);
    return fault;
  };
  const known = chargeable(platform, wanted);
  const code = goodCode(platform, text, kind, wanted.mch_id);
  const user = userOf(platform, code.openid);
  const openid = user?.openids[wanted.appid];
  if (user === undefined || openid === undefined) {
    throw new Refusal('NOAUTH', '商户无此接口权限', `the payer has no openid under ${wanted.appid}`);
  }
  if (known !== undefined && known.openid !== openid) {
    const why = `${known.out_trade_no} was first charged to another payer`;
    throw new Refusal('BUYER_MISMATCH', '支付帐号错误，同一笔单不能更换支付方', why);
  }
  const { time_expire_ms, ...rest } = wanted;
  if (known === undefined && time_expire_ms !== undefined && time_expire_ms - now < 59_000) {
    throw new Refusal(
      'TIME_EXPIRE_TOO_SHORT',
      'time_expire时间过短，刷卡至少1分钟，其他5分钟',
      `time_expire is ${beijing14(time_expire_ms)}, the platform clock says ${beijing14(now)} (Beijing time)`,
    );
  }
  const order: Order = known ?? {
    ...rest,
    openid,
    state: 'NOTPAY',
    made_at_ms: now,
    expires_at_ms: time_expire_ms ?? now + ORDER_LIFE_MS,
    prepays: [],
  };
  store.state.orders[orderKey(order.mch_id, order.out_trade_no)] = order;
  code.used = true;
  store.touch();
  const bank = strike('bank_error');
  const bankError = new Refusal('BANKERROR', '银行系统异常', 'a fault was armed');
  if (bank !== undefined && !bank.flag('done')) throw bankError;
  const forever = strike('userpaying_forever');
  const asks = forever ?? strike('userpaying');
  if (asks !== undefined || (code.password ?? order.total_fen > WITHOUT_PASSWORD_FEN)) {
    order.state = 'USERPAYING';
    order.prompt = { openid: user.openid, until_ms: now + PROMPT_MS, never_ends: forever !== undefined };
    throw neededPassword();
  }
  payOrder(platform, order, undefined, user, { charged: true });
  if (bank !== undefined) throw bankError;
  return order;
}

/** The payer's answer to the password prompt; `fail` is a bank that says no. */
export function answerPrompt(platform: Platform, order: Order, answer: 'confirm' | 'refuse' | 'fail'): Order {
  const { prompt } = order;
  if (order.state === 'REVOKED') {
    throw new Refusal('ORDERREVERSED', '该订单已撤销', `${order.out_trade_no} was reversed`);
  }
  if (order.state !== 'USERPAYING' || prompt === undefined) {
    const why = `${order.out_trade_no} is ${order.state}: no phone asks for a password`;
    throw new Refusal('INVALID_REQUEST', '没有待确认的付款', why);
  }
  if (prompt.never_ends) {
    throw new Refusal('USERPAYING', '需要用户输入支付密码', 'the fault userpaying_forever holds the prompt');
  }
  const user = userOf(platform, prompt.openid);
  if (user === undefined) throw new Error(`the payer of ${order.out_trade_no} is gone`);
  if (answer === 'confirm') {
    try {
      return payOrder(platform, order, undefined, user);
    } catch (cause) {
      if (cause instanceof Refusal && cause.code === 'NOTENOUGH') ended(platform, order, 'PAYERROR');
      throw cause;
    }
  }
  ended(platform, order, answer === 'fail' ? 'PAYERROR' : 'NOTPAY');
  return order;
}

function ended(platform: Platform, order: Order, state: 'PAYERROR' | 'NOTPAY'): void {
  order.state = state;
  delete order.prompt;
  platform.store.touch();
}

/** Undoes an order of the counter: unpaid it is dead for good, paid its money goes back at once. */
export function reverse(platform: Platform, order: Order): Order {
  const { store, clock, ids } = platform;
  const now = clock.now();
  const { out_trade_no, payment } = order;
  if (order.trade_type !== 'MICROPAY' && order.trade_type !== 'FACEPAY') {
    const why = `${out_trade_no} is ${order.trade_type}: only orders of a counter are reversed`;
    throw new Refusal('INVALID_REQUEST', '订单不支持撤销', why);
  }
  if (order.state === 'REVOKED') return order;
  if (now - order.made_at_ms > REVERSE_WITHIN_MS) {
    throw new Refusal('REVERSE_EXPIRE', '订单无法撤销', `${out_trade_no} is older than 7 days`);
  }
  if (order.state === 'REFUND') {
    throw new Refusal('TRADE_ERROR', '订单已发生退款，不能撤销', `${out_trade_no} has refunds`);
  }
  if (payment !== undefined) {
    const purse = purseOf(platform, order);
    const payer = userOf(platform, payment.openid);
    if (purse === undefined || payer === undefined)
      throw new Error(`${out_trade_no} has lost its merchant or payer`);
    const bound = platform.refunds.unfinished(order.mch_id, order.sub_mch_id);
    if (purse.balance_fen - bound.reduce((sum, r) => sum + r.refund_fen, 0) < order.total_fen) {
      throw new Refusal('TRADE_ERROR', '商户余额不足，撤销失败', 'the merchant cannot pay it back');
    }
    payer.balance_fen += payment.cash_fen;
    purse.balance_fen -= order.total_fen;
    order.revoked_refund_id = ids.refundId(now);
    store.state.ledger.push({
      entry_id: store.number(),
      at_ms: now,
      kind: 'reversal',
      mch_id: order.mch_id,
      sub_mch_id: order.sub_mch_id,
      appid: order.appid,
      openid: payment.openid,
      out_trade_no,
      transaction_id: payment.transaction_id,
      refund_id: order.revoked_refund_id,
      amount_fen: order.total_fen,
      cash_fen: payment.cash_fen,
      user_balance_fen: payer.balance_fen,
      merchant_balance_fen: purse.balance_fen,
    });
  }
  order.state = 'REVOKED';
  order.revoked_at_ms = now;
  delete order.prompt;
  delete order.closed_by;
  store.touch();
  return order;
}
