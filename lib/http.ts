/**
 * What every doorway needs and no doorway should repeat: reading a bounded body, parsing it to primitives,
 * refusing other sites, and turning anything thrown into a coded answer. It knows no business.
 */
import { isIP } from 'node:net';
import type { z } from 'zod';
import type { Context } from './context.ts';
import { isOverload } from './db.ts';
import { AppError, type ErrorBody, explain } from './errors.ts';
import { randomText } from './numbers.ts';

export const jsonBodyLimit_bytes = 16 * 1_024;
/** A page sends a kilobyte at once; whoever drips it holds a handler and a connection. */
const jsonBodyTime_ms = 10_000;

/** Reads at most `limit` bytes and stops reading there; undefined when there were more. Rejects when `signal` aborts. */
export async function readBounded(
  request: Request,
  limit: number,
  signal?: AbortSignal,
): Promise<Uint8Array | undefined> {
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = request.body.getReader();
  signal?.addEventListener('abort', () => void reader.cancel().catch(() => undefined), { once: true });
  for (;;) {
    const { done, value } = await reader.read();
    signal?.throwIfAborted();
    if (done) break;
    length += value.byteLength;
    if (length > limit) {
      await reader.cancel();
      return undefined;
    }
    chunks.push(value);
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
}

async function readInTime(
  request: Request,
  limit: number,
  limit_ms: number,
): Promise<Uint8Array | undefined> {
  const over = AbortSignal.timeout(limit_ms);
  try {
    return await readBounded(request, limit, over);
  } catch (cause) {
    if (!over.aborted) throw cause;
    throw new AppError('body_too_slow', { cause });
  }
}

/** A JSON body as primitives of the schema; everything else is refused by name. */
export async function readJson<Schema extends z.ZodType>(
  request: Request,
  schema: Schema,
  limit_ms = jsonBodyTime_ms,
): Promise<z.output<Schema>> {
  if (request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase() !== 'application/json') {
    throw new AppError('not_json');
  }
  const bytes = await readInTime(request, jsonBodyLimit_bytes, limit_ms);
  if (bytes === undefined) throw new AppError('body_too_large');
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new AppError('bad_request', { detail: 'the body is not valid JSON', cause });
  }
  return parseInput(schema, value);
}

/** Parses anything to the schema; the refusal names the field as the caller wrote it. */
export function parseInput<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue?.path.join('.') || undefined;
  throw new AppError('bad_request', {
    field,
    detail: `${field ?? 'body'}: ${issue?.message ?? 'is not valid'}`,
    cause: parsed.error,
  });
}

/** Whether a text a person wrote can be kept: PostgreSQL has no NUL in a text, and half a surrogate pair is no letter. */
export function isStorable(text: string): boolean {
  return !text.includes('\u0000') && text.isWellFormed();
}

export const notStorable = 'must not hold NUL or half a character';

/** A write must come from our own pages; a missing or `null` origin is somebody else's. */
export function requireOwnOrigin(ctx: Context, request: Request): void {
  if (request.headers.get('origin') !== new URL(ctx.config.PUBLIC_URL).origin) {
    throw new AppError('foreign_origin');
  }
}

/** JSON that no cache keeps: everything we answer belongs to one person at one moment. */
export function answerJson(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      'Content-Type': 'application/json; charset=utf-8',
      'Cache-Control': 'private, no-store',
      ...headers,
    },
  });
}

export function languageOf(request: { headers: Headers }): 'zh' | 'en' {
  return /^\s*en\b/i.test(request.headers.get('accept-language') ?? '') ? 'en' : 'zh';
}

/**
 * The payer's address. The last `TRUSTED_PROXIES` entries of X-Forwarded-For are written by machines we trust;
 * without any, the front has put the socket's address there in place of whatever the client sent.
 */
export function clientIp(ctx: Context, headers: Headers): string {
  const hops = (headers.get('x-forwarded-for') ?? '')
    .split(',')
    .map((hop) => hop.trim())
    .filter((hop) => hop !== '');
  const address = hops.at(-Math.max(1, ctx.config.TRUSTED_PROXIES)) ?? '127.0.0.1';
  const bare = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/^\[(.*)\](:\d+)?$/, '$1');
  // WeChat refuses an order for an address that is none, and a scoped one (`%eth0`).
  return isIP(bare) === 0 || bare.includes('%') ? '127.0.0.1' : bare;
}

/** Runs a doorway: what it returns is the answer, what it throws becomes a coded one and, if ours, a log line. */
export async function answering(
  ctx: Context,
  request: Request,
  doorway: () => Promise<Response>,
): Promise<Response> {
  try {
    return await doorway();
  } catch (thrown) {
    // Who hung up hears nothing, and it is no fault of ours that it did.
    if (request.signal.aborted && !(thrown instanceof AppError)) {
      ctx.log.debug({ err: thrown }, 'the caller hung up');
      return answerJson({}, 400);
    }
    const error =
      thrown instanceof AppError
        ? thrown
        : new AppError(isOverload(thrown) ? 'busy' : 'internal', { cause: thrown });
    const body: ErrorBody = {
      error: {
        code: error.code,
        message: explain(error, languageOf(request)),
        ...(error.field === undefined ? {} : { field: error.field }),
      },
    };
    if (error.status >= 500) {
      body.error.support_id = randomText(8);
      ctx.log.error({ support_id: body.error.support_id, code: error.code, err: error.cause ?? error });
    }
    return answerJson(body, error.status, error.code === 'too_many_requests' ? { 'Retry-After': '60' } : {});
  }
}
