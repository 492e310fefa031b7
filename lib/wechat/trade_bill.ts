/**
 * Reads a day's trade bill as it streams in: one row at a time, columns by their names, yuan to integers without a
 * float. It refuses a bill that is not one (an HTML page, a cut file, a summary that does not add up) and reports
 * columns it does not know instead of ignoring them. Both API versions deliver the same text.
 *
 * Source: WeChat Pay, 下载交易账单 (v2) and 申请交易账单 (v3): layout, header texts, conventions.
 */

import { isUtf8 } from 'node:buffer';

export class BillError extends Error {
  override readonly name = 'BillError';
}

/** One line. Payment lines have `out_refund_no` `''`; refund lines have `trade_state` REFUND (or REVOKED). */
export interface TradeBillRow {
  /** `YYYY-MM-DD HH:mm:ss`, Beijing. */
  trade_time: string;
  appid: string;
  mch_id: string;
  /** `''` when the merchant trades for itself. */
  sub_mch_id: string;
  transaction_id: string;
  out_trade_no: string;
  openid: string;
  trade_type: string;
  trade_state: string;
  bank_type: string;
  fee_type: string;
  refund_id: string;
  out_refund_no: string;
  refund_state: string;
  total_fen: number;
  refund_fen: number;
  /** Hundred-thousandths of a yuan: the bill prints five decimals. */
  fee_e5: number;
  /** As printed: `0.60%`. */
  rate: string;
}

export interface TradeBillSummary {
  rows: number;
  payments: number;
  refunds: number;
  payment_fen: number;
  refund_fen: number;
  fee_e5: number;
  /** What the bill says is to be settled: less than was paid where coupons were the seller's own. */
  settlement_fen: number;
  /** Header texts that are not in the documents: told to the operator, because a new column may mean new money. */
  unknown_columns: string[];
}

/** Our name of a column, by the texts WeChat has printed over it through the years. */
const columnNames: Record<string, keyof RawColumns> = {
  交易时间: 'trade_time',
  公众账号ID: 'appid',
  商户号: 'mch_id',
  特约商户号: 'sub_mch_id',
  子商户号: 'sub_mch_id',
  微信订单号: 'transaction_id',
  商户订单号: 'out_trade_no',
  用户标识: 'openid',
  交易类型: 'trade_type',
  交易状态: 'trade_state',
  付款银行: 'bank_type',
  货币种类: 'fee_type',
  微信退款单号: 'refund_id',
  商户退款单号: 'out_refund_no',
  退款状态: 'refund_state',
  手续费: 'fee',
  费率: 'rate',
  订单金额: 'total',
  总金额: 'old_total',
  申请退款金额: 'applied_refund',
  退款金额: 'old_refund',
  应结订单金额: 'settlement',
};

/** Known and not needed. */
const ignoredColumns = new Set([
  '设备号',
  '代金券金额',
  '代金券或立减优惠金额',
  '充值券退款金额',
  '代金券或立减优惠退款金额',
  '退款类型',
  '商品名称',
  '商户数据包',
  '费率备注',
  '退款申请时间',
  '退款成功时间',
  '返还手续费',
]);

interface RawColumns {
  trade_time: string;
  appid: string;
  mch_id: string;
  sub_mch_id: string;
  transaction_id: string;
  out_trade_no: string;
  openid: string;
  trade_type: string;
  trade_state: string;
  bank_type: string;
  fee_type: string;
  refund_id: string;
  out_refund_no: string;
  refund_state: string;
  fee: string;
  rate: string;
  total: string;
  old_total: string;
  applied_refund: string;
  old_refund: string;
  settlement: string;
}

const neededColumns = [
  'trade_time',
  'appid',
  'mch_id',
  'transaction_id',
  'out_trade_no',
  'trade_type',
  'trade_state',
  'fee',
] as const satisfies readonly (keyof RawColumns)[];

const maxLine_bytes = 16_384;
const tooLong = 'a line is longer than any bill’s';
const line_feed = 10;

/**
 * Hands each row to `onRow` in order and resolves with the checked summary. A promise that `onRow` returns is waited
 * for, so a slow reader slows the download instead of filling memory. Throws BillError; the stream's own errors
 * (a wrong digest, a cut line) pass through.
 */
export async function readTradeBill(
  stream: AsyncIterable<Uint8Array>,
  onRow: (row: TradeBillRow) => undefined | Promise<unknown>,
): Promise<TradeBillSummary> {
  const reader = createReader();
  let rest: Uint8Array = new Uint8Array();
  for await (const chunk of stream) {
    const bytes = rest.length === 0 ? asBuffer(chunk) : Buffer.concat([rest, chunk]);
    const whole = bytes.lastIndexOf(line_feed) + 1;
    const text = latin1(bytes.subarray(0, whole));
    let start = 0;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
      if (end - start > maxLine_bytes) throw new BillError(tooLong);
      const row = reader.line(text.slice(start, text.charCodeAt(end - 1) === 13 ? end - 1 : end));
      start = end + 1;
      if (row !== undefined) {
        const waiting = onRow(row);
        if (waiting !== undefined) await waiting;
      }
    }
    rest = bytes.subarray(whole);
    if (rest.length > maxLine_bytes) throw new BillError(tooLong);
  }
  if (rest.length > 0) reader.line(latin1(asBuffer(rest)).replace(/\r$/, ''));
  return reader.end();
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/*
 * A million lines are several times faster as one character a byte: what we keep of a row is ASCII nearly always, and
 * `utf8` makes text of the rest. Whole lines only, so that no character is cut; a line feed is never part of another.
 */
function latin1(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new BillError('the bill is not UTF-8');
  return bytes.toString('latin1');
}

function utf8(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: everything that is not ASCII
const beyondAscii = /[^\u0000-\u007f]/;

function createReader() {
  const summary: TradeBillSummary = {
    rows: 0,
    payments: 0,
    refunds: 0,
    payment_fen: 0,
    refund_fen: 0,
    fee_e5: 0,
    settlement_fen: 0,
    unknown_columns: [],
  };
  let columns: Columns | undefined;
  let totals: string[] | undefined;
  let stage: 'header' | 'rows' | 'totals' | 'end' = 'header';
  let line_no = 0;

  const readHeader = (line: string): void => {
    const titles = line.replace(/^\uFEFF/, '').split(',');
    const names = titles.map((title) => columnNames[title.trim()]);
    summary.unknown_columns = titles.filter(
      (title) => columnNames[title.trim()] === undefined && !ignoredColumns.has(title.trim()),
    );
    const missing: string[] = neededColumns.filter((name) => !names.includes(name));
    if (!names.includes('total') && !names.includes('old_total')) missing.push('total');
    if (missing.length > 0) throw new BillError(`not a trade bill: no column for ${missing.join(', ')}`);
    columns = columnsOf(names);
    stage = 'rows';
  };

  const readRow = (line: string, at: Columns): TradeBillRow => {
    const values = line.slice(1).split(',`');
    if (values.length !== at.count) {
      throw new BillError(`line ${line_no} has ${values.length} values under ${at.count} headers`);
    }
    const row: TradeBillRow = {
      trade_time: values[at.trade_time] ?? '',
      appid: values[at.appid] ?? '',
      mch_id: values[at.mch_id] ?? '',
      sub_mch_id: unlessZero(values[at.sub_mch_id]),
      transaction_id: values[at.transaction_id] ?? '',
      out_trade_no: values[at.out_trade_no] ?? '',
      openid: values[at.openid] ?? '',
      trade_type: values[at.trade_type] ?? '',
      trade_state: values[at.trade_state] ?? '',
      bank_type: values[at.bank_type] ?? '',
      fee_type: values[at.fee_type] ?? '',
      refund_id: unlessZero(values[at.refund_id]),
      out_refund_no: unlessZero(values[at.out_refund_no]),
      refund_state: values[at.refund_state] ?? '',
      total_fen: fen(values[at.total], line_no),
      refund_fen: at.refund === absent ? 0 : fen(values[at.refund], line_no),
      fee_e5: decimals(values[at.fee], 5, line_no),
      rate: values[at.rate] ?? '',
    };
    readAsUtf8(row);
    const { out_refund_no } = row;
    summary.rows += 1;
    summary.fee_e5 += row.fee_e5;
    if (out_refund_no === '') {
      summary.payments += 1;
      summary.payment_fen += row.total_fen;
    } else {
      summary.refunds += 1;
      summary.refund_fen += row.refund_fen;
    }
    return row;
  };

  return {
    /** One line without its end, a character a byte. */
    line(line: string): TradeBillRow | undefined {
      line_no += 1;
      if (line === '') return undefined;
      if (stage === 'header') readHeader(utf8(line));
      else if (stage === 'rows' && columns !== undefined && line.startsWith('`'))
        return readRow(line, columns);
      else if (stage === 'rows' && utf8(line).startsWith('总交易单数')) stage = 'totals';
      else if (stage === 'totals' && line.startsWith('`')) {
        totals = line.slice(1).split(',`');
        stage = 'end';
      } else throw new BillError(`line ${line_no} is no line of a bill`);
      return undefined;
    },
    /** The summary line is the bill's own check: a file cut short has none, or one that does not add up. */
    end(): TradeBillSummary {
      if (totals === undefined) throw new BillError('the bill ends without its summary');
      const [count = '', settlement, , , fee = '', total, refund] = totals;
      if (Math.round(Number(count)) !== summary.rows) {
        throw new BillError(`the bill says ${count} rows and has ${summary.rows}`);
      }
      if (total !== undefined && fen(total, line_no) !== summary.payment_fen) {
        throw new BillError('the order amounts do not add up to the bill’s summary');
      }
      if (refund !== undefined && fen(refund, line_no) !== summary.refund_fen) {
        throw new BillError('the refunds do not add up to the bill’s summary');
      }
      if (decimals(fee, 5, line_no) !== summary.fee_e5) {
        throw new BillError('the fees do not add up to the bill’s summary');
      }
      summary.settlement_fen = fen(settlement, line_no);
      return summary;
    },
  };
}

/** Where each value stands in a line; `absent` where this bill has no such column. */
type Columns = Record<Exclude<keyof RawColumns, 'old_total' | 'applied_refund' | 'old_refund'>, number> & {
  count: number;
  refund: number;
};
const absent = -1;

function columnsOf(names: readonly (string | undefined)[]): Columns {
  const at = (name: keyof RawColumns): number => names.lastIndexOf(name);
  const first = (name: keyof RawColumns, other: keyof RawColumns): number =>
    at(name) === absent ? at(other) : at(name);
  return {
    count: names.length,
    trade_time: at('trade_time'),
    appid: at('appid'),
    mch_id: at('mch_id'),
    sub_mch_id: at('sub_mch_id'),
    transaction_id: at('transaction_id'),
    out_trade_no: at('out_trade_no'),
    openid: at('openid'),
    trade_type: at('trade_type'),
    trade_state: at('trade_state'),
    bank_type: at('bank_type'),
    fee_type: at('fee_type'),
    refund_id: at('refund_id'),
    out_refund_no: at('out_refund_no'),
    refund_state: at('refund_state'),
    fee: at('fee'),
    rate: at('rate'),
    settlement: at('settlement'),
    total: first('total', 'old_total'),
    refund: first('applied_refund', 'old_refund'),
  };
}

/** WeChat writes `0` where there is none. */
function unlessZero(value: string | undefined): string {
  return value === undefined || value === '0' ? '' : value;
}

const rowTexts = [
  'trade_time',
  'appid',
  'mch_id',
  'sub_mch_id',
  'transaction_id',
  'out_trade_no',
  'openid',
  'trade_type',
  'trade_state',
  'bank_type',
  'fee_type',
  'refund_id',
  'out_refund_no',
  'refund_state',
  'rate',
] as const satisfies readonly (keyof TradeBillRow)[];

/** Nearly always nothing to do: the other characters of a line are in columns that we do not keep. */
function readAsUtf8(row: TradeBillRow): void {
  for (const name of rowTexts) {
    if (beyondAscii.test(row[name])) row[name] = utf8(row[name]);
  }
}

function fen(text: string | undefined, line_no: number): number {
  return decimals(text, 2, line_no);
}

const [minus, point, zero] = [45, 46, 48];

/** `-0.0018` with 5 places → -180. Exact: digits are moved, no fraction is ever held. */
function decimals(text: string | undefined, places: number, line_no: number): number {
  const refusal = () => new BillError(`line ${line_no}: ${JSON.stringify(text)} is no amount`);
  if (text === undefined) throw refusal();
  const begins_at = text.charCodeAt(0) === minus ? 1 : 0;
  let value = 0;
  let at = begins_at;
  for (; at < text.length && text.charCodeAt(at) !== point; at += 1) {
    const digit = text.charCodeAt(at) - zero;
    if (digit < 0 || digit > 9) throw refusal();
    value = value * 10 + digit;
  }
  if (at === begins_at || at - begins_at > 11 || at === text.length - 1) throw refusal();
  let left = places;
  for (at += 1; at < text.length; at += 1) {
    const digit = text.charCodeAt(at) - zero;
    if (digit < 0 || digit > 9 || (left === 0 && digit !== 0)) throw refusal();
    if (left === 0) continue;
    value = value * 10 + digit;
    left -= 1;
  }
  for (; left > 0; left -= 1) value *= 10;
  if (value > Number.MAX_SAFE_INTEGER) throw refusal();
  return begins_at === 1 && value !== 0 ? -value : value;
}
