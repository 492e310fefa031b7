/** One day's statement: both sides' totals, and every difference with both sides' evidence. */
import type { Metadata } from 'next';
import Link from 'next/link';
import { notFound } from 'next/navigation';
import {
  type DayBill,
  differenceFilter,
  formatE5,
  listDifferences,
  readDay,
  readSellers,
  type StatementDay,
} from '../../../../../lib/admin_statements.ts';
import { dayLookWords, differenceWords, problemInWords } from '../../../../../lib/admin_words.ts';
import { beijingDay, beijingText } from '../../../../../lib/beijing.ts';
import { context } from '../../../../../lib/context.ts';
import { readFundFlowDay } from '../../../../../lib/fund_flow.ts';
import { formatFen } from '../../../../../lib/money.ts';
import { sellerNames } from '../../../../../lib/sellers.ts';
import { Alert } from '../../../antd.client.ts';
import { requireOperator } from '../../../operator.ts';
import { Choice } from '../../choice.tsx';
import { addressOf, Paging } from '../../paging.tsx';
import { DayChip } from '../day_chip.client.tsx';
import { CompareAgain } from './compare_again.client.tsx';
import { Difference } from './difference.tsx';
import { FundFlow } from './fund_flow.tsx';
import { Sellers } from './sellers.tsx';

type Props = {
  params: Promise<{ date: string }>;
  searchParams: Promise<Record<string, string | string[] | undefined>>;
};

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  return { title: `对账 ${(await params).date.slice(0, 10)}` };
}

export default async function StatementPage({ params, searchParams }: Props) {
  const { date } = await params;
  const filter = differenceFilter.parse(await searchParams);
  const address = (query: typeof filter): string =>
    addressOf(`/admin/statements/${encodeURIComponent(date)}`, query);
  await requireOperator(address(filter));
  const ctx = context();
  const day = await readDay(ctx, date);
  if (day === undefined) notFound();
  const [{ rows, next, kinds }, shares, flow] = await Promise.all([
    listDifferences(ctx, date, filter),
    readSellers(ctx, date),
    readFundFlowDay(ctx, date),
  ]);
  const { show, kind } = filter;
  return (
    <main className="page">
      <nav aria-label="位置" className="crumbs">
        <Link href={`/admin/statements?month=${date.slice(0, 7)}`} prefetch={false}>
          对账
        </Link>
        <span aria-hidden>/</span>
        <span>{date}</span>
      </nav>
      <div className="order-head">
        <h1>{date}</h1>
        <DayChip look={day.look} text={dayLookWords[day.look]} />
        <Neighbours date={date} today={beijingDay(ctx.now())} />
      </div>
      <Totals day={day} early={ctx.now() < day.ready_at} />
      {shares.length === 0 ? null : <Sellers shares={shares} names={sellerNames(ctx.config)} />}
      {flow === undefined ? null : <FundFlow flow={flow} />}
      {day.differences === 0 ? null : (
        <section className="card" aria-labelledby="differences">
          <div className="card-head">
            <h2 id="differences">
              差异{' '}
              <small>
                共 {day.differences} 处，待处理 {day.open} 处
              </small>
            </h2>
            <fieldset className="choice-group">
              <legend>显示</legend>
              <Choice href={address({ kind })} chosen={show === undefined}>
                待处理
              </Choice>
              <Choice href={address({ show: 'all', kind })} chosen={show === 'all'}>
                全部
              </Choice>
            </fieldset>
          </div>
          <fieldset className="choice-group">
            <legend>种类</legend>
            <Choice href={address({ show })} chosen={kind === undefined}>
              全部
            </Choice>
            {kinds.map(({ kind: each, count }) => (
              <Choice key={each} href={address({ show, kind: each })} chosen={kind === each}>
                {differenceWords[each].title} {count}
              </Choice>
            ))}
          </fieldset>
          {rows.length === 0 ? (
            <p className="none">这里没有待处理的差异。</p>
          ) : (
            <ul className="differences">
              {rows.map((row) => (
                <Difference key={String(row.id)} row={row} />
              ))}
            </ul>
          )}
          <Paging
            first={filter.after === undefined ? undefined : address({ show, kind })}
            next={next === undefined ? undefined : address({ show, kind, after: next })}
          />
        </section>
      )}
    </main>
  );
}

function Neighbours({ date, today }: { date: string; today: string }) {
  const away = (days: number): string =>
    new Date(Date.parse(`${date}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
  return (
    <nav className="pages pages-end" aria-label="相邻的日子">
      <Link href={`/admin/statements/${away(-1)}`} prefetch={false} className="choice" rel="prev">
        前一天
      </Link>
      {away(1) > today ? null : (
        <Link href={`/admin/statements/${away(1)}`} prefetch={false} className="choice" rel="next">
          后一天
        </Link>
      )}
    </nav>
  );
}

function Totals({ day: { bill_date, bill, ready_at }, early }: { day: StatementDay; early: boolean }) {
  return (
    <section className="card" aria-labelledby="totals">
      <div className="card-head">
        <h2 id="totals">合计</h2>
        <CompareAgain date={bill_date} again={bill !== null} ready={early ? beijingText(ready_at) : null} />
      </div>
      {bill === null ? (
        <p className="none">
          {early ? `这一天的账单要到 ${beijingText(ready_at)}（北京时间）以后才有。` : '这一天还没有核对过。'}
        </p>
      ) : (
        <>
          {bill.problem === '' ? null : (
            <Alert
              type={bill.state === 'REFUSED' ? 'error' : 'warning'}
              showIcon
              title={bill.state === 'REFUSED' ? '这份账单没有采信' : '最近一次取账单的说明'}
              description={problemInWords(bill.problem)}
              data-testid="bill-problem"
            />
          )}
          {bill.compared_at === null ? null : <Both bill={bill} />}
          <p className="none">
            最近一次 {beijingText(bill.tried_at)}（北京时间），共 {bill.attempts} 次
            {bill.sha256 === null ? '' : `；账单 SHA-256 ${bill.sha256.slice(0, 16)}…，原件已留存`}
          </p>
        </>
      )}
    </section>
  );
}

function Both({ bill }: { bill: DayBill }) {
  return (
    <dl className="money">
      <Sum name="我方收款" testid="our-total" count={bill.our_payments}>
        {formatFen(bill.our_payment_fen)}
      </Sum>
      <Sum
        name="账单收款"
        testid="bill-total"
        count={bill.payments}
        bad={bill.payment_fen !== bill.our_payment_fen}
      >
        {formatFen(bill.payment_fen)}
      </Sum>
      <Sum name="账单退款" count={bill.refunds}>
        {formatFen(bill.refund_fen)}
      </Sum>
      <Sum name="手续费" testid="bill-fee">
        {formatE5(bill.fee_e5)}
      </Sum>
      <Sum name="由账单补记入账" testid="bill-settled">
        {bill.settled} 笔
      </Sum>
    </dl>
  );
}

function Sum({
  name,
  count,
  bad = false,
  testid,
  children,
}: {
  name: string;
  count?: number;
  bad?: boolean;
  testid?: string;
  children: React.ReactNode;
}) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className={bad ? 'bad' : undefined}>
        <span data-testid={testid}>{children}</span>
        {count === undefined ? null : <small className="below">{count.toLocaleString('en-US')} 笔</small>}
      </dd>
    </div>
  );
}
