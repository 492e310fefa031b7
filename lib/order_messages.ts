/**
 * One message per paid order to its buyer. Its row is written before WeChat hears of it, and what WeChat does not
 * answer is not sent again: a message too few is a pity, one too many is a nuisance. Money never waits for it.
 */
import { type AccountCall, noteAccountFault, noteAccountWorks } from './account_faults.ts';
import { beijingText } from './beijing.ts';
import type { Context } from './context.ts';
import { withAccessToken } from './credentials.ts';
import { Prisma } from './db.ts';
import { addEvent, type EventKind } from './events.ts';
import { formatFen } from './money.ts';
import { enqueueSelect } from './queues.ts';
import {
  type AccountMessageKind,
  isTokenRejected,
  OfficialAccountError,
  sendAccountMessage,
} from './wechat/index.ts';

const call: AccountCall = 'message';

/** After a day nobody wants to hear any more that he has paid. */
const worthSending_ms = 24 * 3_600_000;

/** Of the user, not of our settings: the order's timeline is the place for it, not the list of troubles. */
const aboutTheUser: ReadonlySet<number | undefined> = new Set([40003, 43004, 43019, 43101, 50002]);

/** Writes the row and its job for a served order, once; nothing without a template or without a payer known under our account. */
export async function planOrderMessage(ctx: Context, order_no: string): Promise<void> {
  const { WECHAT_MESSAGE_TEMPLATE_ID: template_id, WECHAT_MESSAGE_KIND: kind } = ctx.config;
  if (template_id === undefined) return;
  await ctx.db.$executeRaw(
    new Prisma.Sql(
      [
        'WITH planned AS (INSERT INTO order_message (order_no, openid, kind, template_id, state, created_at) SELECT o.order_no, coalesce(t.payer_openid, t.openid), ',
        ', ',
        `, 'WAITING', `,
        ` FROM "order" o JOIN trade t ON t.out_trade_no = o.paid_trade_no WHERE o.order_no = `,
        ` AND o.state = 'SUCCESS' AND o.served_at IS NOT NULL AND coalesce(t.payer_openid, t.openid) IS NOT NULL
            AND coalesce(t.sub_appid, t.appid) = `,
        `
          ON CONFLICT (order_no) DO NOTHING RETURNING order_no)
        ${enqueueSelect('order_message', `jsonb_build_object('order_no', order_no)`, 'order_no')} FROM planned ON CONFLICT DO NOTHING`,
      ],
      [kind, template_id, ctx.now(), order_no, ctx.config.WECHAT_APPID],
    ),
  );
}

/** Sends the message if nobody has tried yet. Rejects only when it is certain that WeChat has not taken it: try later. */
export async function sendOrderMessage(ctx: Context, order_no: string): Promise<void> {
  const now = ctx.now();
  const message = await ctx.db.order_message.findUnique({ where: { order_no } });
  if (message === null) return;
  if (message.state === 'SENDING') {
    // Whoever was sending has died in the middle of it.
    const dead_ms = 4 * ctx.config.WECHAT_TIMEOUT_MS;
    if (message.sending_at !== null && now.getTime() - message.sending_at.getTime() > dead_ms) {
      await end(ctx, order_no, { state: 'UNKNOWN', code: 'CRASHED', note: unknownNote });
    }
    return;
  }
  const claimed = await ctx.db.order_message.updateMany({
    where: { order_no, state: 'WAITING' },
    data: { state: 'SENDING', sending_at: now },
  });
  if (claimed.count !== 1) return;
  if (now.getTime() - message.created_at.getTime() > worthSending_ms) {
    await end(ctx, order_no, { state: 'REFUSED', code: 'TOO_LATE', note: '一天内没有发成，不再发送' });
    return;
  }
  await send(ctx, message);
}

const unknownNote = '微信没有应答，可能已送达；为免打扰顾客，不再重发';

async function send(
  ctx: Context,
  message: { order_no: string; openid: string; kind: string; template_id: string },
): Promise<void> {
  const { order_no, openid, template_id } = message;
  const kind: AccountMessageKind = message.kind === 'subscribe' ? 'subscribe' : 'template';
  const data = await fields(ctx, order_no);
  let heard = false;
  try {
    const { msgid } = await withAccessToken(ctx, async (access_token) => {
      heard = true;
      try {
        return await sendAccountMessage(
          {
            api_base_url: ctx.config.WECHAT_API_BASE_URL,
            access_token,
            timeout_ms: ctx.config.WECHAT_TIMEOUT_MS,
          },
          {
            kind,
            openid,
            template_id,
            url: `${ctx.config.PUBLIC_URL}/pay/${order_no}`,
            data,
            client_msg_id: order_no,
          },
          ctx.ports,
        );
      } catch (thrown) {
        if (thrown instanceof OfficialAccountError && isTokenRejected(thrown)) heard = false;
        throw thrown;
      }
    });
    await end(ctx, order_no, {
      state: 'SENT',
      note: '已交给微信发送',
      ...(msgid === undefined ? {} : { msgid }),
    });
    await noteAccountWorks(ctx, call);
  } catch (thrown) {
    if (!(thrown instanceof OfficialAccountError)) throw thrown;
    await judge(ctx, order_no, thrown, heard);
  }
}

/** `heard`: whether the message itself may have reached WeChat, or only the question for a token. */
async function judge(
  ctx: Context,
  order_no: string,
  error: OfficialAccountError,
  heard: boolean,
): Promise<void> {
  if (heard && !aboutTheUser.has(error.errcode)) await noteAccountFault(ctx, call, error);
  // WeChat said that it did nothing just now, or never heard of the message: later, by the queue.
  if (!heard || (error.errcode !== undefined && error.outcome === 'unknown')) {
    await ctx.db.order_message.updateMany({
      where: { order_no, state: 'SENDING' },
      data: { state: 'WAITING', sending_at: null },
    });
    throw error;
  }
  const code = error.code.slice(0, 32);
  if (error.errcode === undefined) await end(ctx, order_no, { state: 'UNKNOWN', code, note: unknownNote });
  else await end(ctx, order_no, { state: 'REFUSED', code, note: `${error.errcode} ${error.zh}` });
}

const endedKinds = {
  SENT: 'message_sent',
  REFUSED: 'message_refused',
  UNKNOWN: 'message_unknown',
} as const satisfies Record<string, EventKind>;

/** State and timeline together; only the one who was sending ends it. */
async function end(
  ctx: Context,
  order_no: string,
  ending: { state: keyof typeof endedKinds; code?: string; msgid?: string; note: string },
): Promise<void> {
  const { state, code, msgid, note } = ending;
  const at = ctx.now();
  await ctx.db.$transaction(async (tx) => {
    const { count } = await tx.order_message.updateMany({
      where: { order_no, state: 'SENDING' },
      data: { state, ended_at: at, code: code ?? null, msgid: msgid ?? null },
    });
    if (count !== 1) return;
    await addEvent(tx, {
      at,
      order_no,
      kind: endedKinds[state],
      source: 'worker',
      data: { note, ...(code === undefined ? {} : { code }) },
    });
  });
}

async function fields(ctx: Context, order_no: string): Promise<Record<string, string>> {
  const { title, total_fen, paid_at } = await ctx.db.order.findUniqueOrThrow({
    where: { order_no },
    select: { title: true, total_fen: true, paid_at: true },
  });
  const words: Record<string, string> = {
    order_no,
    title,
    amount: formatFen(total_fen),
    paid_at: paid_at === null ? '' : beijingText(paid_at),
    shop: ctx.config.SHOP_NAME,
  };
  return Object.fromEntries(
    Object.entries(ctx.config.WECHAT_MESSAGE_DATA).map(([name, text]) => [
      name,
      text.replace(/\{(\w+)\}/g, (whole, word: string) => words[word] ?? whole),
    ]),
  );
}

const deliveryWords: Record<string, string> = {
  success: '微信已送达',
  'failed:user block': '顾客拒收公众号的消息',
  'failed: system failed': '微信发送失败（系统原因）',
};

/** What WeChat pushes after a template message: how it ended. False when we know no such message (yet). */
export async function noteDelivery(ctx: Context, msgid: string, status: string): Promise<boolean> {
  const message = await ctx.db.order_message.findFirst({ where: { msgid }, select: { order_no: true } });
  if (message === null) return false;
  const { order_no } = message;
  const delivery = status.slice(0, 64);
  await ctx.db.$transaction(async (tx) => {
    const { count } = await tx.order_message.updateMany({
      where: { order_no, delivery: null },
      data: { delivery },
    });
    if (count !== 1) return;
    await addEvent(tx, {
      at: ctx.now(),
      order_no,
      kind: delivery === 'success' ? 'message_delivered' : 'message_refused',
      source: 'notification',
      data: { note: deliveryWords[delivery] ?? delivery },
    });
  });
  return true;
}
