// What was asked, what was answered and why, in plain words, for whoever wonders why WeChat said no. It keeps the
// newest entries only.

import { beijingIso } from './time.ts';

export type LogEntry = {
  log_id: number;
  at_ms: number;
  at: string;
  kind: 'call' | 'bridge' | 'payer' | 'notify' | 'phone';
  method: string;
  path: string;
  request: string;
  status: number;
  answer: string;
  out_trade_no: string;
  /** WeChat's code or word; empty when all went well. */
  code: string;
  /** Why it was refused, in plain words; empty when it was not. */
  why: string;
  faults: string[];
};

export type Log = ReturnType<typeof createLog>;

/** A ring of `size` entries. */
export function createLog(size: number) {
  let entries: LogEntry[] = [];
  let count = 0;
  return {
    add(entry: Omit<LogEntry, 'log_id' | 'at'>): void {
      count += 1;
      entries.push({ log_id: count, at: beijingIso(entry.at_ms), ...entry });
      if (entries.length > size * 1.25) entries = entries.slice(-size);
    },
    /** Newest last; `since` is a log_id already seen. */
    read(filter: { since: number; limit: number; out_trade_no: string; path: string }): LogEntry[] {
      return entries
        .filter(
          (e) =>
            e.log_id > filter.since &&
            (filter.out_trade_no === '' || e.out_trade_no === filter.out_trade_no) &&
            (filter.path === '' || e.path === filter.path),
        )
        .slice(-filter.limit);
    },
    clear(): void {
      entries = [];
    },
  };
}
