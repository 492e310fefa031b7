/**
 * Operators' accounts: argon2id, guesses counted before they are looked at, the same work for a name that does not
 * exist. It refuses to say which of name and password was wrong.
 */
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import { knownAdmins, rememberDevice } from './admin_device.ts';
import { countGuess, forgiveGuesses } from './admin_guesses.ts';
import type { Context } from './context.ts';
import type { Db } from './db.ts';
import { AppError } from './errors.ts';
import { isStorable, notStorable } from './http.ts';
import { randomText } from './numbers.ts';
import { beginSession, type CookieSource, type NewSession, readSession } from './sessions.ts';

const derive = promisify(argon2);
/** OWASP's second argon2id profile: 19 MiB, two passes, one lane. */
const cost = { parallelism: 1, memory: 19_456, passes: 2, tagLength: 32 } as const;

export const loginInput = z.strictObject({
  username: z.string().min(1).max(64).refine(isStorable, notStorable),
  password: z.string().min(1).max(256),
});

async function hash(password: string, nonce: Buffer): Promise<Buffer> {
  return Buffer.from(await derive('argon2id', { ...cost, message: password, nonce }));
}

export async function hashPassword(password: string): Promise<string> {
  const nonce = randomBytes(16);
  const tag = await hash(password, nonce);
  return `argon2id$${cost.memory}$${cost.passes}$${nonce.toString('base64url')}$${tag.toString('base64url')}`;
}

async function matches(password: string, stored: string): Promise<boolean> {
  const [, , , nonce = '', tag = ''] = stored.split('$');
  const wanted = Buffer.from(tag, 'base64url');
  const given = await hash(password, Buffer.from(nonce, 'base64url'));
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

/** What a name that does not exist is compared with, so that it takes as long. */
const nobody = hashPassword(randomText(16));

/**
 * Creates an operator, or gives an existing one a new password; returns the password, which is kept nowhere. What was
 * guessed at the old one is forgotten.
 */
export async function setAdmin(
  db: Db,
  username: string,
  now: Date,
  password = randomText(16),
): Promise<string> {
  const password_hash = await hashPassword(password);
  await db.admin.upsert({
    where: { username },
    create: { id: randomText(20), username, password_hash, created_at: now },
    update: { password_hash, disabled: false },
  });
  // A new password ends the sessions that began with the old one.
  const admin = await db.admin.findUniqueOrThrow({ where: { username }, select: { id: true } });
  await db.session.updateMany({ where: { admin_id: admin.id, ended_at: null }, data: { ended_at: now } });
  await forgiveGuesses(db, username);
  return password;
}

export interface SignInFrom {
  ip: string;
  /** Brings the cookie of a device that was used before. */
  request: Request;
  wait?: (ms: number) => Promise<unknown>;
}

export interface NewAdminSession extends NewSession {
  /** The `Set-Cookie` header by which this device is known from now on. */
  device_cookie: string;
}

/** Signs an operator in. Throws `too_many_attempts`, `wrong_login`. */
export async function signIn(
  ctx: Context,
  { username, password }: z.output<typeof loginInput>,
  { ip, request, wait = sleep }: SignInFrom,
): Promise<NewAdminSession> {
  const guess = await countGuess(ctx, username, ip);
  const admin = await ctx.db.admin.findUnique({ where: { username } });
  const known = admin !== null && (await knownAdmins(ctx, request)).includes(admin.id);
  if (!known && guess.delay_ms > 0) await wait(guess.delay_ms);
  const right = await matches(password, admin?.password_hash ?? (await nobody));
  if (admin === null || admin.disabled || !right) throw new AppError('wrong_login');
  await guess.right();
  const begun = await beginSession(ctx, 'admin', { admin_id: admin.id });
  return { ...begun, device_cookie: await rememberDevice(ctx, request, admin.id) };
}

export interface SignedInAdmin {
  id: string;
  username: string;
}

/** The operator behind a request or a page; undefined sends them to the login. */
export async function readAdmin(ctx: Context, source: CookieSource): Promise<SignedInAdmin | undefined> {
  const session = await readSession(ctx, 'admin', source);
  if (session?.admin_id == null) return undefined;
  const admin = await ctx.db.admin.findUnique({
    where: { id: session.admin_id },
    select: { id: true, username: true, disabled: true },
  });
  return admin === null || admin.disabled ? undefined : { id: admin.id, username: admin.username };
}
