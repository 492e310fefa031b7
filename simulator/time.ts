// Beijing time as WeChat writes it, whatever zone this process runs in. It refuses impossible calendar dates.

const BEIJING_OFFSET_MS = 8 * 3600 * 1000;

/** `yyyyMMddHHmmss` in Beijing time, as in time_start, time_expire, time_end. */
export function beijing14(at_ms: number): string {
  return new Date(at_ms + BEIJING_OFFSET_MS).toISOString().slice(0, 19).replace(/[-T:]/g, '');
}

/** `yyyyMMdd` in Beijing time. */
export function beijingDay(at_ms: number): string {
  return beijing14(at_ms).slice(0, 8);
}

/** RFC 3339 with the +08:00 offset, as the control door and API v3 print it. */
export function beijingIso(at_ms: number): string {
  return `${new Date(at_ms + BEIJING_OFFSET_MS).toISOString().slice(0, 19)}+08:00`;
}

/** Milliseconds since the epoch of a `yyyyMMddHHmmss` Beijing time; undefined when it is not a real moment. */
export function parseBeijing14(text: string): number | undefined {
  const m = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})$/.exec(text);
  if (!m) return undefined;
  const [, y, mo, d, h, mi, s] = m;
  const at_ms = Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`) - BEIJING_OFFSET_MS;
  if (Number.isNaN(at_ms) || beijing14(at_ms) !== text) return undefined;
  return at_ms;
}
