/**
 * Two things for every page, before it is drawn: a fresh nonce with the content policy that names it, and the
 * language. And the files by which WeChat checks that a domain is ours, as they are configured. It decides nothing
 * about who may see what; that is asked where the data is read.
 */
import { type NextRequest, NextResponse } from 'next/server';
import { config as settings } from './lib/config.ts';
import { languageOf } from './lib/http.ts';

const development = process.env.NODE_ENV === 'development';

function policy(nonce: string): string {
  return [
    "default-src 'self'",
    // The JS-SDK is loaded by our own script; its address is for old engines, which do not know strict-dynamic.
    // React's development build evaluates code to show server stacks; the production build does not.
    `script-src 'self' ${new URL(settings().WECHAT_JS_SDK_URL).origin} 'nonce-${nonce}' 'strict-dynamic'${development ? " 'unsafe-eval'" : ''}`,
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

/** `/MP_verify_….txt` and its like: the configured content to the letter, or nothing. */
function domainFile(pathname: string): NextResponse | undefined {
  const name = /^\/([\w-]+\.txt)$/.exec(pathname)?.[1];
  if (name === undefined) return undefined;
  const files = settings().WECHAT_DOMAIN_FILES;
  const content = Object.hasOwn(files, name) ? files[name] : undefined;
  const headers = { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' };
  return new NextResponse(content ?? null, { status: content === undefined ? 404 : 200, headers });
}

export function proxy(request: NextRequest): NextResponse {
  const file = domainFile(request.nextUrl.pathname);
  if (file !== undefined) return file;
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
