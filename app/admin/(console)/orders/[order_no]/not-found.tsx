/** An order number that we never gave out. */

import Link from 'next/link';
import { Result } from '../../../antd.client.ts';

export default function NoSuchOrder() {
  return (
    <main className="page">
      <Result
        status="warning"
        title={<h1>没有这个订单</h1>}
        subTitle="单号可能输错了；商户单号和微信单号请用列表上方的搜索。"
        extra={
          <Link href="/admin/orders" prefetch={false}>
            回到订单列表
          </Link>
        }
      />
    </main>
  );
}
