/**
 * What a piece of business needs of the world, in one value: settings, database, clock, log, WeChat, and the door
 * for money. Made once per process; tests make their own with another clock and another network.
 */

import { createAccounts } from './accounts.ts';
import { type Config, config as processConfig } from './config.ts';
import { type Db, openDb } from './db.ts';
import { createGroupCommit } from './group_commit.ts';
import { createLog, type Logger } from './log.ts';
import { randomText } from './numbers.ts';
import { type Evidence, type Settled, settleBatch } from './settle.ts';
import type { Ports, WechatPay } from './wechat/index.ts';

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
  const accounts = createAccounts(config, ports);
  return {
    config,
    db,
    log: parts.log ?? createLog(config.LOG_LEVEL),
    ports,
    now,
    payFor: accounts.payFor,
    pay: accounts.pay,
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
