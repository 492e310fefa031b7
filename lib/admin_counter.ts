/**
 * The counter as its operator sees it: one charge and how it stands, today's charges with their sums, today's red
 * packets. Reading only; a status may ask WeChat through the shared throttle, and decides nothing.
 */
import { askTrade } from './ask.ts';
import type { Context } from './context.ts';
import { askEvery_ms, waitsUntil } from './counter.ts';
import { faceMeaning, redPacketMeaning, refusalMeaning } from './counter_words.ts';
import { AppError } from './errors.ts';
import { numberPattern } from './numbers.ts';
import { beijingMidnight, countedOn } from './red_packets.ts';
import { isCounterTrade, reversibleAfter_ms } from './reverse.ts';
import { sellerNames } from './sellers.ts';
import type { HeldTradeState, RedPacketState } from './states.ts';

/**
 * `waiting`: the payer is asked for the password. `confirming`: nothing is known yet. `reversing`: it is being taken
 * back. `paid`, `refused`, `reversed`, `closed` (WeChat never took it) are ends.
 */
export type ChargeStanding =
  | 'confirming'
  | 'waiting'
  | 'reversing'
  | 'paid'
  | 'refused'
  | 'reversed'
  | 'closed';

export interface ShownCharge {
  out_trade_no: string;
  order_no: string;
  title: string;
  total_fen: number;
  refunded_fen: number;
  trade_type: string;
  /** Partner mode: whose money it is, by name; null for an ordinary merchant. */
  seller: string | null;
  standing: ChargeStanding;
  /** Why it was refused, in WeChat's meaning. */
  refused: { code: string; zh: string; en: string } | null;
  created_at: Date;
  /** How long the payer may look for the password, and since when the operator may give up; by our clock. */
  wait_ms: number;
  wait_left_ms: number;
  reversible_in_ms: number;
  paid_at: Date | null;
  transaction_id: string | null;
  operator: string;
  /** When to ask again; null at an end. */
  next_poll_ms: number | null;
}

const columns = {
  out_trade_no: true,
  order_no: true,
  total_fen: true,
  trade_type: true,
  sub_mch_id: true,
  trade_state: true,
  refused_code: true,
  reversing_at: true,
  transaction_id: true,
  success_at: true,
  created_at: true,
  order: { select: { title: true, admin_id: true } },
  refunds: { where: { state: 'SUCCESS' }, select: { refund_fen: true } },
} as const;

type Row = Awaited<ReturnType<typeof find>>;

const find = (ctx: Context, out_trade_no: string) =>
  ctx.db.trade.findUnique({ where: { out_trade_no }, select: columns });

/** One charge; throws `not_found` for what is none. Asks WeChat when nobody has for five seconds. */
export async function readCharge(ctx: Context, out_trade_no: string): Promise<ShownCharge> {
  if (!numberPattern.test(out_trade_no)) throw new AppError('not_found');
  let row = counterRow(await find(ctx, out_trade_no));
  const standing = standingOf(ctx, row);
  if (standing === 'confirming' || standing === 'waiting') {
    const asked = await askTrade(ctx, out_trade_no, { source: 'operator', min_gap_ms: askEvery_ms });
    if (asked.outcome === 'told') row = counterRow(await find(ctx, out_trade_no));
  }
  const names = await operatorNames(ctx, [row]);
  return shown(ctx, row, names);
}

function counterRow(row: Row): NonNullable<Row> {
  if (row === null || !isCounterTrade(row.trade_type)) throw new AppError('not_found');
  return row;
}

function standingOf(ctx: Context, row: NonNullable<Row>): ChargeStanding {
  switch (row.trade_state as HeldTradeState) {
    case 'SUCCESS':
    case 'REFUND':
      return 'paid';
    case 'PAYERROR':
      return 'refused';
    case 'REVOKED':
      return 'reversed';
    case 'CLOSED':
      return 'closed';
    case 'NOTPAY':
    case 'USERPAYING':
      if (row.reversing_at !== null || ctx.now() >= waitsUntil(ctx, row.created_at)) return 'reversing';
      return row.trade_state === 'USERPAYING' ? 'waiting' : 'confirming';
  }
}

function shown(ctx: Context, row: NonNullable<Row>, names: ReadonlyMap<string, string>): ShownCharge {
  const standing = standingOf(ctx, row);
  const now = ctx.now().getTime();
  const code = standing === 'refused' ? (row.refused_code ?? 'PAYERROR') : null;
  const ended = standing !== 'confirming' && standing !== 'waiting' && standing !== 'reversing';
  const wait_until = waitsUntil(ctx, row.created_at).getTime();
  return {
    out_trade_no: row.out_trade_no,
    order_no: row.order_no,
    title: row.order.title,
    total_fen: row.total_fen,
    refunded_fen: row.refunds.reduce((sum, { refund_fen }) => sum + refund_fen, 0),
    trade_type: row.trade_type,
    seller: row.sub_mch_id === null ? null : (sellerNames(ctx.config).get(row.sub_mch_id) ?? row.sub_mch_id),
    standing,
    refused:
      code === null ? null : { code, ...(row.trade_type === 'FACEPAY' ? faceMeaning : refusalMeaning)(code) },
    created_at: row.created_at,
    wait_ms: wait_until - row.created_at.getTime(),
    wait_left_ms: Math.max(0, wait_until - now),
    reversible_in_ms: Math.max(0, row.created_at.getTime() + reversibleAfter_ms - now),
    paid_at: row.success_at,
    transaction_id: row.transaction_id,
    operator: names.get(row.order.admin_id ?? '') ?? '',
    next_poll_ms: ended ? null : standing === 'reversing' ? 2_000 : 1_000,
  };
}

const operatorNames = (ctx: Context, rows: readonly NonNullable<Row>[]) =>
  namesOf(
    ctx,
    rows.flatMap(({ order }) => order.admin_id ?? []),
  );

async function namesOf(ctx: Context, ids: readonly string[]): Promise<Map<string, string>> {
  const admins = await ctx.db.admin.findMany({
    where: { id: { in: [...new Set(ids)] } },
    select: { id: true, username: true },
  });
  return new Map(admins.map(({ id, username }) => [id, username]));
}

export interface CounterDay {
  charges: ShownCharge[];
  paid: number;
  paid_fen: number;
  refunded_fen: number;
  /** Charges whose outcome is not known yet. */
  undecided: number;
}

/** Charges of this Beijing day, newest first, at most two hundred; the sums are of all of them. */
export async function counterDay(ctx: Context): Promise<CounterDay> {
  const since = beijingMidnight(ctx.now());
  const today = { order: { origin: 'counter', created_at: { gte: since } } };
  const [rows, paid, refunded, undecided] = await Promise.all([
    ctx.db.trade.findMany({
      where: today,
      select: columns,
      orderBy: [{ created_at: 'desc' }, { out_trade_no: 'desc' }],
      take: 200,
    }),
    ctx.db.trade.aggregate({
      where: { ...today, trade_state: { in: ['SUCCESS', 'REFUND'] } },
      _sum: { total_fen: true },
      _count: true,
    }),
    ctx.db.refund.aggregate({ where: { state: 'SUCCESS', trade: today }, _sum: { refund_fen: true } }),
    ctx.db.trade.count({ where: { ...today, trade_state: { in: ['NOTPAY', 'USERPAYING'] } } }),
  ]);
  const names = await operatorNames(ctx, rows);
  return {
    charges: rows.map((row) => shown(ctx, row, names)),
    paid: paid._count,
    paid_fen: paid._sum.total_fen ?? 0,
    refunded_fen: refunded._sum.refund_fen ?? 0,
    undecided,
  };
}

export interface ShownRedPacket {
  mch_billno: string;
  openid: string;
  order_no: string | null;
  total_fen: number;
  total_num: number;
  act_name: string;
  wishing: string;
  state: RedPacketState;
  refused: { code: string; zh: string; en: string } | null;
  reason: string | null;
  taken_fen: number;
  taken_num: number;
  refund_fen: number;
  created_at: Date;
  ended_at: Date | null;
  operator: string;
}

const redPacketColumns = {
  mch_billno: true,
  openid: true,
  order_no: true,
  total_fen: true,
  total_num: true,
  act_name: true,
  wishing: true,
  state: true,
  refused_code: true,
  reason: true,
  taken_fen: true,
  taken_num: true,
  refund_fen: true,
  created_at: true,
  ended_at: true,
  admin_id: true,
} as const;

type RedPacketRow = NonNullable<Awaited<ReturnType<typeof findPacket>>>;

const findPacket = (ctx: Context, mch_billno: string) =>
  ctx.db.red_packet.findUnique({ where: { mch_billno }, select: redPacketColumns });

function shownPacket(
  { refused_code, admin_id, openid, state, ...row }: RedPacketRow,
  names: ReadonlyMap<string, string>,
): ShownRedPacket {
  return {
    ...row,
    state: state as RedPacketState,
    openid: `${openid.slice(0, 4)}…${openid.slice(-4)}`,
    refused: refused_code === null ? null : { code: refused_code, ...redPacketMeaning(refused_code) },
    operator: names.get(admin_id) ?? '',
  };
}

/** One packet as it stands; throws `not_found`. */
export async function readRedPacket(ctx: Context, mch_billno: string): Promise<ShownRedPacket> {
  const row = await findPacket(ctx, mch_billno);
  if (row === null) throw new AppError('not_found');
  return shownPacket(row, await namesOf(ctx, [row.admin_id]));
}

/** The latest hundred, and what the day's limit leaves. Openids are shortened: enough to recognise, not to use. */
export async function listRedPackets(
  ctx: Context,
): Promise<{ packets: ShownRedPacket[]; left_fen: number; limit_fen: number }> {
  const [rows, today] = await Promise.all([
    ctx.db.red_packet.findMany({
      select: redPacketColumns,
      orderBy: [{ created_at: 'desc' }, { mch_billno: 'desc' }],
      take: 100,
    }),
    ctx.db.red_packet.aggregate({ where: countedOn(ctx.now()), _sum: { total_fen: true } }),
  ]);
  const names = await namesOf(
    ctx,
    rows.map(({ admin_id }) => admin_id),
  );
  const limit_fen = ctx.config.RED_PACKET_DAILY_LIMIT_FEN;
  return {
    packets: rows.map((row) => shownPacket(row, names)),
    left_fen: Math.max(0, limit_fen - (today._sum.total_fen ?? 0)),
    limit_fen,
  };
}
