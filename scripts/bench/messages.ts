// Unpaid trades and the v2 payment notifications WeChat would send of them, signed with code of its own: what is
// measured must not check its own signatures.
import { createHash } from 'node:crypto';
import type { Random } from './random.ts';

export interface Account {
  appid: string;
  mch_id: string;
  api_v2_key: string;
}

export interface BenchTrade {
  order_no: string;
  out_trade_no: string;
  total_fen: number;
  openid: string;
}

export interface BenchMessage {
  trade: BenchTrade;
  body: Buffer;
}

const capitals = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const letters = '0123456789abcdefghijklmnopqrstuvwxyz';

export function makeAccount(random: Random): Account {
  return {
    appid: `wx${random.text(16, '0123456789abcdef')}`,
    mch_id: `19${random.text(8, '0123456789')}`,
    api_v2_key: random.text(32, letters),
  };
}

/** Numbers of the shape the shop makes itself. */
export function makeTrades(random: Random, count: number): BenchTrade[] {
  return Array.from({ length: count }, () => ({
    order_no: `20261123120000${random.text(16, capitals)}`,
    out_trade_no: `20261123120001${random.text(16, capitals)}`,
    total_fen: 1 + random.whole(500_000),
    openid: `o${random.text(27, letters)}`,
  }));
}

/** One notification for each trade and, at random places, a repetition for a share of them. */
export function makeMessages(
  random: Random,
  account: Account,
  trades: readonly BenchTrade[],
  duplicate_share: number,
): BenchMessage[] {
  const messages = trades.map((trade) => ({ trade, body: notification(random, account, trade) }));
  const repeated = random.shuffle(messages).slice(0, Math.round(messages.length * duplicate_share));
  return random.shuffle([...messages, ...repeated]);
}

/**
 * About 1 KB. Source of the fields: WeChat Pay v2, 支付结果通知; of the signature: 安全规范, MD5, which every peer
 * knows.
 */
function notification(random: Random, account: Account, trade: BenchTrade): Buffer {
  const coupon_fen = Math.min(1, trade.total_fen - 1);
  const fields: Record<string, string> = {
    appid: account.appid,
    attach: 'counter',
    bank_type: 'CMB_CREDIT',
    cash_fee: String(trade.total_fen - coupon_fen),
    cash_fee_type: 'CNY',
    coupon_count: '1',
    coupon_fee: String(coupon_fen),
    coupon_fee_0: String(coupon_fen),
    coupon_id_0: random.text(12, '0123456789'),
    coupon_type_0: 'NO_CASH',
    fee_type: 'CNY',
    is_subscribe: 'Y',
    mch_id: account.mch_id,
    nonce_str: random.text(32, letters),
    openid: trade.openid,
    out_trade_no: trade.out_trade_no,
    result_code: 'SUCCESS',
    return_code: 'SUCCESS',
    settlement_total_fee: String(trade.total_fen),
    time_end: '20261123120230',
    total_fee: String(trade.total_fen),
    trade_type: 'JSAPI',
    transaction_id: `42${random.text(26, '0123456789')}`,
  };
  const signed = Object.keys(fields)
    .sort()
    .map((name) => `${name}=${fields[name]}`)
    .join('&');
  const sign = createHash('md5').update(`${signed}&key=${account.api_v2_key}`).digest('hex').toUpperCase();
  const elements = Object.entries({ ...fields, sign }).map(
    ([name, value]) => `<${name}><![CDATA[${value}]]></${name}>`,
  );
  return Buffer.from(`<xml>${elements.join('\n')}</xml>`);
}
