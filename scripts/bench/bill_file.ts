// A day's trade bill of any size on disk, as WeChat sends it (gzip, BOM, backticks, a summary that adds up), and the
// same rows as a CSV for COPY. Written as a stream: a million rows need no memory.
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Account } from './messages.ts';
import type { Random } from './random.ts';

export interface BillFile {
  rows: number;
  bill_date: string;
  /** The bill, zipped. */
  gzip_path: string;
  /** The rows of `bill_line`, one a line. */
  csv_path: string;
  csv_bytes: number;
  payment_fen: number;
}

/** WeChat Pay, 下载交易账单: the header of a bill of all trades, and that of its last line. */
const header =
  '交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注';
const summary_header =
  '总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额';

const rows_a_write = 500;
/** Every tenth line is the refund of the payment before it. */
const refund_each = 10;

/** Writes both files into `dir`. */
export async function writeBill(
  dir: string,
  account: Account,
  random: Random,
  rows: number,
): Promise<BillFile> {
  const bill_date = '2026-11-22';
  const compact = bill_date.replaceAll('-', '');
  const gzip_path = join(dir, 'bill.csv.gz');
  const csv_path = join(dir, 'bill_line.csv');
  const gzip = createGzip({ level: 1 });
  const gzip_end = finished(gzip.pipe(createWriteStream(gzip_path)));
  const csv = createWriteStream(csv_path);
  const write = async (stream: NodeJS.WritableStream, text: string): Promise<void> => {
    if (!stream.write(text)) await once(stream, 'drain');
  };
  const sums = { payment_fen: 0, refund_fen: 0, fee_e5: 0 };
  let paid = { number: '', transaction_id: '', openid: '', fen: 0 };
  await write(gzip, `\uFEFF${header}\r\n`);
  for (let first = 0; first < rows; first += rows_a_write) {
    let bill_text = '';
    let csv_text = '';
    for (let at = first; at < Math.min(rows, first + rows_a_write); at += 1) {
      const is_refund = at % refund_each === refund_each - 1;
      if (!is_refund) {
        const number = String(at).padStart(10, '0');
        paid = {
          number: `${compact}${random.text(12, 'ABCDEFGHJKMNPQRSTVWXYZ0123456789')}${number}`,
          transaction_id: `4200${compact.slice(2)}${random.text(8, '0123456789')}${number}`,
          openid: `o${random.text(27, 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789')}`,
          fen: 1 + random.whole(99_999),
        };
      }
      const { fen } = paid;
      const fee_e5 = is_refund ? -fen * 6 : fen * 6;
      sums.fee_e5 += fee_e5;
      if (is_refund) sums.refund_fen += fen;
      else sums.payment_fen += fen;
      const time = `${bill_date} ${clock(Math.floor((at * 86_399) / rows))}`;
      const refund_id = is_refund ? `5030${paid.transaction_id.slice(4)}` : '0';
      const out_refund_no = is_refund ? `R${paid.number}` : '0';
      const total = is_refund ? '0.00' : yuan(fen);
      const back = is_refund ? yuan(fen) : '0.00';
      const state = is_refund ? 'REFUND' : 'SUCCESS';
      const refund_state = is_refund ? 'SUCCESS' : '';
      bill_text += `\`${time},\`${account.appid},\`${account.mch_id},\`0,\`,\`${paid.transaction_id},\`${paid.number},\`${paid.openid},\`JSAPI,\`${state},\`OTHERS,\`CNY,\`${total},\`0.00,\`${refund_id},\`${out_refund_no},\`${back},\`0.00,\`${is_refund ? 'ORIGINAL' : ''},\`${refund_state},\`柜台小店-测试商品,\`,\`${e5(fee_e5)},\`0.60%,\`${total},\`${back},\`\r\n`;
      csv_text += `${time}+08,${account.appid},${account.mch_id},"",${paid.transaction_id},${paid.number},${paid.openid},JSAPI,${state},OTHERS,CNY,${is_refund ? refund_id : '""'},${is_refund ? out_refund_no : '""'},${refund_state || '""'},${is_refund ? 0 : fen},${is_refund ? fen : 0},${fee_e5},0.60%\n`;
    }
    await write(gzip, bill_text);
    await write(csv, csv_text);
  }
  const total = yuan(sums.payment_fen);
  const refund = yuan(sums.refund_fen);
  gzip.end(
    `${summary_header}\r\n\`${rows},\`${total},\`${refund},\`0.00,\`${e5(sums.fee_e5)},\`${total},\`${refund}\r\n`,
  );
  csv.end();
  await Promise.all([gzip_end, finished(csv)]);
  const { size } = await stat(csv_path);
  return { rows, bill_date, gzip_path, csv_path, csv_bytes: size, payment_fen: sums.payment_fen };
}

function clock(second_of_day: number): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const minutes = Math.floor(second_of_day / 60);
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}:${two(second_of_day % 60)}`;
}

function yuan(fen: number): string {
  const digits = String(fen).padStart(3, '0');
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

function e5(value: number): string {
  const digits = String(Math.abs(value)).padStart(6, '0');
  return `${value < 0 ? '-' : ''}${digits.slice(0, -5)}.${digits.slice(-5)}`;
}
