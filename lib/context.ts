/**
 * What a piece of business needs of the world, in one value: settings, database, clock, log, WeChat, and the door
 * for money. Made once per process; tests make their own with another clock and another network.
 */

import { type Accounts, createAccounts } from './accounts.ts';
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
  /** The pay platform for an existing trade, for a new one, and for the merchant as a whole: see `Accounts`. */
  payFor: Accounts['payFor'];
  payAs: Accounts['payAs'];
  payOver: Accounts['payOver'];
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
    ...accounts,
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
