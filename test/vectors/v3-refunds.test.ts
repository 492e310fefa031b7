/**
 * API v3 refunds: what is sent, what 200 means, and which outcomes leave the money's way unknown.
 */
import { describe, expect, it } from 'vitest';
import type { PlaceRefund } from '../../lib/wechat/types.ts';
import { lostReply, MCH_ID, platform, type Reply, reply, unsignedReply } from './v3-platform.ts';

/** WeChat Pay v3, 退款申请: the page's example answer. */
const accepted = {
  refund_id: '50310108072026091004276947708',
  out_refund_no: 'R1217752501201407033233368018',
  transaction_id: '4200002137202609101234567890',
  out_trade_no: '1217752501201407033233368018',
  channel: 'ORIGINAL',
  user_received_account: '支付用户零钱',
  create_time: '2026-09-10T09:00:00+08:00',
  status: 'PROCESSING',
  funds_account: 'AVAILABLE',
  amount: { total: 100, refund: 30, from: [], payer_total: 100, payer_refund: 30, currency: 'CNY' },
  promotion_detail: [],
};

const refund: PlaceRefund = {
  out_refund_no: accepted.out_refund_no,
  out_trade_no: accepted.out_trade_no,
  total_fen: 100,
  refund_fen: 30,
  reason: '商品已售完',
  notify_url: 'https://shop.example/api/notify/v3/refund',
};

const error = (status: number, code: string): Reply => reply(status, { code, message: '说明' });

describe('applying', () => {
  it('200 is "accepted", in the business’s words', async () => {
    const { pay, seen } = platform([reply(200, accepted)]);
    const { report, exchange } = await pay.placeRefund(refund);
    expect(report).toEqual({
      out_refund_no: accepted.out_refund_no,
      refund_id: accepted.refund_id,
      out_trade_no: accepted.out_trade_no,
      transaction_id: accepted.transaction_id,
      status: 'PROCESSING',
      refund_fen: 30,
      total_fen: 100,
      user_received_account: '支付用户零钱',
    });
    expect(exchange.path).toBe('/v3/refund/domestic/refunds');
    expect(JSON.parse(seen[0]?.body ?? '')).toEqual({
      out_trade_no: refund.out_trade_no,
      out_refund_no: refund.out_refund_no,
      reason: refund.reason,
      notify_url: refund.notify_url,
      amount: { refund: 30, total: 100, currency: 'CNY' },
    });
  });

  it('a repeat after a lost answer sends the same number and the same body', async () => {
    const { pay, seen } = platform([lostReply(), reply(200, accepted)]);
    await expect(pay.placeRefund(refund)).rejects.toMatchObject({ outcome: 'unknown', code: 'NO_ANSWER' });
    expect((await pay.placeRefund(refund)).report.status).toBe('PROCESSING');
    expect(seen[1]?.body).toBe(seen[0]?.body);
  });

  it('names the trade by WeChat’s number when it is known, and the sub-merchant in partner mode', async () => {
    const { pay, seen } = platform([reply(200, accepted)], { settings: { sub_mch_id: '1900000109' } });
    await pay.placeRefund({ ...refund, transaction_id: accepted.transaction_id });
    const body = JSON.parse(seen[0]?.body ?? '') as Record<string, unknown>;
    expect(body).toMatchObject({ transaction_id: accepted.transaction_id, sub_mchid: '1900000109' });
    expect(body).not.toHaveProperty('out_trade_no');
  });

  it('a reason is cut to 80 bytes and loses what v3 refuses', async () => {
    const { pay, seen } = platform([reply(200, accepted)]);
    await pay.placeRefund({ ...refund, reason: `😀${'退'.repeat(60)}` });
    const { reason } = JSON.parse(seen[0]?.body ?? '') as { reason: string };
    expect(reason).toBe('退'.repeat(26));
  });

  it.each([
    ['NOT_ENOUGH', error(403, 'NOT_ENOUGH'), 'refused', 'NOTENOUGH'],
    ['INVALID_REQUEST', error(400, 'INVALID_REQUEST'), 'refused', 'INVALID_REQUEST'],
    ['an order nobody knows', error(404, 'RESOURCE_NOT_EXISTS'), 'refused', 'ORDERNOTEXIST'],
    ['USER_ACCOUNT_ABNORMAL', error(403, 'USER_ACCOUNT_ABNORMAL'), 'refused', 'USER_ACCOUNT_ABNORMAL'],
    ['ALREADY_EXISTS', error(400, 'ALREADY_EXISTS'), 'unknown', 'ALREADY_EXISTS'],
    ['429', error(429, 'FREQUENCY_LIMITED'), 'unknown', 'FREQUENCY_LIMITED'],
    ['SYSTEM_ERROR', error(500, 'SYSTEM_ERROR'), 'unknown', 'SYSTEM_ERROR'],
    ['502', unsignedReply(502), 'unknown', 'HTTP_502'],
    ['NOT_ENOUGH that nobody signed', unsignedReply(403, '{"code":"NOT_ENOUGH"}'), 'unknown', 'NOTENOUGH'],
    ['another refund’s answer', reply(200, { ...accepted, out_refund_no: 'R2' }), 'unknown', 'BAD_ANSWER'],
    ['another trade’s answer', reply(200, { ...accepted, out_trade_no: 'T2' }), 'unknown', 'BAD_ANSWER'],
    [
      'another amount’s answer',
      reply(200, { ...accepted, amount: { refund: 100, total: 100 } }),
      'unknown',
      'BAD_ANSWER',
    ],
    ['a state nobody knows', reply(200, { ...accepted, status: 'CHANGE' }), 'unknown', 'BAD_ANSWER'],
  ] as [string, Reply, string, string][])('%s: %s', async (_name, answer, outcome, code) => {
    const { pay } = platform([answer]);
    await expect(pay.placeRefund(refund)).rejects.toMatchObject({ outcome, code });
  });

  it.each([
    ['more than the total', { refund_fen: 101 }],
    ['nothing', { refund_fen: 0 }],
    ['a fraction', { refund_fen: 0.3 }],
    ['under a number that climbs', { out_refund_no: '../1900000109' }],
    ['under no number', { out_refund_no: '' }],
  ])('%s is not sent', async (_name, fault) => {
    const { pay, seen } = platform([]);
    await expect(pay.placeRefund({ ...refund, ...fault })).rejects.toMatchObject({ outcome: 'refused' });
    expect(seen).toEqual([]);
  });
});

describe('querying', () => {
  it('a refund that arrived', async () => {
    const answer = { ...accepted, status: 'SUCCESS', success_time: '2026-09-10T09:05:00+08:00' };
    const { pay, seen } = platform([reply(200, answer)]);
    expect((await pay.queryRefund(accepted.out_refund_no)).report).toMatchObject({
      status: 'SUCCESS',
      success_at: new Date('2026-09-10T09:05:00+08:00'),
    });
    expect(`${seen[0]?.url.pathname}${seen[0]?.url.search}`).toBe(
      `/v3/refund/domestic/refunds/${accepted.out_refund_no}`,
    );
  });

  it('the partner names the sub-merchant in the query', async () => {
    const { pay, seen } = platform([reply(200, accepted)], { settings: { sub_mch_id: '1900000109' } });
    await pay.queryRefund(accepted.out_refund_no);
    expect(seen[0]?.url.search).toBe('?sub_mchid=1900000109');
    expect(seen[0]?.headers.get('authorization')).toContain(`mchid="${MCH_ID}"`);
  });

  it('one nobody knows: refused as REFUNDNOTEXIST', async () => {
    const { pay } = platform([error(404, 'RESOURCE_NOT_EXISTS')]);
    await expect(pay.queryRefund(accepted.out_refund_no)).rejects.toMatchObject({
      outcome: 'refused',
      code: 'REFUNDNOTEXIST',
    });
  });

  it('a merchant nobody knows is not a missing refund', async () => {
    const { pay } = platform([error(404, 'MCH_NOT_EXISTS')]);
    await expect(pay.queryRefund(accepted.out_refund_no)).rejects.toMatchObject({ code: 'MCH_NOT_EXISTS' });
  });
});

it('an abnormal refund may go to the merchant’s own card', async () => {
  const { pay, seen } = platform([reply(200, accepted)]);
  await pay.applyAbnormalRefund({
    refund_id: accepted.refund_id,
    out_refund_no: accepted.out_refund_no,
    type: 'MERCHANT_BANK_CARD',
  });
  expect(seen[0]?.body).toBe(`{"out_refund_no":"${accepted.out_refund_no}","type":"MERCHANT_BANK_CARD"}`);
});
