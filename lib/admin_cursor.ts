/** Where a page of the console's lists begins. An address that holds something else begins with the first page. */
import { z } from 'zod';

/** No list reaches beyond; neither does what a `Date` or PostgreSQL can hold. */
const latest_ms = Date.UTC(2101, 0, 1);

/** `milliseconds_key`: the instant and the key of the last row of the page before. */
export function cursor(key: string) {
  return z
    .string()
    .regex(new RegExp(`^\\d{1,16}_${key}$`))
    .refine((text) => Number(text.split('_', 1)[0]) < latest_ms)
    .optional()
    .catch(undefined);
}
