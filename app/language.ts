/** The language of the page being drawn, as the proxy chose it: `?lang=`, a former choice, or the browser's. */
import { headers } from 'next/headers';
import { languageOf } from '../lib/http.ts';
import type { Language } from '../lib/words.ts';

export async function languageOfPage(): Promise<Language> {
  const sent = await headers();
  const chosen = sent.get('x-guitai-language');
  return chosen === 'zh' || chosen === 'en' ? chosen : languageOf({ headers: sent });
}
