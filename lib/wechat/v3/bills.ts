/**
 * A day's bill in two steps (WeChat Pay v3, 申请交易账单, 申请资金账单, 下载账单): a signed answer names a file and its
 * SHA-1, then the file comes unsigned. The file is believed only when its whole plain text has that digest, so
 * nothing of it counts before the stream has ended. It fetches from no host it was not told of.
 */
import { WechatError } from '../errors.ts';
import { beginExchange, noAnswer, noteAnswer, openResponse } from '../http.ts';
import type { DownloadedBill, FundFlowAccount, Ports, TradeBillType } from '../types.ts';
import { type Ask, readAnswer } from './answers.ts';
import { checkedDate } from './arguments.ts';
import { billStream, withinTime } from './bill_stream.ts';
import type { Fields } from './fields.ts';
import { JsonRefused } from './json.ts';
import type { Merchant } from './settings.ts';
import { signedRequest } from './transport.ts';

interface BillFile {
  sha1_hex: string;
  url: URL;
}

export async function downloadTradeBill(
  merchant: Merchant,
  ports: Ports,
  ask: Ask,
  bill_date: string,
  bill_type: TradeBillType,
): Promise<DownloadedBill> {
  const sub_mch_id = merchant.partner?.sub_mch_id;
  const of_whom = sub_mch_id === undefined ? '' : `&sub_mchid=${sub_mch_id}`;
  const query = `bill_date=${checkedDate(bill_date)}&bill_type=${bill_type}${of_whom}&tar_type=GZIP`;
  return download(merchant, ports, ask, `/v3/bill/tradebill?${query}`);
}

/** The signer's own funds; a sub-merchant's come in another shape and are not read here. */
export async function downloadFundFlowBill(
  merchant: Merchant,
  ports: Ports,
  ask: Ask,
  bill_date: string,
  account: FundFlowAccount,
): Promise<DownloadedBill> {
  const query = `bill_date=${checkedDate(bill_date)}&account_type=${account}&tar_type=GZIP`;
  return download(merchant, ports, ask, `/v3/bill/fundflowbill?${query}`);
}

const NO_BILL: ReadonlyMap<string, 'no_bill' | 'creating'> = new Map([
  ['NO_STATEMENT_EXIST', 'no_bill'],
  ['STATEMENT_CREATING', 'creating'],
]);

async function download(merchant: Merchant, ports: Ports, ask: Ask, path: string): Promise<DownloadedBill> {
  try {
    const answer = await ask({ method: 'GET', path });
    const file = readAnswer(answer, (fields) => readFile(merchant, fields));
    return await fetchFile(merchant, ports, file);
  } catch (cause) {
    if (!(cause instanceof WechatError) || cause.outcome !== 'refused' || cause.exchange === undefined)
      throw cause;
    const outcome = NO_BILL.get(cause.code);
    if (outcome === undefined) throw cause;
    return { outcome, exchange: cause.exchange };
  }
}

function readFile(merchant: Merchant, fields: Fields): BillFile {
  fields.word('hash_type', { SHA1: 'SHA1' });
  const sha1_hex = fields.text('hash_value', 40).toLowerCase();
  if (!/^[0-9a-f]{40}$/.test(sha1_hex)) throw new JsonRefused('hash_value is not a SHA-1');
  const text = fields.text('download_url', 2048);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.username !== '' || url.password !== '' || !isAllowed(merchant, url)) {
    throw new JsonRefused('download_url leads somewhere we were not told of');
  }
  return { sha1_hex, url };
}

/** The platform's own address, or one of the hosts the merchant named, by https only. */
function isAllowed(merchant: Merchant, url: URL): boolean {
  return (
    url.origin === merchant.origin || (url.protocol === 'https:' && merchant.bill_hosts.includes(url.host))
  );
}

async function fetchFile(merchant: Merchant, ports: Ports, file: BillFile): Promise<DownloadedBill> {
  // Signed over path and query as they were given: the parameters' order and names are the platform's affair.
  const path = `${file.url.pathname}${file.url.search}`;
  const request = { ...signedRequest(merchant, ports, { method: 'GET', path }), base_url: file.url.origin };
  const exchange = beginExchange(ports.now, request);
  const abort = new AbortController();
  let response: Response;
  try {
    response = await withinTime(abort, merchant.timeout_ms, () =>
      openResponse(ports.fetch, request, abort.signal),
    );
  } catch (cause) {
    throw noAnswer(exchange, cause);
  } finally {
    exchange.duration_ms = ports.now().getTime() - exchange.started_at.getTime();
  }
  noteAnswer(exchange, response);
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel();
    throw new WechatError('unknown', `HTTP_${response.status}`, `no bill file: HTTP ${response.status}`, {
      exchange,
    });
  }
  const stream = billStream(response.body, {
    sha1_hex: file.sha1_hex,
    max_bytes: merchant.max_bill_bytes,
    idle_ms: merchant.timeout_ms,
    abort,
    failed: (why, cause) => new WechatError('unknown', 'BAD_ANSWER', why, { exchange, cause }),
  });
  return { outcome: 'bill', stream, exchange };
}
