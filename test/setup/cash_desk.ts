/** A cash desk for tests: an operator, payers with codes, charges, and the jobs that follow them on both clocks. */
import { setAdmin } from '../../lib/admin_account.ts';
import type { Operator } from '../../lib/admin_audit.ts';
import { readCharge, type ShownCharge } from '../../lib/admin_counter.ts';
import { type ChargeInput, charge } from '../../lib/counter.ts';
import { randomText } from '../../lib/numbers.ts';
import type { Counter } from './counter.ts';

export interface CashDesk {
  operator: Operator;
  /** The payer's phone shows a code. `password`: whether WeChat will ask for it. */
  code: (password?: boolean, openid?: string) => Promise<string>;
  charge: (auth_code: string, total_fen?: number, charge_key?: string) => Promise<string>;
  input: (auth_code: string, total_fen?: number, charge_key?: string) => ChargeInput;
  show: (out_trade_no: string) => Promise<ShownCharge>;
  password: (out_trade_no: string, answer: 'confirm' | 'refuse' | 'fail') => Promise<unknown>;
  /** Moves both clocks and does what is due. */
  pass: (seconds: number) => Promise<void>;
}

export async function openCashDesk(counter: Counter): Promise<CashDesk> {
  const { ctx } = counter;
  await setAdmin(ctx.db, 'cashier', ctx.now());
  const admin = await ctx.db.admin.findUniqueOrThrow({
    where: { username: 'cashier' },
    select: { id: true, username: true },
  });
  const operator: Operator = { admin, ip: '127.0.0.1' };
  const input: CashDesk['input'] = (auth_code, total_fen = 1_280, charge_key = randomText(20)) => ({
    title: '收款',
    total_fen,
    payer: { trade_type: 'MICROPAY', auth_code },
    charge_key,
  });
  return {
    operator,
    input,
    code: async (password, openid) => {
      const { auth_code } = await counter.control<{ auth_code: string }>('payment_code', {
        ...(password === undefined ? {} : { password }),
        ...(openid === undefined ? {} : { openid }),
      });
      return auth_code;
    },
    charge: (auth_code, total_fen, charge_key) =>
      charge(counter.ctx, operator, input(auth_code, total_fen, charge_key)),
    show: (out_trade_no) => readCharge(counter.ctx, out_trade_no),
    password: (out_trade_no, answer) => counter.control('password', { out_trade_no, answer }),
    pass: async (seconds) => {
      counter.advance(seconds);
      await counter.control('clock', { advance_s: seconds });
      await counter.work('counter_follow');
      await counter.work('order_paid');
    },
  };
}
