/**
 * What a piece of business needs of the world, in one value: settings, database, clock, log, WeChat, and the door
 * for money. Made once per process; tests make their own with another clock and another network.
 */

import { type Config, config as processConfig } from './config.ts';
import { type Db, openDb } from './db.ts';
import { createGroupCommit } from './group_commit.ts';
import { createLog, type Logger } from './log.ts';
import { randomText } from './numbers.ts';
import { type Evidence, type Settled, settleBatch } from './settle.ts';
import { createWechatPayV2, type Ports, type WechatPay } from './wechat/index.ts';

export interface Context {
  config: Config;
  db: Db;
  log: Logger;
  ports: Ports;
  now: () => Date;
  /** The pay platform as a trade was, or will be, placed with: by API version and sign type. */
  payFor: (trade: { api_version: string; sign_type: string }) => WechatPay;
  /** What new trades are placed with. */
  pay: WechatPay;
  settle: (evidence: Evidence) => Promise<Settled>;
  close: () => Promise<void>;
}

export interface ContextParts {
  now?: () => Date;
  fetch?: typeof globalThis.fetch;
  log?: Logger;
  db?: Db;
}

export function createContext(config: Config, parts: ContextParts = {}): Context {
  const now = parts.now ?? (() => new Date());
  const db = parts.db ?? openDb(config.DATABASE_URL);
  const ports: Ports = {
    fetch: parts.fetch ?? globalThis.fetch,
    now,
    nonce: (length = 32) => randomText(length),
  };
  const accounts = new Map<string, WechatPay>();
  const payFor = (trade: { api_version: string; sign_type: string }): WechatPay => {
    const key = `${trade.api_version} ${trade.sign_type}`;
    const known = accounts.get(key);
    if (known !== undefined) return known;
    if (trade.api_version !== 'v2' || (trade.sign_type !== 'MD5' && trade.sign_type !== 'HMAC-SHA256')) {
      throw new Error(`no settings for a trade placed over ${key}`);
    }
    const account = createWechatPayV2(
      {
        appid: config.WECHAT_APPID,
        mch_id: config.WECHAT_MCH_ID,
        api_v2_key: config.WECHAT_API_V2_KEY,
        sign_type: trade.sign_type,
        base_url: config.WECHAT_PAY_BASE_URL,
        timeout_ms: config.WECHAT_TIMEOUT_MS,
      },
      ports,
    );
    accounts.set(key, account);
    return account;
  };
  return {
    config,
    db,
    log: parts.log ?? createLog(config.LOG_LEVEL),
    ports,
    now,
    payFor,
    pay: payFor({ api_version: 'v2', sign_type: config.WECHAT_SIGN_TYPE }),
    settle: createGroupCommit((batch: readonly Evidence[]) => settleBatch(db, now(), batch)),
    close: () => db.$disconnect(),
  };
}

/*
 * Next compiles each route by itself and reloads modules in development; one process must still hold one pool.
 */
const slot = globalThis as typeof globalThis & { guitai_context?: Context };

/** The context of this process. */
export function context(): Context {
  slot.guitai_context ??= createContext(processConfig());
  return slot.guitai_context;
}
