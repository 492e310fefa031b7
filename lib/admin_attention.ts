/**
 * What needs a person, found by queries alone: nothing is marked, so what has been put right is gone from here by
 * itself. Each list is capped; the count is the sum of what the lists hold.
 */
import type { AccountCall, PageCall } from './account_faults.ts';
import type { RefundRow } from './admin_refunds.ts';
import type { Context } from './context.ts';
import { Prisma } from './db.ts';
import { consolePages, type RuleFinding, ruleFindings } from './platform_rules.ts';
import type { DifferenceKind } from './statement_compare.ts';
import type { HeldRefundState, HeldTradeState } from './states.ts';
import { errcodeWords } from './wechat/index.ts';

/** Most rows of each kind. */
export const attentionCap = 100;

/** A requested refund that WeChat has not taken for so long is stuck. */
const requestedFor_ms = 10 * 60_000;
/** A trade still open so long after its end was neither closed nor paid: nobody knows. */
const openAfterEnd_ms = 15 * 60_000;
/** How long a message that did not fit, or a refund that ended without money, is shown. */
const messagesOf_ms = 7 * 86_400_000;
const failuresOf_ms = 30 * 86_400_000;
/** What shoppers' pages report is over when none has for so long: who could pay says nothing. */
const reportsOf_ms = 86_400_000;

export interface SurplusMoney {
  order_no: string;
  out_trade_no: string;
  surplus: string;
  total_fen: number;
  success_at: Date | null;
  /** Of the refund that is to give it back, when there is one. */
  refund_state: HeldRefundState | null;
  refused_code: string | null;
  refunded_fen: number;
}

export type StuckRefund = Pick<
  RefundRow,
  'out_refund_no' | 'order_no' | 'state' | 'refund_fen' | 'refused_code' | 'created_at' | 'reason'
>;

export interface StrangeMessage {
  kind: string;
  verdict: string;
  detail: string;
  out_trade_no: string | null;
  order_no: string | null;
  times: number;
  last_at: Date;
}

export interface OpenDifferences {
  bill_date: string;
  kinds: Partial<Record<DifferenceKind, number>>;
  count: number;
}

export interface BadBill {
  bill_date: string;
  problem: string;
  tried_at: Date;
}

export interface StuckTrade {
  order_no: string;
  out_trade_no: string;
  trade_state: HeldTradeState;
  total_fen: number;
  expires_at: Date;
  asked_at: Date | null;
}

/** A call of the official account's API that failed and has not worked since, or what shoppers' pages met there. */
export interface AccountTrouble {
  call: AccountCall;
  /** WeChat's errcode, or ours where it did not answer. */
  code: string;
  zh: string;
  en: string;
  console_page: string | undefined;
  /** Where no console page mends it: who or what does. */
  instead: { zh: string; en: string } | undefined;
  times: number;
  last_at: Date;
}

export interface Attention {
  /** Settings of this shop that do not fit what is registered in WeChat's consoles. */
  rules: RuleFinding[];
  account: AccountTrouble[];
  surplus: SurplusMoney[];
  refunds: StuckRefund[];
  messages: StrangeMessage[];
  differences: OpenDifferences[];
  bills: BadBill[];
  trades: StuckTrade[];
}

/** Surplus money that has not all come back. */
const surplusRows = Prisma.sql`
  SELECT t.order_no, t.out_trade_no, t.surplus, t.total_fen, t.success_at, last.state AS refund_state,
         last.refused_code, back.fen AS refunded_fen
  FROM trade t
  CROSS JOIN LATERAL (SELECT coalesce(sum(refund_fen), 0)::int AS fen FROM refund r
    WHERE r.out_trade_no = t.out_trade_no AND r.state = 'SUCCESS') back
  LEFT JOIN LATERAL (SELECT state, refused_code FROM refund r WHERE r.out_trade_no = t.out_trade_no
    ORDER BY created_at DESC LIMIT 1) last ON true
  WHERE t.surplus IS NOT NULL AND back.fen < t.total_fen
  ORDER BY t.success_at DESC LIMIT ${attentionCap}`;

/** A refund that ended without money is over once a later one of the same trade stands. Surplus has its own list. */
function refundRows(now: Date): Prisma.Sql {
  return Prisma.sql`
    SELECT r.out_refund_no, r.order_no, r.state, r.refund_fen, r.refused_code, r.created_at, r.reason
    FROM refund r
    WHERE r.origin <> 'surplus' AND (r.state = 'ABNORMAL'
      OR (r.state = 'REQUESTED' AND r.created_at < ${new Date(now.getTime() - requestedFor_ms)})
      OR (r.state IN ('REFUSED', 'CLOSED') AND r.created_at > ${new Date(now.getTime() - failuresOf_ms)}
          AND NOT EXISTS (SELECT FROM refund later WHERE later.out_trade_no = r.out_trade_no
            AND later.created_at > r.created_at AND later.state NOT IN ('REFUSED', 'CLOSED'))))
    ORDER BY r.created_at DESC LIMIT ${attentionCap}`;
}

/** Believed to be WeChat's, and yet not about our trade; WeChat repeats them, so equal ones are one row. */
function messageRows(now: Date): Prisma.Sql {
  return Prisma.sql`
    SELECT n.*, t.order_no FROM (
      SELECT kind, verdict, detail, out_trade_no, count(*)::int AS times, max(received_at) AS last_at
      FROM notification
      WHERE received_at > ${new Date(now.getTime() - messagesOf_ms)} AND verdict IN ('mismatch', 'unknown_order')
      GROUP BY kind, verdict, detail, out_trade_no ORDER BY max(received_at) DESC LIMIT ${attentionCap}) n
    LEFT JOIN trade t ON t.out_trade_no = n.out_trade_no
    ORDER BY n.last_at DESC`;
}

function differenceRows(mch_id: string): Prisma.Sql {
  return Prisma.sql`
    SELECT bill_date::text AS bill_date, jsonb_object_agg(kind, count) AS kinds, sum(count)::int AS count
    FROM (SELECT bill_date, kind, count(*)::int AS count FROM difference
          WHERE resolved_at IS NULL AND mch_id = ${mch_id} GROUP BY bill_date, kind) d
    GROUP BY bill_date ORDER BY bill_date DESC LIMIT ${attentionCap}`;
}

function billRows(mch_id: string): Prisma.Sql {
  return Prisma.sql`
    SELECT bill_date::text AS bill_date, problem, tried_at FROM statement_day
    WHERE mch_id = ${mch_id} AND state = 'REFUSED' ORDER BY bill_date DESC LIMIT ${attentionCap}`;
}

function tradeRows(now: Date): Prisma.Sql {
  return Prisma.sql`
    SELECT order_no, out_trade_no, trade_state, total_fen, expires_at, asked_at FROM trade
    WHERE trade_state IN ('NOTPAY', 'USERPAYING') AND expires_at < ${new Date(now.getTime() - openAfterEnd_ms)}
    ORDER BY expires_at DESC LIMIT ${attentionCap}`;
}

interface AccountFaultRow {
  call: AccountCall;
  errcode: number | null;
  code: string;
  errmsg: string;
  times: number;
  last_at: Date;
}

function accountRows(now: Date): Prisma.Sql {
  return Prisma.sql`
    SELECT call, errcode, code, errmsg, times, last_at FROM account_fault
    WHERE ended_at IS NULL AND last_at > CASE WHEN call IN ('pay_page', 'js_page')
      THEN ${new Date(now.getTime() - reportsOf_ms)}::timestamptz
      ELSE ${new Date(now.getTime() - messagesOf_ms)}::timestamptz END
    ORDER BY last_at DESC LIMIT ${attentionCap}`;
}

const miniSettings = '小程序后台 → 管理 → 开发管理 → 开发设置';
const notGrantedWords = {
  zh: '微信没有给商户开通这种支付方式，或 AppID 没有与商户号绑定，顾客不能这样付款',
  en: 'WeChat has not granted this way of paying to the merchant, or the appid is not bound to it',
  console_page: '商户平台 → 产品中心 → 我的产品 / AppID账号管理',
};

/** `errmsg` is the page that WeChat looked at. */
const misplacedWords: Record<PageCall, (page: string) => Pick<AccountTrouble, 'zh' | 'en' | 'console_page'>> =
  {
    pay_page: (page) => ({
      zh: `有顾客的页面报告微信说“当前页面的URL未注册”，页面是 ${page}`,
      en: `shoppers' pages report that WeChat said 当前页面的URL未注册; the page is ${page}`,
      console_page: consolePages.payment_directory,
    }),
    js_page: (page) => ({
      zh: `有顾客的页面报告 JS-SDK 说 invalid url domain，页面是 ${page}`,
      en: `shoppers' pages report that the JS-SDK said invalid url domain; the page is ${page}`,
      console_page: consolePages.js_domain,
    }),
  };

function accountTrouble({ call, errcode, code, errmsg, times, last_at }: AccountFaultRow): AccountTrouble {
  const seen = { call, code, times, last_at };
  if (call === 'pay_page' || call === 'js_page') {
    return { ...seen, ...misplacedWords[call](errmsg), instead: undefined };
  }
  if (call.startsWith('place ')) return { ...seen, ...notGrantedWords, instead: undefined };
  const { zh, en, console_page, instead } = errcodeWords(errcode ?? undefined, code, errmsg);
  // The mini-program has a console of its own, with the same settings in another place.
  const page = call === 'mini' && console_page !== undefined ? miniSettings : console_page;
  return { ...seen, zh, en, console_page: page, instead };
}

/** Everything, each kind newest first. */
export async function readAttention(ctx: Context): Promise<Attention> {
  const now = ctx.now();
  const { mch_id } = ctx.pay;
  const [account, surplus, refunds, messages, differences, bills, trades] = await Promise.all([
    ctx.db.$queryRaw<AccountFaultRow[]>(accountRows(now)),
    ctx.db.$queryRaw<SurplusMoney[]>(surplusRows),
    ctx.db.$queryRaw<StuckRefund[]>(refundRows(now)),
    ctx.db.$queryRaw<StrangeMessage[]>(messageRows(now)),
    ctx.db.$queryRaw<OpenDifferences[]>(differenceRows(mch_id)),
    ctx.db.$queryRaw<BadBill[]>(billRows(mch_id)),
    ctx.db.$queryRaw<StuckTrade[]>(tradeRows(now)),
  ]);
  return {
    rules: ruleFindings(ctx.config),
    account: account.map(accountTrouble),
    surplus,
    refunds,
    messages,
    differences,
    bills,
    trades,
  };
}

/** How many rows `readAttention` has, asked in one statement: what the header shows on every page. */
export async function countAttention(ctx: Context): Promise<number> {
  const now = ctx.now();
  const { mch_id } = ctx.pay;
  const lists = [
    accountRows(now),
    surplusRows,
    refundRows(now),
    messageRows(now),
    differenceRows(mch_id),
    billRows(mch_id),
    tradeRows(now),
  ];
  const counts = lists.map((list) => Prisma.sql`(SELECT count(*) FROM (${list}) x)`);
  const [row] = await ctx.db.$queryRaw<{ count: number }[]>(
    Prisma.sql`SELECT (${Prisma.join(counts, ' + ')})::int AS count`,
  );
  return ruleFindings(ctx.config).length + (row?.count ?? 0);
}
