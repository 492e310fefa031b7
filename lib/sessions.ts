/**
 * Signed-in browsers. The cookie carries one random key and nothing else; what it means stands in a row, so that
 * signing out ends every copy of the cookie. Shoppers and operators have different cookies and different rows.
 */
import { createHash, randomBytes } from 'node:crypto';
import { getIronSession, type SessionOptions } from 'iron-session';
import { type Config, isSecure, sessionPasswords } from './config.ts';
import type { Context } from './context.ts';

/** Kinds with a cookie of their own. */
export type CookieKind = 'shopper' | 'admin';
/** `mini`: a mini-program, which carries its key itself; `app`: an APP's server, which has a key instead of a row. */
export type SessionKind = CookieKind | 'mini' | 'app';

export interface Session {
  id: string;
  kind: SessionKind;
  openid: string | null;
  admin_id: string | null;
}

export const sessionLife_s: Record<CookieKind | 'mini', number> = {
  shopper: 30 * 86_400,
  admin: 8 * 3_600,
  mini: 86_400,
};

interface Cookie {
  key?: string;
}

/** Anything a cookie can be read from: a request, or Next's `cookies()`. */
export type CookieSource = Request | { get(name: string): { name: string; value: string } | undefined };

/**
 * The name of a cookie of ours. Over https it binds the cookie to this very host: a browser takes a `__Host-` cookie
 * only over https and from the host itself, so neither a neighbouring subdomain nor a plain connection can plant one.
 */
export function cookieName(config: Config, name: string): string {
  return isSecure(config) ? `__Host-${name}` : name;
}

function cookieOptions(config: Config, kind: CookieKind): SessionOptions {
  return {
    cookieName: cookieName(config, kind === 'admin' ? 'guitai_admin' : 'guitai_shopper'),
    password: sessionPasswords(config.SESSION_PASSWORD),
    ttl: sessionLife_s[kind],
    cookieOptions: {
      httpOnly: true,
      secure: isSecure(config),
      sameSite: kind === 'admin' ? 'strict' : 'lax',
      path: '/',
    },
  };
}

const rowId = (key: string): string => createHash('sha256').update(key).digest('hex');

async function openCookie(ctx: Context, kind: CookieKind, source: CookieSource) {
  const options = cookieOptions(ctx.config, kind);
  if (source instanceof Request) return getIronSession<Cookie>(source, new Response(), options);
  const store = { get: (name: string) => source.get(name), set: () => undefined };
  return getIronSession<Cookie>(store, options);
}

/** The session a browser brings, if its row is alive; every caller that shows or moves anything asks this. */
export async function readSession(
  ctx: Context,
  kind: CookieKind,
  source: CookieSource,
): Promise<Session | undefined> {
  const { key } = await openCookie(ctx, kind, source);
  return typeof key === 'string' ? readKey(ctx, kind, key) : undefined;
}

/** The session of a key that its holder carries itself. */
export async function readKey(
  ctx: Context,
  kind: CookieKind | 'mini',
  key: string,
): Promise<Session | undefined> {
  const row = await ctx.db.session.findUnique({ where: { id: rowId(key) } });
  if (row === null || row.kind !== kind || row.ended_at !== null || row.expires_at <= ctx.now()) {
    return undefined;
  }
  return { id: row.id, kind, openid: row.openid, admin_id: row.admin_id };
}

export interface NewSession {
  session: Session;
  /** The `Set-Cookie` header that carries it. */
  set_cookie: string;
}

/** Begins a session under a new key; signing in always does, so a key planted beforehand is worth nothing. */
export async function beginSession(
  ctx: Context,
  kind: CookieKind,
  who: { openid?: string; admin_id?: string } = {},
): Promise<NewSession> {
  const { session, key } = await beginKey(ctx, kind, who);
  const response = new Response();
  const cookie = await getIronSession<Cookie>(
    new Request(ctx.config.PUBLIC_URL),
    response,
    cookieOptions(ctx.config, kind),
  );
  cookie.key = key;
  await cookie.save();
  const [set_cookie] = response.headers.getSetCookie();
  if (set_cookie === undefined) throw new Error('iron-session set no cookie');
  return { session, set_cookie };
}

/** Begins a session whose key its holder carries itself; the key is told here and nowhere else. */
export async function beginKey(
  ctx: Context,
  kind: CookieKind | 'mini',
  who: { openid?: string; admin_id?: string },
): Promise<{ session: Session; key: string; expires_at: Date }> {
  const key = randomBytes(32).toString('base64url');
  const now = ctx.now();
  const row = await ctx.db.session.create({
    data: {
      id: rowId(key),
      kind,
      openid: who.openid ?? null,
      admin_id: who.admin_id ?? null,
      created_at: now,
      expires_at: new Date(now.getTime() + sessionLife_s[kind] * 1_000),
    },
  });
  const { id, openid, admin_id, expires_at } = row;
  return { session: { id, kind, openid, admin_id }, key, expires_at };
}

/** Ends a session for good, whoever still holds its cookie, and returns the header that clears the cookie. */
export async function endSession(ctx: Context, kind: CookieKind, source: CookieSource): Promise<string> {
  const session = await readSession(ctx, kind, source);
  if (session !== undefined) {
    await ctx.db.session.updateMany({
      where: { id: session.id, ended_at: null },
      data: { ended_at: ctx.now() },
    });
  }
  const { cookieName: name, cookieOptions: flags } = cookieOptions(ctx.config, kind);
  return `${name}=; Path=/; Max-Age=0; HttpOnly; SameSite=${kind === 'admin' ? 'Strict' : 'Lax'}${
    flags?.secure ? '; Secure' : ''
  }`;
}
