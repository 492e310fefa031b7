/**
 * Beijing time at the border and in front of people. China keeps one zone without summer time (UTC+8), so the
 * arithmetic is exact and needs no zone of the machine.
 */

const offset_ms = 8 * 3_600_000;

/** `2026-11-23 18:30:07` in Beijing, for people and for bills. */
export function beijingText(at: Date): string {
  return new Date(at.getTime() + offset_ms).toISOString().slice(0, 19).replace('T', ' ');
}

/** `2026-11-23` in Beijing: the day a bill calls it. */
export function beijingDay(at: Date): string {
  return beijingText(at).slice(0, 10);
}

/** The instant at which a Beijing day `YYYY-MM-DD` begins; undefined for no such day, or one before 2010 or after 2100. */
export function beijingDayStart(day: string): Date | undefined {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day) || day < '2010' || day >= '2101') return undefined;
  const at = new Date(`${day}T00:00:00+08:00`);
  return Number.isNaN(at.getTime()) || beijingDay(at) !== day ? undefined : at;
}
