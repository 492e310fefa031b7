/**
 * Reads a day's fund flow as it streams in and adds it up by business type and direction. It keeps no line. Like a trade
 * bill it is believed only when its own summary adds up, and columns are found by their names.
 *
 * Source: WeChat Pay, 下载资金账单 (v2) and 申请资金账单 (v3).
 */
import { BillError } from './trade_bill.ts';

export interface FundFlowSum {
  /** WeChat's 业务类型, as printed: 交易, 退款, 扣除交易手续费, … */
  kind: string;
  direction: 'income' | 'expense';
  count: number;
  fen: number;
}

export interface FundFlowSummary {
  rows: number;
  income_count: number;
  income_fen: number;
  expense_count: number;
  expense_fen: number;
  /** Sorted by kind, then direction. */
  sums: FundFlowSum[];
}

const directions = { 收入: 'income', 支出: 'expense' } as const;
const maxLine_chars = 16_384;
/** More kinds than WeChat will ever have; a file that is something else does not fill memory. */
const maxKinds = 500;

/** Throws BillError; the stream's own errors pass through. */
export async function readFundFlow(stream: AsyncIterable<Uint8Array>): Promise<FundFlowSummary> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const reader = createReader();
  let rest = '';
  for await (const chunk of stream) {
    rest += decoded(() => decoder.decode(chunk, { stream: true }));
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) reader.line(line);
    if (rest.length > maxLine_chars) throw new BillError('a line is longer than any bill’s');
  }
  reader.line(rest + decoded(() => decoder.decode()));
  return reader.end();
}

function decoded(decode: () => string): string {
  try {
    return decode();
  } catch (cause) {
    throw new BillError('the bill is not UTF-8', { cause });
  }
}

function createReader() {
  const sums = new Map<string, FundFlowSum>();
  let columns: { kind: number; direction: number; amount: number; count: number } | undefined;
  let totals: string[] | undefined;
  let stage: 'header' | 'rows' | 'totals' | 'end' = 'header';
  let line_no = 0;

  const readHeader = (line: string): void => {
    // The brackets of 收支金额(元) are full-width in some bills.
    const titles = line
      .replace(/^\uFEFF/, '')
      .replace(/（/g, '(')
      .replace(/）/g, ')')
      .split(',')
      .map((title) => title.trim());
    const at = {
      kind: titles.indexOf('业务类型'),
      direction: titles.indexOf('收支类型'),
      amount: titles.indexOf('收支金额(元)'),
      count: titles.length,
    };
    if (at.kind < 0 || at.direction < 0 || at.amount < 0) {
      throw new BillError('not a fund flow: no column for type, direction or amount');
    }
    columns = at;
    stage = 'rows';
  };

  const readRow = (line: string): void => {
    const values = line.slice(1).split(',`');
    if (columns === undefined || values.length !== columns.count) {
      throw new BillError(`line ${line_no} has ${values.length} values under ${columns?.count} headers`);
    }
    const said = values[columns.direction] ?? '';
    const direction = said === '收入' || said === '支出' ? directions[said] : undefined;
    if (direction === undefined) throw new BillError(`line ${line_no}: neither income nor expense`);
    const kind = (values[columns.kind] ?? '').slice(0, 64);
    const key = `${kind} ${direction}`;
    const sum = sums.get(key) ?? { kind, direction, count: 0, fen: 0 };
    sum.count += 1;
    sum.fen += fenOf(values[columns.amount], line_no);
    sums.set(key, sum);
    if (sums.size > maxKinds) throw new BillError('more business types than any fund flow has');
  };

  const total = (direction: FundFlowSum['direction']) =>
    [...sums.values()]
      .filter((sum) => sum.direction === direction)
      .reduce((all, { count, fen }) => ({ count: all.count + count, fen: all.fen + fen }), {
        count: 0,
        fen: 0,
      });

  return {
    line(raw: string): void {
      line_no += 1;
      const line = raw.replace(/\r$/, '');
      if (line === '') return;
      if (stage === 'header') readHeader(line);
      else if (stage === 'rows' && line.startsWith('`')) readRow(line);
      else if (stage === 'rows' && line.startsWith('资金流水总笔数')) stage = 'totals';
      else if (stage === 'totals' && line.startsWith('`')) {
        totals = line.slice(1).split(',`');
        stage = 'end';
      } else throw new BillError(`line ${line_no} is no line of a fund flow`);
    },
    end(): FundFlowSummary {
      if (totals === undefined) throw new BillError('the fund flow ends without its summary');
      const [income, expense] = [total('income'), total('expense')];
      const summary: FundFlowSummary = {
        rows: income.count + expense.count,
        income_count: income.count,
        income_fen: income.fen,
        expense_count: expense.count,
        expense_fen: expense.fen,
        sums: [...sums.values()].sort(
          (a, b) => a.kind.localeCompare(b.kind) || a.direction.localeCompare(b.direction),
        ),
      };
      const [rows, in_count, in_sum, out_count, out_sum] = totals;
      const says =
        Number(rows) === summary.rows &&
        Number(in_count) === income.count &&
        Number(out_count) === expense.count &&
        fenOf(in_sum, line_no) === income.fen &&
        fenOf(out_sum, line_no) === expense.fen;
      if (!says) throw new BillError('the fund flow does not add up to its own summary');
      return summary;
    },
  };
}

function fenOf(text: string | undefined, line_no: number): number {
  const [, whole = '', part = ''] = /^(\d{1,11})(?:\.(\d{1,2}))?$/.exec(text ?? '') ?? [];
  if (whole === '') throw new BillError(`line ${line_no}: ${JSON.stringify(text)} is no amount`);
  return Number(whole + part.padEnd(2, '0'));
}
