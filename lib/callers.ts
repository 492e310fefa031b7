/**
 * Who calls a doorway that shoppers, mini-programs and APP servers share. A browser has a cookie, and a write of its must come
 * from our own pages; the others carry a key in `Authorization`, which no browser adds by itself, and send no Origin.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Context } from './context.ts';
import { AppError } from './errors.ts';
import { requireOwnOrigin } from './http.ts';
import { readKey, readSession, type Session } from './sessions.ts';
import { requireOpened } from './ways.ts';

const bearer = /^Bearer ([A-Za-z0-9_-]{32,128})$/;

/**
 * The session behind a request that reads: a browser's cookie or a mini-program's key; undefined for a browser nobody
 * knows. Throws `sign_in_required` for a key that is not, or no longer, good.
 */
export async function callerOf(ctx: Context, request: Request): Promise<Session | undefined> {
  const authorization = request.headers.get('authorization');
  if (authorization === null) return readSession(ctx, 'shopper', request);
  const [, key] = bearer.exec(authorization) ?? [];
  const session = key === undefined ? undefined : await readKey(ctx, 'mini', key);
  if (session === undefined) throw new AppError('sign_in_required');
  return session;
}

/** The same for a request that writes; throws `foreign_origin` for a browser that was sent by another site. */
export async function writerOf(ctx: Context, request: Request): Promise<Session | undefined> {
  if (request.headers.get('authorization') === null) requireOwnOrigin(ctx, request);
  return callerOf(ctx, request);
}

/**
 * The APP's own server, by its key: compared as hashes, every configured one, in constant time. Its orders belong to
 * its name, so that a change of key takes them along. Throws `product_not_opened` and `sign_in_required`.
 */
export function appServerOf(ctx: Context, request: Request): Session {
  requireOpened(ctx.config, 'APP');
  const [, key = ''] = bearer.exec(request.headers.get('authorization') ?? '') ?? [];
  const given = createHash('sha256').update(key).digest();
  const known = (ctx.config.APP_API_KEYS ?? []).filter(({ key_sha256 }) =>
    timingSafeEqual(key_sha256, given),
  );
  const [client] = known;
  if (client === undefined) throw new AppError('sign_in_required');
  const id = createHash('sha256').update(`app server ${client.name}`).digest('hex');
  return { id, kind: 'app', openid: null, admin_id: null };
}
