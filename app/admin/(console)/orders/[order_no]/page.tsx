/** One order at its own address: money, trades with WeChat's word beside ours, and everything that happened. */

import type { Metadata } from 'next';
import Link from 'next/link';
import { notFound } from 'next/navigation';
import { readOrder } from '../../../../../lib/admin_orders.ts';
import { type OrderView, orderView } from '../../../../../lib/admin_views.ts';
import { surplusWords } from '../../../../../lib/admin_words.ts';
import { beijingText } from '../../../../../lib/beijing.ts';
import { context } from '../../../../../lib/context.ts';
import { formatFen } from '../../../../../lib/money.ts';
import { numberPattern } from '../../../../../lib/numbers.ts';
import { sellerNames } from '../../../../../lib/sellers.ts';
import { Alert } from '../../../antd.client.ts';
import { OrderChip } from '../../../chips.client.tsx';
import { Copy } from '../../../copy.client.tsx';
import { requireOperator } from '../../../operator.ts';
import { RefundRows } from '../../refund_rows.tsx';
import { Close } from './close.client.tsx';
import { OrderTimeline } from './order_timeline.tsx';
import { Requery } from './requery.client.tsx';
import { Trades } from './trades.tsx';

type Props = { params: Promise<{ order_no: string }> };

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  return { title: `订单 ${(await params).order_no.slice(0, 32)}` };
}

export default async function OrderPage({ params }: Props) {
  const { order_no } = await params;
  await requireOperator(`/admin/orders/${encodeURIComponent(order_no)}`);
  const read = numberPattern.test(order_no) ? await readOrder(context(), order_no) : undefined;
  if (read === undefined) notFound();
  const order = orderView(read);
  return (
    <main className="page">
      <nav aria-label="位置" className="crumbs">
        <Link href="/admin/orders" prefetch={false}>
          订单
        </Link>
        <span aria-hidden>/</span>
        <span>{order.title}</span>
      </nav>
      <div className="order-head">
        <h1 className="code">{order.order_no}</h1>
        <Copy text={order.order_no} what="订单号" />
        <OrderChip state={order.state} total_fen={order.money.total_fen} refunded_fen={order.refunded_fen} />
        <Link href={`/admin/audit?target=${order.order_no}`} prefetch={false} className="pages-end">
          操作记录
        </Link>
      </div>
      <Surplus order={order} />
      <div className="cards">
        <Money order={order} />
        <Facts order={order} />
      </div>
      <section className="card" aria-labelledby="trades">
        <div className="card-head">
          <h2 id="trades">支付单与微信对照</h2>
          <div className="actions">
            {order.trades.length === 0 ? null : <Requery order_no={order.order_no} />}
            <Close order_no={order.order_no} state={order.state} total_fen={order.money.total_fen} />
          </div>
        </div>
        <Trades order={order} sellers={sellerNames(context().config)} />
      </section>
      {order.refunds.length === 0 ? null : (
        <section className="card" aria-labelledby="refunds">
          <h2 id="refunds">
            退款 <small>北京时间，旧的在前</small>
          </h2>
          <RefundRows refunds={order.refunds} showOrder={false} />
        </section>
      )}
      <section className="card" aria-labelledby="timeline">
        <h2 id="timeline">
          时间线 <small>北京时间，旧的在前</small>
        </h2>
        <OrderTimeline items={order.timeline} />
      </section>
    </main>
  );
}

/** Money WeChat took beyond the order: loud while it is ours, quiet once it has gone back. */
function Surplus({ order }: { order: OrderView }) {
  const surplus = order.trades.filter((trade) => trade.surplus !== null);
  if (surplus.length === 0) return null;
  const sum = (fens: number[]): number => fens.reduce((total, fen) => total + fen, 0);
  const left_fen = sum(surplus.map(({ refundable }) => refundable.left_fen));
  const coming_fen = sum(surplus.map(({ refundable }) => refundable.refunding_fen));
  const all = `微信多收了 ${formatFen(order.money.surplus_fen)}`;
  const [type, title] =
    left_fen > 0
      ? (['error', `${all}，还有 ${formatFen(left_fen)} 应退还顾客`] as const)
      : coming_fen > 0
        ? (['warning', `${all}，${formatFen(coming_fen)} 正在退还`] as const)
        : (['success', `${all}，已全部退还`] as const);
  const reasons = surplus.map(
    (trade) =>
      `${surplusWords[trade.surplus ?? ''] ?? trade.surplus} ${formatFen(trade.total_fen)}（商户单号 ${trade.out_trade_no}）`,
  );
  return <Alert type={type} showIcon title={title} description={reasons.join('；')} data-testid="surplus" />;
}

function Money({ order }: { order: OrderView }) {
  const { money } = order;
  return (
    <section className="card" aria-labelledby="money">
      <h2 id="money">金额与商品</h2>
      <dl className="money">
        <div>
          <dt>应付</dt>
          <dd data-testid="money-total">{formatFen(money.total_fen)}</dd>
        </div>
        <div>
          <dt>已付</dt>
          <dd data-testid="money-paid" className={money.paid_fen > 0 ? 'good' : undefined}>
            {formatFen(money.paid_fen)}
          </dd>
        </div>
        <div>
          <dt>多收</dt>
          <dd data-testid="money-surplus" className={money.surplus_fen > 0 ? 'bad' : undefined}>
            {formatFen(money.surplus_fen)}
          </dd>
        </div>
        <div>
          <dt>已退</dt>
          <dd data-testid="money-refunded">{formatFen(money.refunded_fen)}</dd>
        </div>
        <div>
          <dt>退款中</dt>
          <dd data-testid="money-refunding" className={money.refunding_fen > 0 ? 'waiting' : undefined}>
            {formatFen(money.refunding_fen)}
          </dd>
        </div>
      </dl>
      <Items order={order} />
    </section>
  );
}

function Facts({ order }: { order: OrderView }) {
  return (
    <section className="card" aria-labelledby="facts">
      <h2 id="facts">
        经过 <small>北京时间</small>
      </h2>
      <dl className="facts">
        <Fact name="付款 openid">
          {order.openid === null ? (
            <span className="none">尚无微信账号</span>
          ) : (
            <span className="code" title="openid 只显示首尾">
              {order.openid}
            </span>
          )}
        </Fact>
        <Fact name="下单">
          <At at={order.created_at} />
        </Fact>
        <Fact name="支付期限">
          <At at={order.expires_at} />
        </Fact>
        <Fact name="支付">
          <At at={order.paid_at} />
        </Fact>
        <Fact name="交付">
          <At at={order.served_at} />
        </Fact>
        {order.closed_at === null ? null : (
          <Fact name="关闭">
            <At at={order.closed_at} />
          </Fact>
        )}
      </dl>
    </section>
  );
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function At({ at }: { at: Date | null }) {
  if (at === null) return <span className="none">–</span>;
  return <time dateTime={at.toISOString()}>{beijingText(at)}</time>;
}

function Items({ order }: { order: OrderView }) {
  return (
    <div className="scroll">
      <table className="plain">
        <thead>
          <tr>
            <th scope="col">商品</th>
            <th scope="col" className="number">
              单价
            </th>
            <th scope="col" className="number">
              数量
            </th>
            <th scope="col" className="number">
              小计
            </th>
          </tr>
        </thead>
        <tbody>
          {order.items.map(({ line, title, price_fen, quantity }) => (
            <tr key={line}>
              <td>{title}</td>
              <td className="number">{formatFen(price_fen)}</td>
              <td className="number">{quantity}</td>
              <td className="number">{formatFen(price_fen * quantity)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
