/**
 * Fen in, fen out. Yuan exist only as text at the border; no float ever holds money.
 */

/** WeChat's largest amount: what fits a signed 32-bit integer. */
export const maxFen = 2_147_483_647;

export function isFen(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= maxFen;
}

/** 123456 → `1234.56`. Throws RangeError for anything that is not whole fen; negative is allowed (books, fees). */
export function fenToYuan(fen: number): string {
  if (!Number.isSafeInteger(fen)) throw new RangeError(`not whole fen: ${fen}`);
  const digits = String(Math.abs(fen)).padStart(3, '0');
  return `${fen < 0 ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** `¥1,234.56`, for people. */
export function formatFen(fen: number): string {
  const yuan = fenToYuan(fen);
  const sign = yuan.startsWith('-') ? '-' : '';
  const [whole = '0', part = '00'] = yuan.replace('-', '').split('.');
  return `${sign}¥${whole.replace(/\B(?=(\d{3})+$)/g, ',')}.${part}`;
}

/** `1元2角3分`, as a screen reader should say it. */
export function speakFen(fen: number): string {
  const [whole = '0', part = '00'] = fenToYuan(Math.abs(fen)).split('.');
  const jiao = part[0] === '0' ? '' : `${part[0]}角`;
  const fens = part[1] === '0' ? '' : `${part[1]}分`;
  return `${fen < 0 ? '负' : ''}${whole}元${jiao}${fens}`;
}

/**
 * `12.3` → 1230. Accepts up to two decimals, no sign, no blanks, no exponent; undefined for anything else or for
 * an amount outside 1…2³¹−1 fen.
 */
export function yuanToFen(text: string): number | undefined {
  const match = /^(\d{1,8})(?:\.(\d{1,2}))?$/.exec(text);
  if (!match) return undefined;
  const fen = Number(match[1]) * 100 + Number((match[2] ?? '').padEnd(2, '0') || '0');
  return isFen(fen) ? fen : undefined;
}
