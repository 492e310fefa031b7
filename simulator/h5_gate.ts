// The page an mweb_url or h5_url leads to: it judges where the browser came from, then hands over to WeChat. Its
// refusals are WeChat's own sentences. It takes no money.

import { type Answer, type Call, type Door, escapeHtml, type Family, html } from './http.ts';
import { orderBehind, Refusal } from './orders.ts';
import { phonePage, yuanText } from './pay_page.ts';
import { merchantOf, type Platform, purseOf } from './platform.ts';
import type { Order, Prepay } from './records.ts';
import type { Merchant } from './registers.ts';

const LIFE_MS = 5 * 60 * 1000;

/** The hosts that may lead here: the merchant's own list, else the shop's host. */
export function h5DomainsOf(platform: Platform, merchant: Merchant): string[] {
  const { shop_origin } = platform.store.state;
  return (
    merchant.h5_domains ?? (shop_origin === '' ? ['127.0.0.1', 'localhost'] : [new URL(shop_origin).host])
  );
}

/** Whether an address lies on one of the domains; a domain without a port fits every port. */
function onDomain(address: string, domains: string[]): boolean {
  if (!URL.canParse(address)) return false;
  const { protocol, host, hostname } = new URL(address);
  if (!/^https?:$/.test(protocol)) return false;
  return domains.some((d) => (d.includes(':') ? host === d : hostname === d));
}

class Turned extends Error {
  readonly text: string;
  readonly number: string;
  readonly why: string;
  constructor(text: string, number: string, why: string) {
    super(why);
    this.text = text;
    this.number = number;
    this.why = why;
  }
}

const MALFORMED = ['商家参数格式有误，请联系商家解决', '268443815'] as const;
const NOT_SET = ['商家存在未配置的参数，请联系商家解决', '268443816'] as const;
const TOO_OLD = ['支付请求已失效，请重新发起支付', '268498468'] as const;
const OTHER_NET = ['网络环境未能通过安全验证，请稍后再试', '268498465'] as const;

function orderOf(platform: Platform, call: Call): { order: Order; prepay: Prepay } {
  try {
    const { order, prepay } = orderBehind(platform, { prepay_id: call.query.get('prepay_id') ?? '' });
    const given = prepay?.h5_url === undefined ? undefined : new URL(prepay.h5_url);
    if (prepay !== undefined && given?.searchParams.get('package') === call.query.get('package')) {
      return { order, prepay };
    }
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
  }
  throw new Turned(...MALFORMED, 'prepay_id and package are not those of an H5 address given out here');
}

/** All that is looked at before the page offers to open WeChat, in order; answers where to return to. */
function judge(platform: Platform, call: Call): { order: Order; prepay: Prepay; back: string } {
  if (/MicroMessenger/.test(call.headers['user-agent'] ?? '')) {
    throw new Turned('请在微信外打开订单，进行支付', '', 'the browser is WeChat by its User-Agent');
  }
  const { order, prepay } = orderOf(platform, call);
  call.out_trade_no = order.out_trade_no;
  const merchant = merchantOf(platform, order.mch_id);
  if (merchant === undefined) throw new Turned(...NOT_SET, `merchant ${order.mch_id} is gone`);
  const referer = call.headers.referer ?? '';
  if (referer === '') {
    throw new Turned(
      ...MALFORMED,
      'no Referer came: the address was opened by hand, or the page forbids it (Referrer-Policy)',
    );
  }
  const domains = h5DomainsOf(platform, merchant);
  if (!onDomain(referer, domains)) {
    throw new Turned(...NOT_SET, `the Referer ${referer} is on none of the H5 domains ${domains.join(', ')}`);
  }
  const redirect_url = call.query.get('redirect_url') ?? '';
  if (redirect_url !== '' && !onDomain(redirect_url, domains)) {
    const why = `the redirect_url ${redirect_url} is on none of the H5 domains ${domains.join(', ')}; is it URL-encoded?`;
    throw new Turned(...NOT_SET, why);
  }
  if (prepay.made_at_ms + LIFE_MS <= platform.clock.now()) {
    throw new Turned(...TOO_OLD, 'the address is older than 5 minutes');
  }
  const seen = (String(call.headers['x-forwarded-for'] ?? '').split(',')[0] ?? '').trim() || call.ip;
  const fault = platform.faults.take('h5_other_ip', call);
  if (fault !== undefined) {
    call.note.faults.push(fault.name);
    throw new Turned(...OTHER_NET, `the fault ${fault.name}`);
  }
  if (merchant.h5_check_ip === true && seen !== order.client_ip) {
    throw new Turned(...OTHER_NET, `the browser is at ${seen}, the order was placed for ${order.client_ip}`);
  }
  if (order.payment !== undefined) throw new Turned('该订单已支付', '', `${order.out_trade_no} is paid`);
  if (order.state !== 'NOTPAY') throw new Turned('该订单已关闭', '', `${order.out_trade_no} is closed`);
  return { order, prepay, back: redirect_url === '' ? referer : redirect_url };
}

const gate: Door = (platform, call): Answer => {
  try {
    const { order, prepay, back } = judge(platform, call);
    const name = purseOf(platform, order)?.name ?? '';
    const cashier = `/_sim/cashier?${new URLSearchParams({ prepay_id: prepay.prepay_id, back }).toString()}`;
    return html(
      200,
      phonePage(
        '微信支付',
        `<h1 class="who">${escapeHtml(name)}</h1><p class="amount" data-testid="h5-amount">${yuanText(order.total_fen)}</p><p class="small">即将打开微信完成支付<small lang="en">WeChat opens to pay</small></p><a class="button pay" data-testid="h5-open-wechat" href="${escapeHtml(cashier)}">打开微信<small lang="en">Open WeChat</small></a><a class="button" data-testid="h5-return" href="${escapeHtml(back)}">返回商家<small lang="en">Back to the shop, paid or not</small></a>`,
      ),
    );
  } catch (cause) {
    if (!(cause instanceof Turned)) throw cause;
    call.note.code = cause.number || 'h5';
    call.note.why = cause.why;
    const number =
      cause.number === '' ? '' : `<p class="small">错误码：<b data-testid="h5-error">${cause.number}</b></p>`;
    return html(
      200,
      phonePage(
        '微信支付',
        `<h1 class="problem" data-testid="h5-problem">${escapeHtml(cause.text)}</h1>${number}<p class="small" lang="en">${escapeHtml(cause.why)}</p>`,
      ),
    );
  }
};

export const h5Gate: Family = {
  name: 'h5_gate',
  logged: true,
  doors: { '/cgi-bin/mmpayweb-bin/checkmweb': gate },
};
