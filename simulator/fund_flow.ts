// The fund-flow bill of a merchant's basic account, from the ledger: what came in, what the fees took, what went
// back, with the balance after each. The other accounts are always empty here.

import { type Bill, billTime, type Row, yuan } from './bills.ts';
import { feeBackFen, feeFen } from './fees.ts';
import type { Platform } from './platform.ts';
import type { LedgerEntry } from './records.ts';
import { findRefund, refundsOf } from './refunds.ts';
import { orderKey } from './store.ts';
import { beijingDay } from './time.ts';

const DAY_MS = 24 * 3600 * 1000;

type Flow = {
  at_ms: number;
  name: string;
  kind: string;
  fen: number;
  number: string;
  note: string;
  voucher: string;
};

function flowsOf(platform: Platform, entry: LedgerEntry): Flow[] {
  if (entry.kind === 'payment') {
    const fee_fen = feeFen(entry.amount_fen);
    const shared = { at_ms: entry.at_ms, number: entry.transaction_id, voucher: entry.out_trade_no };
    const paid = { ...shared, name: '交易', kind: '交易', fen: entry.amount_fen, note: '' };
    const fee = { ...shared, name: '扣除交易手续费', kind: '扣除交易手续费', fen: -fee_fen, note: '' };
    return fee_fen === 0 ? [paid] : [paid, fee];
  }
  if (entry.kind === 'reversal') {
    const shared = { at_ms: entry.at_ms, number: entry.refund_id ?? '', voucher: entry.out_trade_no };
    const fen = feeFen(entry.amount_fen) - entry.amount_fen;
    return [{ ...shared, name: '退款', kind: '退款', fen, note: '撤销订单' }];
  }
  if (entry.kind !== 'refund') return packetFlow(entry);
  const refund = findRefund(platform, entry.mch_id, entry.out_refund_no ?? '');
  const order = platform.store.state.orders[orderKey(entry.mch_id, entry.out_trade_no)];
  if (refund === undefined || order === undefined)
    throw new Error(`ledger entry ${entry.entry_id} has no refund`);
  const back_fen = feeBackFen(refundsOf(platform, order), refund);
  return [
    {
      at_ms: entry.at_ms,
      name: '退款',
      kind: '退款',
      fen: back_fen - refund.refund_fen,
      number: refund.refund_id,
      note: `退款总金额${yuan(refund.refund_fen)}元;含手续费${yuan(back_fen)}元`,
      voucher: refund.out_refund_no,
    },
  ];
}

/** A red packet leaves the account whole and comes back with what nobody took; who opened it is not in here. */
function packetFlow(entry: LedgerEntry): Flow[] {
  if (entry.kind === 'redpack_claim') return [];
  const back = entry.kind === 'redpack_return';
  return [
    {
      at_ms: entry.at_ms,
      name: back ? '现金红包退款' : '现金红包',
      kind: back ? '现金红包退款' : '现金红包',
      fen: back ? entry.amount_fen : -entry.amount_fen,
      number: entry.transaction_id,
      note: '',
      voucher: entry.mch_billno ?? '',
    },
  ];
}

/** The fund flow of one Beijing day; undefined when nothing moved. */
export function fundFlow(platform: Platform, mch_id: string, from_ms: number): Bill | undefined {
  let balance_fen = 0;
  const rows: Row[] = [];
  const sums = { in_count: 0, in_fen: 0, out_count: 0, out_fen: 0 };
  for (const entry of platform.store.state.ledger.filter(
    (e) => e.mch_id === mch_id && e.sub_mch_id === undefined,
  )) {
    for (const [at, flow] of flowsOf(platform, entry).entries()) {
      balance_fen += flow.fen;
      if (flow.at_ms < from_ms || flow.at_ms >= from_ms + DAY_MS) continue;
      if (flow.fen >= 0) {
        sums.in_count += 1;
        sums.in_fen += flow.fen;
      } else {
        sums.out_count += 1;
        sums.out_fen -= flow.fen;
      }
      rows.push({
        记账时间: billTime(flow.at_ms),
        微信支付业务单号: flow.number,
        资金流水单号: `1000${beijingDay(flow.at_ms)}${String(entry.entry_id * 10 + at).padStart(20, '0')}`,
        业务名称: flow.name,
        业务类型: flow.kind,
        收支类型: flow.fen >= 0 ? '收入' : '支出',
        '收支金额(元)': yuan(Math.abs(flow.fen)),
        '账户结余(元)': yuan(balance_fen),
        资金变更提交申请人: flow.name === '退款' ? `${mch_id}API` : 'system',
        备注: flow.note,
        业务凭证号: flow.voucher,
      });
    }
  }
  const [first] = rows;
  if (first === undefined) return undefined;
  return {
    columns: Object.keys(first),
    rows,
    summary: {
      资金流水总笔数: String(rows.length),
      收入笔数: String(sums.in_count),
      收入金额: yuan(sums.in_fen),
      支出笔数: String(sums.out_count),
      支出金额: yuan(sums.out_fen),
    },
  };
}
