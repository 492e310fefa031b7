/**
 * One question for every failed call: do we know what happened? `refused` means WeChat said no and nothing was
 * done; `unknown` means it may have been done, so ask again with the same number. It never guesses `refused`.
 */
import type { Exchange } from './types.ts';

export type Outcome = 'refused' | 'unknown';

export class WechatError extends Error {
  override readonly name = 'WechatError';

  /** By name: Next keeps a copy of a module for pages and one for routes, and both meet in one process. */
  static override [Symbol.hasInstance](thrown: unknown): boolean {
    return thrown instanceof Error && thrown.name === 'WechatError';
  }

  readonly outcome: Outcome;
  /** WeChat's own code (`ORDERPAID`, `PARAM_ERROR`, …) or ours: `NO_ANSWER`, `BAD_ANSWER`, `BAD_SIGNATURE`, `HTTP_502`. */
  readonly code: string;
  readonly exchange: Exchange | undefined;

  constructor(
    outcome: Outcome,
    code: string,
    message: string,
    extra: { exchange?: Exchange | undefined; cause?: unknown } = {},
  ) {
    super(message, extra.cause === undefined ? undefined : { cause: extra.cause });
    this.outcome = outcome;
    this.code = code;
    this.exchange = extra.exchange;
  }
}

/** Why a notification was not believed. `probe` is v3's deliberate wrong signature. */
export type NotificationVerdict =
  | 'malformed'
  | 'bad_signature'
  | 'stale'
  | 'unknown_serial'
  | 'undecryptable'
  | 'probe'
  | 'not_success';

export class NotificationError extends Error {
  override readonly name = 'NotificationError';

  /** By name: Next keeps a copy of a module for pages and one for routes, and both meet in one process. */
  static override [Symbol.hasInstance](thrown: unknown): boolean {
    return thrown instanceof Error && thrown.name === 'NotificationError';
  }

  readonly verdict: NotificationVerdict;

  constructor(verdict: NotificationVerdict, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.verdict = verdict;
  }
}
