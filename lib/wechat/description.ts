/**
 * Makes a text that WeChat takes as goods text or refund reason: WeChat counts bytes, and refuses emoji and control
 * characters. Cuts at character borders and never lengthens.
 */

/** WeChat prints both 127 and 128 as the limit of `body`/`description`; the smaller one is safe. */
export const MAX_DESCRIPTION_BYTES = 127;

/**
 * `text` with control characters and line breaks as blanks, 4-byte characters (emoji) removed, blanks run together,
 * and cut to `max_bytes` of UTF-8. `fallback` (商品, "goods") when nothing is left. Fitting twice changes nothing.
 */
export function fitDescription(text: string, max_bytes = MAX_DESCRIPTION_BYTES, fallback = '商品'): string {
  const plain = text
    .toWellFormed()
    .replace(/[\u{10000}-\u{10ffff}]|\ufe0f|\u200d|\ufffd/gu, '')
    .replace(/[\p{Cc}\s\p{Zl}\p{Zp}]+/gu, ' ')
    .trim();
  return cutToBytes(plain, max_bytes).trimEnd() || fallback;
}

function cutToBytes(text: string, max_bytes: number): string {
  let bytes = 0;
  let end = 0;
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > max_bytes) return text.slice(0, end);
    end += character.length;
  }
  return text;
}
