/**
 * What a page of ours needs for `wx.config`, so that it can pay by `wx.chooseWXPay` where WeChat's bridge is missing.
 * Signs only addresses of this shop, and says nothing about anybody.
 */
import type { Context } from './context.ts';
import { jsapiTicket } from './credentials.ts';
import { AppError } from './errors.ts';
import { type JsSdkConfig, jsSdkConfig, OfficialAccountError } from './wechat/index.ts';

export interface PageJsSdk extends JsSdkConfig {
  jsApiList: string[];
  /** Where the page finds the JS-SDK. */
  script_url: string;
}

const longestUrl = 2_048;

/** `url`: the page's own, as its browser has it. WeChat signs it letter by letter, so it is not rewritten. */
export async function pageJsSdk(ctx: Context, url: string | null): Promise<PageJsSdk> {
  if (url === null || !isOwnPage(url, ctx.config.PUBLIC_URL)) {
    throw new AppError('bad_request', { field: 'url', detail: 'url: must be an address of this shop' });
  }
  const page = url.replace(/#.*$/s, '');
  try {
    const jsapi_ticket = await jsapiTicket(ctx);
    return {
      ...jsSdkConfig({ appid: ctx.config.WECHAT_APPID, jsapi_ticket, url: page }, ctx.ports),
      jsApiList: ['chooseWXPay'],
      script_url: ctx.config.WECHAT_JS_SDK_URL,
    };
  } catch (cause) {
    if (!(cause instanceof OfficialAccountError)) throw cause;
    throw new AppError(cause.outcome === 'refused' ? 'wechat_refused' : 'wechat_unknown', { cause });
  }
}

/** Letter by letter as well: what a parser would have to mend first is nobody's present page. */
function isOwnPage(url: string, public_url: string): boolean {
  if (url.length > longestUrl || /[^\x21-\x7e]/.test(url) || /["<>\\^`{|}]/.test(url)) return false;
  const rest = url.startsWith(public_url) ? url.slice(public_url.length) : undefined;
  return rest !== undefined && /^(?:[/?#]|$)/.test(rest) && URL.canParse(url);
}
