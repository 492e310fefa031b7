/**
 * Everything the counter says no with: a stable code, a status, a sentence for the person in Chinese and English.
 * One table maps our codes to HTTP; one translator turns anything thrown into an answer, never a stack trace.
 */

interface Refusal {
  status: number;
  zh: string;
  en: string;
}

const refusals = {
  bad_request: { status: 400, zh: '请求内容有误', en: 'The request is not valid' },
  body_too_large: { status: 413, zh: '请求内容过大', en: 'The request body is too large' },
  not_json: { status: 415, zh: '请使用 JSON 提交', en: 'Send the request as application/json' },
  foreign_origin: { status: 403, zh: '请求来源不被允许', en: 'The request came from another site' },
  sign_in_required: { status: 401, zh: '请先登录', en: 'Sign in first' },
  wrong_login: { status: 401, zh: '用户名或密码不正确', en: 'Wrong user name or password' },
  too_many_attempts: {
    status: 429,
    zh: '尝试次数过多，请稍后再试',
    en: 'Too many attempts, try again later',
  },
  too_many_requests: {
    status: 429,
    zh: '请求过于频繁，请一分钟后再试',
    en: 'Too many requests from your network, try again in a minute',
  },
  body_too_slow: { status: 408, zh: '请求传输超时', en: 'The request took too long to arrive' },
  not_found: { status: 404, zh: '没有找到', en: 'Not found' },
  no_such_product: {
    status: 400,
    zh: '商品不存在或已下架',
    en: 'A product does not exist or is not on sale',
  },
  no_such_seller: {
    status: 400,
    zh: '这不是本店可以收款的特约商户（WECHAT_SUB_MERCHANTS），或者不是所选商品的商户',
    en: 'this is no sub-merchant of WECHAT_SUB_MERCHANTS, or not the one whose goods were chosen',
  },
  several_sellers: {
    status: 400,
    zh: '一份订单只能包含同一商户的商品，请分开下单',
    en: 'One order holds the goods of one seller; place an order for each',
  },
  checkout_key_reused: {
    status: 409,
    zh: '该结算请求已用于另一份订单，请刷新页面',
    en: 'This checkout_key was used for another order, reload the page',
  },
  order_paid: { status: 409, zh: '订单已支付', en: 'The order is already paid' },
  order_closed: { status: 409, zh: '订单已关闭，请重新下单', en: 'The order is closed, place a new one' },
  order_expired: { status: 409, zh: '订单已过期，请重新下单', en: 'The order has expired, place a new one' },
  openid_required: {
    status: 403,
    zh: '请在微信中打开后支付',
    en: 'Open this page inside WeChat to pay',
  },
  other_payer: {
    status: 403,
    zh: '该订单由另一微信账号发起',
    en: 'The order was started by another WeChat account',
  },
  product_not_opened: {
    status: 400,
    zh: '商户没有开通该支付方式，由设置 WECHAT_PRODUCTS 开通',
    en: 'This way of paying is not opened here; the setting WECHAT_PRODUCTS opens it',
  },
  product_not_granted: {
    status: 502,
    zh: '微信没有给商户开通该支付方式，或 AppID 没有绑定商户号：请在商户平台的产品中心开通，或从设置 WECHAT_PRODUCTS 里去掉',
    en: 'WeChat has not granted this way of paying to the merchant, or the appid is not bound to it: open it in the merchant platform, or take it out of WECHAT_PRODUCTS',
  },
  red_packet_not_opened: {
    status: 400,
    zh: '没有开通现金红包，由设置 RED_PACKET_DAILY_LIMIT_FEN 开通（每日限额）',
    en: 'Red packets are not opened here; the setting RED_PACKET_DAILY_LIMIT_FEN (a day’s limit) opens them',
  },
  trade_closing: {
    status: 503,
    zh: '上一次支付还在确认结果，请稍后再试，不要重复支付',
    en: 'The earlier payment is still being confirmed. Try again shortly and do not pay twice',
  },
  wechat_refused: {
    status: 502,
    zh: '微信支付拒绝了请求，请联系商家',
    en: 'WeChat Pay refused the request, contact the shop',
  },
  wechat_unknown: {
    status: 503,
    zh: '微信支付暂未应答，请稍后重试',
    en: 'WeChat Pay has not answered yet, try again shortly',
  },
  refund_not_paid: { status: 409, zh: '该笔交易未支付，不能退款', en: 'This trade was not paid' },
  refund_too_much: {
    status: 409,
    zh: '退款金额超过可退金额',
    en: 'The amount is more than what is left to refund',
  },
  refund_too_many: {
    status: 409,
    zh: '一笔交易最多退款 50 次',
    en: 'A trade can be refunded 50 times at the most',
  },
  refund_too_old: { status: 409, zh: '支付超过一年，不能退款', en: 'The payment is more than a year old' },
  refund_not_abnormal: {
    status: 409,
    zh: '微信说这笔退款不是（或不再是）异常，页面已更新',
    en: 'WeChat says that this refund is not abnormal, or not any more',
  },
  refund_abnormal_v2: {
    status: 409,
    zh: '这笔交易走的是 v2 接口，异常退款只能在微信商户平台处理',
    en: 'This trade was placed over v2: handle the abnormal refund in the merchant platform',
  },
  refund_key_reused: {
    status: 409,
    zh: '该退款请求已用于另一笔退款，请刷新页面',
    en: 'This command_key was used for another refund, reload the page',
  },
  bill_too_early: {
    status: 409,
    zh: '账单要到次日北京时间 10 点以后才有',
    en: 'A bill exists after 10:00 Beijing time of the next day',
  },
  auth_code_form: {
    status: 400,
    zh: '付款码是 18 位数字，以 10 到 15 开头：请扫顾客微信“收付款”里的条码',
    en: 'A payment code has 18 digits and begins with 10 to 15: scan the one under WeChat’s “Money”',
  },
  auth_code_used: {
    status: 409,
    zh: '每个付款码只能用一次，请顾客刷新后再扫',
    en: 'A payment code is good for one charge; ask the payer to refresh it and scan again',
  },
  charge_key_reused: {
    status: 409,
    zh: '该收款请求已用于另一笔收款，请刷新页面',
    en: 'This charge_key was used for another charge, reload the page',
  },
  reverse_too_early: {
    status: 409,
    zh: '提交收款 15 秒之后才能撤销',
    en: 'A charge can be reversed 15 seconds after it was sent',
  },
  not_reversible: {
    status: 409,
    zh: '该笔收款已有结果，不能撤销；已收的款请用退款',
    en: 'The outcome of this charge is known; money that was taken is refunded, not reversed',
  },
  red_packet_amount: {
    status: 409,
    zh: '每个红包 1 至 200 元',
    en: 'A red packet holds 1 to 200 yuan for each person',
  },
  red_packet_limit: {
    status: 409,
    zh: '超过今天的红包限额',
    en: 'More than may be sent as red packets today',
  },
  red_packet_no_payer: {
    status: 409,
    zh: '这笔订单没有支付，或微信没有说付款人是谁，请直接填 openid',
    en: 'This order is not paid, or WeChat did not say who paid it; give an openid instead',
  },
  red_packet_other_account: {
    status: 409,
    zh: '这笔订单的付款人属于另一个账号（小程序、APP 或子商户的公众号），其 openid 不能收本公众号的红包',
    en: 'Who paid this order is known under another account (mini-program, APP or a sub-merchant’s): this official account cannot send there',
  },
  red_packet_key_reused: {
    status: 409,
    zh: '该请求已用于另一个红包，请刷新页面',
    en: 'This command_key was used for another red packet, reload the page',
  },
  busy: { status: 503, zh: '系统繁忙，请稍后重试', en: 'The shop is busy, try again shortly' },
  internal: { status: 500, zh: '系统出错，请稍后重试', en: 'Something went wrong, try again later' },
} as const satisfies Record<string, Refusal>;

export type ErrorCode = keyof typeof refusals;

export interface ErrorBody {
  error: { code: ErrorCode; message: string; field?: string; support_id?: string };
}

export class AppError extends Error {
  override readonly name = 'AppError';

  /** By name: Next keeps a copy of a module for pages and one for routes, and both meet in one process. */
  static override [Symbol.hasInstance](thrown: unknown): boolean {
    return thrown instanceof Error && thrown.name === 'AppError';
  }

  readonly code: ErrorCode;
  /** Path of the input that is wrong, as the caller wrote it: `items.0.quantity`. */
  readonly field: string | undefined;
  /** A sentence more exact than the table's; safe to show. */
  readonly detail: string | undefined;

  constructor(
    code: ErrorCode,
    extra: { field?: string | undefined; detail?: string | undefined; cause?: unknown } = {},
  ) {
    super(extra.detail ?? refusals[code].en, extra.cause === undefined ? undefined : { cause: extra.cause });
    this.code = code;
    this.field = extra.field;
    this.detail = extra.detail;
  }

  get status(): number {
    return refusals[this.code].status;
  }
}

/** The sentence for a person; the detail, where there is one, is added because it names what to change. */
export function explain(error: AppError, language: 'zh' | 'en'): string {
  const sentence = refusals[error.code][language];
  return error.detail === undefined ? sentence : `${sentence}: ${error.detail}`;
}
