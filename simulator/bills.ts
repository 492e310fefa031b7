// Trade bills as WeChat makes them, from the orders and refunds of one Beijing day: which rows, which columns, what
// they sum up to, when they may be had. It knows nothing of how a bill is asked for.

import { gzipSync } from 'node:zlib';
import type { Where } from './faults.ts';
import { feeBackFen, feeFen, RATE } from './fees.ts';
import type { Platform } from './platform.ts';
import type { Order, Refund } from './records.ts';
import { refundsOf } from './refunds.ts';
import { beijingIso, parseBeijing14 } from './time.ts';

const DAY_MS = 24 * 3600 * 1000;
const READY_AFTER_MS = 10 * 3600 * 1000;
const OLDEST_DAYS = 92;

export type TradeBillType = 'ALL' | 'SUCCESS' | 'REFUND';
export type Row = Record<string, string>;

/** Column names, rows by those names, and the two lines of the summary. */
export type Bill = { columns: string[]; rows: Row[]; summary: Record<string, string> };

/** The Beijing midnight a `yyyyMMdd` day begins with; undefined when there is no such day. */
export function billDay(text: string): number | undefined {
  return /^\d{8}$/.test(text) ? parseBeijing14(`${text}000000`) : undefined;
}

/** Whether the bill of that day can be had now: at 10:00 the next day, for three months. */
export function billStanding(
  platform: Platform,
  from_ms: number,
  where: Where,
): { standing: 'ready' | 'creating' | 'none'; why: string; struck: string[] } {
  const now = platform.clock.now();
  const day = beijingIso(from_ms).slice(0, 10);
  const ready_ms = from_ms + DAY_MS + READY_AFTER_MS;
  if (now < from_ms + DAY_MS) return { standing: 'none', why: `${day} is not over yet`, struck: [] };
  if (now < ready_ms)
    return {
      standing: 'creating',
      why: `the bill of ${day} is there at ${beijingIso(ready_ms)}`,
      struck: [],
    };
  if (now > from_ms + OLDEST_DAYS * DAY_MS)
    return { standing: 'none', why: `${day} is more than three months ago`, struck: [] };
  const creating = platform.faults.take('bill_creating', where);
  if (creating !== undefined)
    return { standing: 'creating', why: `the fault ${creating.name}`, struck: [creating.name] };
  return { standing: 'ready', why: '', struck: [] };
}

const HEAD = [
  '交易时间',
  '公众账号ID',
  '商户号',
  '特约商户号',
  '设备号',
  '微信订单号',
  '商户订单号',
  '用户标识',
  '交易类型',
  '交易状态',
  '付款银行',
  '货币种类',
  '应结订单金额',
  '代金券金额',
];
const REFUND_TIMES = ['退款申请时间', '退款成功时间'];
const REFUND_PART = ['微信退款单号', '商户退款单号', '退款金额', '充值券退款金额', '退款类型', '退款状态'];
const TAIL = ['商品名称', '商户数据包', '手续费', '费率', '订单金额'];

const COLUMNS: Record<TradeBillType, string[]> = {
  ALL: [...HEAD, ...REFUND_PART, ...TAIL, '申请退款金额', '费率备注'],
  SUCCESS: [...HEAD, ...TAIL, '费率备注'],
  REFUND: [...HEAD, ...REFUND_TIMES, ...REFUND_PART, ...TAIL, '申请退款金额', '费率备注'],
};

/** Fen as yuan with `decimals` places. */
export function yuan(fen: number, decimals = 2): string {
  const sign = fen < 0 ? '-' : '';
  const whole = Math.abs(fen);
  return `${sign}${Math.floor(whole / 100)}.${String(whole % 100)
    .padStart(2, '0')
    .padEnd(decimals, '0')}`;
}

/** `yyyy-MM-dd HH:mm:ss` in Beijing. */
export function billTime(at_ms: number): string {
  return beijingIso(at_ms).slice(0, 19).replace('T', ' ');
}

function paymentRow(order: Order): Row {
  const { payment } = order;
  if (payment === undefined) throw new Error(`${order.out_trade_no} is not paid`);
  return {
    交易时间: billTime(payment.paid_at_ms),
    公众账号ID: order.appid,
    商户号: order.mch_id,
    特约商户号: order.sub_mch_id ?? '0',
    设备号: order.device_info,
    微信订单号: payment.transaction_id,
    商户订单号: order.out_trade_no,
    用户标识: payment.openid,
    交易类型: order.trade_type,
    交易状态: 'SUCCESS',
    付款银行: payment.bank_type,
    货币种类: order.fee_type,
    应结订单金额: yuan(payment.total_fen),
    代金券金额: yuan(payment.coupon_fen),
    微信退款单号: '0',
    商户退款单号: '0',
    退款金额: '0.00',
    充值券退款金额: '0.00',
    退款类型: '',
    退款状态: '',
    商品名称: order.body,
    商户数据包: order.attach,
    手续费: yuan(feeFen(payment.total_fen), 5),
    费率: RATE,
    订单金额: yuan(payment.total_fen),
    申请退款金额: '0.00',
    费率备注: '',
  };
}

const REFUND_STATUS = { SUCCESS: 'SUCCESS', PROCESSING: 'PROCESSING', ABNORMAL: 'CHANGE', CLOSED: 'FAIL' };

function refundRow(platform: Platform, order: Order, refund: Refund, made_ms: number): Row {
  // A bill does not change after it is made: later news are not in it.
  const ended = refund.ended_at_ms !== undefined && refund.ended_at_ms <= made_ms;
  const state = ended ? refund.state : 'PROCESSING';
  return {
    ...paymentRow(order),
    交易时间: billTime(refund.made_at_ms),
    交易状态: 'REFUND',
    应结订单金额: '0.00',
    代金券金额: '0.00',
    退款申请时间: billTime(refund.made_at_ms),
    退款成功时间: state === 'SUCCESS' && refund.ended_at_ms !== undefined ? billTime(refund.ended_at_ms) : '',
    微信退款单号: refund.refund_id,
    商户退款单号: refund.out_refund_no,
    退款金额: yuan(refund.refund_fen),
    充值券退款金额: yuan(refund.coupon_fen),
    退款类型: 'ORIGINAL',
    退款状态: REFUND_STATUS[state],
    手续费: yuan(-feeBackFen(refundsOf(platform, order), refund), 5),
    订单金额: '0.00',
    申请退款金额: yuan(refund.refund_fen),
  };
}

const SUMS = {
  应结订单总金额: '应结订单金额',
  退款总金额: '退款金额',
  充值券退款总金额: '充值券退款金额',
  手续费总金额: '手续费',
  订单总金额: '订单金额',
  申请退款总金额: '申请退款金额',
};

/** The summary of these rows, in WeChat's order of columns. */
function summaryOf(rows: Row[]): Record<string, string> {
  const total = (column: string) =>
    rows.reduce((sum, row) => sum + Math.round(Number(row[column] ?? '0') * 100), 0);
  return {
    总交易单数: String(rows.length),
    ...Object.fromEntries(
      Object.entries(SUMS).map(([name, column]) => [
        name,
        yuan(total(column), name === '手续费总金额' ? 5 : 2),
      ]),
    ),
  };
}

/** A paid order of a counter that was reversed: like a refund of all of it, in the state REVOKED. */
function reversalRow(order: Order, at_ms: number): Row {
  const { total_fen = 0 } = order.payment ?? {};
  return {
    ...paymentRow(order),
    交易时间: billTime(at_ms),
    交易状态: 'REVOKED',
    应结订单金额: '0.00',
    代金券金额: '0.00',
    退款申请时间: billTime(at_ms),
    退款成功时间: billTime(at_ms),
    微信退款单号: order.revoked_refund_id ?? '',
    商户退款单号: order.out_trade_no,
    退款金额: yuan(total_fen),
    充值券退款金额: yuan(order.payment?.coupon_fen ?? 0),
    退款类型: 'ORIGINAL',
    退款状态: 'SUCCESS',
    手续费: yuan(-feeFen(total_fen), 5),
    订单金额: '0.00',
    申请退款金额: yuan(total_fen),
  };
}

/** A merchant's own bill; a provider's holds all its merchants' trades, or one's when sub_mch_id is named. */
type Whose = { mch_id: string; sub_mch_id?: string | undefined };

/** The bill of one merchant's day, with the armed faults worked in; undefined when nothing happened. */
export function tradeBill(
  platform: Platform,
  { mch_id, sub_mch_id }: Whose,
  from_ms: number,
  type: TradeBillType,
  path: string,
): { bill: Bill | undefined; struck: string[] } {
  const until_ms = from_ms + DAY_MS;
  const within = (at_ms: number) => at_ms >= from_ms && at_ms < until_ms;
  const dated: { at_ms: number; row: Row }[] = [];
  for (const order of Object.values(platform.store.state.orders)) {
    const { payment } = order;
    if (order.mch_id !== mch_id || payment === undefined) continue;
    if (sub_mch_id !== undefined && order.sub_mch_id !== sub_mch_id) continue;
    if (type !== 'REFUND' && within(payment.paid_at_ms)) {
      dated.push({ at_ms: payment.paid_at_ms, row: paymentRow(order) });
    }
    const { revoked_at_ms } = order;
    if (type !== 'SUCCESS' && revoked_at_ms !== undefined && within(revoked_at_ms)) {
      dated.push({ at_ms: revoked_at_ms, row: reversalRow(order, revoked_at_ms) });
    }
  }
  if (type !== 'SUCCESS') {
    for (const refund of Object.values(platform.store.state.refunds)) {
      const order = platform.store.state.orders[`${refund.mch_id}/${refund.out_trade_no}`];
      if (refund.mch_id !== mch_id || order === undefined || !within(refund.made_at_ms)) continue;
      if (sub_mch_id !== undefined && refund.sub_mch_id !== sub_mch_id) continue;
      const made_ms = until_ms + READY_AFTER_MS;
      const failed = refund.state === 'CLOSED' && Number(refund.ended_at_ms) <= made_ms;
      if (failed) continue;
      dated.push({ at_ms: refund.made_at_ms, row: refundRow(platform, order, refund, made_ms) });
    }
  }
  const rows = dated.sort((a, b) => b.at_ms - a.at_ms).map((d) => d.row);
  if (rows.length === 0) return { bill: undefined, struck: [] };
  const columns = [...COLUMNS[type]];
  const struck = strikeRows(platform, rows, columns, path);
  const summary = summaryOf(rows);
  const wrong = platform.faults.take('bill_wrong_summary', { path, out_trade_no: '' });
  if (wrong !== undefined) {
    struck.push(wrong.name);
    summary.总交易单数 = String(rows.length + 1);
    summary.订单总金额 = yuan(Math.round(Number(summary.订单总金额) * 100) + wrong.number('delta_fen'));
  }
  return { bill: { columns, rows, summary }, struck };
}

/** Lets the faults of single rows have their way; a fault bound to an order meets that order's row. */
function strikeRows(platform: Platform, rows: Row[], columns: string[], path: string): string[] {
  const names: string[] = [];
  const strike = (name: string) => {
    for (const [at, row] of rows.entries()) {
      const struck = platform.faults.take(name, { path, out_trade_no: row.商户订单号 ?? '' });
      if (struck === undefined) continue;
      names.push(struck.name);
      return { struck, row, at };
    }
    return undefined;
  };
  const other = strike('bill_other_amount');
  if (other !== undefined) {
    const column = other.row.交易状态 === 'REFUND' ? '申请退款金额' : '订单金额';
    const second = other.row.交易状态 === 'REFUND' ? '退款金额' : '应结订单金额';
    const fen = Math.round(Number(other.row[column]) * 100) + other.struck.number('delta_fen');
    other.row[column] = yuan(fen);
    other.row[second] = yuan(fen);
  }
  const extra = strike('bill_row_extra');
  if (extra !== undefined) {
    const as = extra.struck.text('as');
    rows.push({ ...extra.row, 商户订单号: as, 微信订单号: platform.ids.transactionId(platform.clock.now()) });
  }
  const foreign = strike('bill_other_merchant');
  if (foreign !== undefined) {
    rows.push({
      ...foreign.row,
      商户号: foreign.struck.text('mch_id'),
      微信订单号: platform.ids.transactionId(platform.clock.now()),
    });
  }
  const missing = strike('bill_row_missing');
  if (missing !== undefined) rows.splice(missing.at, 1);
  const unknown = strike('bill_unknown_column');
  if (unknown !== undefined) {
    columns.splice(3, 0, unknown.struck.text('column'));
    for (const row of rows) row[unknown.struck.text('column')] = '新';
  }
  return names;
}

/** The file's text: a BOM, CRLF, every value behind a backtick. */
export function billText(bill: Bill): string {
  const line = (values: string[]) => values.map((v) => `\`${v.replace(/[\r\n]+/g, ' ')}`).join(',');
  const lines = [
    bill.columns.join(','),
    ...bill.rows.map((row) => line(bill.columns.map((c) => row[c] ?? ''))),
    Object.keys(bill.summary).join(','),
    line(Object.values(bill.summary)),
  ];
  return `\ufeff${lines.join('\r\n')}\r\n`;
}

/** The bytes that go out, packed when asked, with the faults of the file worked in. */
export function billFile(
  platform: Platform,
  text: string,
  gzip: boolean,
  path: string,
): { bytes: Buffer; type: string; struck: string[] } {
  const struck: string[] = [];
  const strike = (name: string) => {
    const fault = platform.faults.take(name, { path, out_trade_no: '' });
    if (fault !== undefined) struck.push(fault.name);
    return fault !== undefined;
  };
  if (strike('bill_html')) {
    const page =
      '<!DOCTYPE html>\n<html><head><title>系统繁忙</title></head><body>系统繁忙，请稍后再试</body></html>\n';
    return { bytes: Buffer.from(page), type: 'text/html; charset=utf-8', struck };
  }
  const whole = Buffer.from(text, 'utf8');
  const plain = strike('bill_truncated') ? whole.subarray(0, Math.floor(whole.length * 0.6)) : whole;
  if (!gzip) return { bytes: plain, type: 'text/plain; charset=utf-8', struck };
  const packed = gzipSync(plain);
  if (strike('bill_gzip_damaged')) {
    const middle = Math.floor(packed.length / 2);
    packed.fill(0xff, middle, middle + 8);
  }
  return { bytes: packed, type: 'application/octet-stream', struck };
}
