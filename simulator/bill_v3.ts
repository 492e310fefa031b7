// The API v3 routes for bills: an application is answered with a hash and an address, the file stands there for five
// minutes, unsigned. What stands in a bill is decided in bills.ts and fund_flow.ts.

import { createHash } from 'node:crypto';
import { billDay, billFile, billStanding, billText, type TradeBillType, tradeBill } from './bills.ts';
import { type Heard, plain, RefusalV3, type Route } from './envelope_v3.ts';
import { fundFlow } from './fund_flow.ts';
import type { Call } from './http.ts';
import { subOf } from './parties_v3.ts';
import type { Platform } from './platform.ts';

const LIFE_MS = 5 * 60_000;

type Prepared = { mch_id: string; text: string; gzip: boolean; dead_at_ms: number };

/** Files waiting to be fetched; they need not outlive the process. */
const PREPARED = new WeakMap<Platform, Map<string, Prepared>>();

function preparedOf(platform: Platform): Map<string, Prepared> {
  const known = PREPARED.get(platform) ?? new Map<string, Prepared>();
  PREPARED.set(platform, known);
  return known;
}

function queryFault(name: string, label: string, value: string): RefusalV3 {
  return new RefusalV3(
    400,
    'PARAM_ERROR',
    value === ''
      ? `输入源“/query/${name}”映射到字段“${label}”必填性规则校验失败，此字段为必填项`
      : `输入源“/query/${name}”映射到值字段“${label}”字符串规则校验失败`,
    `${name} is ${value === '' ? 'missing' : value}`,
    { location: 'query', value },
  );
}

/** The day asked for, when its bill can be had. */
function dayOf(platform: Platform, call: Call): number {
  const date = call.query.get('bill_date') ?? '';
  const from_ms = /^\d{4}-\d{2}-\d{2}$/.test(date) ? billDay(date.replaceAll('-', '')) : undefined;
  if (from_ms === undefined) throw queryFault('bill_date', '账单日期', date);
  const tar_type = call.query.get('tar_type') ?? '';
  if (tar_type !== '' && tar_type !== 'GZIP') throw queryFault('tar_type', '压缩类型', tar_type);
  const { standing, why, struck } = billStanding(platform, from_ms, call);
  call.note.faults.push(...struck);
  if (standing === 'creating') throw new RefusalV3(400, 'STATEMENT_CREATING', '账单生成中，请稍后再试', why);
  if (standing === 'none') throw noStatement(why);
  return from_ms;
}

const noStatement = (why: string) => new RefusalV3(400, 'NO_STATEMENT_EXIST', '请求的账单文件不存在', why);

function prepared(platform: Platform, call: Call, heard: Heard, text: string) {
  const token = platform.ids.letters(64);
  const now = Date.now();
  const files = preparedOf(platform);
  for (const [old, file] of files) if (file.dead_at_ms < now) files.delete(old);
  const gzip = call.query.get('tar_type') === 'GZIP';
  files.set(token, { mch_id: heard.merchant.mch_id, text, gzip, dead_at_ms: now + LIFE_MS });
  const base = call.tls === undefined ? platform.addresses.url : platform.addresses.tls_url;
  return plain(200, {
    hash_type: 'SHA1',
    // Over the plain bytes, whether they travel packed or not.
    hash_value: createHash('sha1').update(text, 'utf8').digest('hex'),
    download_url: `${base}/v3/billdownload/file?token=${token}${gzip ? '&tartype=gzip' : ''}`,
  });
}

function tradebill(platform: Platform, call: Call, heard: Heard) {
  const asked = call.query.get('bill_type') ?? 'ALL';
  const type = (['ALL', 'SUCCESS', 'REFUND'] as TradeBillType[]).find((t) => t === asked);
  if (type === undefined) throw queryFault('bill_type', '账单类型', asked);
  const named = call.query.get('sub_mchid') ?? '';
  const sub_mch_id = named === '' ? undefined : subOf(platform, heard, named)?.sub_mch_id;
  const from_ms = dayOf(platform, call);
  const { bill, struck } = tradeBill(
    platform,
    { mch_id: heard.merchant.mch_id, sub_mch_id },
    from_ms,
    type,
    call.path,
  );
  call.note.faults.push(...struck);
  if (bill === undefined) throw noStatement('nothing of that kind happened that day');
  return prepared(platform, call, heard, billText(bill));
}

function fundflowbill(platform: Platform, call: Call, heard: Heard) {
  const account = call.query.get('account_type') ?? 'BASIC';
  if (!['BASIC', 'OPERATION', 'FEES'].includes(account))
    throw queryFault('account_type', '资金账户类型', account);
  const from_ms = dayOf(platform, call);
  const flow = account === 'BASIC' ? fundFlow(platform, heard.merchant.mch_id, from_ms) : undefined;
  if (flow === undefined) throw noStatement('nothing moved that day');
  return prepared(platform, call, heard, billText(flow));
}

export const BILL_ROUTES: Route[] = [
  { method: 'GET', path: /^\/v3\/bill\/tradebill$/, handle: tradebill },
  { method: 'GET', path: /^\/v3\/bill\/fundflowbill$/, handle: fundflowbill },
  {
    method: 'GET',
    path: /^\/v3\/billdownload\/file$/,
    file: true,
    handle(platform, call, heard) {
      const file = preparedOf(platform).get(call.query.get('token') ?? '');
      if (file === undefined || file.mch_id !== heard.merchant.mch_id || file.dead_at_ms < Date.now()) {
        throw new RefusalV3(
          400,
          'INVALID_REQUEST',
          '下载链接已失效',
          'the token is unknown or older than 5 minutes',
        );
      }
      const { bytes, type, struck } = billFile(platform, file.text, file.gzip, call.path);
      call.note.faults.push(...struck);
      return { status: 200, headers: { 'Content-Type': type }, body: bytes };
    },
  },
];
