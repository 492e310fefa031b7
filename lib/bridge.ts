/**
 * The page's own account of what WeChat's bridge answered. It stands on the timeline beside the facts, because a
 * shopper who says "I paid" and a bridge that said `cancel` are a support case; it never changes a state. That a page
 * lies where WeChat lets nobody pay is brought to the operator.
 */
import { noteFault, type PageCall } from './account_faults.ts';
import type { Context } from './context.ts';
import { AppError } from './errors.ts';
import { addEvent } from './events.ts';
import { numberPattern } from './numbers.ts';
import { judgedPage } from './platform_rules.ts';
import type { Session } from './sessions.ts';

/** A page that repeats itself is not worth more than this many rows of one trade. */
const mostRows = 50;

/** What WeChat says of a page outside 支付授权目录, and of one outside JS接口安全域名. */
const misplaced: readonly { call: PageCall; code: string; said: RegExp }[] = [
  { call: 'pay_page', code: 'URL_UNREGISTERED', said: /URL\s*未注册/ },
  { call: 'js_page', code: 'INVALID_URL_DOMAIN', said: /invalid url domain/ },
];

export interface BridgeResult {
  out_trade_no: string;
  err_msg: string;
  /** The addresses of the page that was loaded and of the one that asked, as the page says. */
  first_url?: string | undefined;
  current_url?: string | undefined;
}

/** `user_agent`: tells which of the two addresses WeChat looked at. */
export async function recordBridgeResult(
  ctx: Context,
  session: Session | undefined,
  order_no: string,
  { out_trade_no, err_msg, ...visit }: BridgeResult,
  user_agent: string,
): Promise<void> {
  if (!numberPattern.test(order_no) || session?.openid == null) throw new AppError('not_found');
  const trade = await ctx.db.trade.findUnique({
    where: { out_trade_no },
    select: { order_no: true, openid: true },
  });
  if (trade === null || trade.order_no !== order_no || trade.openid !== session.openid) {
    throw new AppError('not_found');
  }
  if ((await ctx.db.event.count({ where: { order_no, kind: 'bridge_result' } })) >= mostRows) return;
  await addEvent(ctx.db, {
    at: ctx.now(),
    order_no,
    out_trade_no,
    kind: 'bridge_result',
    source: 'shopper',
    data: { err_msg: err_msg.toWellFormed().replaceAll('\u0000', '') },
  });
  const fault = misplaced.find(({ said }) => said.test(err_msg));
  if (fault === undefined) return;
  const pay_page = `${ctx.config.PUBLIC_URL}/pay/${order_no}`;
  const errmsg = judgedPage(/iPhone|iPad|iPod/.test(user_agent) ? 'ios' : 'android', {
    first_url: ownPage(visit.first_url, ctx.config.PUBLIC_URL) ?? pay_page,
    current_url: ownPage(visit.current_url, ctx.config.PUBLIC_URL) ?? pay_page,
  });
  await noteFault(ctx, fault.call, { code: fault.code, errmsg });
}

/** The pages a visit to this shop can begin with, or pay on. */
const pages = new RegExp(`^(/|/orders|/pay/${numberPattern.source.replace(/^\^|\$$/g, '')})$`);

/**
 * A page that this shop has, without its query, which may hold what is nobody's business. Anything else is nothing: what
 * a shopper makes up must not stand before the operator as an address to register.
 */
function ownPage(url: string | undefined, public_url: string): string | undefined {
  const page = url === undefined ? null : URL.parse(url);
  if (page === null || page.origin !== new URL(public_url).origin) return undefined;
  return pages.test(page.pathname) ? page.origin + page.pathname : undefined;
}
