// One test for each fault of bills, named as the fault.

import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { beijingToday, rowsOf, toMorningAfter } from './bill_reading.ts';
import { type Fields, openWorld, sign, toXml, type World } from './world.ts';

let w: World;
let bill_date: string;
let numbers: string[];
beforeAll(async () => {
  w = await openWorld();
  bill_date = await beijingToday(w);
  numbers = [];
  for (let i = 0; i < 3; i += 1) {
    const { out_trade_no } = await w.place();
    await w.pay({ out_trade_no });
    numbers.push(out_trade_no);
  }
  await toMorningAfter(w, bill_date);
});
afterAll(() => w.close());
beforeEach(() => w.control('DELETE', 'faults'));

function fault(name: string, what: string, run: () => Promise<void>): void {
  it(`${name}: ${what}`, run);
}

async function bytes(wanted: Record<string, unknown>, own: Fields = {}): Promise<Buffer> {
  await w.faults(wanted);
  const fields: Fields = {
    appid: w.merchant.appid,
    mch_id: w.merchant.mch_id,
    nonce_str: 'n0123456789',
    bill_date,
    ...own,
  };
  const body = toXml({ ...fields, sign: sign(fields, w.merchant.api_v2_key) });
  const response = await fetch(`${w.url}/pay/downloadbill`, { method: 'POST', body });
  return Buffer.from(await response.arrayBuffer());
}
const text = async (wanted: Record<string, unknown>) => (await bytes(wanted)).toString('utf8');
const bill = async (wanted: Record<string, unknown>) => rowsOf(await text(wanted));

fault('bill_creating', 'it is still in the making', async () => {
  expect(await text({ bill_creating: 1 })).toContain('Bill Creating');
  expect((await bill({})).rows).toHaveLength(3);
});

fault('bill_truncated', 'the file ends in the middle of a row', async () => {
  const cut = await text({ bill_truncated: 1 });
  expect(cut.startsWith('\ufeff交易时间')).toBe(true);
  expect(cut).not.toContain('总交易单数');
});

fault('bill_html', 'a page comes with status 200', async () => {
  expect(await text({ bill_html: 1 })).toMatch(/^<!DOCTYPE html>/);
});

fault('bill_gzip_damaged', 'it begins as gzip and does not unpack', async () => {
  const packed = await bytes({ bill_gzip_damaged: 1 }, { tar_type: 'GZIP' });
  expect(packed.subarray(0, 2).toString('hex')).toBe('1f8b');
  expect(() => gunzipSync(packed)).toThrow();
});

fault('bill_other_amount', "one order's row differs and the summary fits it", async () => {
  const { rows, summary } = await bill({ bill_other_amount: { delta_fen: 100, out_trade_no: numbers[1] } });
  expect(rows.map((r) => [r.商户订单号, r.订单金额]).sort()).toEqual(
    numbers.map((n, i) => [n, i === 1 ? '13.88' : '12.88']),
  );
  expect(summary.订单总金额).toBe('39.64');
});

fault('bill_row_missing', "one order's row is left out and the summary fits", async () => {
  const { rows, summary } = await bill({ bill_row_missing: { out_trade_no: numbers[0] } });
  expect(rows.map((r) => r.商户订单号).sort()).toEqual(numbers.slice(1));
  expect(summary).toMatchObject({ 总交易单数: '2', 订单总金额: '25.76' });
});

fault('bill_row_extra', 'a row nobody placed an order for', async () => {
  const { rows } = await bill({ bill_row_extra: { as: 'STRANGER1' } });
  expect(rows).toHaveLength(4);
  expect(rows.at(-1)?.商户订单号).toBe('STRANGER1');
});

fault('bill_unknown_column', 'a new column stands in the middle', async () => {
  const { columns, rows } = await bill({ bill_unknown_column: true });
  expect(columns[3]).toBe('新增列');
  expect(rows[0]?.订单金额).toBe('12.88');
});

fault('bill_other_merchant', "a row of another merchant's", async () => {
  const { rows } = await bill({ bill_other_merchant: 1 });
  expect(rows.map((r) => r.商户号)).toContain('1900000999');
});

fault('bill_wrong_summary', 'the summary does not fit the rows', async () => {
  const { rows, summary } = await bill({ bill_wrong_summary: 1 });
  expect(rows).toHaveLength(3);
  expect(summary).toMatchObject({ 总交易单数: '4', 订单总金额: '38.65' });
});
