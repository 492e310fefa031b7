/**
 * Trade bills as WeChat writes them (v2 and v3 print the same text), for tests of reading and comparing them. The
 * layout follows 下载交易账单: BOM, backticks, yuan, a summary that adds up unless told otherwise.
 */
import { beijingText } from '../../lib/beijing.ts';
import { fenToYuan } from '../../lib/money.ts';

export const allHeader =
  '交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注';
export const summaryHeader =
  '总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额';

export interface BillLine {
  at: Date;
  appid: string;
  mch_id: string;
  transaction_id: string;
  out_trade_no: string;
  openid: string;
  trade_state?: string;
  total_fen?: number;
  out_refund_no?: string;
  refund_id?: string;
  refund_fen?: number;
  refund_state?: string;
  /** Hundred-thousandths of a yuan; 0.60 % of the amount unless told. */
  fee_e5?: number;
  title?: string;
}

function e5(value: number): string {
  const digits = String(Math.abs(value)).padStart(6, '0');
  return `${value < 0 ? '-' : ''}${digits.slice(0, -5)}.${digits.slice(-5)}`;
}

const feeOf = (line: BillLine): number =>
  line.fee_e5 ?? Math.round(((line.total_fen ?? 0) - (line.refund_fen ?? 0)) * 6);

/** The whole text with BOM; `summary: false` cuts it off before the summary. */
export function billText(lines: readonly BillLine[], { summary = true } = {}): string {
  const rows = lines.map((line) => {
    const total = fenToYuan(line.total_fen ?? 0);
    const refund = fenToYuan(line.refund_fen ?? 0);
    const back = line.out_refund_no !== undefined;
    return [
      beijingText(line.at),
      line.appid,
      line.mch_id,
      '0',
      '',
      line.transaction_id,
      line.out_trade_no,
      line.openid,
      'JSAPI',
      line.trade_state ?? (back ? 'REFUND' : 'SUCCESS'),
      'OTHERS',
      'CNY',
      total,
      '0.00',
      line.refund_id ?? '0',
      line.out_refund_no ?? '0',
      refund,
      '0.00',
      back ? 'ORIGINAL' : '',
      back ? (line.refund_state ?? 'SUCCESS') : '',
      line.title ?? '商品, 带逗号',
      '',
      e5(feeOf(line)),
      '0.60%',
      total,
      refund,
      '',
    ]
      .map((value) => `\`${value}`)
      .join(',');
  });
  const sum = (pick: (line: BillLine) => number) => lines.reduce((total, line) => total + pick(line), 0);
  const total = fenToYuan(sum(({ total_fen = 0 }) => total_fen));
  const refund = fenToYuan(sum(({ refund_fen = 0 }) => refund_fen));
  const tail = [String(lines.length), total, refund, '0.00', e5(sum(feeOf)), total, refund];
  const end = summary ? [summaryHeader, tail.map((value) => `\`${value}`).join(',')] : [];
  return `\uFEFF${[allHeader, ...rows, ...end].join('\r\n')}\r\n`;
}

/** The text as a download would bring it, in pieces that cut lines and characters anywhere. */
export function billStream(text: string, piece_bytes = 4_093): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  let sent = 0;
  return new ReadableStream({
    pull(controller) {
      if (sent >= bytes.byteLength) return controller.close();
      controller.enqueue(bytes.subarray(sent, sent + piece_bytes));
      sent += piece_bytes;
    },
  });
}
