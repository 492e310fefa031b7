/**
 * The settings of a deployment, read once and checked as a whole: a process with a wrong setting names every
 * fault at once and does not start. The only place of the application that reads `process.env`.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { appClients, checkWays, productList } from './config_ways.ts';

export type { AppClient, Product } from './config_ways.ts';

const yes = z.enum(['yes', 'no']).default('no');

const url = (what: string) =>
  z.string().refine((text) => {
    const parsed = URL.parse(text);
    return (
      parsed !== null &&
      (parsed.protocol === 'https:' || parsed.protocol === 'http:') &&
      parsed.search === '' &&
      parsed.hash === '' &&
      !text.endsWith('/')
    );
  }, `${what}: an http(s) address without a trailing slash, query or fragment`);

/** A PEM of the kind wanted, given as text (line breaks may be written \\n) or as the path of a file that holds it. */
function pem(kind: string) {
  return z
    .string()
    .transform((text, issues) => {
      const read = text.startsWith('-----') ? text.replaceAll('\\n', '\n') : readFile(text);
      if (read?.includes('-----BEGIN ') && read.includes(`${kind}-----`)) return read;
      issues.addIssue({
        code: 'custom',
        message: read === undefined ? 'PEM text or the path of a readable file' : `a PEM with a ${kind}`,
      });
      return z.NEVER;
    })
    .optional();
}

function readFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The path is told to be unreadable by whoever asked; the reason (missing, no right) is the same mend.
    return undefined;
  }
}

const domainPattern = /^(?=.{1,253}(:\d{1,5})?$)[a-z0-9-]+(\.[a-z0-9-]+)*(:\d{1,5})?$/;
const domain = z.string().regex(domainPattern, 'a domain in small letters, without a scheme');

/** Several values of one kind, by commas; none when unset. */
function listOf(holds: (text: string) => boolean, what: string, most: number) {
  return z
    .string()
    .default('')
    .transform((text) => text.split(',').map((one) => one.trim()))
    .transform((texts) => texts.filter((one) => one !== ''))
    .refine((texts) => texts.length <= most && texts.every(holds), what);
}

/** WeChat takes http too; whether its host is a domain is the platform's to say. */
function isPaymentDirectory(text: string): boolean {
  const parsed = URL.parse(text);
  return parsed !== null && /^https?:$/.test(parsed.protocol) && text.endsWith('/') && !/[?#]/.test(text);
}

/** File name to content. */
const domainFiles = z.string().transform((text, issues): Record<string, string> => {
  const files: Record<string, string> = {};
  for (const entry of text.split(',').map((one) => one.trim())) {
    if (entry === '') continue;
    const [, name = '', given] = /^([\w-]{1,64}\.txt)(?:=([\w.-]{1,256}))?$/.exec(entry) ?? [];
    const content = given ?? /^MP_verify_(\w+)\.txt$/.exec(name)?.[1];
    if (content === undefined) {
      issues.addIssue({ code: 'custom', message: 'NAME.txt=CONTENT or MP_verify_X.txt, by commas' });
      return z.NEVER;
    }
    files[name] = content;
  }
  return files;
});

/** A template's fields, each a text with places to fill in. */
const messageData = z.string().transform((text, issues): Record<string, string> => {
  try {
    return z
      .record(z.string().regex(/^[a-zA-Z_]+\d*$/), z.string().min(1).max(200))
      .refine((fields) => Object.keys(fields).length > 0)
      .parse(JSON.parse(text));
  } catch {
    // Neither JSON nor a map of texts: told as one fault, with the example beside it.
    issues.addIssue({ code: 'custom', message: 'JSON of field names and texts' });
    return z.NEVER;
  }
});

export interface SubMerchant {
  sub_mch_id: string;
  name: string;
}

const subMerchants = z
  .string()
  .transform((text, issues): SubMerchant[] => {
    const read = readSubMerchants(text);
    if (read !== undefined) return read;
    issues.addIssue({
      code: 'custom',
      message: 'a JSON list of {"sub_mch_id": 8 to 10 digits, "name": 1 to 40 letters}, each number once',
    });
    return z.NEVER;
  })
  .optional();

function readSubMerchants(text: string): SubMerchant[] | undefined {
  try {
    const list = z
      .array(
        z.strictObject({
          sub_mch_id: z.string().regex(/^\d{8,10}$/),
          name: z.string().trim().min(1).max(40),
        }),
      )
      .min(1)
      .parse(JSON.parse(text));
    return new Set(list.map(({ sub_mch_id }) => sub_mch_id)).size === list.length ? list : undefined;
  } catch {
    // Neither JSON nor such a list: the setting's own sentence says what is wanted.
    return undefined;
  }
}

const appid = z.string().regex(/^wx[0-9a-zA-Z]{16}$/, 'wx and 16 letters or digits');

interface Setting {
  schema: z.ZodType;
  example: string;
  purpose: string;
  /** The example of a secret is public and therefore refused. */
  secret?: true;
}

/** Every setting with its example and where it comes from; `.env.example` is made of this table. */
export const settings = {
  DATABASE_URL: {
    schema: z.string().regex(/^postgres(ql)?:\/\//, 'a PostgreSQL address'),
    example: 'postgresql://guitai:secret@127.0.0.1:5432/guitai',
    purpose: 'PostgreSQL 14 or newer. Through PgBouncer: session mode for the worker.',
  },
  PUBLIC_URL: {
    schema: url('PUBLIC_URL'),
    example: 'https://shop.example.com',
    purpose:
      'Where shoppers and WeChat reach this app. Its host is the OAuth domain; its /pay/ is the payment directory.',
  },
  SESSION_PASSWORD: {
    schema: z
      .string()
      .refine(sealsCookies, 'at least 32 characters, or {"2":"new","1":"old"} with at least 32 each'),
    example: 'at-least-32-random-characters-here!!',
    purpose: 'Seals the cookies. For a change of key: JSON {"2":"new","1":"old"}.',
    secret: true,
  },
  SHOP_NAME: {
    schema: z.string().trim().min(1).max(40),
    example: '柜台小店',
    purpose: 'Shown to shoppers and in front of the goods text on the WeChat bill.',
  },
  ORDER_EXPIRES_MINUTES: {
    schema: z.coerce.number().int().min(5).max(10_080).default(30),
    example: '30',
    purpose: 'How long an order can be paid: 5 minutes to 7 days, as WeChat allows.',
  },
  TRUSTED_PROXIES: {
    schema: z.coerce.number().int().min(0).max(5).default(0),
    example: '1',
    purpose:
      'How many reverse proxies of yours write X-Forwarded-For. 0: none does, the socket’s own address is believed.',
  },
  ADDRESS_LIMIT_PER_MINUTE: {
    schema: z.coerce.number().int().min(1).max(1_000_000).default(120),
    example: '120',
    purpose:
      'How many orders, how many payments, and how many sign-ins, one client address may begin in a minute. Shoppers behind one router share it.',
  },
  WECHAT_APPID: {
    schema: z.string().regex(/^wx[0-9a-zA-Z]{16}$/, 'wx and 16 letters or digits'),
    example: 'wx0123456789abcdef',
    purpose: 'Official account: 设置与开发 → 基本配置 → 开发者ID(AppID).',
  },
  WECHAT_APP_SECRET: {
    schema: z.string().regex(/^[0-9a-zA-Z]{32}$/, '32 letters or digits'),
    example: '0123456789abcdef0123456789abcdef',
    purpose: 'Official account: 设置与开发 → 基本配置 → 开发者密码(AppSecret).',
    secret: true,
  },
  WECHAT_MCH_ID: {
    schema: z.string().regex(/^\d{8,10}$/, '8 to 10 digits'),
    example: '1900000109',
    purpose: 'Merchant platform: 账户中心 → 商户信息 → 微信支付商户号.',
  },
  WECHAT_SUB_MERCHANTS: {
    schema: subMerchants,
    example: '[{"sub_mch_id":"1900000110","name":"西湖店"}]',
    purpose:
      'Service provider only: the sub-merchants, as JSON; WECHAT_MCH_ID, its keys and certificate are then the provider’s. A product says by its sub_mch_id whose it is; without one it is the first’s.',
  },
  WECHAT_SP_APPID: {
    schema: z
      .string()
      .regex(/^wx[0-9a-zA-Z]{16}$/, 'wx and 16 letters or digits')
      .optional(),
    example: 'wxabcdef0123456789',
    purpose:
      'Service provider whose shop lives in a sub-merchant’s account: the provider’s appid. WECHAT_APPID is then sent as sub_appid, and payers are known by sub_openid.',
  },
  WECHAT_PRODUCTS: {
    schema: productList,
    example: 'JSAPI,NATIVE,MWEB',
    purpose:
      'Ways of paying that the merchant platform has granted (产品中心) and that are offered here: JSAPI, NATIVE, MWEB (H5), APP, MINIPROGRAM, MICROPAY, FACEPAY.',
  },
  PAY_PAGE_BRIDGE: {
    schema: z.enum(['bridge', 'js_sdk']).default('bridge'),
    example: 'bridge',
    purpose:
      'How the pay page inside WeChat opens the cashier. bridge: WeChat’s own, the JS-SDK where it never comes. js_sdk: always the JS-SDK.',
  },
  WECHAT_MINI_APPID: {
    schema: appid.optional(),
    example: 'wx0123456789abcde0',
    purpose: 'For MINIPROGRAM. Mini-program: 开发管理 → 开发设置 → AppID; bound to WECHAT_MCH_ID.',
  },
  WECHAT_MINI_SECRET: {
    schema: z
      .string()
      .regex(/^[0-9a-zA-Z]{32}$/, '32 letters or digits')
      .optional(),
    example: '0123456789abcdef0123456789abcde0',
    purpose: 'For MINIPROGRAM. Mini-program: 开发管理 → 开发设置 → AppSecret.',
    secret: true,
  },
  WECHAT_APP_APPID: {
    schema: appid.optional(),
    example: 'wx0123456789abcde1',
    purpose: 'For APP. Open platform: 管理中心 → 移动应用 → AppID; bound to WECHAT_MCH_ID.',
  },
  APP_API_KEYS: {
    schema: appClients,
    example: 'shop-app:0123456789abcdefghijklmnopqrstuvwxyz',
    purpose:
      'For APP. Servers that may order for their APP, as name:key with commas between; one name may have two keys during a change.',
    secret: true,
  },
  WECHAT_API_VERSION: {
    schema: z.enum(['v2', 'v3']).default('v2'),
    example: 'v2',
    purpose: 'How new trades are placed; old trades finish over the version they began with.',
  },
  WECHAT_API_V2_KEY: {
    schema: z
      .string()
      .regex(/^[0-9a-zA-Z]{32}$/, '32 letters or digits')
      .optional(),
    example: '0123456789abcdef0123456789abcdef',
    purpose: 'Merchant platform: 账户中心 → API安全 → APIv2密钥.',
    secret: true,
  },
  WECHAT_SIGN_TYPE: {
    schema: z.enum(['MD5', 'HMAC-SHA256']).default('HMAC-SHA256'),
    example: 'HMAC-SHA256',
    purpose: 'How new v2 trades are signed; old trades finish with the type they began with.',
  },
  WECHAT_API_V3_KEY: {
    schema: z
      .string()
      .regex(/^[0-9a-zA-Z]{32}$/, '32 letters or digits')
      .optional(),
    example: 'abcdef0123456789abcdef0123456789',
    purpose: 'Merchant platform: 账户中心 → API安全 → APIv3密钥. Needed for v3.',
    secret: true,
  },
  WECHAT_MERCHANT_CERTIFICATE: {
    schema: pem('CERTIFICATE'),
    example: '/etc/guitai/apiclient_cert.pem',
    purpose:
      'The merchant’s API certificate, as PEM or the path of its file. Needed for v3 and for refunds over v2.',
  },
  WECHAT_MERCHANT_KEY: {
    schema: pem('PRIVATE KEY'),
    example: '/etc/guitai/apiclient_key.pem',
    purpose: 'The private key of that certificate, as PEM or the path of its file.',
  },
  WECHAT_PLATFORM_CERTIFICATES: {
    schema: pem('CERTIFICATE'),
    example: '/etc/guitai/wechatpay_certificates.pem',
    purpose:
      'v3, certificate mode: platform certificates already at hand. Others are downloaded when first named.',
  },
  WECHAT_PAY_PUBLIC_KEY_ID: {
    schema: z
      .string()
      .regex(/^PUB_KEY_ID_[0-9A-Za-z]+$/, 'PUB_KEY_ID_ and digits')
      .optional(),
    example: 'PUB_KEY_ID_0119000001092026110100000000000001',
    purpose: 'v3, public-key mode: 账户中心 → API安全 → 微信支付公钥, its id. Both modes may be set at once.',
  },
  WECHAT_PAY_PUBLIC_KEY: {
    schema: pem('PUBLIC KEY'),
    example: '/etc/guitai/wxp_pub.pem',
    purpose: 'v3, public-key mode: the key of that id, as PEM or the path of its file.',
  },
  WECHAT_PAY_BASE_URL: {
    schema: url('WECHAT_PAY_BASE_URL').default('https://api.mch.weixin.qq.com'),
    example: 'https://api.mch.weixin.qq.com',
    purpose: 'The pay platform.',
  },
  WECHAT_PAY_CERTIFICATE_BASE_URL: {
    schema: url('WECHAT_PAY_CERTIFICATE_BASE_URL').optional(),
    example: 'https://api.mch.weixin.qq.com',
    purpose: 'Where v2 calls with the client certificate go; WECHAT_PAY_BASE_URL unless set.',
  },
  WECHAT_PAY_CA: {
    schema: pem('CERTIFICATE'),
    example: '/etc/guitai/simulator_ca.pem',
    purpose:
      'Only for a simulator: the root of its TLS certificate. Real WeChat is checked by the normal roots.',
  },
  WECHAT_API_BASE_URL: {
    schema: url('WECHAT_API_BASE_URL').default('https://api.weixin.qq.com'),
    example: 'https://api.weixin.qq.com',
    purpose: "The official account's API.",
  },
  WECHAT_OPEN_BASE_URL: {
    schema: url('WECHAT_OPEN_BASE_URL').default('https://open.weixin.qq.com'),
    example: 'https://open.weixin.qq.com',
    purpose: 'The OAuth authorize page.',
  },
  WECHAT_SERVER_TOKEN: {
    schema: z
      .string()
      .regex(/^[0-9a-zA-Z]{3,32}$/, '3 to 32 letters or digits')
      .optional(),
    example: 'atokenofyourown0123456789',
    purpose:
      'Official account: 设置与开发 → 基本配置 → 服务器配置 → Token; its URL is PUBLIC_URL/api/wechat/server. Without it nothing is received there.',
    secret: true,
  },
  WECHAT_SERVER_AES_KEY: {
    schema: z
      .string()
      .regex(/^[0-9a-zA-Z]{43}$/, '43 letters or digits')
      .optional(),
    example: 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG',
    purpose:
      'The EncodingAESKey beside it, for 安全模式 or 兼容模式. Once set, only encrypted messages are believed.',
    secret: true,
  },
  WECHAT_JS_SDK_URL: {
    schema: z
      .string()
      .regex(/^https?:\/\/[^\s'"<>;,]+\.js$/, 'the http(s) address of a script')
      .default('https://res.wx.qq.com/open/js/jweixin-1.6.0.js'),
    example: 'https://res.wx.qq.com/open/js/jweixin-1.6.0.js',
    purpose: 'The JS-SDK that the pay page may load for wx.chooseWXPay.',
  },
  WECHAT_DOMAIN_FILES: {
    schema: domainFiles.default({}),
    example: 'MP_verify_Wm3WZYTPz0wzccnW.txt',
    purpose:
      'The files WeChat wants at the root of the domain, by commas: NAME.txt=CONTENT; MP_verify_X.txt alone holds X.',
  },
  WECHAT_MESSAGE_TEMPLATE_ID: {
    schema: z
      .string()
      .regex(/^[0-9a-zA-Z_-]{16,64}$/, 'a template id')
      .optional(),
    example: 'ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY',
    purpose:
      'Sends one message per paid order to its buyer: 公众平台 → 模板消息 or 订阅通知 → its template id.',
  },
  WECHAT_MESSAGE_KIND: {
    schema: z.enum(['template', 'subscribe']).default('template'),
    example: 'template',
    purpose: 'template: 模板消息, to followers. subscribe: 订阅通知, to those who agreed to it.',
  },
  WECHAT_MESSAGE_DATA: {
    schema: messageData.default({
      character_string1: '{order_no}',
      thing2: '{title}',
      amount3: '{amount}',
      time4: '{paid_at}',
    }),
    example: '{"character_string1":"{order_no}","thing2":"{title}","amount3":"{amount}","time4":"{paid_at}"}',
    purpose:
      'The template’s own fields as JSON: text with {order_no}, {title}, {amount}, {paid_at} and {shop} in it.',
  },
  WECHAT_PAYMENT_DIRECTORIES: {
    schema: listOf(isPaymentDirectory, 'https addresses that end with /, at most 5', 5),
    example: 'https://shop.example.com/pay/',
    purpose:
      'Merchant platform: 产品中心 → 开发配置 → JSAPI支付授权目录, as registered there, by commas. Only to warn when the pay page lies outside.',
  },
  WECHAT_OAUTH_DOMAIN: {
    schema: domain.optional(),
    example: 'shop.example.com',
    purpose: 'Official account: 功能设置 → 网页授权域名, as registered there. Only to warn.',
  },
  WECHAT_JS_DOMAINS: {
    schema: listOf((text) => domainPattern.test(text.replace(/\/.*$/, '')), 'domains, at most 5', 5),
    example: 'shop.example.com',
    purpose: 'Official account: 功能设置 → JS接口安全域名, as registered there, by commas. Only to warn.',
  },
  WECHAT_H5_DOMAINS: {
    schema: listOf((text) => domainPattern.test(text), 'domains, at most 5', 5),
    example: 'shop.example.com',
    purpose:
      'Merchant platform: 产品中心 → 开发配置 → H5支付域名, as registered there, by commas. Only to warn.',
  },
  WECHAT_TIMEOUT_MS: {
    schema: z.coerce.number().int().min(500).max(30_000).default(8_000),
    example: '8000',
    purpose: 'How long one call to WeChat may take before its outcome counts as unknown.',
  },
  COUNTER_WAIT_SECONDS: {
    schema: z.coerce.number().int().min(30).max(60).default(40),
    example: '40',
    purpose:
      'Counter (MICROPAY, FACEPAY): how long a payer may look for the password before the charge is reversed.',
  },
  RED_PACKET_DAILY_LIMIT_FEN: {
    schema: z.coerce.number().int().min(0).max(100_000_000).default(0),
    example: '50000',
    purpose:
      'Fen that operators may send as cash red packets in one Beijing day; 0: none. Needs 现金红包 and the certificate.',
  },
  RED_PACKET_DAILY_PER_PERSON: {
    schema: z.coerce.number().int().min(1).max(10).default(3),
    example: '3',
    purpose: 'How many red packets one person may get in one Beijing day; WeChat itself allows ten.',
  },
  GUITAI_ALLOW_SIMULATOR: {
    schema: yes,
    example: 'no',
    purpose:
      'yes: the three WeChat addresses may be something else than WeChat. Needs GUITAI_NO_REAL_MONEY too.',
  },
  GUITAI_NO_REAL_MONEY: {
    schema: yes,
    example: 'no',
    purpose: 'yes: I know that no real money moves in this deployment.',
  },
  LOG_LEVEL: {
    schema: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'silent']).default('info'),
    example: 'info',
    purpose: 'How much the log says.',
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof settings;
export type Config = { [Name in SettingName]: z.output<(typeof settings)[Name]['schema']> };

export interface SettingFault {
  setting: SettingName;
  fault: string;
  purpose: string;
  example: string;
}

/** All faults of a configuration, together. `message` is ready to be printed; it holds no value that was set. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly SettingFault[];

  constructor(faults: readonly SettingFault[]) {
    const lines = faults.map(
      ({ setting, fault, purpose, example }) =>
        `  ${setting}: ${fault}\n    ${purpose}\n    for example ${setting}=${example}`,
    );
    super(`${faults.length} setting(s) are wrong or missing:\n${lines.join('\n')}`);
    this.faults = faults;
  }
}

const officialHost = /(^|\.)(weixin\.qq\.com|wechatpay\.cn)$/;

/** Reads settings from an environment; throws ConfigError that lists every fault at once. */
export function readConfig(environment: Record<string, string | undefined>): Config {
  const faults: SettingFault[] = [];
  const fault = (setting: SettingName, text: string): void => {
    const { purpose, example } = settings[setting];
    faults.push({ setting, fault: text, purpose, example });
  };
  const values: Record<string, unknown> = {};
  for (const name of Object.keys(settings) as SettingName[]) {
    const raw = environment[name];
    const setting: Setting = settings[name];
    if (setting.secret && raw === setting.example) {
      fault(name, 'is still the example, which everybody knows');
      continue;
    }
    const parsed = settings[name].schema.safeParse(raw === '' ? undefined : raw);
    if (parsed.success) values[name] = parsed.data;
    else fault(name, raw === undefined || raw === '' ? 'is missing' : firstIssue(parsed.error));
  }
  const told = new Set(faults.map(({ setting }) => setting));
  checkTogether(values as Partial<Config>, environment, (setting, text) => {
    if (!told.has(setting)) fault(setting, text);
  });
  if (faults.length > 0) throw new ConfigError(faults);
  return values as Config;
}

function firstIssue(error: z.ZodError): string {
  return `must be ${error.issues[0]?.message ?? 'valid'}`;
}

/**
 * What no single setting can show: simulator addresses, plain http, and TLS switched off behind our back. A setting that
 * is faulty by itself is absent here and has been told already.
 */
function checkTogether(
  config: Partial<Config>,
  environment: Record<string, string | undefined>,
  fault: (setting: SettingName, text: string) => void,
): void {
  const consents = config.GUITAI_ALLOW_SIMULATOR === 'yes' && config.GUITAI_NO_REAL_MONEY === 'yes';
  for (const name of [
    'WECHAT_PAY_BASE_URL',
    'WECHAT_PAY_CERTIFICATE_BASE_URL',
    'WECHAT_API_BASE_URL',
    'WECHAT_OPEN_BASE_URL',
  ] as const) {
    if (config[name] === undefined) continue;
    const { hostname, protocol } = new URL(config[name]);
    if (!consents && !(officialHost.test(hostname) && protocol === 'https:')) {
      fault(
        name,
        'is not one of WeChat’s https hosts; a simulator needs GUITAI_ALLOW_SIMULATOR=yes and GUITAI_NO_REAL_MONEY=yes',
      );
    }
  }
  if (!consents && config.PUBLIC_URL?.startsWith('https://') === false) {
    fault('PUBLIC_URL', 'must be https: WeChat delivers notifications and cookies are kept only there');
  }
  if (!consents && config.WECHAT_JS_SDK_URL !== undefined) {
    const { hostname, protocol } = new URL(config.WECHAT_JS_SDK_URL);
    if (protocol !== 'https:' || !/(^|\.)wx\.qq\.com$/.test(hostname)) {
      fault('WECHAT_JS_SDK_URL', 'is not on WeChat’s https hosts res.wx.qq.com and res2.wx.qq.com');
    }
  }
  if (config.WECHAT_SERVER_AES_KEY !== undefined && config.WECHAT_SERVER_TOKEN === undefined) {
    fault('WECHAT_SERVER_TOKEN', 'is missing beside WECHAT_SERVER_AES_KEY');
  }
  if (!consents && config.WECHAT_PAY_CA !== undefined) {
    fault('WECHAT_PAY_CA', 'is for simulators only; WeChat is checked by the normal roots, remove it');
  }
  checkPartner(config, fault);
  checkWays(config, fault);
  checkKeys(config, fault);
  if (environment.NODE_TLS_REJECT_UNAUTHORIZED === '0') {
    fault(
      'WECHAT_PAY_BASE_URL',
      'cannot be trusted: NODE_TLS_REJECT_UNAUTHORIZED=0 switches TLS off, remove it',
    );
  }
}

function checkPartner(config: Partial<Config>, fault: (setting: SettingName, text: string) => void): void {
  const { WECHAT_SUB_MERCHANTS: sellers, WECHAT_SP_APPID: provider } = config;
  if (provider !== undefined && sellers === undefined) {
    fault('WECHAT_SUB_MERCHANTS', 'is missing beside WECHAT_SP_APPID');
  }
  if (provider !== undefined && provider === config.WECHAT_APPID) {
    fault(
      'WECHAT_SP_APPID',
      'is the same as WECHAT_APPID; leave it out when the shop lives in the provider’s account',
    );
  }
  if (sellers?.some(({ sub_mch_id }) => sub_mch_id === config.WECHAT_MCH_ID) === true) {
    fault('WECHAT_SUB_MERCHANTS', 'names WECHAT_MCH_ID; a provider is no sub-merchant of its own');
  }
}

/** What each version needs, and keys that do not belong together: told here, with names, not at the first payment. */
function checkKeys(config: Partial<Config>, fault: (setting: SettingName, text: string) => void): void {
  const needed: Record<Config['WECHAT_API_VERSION'], SettingName[]> = {
    v2: ['WECHAT_API_V2_KEY'],
    v3: ['WECHAT_API_V3_KEY', 'WECHAT_MERCHANT_CERTIFICATE', 'WECHAT_MERCHANT_KEY'],
  };
  for (const name of config.WECHAT_API_VERSION === undefined ? [] : needed[config.WECHAT_API_VERSION]) {
    if (config[name] === undefined) fault(name, `is missing; API ${config.WECHAT_API_VERSION} needs it`);
  }
  const pairs = [
    ['WECHAT_MERCHANT_CERTIFICATE', 'WECHAT_MERCHANT_KEY'],
    ['WECHAT_PAY_PUBLIC_KEY_ID', 'WECHAT_PAY_PUBLIC_KEY'],
  ] as const;
  for (const [one, other] of pairs) {
    if (config[one] !== undefined && config[other] === undefined) fault(other, `is missing beside ${one}`);
    if (config[one] === undefined && config[other] !== undefined) fault(one, `is missing beside ${other}`);
  }
  if (config.WECHAT_API_V3_KEY !== undefined && config.WECHAT_API_V3_KEY === config.WECHAT_API_V2_KEY) {
    fault('WECHAT_API_V3_KEY', 'is the same as WECHAT_API_V2_KEY; they are two keys set in two places');
  }
  const { WECHAT_MERCHANT_CERTIFICATE: certificate, WECHAT_MERCHANT_KEY: key } = config;
  if (certificate === undefined || key === undefined) return;
  try {
    if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))) {
      fault('WECHAT_MERCHANT_KEY', 'is not the key of WECHAT_MERCHANT_CERTIFICATE');
    }
  } catch {
    // Neither can be parsed further than its PEM frame; the cause would print key material.
    fault(
      'WECHAT_MERCHANT_KEY',
      'and WECHAT_MERCHANT_CERTIFICATE cannot be read as a key and its certificate',
    );
  }
}

/** One password, or iron-session's map of several during a change of key. */
export function sessionPasswords(text: string): string | Record<string, string> {
  return text.startsWith('{') ? (readPasswords(text) ?? text) : text;
}

function readPasswords(text: string): Record<string, string> | undefined {
  try {
    return z.record(z.string().regex(/^\d+$/), z.string().min(32)).parse(JSON.parse(text));
  } catch {
    // Neither JSON nor a map of passwords: the caller refuses it as a setting.
    return undefined;
  }
}

function sealsCookies(text: string): boolean {
  if (!text.startsWith('{')) return text.length >= 32;
  const passwords = readPasswords(text);
  return passwords !== undefined && Object.keys(passwords).length > 0;
}

/** Whether shoppers reach us over https: then cookies and browsers are told to stay there. */
export function isSecure({ PUBLIC_URL }: Pick<Config, 'PUBLIC_URL'>): boolean {
  return PUBLIC_URL.startsWith('https://');
}

let cached: Config | undefined;

/** The configuration of this process. */
export function config(): Config {
  cached ??= readConfig(process.env);
  return cached;
}

/** The text of `.env.example`: every setting with its purpose; those that may stay unset are commented out. */
export function envExample(): string {
  const blocks = Object.entries(settings).map(([name, { purpose, example, schema }]) => {
    const mark = schema.safeParse(undefined).success ? '#' : '';
    return `# ${purpose}\n${mark}${name}=${example}\n`;
  });
  return `# Settings of Guitai. Copy to .env, replace the values, and uncomment what you need.\n\n${blocks.join('\n')}`;
}
