/** Every refund, newest first; the address is the whole state of the list. */
import type { Metadata } from 'next';
import Link from 'next/link';
import { listRefunds, refundFilter } from '../../../../lib/admin_refunds.ts';
import { context } from '../../../../lib/context.ts';
import { refundStateLabels, refundStates } from '../../../../lib/states.ts';
import { requireOperator } from '../../operator.ts';
import { Choice } from '../choice.tsx';
import { Empty } from '../empty.tsx';
import { addressOf, Paging } from '../paging.tsx';
import { RefundRows } from '../refund_rows.tsx';

export const metadata: Metadata = { title: '退款' };

const address = (query: Record<string, string | undefined>): string => addressOf('/admin/refunds', query);

export default async function RefundsPage({
  searchParams,
}: {
  searchParams: Promise<Record<string, string | string[] | undefined>>;
}) {
  const { state, after } = refundFilter.parse(await searchParams);
  await requireOperator(address({ state, after }));
  const { refunds, next } = await listRefunds(context(), { state, after });
  return (
    <main className="page">
      <h1>退款</h1>
      <section className="filters" aria-label="筛选">
        <div className="choices">
          <fieldset className="choice-group">
            <legend>状态</legend>
            <Choice href={address({})} chosen={state === undefined}>
              全部
            </Choice>
            {refundStates.map((each) => (
              <Choice key={each} href={address({ state: each })} chosen={state === each}>
                {refundStateLabels[each].zh}
              </Choice>
            ))}
          </fieldset>
        </div>
        <p className="none">
          要按单号找：在
          <Link href="/admin/orders" prefetch={false}>
            订单列表
          </Link>
          的搜索框输入退款单号或微信退款单号（可只输开头）。
        </p>
      </section>
      {refunds.length === 0 ? (
        <Empty testid="no-refunds">
          <p>{state === undefined ? '还没有退款：在订单页可以发起' : '没有这个状态的退款'}</p>
        </Empty>
      ) : (
        <div className="sheet">
          <RefundRows refunds={refunds} showOrder />
        </div>
      )}
      <Paging
        first={after === undefined ? undefined : address({ state })}
        next={next === undefined ? undefined : address({ state, after: next })}
      />
    </main>
  );
}
