/**
 * A whole counter for a test: a database of its own, the simulator, the doorways, and a shopper's browser that
 * keeps cookies and follows WeChat's redirects. Time can be moved; nothing is mocked.
 */
import { pino } from 'pino';
import { createAccounts } from '../../lib/accounts.ts';
import { readConfig } from '../../lib/config.ts';
import { type Context, createContext } from '../../lib/context.ts';
import { handlers } from '../../lib/jobs.ts';
import type { JobData, QueueName } from '../../lib/queues.ts';
import { seed } from '../../lib/seed.ts';
import { type SimulatorOptions, startSimulator } from '../../simulator/server.ts';
import { createTestDatabase } from './database.ts';
import { type Host, startHost } from './host.ts';

export interface SimulatorConfig {
  official_account: { appid: string; secret: string };
  mini_program: { appid: string; secret: string };
  app: { appid: string };
  other_accounts: { appid: string; secret: string }[];
  tls_url: string;
  ca_pem: string;
  merchants: SimulatedMerchant[];
  /** `openids`: by appid; `openid` is the demo account's. */
  users: { openid: string; openids: Record<string, string>; nickname: string; balance_fen: number }[];
}

export interface SimulatedMerchant {
  mch_id: string;
  appid: string;
  modes: string[];
  /** A service provider's. */
  sub_merchants?: { sub_mch_id: string; sub_appids: string[] }[];
  api_v2_key: string;
  api_v3_key: string;
  merchant_cert_pem: string;
  merchant_key_pem: string;
  platform_cert_pem: string;
  platform_cert_serial: string;
  platform_public_key_id: string;
  platform_public_key_pem: string;
}

/** What an APP's own server brings in a test. */
export const app_key = 'the-key-of-an-app-server-in-a-test-0123456789';

export interface Counter {
  /** The present context; `restart` puts another one in its place. */
  readonly ctx: Context;
  host: Host;
  simulator_url: string;
  simulator_config: SimulatorConfig;
  /** The environment the present context was made of, for processes beside it. */
  readonly settings: Record<string, string>;
  /** Posts or puts JSON to the simulator's control door and returns what it answers; throws on 4xx unless told. */
  control: <Answer = Record<string, unknown>>(
    path: string,
    body?: unknown,
    method?: string,
  ) => Promise<Answer>;
  /** Moves the counter's clock; the simulator's is moved by `control('clock', { advance_s })`. */
  advance: (seconds: number) => void;
  shopper: (openid?: string) => Shopper;
  /** Runs every due job of a queue once, as a worker would, on the counter's clock. Returns how many. */
  work: (queue: QueueName) => Promise<number>;
  /** The first settings with these changes, over the same database; an empty value unsets. */
  restart: (environment: Record<string, string>) => Promise<void>;
  close: () => Promise<void>;
}

export interface CounterOptions {
  environment?: Record<string, string>;
  /** How new trades are placed; v2 unless told. Certificates and both keys are there in either case. */
  api_version?: 'v2' | 'v3';
  simulator?: SimulatorOptions;
  fetch?: typeof globalThis.fetch;
}

export async function openCounter(options: CounterOptions = {}): Promise<Counter> {
  const database = await createTestDatabase();
  const host = await startHost(Number(options.environment?.TRUSTED_PROXIES ?? 0));
  const simulator = await startSimulator({ shop_origin: host.origin, ...options.simulator });
  const simulator_config = (await (await fetch(`${simulator.url}/_sim/config`)).json()) as SimulatorConfig;
  const [merchant] = simulator_config.merchants;
  if (merchant === undefined) throw new Error('the simulator has no merchant');
  let settings: Record<string, string> = {
    DATABASE_URL: database.url,
    PUBLIC_URL: host.origin,
    SESSION_PASSWORD: 'a password that only this test knows, 0123456789',
    SHOP_NAME: '柜台小店',
    // Every shopper comes from this machine.
    ADDRESS_LIMIT_PER_MINUTE: '1000000',
    WECHAT_APPID: merchant.appid,
    WECHAT_APP_SECRET: simulator_config.official_account.secret,
    WECHAT_MCH_ID: merchant.mch_id,
    WECHAT_MINI_APPID: simulator_config.mini_program.appid,
    WECHAT_MINI_SECRET: simulator_config.mini_program.secret,
    WECHAT_APP_APPID: simulator_config.app.appid,
    APP_API_KEYS: `app:${app_key}`,
    WECHAT_API_VERSION: options.api_version ?? 'v2',
    WECHAT_API_V2_KEY: merchant.api_v2_key,
    WECHAT_API_V3_KEY: merchant.api_v3_key,
    WECHAT_MERCHANT_CERTIFICATE: merchant.merchant_cert_pem,
    WECHAT_MERCHANT_KEY: merchant.merchant_key_pem,
    WECHAT_PAY_PUBLIC_KEY_ID: merchant.platform_public_key_id,
    WECHAT_PAY_PUBLIC_KEY: merchant.platform_public_key_pem,
    WECHAT_PAY_BASE_URL: simulator.url,
    WECHAT_PAY_CERTIFICATE_BASE_URL: simulator_config.tls_url,
    WECHAT_PAY_CA: simulator_config.ca_pem,
    WECHAT_API_BASE_URL: simulator.url,
    WECHAT_OPEN_BASE_URL: simulator.url,
    WECHAT_TIMEOUT_MS: '1000',
    GUITAI_ALLOW_SIMULATOR: 'yes',
    GUITAI_NO_REAL_MONEY: 'yes',
    ...options.environment,
  };
  const first_settings = settings;
  let moved_ms = 0;
  const open = (environment: Record<string, string>): Context => {
    const config = readConfig(environment);
    const made = createContext(config, {
      now: () => new Date(Date.now() + moved_ms),
      log: pino({ level: 'silent' }),
      ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
    });
    // A v3 signature's time is the wall clock's at both ends; only the business's clock is moved.
    return { ...made, ...createAccounts(config, { ...made.ports, now: () => new Date() }) };
  };
  let ctx = open(settings);
  await seed(ctx.db);
  (globalThis as { guitai_context?: Context }).guitai_context = ctx;

  const control: Counter['control'] = async (path, body, method = body === undefined ? 'GET' : 'POST') => {
    const answer = await fetch(`${simulator.url}/_sim/${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`simulator ${path}: ${answer.status} ${text}`);
    return JSON.parse(text);
  };

  return {
    get ctx() {
      return ctx;
    },
    get settings() {
      return settings;
    },
    host,
    simulator_url: simulator.url,
    simulator_config,
    control,
    advance: (seconds) => {
      moved_ms += seconds * 1_000;
    },
    shopper: (openid = simulator_config.users[0]?.openid ?? '') =>
      new Shopper(host.origin, simulator.url, openid),
    work: (queue) => workOnce(ctx, queue),
    restart: async (environment) => {
      const before = ctx;
      settings = { ...first_settings, ...environment };
      ctx = open(settings);
      (globalThis as { guitai_context?: Context }).guitai_context = ctx;
      await before.close();
    },
    close: async () => {
      await host.close();
      await simulator.close();
      await ctx.close();
      await database.drop();
    },
  };
}

async function workOnce<Name extends QueueName>(ctx: Context, queue: Name): Promise<number> {
  const jobs = await ctx.db.$queryRaw<{ data: JobData[Name] }[]>`
    UPDATE pgboss.job SET state = 'completed', completed_on = now()
    WHERE name = ${queue} AND state = 'created' AND start_after <= ${ctx.now()} RETURNING data`;
  for (const { data } of jobs) await handlers[queue](ctx, data);
  return jobs.length;
}

/** A browser inside WeChat: cookies, redirects, an openid that the simulator's authorize page knows. */
export class Shopper {
  readonly cookies = new Map<string, string>();
  readonly origin: string;
  readonly simulator: string;
  readonly openid: string;

  constructor(origin: string, simulator: string, openid: string) {
    this.origin = origin;
    this.simulator = simulator;
    this.openid = openid;
  }

  /** One request, redirects not followed. */
  async go(path: string, init: RequestInit = {}): Promise<Response> {
    const url = path.startsWith('http') ? path : this.origin + path;
    const headers = new Headers(init.headers);
    const own = url.startsWith(this.origin);
    const jar = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    headers.set('cookie', own ? jar : `_sim_openid=${this.openid}`);
    if (own && init.method === 'POST' && !headers.has('origin')) headers.set('origin', this.origin);
    const answer = await fetch(url, { redirect: 'manual', ...init, headers });
    if (own) {
      for (const cookie of answer.headers.getSetCookie()) {
        const [pair = ''] = cookie.split(';');
        const cut = pair.indexOf('=');
        if (/max-age=0/i.test(cookie)) this.cookies.delete(pair.slice(0, cut));
        else this.cookies.set(pair.slice(0, cut), pair.slice(cut + 1));
      }
    }
    return answer;
  }

  post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return this.go(path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...headers },
    });
  }

  /** Silent sign-in through the simulator's authorize page; returns where it ended. */
  async signIn(return_to = '/'): Promise<string> {
    let answer = await this.go(`/api/wechat/oauth?return_to=${encodeURIComponent(return_to)}`);
    for (let hops = 0; hops < 4; hops += 1) {
      const location = answer.headers.get('location');
      if (location === null) throw new Error(`sign-in ended with ${answer.status}`);
      const path = location.replace(this.origin, '');
      if (location.startsWith(this.origin) && !path.startsWith('/api/')) return path;
      answer = await this.go(location);
    }
    throw new Error('sign-in went round in circles');
  }

  async order(product_id = 'penny-candy', quantity = 1, checkout_key = crypto.randomUUID()) {
    const answer = await this.post('/api/orders', { items: [{ product_id, quantity }], checkout_key });
    if (answer.status !== 201) throw new Error(`order: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as { order_no: string; total_fen: number; expires_at: string };
  }

  async pay(order_no: string) {
    const answer = await this.post(`/api/orders/${order_no}/pay`, { trade_type: 'JSAPI' });
    if (answer.status !== 200) throw new Error(`pay: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as { out_trade_no: string; jsapi: Record<string, string> };
  }

  async status(order_no: string, query = '') {
    const answer = await this.go(`/api/orders/${order_no}${query}`);
    return (await answer.json()) as { state: string; next_poll_ms: number | null; error?: { code: string } };
  }
}
