/** Today's charges of the counter with their sums; an undecided one can be gone on with. */
import Link from 'next/link';
import type { CounterDay, ShownCharge } from '../../../../lib/admin_counter.ts';
import { beijingText } from '../../../../lib/beijing.ts';
import { formatFen } from '../../../../lib/money.ts';
import { Tag } from '../../antd.client.ts';
import { wayInWords } from '../../way_words.ts';
import { Empty } from '../empty.tsx';
import { standingWords, type Tone } from './charge_view.ts';

const colours: Record<Tone, string> = {
  good: 'success',
  bad: 'error',
  waiting: 'processing',
  plain: 'default',
};

export function Today({ day }: { day: CounterDay }) {
  return (
    <section className="today" aria-label="今天的收款">
      <h2>今天的收款</h2>
      <dl className="totals" data-testid="counter-totals">
        <div>
          <dt>收款</dt>
          <dd>
            {day.paid} 笔 {formatFen(day.paid_fen)}
          </dd>
        </div>
        <div>
          <dt>已退</dt>
          <dd>{formatFen(day.refunded_fen)}</dd>
        </div>
        <div>
          <dt>还没有结果</dt>
          <dd data-testid="counter-undecided">{day.undecided} 笔</dd>
        </div>
      </dl>
      {day.charges.length === 0 ? (
        <Empty testid="no-charges">
          <p>今天还没有在柜台收款</p>
        </Empty>
      ) : (
        <div className="sheet">
          <table className="rows">
            <caption className="unseen">今天的柜台收款，最新的在前；时间为北京时间</caption>
            <thead>
              <tr>
                <th scope="col">
                  时间<small>北京时间</small>
                </th>
                <th scope="col" className="number">
                  金额
                </th>
                <th scope="col">结果</th>
                <th scope="col">说明</th>
                <th scope="col">订单</th>
              </tr>
            </thead>
            <tbody>
              {day.charges.map((charge) => (
                <Row key={charge.out_trade_no} charge={charge} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function Row({ charge }: { charge: ShownCharge }) {
  const { out_trade_no, order_no, standing, refused, next_poll_ms } = charge;
  const { title, tone } = standingWords[standing];
  return (
    <tr data-testid={`charge-row-${out_trade_no}`}>
      <td data-label="时间">
        <time dateTime={charge.created_at.toISOString()}>{beijingText(charge.created_at).slice(11)}</time>
      </td>
      <td data-label="金额" className="number">
        <span>
          {formatFen(charge.total_fen)}
          {charge.refunded_fen === 0 ? null : (
            <small className="below">已退 {formatFen(charge.refunded_fen)}</small>
          )}
        </span>
      </td>
      <td data-label="结果">
        <span>
          <Tag color={colours[tone]} className="chip" data-standing={standing}>
            {title}
          </Tag>
          {refused === null ? null : <small className="below bad">{refused.zh}</small>}
          {next_poll_ms === null ? null : (
            <small className="below">
              <Link href={`/admin/counter?charge=${out_trade_no}`} prefetch={false}>
                继续看这一笔
              </Link>
            </small>
          )}
        </span>
      </td>
      <td data-label="说明">
        <span>
          {charge.title}
          <small className="below">
            {wayInWords(charge.trade_type).word} · {charge.operator}
            {charge.seller === null ? '' : ` · ${charge.seller}`}
          </small>
        </span>
      </td>
      <td data-label="订单">
        <Link href={`/admin/orders/${order_no}`} prefetch={false} className="code short" title={order_no}>
          {order_no}
        </Link>
      </td>
    </tr>
  );
}
