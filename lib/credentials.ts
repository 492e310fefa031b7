/**
 * The official account's access_token and jsapi_ticket, one of each for all instances, kept in the database. Whoever
 * finds one worn out claims its row for a while, asks WeChat with no transaction open, and writes the answer; everybody
 * else goes on with the old one while it lives, or waits a moment for the new one. A token never reaches a log.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { noteAccountFault, noteAccountWorks } from './account_faults.ts';
import type { Context } from './context.ts';
import { type Db, Prisma } from './db.ts';
import { fetchJsapiTicket, fetchStableToken, isTokenRejected, OfficialAccountError } from './wechat/index.ts';

type Kind = 'access_token' | 'jsapi_ticket';

/** WeChat gives a new stable token out in the last five minutes of the old one, and not before. */
const early_ms = 4 * 60_000;
/** An answer that is nearly over when it comes is not asked for again at once. */
const shortLived_ms = 15_000;
/** After a failure nobody asks for so long: a hundred shoppers are not a hundred calls. */
const restAfterUnknown_ms = 2_000;
const restAfterRefusal_ms = 15_000;
/** WeChat lets a good token be ended twenty times a day. */
const betweenForced_ms = 10 * 60_000;

/** The present access_token. `rejected`: one that WeChat said it does not know, so another is wanted. */
export function accessToken(ctx: Context, rejected?: string): Promise<string> {
  return joined(ctx, 'access_token', rejected);
}

/** The present ticket for `wx.config` signatures. */
export function jsapiTicket(ctx: Context): Promise<string> {
  return joined(ctx, 'jsapi_ticket', undefined);
}

/**
 * Calls the official account's API with the token; when WeChat does not know the token any more, once more with a
 * new one. However many callers are told so at the same moment, one of them fetches.
 */
export async function withAccessToken<Result>(
  ctx: Context,
  call: (access_token: string) => Promise<Result>,
): Promise<Result> {
  const first = await accessToken(ctx);
  try {
    return await call(first);
  } catch (thrown) {
    if (!(thrown instanceof OfficialAccountError) || !isTokenRejected(thrown)) throw thrown;
    return call(await accessToken(ctx, first));
  }
}

/** Callers of one process wait together; the row in the database is what keeps processes apart. */
const waiting = new WeakMap<Db, Map<string, Promise<string>>>();

function joined(ctx: Context, kind: Kind, rejected: string | undefined): Promise<string> {
  const ours = waiting.get(ctx.db) ?? new Map<string, Promise<string>>();
  waiting.set(ctx.db, ours);
  const key = `${ctx.config.WECHAT_APPID} ${kind} ${rejected ?? ''}`;
  const under_way = ours.get(key);
  if (under_way !== undefined) return under_way;
  const begun = obtain(ctx, kind, rejected).finally(() => ours.delete(key));
  ours.set(key, begun);
  return begun;
}

const columns = {
  value: true,
  expires_at: true,
  refreshing_until: true,
  retry_at: true,
  failed_code: true,
  failed_text: true,
  forced_at: true,
} as const;

type Held = Prisma.credentialGetPayload<{ select: typeof columns }>;

async function obtain(ctx: Context, kind: Kind, rejected: string | undefined): Promise<string> {
  const appid = ctx.config.WECHAT_APPID;
  const patience_ms = 2 * ctx.config.WECHAT_TIMEOUT_MS + 1_000;
  const begun = performance.now();
  for (let pause_ms = 20; ; pause_ms = Math.min(2 * pause_ms, 250)) {
    const now = ctx.now();
    const held = await ctx.db.credential.findUnique({
      where: { appid_kind: { appid, kind } },
      select: columns,
    });
    const usable =
      held !== null && held.value !== '' && held.value !== rejected && held.expires_at > now
        ? held.value
        : undefined;
    if (usable !== undefined && held !== null && held.expires_at.getTime() - now.getTime() > early_ms) {
      return usable;
    }
    const resting = held?.retry_at != null && held.retry_at > now;
    const taken = held?.refreshing_until != null && held.refreshing_until > now;
    if (!resting && !taken) {
      const refresher = await claim(ctx, kind, held);
      if (refresher !== undefined) return refresh(ctx, kind, { held, refresher, rejected, usable });
    }
    if (usable !== undefined) return usable;
    if (resting && held?.failed_code != null) throw failedBefore(held.failed_code, held.failed_text ?? '');
    if (performance.now() - begun > patience_ms) {
      throw new OfficialAccountError(undefined, 'NO_ANSWER', `no ${kind} came in time`);
    }
    await sleep(pause_ms);
  }
}

/** The mark of a claim that was won, for as long as the calls behind it may take; undefined when another has it. */
async function claim(ctx: Context, kind: Kind, held: Held | null): Promise<string | undefined> {
  const now = ctx.now();
  const refresher = randomUUID();
  // Two calls for a token; a ticket may have to wait for its token's two.
  const until = new Date(now.getTime() + (kind === 'access_token' ? 3 : 6) * ctx.config.WECHAT_TIMEOUT_MS);
  const won = await ctx.db.$executeRaw(Prisma.sql`
    INSERT INTO credential AS c (appid, kind, value, expires_at, refreshing_until, refresher)
    VALUES (${ctx.config.WECHAT_APPID}, ${kind}, '', ${now}, ${until}, ${refresher}::uuid)
    ON CONFLICT (appid, kind) DO UPDATE
      SET refreshing_until = excluded.refreshing_until, refresher = excluded.refresher
      WHERE (c.refreshing_until IS NULL OR c.refreshing_until <= ${now})
        AND (c.retry_at IS NULL OR c.retry_at <= ${now})
        AND c.value = ${held?.value ?? ''} AND c.expires_at = ${held?.expires_at ?? now}`);
  return won === 1 ? refresher : undefined;
}

interface Turn {
  held: Held | null;
  refresher: string;
  rejected: string | undefined;
  /** What still serves if nothing better comes. */
  usable: string | undefined;
}

async function refresh(ctx: Context, kind: Kind, turn: Turn): Promise<string> {
  const { refresher, rejected, usable } = turn;
  const mine = { appid: ctx.config.WECHAT_APPID, kind, refresher };
  try {
    const { value, expires_in_s, forced } = await fetchNew(ctx, kind, turn);
    if (value === rejected) throw failedBefore('40001', 'WeChat gives out the very token that it rejects');
    const now = ctx.now();
    const life_ms = expires_in_s * 1_000;
    // Only while the claim is still ours: whoever came after a lost lease has the newer one.
    await ctx.db.credential.updateMany({
      where: mine,
      data: {
        value,
        expires_at: new Date(now.getTime() + life_ms),
        refreshing_until: null,
        refresher: null,
        retry_at: life_ms > early_ms ? null : new Date(now.getTime() + shortLived_ms),
        failed_code: null,
        failed_text: null,
        ...(forced ? { forced_at: now } : {}),
      },
    });
    await noteAccountWorks(ctx, kind);
    return value;
  } catch (thrown) {
    if (!(thrown instanceof OfficialAccountError)) throw thrown;
    const rest_ms = thrown.outcome === 'unknown' ? restAfterUnknown_ms : restAfterRefusal_ms;
    await ctx.db.credential.updateMany({
      where: mine,
      data: {
        refreshing_until: null,
        refresher: null,
        retry_at: new Date(ctx.now().getTime() + rest_ms),
        failed_code: thrown.code.slice(0, 32),
        failed_text: thrown.errmsg.replaceAll('\u0000', '').slice(0, 512),
      },
    });
    await noteAccountFault(ctx, kind, thrown);
    if (usable !== undefined) return usable;
    throw thrown;
  }
}

async function fetchNew(ctx: Context, kind: Kind, { held, rejected }: Turn) {
  const { WECHAT_API_BASE_URL: api_base_url, WECHAT_TIMEOUT_MS: timeout_ms } = ctx.config;
  if (kind === 'jsapi_ticket') {
    const { ticket, expires_in_s } = await withAccessToken(ctx, (access_token) =>
      fetchJsapiTicket({ api_base_url, access_token, timeout_ms }, ctx.ports),
    );
    return { value: ticket, expires_in_s, forced: false };
  }
  const account = {
    api_base_url,
    appid: ctx.config.WECHAT_APPID,
    secret: ctx.config.WECHAT_APP_SECRET,
    timeout_ms,
  };
  const given = await fetchStableToken(account, ctx.ports);
  const forced_lately =
    held?.forced_at != null && ctx.now().getTime() - held.forced_at.getTime() < betweenForced_ms;
  if (given.access_token !== rejected || forced_lately) {
    return { value: given.access_token, expires_in_s: given.expires_in_s, forced: false };
  }
  // WeChat thinks the token good that it rejected: only then is a new one demanded, since it counts those.
  const demanded = await fetchStableToken({ ...account, force_refresh: true }, ctx.ports);
  return { value: demanded.access_token, expires_in_s: demanded.expires_in_s, forced: true };
}

function failedBefore(code: string, errmsg: string): OfficialAccountError {
  return new OfficialAccountError(/^-?\d+$/.test(code) ? Number(code) : undefined, code, errmsg);
}
