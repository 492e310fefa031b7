/**
 * Fetches a day's bill as a stream of plain text bytes. Tells WeChat's XML errors from a bill by the first bytes, and
 * unzips on the way; reads no line of the bill and keeps none of it in memory.
 *
 * Source: WeChat Pay v2, 下载交易账单, 下载资金账单.
 */
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { isDate } from '../beijing_time.ts';
import { WechatError } from '../errors.ts';
import { beginExchange, MAX_ANSWER_BYTES, noAnswer, noteAnswer, openResponse } from '../http.ts';
import type { DownloadedBill, Exchange, FundFlowAccount, TradeBillType } from '../types.ts';
import {
  badAnswer,
  type Caller,
  httpFailure,
  type RequestFields,
  readAnswer,
  resultFailure,
  returnFailure,
} from './call.ts';
import type { CallV2 } from './errors.ts';
import type { SignTypeV2 } from './sign.ts';

/** Ten times the bill of a million trades; a zip bomb ends here. */
const MAX_BILL_BYTES = 4 * 1024 ** 3;

const ACCOUNTS: Readonly<Record<FundFlowAccount, string>> = {
  BASIC: 'Basic',
  OPERATION: 'Operation',
  FEES: 'Fees',
};

/** `bill_date` is `YYYY-MM-DD`. Rejects with a `WechatError` on anything but a bill, no bill, or one being made. */
export async function downloadTradeBill(
  caller: Caller,
  bill_date: string,
  bill_type: TradeBillType,
): Promise<DownloadedBill> {
  const fields = { bill_date: compactDate(bill_date), bill_type, tar_type: 'GZIP' };
  return download(caller, 'downloadbill', fields, caller.config.sign_type);
}

/** The same for the flow of funds; WeChat takes only HMAC-SHA256 here, and wants the client certificate. */
export async function downloadFundFlowBill(
  caller: Caller,
  bill_date: string,
  account: FundFlowAccount,
): Promise<DownloadedBill> {
  const fields = { bill_date: compactDate(bill_date), account_type: ACCOUNTS[account], tar_type: 'GZIP' };
  return download(caller, 'downloadfundflow', fields, 'HMAC-SHA256');
}

function compactDate(bill_date: string): string {
  if (!isDate(bill_date)) throw new WechatError('refused', 'PARAM_ERROR', 'bill_date is not YYYY-MM-DD');
  return bill_date.replaceAll('-', '');
}

async function download(
  caller: Caller,
  call: CallV2,
  fields: RequestFields,
  sign_type: SignTypeV2,
): Promise<DownloadedBill> {
  const { request, fetch } = caller.prepare(call, fields, sign_type);
  const exchange = beginExchange(caller.ports.now, request);
  const abort = new AbortController();
  const withinTime = deadline(abort, request.timeout_ms);
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let beginning: Uint8Array;
  try {
    const response = await withinTime(() => openResponse(fetch, request, abort.signal));
    noteAnswer(exchange, response);
    reader = response.body?.getReader();
    beginning = await readBeginning(reader, withinTime);
  } catch (cause) {
    throw noAnswer(exchange, cause);
  } finally {
    exchange.duration_ms = caller.ports.now().getTime() - exchange.started_at.getTime();
  }
  const rest = readOn(reader, beginning, exchange, withinTime, abort);
  if (exchange.status !== 200) {
    abort.abort();
    throw httpFailure(call, exchange);
  }
  if (beginning.length === 0) throw badAnswer(call, exchange, 'an empty bill');
  if (isMarkup(beginning)) return whyNoBill(call, exchange, await readShort(call, rest, exchange));
  const plain = isGzip(beginning) ? unzip(rest) : rest;
  return { outcome: 'bill', stream: asStream(capped(plain, call, exchange)), exchange };
}

type WithinTime = <T>(wait: () => Promise<T>) => Promise<T>;

/** The limit is for each wait, not for the whole bill: a large one may take long as long as it keeps coming. */
function deadline(abort: AbortController, timeout_ms: number): WithinTime {
  return async (wait) => {
    const timer = setTimeout(
      () => abort.abort(new DOMException(`nothing came for ${timeout_ms} ms`, 'TimeoutError')),
      timeout_ms,
    );
    try {
      return await wait();
    } finally {
      clearTimeout(timer);
    }
  };
}

type Reader = ReadableStreamDefaultReader<Uint8Array> | undefined;

/** At least the bytes that tell what follows, or all there are. */
async function readBeginning(reader: Reader, withinTime: WithinTime): Promise<Uint8Array> {
  let beginning = new Uint8Array();
  while (reader !== undefined && beginning.length < 8) {
    const { done, value } = await withinTime(() => reader.read());
    if (done) break;
    beginning = Buffer.concat([beginning, value]);
  }
  return beginning;
}

async function* readOn(
  reader: Reader,
  beginning: Uint8Array,
  exchange: Exchange,
  withinTime: WithinTime,
  abort: AbortController,
): AsyncGenerator<Uint8Array, void> {
  let ended = false;
  try {
    yield beginning;
    while (!ended && reader !== undefined) {
      const { done, value } = await withinTime(() => reader.read()).catch((cause: unknown) => {
        throw noAnswer(exchange, cause);
      });
      ended = done;
      if (value !== undefined) yield value;
    }
  } finally {
    if (!ended) abort.abort();
  }
}

function isMarkup(beginning: Uint8Array): boolean {
  return /^\ufeff?\s*</.test(Buffer.from(beginning).toString());
}

function isGzip(beginning: Uint8Array): boolean {
  return beginning[0] === 0x1f && beginning[1] === 0x8b;
}

async function* unzip(zipped: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const gunzip = createGunzip({ chunkSize: 65_536 });
  // A failure on either side destroys the gunzip with its cause, and the loop below throws it.
  pipeline(Readable.from(zipped), gunzip, () => undefined);
  for await (const chunk of gunzip) yield chunk;
}

async function* capped(
  plain: AsyncIterable<Uint8Array>,
  call: CallV2,
  exchange: Exchange,
): AsyncGenerator<Uint8Array, void> {
  let length = 0;
  try {
    for await (const chunk of plain) {
      length += chunk.length;
      if (length > MAX_BILL_BYTES) throw badAnswer(call, exchange, 'the bill is too long');
      yield chunk;
    }
  } catch (cause) {
    throw cause instanceof WechatError
      ? cause
      : badAnswer(call, exchange, 'the bill is cut or damaged', cause);
  }
}

function asStream(bytes: AsyncGenerator<Uint8Array, void>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await bytes.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await bytes.return(undefined);
    },
  });
}

async function readShort(
  call: CallV2,
  rest: AsyncIterable<Uint8Array>,
  exchange: Exchange,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of rest) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) throw badAnswer(call, exchange, 'the answer is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/** The XML of these two calls is never signed and names its reason in return_msg or in err_code. */
function whyNoBill(call: CallV2, exchange: Exchange, body: Uint8Array): DownloadedBill {
  exchange.response_body = Buffer.from(body).toString();
  const fields = readAnswer(call, body, exchange);
  const failure = (fields.err_code ? resultFailure : returnFailure)(call, fields, exchange);
  if (failure.code === 'NO_BILL_EXIST') return { outcome: 'no_bill', exchange };
  if (failure.code === 'BILL_CREATING') return { outcome: 'creating', exchange };
  throw failure;
}
