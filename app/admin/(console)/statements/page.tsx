/** A month of daily statements: which days agree with WeChat's bills, which do not, and by how much. */
import type { Metadata } from 'next';
import Link from 'next/link';
import {
  formatE5,
  monthAway,
  monthOf,
  readMonth,
  type StatementDay,
} from '../../../../lib/admin_statements.ts';
import { dayLookWords } from '../../../../lib/admin_words.ts';
import { beijingText } from '../../../../lib/beijing.ts';
import { context } from '../../../../lib/context.ts';
import { formatFen } from '../../../../lib/money.ts';
import { requireOperator } from '../../operator.ts';
import { Calendar } from './calendar.tsx';
import { DayChip } from './day_chip.client.tsx';

export const metadata: Metadata = { title: '对账' };

const address = (month: string): string => `/admin/statements?month=${month}`;

export default async function StatementsPage({
  searchParams,
}: {
  searchParams: Promise<Record<string, string | string[] | undefined>>;
}) {
  const ctx = context();
  const month = monthOf(ctx, (await searchParams).month);
  await requireOperator(address(month));
  const days = await readMonth(ctx, month);
  const later = monthAway(month, 1);
  return (
    <main className="page">
      <h1>对账</h1>
      <section className="card" aria-labelledby="month">
        <div className="card-head">
          <h2 id="month">{`${month.slice(0, 4)} 年 ${Number(month.slice(5))} 月`}</h2>
          <nav className="pages" aria-label="月份">
            <Link href={address(monthAway(month, -1))} prefetch={false} className="choice" rel="prev">
              上个月
            </Link>
            {later > monthOf(ctx, undefined) ? null : (
              <Link href={address(later)} prefetch={false} className="choice" rel="next">
                下个月
              </Link>
            )}
          </nav>
        </div>
        <Calendar month={month} days={days} />
        <p className="none">
          日期是北京时间的一天。微信在次日 10 点以后出账单，系统自动取来核对；点日期看详情，也可以重新核对。
        </p>
      </section>
      <Days days={days.filter(({ bill }) => bill !== null)} />
    </main>
  );
}

function Days({ days }: { days: StatementDay[] }) {
  if (days.length === 0) return null;
  return (
    <div className="sheet">
      <table className="rows statement-rows">
        <caption className="unseen">核对过的日子，新的在前</caption>
        <thead>
          <tr>
            <th scope="col">日期</th>
            <th scope="col">结果</th>
            <th scope="col" className="number">
              我方收款
            </th>
            <th scope="col" className="number">
              账单收款
            </th>
            <th scope="col" className="number">
              账单退款
            </th>
            <th scope="col" className="number">
              手续费
            </th>
            <th scope="col" className="number">
              账单补记
            </th>
            <th scope="col">
              核对于<small>北京时间</small>
            </th>
          </tr>
        </thead>
        <tbody>
          {days.map((day) => (
            <Row key={day.bill_date} day={day} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ day: { bill_date, look, open, bill } }: { day: StatementDay }) {
  if (bill === null) return null;
  const looked = bill.compared_at !== null;
  const equal = bill.payment_fen === bill.our_payment_fen;
  return (
    <tr data-testid={`statement-row-${bill_date}`}>
      <td data-label="日期">
        <Link href={`/admin/statements/${bill_date}`} prefetch={false} className="code">
          {bill_date}
        </Link>
      </td>
      <td data-label="结果">
        <DayChip look={look} text={`${dayLookWords[look]}${look === 'different' ? ` ${open}` : ''}`} />
      </td>
      <td data-label="我方收款" className="number">
        {looked ? <Sum fen={bill.our_payment_fen} count={bill.our_payments} /> : <Unknown />}
      </td>
      <td data-label="账单收款" className={equal ? 'number' : 'number bad'}>
        {looked ? <Sum fen={bill.payment_fen} count={bill.payments} /> : <Unknown />}
      </td>
      <td data-label="账单退款" className="number">
        {looked ? <Sum fen={bill.refund_fen} count={bill.refunds} /> : <Unknown />}
      </td>
      <td data-label="手续费" className="number">
        {looked ? formatE5(bill.fee_e5) : <Unknown />}
      </td>
      <td data-label="账单补记" className="number">
        {looked ? `${bill.settled} 笔` : <Unknown />}
      </td>
      <td data-label="核对于">
        {bill.compared_at === null ? (
          <span className="none">没有核对成</span>
        ) : (
          <time dateTime={bill.compared_at.toISOString()}>{beijingText(bill.compared_at)}</time>
        )}
      </td>
    </tr>
  );
}

function Sum({ fen, count }: { fen: number; count: number }) {
  return (
    <span>
      {formatFen(fen)}
      <small className="below">{count.toLocaleString('en-US')} 笔</small>
    </span>
  );
}

/** No bill was read, so there is nothing to add up; a zero would be a claim. */
function Unknown() {
  return <span className="none">–</span>;
}
