/**
 * Who is shopping: WeChat's silent web authorisation. The state is ours, single-use and bound to the browser; the
 * way back is kept on our side; a code is exchanged once. Whatever goes wrong ends on a page with a button, never
 * in another redirect to WeChat.
 */
import { randomBytes } from 'node:crypto';
import { noteAccountFault, noteAccountWorks } from './account_faults.ts';
import type { Context } from './context.ts';
import { beginSession, readSession, type Session } from './sessions.ts';
import { limitCaller } from './tally.ts';
import { authorizeUrl, exchangeCode, OfficialAccountError } from './wechat/index.ts';

const stateLife_ms = 5 * 60_000;

/** Why signing in did not work; each has its sentence on the sign-in page. */
export const signInFaults = ['refused', 'expired', 'cookies', 'snapshot', 'unavailable'] as const;
export type SignInFault = (typeof signInFaults)[number];

/** Pages of ours one may return to; anything else becomes the shop. */
export function allowedReturnPath(path: string | null): string {
  if (path === null) return '/';
  return path === '/' || path === '/orders' || /^\/pay\/[0-9A-Z]{30}$/.test(path) ? path : '/';
}

/** `GET /api/wechat/oauth`: without `code` and `state` it starts, with them it is WeChat's way back. */
export async function oauth(ctx: Context, request: Request): Promise<Response> {
  const query = new URL(request.url).searchParams;
  const state = query.get('state');
  if (state === null) return start(ctx, request, allowedReturnPath(query.get('return_to')));
  return finish(ctx, request, state, query.get('code'));
}

async function start(ctx: Context, request: Request, return_path: string): Promise<Response> {
  const known = await readSession(ctx, 'shopper', request);
  if (known?.openid != null) return redirect(ctx, return_path);
  // From here on rows are written for somebody of whom nothing is known.
  await limitCaller(ctx, request.headers, 'sign_in');
  const headers = new Headers();
  let session: Session | undefined = known;
  if (session === undefined) {
    const begun = await beginSession(ctx, 'shopper');
    session = begun.session;
    headers.append('Set-Cookie', begun.set_cookie);
  }
  const state = randomBytes(16).toString('hex');
  await ctx.db.oauth_state.create({
    data: { state, session_id: session.id, return_path, created_at: ctx.now() },
    select: { state: true },
  });
  headers.set(
    'Location',
    authorizeUrl({
      open_base_url: ctx.config.WECHAT_OPEN_BASE_URL,
      appid: ctx.config.WECHAT_APPID,
      redirect_uri: `${ctx.config.PUBLIC_URL}/api/wechat/oauth`,
      scope: 'snsapi_base',
      state,
    }),
  );
  return found(headers);
}

async function finish(ctx: Context, request: Request, state: string, code: string | null): Promise<Response> {
  const session = await readSession(ctx, 'shopper', request);
  const kept = await takeState(ctx, state, session);
  if (kept === 'reused' && session?.openid != null) return redirect(ctx, '/');
  if (kept === 'cookies' || kept === 'reused' || kept === 'expired') {
    return signInPage(ctx, kept === 'cookies' ? 'cookies' : 'expired', '/');
  }
  const { return_path } = kept;
  if (code === null || !/^[A-Za-z0-9_-]{1,128}$/.test(code)) return signInPage(ctx, 'refused', return_path);
  try {
    const identity = await exchangeCode(
      {
        api_base_url: ctx.config.WECHAT_API_BASE_URL,
        appid: ctx.config.WECHAT_APPID,
        secret: ctx.config.WECHAT_APP_SECRET,
        code,
      },
      ctx.ports,
    );
    await noteAccountWorks(ctx, 'oauth');
    // A snapshot page shows a made-up user, from whom no payment may be taken.
    if (identity.is_snapshotuser) return signInPage(ctx, 'snapshot', return_path);
    const begun = await beginSession(ctx, 'shopper', { openid: identity.openid });
    return redirect(ctx, return_path, { 'Set-Cookie': begun.set_cookie });
  } catch (thrown) {
    if (!(thrown instanceof OfficialAccountError)) throw thrown;
    ctx.log.warn({ errcode: thrown.errcode, errmsg: thrown.message }, 'OAuth code not exchanged');
    const spent = thrown.errcode === 40029 || thrown.errcode === 40163 || thrown.errcode === 42003;
    // A reloaded page is nobody's trouble; anything else may keep every shopper out.
    if (!spent) await noteAccountFault(ctx, 'oauth', thrown);
    return signInPage(ctx, spent ? 'expired' : 'unavailable', return_path);
  }
}

/** Spends a state: it must be this browser's, young and unused; a guarded write lets it be spent once. */
async function takeState(
  ctx: Context,
  state: string,
  session: Session | undefined,
): Promise<{ return_path: string } | 'cookies' | 'reused' | 'expired'> {
  if (!/^[0-9a-f]{32}$/.test(state)) return 'expired';
  const row = await ctx.db.oauth_state.findUnique({ where: { state } });
  if (row === null) return 'expired';
  if (session === undefined) return 'cookies';
  if (row.used_at !== null) return 'reused';
  if (row.session_id !== session.id) return 'cookies';
  const now = ctx.now();
  if (now.getTime() - row.created_at.getTime() > stateLife_ms) return 'expired';
  const { count } = await ctx.db.oauth_state.updateMany({
    where: { state, used_at: null },
    data: { used_at: now },
  });
  return count === 1 ? { return_path: row.return_path } : 'reused';
}

function signInPage(ctx: Context, fault: SignInFault, return_path: string): Response {
  return redirect(ctx, `/signin?fault=${fault}&return_to=${encodeURIComponent(return_path)}`);
}

function redirect(ctx: Context, path: string, extra: Record<string, string> = {}): Response {
  return found(new Headers({ ...extra, Location: `${ctx.config.PUBLIC_URL}${path}` }));
}

function found(headers: Headers): Response {
  headers.set('Cache-Control', 'private, no-store');
  headers.set('Referrer-Policy', 'no-referrer');
  return new Response(null, { status: 302, headers });
}
