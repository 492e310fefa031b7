// Everything the platform remembers, as one plain object: kept in a file when asked, written whole to a neighbour and
// renamed; it refuses a file of another layout.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { LedgerEntry, Notification, Order, PaymentCode, RedPacket, Refund } from './records.ts';
import type { Account, Merchant, OauthCode, Official, Token, User } from './registers.ts';

export type State = {
  layout: 1;
  clock_offset_ms: number;
  drawn: number;
  next_number: number;
  accounts: Account[];
  merchants: Merchant[];
  users: User[];
  shop_origin: string;
  payment_directories: string[];
  oauth_domains: string[];
  /** JS接口安全域名; an entry may name a path as well. */
  js_domains: string[];
  orders: Record<string, Order>;
  refunds: Record<string, Refund>;
  notifications: Record<string, Notification>;
  ledger: LedgerEntry[];
  payment_codes: Record<string, PaymentCode>;
  red_packets: Record<string, RedPacket>;
  /** What a weixin://wxpay/s/… stands for. */
  short_urls: Record<string, string>;
  oauth_codes: Record<string, OauthCode>;
  tokens: Record<string, Token>;
  official: Official;
};

export type Store = {
  state: State;
  /** Says that something changed; the file follows shortly. */
  touch(): void;
  /** Writes the file now, if there is one and something changed. */
  flush(): void;
  /** A number never given before: notification ids, ledger entries. */
  number(): number;
};

/** The key of an order or of a refund: numbers are unique per merchant only. */
export function orderKey(mch_id: string, out_trade_no: string): string {
  return `${mch_id}/${out_trade_no}`;
}

/** Opens the state, from `file` when it exists, else from `fresh`. */
export function openStore(file: string | undefined, fresh: () => State): Store {
  let state = fresh();
  if (file !== undefined && existsSync(file)) {
    const stored: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (!isState(stored)) throw new Error(`${file} is not a simulator state of layout 1; move it away`);
    // What a later version remembers too is taken from the fresh world.
    state = { ...state, ...stored };
    const [pattern] = fresh().merchants;
    state.merchants = state.merchants.map((m) => ({ ...pattern, ...m }));
  }
  let dirty = false;
  let timer: NodeJS.Timeout | undefined;
  let last_write_ms = 0;

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    if (!dirty || file === undefined) return;
    dirty = false;
    const started = performance.now();
    const beside = `${file}.${process.pid}.tmp`;
    writeFileSync(beside, JSON.stringify(state), { mode: 0o600 });
    renameSync(beside, file);
    last_write_ms = performance.now() - started;
  }

  return {
    state,
    flush,
    touch() {
      dirty = true;
      // A long history is written less often, so that writing never takes more than a small part of the time.
      if (file !== undefined && timer === undefined) timer = setTimeout(flush, 100 + 20 * last_write_ms);
    },
    number() {
      state.next_number += 1;
      return state.next_number;
    },
  };
}

function isState(thing: unknown): thing is State {
  return typeof thing === 'object' && thing !== null && 'layout' in thing && thing.layout === 1;
}
