/**
 * Asking the server how an order stands: one question at a time, at the pace the server sets, not while the page
 * is hidden. It keeps no state of the order and shows nothing.
 */
import type { Facts } from './view.client.ts';

export interface Status extends Facts {
  /** When to ask again; null when there is nothing more to ask. */
  next_poll_ms: number | null;
  /** `trade_type` of what can be paid now. */
  open_way: string | null;
}

/** One series of questions. `end` is called when it is over and the order is still unpaid. */
export interface Plan {
  /** `confirm`, `returned`: after a tap, quick, for a minute. `watch`: until the order ends. */
  mode: 'confirm' | 'returned' | 'watch';
  /** Questions of this series so far, answered or not. */
  poll: number;
  limit: number;
  until: number;
  answered: boolean;
  end: (answered: boolean) => void;
}

export interface Polls {
  /** The series under way, if one is. */
  plan: () => Plan | undefined;
  /** Drops what is under way and begins this one. */
  follow: (plan: Plan | undefined) => void;
  /** Asks at once, as after a pause; `anew` gives up an answer that is still awaited. */
  resume: (anew: boolean) => void;
}

const timeout_ms = 8_000;
const confirmTime_ms = 60_000;
const afterMiss_ms = 3_000;

export function confirmPlan(limit: number, end: Plan['end'] = () => undefined): Plan {
  return { mode: 'confirm', poll: 0, limit, until: Date.now() + confirmTime_ms, answered: false, end };
}

export function watchPlan(): Plan {
  const never = Number.POSITIVE_INFINITY;
  return { mode: 'watch', poll: 0, limit: never, until: never, answered: false, end: () => undefined };
}

/** `told` hears every answer and says whether the series goes on. */
export function createPolls(
  address: string,
  language: string,
  told: (status: Status, plan: Plan) => boolean,
): Polls {
  let plan: Plan | undefined;
  let asking: AbortController | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function giveUp(): void {
    clearTimeout(timer);
    asking?.abort();
    asking = undefined;
  }

  function ask(): void {
    clearTimeout(timer);
    const now = plan;
    if (now === undefined || asking !== undefined || document.hidden) return;
    const own = new AbortController();
    asking = own;
    const slow = setTimeout(() => own.abort(), timeout_ms);
    const done = (status?: Status): void => {
      clearTimeout(slow);
      if (asking !== own) return;
      asking = undefined;
      learn(now, status);
    };
    fetch(`${address}?mode=${now.mode}&poll=${now.poll}`, {
      signal: own.signal,
      cache: 'no-store',
      headers: { 'Accept-Language': language },
    })
      .then((answer) => (answer.ok ? (answer.json() as Promise<Status>) : undefined))
      .then(done, () => done());
  }

  function learn(now: Plan, status: Status | undefined): void {
    // What the browser believes of the network may be wrong, so it only decides that a miss does not count.
    if (status === undefined && navigator.onLine === false) {
      timer = setTimeout(ask, afterMiss_ms);
      return;
    }
    now.poll += 1;
    if (status !== undefined) {
      now.answered = true;
      const open = told(status, now);
      if (plan !== now) return;
      if (!open) {
        plan = undefined;
        return;
      }
    }
    const next_ms = status === undefined ? afterMiss_ms : status.next_poll_ms;
    if (next_ms === null || now.poll >= now.limit || Date.now() + next_ms > now.until) {
      plan = undefined;
      now.end(now.answered);
    } else {
      timer = setTimeout(ask, next_ms);
    }
  }

  return {
    plan: () => plan,
    follow(next) {
      giveUp();
      plan = next;
      ask();
    },
    resume(anew) {
      if (anew) giveUp();
      if (plan !== undefined && plan.mode !== 'watch') plan.until = Date.now() + confirmTime_ms;
      ask();
    },
  };
}
