/**
 * What WeChat's consoles must say for this shop, in one place: payment directories, the domains of OAuth, JS-SDK and H5,
 * the mode of messages. Compares what the operator says is set there with this deployment and tells what does not fit, and
 * lists what must stand there; the judge is WeChat.
 *
 * Source: WeChat Pay, 配置JSAPI支付授权目录, H5支付 开发配置; Official Accounts, 网页授权, JS-SDK 说明文档.
 */
import { isIP } from 'node:net';
import type { Config } from './config.ts';
import type { Logger } from './log.ts';

/** WeChat takes no more of them. */
export const mostPaymentDirectories = 5;

/**
 * Whether a payment may start on this page. A directory that is a bare domain fits every page of that scheme and host;
 * any other fits only pages that lie in it themselves, letter by letter, sub-directories not included. Query and
 * fragment do not count; a directory without its last `/` fits nothing.
 */
export function mayPayOn(page_url: string, directories: readonly string[]): boolean {
  const page = URL.parse(page_url);
  if (page === null) return false;
  const own = page.origin + page.pathname.slice(0, page.pathname.lastIndexOf('/') + 1);
  return directories.slice(0, mostPaymentDirectories).some((directory) => {
    const registered = URL.parse(directory);
    if (registered === null || !directory.endsWith('/')) return false;
    return directory === own || (registered.pathname === '/' && registered.origin === page.origin);
  });
}

/** Which page of a visit WeChat looks at: on an iPhone the one that was loaded first, on Android the present one. */
export function judgedPage(
  device: 'ios' | 'android',
  visit: { first_url: string; current_url: string },
): string {
  return device === 'ios' ? visit.first_url : visit.current_url;
}

/** A registered domain is a host, and a host below it is another one. One with a port fits only that port. */
export function isOnDomain(url: string, domain: string): boolean {
  const { host, hostname } = new URL(url);
  return domain === (domain.includes(':') ? host : hostname);
}

/** JS接口安全域名 may name a path as well; then only what lies in it is meant. */
export function isOnJsDomain(url: string, registered: string): boolean {
  const [domain = '', ...path] = registered.replace(/\/+$/, '').split('/');
  const { pathname } = new URL(url);
  const within = path.length === 0 || `${pathname}/`.startsWith(`/${path.join('/')}/`);
  return isOnDomain(url, domain) && within;
}

export interface RuleFinding {
  rule:
    | 'payment_directory'
    | 'payment_directory_host'
    | 'oauth_domain'
    | 'js_domain'
    | 'h5_domain'
    | 'plain_messages';
  zh: string;
  en: string;
  /** Where in WeChat's consoles it is mended. */
  console_page: string;
}

type Rules = Pick<
  Config,
  | 'PUBLIC_URL'
  | 'WECHAT_PAYMENT_DIRECTORIES'
  | 'WECHAT_OAUTH_DOMAIN'
  | 'WECHAT_JS_DOMAINS'
  | 'WECHAT_H5_DOMAINS'
  | 'WECHAT_SERVER_TOKEN'
  | 'WECHAT_SERVER_AES_KEY'
  | 'WECHAT_PRODUCTS'
  | 'WECHAT_API_VERSION'
  | 'WECHAT_SUB_MERCHANTS'
  | 'WECHAT_MESSAGE_TEMPLATE_ID'
  | 'GUITAI_ALLOW_SIMULATOR'
>;

const developing = '商户平台 → 产品中心 → 开发配置';
const functions = '公众平台 → 设置与开发 → 功能设置';
const basics = '公众平台 → 设置与开发 → 基本配置';

/** Where in WeChat's consoles each thing is registered. */
export const consolePages = {
  payment_directory: `${developing} → JSAPI支付授权目录`,
  oauth_domain: `${functions} → 网页授权域名`,
  js_domain: `${functions} → JS接口安全域名`,
  h5_domain: `${developing} → H5支付域名`,
  native_callback: `${developing} → 扫码回调链接`,
  message_url: `${basics} → 服务器配置`,
  ip_whitelist: `${basics} → IP白名单`,
} as const;

/** One thing that must stand in a console for what this shop has opened. */
export interface ConsoleEntry {
  entry: keyof typeof consolePages;
  console_page: string;
  /** What must stand there, letter by letter; absent where only the operator can know it. */
  value: string | undefined;
  /** The setting that says what stands there, so that it is judged at start; absent where there is none. */
  setting: keyof Rules | undefined;
  /** Whether that setting says so. */
  stated: boolean;
}

/** Everything that must be registered for the ways of paying and the services that are opened here. */
export function consoleEntries(config: Rules): ConsoleEntry[] {
  const { PUBLIC_URL, WECHAT_PRODUCTS: products } = config;
  const { host } = new URL(PUBLIC_URL);
  const entries: ConsoleEntry[] = [];
  const list = (
    entry: ConsoleEntry['entry'],
    value: string | undefined,
    setting?:
      | 'WECHAT_PAYMENT_DIRECTORIES'
      | 'WECHAT_OAUTH_DOMAIN'
      | 'WECHAT_JS_DOMAINS'
      | 'WECHAT_H5_DOMAINS',
  ): void => {
    const said = setting === undefined ? undefined : config[setting];
    const stated = said !== undefined && said.length > 0;
    entries.push({ entry, console_page: consolePages[entry], value, setting, stated });
  };
  if (products.includes('JSAPI')) {
    list('payment_directory', `${PUBLIC_URL}/pay/`, 'WECHAT_PAYMENT_DIRECTORIES');
    list('oauth_domain', host, 'WECHAT_OAUTH_DOMAIN');
    list('js_domain', host, 'WECHAT_JS_DOMAINS');
  }
  if (products.includes('MWEB')) list('h5_domain', host, 'WECHAT_H5_DOMAINS');
  if (products.includes('NATIVE') && config.WECHAT_API_VERSION === 'v2' && !config.WECHAT_SUB_MERCHANTS) {
    list('native_callback', `${PUBLIC_URL}/api/wechat/native`);
  }
  if (config.WECHAT_SERVER_TOKEN !== undefined) list('message_url', `${PUBLIC_URL}/api/wechat/server`);
  if (products.includes('JSAPI') || config.WECHAT_MESSAGE_TEMPLATE_ID !== undefined) {
    list('ip_whitelist', undefined);
  }
  return entries;
}

/** Everything that is said to be registered and does not fit this shop; what is not said is not judged. */
export function ruleFindings(config: Rules): RuleFinding[] {
  const { PUBLIC_URL, WECHAT_PAYMENT_DIRECTORIES: directories, WECHAT_OAUTH_DOMAIN: oauth } = config;
  const pay_directory = `${PUBLIC_URL}/pay/`;
  const host = new URL(PUBLIC_URL).hostname;
  const findings: RuleFinding[] = [];
  const find = (rule: RuleFinding['rule'], console_page: string, zh: string, en: string): void => {
    findings.push({ rule, zh, en, console_page });
  };
  if (directories.length > 0 && !mayPayOn(`${pay_directory}x`, directories)) {
    find(
      'payment_directory',
      consolePages.payment_directory,
      `付款页 ${pay_directory} 不在支付授权目录 ${directories.join('、')} 之内，顾客付款时会看到“当前页面的URL未注册”`,
      `the pay page ${pay_directory} lies outside the payment directories ${directories.join(', ')}: shoppers will be told 当前页面的URL未注册`,
    );
  }
  const numbered = directories.filter(hasNumericHost);
  if (numbered.length > 0 && config.GUITAI_ALLOW_SIMULATOR === 'no') {
    find(
      'payment_directory_host',
      consolePages.payment_directory,
      `支付授权目录必须用备案的域名，不能是 IP：${numbered.join('、')}`,
      `a payment directory needs a domain, not an address: ${numbered.join(', ')}`,
    );
  }
  if (oauth !== undefined && !isOnDomain(PUBLIC_URL, oauth)) {
    find(
      'oauth_domain',
      consolePages.oauth_domain,
      `本店的域名 ${host} 不是网页授权域名 ${oauth}，顾客登录时会看到错误 10003`,
      `this shop's host ${host} is not the OAuth domain ${oauth}: signing in will end with error 10003`,
    );
  }
  const js = config.WECHAT_JS_DOMAINS;
  if (js.length > 0 && !js.some((registered) => isOnJsDomain(pay_directory, registered))) {
    find(
      'js_domain',
      consolePages.js_domain,
      `付款页 ${pay_directory} 不在 JS 接口安全域名 ${js.join('、')} 之内，JS-SDK 会报 invalid url domain`,
      `the pay page ${pay_directory} lies on none of the JS domains ${js.join(', ')}: the JS-SDK will say invalid url domain`,
    );
  }
  const h5 = config.WECHAT_H5_DOMAINS;
  if (h5.length > 0 && !h5.some((registered) => isOnDomain(PUBLIC_URL, registered))) {
    find(
      'h5_domain',
      consolePages.h5_domain,
      `本店的域名 ${host} 不在 H5 支付域名 ${h5.join('、')} 之内，微信外付款时会看到“商家存在未配置的参数”`,
      `this shop's host ${host} is none of the H5 domains ${h5.join(', ')}: paying outside WeChat will fail`,
    );
  }
  if (config.WECHAT_SERVER_TOKEN !== undefined && config.WECHAT_SERVER_AES_KEY === undefined) {
    find(
      'plain_messages',
      consolePages.message_url,
      '公众号消息用的是明文模式：签名不覆盖正文，谁看到过请求地址，十分钟内就能冒名发送；请改为安全模式并设置 WECHAT_SERVER_AES_KEY',
      "the account's messages come in plain mode, whose signature says nothing of the body: set the console to safe mode (安全模式) and WECHAT_SERVER_AES_KEY here",
    );
  }
  return findings;
}

function hasNumericHost(directory: string): boolean {
  return isIP(URL.parse(directory)?.hostname.replace(/^\[|\]$/g, '') ?? '') !== 0;
}

/**
 * At the start of a process: before a shopper meets it. What no setting speaks of is not judged, but not passed over
 * either: what must stand there is said. The simulator has its lists from the shop itself.
 */
export function tellRuleFindings(config: Rules, log: Logger): void {
  for (const { rule, en, console_page } of ruleFindings(config)) log.warn({ rule, console_page }, en);
  if (config.GUITAI_ALLOW_SIMULATOR === 'yes') return;
  for (const { entry, value, setting, stated, console_page } of consoleEntries(config)) {
    if (stated || setting === undefined) continue;
    log.info(
      { entry, console_page, setting },
      `not judged, ${setting} is empty: ${console_page} must hold ${value}`,
    );
  }
}
