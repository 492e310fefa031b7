/** The list itself with its totals and its way on: read here, so that the filter stands before it arrives. */

import Link from 'next/link';
import { type ListedOrder, listOrders, type OrderFilter } from '../../../../lib/admin_orders.ts';
import { beijingText } from '../../../../lib/beijing.ts';
import { context } from '../../../../lib/context.ts';
import { formatFen } from '../../../../lib/money.ts';
import { InboxOutlined } from '../../antd.client.ts';
import { OrderChip, SurplusChip } from '../../chips.client.tsx';
import { Copy } from '../../copy.client.tsx';
import { wayInWords } from '../../way_words.ts';
import { Back } from '../back.client.tsx';
import { listAddress } from './address.ts';

export async function OrderList({ filter }: { filter: OrderFilter }) {
  const page = await listOrders(context(), filter);
  if (page.orders.length === 0) return <NoOrders filter={filter} />;
  const count = page.count.toLocaleString('en-US');
  return (
    <>
      <dl className="totals" aria-label="合计">
        <div>
          <dt>符合条件</dt>
          <dd data-testid="total-count">
            {count}
            {page.count_is_capped ? '+' : ''} 笔
          </dd>
        </div>
        <div>
          <dt>已付款</dt>
          <dd data-testid="total-paid">{formatFen(page.paid_fen)}</dd>
        </div>
        <div>
          <dt>多收款</dt>
          <dd data-testid="total-surplus" className={page.surplus_fen > 0 ? 'bad' : undefined}>
            {formatFen(page.surplus_fen)}
          </dd>
        </div>
        {page.count_is_capped ? <p>金额只合计最近的 {count} 笔；缩小日期范围可得到完整合计</p> : null}
      </dl>
      <div className="sheet">
        <table className="orders">
          <caption className="unseen">订单，新的在前；时间为北京时间</caption>
          <thead>
            <tr>
              <th scope="col">
                下单时间<small>北京时间</small>
              </th>
              <th scope="col">订单号</th>
              <th scope="col">商品</th>
              <th scope="col" className="number">
                金额
              </th>
              <th scope="col">状态</th>
              <th scope="col">微信单号</th>
              <th scope="col">方式</th>
              <th scope="col">交付</th>
            </tr>
          </thead>
          <tbody>
            {page.orders.map((order) => (
              <Row key={order.order_no} order={order} />
            ))}
          </tbody>
        </table>
      </div>
      <Pages filter={filter} next={page.next} />
    </>
  );
}

function Row({ order }: { order: ListedOrder }) {
  const { order_no, transaction_id, trade_type, api_version, appid, served_at } = order;
  return (
    <tr data-testid={`order-row-${order_no}`}>
      <td className="cell-time">
        <time dateTime={order.created_at.toISOString()} title="北京时间">
          {beijingText(order.created_at)}
        </time>
      </td>
      <td className="cell-number" data-label="订单号">
        <span className="nowrap">
          <Link
            href={`/admin/orders/${order_no}`}
            prefetch={false}
            data-row
            className="code"
            title={order_no}
          >
            {order_no}
          </Link>
          <Copy text={order_no} what="订单号" />
        </span>
      </td>
      <td className="cell-title" title={order.title}>
        {goodsOf(order.title)}
      </td>
      <td className="cell-amount number">{formatFen(order.total_fen)}</td>
      <td className="cell-state">
        <OrderChip state={order.state} total_fen={order.total_fen} refunded_fen={order.refunded_fen} narrow />
        {order.surplus_fen > 0 ? <SurplusChip fen={order.surplus_fen} /> : null}
      </td>
      <td className="cell-wechat" data-label="微信单号">
        {transaction_id === null ? (
          <span className="none">–</span>
        ) : (
          <span className="nowrap">
            <span className="code" title={transaction_id}>
              {transaction_id}
            </span>
            <Copy text={transaction_id} what="微信单号" />
          </span>
        )}
      </td>
      <td className="cell-way" data-label="方式">
        {trade_type === null ? (
          <span className="none">未发起</span>
        ) : (
          <span title={`${trade_type} ${api_version ?? ''}`}>
            {wayInWords(trade_type, appid, context().config.WECHAT_MINI_APPID).word}{' '}
            <small>{api_version}</small>
          </span>
        )}
      </td>
      <td className="cell-served" data-label="交付">
        {served_at === null ? (
          <span className="none">未交付</span>
        ) : (
          <time dateTime={served_at.toISOString()} title={`${beijingText(served_at)} 北京时间`}>
            已交付
          </time>
        )}
      </td>
    </tr>
  );
}

/** The title as WeChat's bill has it begins with the shop's name, which every row would repeat. */
function goodsOf(title: string): string {
  const shop = `${context().config.SHOP_NAME}-`;
  return title.startsWith(shop) ? title.slice(shop.length) : title;
}

function Pages({ filter, next }: { filter: OrderFilter; next: string | undefined }) {
  return (
    <nav className="pages" aria-label="翻页">
      <span className="pages-size">
        每页
        {([20, 50, 100] as const).map((size) => (
          <Link
            key={size}
            href={listAddress(filter, { size })}
            prefetch={false}
            className="choice"
            aria-current={filter.size === size ? 'true' : undefined}
          >
            {size}
          </Link>
        ))}
        条
      </span>
      {filter.after === undefined ? null : (
        <>
          <Link href={listAddress(filter)} prefetch={false} className="choice" data-testid="page-first">
            回到第一页
          </Link>
          <Back />
        </>
      )}
      {next === undefined ? (
        <span className="none">已到最后</span>
      ) : (
        <Link
          href={listAddress(filter, { after: next })}
          prefetch={false}
          className="choice"
          rel="next"
          data-testid="page-next"
        >
          下一页
        </Link>
      )}
    </nav>
  );
}

function NoOrders({ filter }: { filter: OrderFilter }) {
  const { size: _, ...narrowing } = filter;
  const narrowed = Object.values(narrowing).some((value) => value !== undefined);
  return (
    <div className="sheet sheet-empty" data-testid="no-orders">
      <InboxOutlined aria-hidden />
      <p>{narrowed ? '没有符合条件的订单' : '还没有订单：顾客在微信里下单后会出现在这里'}</p>
      {narrowed ? (
        <Link href="/admin/orders" prefetch={false}>
          清除所有条件
        </Link>
      ) : null}
    </div>
  );
}
