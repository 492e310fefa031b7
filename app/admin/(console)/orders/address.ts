/** The order list's state is its address: how an address is made from a filter, and the Beijing days people ask for. */
import type { OrderFilter } from '../../../../lib/admin_orders.ts';
import { beijingDay, beijingDayStart } from '../../../../lib/beijing.ts';

const order = ['q', 'state', 'surplus', 'from', 'to', 'size', 'after'] as const;

/** The list under a filter with some of it changed; any change of the filter begins at the first page again. */
export function listAddress(
  filter: Partial<OrderFilter>,
  change: { [Name in keyof OrderFilter]?: OrderFilter[Name] | undefined } = {},
): string {
  const wanted: Partial<OrderFilter> = { ...filter, after: undefined, ...change };
  const query = new URLSearchParams();
  for (const name of order) {
    const value = wanted[name];
    if (value !== undefined && !(name === 'size' && value === 20)) query.set(name, String(value));
  }
  return query.size === 0 ? '/admin/orders' : `/admin/orders?${query}`;
}

export interface DayRange {
  title: string;
  from: string;
  to: string;
}

/** The usual ranges as Beijing days, both ends included. */
export function usualRanges(now: Date): DayRange[] {
  const today = beijingDay(now);
  const back = (days: number): string => {
    const start = beijingDayStart(today) ?? now;
    return beijingDay(new Date(start.getTime() - days * 86_400_000));
  };
  return [
    { title: '今天', from: today, to: today },
    { title: '昨天', from: back(1), to: back(1) },
    { title: '近7天', from: back(6), to: today },
    { title: '近30天', from: back(29), to: today },
    { title: '本月', from: `${today.slice(0, 8)}01`, to: today },
  ];
}
