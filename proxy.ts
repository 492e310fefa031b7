/**
 * Two things for every page, before it is drawn: a fresh nonce with the content policy that names it, and the
 * language. It decides nothing about who may see what; that is asked where the data is read.
 */
import { type NextRequest, NextResponse } from 'next/server';
import { languageOf } from './lib/http.ts';

const development = process.env.NODE_ENV === 'development';

function policy(nonce: string): string {
  return [
    "default-src 'self'",
    // React's development build evaluates code to show server stacks; the production build does not.
    `script-src 'self' 'nonce-${nonce}' 'strict-dynamic'${development ? " 'unsafe-eval'" : ''}`,
    // The operator's console writes its styles at run time.
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self'",
    `connect-src 'self'${development ? ' ws:' : ''}`,
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ');
}

const languageCookie = 'guitai_lang';

export function proxy(request: NextRequest): NextResponse {
  const nonce = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('base64');
  const content_policy = policy(nonce);
  const asked = request.nextUrl.searchParams.get('lang');
  const chosen = [asked, request.cookies.get(languageCookie)?.value].find(
    (tag) => tag === 'zh' || tag === 'en',
  );

  const headers = new Headers(request.headers);
  headers.set('x-nonce', nonce);
  headers.set('x-guitai-language', chosen ?? languageOf(request));
  headers.set('Content-Security-Policy', content_policy);

  const response = NextResponse.next({ request: { headers } });
  response.headers.set('Content-Security-Policy', content_policy);
  response.headers.set('Cache-Control', 'private, no-store');
  if (asked === 'zh' || asked === 'en') {
    response.cookies.set(languageCookie, asked, { path: '/', maxAge: 365 * 86_400, sameSite: 'lax' });
  }
  return response;
}

export const config = {
  // Whole names: `/favicon.icon` is a page, if only one that says that nothing is there.
  matcher: ['/((?!api/|_next/static/|_next/image$|(?:icon\\.svg|robots\\.txt|favicon\\.ico)$).*)'],
};
