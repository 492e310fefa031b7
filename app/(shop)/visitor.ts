/**
 * Who is looking at a shopper's page and from where: User-Agent, language, session. The User-Agent only chooses
 * what is offered; what is shown and moved depends on the session alone.
 */
import { cookies, headers } from 'next/headers';
import { redirect } from 'next/navigation';
import { type Context, context } from '../../lib/context.ts';
import { readSession, type Session } from '../../lib/sessions.ts';
import { type Language, type Words, words } from '../../lib/words.ts';
import { languageOfPage } from '../language.ts';
import type { Place } from './pay/view.client.ts';

export interface Visitor {
  ctx: Context;
  place: Place;
  language: Language;
  words: Words;
  session: Session | undefined;
}

/** Order matters: a mini program's web-view and desktop WeChat name MicroMessenger too. */
export function placeOf(user_agent: string): Place {
  if (/MicroMessenger/i.test(user_agent)) {
    if (/miniProgram/i.test(user_agent)) return 'mini_program';
    return /WindowsWechat|MacWechat/i.test(user_agent) ? 'wechat_desktop' : 'wechat';
  }
  return /Android|iPhone|iPad|iPod|HarmonyOS|Mobile/i.test(user_agent) ? 'phone' : 'desktop';
}

export async function visitor(): Promise<Visitor> {
  const ctx = context();
  const language = await languageOfPage();
  const place = placeOf((await headers()).get('user-agent') ?? '');
  const session = await readSession(ctx, 'shopper', await cookies());
  return { ctx, place, language, words: words[language], session };
}

/** Inside WeChat a shopper is known by openid; who is not yet goes and comes back to `return_path`. */
export async function signedInVisitor(return_path: string): Promise<Visitor> {
  const found = await visitor();
  const inside = found.place === 'wechat' || found.place === 'wechat_desktop';
  if (inside && found.session?.openid == null) {
    redirect(`/api/wechat/oauth?return_to=${encodeURIComponent(return_path)}`);
  }
  return found;
}
