/**
 * One order's history as an operator reads it: our events and WeChat's notifications in one order of time, in plain
 * words, with the raw exchange behind each. It only rearranges what was stored; it decides nothing.
 */
import { readableMessage } from './admin_masking.ts';
import type { readOrder } from './admin_orders.ts';
import {
  bridgeInWords,
  eventWords,
  fieldsInWords,
  originWords,
  refusalWords,
  settleWords,
  sourceWords,
  type Tone,
} from './admin_words.ts';
import { beijingText } from './beijing.ts';
import { formatFen } from './money.ts';
import { type HeldRefundState, type HeldTradeState, refundStateLabels, tradeStateLabels } from './states.ts';

type OrderRead = NonNullable<Awaited<ReturnType<typeof readOrder>>>;
type EventRow = OrderRead['events'][number];
type NotificationRow = OrderRead['notifications'][number];

export interface TimelineItem {
  key: string;
  at: Date;
  /** An event kind, or `notification`. */
  kind: string;
  title: string;
  tone: Tone;
  source: string;
  out_trade_no: string | null;
  /** Plain sentences, most important first. */
  notes: string[];
  /** How often the same message came again, and when; empty when it came once. */
  repeated_at: Date[];
  raws: { title: string; format: string; text: string }[];
}

/** Oldest first; at the same instant a message stands before what it caused. */
export function timelineOf({ order, events, notifications }: OrderRead): TimelineItem[] {
  const openids = knownOpenids(order);
  const items = [
    ...groupNotifications(notifications).map((group) => notificationItem(group, openids)),
    ...events.map((event) => eventItem(event, openids)),
  ];
  return items.sort((a, b) => a.at.getTime() - b.at.getTime());
}

/** Every openid that our rows of this order hold: what must never be shown whole. */
export function knownOpenids(order: Pick<OrderRead['order'], 'openid' | 'trades'>): string[] {
  const all = [order.openid, ...order.trades.flatMap(({ openid, payer_openid }) => [openid, payer_openid])];
  return [...new Set(all)].filter((openid): openid is string => openid !== null);
}

/** `2026-11-23 18:30:07.042`, Beijing: events of one payment lie milliseconds apart. */
export function beijingExactly(at: Date): string {
  return `${beijingText(at)}.${String(at.getUTCMilliseconds()).padStart(3, '0')}`;
}

/** WeChat sends a notification until it is answered, and sometimes after: equal verdicts on one trade are one item. */
function groupNotifications(rows: readonly NotificationRow[]): [NotificationRow, ...NotificationRow[]][] {
  const groups = new Map<string, [NotificationRow, ...NotificationRow[]]>();
  for (const row of rows) {
    const key = JSON.stringify([row.kind, row.out_trade_no, row.verdict, row.detail]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return [...groups.values()];
}

const verdictWords: Record<string, { text: string; tone: Tone }> = { ...refusalWords, ...settleWords };

function notificationItem(
  [first, ...again]: [NotificationRow, ...NotificationRow[]],
  openids: readonly string[],
): TimelineItem {
  const words = verdictWords[first.verdict] ?? { text: first.verdict, tone: 'plain' };
  const differs =
    first.verdict === 'mismatch'
      ? `不一致的内容：${fieldsInWords(first.detail.split(',').filter((name) => name !== ''))}`
      : first.detail;
  return {
    key: `notification-${first.id}`,
    at: first.received_at,
    kind: 'notification',
    title: `${first.verdict === 'already' ? '收到重复的' : '收到'}${first.kind === 'refund' ? '退款' : '支付'}通知`,
    tone: words.tone,
    source: '微信通知',
    out_trade_no: first.out_trade_no,
    notes: [words.text, differs].filter((note) => note !== ''),
    repeated_at: again.map(({ received_at }) => received_at),
    raws: [
      { title: '通知原文', ...readableMessage(Buffer.from(first.body).toString('utf8'), openids) },
      { title: '请求头', ...readableMessage(JSON.stringify(first.headers), openids) },
    ],
  };
}

function eventItem(event: EventRow, openids: readonly string[]): TimelineItem {
  const data = fieldsOf(event.data);
  const words = wordsOf<{ title: string; tone: Tone }>(eventWords, event.kind);
  const failed = fieldsOf(data.error);
  const { exchange, ...rest } = data;
  return {
    key: `event-${event.id}`,
    at: event.at,
    kind: event.kind,
    title: words?.title ?? event.kind,
    tone: failed.code !== undefined || data.verdict === 'mismatch' ? 'bad' : (words?.tone ?? 'plain'),
    source: wordsOf<string>(sourceWords, event.source) ?? event.source,
    out_trade_no: event.out_trade_no,
    notes: [...refundNotes(data), ...notesOf(data, failed)],
    repeated_at: [],
    raws: [
      ...exchangeRaws(fieldsOf(exchange), openids),
      ...(Object.keys(rest).length === 0
        ? []
        : [{ title: '记录', ...readableMessage(JSON.stringify(rest), openids) }]),
    ],
  };
}

type Fields = Record<string, unknown>;

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

/** What a table written for known words says of a word from a row, which may be newer than the table. */
function wordsOf<Words>(table: Readonly<Record<string, Words>>, word: string): Words | undefined {
  return Object.hasOwn(table, word) ? table[word] : undefined;
}

/** A state in Chinese; a word we do not hold ourselves (WeChat's ACCEPT) stays as it is. */
export function tradeStateInWords(state: string): string {
  return Object.hasOwn(tradeStateLabels, state) ? tradeStateLabels[state as HeldTradeState].zh : state;
}

function notesOf(data: Fields, failed: Fields): string[] {
  const notes: string[] = typeof data.note === 'string' ? [data.note] : [];
  const amount = data.total_fen;
  if (typeof amount === 'number') notes.push(`金额 ${formatFen(amount)}`);
  if (typeof data.payer_total_fen === 'number' && data.payer_total_fen !== amount) {
    notes.push(`顾客实付 ${formatFen(data.payer_total_fen)}`);
  }
  if (typeof data.trade_type === 'string') notes.push(`方式 ${data.trade_type}`);
  if (typeof data.trade_state === 'string') notes.push(`微信说：${tradeStateInWords(data.trade_state)}`);
  if (typeof data.verdict === 'string') {
    notes.push(
      data.verdict === 'applied' ? '已据此更新' : (verdictWords[data.verdict]?.text ?? data.verdict),
    );
  }
  if (Array.isArray(data.differs) && data.differs.length > 0) {
    notes.push(`不一致的内容：${fieldsInWords(data.differs.map(String))}`);
  }
  if (typeof failed.code === 'string') {
    const meaning = failed.outcome === 'refused' ? '微信拒绝' : '结果未知，会再次查询';
    notes.push(
      `${meaning}：${failed.code} ${typeof failed.message === 'string' ? failed.message : ''}`.trim(),
    );
  }
  if (typeof data.attempt === 'number' && data.attempt > 1) notes.push(`第 ${data.attempt} 次尝试`);
  if (typeof data.outcome === 'string') notes.push(closeWords[data.outcome] ?? data.outcome);
  if (typeof data.err_msg === 'string') notes.push(bridgeInWords(data.err_msg));
  if (typeof data.transaction_id === 'string') notes.push(`微信单号 ${data.transaction_id}`);
  if (typeof data.success_at === 'string') {
    notes.push(`微信记载的支付时间 ${beijingText(new Date(data.success_at))}`);
  }
  if (typeof data.expires_at === 'string') {
    notes.push(`支付期限 ${beijingText(new Date(data.expires_at))}`);
  }
  return notes;
}

function refundNotes(data: Fields): string[] {
  const { refund_fen, out_refund_no, from, to, status, origin, reason } = data;
  if (typeof out_refund_no !== 'string') return [];
  const state = (word: unknown): string =>
    Object.hasOwn(refundStateLabels, String(word))
      ? refundStateLabels[String(word) as HeldRefundState].zh
      : String(word);
  const notes: string[] = [];
  if (typeof refund_fen === 'number') notes.push(`退款 ${formatFen(refund_fen)}`);
  if (from !== undefined && to !== undefined) notes.push(`${state(from)} → ${state(to)}`);
  if (status !== undefined) notes.push(`微信说：${state(status)}`);
  if (origin !== undefined) notes.push(wordsOf(originWords, String(origin)) ?? String(origin));
  if (typeof reason === 'string') notes.push(`原因：${reason}`);
  return [...notes, `退款单号 ${out_refund_no}`];
}

const closeWords: Record<string, string> = {
  closed: '微信已关单',
  paid: '微信拒绝关单：已支付',
  not_found: '微信没有这个单号',
};

function exchangeRaws(exchange: Fields, openids: readonly string[]): TimelineItem['raws'] {
  if (exchange.path === undefined) return [];
  const took = typeof exchange.duration_ms === 'number' ? `，用时 ${exchange.duration_ms} 毫秒` : '';
  const request_id = typeof exchange.request_id === 'string' ? `，Request-ID ${exchange.request_id}` : '';
  const answered = typeof exchange.status === 'number' ? `应答 HTTP ${exchange.status}` : '没有收到应答';
  const body = (value: unknown) => (typeof value === 'string' ? value : '');
  return [
    {
      title: `请求 ${String(exchange.method)} ${readableMessage(String(exchange.path), openids).text}`,
      ...readableMessage(body(exchange.request_body), openids),
    },
    {
      title: `${answered}${took}${request_id}`,
      ...readableMessage(body(exchange.response_body), openids),
    },
  ];
}
