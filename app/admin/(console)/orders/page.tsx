/** The order list. The address is its whole state; who may see it is asked before anything is sent. */

import type { Metadata } from 'next';
import { Suspense } from 'react';
import { orderFilter } from '../../../../lib/admin_orders.ts';
import { context } from '../../../../lib/context.ts';
import { Alert } from '../../antd.client.ts';
import { requireOperator } from '../../operator.ts';
import { listAddress } from './address.ts';
import { Filters } from './filters.tsx';
import { OrderList } from './list.tsx';
import { Waiting } from './waiting.tsx';

export const metadata: Metadata = { title: '订单' };

export default async function OrdersPage({
  searchParams,
}: {
  searchParams: Promise<Record<string, string | string[] | undefined>>;
}) {
  const asked = await searchParams;
  const filter = orderFilter.parse(asked);
  const address = listAddress(filter, { after: filter.after });
  await requireOperator(address);
  const unusable = typeof asked.q === 'string' && asked.q.trim() !== '' && filter.q === undefined;
  return (
    <main className="page">
      <h1>订单</h1>
      <Filters filter={filter} now={context().now()} />
      {unusable ? (
        <Alert
          type="warning"
          showIcon
          title={`没有按“${String(asked.q).trim().slice(0, 64)}”搜索：单号至少输入 4 位，只含字母、数字、-、_、*`}
        />
      ) : null}
      <Suspense key={address} fallback={<Waiting />}>
        <OrderList filter={filter} />
      </Suspense>
    </main>
  );
}
