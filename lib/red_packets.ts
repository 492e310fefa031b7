/**
 * Cash red packets an operator sends. The row and its number come before the call, an unknown answer is repeated under
 * the same number, and WeChat's own record decides what became of it. The limits are checked under one lock.
 */
import { z } from 'zod';
import { addAudit, auditingRefusals, type Operator } from './admin_audit.ts';
import { beijingText } from './beijing.ts';
import type { Context } from './context.ts';
import { isDuplicate, Prisma, type Tx } from './db.ts';
import { AppError } from './errors.ts';
import { asWechatError, exchangeData } from './events.ts';
import { formatFen } from './money.ts';
import { numberPattern, randomDigits } from './numbers.ts';
import { enqueue } from './queues.ts';
import { counterOf } from './reverse.ts';
import { type RedPacketState, redPacketEnds } from './states.ts';
import { fitDescription, type QueriedRedPacket, type RedPacketReport } from './wechat/index.ts';

/** 现金红包: one to two hundred yuan for each person. */
export const leastPerPerson_fen = 100;
export const mostPerPerson_fen = 20_000;
const mostPeople = 20;

const text = (most_bytes: number) =>
  z
    .string()
    .trim()
    .min(1, 'must not be empty')
    .regex(/^[^<>&=\p{Cc}]+$/u, 'must be plain text without < > & =')
    .refine((value) => Buffer.byteLength(value) <= most_bytes, `must be at most ${most_bytes} bytes`);

export const redPacketInput = z
  .strictObject({
    openid: z
      .string()
      .trim()
      .regex(/^[\w-]{1,128}$/, 'must be an openid')
      .optional(),
    /** Instead of an openid: who paid this order. */
    order_no: z.string().trim().regex(numberPattern, 'must be one of our order numbers').optional(),
    total_fen: z.number().int('must be whole fen').min(1),
    /** 1: one person's; 3 to 20: shared by lot. */
    total_num: z.number().int().min(1).max(mostPeople),
    act_name: text(32),
    wishing: text(128),
    /** Made by the page once per wish, so that a repeated submit is the same packet. */
    command_key: z.string().regex(/^[A-Za-z0-9_-]{16,64}$/, 'must be 16 to 64 letters, digits, _ or -'),
  })
  .refine(({ openid, order_no }) => (openid === undefined) !== (order_no === undefined), {
    path: ['openid'],
    message: 'must be given, or order_no, not both',
  })
  .refine(({ total_num }) => total_num !== 2, { path: ['total_num'], message: 'must be 1, or 3 and more' });
export type RedPacketInput = z.output<typeof redPacketInput>;

export interface MadeRedPacket {
  mch_billno: string;
  made: boolean;
}

/**
 * Books a red packet and sends it once; the queue follows it. Throws `red_packet_not_opened`, `red_packet_amount`,
 * `red_packet_limit` with what is left, `red_packet_key_reused`, `not_found` for no order of ours, `red_packet_no_payer`,
 * `red_packet_other_account`.
 */
export async function sendByOperator(
  ctx: Context,
  operator: Operator,
  input: RedPacketInput,
): Promise<MadeRedPacket> {
  const { total_fen, total_num, act_name } = input;
  const target = input.order_no ?? input.command_key;
  const wish = { total_fen, total_num, act_name };
  return auditingRefusals(ctx, operator, 'red_packet_refused', target, wish, async () => {
    const { config } = ctx;
    if (config.RED_PACKET_DAILY_LIMIT_FEN === 0) throw new AppError('red_packet_not_opened');
    const each_fen = Math.trunc(total_fen / total_num);
    if (each_fen < leastPerPerson_fen || total_fen > mostPerPerson_fen * total_num) {
      throw new AppError('red_packet_amount', { field: 'total_fen' });
    }
    const made = await book(ctx, operator, input).catch(async (thrown: unknown) => {
      if (!isDuplicate(thrown)) throw thrown;
      throw new AppError('busy', { cause: thrown });
    });
    if (made.made) await followRedPacket(ctx, made.mch_billno);
    return made;
  });
}

/** One number for the advisory lock under which the day's packets are counted. */
const dayLock = 7_406_132;

async function book(ctx: Context, operator: Operator, input: RedPacketInput): Promise<MadeRedPacket> {
  const now = ctx.now();
  const account = accountOf(ctx);
  return ctx.db.$transaction(async (tx) => {
    await tx.$executeRaw(Prisma.sql`SELECT pg_advisory_xact_lock(${dayLock}::bigint)`);
    const admin_id_command_key = { admin_id: operator.admin.id, command_key: input.command_key };
    const known = await tx.red_packet.findUnique({ where: { admin_id_command_key } });
    if (known !== null) {
      const same =
        (input.openid === undefined || input.openid === known.openid) &&
        (input.order_no ?? null) === known.order_no &&
        known.total_fen === input.total_fen &&
        known.total_num === input.total_num &&
        known.act_name === input.act_name &&
        known.wishing === input.wishing;
      if (!same) {
        throw new AppError('red_packet_key_reused', { field: 'command_key' });
      }
      return { mch_billno: known.mch_billno, made: false };
    }
    const openid = input.openid ?? (await buyerOf(ctx, tx, input.order_no ?? ''));
    await refuseBeyondLimits(ctx, tx, openid, input.total_fen, now);
    const day = beijingText(now).slice(0, 10).replaceAll('-', '');
    const mch_billno = `${account.mch_id}${day}${randomDigits(10)}`;
    await tx.red_packet.create({
      data: {
        mch_billno,
        command_key: input.command_key,
        mch_id: account.mch_id,
        appid: account.appid,
        openid,
        order_no: input.order_no ?? null,
        total_fen: input.total_fen,
        total_num: input.total_num,
        act_name: input.act_name,
        wishing: input.wishing,
        remark: input.act_name,
        // WeChat takes an IPv4 address only; behind IPv6 the cash desk's own does not matter to it.
        client_ip: /^\d+\.\d+\.\d+\.\d+$/.test(operator.ip) ? operator.ip : '127.0.0.1',
        state: 'REQUESTED',
        admin_id: operator.admin.id,
        created_at: now,
      },
      select: { mch_billno: true },
    });
    await addAudit({ db: tx, now: ctx.now }, operator, 'red_packet', input.order_no ?? mch_billno, {
      mch_billno,
      total_fen: input.total_fen,
      total_num: input.total_num,
      act_name: input.act_name,
    });
    await tx.$executeRaw(
      enqueue('red_packet_follow', { mch_billno }, mch_billno, new Date(now.getTime() + 10_000)),
    );
    return { mch_billno, made: true };
  });
}

/** Who paid, never who began: whoever has the link may begin. */
async function buyerOf(ctx: Context, tx: Tx, order_no: string): Promise<string> {
  const field = 'order_no';
  const order = await tx.order.findUnique({ where: { order_no }, select: { paid_trade_no: true } });
  if (order === null) throw new AppError('not_found', { field });
  const trade =
    order.paid_trade_no === null
      ? null
      : await tx.trade.findUnique({
          where: { out_trade_no: order.paid_trade_no },
          select: { appid: true, sub_appid: true, openid: true, payer_openid: true },
        });
  const openid = trade?.payer_openid ?? trade?.openid;
  if (trade === null || openid == null) throw new AppError('red_packet_no_payer', { field });
  if ((trade.sub_appid ?? trade.appid) !== ctx.config.WECHAT_APPID) {
    throw new AppError('red_packet_other_account', { field });
  }
  return openid;
}

/**
 * The packets whose money counts on the day of `now`. What WeChat refused or could not send does not; everything that
 * may be money does.
 */
export function countedOn(now: Date): Prisma.red_packetWhereInput {
  return {
    OR: [
      { created_at: { gte: beijingMidnight(now) }, state: { notIn: ['REFUSED', 'FAILED'] } },
      // Booked before and not sent yet: its money would move today.
      { state: 'REQUESTED' },
    ],
  };
}

async function refuseBeyondLimits(
  ctx: Context,
  tx: Tx,
  openid: string,
  total_fen: number,
  now: Date,
): Promise<void> {
  const today = await tx.red_packet.findMany({
    where: countedOn(now),
    select: { openid: true, total_fen: true },
  });
  const left_fen =
    ctx.config.RED_PACKET_DAILY_LIMIT_FEN - today.reduce((sum, packet) => sum + packet.total_fen, 0);
  if (total_fen > left_fen) {
    throw new AppError('red_packet_limit', {
      field: 'total_fen',
      detail: `total_fen: ${formatFen(Math.max(0, left_fen))} left`,
    });
  }
  const own = today.filter((packet) => packet.openid === openid).length;
  if (own >= ctx.config.RED_PACKET_DAILY_PER_PERSON) {
    throw new AppError('red_packet_limit', {
      field: 'openid',
      detail: `openid: ${own} of ${ctx.config.RED_PACKET_DAILY_PER_PERSON} sent`,
    });
  }
}

export function beijingMidnight(now: Date): Date {
  return new Date(`${beijingText(now).slice(0, 10)}T00:00:00+08:00`);
}

/** Red packets speak API v2, whatever trades do; the recipient is known under the official account. */
function accountOf(ctx: Context) {
  return ctx.payOver({ api_version: 'v2', sign_type: ctx.config.WECHAT_SIGN_TYPE });
}

/** Refusals that pass by themselves or with a top-up: the same number is sent again later. */
const passing = new Set([
  'NOTENOUGH',
  'FREQ_LIMIT',
  'SECOND_OVER_LIMITED',
  'NO_CERTIFICATE',
  'CA_ERROR',
  'CERT_ERROR',
]);

/** A packet that could not be sent for so long is not sent any more: nobody expects it. */
const sendable_ms = 86_400_000;

/** States WeChat, or we, may still move. */
export const openRedPacketStates = ['REQUESTED', 'SENDING', 'SENT', 'RFUND_ING'] as const;

const isOpen = (state: string): boolean => openRedPacketStates.some((open) => open === state);

/** One step of a packet's way: send it, or ask about it. Returns when to take the next, or undefined at the end. */
export async function followRedPacket(ctx: Context, mch_billno: string): Promise<Date | undefined> {
  const packet = await ctx.db.red_packet.findUnique({ where: { mch_billno } });
  if (packet === null || !isOpen(packet.state)) return undefined;
  const after = (seconds: number): Date => new Date(ctx.now().getTime() + seconds * 1_000);
  const lapsed = ctx.now().getTime() - packet.created_at.getTime() > sendable_ms;
  const later =
    packet.state !== 'REQUESTED'
      ? await askOnce(ctx, mch_billno)
      : await (lapsed ? giveUp(ctx, mch_billno) : sendOnce(ctx, mch_billno));
  const { state } = await ctx.db.red_packet.findUniqueOrThrow({
    where: { mch_billno },
    select: { state: true },
  });
  if (!isOpen(state)) return undefined;
  if (state === 'REQUESTED') {
    if (lapsed) return after(3_600);
    return after(later === 'later' ? 300 : Math.min(10 * 2 ** packet.send_calls, 600));
  }
  const age_s = (ctx.now().getTime() - packet.created_at.getTime()) / 1_000;
  // Unclaimed money comes back after a day; WeChat tells its record for longer than we need.
  return after(age_s < 120 ? 15 : age_s < 3_600 ? 300 : 3_600);
}

async function sendOnce(ctx: Context, mch_billno: string): Promise<'later' | 'soon'> {
  const now = ctx.now();
  const { count } = await ctx.db.red_packet.updateMany({
    where: {
      mch_billno,
      state: 'REQUESTED',
      OR: [{ sending_until: null }, { sending_until: { lte: now } }],
    },
    data: {
      sending_until: new Date(now.getTime() + ctx.config.WECHAT_TIMEOUT_MS + 1_000),
      send_calls: { increment: 1 },
      asked_at: now,
    },
  });
  if (count !== 1) return 'soon';
  const packet = await ctx.db.red_packet.findUniqueOrThrow({ where: { mch_billno } });
  const write = (data: Prisma.red_packetUpdateManyMutationInput) =>
    ctx.db.red_packet.updateMany({
      where: { mch_billno, state: 'REQUESTED' },
      data: { sending_until: null, ...data },
    });
  try {
    const { send_listid, exchange } = await counterOf(accountOf(ctx)).sendRedPacket({
      mch_billno,
      re_openid: packet.openid,
      total_fen: packet.total_fen,
      total_num: packet.total_num,
      send_name: fitDescription(ctx.config.SHOP_NAME.replaceAll(/[<>&=]/g, ''), 32, ''),
      wishing: packet.wishing,
      act_name: packet.act_name,
      remark: packet.remark,
      client_ip: packet.client_ip,
    });
    await write({
      state: 'SENDING',
      refused_code: null,
      send_listid: send_listid ?? null,
      last_answer: exchangeData(exchange),
    });
    return 'soon';
  } catch (thrown) {
    const error = asWechatError(thrown);
    const later = passing.has(error.code);
    await write({
      refused_code: error.outcome === 'refused' ? error.code : null,
      last_answer: exchangeData(error.exchange, error),
    });
    // A refusal speaks of this call alone: an earlier one under the same number may have been carried out unheard.
    const asked = await askOnce(ctx, mch_billno);
    const alone = packet.send_calls === 1 && asked !== 'told';
    if (error.outcome === 'refused' && !later && (alone || asked === 'not_found')) {
      // Not when another call has begun meanwhile: that one's own answer counts.
      await ctx.db.red_packet.updateMany({
        where: { mch_billno, state: 'REQUESTED', send_calls: packet.send_calls, sending_until: null },
        data: { state: 'REFUSED', refused_code: error.code, ended_at: ctx.now() },
      });
    }
    return later ? 'later' : 'soon';
  }
}

/** Sent no more, whatever comes; over once WeChat says that it never had it. Until then it is asked about. */
async function giveUp(ctx: Context, mch_billno: string): Promise<'later'> {
  if ((await askOnce(ctx, mch_billno)) === 'not_found') {
    await ctx.db.red_packet.updateMany({
      where: {
        mch_billno,
        state: 'REQUESTED',
        OR: [{ sending_until: null }, { sending_until: { lte: ctx.now() } }],
      },
      data: { state: 'REFUSED', ended_at: ctx.now() },
    });
  }
  return 'later';
}

/** Asks WeChat for its record and writes what it says. */
async function askOnce(ctx: Context, mch_billno: string): Promise<'told' | 'not_found' | 'unknown'> {
  let told: QueriedRedPacket;
  try {
    told = await counterOf(accountOf(ctx)).queryRedPacket(mch_billno);
  } catch (thrown) {
    const error = asWechatError(thrown);
    await ctx.db.red_packet.updateMany({
      where: { mch_billno },
      data: { asked_at: ctx.now(), last_answer: exchangeData(error.exchange, error) },
    });
    return error.code === 'NOT_FOUND' ? 'not_found' : 'unknown';
  }
  await write(ctx, told.report, exchangeData(told.exchange));
  return 'told';
}

async function write(ctx: Context, report: RedPacketReport, last_answer: Prisma.InputJsonObject) {
  const { mch_billno, status } = report;
  const now = ctx.now();
  await ctx.db.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT mch_billno FROM red_packet WHERE mch_billno = ${mch_billno} FOR UPDATE`;
    const packet = await tx.red_packet.findUniqueOrThrow({ where: { mch_billno } });
    if (report.total_fen !== packet.total_fen || report.total_num !== packet.total_num) {
      ctx.log.error({ mch_billno }, 'WeChat describes this red packet otherwise than we do');
      return;
    }
    const held = packet.state as RedPacketState;
    // A last word stays; WeChat's word wins over our memory of a refusal.
    if (redPacketEnds.some((end) => end === held)) return;
    const ended = redPacketEnds.some((end) => end === status);
    await tx.red_packet.updateMany({
      where: { mch_billno, state: held },
      data: {
        state: status,
        detail_id: report.detail_id ?? null,
        reason: report.reason?.slice(0, 128) ?? null,
        refused_code: null,
        taken_fen: Math.min(
          packet.total_fen,
          report.taken.reduce((sum, { amount_fen }) => sum + amount_fen, 0),
        ),
        taken_num: report.taken.length,
        refund_fen: Math.min(packet.total_fen, report.refund_fen ?? 0),
        asked_at: now,
        last_answer,
        ...(ended ? { ended_at: now } : {}),
      },
    });
  });
}
