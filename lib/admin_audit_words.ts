/** The operators' book in Chinese: what an action was and what came of it, and where its target is looked at. */
import type { AuditAction, AuditRow } from './admin_audit.ts';
import { auditWords, dayLookWords, differenceWords } from './admin_words.ts';
import { formatFen } from './money.ts';
import { numberPattern } from './numbers.ts';
import { type OrderState, orderStateLabels } from './states.ts';

/** The action in words; one that is newer than this table stays as it is. */
export function actionInWords(action: string): string {
  return Object.hasOwn(auditWords, action) ? auditWords[action as AuditAction] : action;
}

/** Address of what an action was about. */
export function targetAddress({ action, target, data }: AuditRow): string | undefined {
  if (action.startsWith('statement')) return `/admin/statements/${target}`;
  if (action === 'difference_explained') {
    const { bill_date } = fieldsOf(data);
    return typeof bill_date === 'string' ? `/admin/statements/${bill_date}?show=all` : undefined;
  }
  return numberPattern.test(target) ? `/admin/orders/${target}` : undefined;
}

const codes: Record<string, string> = {
  refund_not_paid: '没有支付',
  refund_too_much: '超过可退金额',
  refund_too_many: '已退满 50 次',
  refund_too_old: '支付已满一年',
  refund_key_reused: '请求重复而金额不同',
  refund_not_abnormal: '退款不是异常状态',
  refund_abnormal_v2: 'v2 交易，须在商户平台处理',
  not_found: '没有这笔支付或订单',
  order_paid: '订单已支付',
  order_closed: '订单早已关闭',
  bill_too_early: '账单还没有出',
  busy: '另一次核对正在进行',
  auth_code_form: '不是付款码',
  auth_code_used: '付款码已用过',
  charge_key_reused: '请求重复而内容不同',
  reverse_too_early: '提交不到 15 秒',
  not_reversible: '已有结果',
  product_not_opened: '没有开通',
  red_packet_amount: '每个红包 1 至 200 元',
  red_packet_limit: '超过当天限额',
  red_packet_no_payer: '订单未支付或不知道付款人',
  red_packet_other_account: '付款人属于另一个账号',
  red_packet_key_reused: '请求重复而内容不同',
};

const outcomes: Record<string, string> = {
  closed: '已关闭',
  accepted: '微信已受理',
  refused: '微信拒绝',
  paid: '顾客已付款，没有关闭',
  unknown: '微信没有给出确定的应答',
  recently: '刚刚查询过',
  not_found: '微信没有这个单号',
  told: '微信已应答',
};

const cards: Record<string, string> = {
  USER_BANK_CARD: '退到顾客银行卡',
  MERCHANT_BANK_CARD: '退回商户银行卡',
};

const dayStates: Record<string, string> = {
  COMPARED: '已核对',
  EMPTY: dayLookWords.empty,
  WAITING: dayLookWords.waiting,
  REFUSED: dayLookWords.refused,
};

/** What was asked and what came of it: plain pieces, most important first. */
export function auditInWords({ action, data }: Pick<AuditRow, 'action' | 'data'>): string[] {
  const fields = fieldsOf(data);
  const text = (name: string): string | undefined =>
    typeof fields[name] === 'string' ? String(fields[name]) : undefined;
  const { refund_fen, total_fen, total_num, made, before, after, differences, settled } = fields;
  const parts: (string | undefined)[] = [
    typeof refund_fen === 'number' ? formatFen(refund_fen) : undefined,
    typeof total_fen === 'number' && total_fen > 0 ? formatFen(total_fen) : undefined,
    typeof total_num === 'number' && total_num > 1 ? `${total_num} 人分` : undefined,
    wordOf(codes, text('code')),
    wordOf(outcomes, text('outcome')),
    moved(before, after),
    wordOf(cards, text('type')),
    text('card_ends') === undefined ? undefined : `卡号末四位 ${text('card_ends')}`,
    text('refused_code'),
    action === 'statement' ? wordOf(dayStates, text('state')) : undefined,
    typeof differences === 'number' ? `待处理差异 ${differences}` : undefined,
    typeof settled === 'number' && settled > 0 ? `补记 ${settled} 笔` : undefined,
    action === 'difference_explained' ? kindTitle(text('kind')) : undefined,
    text('reason') === undefined ? undefined : `原因：${text('reason')}`,
    text('note') === undefined ? undefined : `说明：${text('note')}`,
    made === false ? '此前已有，没有再做' : undefined,
    text('out_refund_no') === undefined ? undefined : `退款单号 ${text('out_refund_no')}`,
    text('mch_billno') === undefined ? undefined : `红包单号 ${text('mch_billno')}`,
    text('act_name') === undefined ? undefined : `活动：${text('act_name')}`,
    text('out_trade_no') === undefined ? undefined : `商户单号 ${text('out_trade_no')}`,
  ];
  return parts.filter((part) => part !== undefined && part !== '').map(String);
}

type Fields = Record<string, unknown>;

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function wordOf(table: Readonly<Record<string, string>>, word: string | undefined): string | undefined {
  return word !== undefined && Object.hasOwn(table, word) ? table[word] : word;
}

function kindTitle(kind: string | undefined): string | undefined {
  return kind !== undefined && Object.hasOwn(differenceWords, kind)
    ? differenceWords[kind as keyof typeof differenceWords].title
    : kind;
}

/** The order's state before and after; a query keeps it one level deeper. */
function moved(before: unknown, after: unknown): string | undefined {
  const state = (side: unknown): string | undefined => {
    const held = typeof side === 'string' ? side : fieldsOf(side).order_state;
    if (typeof held !== 'string') return undefined;
    return Object.hasOwn(orderStateLabels, held) ? orderStateLabels[held as OrderState].zh : held;
  };
  const [from, to] = [state(before), state(after)];
  if (from === undefined || to === undefined) return undefined;
  return from === to ? `订单${from}，没有变化` : `订单 ${from} → ${to}`;
}
