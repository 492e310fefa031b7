/**
 * What follows from a message that WeChat pushed to the official account's server: the worker's side of that door.
 * Today only the end of a template message matters to us; the rest is kept and nothing more.
 */
import type { Context } from './context.ts';
import { noteDelivery } from './order_messages.ts';
import { parseXml, XmlError, type XmlFields } from './wechat/index.ts';

/** The end of a message may be pushed before we have stored that it was sent. */
const again_ms = 10_000;
const patience_ms = 60_000;

/** Works on one kept message; tells when to look again, if it should be. */
export async function workAccountMessage(ctx: Context, id: string): Promise<Date | undefined> {
  const message = await ctx.db.account_message.findUnique({ where: { id } });
  if (message === null || message.worked_at !== null) return undefined;
  const now = ctx.now();
  if (message.event === 'TEMPLATESENDJOBFINISH') {
    const { MsgID = '', Status = '' } = fieldsOf(message.body);
    const known = MsgID !== '' && (await noteDelivery(ctx, MsgID, Status));
    if (!known && now.getTime() - message.received_at.getTime() < patience_ms) {
      return new Date(now.getTime() + again_ms);
    }
  }
  await ctx.db.account_message.update({ where: { id }, data: { worked_at: now }, select: { id: true } });
  return undefined;
}

function fieldsOf(body: Uint8Array): XmlFields {
  try {
    return parseXml(body);
  } catch (thrown) {
    // What nests was kept unread, with no event to act on.
    if (thrown instanceof XmlError) return {};
    throw thrown;
  }
}
