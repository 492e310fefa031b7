/**
 * The operator's counter against the simulator: one code is one trade, a payer with the password in hand is waited for,
 * what stays unknown is reversed, and nothing a crash or a second tap does takes money twice.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { closeByOperator } from '../../lib/admin_actions.ts';
import { beijingText } from '../../lib/beijing.ts';
import { charge, chargeInput, reverseByOperator } from '../../lib/counter.ts';
import { AppError } from '../../lib/errors.ts';
import { reverseTrade } from '../../lib/reverse.ts';
import { reconcileDay } from '../../lib/statements.ts';
import { type CashDesk, openCashDesk } from '../setup/cash_desk.ts';
import { type Counter, openCounter } from '../setup/counter.ts';

let counter: Counter;
let desk: CashDesk;

beforeAll(async () => {
  counter = await openCounter({
    environment: { WECHAT_PRODUCTS: 'JSAPI,MICROPAY,FACEPAY', WECHAT_TIMEOUT_MS: '700' },
  });
  desk = await openCashDesk(counter);
});
afterEach(() => counter.control('faults', {}, 'DELETE'));
afterAll(() => counter.close());

const tradeRow = (out_trade_no: string) =>
  counter.ctx.db.trade.findUniqueOrThrow({ where: { out_trade_no }, include: { order: true } });

async function simulated(out_trade_no: string): Promise<{ trade_state: string }> {
  return counter.control(`orders/${out_trade_no}`);
}

async function refusal(doing: Promise<unknown>): Promise<string> {
  const error = await doing.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof AppError)) throw new Error('not refused', { cause: error });
  return error.code;
}

const charges = async (): Promise<number> => {
  const { entries } = await counter.control<{ entries: { path: string }[] }>('log?path=/pay/micropay');
  return entries.length;
};

describe('a payment code', () => {
  it('is paid at once, and the order is the operator’s', async () => {
    const out_trade_no = await desk.charge(await desk.code(false), 1_999);
    expect(await desk.show(out_trade_no)).toMatchObject({
      standing: 'paid',
      total_fen: 1_999,
      operator: 'cashier',
      next_poll_ms: null,
    });
    const { order, trade_state } = await tradeRow(out_trade_no);
    expect([trade_state, order.state, order.origin, order.admin_id, order.session_id]).toEqual([
      'SUCCESS',
      'SUCCESS',
      'counter',
      desk.operator.admin.id,
      null,
    ]);
  });

  it('waits for the password and is paid when it comes', async () => {
    const out_trade_no = await desk.charge(await desk.code(true));
    expect((await desk.show(out_trade_no)).standing).toBe('waiting');
    await desk.pass(6);
    expect((await desk.show(out_trade_no)).standing).toBe('waiting');
    await desk.password(out_trade_no, 'confirm');
    await desk.pass(6);
    expect((await desk.show(out_trade_no)).standing).toBe('paid');
  });

  it('is reversed by the queue alone when the password never comes', async () => {
    const out_trade_no = await desk.charge(await desk.code(true));
    for (let s = 0; s < 45; s += 5) await desk.pass(5);
    expect((await desk.show(out_trade_no)).standing).toBe('reversed');
    expect((await simulated(out_trade_no)).trade_state).toBe('REVOKED');
    const { order, trade_state } = await tradeRow(out_trade_no);
    expect([trade_state, order.state]).toEqual(['REVOKED', 'CLOSED']);
  });

  it('counts as paid when the answer was lost, and as reversed once the money went back', async () => {
    await counter.control('faults', { micropay_answer_lost: { times: 2 } }, 'PUT');
    const paid = await desk.charge(await desk.code(false));
    expect((await tradeRow(paid)).trade_state).toBe('NOTPAY');
    await desk.pass(6);
    expect((await desk.show(paid)).standing).toBe('paid');

    const reversed = await desk.charge(await desk.code(false));
    await counter.control('faults', { orderquery_system_error: { times: 20 } }, 'PUT');
    for (let s = 0; s < 45; s += 5) await desk.pass(5);
    await counter.control('faults', {}, 'DELETE');
    for (let s = 0; s < 20; s += 5) await desk.pass(5);
    expect((await desk.show(reversed)).standing).toBe('reversed');
    expect((await simulated(reversed)).trade_state).toBe('REVOKED');
  });

  it('is reversed again while WeChat says recall', async () => {
    await counter.control('faults', { reverse_recall: { times: 2 } }, 'PUT');
    const out_trade_no = await desk.charge(await desk.code(true));
    for (let s = 0; s < 45; s += 5) await desk.pass(5);
    expect((await desk.show(out_trade_no)).standing).toBe('reversing');
    for (let s = 0; s < 30; s += 5) await desk.pass(5);
    expect((await desk.show(out_trade_no)).standing).toBe('reversed');
    const reversals = await counter.ctx.db.event.count({ where: { out_trade_no, kind: 'reverse' } });
    expect(reversals).toBe(3);
  });

  it('that WeChat never heard of is given up when it would not be taken any more', async () => {
    await counter.control('faults', { micropay_line_cut: { times: 1 } }, 'PUT');
    const out_trade_no = await desk.charge(await desk.code(false));
    for (let s = 0; s < 60; s += 5) await desk.pass(5);
    expect((await desk.show(out_trade_no)).standing).toBe('reversing');
    for (let s = 0; s < 120; s += 10) await desk.pass(10);
    expect((await desk.show(out_trade_no)).standing).toBe('closed');
  });

  it('is refused with WeChat’s meaning', async () => {
    const code = await desk.code(false);
    await counter.control('clock', { advance_s: 61 });
    counter.advance(61);
    const expired = await desk.show(await desk.charge(code));
    expect([expired.standing, expired.refused?.code, expired.refused?.zh]).toEqual([
      'refused',
      'AUTHCODEEXPIRE',
      '二维码已过期，请用户在微信上刷新后再试',
    ]);
    const poor = counter.simulator_config.users.find(({ balance_fen }) => balance_fen < 5_000);
    if (poor === undefined) throw new Error('no poor user');
    const short = await desk.show(await desk.charge(await desk.code(false, poor.openid), 50_000));
    expect(short.refused?.code).toBe('NOTENOUGH');
    expect((await tradeRow(short.out_trade_no)).order.state).toBe('CLOSED');
  });

  it('that is none, or was used, never reaches WeChat', async () => {
    const before = await charges();
    expect(await refusal(desk.charge('161234567890123456'))).toBe('auth_code_form');
    expect(await refusal(desk.charge('13123456789012345'))).toBe('auth_code_form');
    const code = await desk.code(false);
    await desk.charge(code);
    expect(await refusal(desk.charge(code))).toBe('auth_code_used');
    expect((await charges()) - before).toBe(1);
  });

  it('tapped five times is one charge', async () => {
    const before = await charges();
    const input = desk.input(await desk.code(false));
    const numbers = await Promise.all(
      Array.from({ length: 5 }, () => charge(counter.ctx, desk.operator, input)),
    );
    expect(new Set(numbers).size).toBe(1);
    expect((await charges()) - before).toBe(1);
    expect(await refusal(charge(counter.ctx, desk.operator, { ...input, total_fen: 1 }))).toBe(
      'charge_key_reused',
    );
  });

  it('of another wish under the same key is refused, and the same wish is the same charge', async () => {
    const { total_fen: _, ...rest } = desk.input(await desk.code(false));
    const items = [{ product_id: 'penny-candy', quantity: 2 }];
    const input = { ...rest, items };
    const out_trade_no = await charge(counter.ctx, desk.operator, input);
    const before = await charges();
    const others = [
      { ...input, items: [{ product_id: 'penny-candy', quantity: 1 }] },
      { ...input, items: [{ product_id: 'longjing', quantity: 2 }] },
      { ...rest, total_fen: (await tradeRow(out_trade_no)).total_fen },
      { ...input, title: '别的' },
      { ...input, payer: { trade_type: 'FACEPAY' as const, face_code: 'face-code-1', openid: 'oA' } },
    ];
    for (const other of others) {
      expect(await refusal(charge(counter.ctx, desk.operator, other))).toBe('charge_key_reused');
    }
    expect(await charge(counter.ctx, desk.operator, input)).toBe(out_trade_no);
    expect((await charges()) - before).toBe(0);
  });

  it('whose app died before it called is asked about, never charged', async () => {
    const { ctx } = counter;
    const dying = {
      ...ctx,
      payFor: () => {
        throw new Error('killed');
      },
    };
    const input = desk.input(await desk.code(false));
    await expect(charge(dying, desk.operator, input)).rejects.toThrow('killed');
    const before = await charges();
    const out_trade_no = await charge(ctx, desk.operator, input);
    expect((await charges()) - before).toBe(0);
    for (let s = 0; s < 180; s += 10) await desk.pass(10);
    expect((await desk.show(out_trade_no)).standing).toBe('closed');
  });
});

describe('the next day’s bill', () => {
  it('agrees with a charge that was paid and taken back, and with one that never was', async () => {
    await desk.charge(await desk.code(false), 1_000);
    await counter.control(
      'faults',
      { micropay_answer_lost: { times: 1 }, orderquery_system_error: { times: 20 } },
      'PUT',
    );
    const back = await desk.charge(await desk.code(false), 2_000);
    for (let s = 0; s < 45; s += 5) await desk.pass(5);
    await counter.control('faults', {}, 'DELETE');
    for (let s = 0; s < 45; s += 5) await desk.pass(5);
    expect((await desk.show(back)).standing).toBe('reversed');
    const kinds = async () =>
      (await counter.ctx.db.difference.findMany({ where: { resolved_at: null } })).map(({ kind }) => kind);
    const days = [counter.ctx.now(), new Date(counter.ctx.now().getTime() - 86_400_000)].map((at) =>
      beijingText(at).slice(0, 10),
    );
    counter.advance(36 * 3_600);
    await counter.control('clock', { advance_s: 36 * 3_600 });
    for (const day of days.reverse()) await reconcileDay(counter.ctx, day);
    expect(await kinds()).toEqual([]);
  });
});

describe('the operator’s own reversal', () => {
  it('is refused in the first fifteen seconds and after the outcome is known', async () => {
    const out_trade_no = await desk.charge(await desk.code(true));
    const reverse = () => reverseByOperator(counter.ctx, desk.operator, out_trade_no);
    expect(await refusal(reverse())).toBe('reverse_too_early');
    counter.advance(16);
    await counter.control('clock', { advance_s: 16 });
    await reverse();
    expect((await desk.show(out_trade_no)).standing).toBe('reversed');
    expect(await refusal(reverse())).toBe('not_reversible');
  });

  it('is not got round by closing the order', async () => {
    const out_trade_no = await desk.charge(await desk.code(true));
    const { order } = await tradeRow(out_trade_no);
    const close = () => closeByOperator(counter.ctx, desk.operator, order.order_no);
    expect((await close()).outcome).toBe('unknown');
    expect((await tradeRow(out_trade_no)).reversing_at).toBeNull();
    counter.advance(16);
    expect((await close()).outcome).toBe('closed');
    expect((await desk.show(out_trade_no)).standing).toBe('reversed');
  });

  it('finds that it was paid meanwhile, and leaves it so', async () => {
    const out_trade_no = await desk.charge(await desk.code(true));
    await desk.password(out_trade_no, 'confirm');
    counter.advance(16);
    await reverseByOperator(counter.ctx, desk.operator, out_trade_no);
    expect((await desk.show(out_trade_no)).standing).toBe('paid');
    expect((await simulated(out_trade_no)).trade_state).toBe('SUCCESS');
  });
});

describe('while a reversal may be under way', () => {
  it('an answer from before it does not make the trade paid', async () => {
    const out_trade_no = await desk.charge(await desk.code(true));
    await desk.password(out_trade_no, 'confirm');
    const { report } = await counter.ctx.payFor(await tradeRow(out_trade_no)).queryTrade(out_trade_no);
    expect(report.trade_state).toBe('SUCCESS');
    await counter.ctx.db.trade.update({
      where: { out_trade_no },
      data: { reversing_at: counter.ctx.now() },
    });
    expect((await counter.ctx.settle({ source: 'query', report })).verdict).toBe('not_final');
    expect((await counter.ctx.settle({ source: 'query', report, after_reverse: true })).verdict).toBe(
      'applied',
    );
  });
});

describe('after a reversal that gave the money back', () => {
  it('an answer that was on its way meanwhile does not make the trade paid', async () => {
    const out_trade_no = await desk.charge(await desk.code(true));
    await desk.password(out_trade_no, 'confirm');
    const { report } = await counter.ctx.payFor(await tradeRow(out_trade_no)).queryTrade(out_trade_no);
    counter.advance(16);
    await counter.control('clock', { advance_s: 16 });
    expect(await reverseTrade(counter.ctx, out_trade_no, 'worker')).toBe('closed');
    for (const source of ['query', 'notification', 'bill'] as const) {
      expect((await counter.ctx.settle({ source, report })).verdict).toBe('not_final');
    }
    expect((await tradeRow(out_trade_no)).trade_state).toBe('REVOKED');
    const { entries } = await counter.control<{ entries: { kind: string; amount_fen: number }[] }>(
      `ledger?out_trade_no=${out_trade_no}`,
    );
    expect(entries.map(({ kind, amount_fen }) => [kind, amount_fen])).toEqual([
      ['payment', 1_280],
      ['reversal', 1_280],
    ]);
  });
});

describe('a face', () => {
  it('is charged and followed like a code, at its own doors', async () => {
    const face = async (password: boolean) => {
      const { face_code, openid } = await counter.control<{ face_code: string; openid: string }>(
        'face_code',
        { password },
      );
      return charge(
        counter.ctx,
        desk.operator,
        chargeInput.parse({
          title: '收款',
          total_fen: 700,
          charge_key: crypto.randomUUID(),
          payer: { trade_type: 'FACEPAY', face_code, openid },
        }),
      );
    };
    expect(await desk.show(await face(false))).toMatchObject({ standing: 'paid', trade_type: 'FACEPAY' });
    const waiting = await face(true);
    expect((await desk.show(waiting)).standing).toBe('waiting');
    for (let s = 0; s < 45; s += 5) await desk.pass(5);
    expect((await desk.show(waiting)).standing).toBe('reversed');
  });
});
