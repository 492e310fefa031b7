/** Puts values into the sentences of the dictionaries. Light enough for the browser; it escapes nothing. */

/** `fill('共 {count} 件', { count: 2 })` → `共 2 件`; a name without a value stays as it is. */
export function fill(sentence: string, values: Record<string, string | number>): string {
  return sentence.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : String(value);
  });
}
