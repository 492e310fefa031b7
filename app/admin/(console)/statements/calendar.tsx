/** A month at a glance: each day a link, coloured and signed by how its statement stands. */
import Link from 'next/link';
import type { StatementDay } from '../../../../lib/admin_statements.ts';
import { dayLookWords } from '../../../../lib/admin_words.ts';
import { formatFen } from '../../../../lib/money.ts';
import { DaySign } from './day_chip.client.tsx';

const weekdays = ['一', '二', '三', '四', '五', '六', '日'];

export function Calendar({ month, days }: { month: string; days: readonly StatementDay[] }) {
  const first = new Date(`${month}-01T00:00:00Z`);
  const length = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 0)).getUTCDate();
  const known = new Map(days.map((day) => [day.bill_date, day]));
  const dates = Array.from({ length }, (_, nth) => `${month}-${String(nth + 1).padStart(2, '0')}`);
  return (
    <div className="calendar" data-testid="calendar">
      <div className="calendar-week" aria-hidden>
        {weekdays.map((name) => (
          <span key={name}>{name}</span>
        ))}
      </div>
      <ol>
        {dates.map((date, nth) => {
          const day = known.get(date);
          return (
            <li key={date} style={nth === 0 ? { gridColumnStart: ((first.getUTCDay() + 6) % 7) + 1 } : {}}>
              {day === undefined ? (
                <span className="calendar-day calendar-later">{Number(date.slice(8))}</span>
              ) : (
                <Day day={day} />
              )}
            </li>
          );
        })}
      </ol>
    </div>
  );
}

function Day({ day: { bill_date, look, open, bill } }: { day: StatementDay }) {
  const words = look === 'different' ? `${open} 处差异` : dayLookWords[look];
  return (
    <Link
      href={`/admin/statements/${bill_date}`}
      prefetch={false}
      className={`calendar-day calendar-${look}`}
      data-look={look}
      data-testid={`day-${bill_date}`}
      title={`${bill_date} ${words}`}
    >
      <span className="calendar-number">{Number(bill_date.slice(8))}</span>
      <span className="calendar-look">
        <DaySign look={look} />
        <span className="calendar-words">{words}</span>
      </span>
      {bill === null || bill.payments === 0 ? null : (
        <span className="calendar-sum">{formatFen(bill.payment_fen)}</span>
      )}
    </Link>
  );
}
