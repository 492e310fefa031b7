/**
 * Remembering on which devices an operator has signed in: a sealed cookie that names them, worth nothing by itself.
 * It opens no door; a device that has it is only not kept waiting for what strangers do to the operator's name.
 */
import { getIronSession, type SessionOptions } from 'iron-session';
import { type Config, isSecure, sessionPasswords } from './config.ts';
import type { Context } from './context.ts';
import { cookieName } from './sessions.ts';

interface Device {
  admin_ids?: unknown;
}

const life_s = 180 * 86_400;
/** A counter's computer is shared by few. */
const most_admins = 8;

const options = (config: Config): SessionOptions => ({
  cookieName: cookieName(config, 'guitai_device'),
  password: sessionPasswords(config.SESSION_PASSWORD),
  ttl: life_s,
  cookieOptions: { httpOnly: true, secure: isSecure(config), sameSite: 'strict', path: '/' },
});

/** The operators who have signed in with this browser before. */
export async function knownAdmins(ctx: Context, request: Request): Promise<string[]> {
  const { admin_ids } = await getIronSession<Device>(request, new Response(), options(ctx.config));
  return Array.isArray(admin_ids) ? admin_ids.filter((id) => typeof id === 'string') : [];
}

/** The `Set-Cookie` header by which this browser is known as the operator's from now on. */
export async function rememberDevice(ctx: Context, request: Request, admin_id: string): Promise<string> {
  const known = await knownAdmins(ctx, request);
  const response = new Response();
  const cookie = await getIronSession<Device>(request, response, options(ctx.config));
  cookie.admin_ids = [admin_id, ...known.filter((id) => id !== admin_id)].slice(0, most_admins);
  await cookie.save();
  const [set_cookie] = response.headers.getSetCookie();
  if (set_cookie === undefined) throw new Error('iron-session set no cookie');
  return set_cookie;
}
