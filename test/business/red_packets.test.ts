/**
 * Cash red packets against the simulator: sent once under their own number whatever is lost on the way, within the
 * day's limits, and followed until WeChat's record says the last word.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { listRedPackets } from '../../lib/admin_counter.ts';
import { AppError } from '../../lib/errors.ts';
import { sweep } from '../../lib/jobs.ts';
import { randomText } from '../../lib/numbers.ts';
import { redPacketInput, sendByOperator } from '../../lib/red_packets.ts';
import { type CashDesk, openCashDesk } from '../setup/cash_desk.ts';
import { app_key, type Counter, openCounter } from '../setup/counter.ts';

let counter: Counter;
let desk: CashDesk;
let openids: string[];

beforeAll(async () => {
  counter = await openCounter({
    environment: {
      RED_PACKET_DAILY_LIMIT_FEN: '20000',
      RED_PACKET_DAILY_PER_PERSON: '2',
      WECHAT_TIMEOUT_MS: '700',
      WECHAT_PRODUCTS: 'JSAPI,NATIVE,APP',
    },
  });
  desk = await openCashDesk(counter);
  await counter.control('merchant', { balance_fen: 1_000_000 }, 'PUT');
  openids = counter.simulator_config.users.map(({ openid }) => openid);
});
afterEach(async () => {
  await counter.control('faults', {}, 'DELETE');
  await pass(86_400 * 3);
});
afterAll(() => counter.close());

async function pass(seconds: number): Promise<void> {
  counter.advance(seconds);
  await counter.control('clock', { advance_s: seconds });
  await counter.work('red_packet_follow');
}

interface Wanted {
  openid?: string;
  order_no?: string;
  total_fen?: number;
  total_num?: number;
  command_key?: string;
  act_name?: string;
  wishing?: string;
}

const send = ({
  total_fen = 188,
  total_num = 1,
  command_key = randomText(20),
  act_name = '开业',
  wishing = '恭喜发财',
  ...to
}: Wanted = {}) =>
  sendByOperator(
    counter.ctx,
    desk.operator,
    redPacketInput.parse({
      ...('order_no' in to ? to : { openid: openids[0], ...to }),
      ...{ total_fen, total_num, command_key, act_name, wishing },
    }),
  );

const row = (mch_billno: string) => counter.ctx.db.red_packet.findUniqueOrThrow({ where: { mch_billno } });

async function sent(): Promise<number> {
  const { red_packets } = await counter.control<{ red_packets: unknown[] }>('red_packets?limit=1000');
  return red_packets.length;
}

async function refusal(doing: Promise<unknown>): Promise<string> {
  const error = await doing.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof AppError)) throw new Error('not refused', { cause: error });
  return error.code;
}

describe('a red packet to the payer of an order', () => {
  it('goes to who paid, not to who began the payment with nothing but the link', async () => {
    const buyer = counter.shopper();
    const { order_no } = await buyer.order();
    const other = counter.shopper(openids[1]);
    await other.signIn();
    await other.pay(order_no);
    const to = { order_no, total_fen: 100 };
    expect(await refusal(send(to))).toBe('red_packet_no_payer');
    const answer = await buyer.post(`/api/orders/${order_no}/pay`, { trade_type: 'NATIVE' });
    const { code_url } = (await answer.json()) as { code_url: string };
    await counter.control('pay', { code_url, openid: openids[2] });
    await pass(1);
    expect((await counter.ctx.db.order.findUniqueOrThrow({ where: { order_no } })).openid).toBe(openids[1]);
    expect((await row((await send(to)).mch_billno)).openid).toBe(openids[2]);
  });

  it('whom WeChat knows under another account is refused before WeChat hears of it', async () => {
    const call = async (path: string, body: unknown) => {
      const answer = await fetch(`${counter.host.origin}/api/app/orders${path}`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${app_key}`,
          'content-type': 'application/json',
          'idempotency-key': crypto.randomUUID(),
        },
        body: JSON.stringify(body),
      });
      return (await answer.json()) as { order_no: string; app: Record<string, string> };
    };
    const { order_no } = await call('', { items: [{ product_id: 'penny-candy', quantity: 1 }] });
    const { app } = await call(`/${order_no}/pay`, { payer_client_ip: '203.0.113.9' });
    await counter.control('app_pay', app);
    await pass(1);
    expect(
      await counter.ctx.db.trade.findFirstOrThrow({ where: { order_no }, select: { payer_openid: true } }),
    ).toEqual({ payer_openid: expect.stringMatching(/^\S+$/) });
    expect(await refusal(send({ order_no }))).toBe('red_packet_other_account');
  });

  it('of old is who the trade was bound to; without any the packet is refused, as for no order of ours', async () => {
    const buyer = counter.shopper();
    await buyer.signIn();
    const { order_no } = await buyer.order();
    const { out_trade_no } = await buyer.pay(order_no);
    await counter.control('pay', { out_trade_no });
    await pass(1);
    await counter.ctx.db.trade.update({ where: { out_trade_no }, data: { payer_openid: null } });
    const { mch_billno } = await send({ order_no });
    expect(await row(mch_billno)).toMatchObject({ order_no, openid: buyer.openid });
    await counter.ctx.db.trade.update({ where: { out_trade_no }, data: { openid: null } });
    expect(await refusal(send({ order_no }))).toBe('red_packet_no_payer');
    expect(await refusal(send({ order_no: '20260101000000ABCDEFGHJKMNPQRS' }))).toBe('not_found');
  });
});

describe('a red packet', () => {
  it('is sent, taken, and then followed no more', async () => {
    const { mch_billno } = await send();
    expect(mch_billno).toMatch(/^\d{28}$/);
    await pass(11);
    expect((await row(mch_billno)).state).toBe('SENT');
    await counter.control('red_packets/open', { mch_billno });
    await pass(20);
    expect(await row(mch_billno)).toMatchObject({ state: 'RECEIVED', taken_fen: 188, taken_num: 1 });
    await pass(86_400);
    const waiting = await counter.ctx.db.$queryRaw`
      SELECT 1 FROM pgboss.job WHERE name = 'red_packet_follow' AND state = 'created'`;
    expect(waiting).toEqual([]);
  });

  it('that nobody opens comes back after a day', async () => {
    const { mch_billno } = await send({ total_fen: 500 });
    for (let hours = 0; hours < 27; hours += 1) await pass(3_600);
    expect(await row(mch_billno)).toMatchObject({ state: 'REFUND', refund_fen: 500 });
  });

  it('shared by several shows what was taken and what came back', async () => {
    const { mch_billno } = await send({ total_fen: 900, total_num: 3 });
    await pass(11);
    await counter.control('red_packets/open', { mch_billno, openid: openids[1] });
    for (let hours = 0; hours < 27; hours += 1) await pass(3_600);
    const packet = await row(mch_billno);
    expect([packet.state, packet.taken_num]).toEqual(['REFUND', 1]);
    expect(packet.taken_fen + packet.refund_fen).toBe(900);
  });

  it('whose answer was lost is one packet, not two', async () => {
    const before = await sent();
    await counter.control('faults', { sendredpack_answer_lost: { times: 1 } }, 'PUT');
    const { mch_billno } = await send();
    await pass(11);
    await pass(11);
    expect((await row(mch_billno)).state).toBe('SENT');
    expect((await sent()) - before).toBe(1);
  });

  it('that never arrived is sent again under its number', async () => {
    const before = await sent();
    await counter.control('faults', { sendredpack_line_cut: { times: 1 } }, 'PUT');
    const { mch_billno } = await send();
    expect((await row(mch_billno)).state).toBe('REQUESTED');
    await pass(21);
    expect(await row(mch_billno)).toMatchObject({ send_calls: 2 });
    await pass(16);
    expect((await row(mch_billno)).state).toBe('SENT');
    expect((await sent()) - before).toBe(1);
  });

  it('tapped five times is one packet', async () => {
    const before = await sent();
    const command_key = randomText(20);
    const made = await Promise.all(Array.from({ length: 5 }, () => send({ command_key })));
    expect(new Set(made.map(({ mch_billno }) => mch_billno)).size).toBe(1);
    expect((await sent()) - before).toBe(1);
    expect(await refusal(send({ command_key, total_fen: 189 }))).toBe('red_packet_key_reused');
  });

  it('of another wish under the same key is refused, and the same wish is the same packet', async () => {
    const before = await sent();
    const command_key = randomText(20);
    const { mch_billno } = await send({ command_key });
    const others: Wanted[] = [
      { openid: openids[1] ?? '' },
      { order_no: '20261124064658NC0518R0VYECYQVJ' },
      { total_fen: 600, total_num: 3 },
      { act_name: '周年' },
      { wishing: '新年好' },
    ];
    for (const other of others) {
      expect(await refusal(send({ command_key, ...other }))).toBe('red_packet_key_reused');
    }
    expect(await send({ command_key })).toEqual({ mch_billno, made: false });
    expect((await sent()) - before).toBe(1);
  });

  it('said to be in process is asked about', async () => {
    await counter.control('faults', { redpack_processing: { times: 1 } }, 'PUT');
    const { mch_billno } = await send();
    expect((await row(mch_billno)).state).toBe('SENT');
  });

  it('refused for good keeps WeChat’s code and does not count', async () => {
    const { mch_billno } = await send({ openid: 'oNobodyAtAll000000000000000' });
    expect(await row(mch_billno)).toMatchObject({ state: 'REFUSED', refused_code: 'OPENID_ERROR' });
    await expect(send({ total_fen: 20_000 })).resolves.toMatchObject({ made: true });
  });

  it('refused at both doors, because WeChat has not opened them, is over at once and never goes out later', async () => {
    const before = await sent();
    await counter.control('merchant', { products: ['JSAPI', 'NATIVE', 'APP'] }, 'PUT');
    const { mch_billno } = await send();
    expect(await row(mch_billno)).toMatchObject({ state: 'REFUSED', refused_code: 'NO_AUTH', send_calls: 1 });
    await counter.control(
      'merchant',
      { products: ['JSAPI', 'NATIVE', 'MWEB', 'APP', 'MICROPAY', 'FACEPAY', 'REDPACK'] },
      'PUT',
    );
    await pass(3_600);
    expect((await sent()) - before).toBe(0);
  });

  it('that could not be sent for a day is given up, counts for the day it would go out on, and is not sent', async () => {
    const before = await sent();
    await counter.control('merchant', { balance_fen: 0 }, 'PUT');
    const { mch_billno } = await send({ total_fen: 15_000 });
    await pass(80_000);
    expect((await row(mch_billno)).state).toBe('REQUESTED');
    expect(await refusal(send({ openid: openids[1] ?? '', total_fen: 6_000 }))).toBe('red_packet_limit');
    expect((await listRedPackets(counter.ctx)).left_fen).toBe(5_000);
    await pass(10_000);
    await counter.control('merchant', { balance_fen: 1_000_000 }, 'PUT');
    await pass(3_601);
    expect(await row(mch_billno)).toMatchObject({ state: 'REFUSED', refused_code: 'NOTENOUGH' });
    expect((await sent()) - before).toBe(0);
  });

  it('whose job was lost before the first call is found by the sweep', async () => {
    await counter.control('faults', { sendredpack_line_cut: { times: 1 } }, 'PUT');
    const { mch_billno } = await send();
    await counter.ctx.db.red_packet.update({
      where: { mch_billno },
      data: { asked_at: null, send_calls: 0 },
    });
    await counter.ctx.db.$executeRaw`DELETE FROM pgboss.job WHERE name = 'red_packet_follow'`;
    await pass(8 * 3_600);
    await sweep(counter.ctx);
    await pass(1);
    // It is not a young one any more: asked about every hour.
    await pass(3_601);
    expect((await row(mch_billno)).state).toBe('SENT');
  });

  it('refused for want of money waits for the top-up', async () => {
    await counter.control('merchant', { balance_fen: 0 }, 'PUT');
    const { mch_billno } = await send();
    expect(await row(mch_billno)).toMatchObject({ state: 'REQUESTED', refused_code: 'NOTENOUGH' });
    await counter.control('merchant', { balance_fen: 1_000_000 }, 'PUT');
    await pass(301);
    await pass(301);
    expect((await row(mch_billno)).state).toBe('SENT');
  });

  it('that WeChat could not deliver ends as failed', async () => {
    await counter.control('faults', { redpack_failed: { times: 1 } }, 'PUT');
    const { mch_billno } = await send();
    await pass(30);
    await pass(30);
    expect(await row(mch_billno)).toMatchObject({ state: 'FAILED', refund_fen: 188 });
  });
});

describe('limits', () => {
  it('are one to two hundred yuan for each', async () => {
    expect(await refusal(send({ total_fen: 99 }))).toBe('red_packet_amount');
    expect(await refusal(send({ total_fen: 20_001 }))).toBe('red_packet_amount');
    expect(await refusal(send({ total_fen: 299, total_num: 3 }))).toBe('red_packet_amount');
  });

  it('hold for the day and for the person, however many are sent at once', async () => {
    const results = await Promise.all(
      Array.from({ length: 6 }, () =>
        send({ total_fen: 9_000 }).then(
          () => 'sent',
          (thrown: unknown) => (thrown instanceof AppError ? thrown.code : 'other'),
        ),
      ),
    );
    expect(results.filter((result) => result === 'sent')).toHaveLength(2);
    expect(await refusal(send({ openid: openids[1] ?? '', total_fen: 2_001 }))).toBe('red_packet_limit');
    await expect(send({ openid: openids[1] ?? '', total_fen: 2_000 })).resolves.toMatchObject({ made: true });
    expect(await refusal(send({ total_fen: 100 }))).toBe('red_packet_limit');
  });

  it('leave a row in the operators’ book, refusals too', async () => {
    const rows = await counter.ctx.db.audit.findMany({ where: { action: { startsWith: 'red_packet' } } });
    expect(new Set(rows.map(({ action }) => action))).toEqual(new Set(['red_packet', 'red_packet_refused']));
  });
});
