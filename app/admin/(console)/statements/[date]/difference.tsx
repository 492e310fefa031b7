/** One difference: what is wrong in words, our evidence beside the bill's, and what was said about it. */
import Link from 'next/link';
import {
  type DifferenceRow,
  type Evidence,
  type EvidencePair,
  evidenceOf,
  expectedFee,
  formatE5,
} from '../../../../../lib/admin_statements.ts';
import { differenceWords, evidenceWords, resolutionInWords } from '../../../../../lib/admin_words.ts';
import { beijingText } from '../../../../../lib/beijing.ts';
import { formatFen } from '../../../../../lib/money.ts';
import {
  type HeldRefundState,
  type HeldTradeState,
  refundStateLabels,
  tradeStateLabels,
} from '../../../../../lib/states.ts';
import { Tag } from '../../../antd.client.ts';
import { Copy } from '../../../copy.client.tsx';
import { Explain } from './explain.client.tsx';

export function Difference({ row }: { row: DifferenceRow }) {
  const { title, hint } = differenceWords[row.kind];
  const sums = row.kind === 'flow';
  const refund = !sums && row.out_trade_no !== row.subject;
  const open = row.resolved_at === null;
  const pairs = evidenceOf(row);
  return (
    <li className={open ? 'difference' : 'difference difference-over'} data-testid={`difference-${row.id}`}>
      <div className="difference-head">
        <Tag color={open ? 'error' : 'default'} className="chip">
          {title}
        </Tag>
        {sums ? (
          <span>{flowSubjectWords[row.subject] ?? row.subject}</span>
        ) : (
          <span className="nowrap">
            <span className="none">{refund ? '退款单号' : '商户单号'}</span>
            &nbsp;
            <span className="code">{row.subject}</span>
            <Copy text={row.subject} what="单号" />
          </span>
        )}
        {sums ? null : row.order_no === null ? (
          <span className="none">我方没有对应的订单</span>
        ) : (
          <Link href={`/admin/orders/${row.order_no}`} prefetch={false}>
            看订单
          </Link>
        )}
      </div>
      <table className="evidence">
        <thead>
          <tr>
            <th scope="col">
              <span className="unseen">内容</span>
            </th>
            <th scope="col">{sums ? '交易账单' : '我方'}</th>
            <th scope="col">{sums ? '资金账单' : '微信账单'}</th>
          </tr>
        </thead>
        <tbody>
          {pairs.map((pair, nth) => (
            <tr key={pair.field} className={disagrees(pair) ? 'differs' : undefined}>
              <th scope="row">
                {evidenceWords[pair.field]}
                {disagrees(pair) ? <span className="bad"> ≠</span> : null}
              </th>
              {sides.map((side) =>
                pairs.every((each) => each[side] === undefined) ? (
                  nth === 0 ? (
                    <td key={side} rowSpan={pairs.length} className="evidence-none">
                      没有这笔
                    </td>
                  ) : null
                ) : (
                  <td key={side}>
                    {side === 'ours' && pair.field === 'fee' && row.kind === 'fee' ? (
                      <Expected row={row} />
                    ) : (
                      inWords(pair, pair[side], refund)
                    )}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
      {open ? (
        <div className="difference-foot">
          <p className="none">{hint}</p>
          <Explain id={String(row.id)} title={title} subject={row.subject} />
        </div>
      ) : (
        <p className="difference-said" data-testid="difference-said">
          {row.resolved_by === 'bill' ? '由后来的账单消除' : `${row.resolved_by ?? ''} 已说明`}：
          {resolutionInWords(row.resolution ?? '')}{' '}
          {row.resolved_at === null ? null : <small>{beijingText(row.resolved_at)}</small>}
        </p>
      )}
    </li>
  );
}

const flowSubjectWords: Record<string, string> = {
  'fund flow payment': '收款合计',
  'fund flow refund': '退款合计（已扣退回的手续费）',
  'fund flow fee': '手续费合计',
};

const sides = ['ours', 'theirs'] as const;

function Expected({ row }: { row: DifferenceRow }) {
  const fee_e5 = expectedFee(row);
  return fee_e5 === undefined ? <span className="none">–</span> : <>按费率应为 {formatE5(fee_e5)}</>;
}

/** Times and fees are evidence, not what is compared here: a bill's second is not ours. */
function disagrees({ field, ours, theirs }: EvidencePair): boolean {
  if (ours === undefined || theirs === undefined || field === 'at' || field === 'fee') return false;
  if (field === 'state' && theirs === 'SUCCESS' && ours === 'REFUND') return false;
  return ours !== theirs;
}

function inWords({ field }: EvidencePair, value: Evidence, refund: boolean) {
  if (value === undefined) return <span className="none">–</span>;
  if (field === 'amount' || field === 'flow') return formatFen(Number(value));
  if (field === 'fee') return formatE5(Number(value));
  if (field === 'at') return beijingText(new Date(value));
  const text = String(value);
  if (field === 'state') {
    if (refund) {
      return Object.hasOwn(refundStateLabels, text) ? refundStateLabels[text as HeldRefundState].zh : text;
    }
    return Object.hasOwn(tradeStateLabels, text) ? tradeStateLabels[text as HeldTradeState].zh : text;
  }
  return <span className="code">{text}</span>;
}
