/**
 * A bill file on its way in: unzipped if it is zipped, counted, and held against the SHA-1 the platform signed.
 * Memory stays bounded by the reader's pace. It refuses a file that stalls, grows beyond its limit, is cut short or
 * has another digest, and says so by failing the stream.
 */
import { createHash } from 'node:crypto';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { WechatError } from '../errors.ts';

export interface BillRules {
  /** Of the plain text; lower-case hex. */
  sha1_hex: string;
  /** Of the file as it comes and of its plain text. */
  max_bytes: number;
  /** Longest wait for the next bytes. */
  idle_ms: number;
  /** Ends the download when it stalls. */
  abort: AbortController;
  failed: (why: string, cause?: unknown) => WechatError;
}

type Bytes = AsyncGenerator<Uint8Array, void>;

/** The plain bytes; errors with the rules' `failed` error, at the end at the latest. */
export function billStream(body: ReadableStream<Uint8Array>, rules: BillRules): ReadableStream<Uint8Array> {
  const bytes = checked(plain(arriving(body, rules)), rules);
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await bytes.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await bytes.return();
    },
  });
}

/** Waits so long and no longer; a wait that takes too long ends the download too. */
export async function withinTime<T>(
  abort: AbortController,
  limit_ms: number,
  wait: () => Promise<T>,
): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const timeout = new DOMException(`nothing came for ${limit_ms} ms`, 'TimeoutError');
    late.reject(timeout);
    abort.abort(timeout);
  }, limit_ms);
  try {
    return await Promise.race([wait(), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function* arriving(body: ReadableStream<Uint8Array>, rules: BillRules): Bytes {
  const reader = body.getReader();
  let length = 0;
  try {
    for (;;) {
      // Only our waiting is timed: a slow consumer is no fault of the line.
      const { done, value } = await withinTime(rules.abort, rules.idle_ms, () => reader.read());
      if (done) return;
      length += value.byteLength;
      if (length > rules.max_bytes) throw rules.failed(`the file is longer than ${rules.max_bytes} bytes`);
      yield value;
    }
  } finally {
    await reader.cancel();
  }
}

/** GZIP is the file's content here, not a content encoding; a plain bill begins with a BOM and cannot look like it. */
async function* plain(file: Bytes): Bytes {
  const head = await beginning(file);
  const whole = prepended(head, file);
  if (head[0] !== 0x1f || head[1] !== 0x8b) {
    yield* whole;
    return;
  }
  const gunzip = createGunzip({ chunkSize: 65_536 });
  // A fault on either side destroys the other with its cause, and the loop below throws it.
  pipeline(Readable.from(whole), gunzip, () => undefined);
  yield* gunzip;
}

async function beginning(file: Bytes): Promise<Uint8Array> {
  let head: Uint8Array = new Uint8Array();
  while (head.length < 2) {
    const { done, value } = await file.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  return head;
}

async function* prepended(head: Uint8Array, file: Bytes): Bytes {
  try {
    if (head.length > 0) yield head;
    yield* file;
  } finally {
    await file.return();
  }
}

async function* checked(text: Bytes, rules: BillRules): Bytes {
  const sha1 = createHash('sha1');
  let length = 0;
  try {
    for await (const chunk of text) {
      length += chunk.byteLength;
      if (length > rules.max_bytes) throw rules.failed(`the bill is longer than ${rules.max_bytes} bytes`);
      sha1.update(chunk);
      yield chunk;
    }
  } catch (cause) {
    throw cause instanceof WechatError ? cause : rules.failed('the bill is cut or damaged', cause);
  }
  if (sha1.digest('hex') !== rules.sha1_hex)
    throw rules.failed('the bill does not have the digest announced');
}
