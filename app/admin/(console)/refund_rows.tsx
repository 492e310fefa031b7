/** Refunds as a table, on their own page and on an order's; on a phone each is a card. */
import Link from 'next/link';
import type { RefundRow } from '../../../lib/admin_refunds.ts';
import { originWords, surplusWords } from '../../../lib/admin_words.ts';
import { abnormalRefundBanks } from '../../../lib/banks.ts';
import { beijingText } from '../../../lib/beijing.ts';
import { formatFen } from '../../../lib/money.ts';
import { openRefundStates } from '../../../lib/states.ts';
import { RefundChip } from '../chips.client.tsx';
import { Copy } from '../copy.client.tsx';
import { codeInWords } from '../refund_words.ts';
import { Abnormal } from './abnormal.client.tsx';
import { Follow } from './follow.client.tsx';

export function RefundRows({ refunds, showOrder }: { refunds: RefundRow[]; showOrder: boolean }) {
  const under_way = refunds.filter(({ state }) => openRefundStates.some((open) => open === state));
  return (
    <>
      <Follow under_way={under_way.map(({ out_refund_no, state }) => `${out_refund_no} ${state}`)} />
      <table className="rows refund-rows">
        <caption className="unseen">退款；时间为北京时间</caption>
        <thead>
          <tr>
            <th scope="col">
              申请时间<small>北京时间</small>
            </th>
            {showOrder ? <th scope="col">订单</th> : null}
            <th scope="col" className="number">
              金额
            </th>
            <th scope="col">状态</th>
            <th scope="col">原因与来源</th>
            <th scope="col">退款单号 / 微信退款单号</th>
          </tr>
        </thead>
        <tbody>
          {refunds.map((refund) => (
            <Row key={refund.out_refund_no} refund={refund} showOrder={showOrder} />
          ))}
        </tbody>
      </table>
    </>
  );
}

function Row({ refund, showOrder }: { refund: RefundRow; showOrder: boolean }) {
  const { out_refund_no, order_no, refund_id, refused_code, success_at, ended_at } = refund;
  return (
    <tr data-testid={`refund-row-${out_refund_no}`}>
      <td data-label="申请时间">
        <time dateTime={refund.created_at.toISOString()}>{beijingText(refund.created_at)}</time>
      </td>
      {showOrder ? (
        <td data-label="订单">
          <Link href={`/admin/orders/${order_no}`} prefetch={false} className="code short" title={order_no}>
            {order_no}
          </Link>
        </td>
      ) : null}
      <td data-label="金额" className="number">
        <span>
          {formatFen(refund.refund_fen)}
          {refund.refund_fen === refund.total_fen ? null : (
            <small className="below">共付 {formatFen(refund.total_fen)}</small>
          )}
        </span>
      </td>
      <td data-label="状态">
        <span>
          <RefundChip state={refund.state} />
          {refused_code === null ? null : <small className="below bad">{codeInWords(refused_code)}</small>}
          {refund.state !== 'ABNORMAL' ? null : refund.api_version === 'v3' ? (
            <Abnormal
              refund={{ out_refund_no, order_no, refund_fen: refund.refund_fen }}
              banks={abnormalRefundBanks}
            />
          ) : (
            <small className="below bad" data-testid="abnormal-v2">
              请到微信商户平台“交易中心”处理：v2 接口不能改退
            </small>
          )}
          {success_at === null ? null : (
            <small className="below">
              {beijingText(success_at)} 到账
              {refund.user_received_account === null ? '' : `，${refund.user_received_account}`}
            </small>
          )}
          {success_at !== null || ended_at === null ? null : (
            <small className="below">{beijingText(ended_at)} 结束</small>
          )}
        </span>
      </td>
      <td data-label="原因">
        <span>
          {refund.reason}
          <small className="below">{whoAsked(refund)}</small>
        </span>
      </td>
      <td data-label="单号">
        <span className="numbers">
          <LongNumber text={out_refund_no} what="退款单号" />
          {refund_id === null ? (
            <small className="below">微信还没有给出单号</small>
          ) : (
            <LongNumber text={refund_id} what="微信退款单号" />
          )}
        </span>
      </td>
    </tr>
  );
}

function whoAsked({ origin, requested_by, surplus }: RefundRow): string {
  const who = origin === 'operator' && requested_by !== null ? `${requested_by} 发起` : originWords[origin];
  const why = surplus === null ? undefined : surplusWords[surplus];
  return [who ?? origin, why].filter((part) => part !== undefined).join(' · ');
}

function LongNumber({ text, what }: { text: string; what: string }) {
  return (
    <span className="nowrap">
      <span className="code short" title={`${what} ${text}`}>
        {text}
      </span>
      <Copy text={text} what={what} />
    </span>
  );
}
