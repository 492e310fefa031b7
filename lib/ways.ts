/**
 * The ways of paying an order that begin with us: which are opened here, whose appid each is placed under, who may
 * begin it, and what its payer is handed. It places nothing and knows no row but the order's.
 */
import type { Config, Product } from './config.ts';
import type { Context } from './context.ts';
import { AppError } from './errors.ts';
import type { Session } from './sessions.ts';
import type {
  AppParameters,
  JsapiParameters,
  MiniProgramParameters,
  PlaceTrade,
  WechatPay,
} from './wechat/index.ts';
import { fitDescription } from './wechat/index.ts';

/** `MINIPROGRAM` is WeChat's JSAPI under the mini-program's appid; `MWEB` is H5. */
export const ways = ['JSAPI', 'NATIVE', 'MWEB', 'APP', 'MINIPROGRAM'] as const satisfies readonly Product[];
export type Way = (typeof ways)[number];

/** What the payer's side is handed, by way. */
export interface Started {
  JSAPI: { out_trade_no: string; jsapi: JsapiParameters };
  /** `renew_in_ms`: when the code must be asked for again. */
  NATIVE: { out_trade_no: string; code_url: string; renew_in_ms: number };
  MWEB: { out_trade_no: string; h5_url: string };
  APP: { out_trade_no: string; app: AppParameters };
  MINIPROGRAM: { out_trade_no: string; mini_program: MiniProgramParameters };
}

/** A placed trade and until when it can be paid by what WeChat handed out for it. */
export interface PlacedTrade {
  out_trade_no: string;
  order_no: string;
  /** What the payer's side is handed: an address where the way has one, else the prepay_id. */
  handle: string;
  prepay_id: string | null;
  good_until: Date;
}

type Answers = { [W in Way]: (ctx: Context, account: WechatPay, placed: PlacedTrade) => Started[W] };

const answers: Answers = {
  JSAPI: (_ctx, account, { out_trade_no, handle }) => ({
    out_trade_no,
    jsapi: account.jsapiParameters(handle),
  }),
  NATIVE: (ctx, _account, { out_trade_no, handle, good_until }) => ({
    out_trade_no,
    code_url: handle,
    renew_in_ms: Math.max(0, good_until.getTime() - ctx.now().getTime()),
  }),
  MWEB: (ctx, _account, { out_trade_no, order_no, handle }) => ({
    out_trade_no,
    h5_url: withReturn(handle, `${ctx.config.PUBLIC_URL}/pay/${order_no}?from=h5`),
  }),
  APP: (_ctx, account, { out_trade_no, handle }) => ({ out_trade_no, app: account.appParameters(handle) }),
  MINIPROGRAM: (_ctx, account, { out_trade_no, handle }) => ({
    out_trade_no,
    mini_program: account.miniProgramParameters(handle),
  }),
};

/** What to hand to the payer of this way. */
export function answerOf<W extends Way>(
  way: W,
  ctx: Context,
  account: WechatPay,
  placed: PlacedTrade,
): Started[W] {
  return answers[way](ctx, account, placed);
}

/** WeChat wants the address back written into its own, encoded as a whole. */
function withReturn(h5_url: string, return_url: string): string {
  return `${h5_url}${h5_url.includes('?') ? '&' : '?'}redirect_url=${encodeURIComponent(return_url)}`;
}

export function isOpened(config: Pick<Config, 'WECHAT_PRODUCTS'>, product: Product): boolean {
  return config.WECHAT_PRODUCTS.includes(product);
}

/** Throws `product_not_opened`, whose sentence names the setting that opens it. */
export function requireOpened(config: Pick<Config, 'WECHAT_PRODUCTS'>, product: Product): void {
  if (!isOpened(config, product)) {
    throw new AppError('product_not_opened', { field: 'trade_type', detail: product });
  }
}

/** The way a caller means: what WeChat calls JSAPI is a mini-program's own way when a mini-program asks for it. */
export function wayOf(asked: Way, session: Session | undefined): Way {
  return asked === 'JSAPI' && session?.kind === 'mini' ? 'MINIPROGRAM' : asked;
}

export function tradeTypeOf(way: Way): PlaceTrade['trade_type'] {
  return way === 'MINIPROGRAM' ? 'JSAPI' : way;
}

/** The account the payer of this way is known under. */
export function payerAppid(config: Config, way: Way): string {
  const appids = {
    JSAPI: config.WECHAT_APPID,
    NATIVE: config.WECHAT_APPID,
    MWEB: config.WECHAT_APPID,
    APP: config.WECHAT_APP_APPID,
    MINIPROGRAM: config.WECHAT_MINI_APPID,
  };
  // A way that is opened has its appid: the configuration is refused otherwise.
  return appids[way] ?? config.WECHAT_APPID;
}

/**
 * The openid the trade is placed for; null where anybody may pay. Throws `openid_required` when this visitor cannot
 * begin this way: WeChat binds JSAPI and mini-program payments to an openid of that very account.
 */
export function payerOf(way: Way, session: Session | undefined): string | null {
  switch (way) {
    case 'JSAPI':
    case 'MINIPROGRAM':
      if (session?.kind !== (way === 'JSAPI' ? 'shopper' : 'mini') || session.openid === null) {
        throw new AppError('openid_required');
      }
      return session.openid;
    case 'APP':
      if (session?.kind !== 'app') throw new AppError('bad_request', { field: 'trade_type', detail: 'APP' });
      return null;
    case 'NATIVE':
    case 'MWEB':
      return null;
  }
}

/** The fields of the request that only this way has. `product_id` needs none of ours: it is the number itself. */
export function requestOf(way: Way, config: Config, account: WechatPay, openid: string | null) {
  if (openid !== null) return account.sub_appid === undefined ? { openid } : { sub_openid: openid };
  if (way !== 'MWEB') return {};
  // v2 has 256 bytes for all of it.
  return { h5: { wap_url: config.PUBLIC_URL, wap_name: fitDescription(config.SHOP_NAME, 60) } };
}
