/**
 * Beijing time, which WeChat writes everywhere whatever zone the machine is in. China has had no summer time since
 * 1991, so it is UTC+8, always. Reads and writes WeChat's three spellings and nothing else.
 */

const BEIJING_OFFSET_MS = 8 * 60 * 60 * 1000;

/** There was no WeChat Pay before, and whoever reads this after has rewritten it: another year is a fault, not a time. */
const FIRST_YEAR = 2010;
const LAST_YEAR = 2100;

/** Whether anything of a payment can have happened in that year. */
export function isPaymentYear(year: number): boolean {
  return year >= FIRST_YEAR && year <= LAST_YEAR;
}

/** `20250704153000` (time_start, time_expire). */
export function formatCompactTime(at: Date): string {
  return beijingIso(at).slice(0, 19).replace(/\D/g, '');
}

/** `2025-07-04`: which day it is in Beijing. */
export function formatBeijingDate(at: Date): string {
  return beijingIso(at).slice(0, 10);
}

/** `20250704153000` (time_end) to a Date; undefined when it is no such time. */
export function parseCompactTime(text: string): Date | undefined {
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text);
  return parts === null ? undefined : fromParts(parts);
}

/** `2025-07-04 15:30:00` (refund_success_time, success_time, bills) to a Date; undefined when it is no such time. */
export function parseSpacedTime(text: string): Date | undefined {
  const parts = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)$/.exec(text);
  return parts === null ? undefined : fromParts(parts);
}

/** Whether `text` is a real day spelled `YYYY-MM-DD`. */
export function isDate(text: string): boolean {
  const parts = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text);
  return parts !== null && fromParts([...parts, '0', '0', '0']) !== undefined;
}

function beijingIso(at: Date): string {
  return new Date(at.getTime() + BEIJING_OFFSET_MS).toISOString();
}

function fromParts(parts: readonly string[]): Date | undefined {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1).map(Number);
  if (!isPaymentYear(year)) return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const beijing = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  const rolled_over = beijing.getUTCMonth() !== month - 1 || beijing.getUTCDate() !== day;
  return rolled_over ? undefined : new Date(beijing.getTime() - BEIJING_OFFSET_MS);
}
