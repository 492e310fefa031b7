/**
 * The settings of a deployment, read once and checked as a whole: a process with a wrong setting names every
 * fault at once and does not start. The only place of the application that reads `process.env`.
 */
import { z } from 'zod';

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
    purpose: 'How many reverse proxies of yours append to X-Forwarded-For; 0 when none stands in front.',
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
  WECHAT_API_V2_KEY: {
    schema: z.string().regex(/^[0-9a-zA-Z]{32}$/, '32 letters or digits'),
    example: '0123456789abcdef0123456789abcdef',
    purpose: 'Merchant platform: 账户中心 → API安全 → APIv2密钥.',
    secret: true,
  },
  WECHAT_SIGN_TYPE: {
    schema: z.enum(['MD5', 'HMAC-SHA256']).default('HMAC-SHA256'),
    example: 'HMAC-SHA256',
    purpose: 'How new v2 trades are signed; old trades finish with the type they began with.',
  },
  WECHAT_PAY_BASE_URL: {
    schema: url('WECHAT_PAY_BASE_URL').default('https://api.mch.weixin.qq.com'),
    example: 'https://api.mch.weixin.qq.com',
    purpose: 'The pay platform.',
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
  WECHAT_TIMEOUT_MS: {
    schema: z.coerce.number().int().min(500).max(30_000).default(8_000),
    example: '8000',
    purpose: 'How long one call to WeChat may take before its outcome counts as unknown.',
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
  const config = values as Config;
  if (faults.length === 0) checkTogether(config, environment, fault);
  if (faults.length > 0) throw new ConfigError(faults);
  return config;
}

function firstIssue(error: z.ZodError): string {
  return `must be ${error.issues[0]?.message ?? 'valid'}`;
}

/** What no single setting can show: simulator addresses, plain http, and TLS switched off behind our back. */
function checkTogether(
  config: Config,
  environment: Record<string, string | undefined>,
  fault: (setting: SettingName, text: string) => void,
): void {
  const consents = config.GUITAI_ALLOW_SIMULATOR === 'yes' && config.GUITAI_NO_REAL_MONEY === 'yes';
  for (const name of ['WECHAT_PAY_BASE_URL', 'WECHAT_API_BASE_URL', 'WECHAT_OPEN_BASE_URL'] as const) {
    const { hostname, protocol } = new URL(config[name]);
    if (!consents && !(officialHost.test(hostname) && protocol === 'https:')) {
      fault(
        name,
        'is not one of WeChat’s https hosts; a simulator needs GUITAI_ALLOW_SIMULATOR=yes and GUITAI_NO_REAL_MONEY=yes',
      );
    }
  }
  if (!consents && !config.PUBLIC_URL.startsWith('https://')) {
    fault('PUBLIC_URL', 'must be https: WeChat delivers notifications and cookies are kept only there');
  }
  if (environment.NODE_TLS_REJECT_UNAUTHORIZED === '0') {
    fault(
      'WECHAT_PAY_BASE_URL',
      'cannot be trusted: NODE_TLS_REJECT_UNAUTHORIZED=0 switches TLS off, remove it',
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

let cached: Config | undefined;

/** The configuration of this process. */
export function config(): Config {
  cached ??= readConfig(process.env);
  return cached;
}

/** The text of `.env.example`: every setting, nothing else, each with its purpose. */
export function envExample(): string {
  const blocks = Object.entries(settings).map(
    ([name, { purpose, example }]) => `# ${purpose}\n${name}=${example}\n`,
  );
  return `# Settings of Guitai. Copy to .env and replace every value.\n\n${blocks.join('\n')}`;
}
