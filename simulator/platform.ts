// The platform as one value that every door gets: memory, clock, ids, faults, log, notifier. It decides nothing.

import type { Clock } from './clock.ts';
import type { Faults } from './faults.ts';
import type { Ids } from './ids.ts';
import type { Keyring } from './keys.ts';
import type { Log } from './log.ts';
import type { Attempt, Notification, Order, Refund } from './records.ts';
import type { Account, Merchant, SubMerchant, User } from './registers.ts';
import type { Store } from './store.ts';

export type Platform = {
  store: Store;
  clock: Clock;
  ids: Ids;
  faults: Faults;
  log: Log;
  notifier: Notifier;
  refunds: RefundTimeline;
  keyring: Keyring;
  /** Doubtful rules enforced too: time_expire of 5 minutes, no close in the first 5 minutes, … */
  strict: boolean;
  allow_any_notify_host: boolean;
  /** Whether refunds and fund flows over the plain listener are refused for want of a client certificate. */
  certificate_required: boolean;
  /** How long an accepted refund is under way, on the platform's clock. */
  refund_delay_s: number;
  /** This simulator's own addresses, known once it listens. */
  addresses: { url: string; tls_url: string; phone_url: string };
  /** Bridge calls waiting for their payer, by invocation id. */
  invocations: Map<string, Invocation>;
  reset(): void;
};

/** The sender of notifications, as the doors know it. */
export type Notifier = {
  /** Books the payment notification of an order just paid; the first attempt starts at once. */
  paid(order: Order): Notification;
  /** Books the notification of a refund that just ended. */
  refunded(order: Order, refund: Refund): Notification;
  all(): Notification[];
  /** Starts whatever is due and sets the alarm for the rest. */
  pump(): void;
  /** One attempt now, whatever the schedule says; the schedule itself is not moved unless it is accepted. */
  redeliver(n: Notification): Promise<Attempt[]>;
  /** Starts what is due and waits until nothing is under way. */
  settle(): Promise<void>;
  /** Waits for the attempt of one order's notification that is under way, if any. */
  settleOrder(order: Order): Promise<void>;
  /** Moves the clock forward, stopping at every due moment on the way, in order. */
  advance(duration_ms: number): Promise<void>;
  /** Forgets what it kept beside the state, after the state was replaced. */
  forget(): void;
  close(): Promise<void>;
};

/** The refunds under way, kept beside the state so that a long history costs nothing. */
export type RefundTimeline = {
  book(refund: Refund): void;
  settled(refund: Refund): void;
  /** Accepted, and the money still with the merchant. */
  unfinished(mch_id: string, sub_mch_id?: string): Refund[];
  nextDue(): number | null;
  /** Ends everything due by now, in order of its time. */
  run(): void;
  forget(): void;
};

export type Invocation = {
  invocation_id: string;
  mch_id: string;
  out_trade_no: string;
  prepay_id: string;
  openid: string;
  outcome: 'open' | 'paid' | 'cancelled';
  wake: (() => void)[];
};

/** The merchant as it stands now: a switch to the public key that has run its seven days is over. */
export function merchantOf(platform: Platform, mch_id: string): Merchant | undefined {
  const merchant = platform.store.state.merchants.find((m) => m.mch_id === mch_id);
  const { switch_ends_at_ms } = merchant ?? {};
  if (merchant?.mode === 'switching' && switch_ends_at_ms !== undefined) {
    if (platform.clock.now() >= switch_ends_at_ms) merchant.mode = 'public_key';
  }
  return merchant;
}

/** Where an order's money lies: with the sub-merchant when a provider acts for one. */
export function purseOf(
  platform: Platform,
  whose: { mch_id: string; sub_mch_id?: string | undefined },
): Merchant | SubMerchant | undefined {
  const merchant = merchantOf(platform, whose.mch_id);
  if (whose.sub_mch_id === undefined) return merchant;
  return merchant?.sub_merchants?.find((s) => s.sub_mch_id === whose.sub_mch_id);
}

export function accountOf(platform: Platform, appid: string): Account | undefined {
  return platform.store.state.accounts.find((a) => a.appid === appid);
}

/** The user with this openid under this appid; with no appid, under any. */
export function userOf(platform: Platform, openid: string, appid?: string): User | undefined {
  return platform.store.state.users.find((u) =>
    appid === undefined ? Object.values(u.openids).includes(openid) : u.openids[appid] === openid,
  );
}
