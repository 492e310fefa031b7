/**
 * RFC 3339 at the border: WeChat Pay v3 writes and reads `2026-09-10T08:26:40+08:00`. Refuses dates that do not
 * exist, which `Date.parse` would roll over, and years that no payment can have.
 */
import { isPaymentYear } from '../beijing_time.ts';

const RFC3339 =
  /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:Z|([+-])(\d{2}):(\d{2}))$/;
const BEIJING_OFFSET_MS = 8 * 3_600_000;

/** The instant, to the millisecond, or `undefined` when the text is not an RFC 3339 time. */
export function parseRfc3339(text: string): Date | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  if (!isPaymentYear(year)) return undefined;
  const local = new Date(0);
  local.setUTCFullYear(year, month - 1, day);
  local.setUTCHours(hour, minute, second, Number((match[7] ?? '').padEnd(3, '0').slice(0, 3)));
  // A field that overflowed into the next one shows in the text written back.
  if (local.toISOString().slice(0, 19) !== text.slice(0, 19)) return undefined;
  const offset_minutes = Number(match[9] ?? 0) * 60 + Number(match[10] ?? 0);
  if (offset_minutes >= 24 * 60 || Number(match[10] ?? 0) > 59) return undefined;
  const sign = match[8] === '-' ? -1 : 1;
  return new Date(local.getTime() - sign * offset_minutes * 60_000);
}

/** Beijing wall-clock time with its offset, whole seconds. */
export function formatRfc3339(at: Date): string {
  return `${new Date(at.getTime() + BEIJING_OFFSET_MS).toISOString().slice(0, 19)}+08:00`;
}
