// Reads bill files from the rule alone, and moves a world to the morning when they are there.

import type { World } from './world.ts';

/** Today's `yyyyMMdd` on the world's clock. */
export async function beijingToday(w: World): Promise<string> {
  return (await w.control('GET', 'clock')).body.now.slice(0, 10).replaceAll('-', '');
}

/** Moves the clock to `hour` o'clock of the day after `bill_date`, in Beijing. */
export async function toMorningAfter(w: World, bill_date: string, hour = 10): Promise<void> {
  const [year, month, day] = [bill_date.slice(0, 4), bill_date.slice(4, 6), bill_date.slice(6, 8)];
  const target_ms = Date.parse(`${year}-${month}-${day}T00:00:00+08:00`) + (24 + hour) * 3600_000;
  const { now_ms } = (await w.control('GET', 'clock')).body;
  await w.advance(Math.max(0, Math.ceil((target_ms - now_ms) / 1000)));
}

/** Columns, rows by column and the summary of a bill's text. */
export function rowsOf(text: string) {
  const lines = text
    .replace(/^\ufeff/, '')
    .trimEnd()
    .split('\r\n');
  const columns = (lines[0] ?? '').split(',');
  const values = (line: string) => line.slice(1).split(',`');
  const named = (names: string[], line: string) =>
    Object.fromEntries(values(line).map((v, i) => [names[i] ?? `#${i}`, v]));
  const summary = named((lines.at(-2) ?? '').split(','), lines.at(-1) ?? '');
  return { columns, rows: lines.slice(1, -2).map((line) => named(columns, line)), summary };
}
