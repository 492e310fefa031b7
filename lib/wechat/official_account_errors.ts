/**
 * The official account's errcodes in plain words, each with the console page that mends it or, where no page does, with
 * what happens instead. Words for the operator; the page a shopper sees has its own.
 *
 * Source: WeChat Official Accounts, 网页授权, 全局返回码.
 */
import type { Outcome } from './errors.ts';

export interface ErrcodeWords {
  zh: string;
  en: string;
  /** Where in WeChat's console to mend it. */
  console_page?: string;
  /** Where no console page mends it: who or what does. */
  instead?: { zh: string; en: string };
}

const BASIC_SETTINGS = '公众平台 → 设置与开发 → 基本配置';
const PERMISSIONS = '公众平台 → 设置与开发 → 接口权限';
const TEMPLATES = '公众平台 → 广告与服务 → 模板消息 / 订阅通知';
const IP_WHITELIST = `${BASIC_SETTINGS} → IP白名单`;

const AGAIN = { zh: '程序会自动重试，不用处理', en: 'it is tried again by itself' };
const NEW_TOKEN = {
  zh: 'access_token 会自动换新，不用处理；反复出现时，请查是否有别的程序也在换取它',
  en: 'a new access_token is fetched by itself; if it comes back, look for another program that fetches one',
};
const SIGN_IN = {
  zh: '顾客重新进店就会重新授权，不用处理',
  en: 'the shopper signs in again by opening the shop again',
};
const ONE_PERSON = { zh: '只影响这一位顾客，不用处理', en: 'it concerns this one person only' };
const OUR_FAULT = {
  zh: '后台没有要改的设置，是本程序的问题：请升级，或把日志交给开发者',
  en: 'no setting mends it, it is a fault of this program: upgrade, or give its developers the log',
};

const WORDS: ReadonlyMap<number, ErrcodeWords> = new Map([
  [-1, words('微信系统繁忙，请稍后重试', 'WeChat is busy; try again', AGAIN)],
  [
    40001,
    words('AppSecret 错误，或 access_token 无效', 'wrong AppSecret, or invalid access_token', BASIC_SETTINGS),
  ],
  [40003, words('openid 不正确', 'the openid is not one of this account', ONE_PERSON)],
  [40013, words('AppID 不正确', 'the appid is wrong', BASIC_SETTINGS)],
  [40014, words('access_token 不正确', 'the access_token is invalid', NEW_TOKEN)],
  [40029, words('授权码 code 无效，请重新授权', 'the code is invalid; authorise again', SIGN_IN)],
  [40030, words('refresh_token 无效', 'the refresh_token is invalid', SIGN_IN)],
  [40125, words('AppSecret 不正确', 'the AppSecret is wrong', BASIC_SETTINGS)],
  [
    40163,
    words('授权码 code 已被使用，请重新授权', 'the code has been used already; authorise again', SIGN_IN),
  ],
  [40164, words('服务器 IP 不在白名单中', 'our server address is not on the whitelist', IP_WHITELIST)],
  [40243, words('AppSecret 已被冻结', 'the AppSecret is frozen', BASIC_SETTINGS)],
  [40036, words('模板 ID 的长度不对', 'the template_id has a wrong length', TEMPLATES)],
  [40037, words('模板 ID 不正确', 'the template_id is not one of this account', TEMPLATES)],
  [41001, words('缺少 access_token', 'the access_token is missing', OUR_FAULT)],
  [41002, words('缺少 AppID', 'the appid is missing', OUR_FAULT)],
  [41004, words('缺少 AppSecret', 'the AppSecret is missing', OUR_FAULT)],
  [41008, words('缺少授权码 code', 'the code is missing', OUR_FAULT)],
  [42001, words('access_token 已过期', 'the access_token has expired', NEW_TOKEN)],
  [42002, words('refresh_token 已过期', 'the refresh_token has expired', SIGN_IN)],
  [42003, words('授权码 code 已过期，请重新授权', 'the code has expired; authorise again', SIGN_IN)],
  [42007, words('用户修改了微信密码，需重新授权', 'the user changed the password; authorise again', SIGN_IN)],
  [43001, words('需要 GET 请求', 'WeChat wants GET here', OUR_FAULT)],
  [43002, words('需要 POST 请求', 'WeChat wants POST here', OUR_FAULT)],
  [43003, words('需要 HTTPS', 'WeChat wants HTTPS here', OUR_FAULT)],
  [43004, words('需要用户关注公众号', 'the user does not follow the account', ONE_PERSON)],
  [43019, words('用户在黑名单中', 'the user is on the blacklist', ONE_PERSON)],
  [43101, words('用户拒收这类消息', 'the user refuses these messages', ONE_PERSON)],
  [45009, words('接口当日调用次数已用完', 'the daily quota is used up', PERMISSIONS)],
  [45011, words('接口调用过于频繁，请稍后重试', 'too many calls this minute; try again', AGAIN)],
  [47003, words('模板字段与内容不符', 'the data does not fit the template', TEMPLATES)],
  [48001, words('公众号没有该接口的权限', 'the account has no right to this API', PERMISSIONS)],
  [48004, words('该接口已被封禁', 'this API is banned for the account', PERMISSIONS)],
  [50001, words('用户未授权该接口', 'the user did not authorise this', SIGN_IN)],
  [50002, words('用户受限，请联系微信客服', 'the user is restricted by WeChat', ONE_PERSON)],
]);

/** Codes after which the same call may well succeed. */
const PASSING: ReadonlySet<number> = new Set([-1, 45011]);

/** The address WeChat saw, as the text of 40164 tells it: `invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist`. */
export function addressSeen(errmsg: string): string | undefined {
  return /invalid ip ([0-9a-fA-F.:]{3,45})/.exec(errmsg)?.[1];
}

/** An errcode in plain words; `code` stands for it where it is none of WeChat's, or not in our table. */
export function errcodeWords(errcode: number | undefined, code: string, errmsg: string): ErrcodeWords {
  if (errcode === undefined) return NO_ERRCODE;
  const address = errcode === 40164 ? addressSeen(errmsg) : undefined;
  if (address !== undefined) {
    return words(
      `服务器 IP 不在白名单中，微信看到的地址是 ${address}`,
      `our server address is not on the whitelist; WeChat saw ${address}`,
      IP_WHITELIST,
    );
  }
  return (
    WORDS.get(errcode) ??
    words(`微信返回错误 ${code}`, `WeChat answered error ${code}`, {
      zh: '请在公众平台文档“全局返回码”里查这个数字',
      en: 'look the number up in WeChat’s list of return codes (全局返回码)',
    })
  );
}

/** Every errcode that has words of its own. */
export const knownErrcodes: readonly number[] = [...WORDS.keys()];

/** WeChat does not know the access_token, or not any more: a new one may help. */
export function isTokenRejected(error: OfficialAccountError): boolean {
  return error.errcode === 40001 || error.errcode === 40014 || error.errcode === 42001;
}

export class OfficialAccountError extends Error {
  override readonly name = 'OfficialAccountError';

  /** By name, as WechatError. */
  static override [Symbol.hasInstance](thrown: unknown): boolean {
    return thrown instanceof Error && thrown.name === 'OfficialAccountError';
  }

  /** `refused`: WeChat said no. `unknown`: busy, too often, or no answer: trying again may help. */
  readonly outcome: Outcome;
  /** WeChat's number; absent when it did not answer as itself. */
  readonly errcode: number | undefined;
  /** The number as text, or ours: `NO_ANSWER`, `BAD_ANSWER`, `HTTP_502`. */
  readonly code: string;
  /** WeChat's English text, with its `rid`; never holds our secret. */
  readonly errmsg: string;
  readonly zh: string;
  readonly en: string;
  readonly console_page: string | undefined;

  constructor(errcode: number | undefined, code: string, errmsg: string, cause?: unknown) {
    const { zh, en, console_page } = errcodeWords(errcode, code, errmsg);
    super(`${code}: ${en}`, cause === undefined ? undefined : { cause });
    this.outcome = errcode === undefined || PASSING.has(errcode) ? 'unknown' : 'refused';
    this.errcode = errcode;
    this.code = code;
    this.errmsg = errmsg;
    this.zh = zh;
    this.en = en;
    this.console_page = console_page;
  }
}

const NO_ERRCODE = words(
  '微信没有正常应答，请稍后重试',
  'WeChat did not answer as it should; try again',
  AGAIN,
);

/** `mended`: a console page, or what happens instead. */
function words(zh: string, en: string, mended: string | { zh: string; en: string }): ErrcodeWords {
  return typeof mended === 'string' ? { zh, en, console_page: mended } : { zh, en, instead: mended };
}
