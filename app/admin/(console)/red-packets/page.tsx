/** Cash red packets: a form with a second step, what the day's limit leaves, and what became of the latest ones. */
import type { Metadata } from 'next';
import Link from 'next/link';
import { listRedPackets, type ShownRedPacket } from '../../../../lib/admin_counter.ts';
import { beijingText } from '../../../../lib/beijing.ts';
import { context } from '../../../../lib/context.ts';
import { formatFen } from '../../../../lib/money.ts';
import { openRedPacketStates, type RedPacketState, redPacketStateLabels } from '../../../../lib/states.ts';
import { Tag } from '../../antd.client.ts';
import { requireOperator } from '../../operator.ts';
import { Empty } from '../empty.tsx';
import { Follow } from '../follow.client.tsx';
import './red_packets.css';
import { SendRedPacket } from './send.client.tsx';

export const metadata: Metadata = { title: '红包' };

export default async function RedPacketsPage() {
  await requireOperator('/admin/red-packets');
  const { packets, left_fen, limit_fen } = await listRedPackets(context());
  const under_way = packets.filter(({ state }) => openRedPacketStates.some((open) => open === state));
  return (
    <main className="page">
      <h1>红包</h1>
      <Follow under_way={under_way.map(({ mch_billno, state }) => `${mch_billno} ${state}`)} />
      {limit_fen === 0 ? (
        <Empty testid="packets-not-opened">
          <p>还没有开通：在设置 RED_PACKET_DAILY_LIMIT_FEN 里写明每天最多发多少分</p>
        </Empty>
      ) : (
        <>
          <dl className="totals" data-testid="packet-limit">
            <div>
              <dt>今天还可发</dt>
              <dd>{formatFen(left_fen)}</dd>
            </div>
            <div>
              <dt>每天</dt>
              <dd>{formatFen(limit_fen)}</dd>
            </div>
          </dl>
          <SendRedPacket left_fen={left_fen} />
        </>
      )}
      {packets.length === 0 ? (
        <Empty testid="no-packets">
          <p>还没有发过红包</p>
        </Empty>
      ) : (
        <div className="sheet">
          <table className="rows">
            <caption className="unseen">红包，最新的在前；时间为北京时间</caption>
            <thead>
              <tr>
                <th scope="col">
                  时间<small>北京时间</small>
                </th>
                <th scope="col" className="number">
                  金额
                </th>
                <th scope="col">状态</th>
                <th scope="col">收红包的人</th>
                <th scope="col">活动</th>
                <th scope="col">红包单号</th>
              </tr>
            </thead>
            <tbody>
              {packets.map((packet) => (
                <Row key={packet.mch_billno} packet={packet} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </main>
  );
}

const colours: Record<RedPacketState, string> = {
  REQUESTED: 'warning',
  SENDING: 'processing',
  SENT: 'processing',
  RECEIVED: 'success',
  RFUND_ING: 'warning',
  REFUND: 'default',
  FAILED: 'error',
  REFUSED: 'error',
};

function Row({ packet }: { packet: ShownRedPacket }) {
  const { mch_billno, order_no, state, refused, reason, taken_fen, taken_num, refund_fen } = packet;
  return (
    <tr data-testid={`packet-row-${mch_billno}`}>
      <td data-label="时间">
        <time dateTime={packet.created_at.toISOString()}>{beijingText(packet.created_at)}</time>
      </td>
      <td data-label="金额" className="number">
        <span>
          {formatFen(packet.total_fen)}
          {packet.total_num === 1 ? null : <small className="below">{packet.total_num} 人分</small>}
        </span>
      </td>
      <td data-label="状态">
        <span>
          <Tag color={colours[state]} className="chip" data-testid="packet-state" data-state={state}>
            {redPacketStateLabels[state].zh}
          </Tag>
          {refused === null ? null : (
            <small className="below bad">
              {refused.zh} <span lang="en">{refused.en}</span>
            </small>
          )}
          {reason === null ? null : <small className="below">{reason}</small>}
          {taken_num === 0 ? null : (
            <small className="below">
              {taken_num} 人领了 {formatFen(taken_fen)}
            </small>
          )}
          {refund_fen === 0 ? null : <small className="below">退回 {formatFen(refund_fen)}</small>}
        </span>
      </td>
      <td data-label="收红包的人">
        <span>
          <span className="code">{packet.openid}</span>
          {order_no === null ? null : (
            <small className="below">
              <Link href={`/admin/orders/${order_no}`} prefetch={false}>
                订单的买家
              </Link>
            </small>
          )}
        </span>
      </td>
      <td data-label="活动">
        <span>
          {packet.act_name}
          <small className="below">
            {packet.wishing} · {packet.operator}
          </small>
        </span>
      </td>
      <td data-label="红包单号">
        <span className="code short" title={mch_billno}>
          {mch_billno}
        </span>
      </td>
    </tr>
  );
}
