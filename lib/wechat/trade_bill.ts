/**
 * Reads a day's trade bill as it streams in: one row at a time, columns by their names, yuan to integers without a
 * float. It refuses a bill that is not one (an HTML page, a cut file, a summary that does not add up) and reports
 * columns it does not know instead of ignoring them. Both API versions deliver the same text.
 *
 * Source: WeChat Pay, 下载交易账单 (v2) and 申请交易账单 (v3): layout, header texts, conventions.
 */

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

const maxLine_chars = 16_384;

/**
 * Hands each row to `onRow` in order and resolves with the checked summary. A promise that `onRow` returns is waited
 * for, so a slow reader slows the download instead of filling memory. Throws BillError; the stream's own errors
 * (a wrong digest, a cut line) pass through.
 */
export async function readTradeBill(
  stream: ReadableStream<Uint8Array>,
  onRow: (row: TradeBillRow) => void | Promise<void>,
): Promise<TradeBillSummary> {
  const reader = createReader();
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest = '';
  for await (const chunk of stream) {
    rest += decode(decoder, chunk);
    let start = 0;
    for (let end = rest.indexOf('\n'); end !== -1; end = rest.indexOf('\n', start)) {
      const row = reader.line(rest.slice(start, rest[end - 1] === '\r' ? end - 1 : end));
      start = end + 1;
      if (row !== undefined) {
        const waiting = onRow(row);
        if (waiting !== undefined) await waiting;
      }
    }
    rest = rest.slice(start);
    if (rest.length > maxLine_chars) throw new BillError('a line is longer than any bill’s');
  }
  rest += decode(decoder, undefined);
  if (rest !== '') reader.line(rest.replace(/\r$/, ''));
  return reader.end();
}

function decode(decoder: InstanceType<typeof TextDecoder>, chunk: Uint8Array | undefined): string {
  try {
    return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true });
  } catch (cause) {
    throw new BillError('the bill is not UTF-8', { cause });
  }
}

function createReader() {
  const summary: TradeBillSummary = {
    rows: 0,
    payments: 0,
    refunds: 0,
    payment_fen: 0,
    refund_fen: 0,
    fee_e5: 0,
    unknown_columns: [],
  };
  let columns: (keyof RawColumns | undefined)[] | undefined;
  let totals: string[] | undefined;
  let stage: 'header' | 'rows' | 'totals' | 'end' = 'header';
  let line_no = 0;

  const readHeader = (line: string): void => {
    const titles = line.replace(/^\uFEFF/, '').split(',');
    columns = titles.map((title) => columnNames[title.trim()]);
    summary.unknown_columns = titles.filter(
      (title) => columnNames[title.trim()] === undefined && !ignoredColumns.has(title.trim()),
    );
    const missing: string[] = neededColumns.filter((name) => !columns?.includes(name));
    if (!columns.includes('total') && !columns.includes('old_total')) missing.push('total');
    if (missing.length > 0) throw new BillError(`not a trade bill: no column for ${missing.join(', ')}`);
    stage = 'rows';
  };

  const readRow = (line: string): TradeBillRow => {
    const values = line.slice(1).split(',`');
    if (values.length !== columns?.length) {
      throw new BillError(`line ${line_no} has ${values.length} values under ${columns?.length} headers`);
    }
    const raw: Partial<RawColumns> = {};
    columns.forEach((name, index) => {
      if (name !== undefined) raw[name] = values[index] ?? '';
    });
    const zero = (value: string | undefined): string => (value === undefined || value === '0' ? '' : value);
    const out_refund_no = zero(raw.out_refund_no);
    const row: TradeBillRow = {
      trade_time: raw.trade_time ?? '',
      appid: raw.appid ?? '',
      mch_id: raw.mch_id ?? '',
      sub_mch_id: zero(raw.sub_mch_id),
      transaction_id: raw.transaction_id ?? '',
      out_trade_no: raw.out_trade_no ?? '',
      openid: raw.openid ?? '',
      trade_type: raw.trade_type ?? '',
      trade_state: raw.trade_state ?? '',
      bank_type: raw.bank_type ?? '',
      fee_type: raw.fee_type ?? '',
      refund_id: zero(raw.refund_id),
      out_refund_no,
      refund_state: raw.refund_state ?? '',
      total_fen: fen(raw.total ?? raw.old_total, line_no),
      refund_fen: fen(raw.applied_refund ?? raw.old_refund ?? '0', line_no),
      fee_e5: decimals(raw.fee, 5, line_no),
      rate: raw.rate ?? '',
    };
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
    line(line: string): TradeBillRow | undefined {
      line_no += 1;
      if (line === '') return undefined;
      if (stage === 'header') readHeader(line);
      else if (stage === 'rows' && line.startsWith('`')) return readRow(line);
      else if (stage === 'rows' && line.startsWith('总交易单数')) stage = 'totals';
      else if (stage === 'totals' && line.startsWith('`')) {
        totals = line.slice(1).split(',`');
        stage = 'end';
      } else throw new BillError(`line ${line_no} is no line of a bill`);
      return undefined;
    },
    /** The summary line is the bill's own check: a file cut short has none, or one that does not add up. */
    end(): TradeBillSummary {
      if (totals === undefined) throw new BillError('the bill ends without its summary');
      const [count = '', , , , fee = '', total, refund] = totals;
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
      return summary;
    },
  };
}

function fen(text: string | undefined, line_no: number): number {
  return decimals(text, 2, line_no);
}

/** `-0.0018` with 5 places → -180. Exact: digits are moved, nothing is multiplied. */
function decimals(text: string | undefined, places: number, line_no: number): number {
  const match = /^(-?)(\d{1,11})(?:\.(\d+))?$/.exec(text ?? '');
  const part = match?.[3] ?? '';
  if (match === null || /[1-9]/.test(part.slice(places))) {
    throw new BillError(`line ${line_no}: ${JSON.stringify(text)} is no amount`);
  }
  const value = Number(`${match[2]}${part.slice(0, places).padEnd(places, '0')}`);
  return match[1] === '-' && value !== 0 ? -value : value;
}
