// One test for each fault of refunds, named as the fault.

import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { openWorld, type World } from './world.ts';

let w: World;
beforeAll(async () => {
  w = await openWorld({ certificate_required: false });
});
afterAll(() => w.close());
afterEach(() => w.control('POST', 'reset'));

function fault(name: string, what: string, run: () => Promise<void>): void {
  it(`${name}: ${what}`, run);
}

/** A paid order and one refund of it as the armed faults let it be. */
async function refunded(wanted: Record<string, unknown>) {
  const { out_trade_no } = await w.place();
  await w.pay({ out_trade_no });
  await w.faults(wanted);
  const own = { out_trade_no, out_refund_no: 'R1', total_fee: '1288', refund_fee: '288' };
  const apply = () => w.call('/secapi/pay/refund', own);
  return { out_trade_no, first: (await apply()).fields, apply };
}
const status = async () => (await w.call('/pay/refundquery', { out_refund_no: 'R1' })).fields.refund_status_0;

/** Refused, nothing started, and the same number works later. */
async function refusedOnce(name: string, code: string): Promise<void> {
  const { first, apply, out_trade_no } = await refunded({ [name]: 1 });
  expect(first.err_code).toBe(code);
  expect((await w.query(out_trade_no)).fields.trade_state).toBe('SUCCESS');
  expect((await apply()).fields.result_code).toBe('SUCCESS');
}

fault('refund_not_enough', 'refused with NOTENOUGH', () => refusedOnce('refund_not_enough', 'NOTENOUGH'));
fault('refund_need_retry', 'refused with BIZERR_NEED_RETRY', () =>
  refusedOnce('refund_need_retry', 'BIZERR_NEED_RETRY'),
);
fault('refund_account_abnormal', 'refused with USER_ACCOUNT_ABNORMAL', () =>
  refusedOnce('refund_account_abnormal', 'USER_ACCOUNT_ABNORMAL'),
);

fault('refund_slow', 'it is under way as long as the fault says', async () => {
  await refunded({ refund_slow: 7200 });
  await w.advance(7199);
  expect(await status()).toBe('PROCESSING');
  await w.advance(2);
  expect(await status()).toBe('SUCCESS');
});

fault('refund_abnormal', 'it ends as CHANGE and no money moved', async () => {
  await refunded({ refund_abnormal: 1 });
  await w.advance(5);
  expect(await status()).toBe('CHANGE');
  expect((await w.control('GET', 'ledger')).body.refunded_fen).toBe(0);
});

fault(
  'refund_closed',
  'it ends as REFUNDCLOSE and the money can be refunded under a new number',
  async () => {
    const { out_trade_no } = await refunded({ refund_closed: 1 });
    await w.advance(5);
    expect(await status()).toBe('REFUNDCLOSE');
    const own = { out_trade_no, out_refund_no: 'R2', total_fee: '1288', refund_fee: '1288' };
    expect((await w.call('/secapi/pay/refund', own)).fields.result_code).toBe('SUCCESS');
  },
);

fault('refund_query_stale', 'an ended refund is still reported as PROCESSING', async () => {
  await refunded({ refund_query_stale: 1 });
  await w.advance(5);
  expect(await status()).toBe('PROCESSING');
  expect(await status()).toBe('SUCCESS');
});
