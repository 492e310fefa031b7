/**
 * Placing, querying and closing one trade (WeChat Pay v3, JSAPI/小程序/Native/APP/H5 下单, 查询订单, 关闭订单), direct
 * and partner mode. Every call may be repeated with the same number; what may not be is a call whose number would
 * change the path it is put into.
 */
import { fitDescription } from '../description.ts';
import { WechatError } from '../errors.ts';
import type { ClosedTrade, Placed, PlaceTrade, QueriedTrade } from '../types.ts';
import { type Answer, type Ask, readAnswer } from './answers.ts';
import { checked, checkedFen, checkedIfAny } from './arguments.ts';
import type { Fields } from './fields.ts';
import { JsonRefused } from './json.ts';
import { readTrade } from './reports.ts';
import { formatRfc3339 } from './rfc3339.ts';
import type { Merchant } from './settings.ts';

const PRODUCT_PATHS = { JSAPI: 'jsapi', NATIVE: 'native', APP: 'app', MWEB: 'h5' } as const satisfies Record<
  PlaceTrade['trade_type'],
  string
>;

/** Resolves with `prepay_id`, `code_url` or `h5_url`; "already paid" is refused and should be answered by a query. */
export async function placeTrade(merchant: Merchant, ask: Ask, trade: PlaceTrade): Promise<Placed> {
  const path = `${transactions(merchant)}/${PRODUCT_PATHS[trade.trade_type]}`;
  const answer = await ask({ method: 'POST', path, body: JSON.stringify(orderBody(merchant, trade)) });
  return { ...readAnswer(answer, (fields) => readPlaced(trade, fields)), exchange: answer.exchange };
}

/** By our number: the only way to find a trade that is not paid yet. Unknown to WeChat: refused, `ORDERNOTEXIST`. */
export async function queryTrade(merchant: Merchant, ask: Ask, out_trade_no: string): Promise<QueriedTrade> {
  const path = `${tradePath(merchant, out_trade_no)}?${merchantQuery(merchant)}`;
  return readQueried(
    await ask({ method: 'GET', path, missing: 'ORDERNOTEXIST' }),
    'out_trade_no',
    out_trade_no,
  );
}

/** By WeChat's number, which only a paid trade has. */
export async function queryTradeById(
  merchant: Merchant,
  ask: Ask,
  transaction_id: string,
): Promise<QueriedTrade> {
  const path = `${transactions(merchant)}/id/${checked('transaction_id', transaction_id)}?${merchantQuery(merchant)}`;
  return readQueried(
    await ask({ method: 'GET', path, missing: 'ORDERNOTEXIST' }),
    'transaction_id',
    transaction_id,
  );
}

/** 204 closes, again and again; a paid trade refuses and a number WeChat does not know is `not_found`. */
export async function closeTrade(merchant: Merchant, ask: Ask, out_trade_no: string): Promise<ClosedTrade> {
  const body = JSON.stringify(
    merchant.partner === undefined
      ? { mchid: merchant.mch_id }
      : { sp_mchid: merchant.mch_id, sub_mchid: merchant.partner.sub_mch_id },
  );
  try {
    const path = `${tradePath(merchant, out_trade_no)}/close`;
    const { exchange } = await ask({ method: 'POST', path, body, missing: 'ORDERNOTEXIST' });
    return { outcome: 'closed', exchange };
  } catch (cause) {
    if (!(cause instanceof WechatError) || cause.outcome !== 'refused' || cause.exchange === undefined)
      throw cause;
    const outcome = CLOSE_OUTCOMES.get(cause.code);
    if (outcome === undefined) throw cause;
    return { outcome, exchange: cause.exchange };
  }
}

const CLOSE_OUTCOMES: ReadonlyMap<string, ClosedTrade['outcome']> = new Map([
  ['ORDERPAID', 'paid'],
  ['ORDERCLOSED', 'closed'],
  ['ORDERNOTEXIST', 'not_found'],
]);

function transactions(merchant: Merchant): string {
  return merchant.partner === undefined ? '/v3/pay/transactions' : '/v3/pay/partner/transactions';
}

function tradePath(merchant: Merchant, out_trade_no: string): string {
  return `${transactions(merchant)}/out-trade-no/${encodeURIComponent(checked('out_trade_no', out_trade_no))}`;
}

function merchantQuery(merchant: Merchant): string {
  return merchant.partner === undefined
    ? `mchid=${merchant.mch_id}`
    : `sp_mchid=${merchant.mch_id}&sub_mchid=${merchant.partner.sub_mch_id}`;
}

/** The order's body. Absent members are left out: v3 refuses `null`, `""` and members a product does not know. */
function orderBody(merchant: Merchant, trade: PlaceTrade): object {
  return {
    ...(merchant.partner === undefined
      ? { appid: merchant.appid, mchid: merchant.mch_id }
      : {
          sp_appid: merchant.appid,
          sp_mchid: merchant.mch_id,
          sub_appid: merchant.partner.sub_appid,
          sub_mchid: merchant.partner.sub_mch_id,
        }),
    description: fitDescription(trade.description),
    out_trade_no: checked('out_trade_no', trade.out_trade_no),
    time_expire: formatRfc3339(trade.time_expire_at),
    attach: checkedIfAny('attach', trade.attach),
    notify_url: checked('notify_url', trade.notify_url),
    amount: { total: checkedFen('total_fen', trade.total_fen), currency: 'CNY' },
    payer: trade.trade_type === 'JSAPI' ? payer(merchant, trade) : undefined,
    scene_info: {
      payer_client_ip: checked('payer_client_ip', trade.payer_client_ip),
      h5_info: trade.trade_type === 'MWEB' ? h5Info(trade) : undefined,
    },
  };
}

/** The page gets one appid, so the payer has to be known under that one. */
function payer(merchant: Merchant, { openid, sub_openid }: PlaceTrade): object {
  if (merchant.partner?.sub_appid !== undefined) return { sub_openid: checked('openid', sub_openid) };
  const known = checked('openid', openid);
  return merchant.partner === undefined ? { openid: known } : { sp_openid: known };
}

function h5Info({ h5 }: PlaceTrade): object {
  return { type: 'Wap', app_name: h5?.wap_name || undefined, app_url: h5?.wap_url || undefined };
}

function readPlaced({ trade_type }: PlaceTrade, fields: Fields): Omit<Placed, 'exchange'> {
  switch (trade_type) {
    case 'NATIVE':
      return { code_url: address(fields, 'code_url', ['weixin:']) };
    case 'MWEB':
      // Plain http only where the platform itself is reached by it.
      return { h5_url: address(fields, 'h5_url', ['https:', 'http:']) };
    case 'JSAPI':
    case 'APP':
      return { prepay_id: fields.identifier('prepay_id') };
  }
}

/** A page will navigate to it or draw it: nothing but the schemes WeChat uses. */
function address(fields: Fields, name: string, schemes: readonly string[]): string {
  const text = fields.text(name, 512);
  if (!URL.canParse(text) || !schemes.includes(new URL(text).protocol)) {
    throw new JsonRefused(`${name} is not an address of ${schemes.join(' or ')}`);
  }
  return text;
}

function readQueried(answer: Answer, name: 'out_trade_no' | 'transaction_id', asked: string): QueriedTrade {
  const report = readAnswer(answer, (fields) => {
    const trade = readTrade(fields);
    if (trade[name] !== asked) throw new JsonRefused(`${name} is not the one asked for`);
    return trade;
  });
  return { report, exchange: answer.exchange };
}
