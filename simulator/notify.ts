// The sender of notifications: one first attempt, then fifteen more on WeChat's schedule, on the platform's own
// clock, every attempt recorded. It refuses to call any host but this machine unless allowed to.

import * as http from 'node:http';
import * as https from 'node:https';
import type { Struck, Where } from './faults.ts';
import type { Notifier, Platform } from './platform.ts';
import type { Attempt, Notification, Order } from './records.ts';
import { orderKey } from './store.ts';

/** The gaps after each failed attempt, in seconds: 24 h 4 min in all. */
export const RETRY_GAPS_S = [
  15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600,
];
const ANSWER_WITHIN_MS = 5000;
const ANSWER_CAP_BYTES = 64 * 1024;
const MOST_AT_ONCE = 100;

export type Message = {
  headers: Record<string, string>;
  body: string;
  fault: Struck | undefined;
  cut: boolean;
};

/** How one API words a notification, and what it takes for an acknowledgement. */
export type Wording = {
  write(platform: Platform, order: Order, notification: Notification): Message;
  /** Undefined when accepted, else why not. */
  refused(status: number, body: Buffer): string | undefined;
};

/** What a notification is about; the rest of it is the sender's own. */
type Booked = Pick<
  Notification,
  'kind' | 'api' | 'mch_id' | 'out_trade_no' | 'out_refund_no' | 'refund_state' | 'notify_url'
>;

/** Where a notification stands for the table of faults: its address's path, its order. */
export function placeOf(n: Pick<Notification, 'notify_url' | 'out_trade_no'>): Where {
  const path = URL.canParse(n.notify_url) ? new URL(n.notify_url).pathname : '';
  return { path, out_trade_no: n.out_trade_no };
}

/** `platform` is asked for late, since it holds the notifier itself. */
export function createNotifier(
  getPlatform: () => Platform,
  wordings: Record<'v2' | 'v3', Wording | undefined>,
): Notifier {
  const flying = new Map<string, Promise<Attempt[]>>();
  // Idle connections go before an ordinary server would end them, so that none is found dead when it is used.
  const kept = { keepAlive: true, timeout: 2000 };
  const agents = [new http.Agent(kept), new https.Agent(kept)];
  const live = new Set<http.ClientRequest>();
  const queue: (() => void)[] = [];
  let busy = 0;
  let closed = false;

  function all(): Notification[] {
    return Object.values(getPlatform().store.state.notifications);
  }

  /** Pending ones only are kept here, so that a long history costs nothing. */
  let pending: Set<Notification> | undefined;
  function waiting(): Set<Notification> {
    pending ??= new Set(all().filter((n) => n.next_attempt_at_ms !== null));
    return pending;
  }

  function nextDue(): number | null {
    let due: number | null = null;
    for (const n of waiting()) {
      if (n.next_attempt_at_ms === null || flying.has(n.notification_id)) continue;
      if (due === null || n.next_attempt_at_ms < due) due = n.next_attempt_at_ms;
    }
    const refund = getPlatform().refunds.nextDue();
    return refund !== null && (due === null || refund < due) ? refund : due;
  }

  /** Ends the refunds and starts the notifications that are due, in order, and sets the alarm for the rest. */
  function pump(): void {
    if (closed) return;
    const { clock, refunds } = getPlatform();
    refunds.run();
    const now = clock.now();
    const due = [...waiting()]
      .filter((n) => n.next_attempt_at_ms !== null && n.next_attempt_at_ms <= now)
      .sort((a, b) => Number(a.next_attempt_at_ms) - Number(b.next_attempt_at_ms));
    for (const n of due) if (!flying.has(n.notification_id)) void launch(n, true);
    clock.wakeAt(nextDue(), pump);
  }

  function launch(n: Notification, scheduled: boolean): Promise<Attempt[]> {
    const { clock, store } = getPlatform();
    const due_at_ms = scheduled ? (n.next_attempt_at_ms ?? clock.now()) : clock.now();
    const run = attempt(n, due_at_ms)
      .then((made) => {
        n.attempts.push(...made);
        if (made.some((a) => a.accepted)) {
          n.state = 'delivered';
          n.why = '';
          n.next_attempt_at_ms = null;
        } else if (scheduled) {
          n.tries += 1;
          const gap_s = RETRY_GAPS_S[n.tries - 1];
          n.why = made.at(-1)?.why ?? '';
          if (gap_s === undefined) n.state = 'exhausted';
          // Counted from when it was due, so that the published sums hold to the second.
          const from_ms = clock.now() - due_at_ms > 60_000 ? clock.now() : due_at_ms;
          n.next_attempt_at_ms = gap_s === undefined ? null : from_ms + gap_s * 1000;
        }
        if (n.next_attempt_at_ms === null) waiting().delete(n);
        store.touch();
        return made;
      })
      .finally(() => {
        flying.delete(n.notification_id);
        if (!closed) clock.wakeAt(nextDue(), pump);
      });
    flying.set(n.notification_id, run);
    return run;
  }

  async function attempt(n: Notification, due_at_ms: number): Promise<Attempt[]> {
    const platform = getPlatform();
    const order = platform.store.state.orders[orderKey(n.mch_id, n.out_trade_no)];
    const wording = wordings[n.api];
    if (order === undefined || wording === undefined)
      throw new Error(`notification ${n.notification_id} has no order`);
    const copies = platform.faults.take('notify_copies', placeOf(n));
    const message = wording.write(platform, order, n);
    const fault = message.fault ?? copies;
    const one = async (copy: number): Promise<Attempt> => {
      await turn();
      const at_ms = platform.clock.now();
      const started = performance.now();
      const record: Attempt = {
        at_ms,
        due_at_ms,
        copy,
        ...(fault === undefined ? {} : { fault: fault.name }),
        request_headers: message.headers,
        request_body: message.body,
        took_ms: 0,
        accepted: false,
        why: '',
      };
      try {
        const { status, body } = await post(n.notify_url, message);
        record.status = status;
        record.answer = body.toString('utf8');
        record.why = wording.refused(status, body) ?? '';
        record.accepted = record.why === '';
      } catch (cause) {
        record.why = cause instanceof Error ? cause.message : String(cause);
      } finally {
        leave();
      }
      record.took_ms = Math.round(performance.now() - started);
      platform.log.add({
        at_ms,
        kind: 'notify',
        method: 'POST',
        path: n.notify_url,
        request: message.body,
        status: record.status ?? 0,
        answer: record.answer ?? '',
        out_trade_no: n.out_trade_no,
        code: '',
        why: record.why,
        faults: fault === undefined ? [] : [fault.name],
      });
      return record;
    };
    return Promise.all(
      Array.from({ length: Math.max(1, copies?.number('copies') ?? 1) }, (_, i) => one(i + 1)),
    );
  }

  /** At most so many are on the wire; for the others the five seconds have not begun. */
  async function turn(): Promise<void> {
    if (busy < MOST_AT_ONCE) busy += 1;
    else await new Promise<void>((go) => queue.push(go));
  }

  function leave(): void {
    const next = queue.shift();
    if (next === undefined) busy -= 1;
    else next();
  }

  function post(url: string, message: Message): Promise<{ status: number; body: Buffer }> {
    return new Promise((resolve, reject) => {
      const target = new URL(url);
      const body = Buffer.from(message.body, 'utf8');
      const secure = target.protocol === 'https:';
      const request = (secure ? https : http).request(target, {
        method: 'POST',
        agent: secure ? agents[1] : agents[0],
        headers: { ...message.headers, 'Content-Length': String(body.length) },
      });
      const timer = setTimeout(() => {
        request.destroy(new Error(`no answer within ${ANSWER_WITHIN_MS / 1000} seconds`));
      }, ANSWER_WITHIN_MS);
      live.add(request);
      if (closed) request.destroy(new Error('the simulator is closing'));
      const settle = (end: () => void) => {
        clearTimeout(timer);
        live.delete(request);
        end();
      };
      request.on('error', (cause) => settle(() => reject(cause)));
      request.on('response', (response) => {
        const parts: Buffer[] = [];
        let size = 0;
        response.on('data', (part: Buffer) => {
          size += part.length;
          if (size > ANSWER_CAP_BYTES) request.destroy(new Error('the answer is larger than 64 KiB'));
          parts.push(part);
        });
        response.on('error', (cause) => settle(() => reject(cause)));
        response.on('end', () =>
          settle(() => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) })),
        );
      });
      if (!message.cut) {
        request.end(body);
        return;
      }
      request.write(body.subarray(0, Math.floor(body.length / 2)), () => {
        request.destroy(new Error('cut in the middle on purpose'));
      });
    });
  }

  /** Puts a notification on the schedule; the first attempt starts at once. */
  function book(what: Booked): Notification {
    const platform = getPlatform();
    const now = platform.clock.now();
    const where = placeOf(what);
    const barred = whyBarred(what.notify_url, platform.allow_any_notify_host);
    const never = barred === undefined ? platform.faults.take('notify_never', where) : undefined;
    const late = barred === undefined && !never ? platform.faults.take('notify_late', where) : undefined;
    const silent = barred !== undefined || never !== undefined;
    const n: Notification = {
      notification_id: String(platform.store.number()),
      ...what,
      request_id: platform.ids.requestId(),
      nonce_str: platform.ids.nonce(),
      made_at_ms: now,
      state: barred !== undefined ? 'undeliverable' : never !== undefined ? 'withheld' : 'pending',
      why: barred ?? (never === undefined ? '' : `the fault ${never.name}`),
      tries: 0,
      next_attempt_at_ms: silent ? null : now + (late?.number('delay_s') ?? 0) * 1000,
      attempts: [],
    };
    const set = waiting();
    platform.store.state.notifications[n.notification_id] = n;
    if (!silent) set.add(n);
    platform.store.touch();
    pump();
    return n;
  }

  return {
    paid: (order) =>
      book({
        kind: 'payment',
        api: order.api,
        mch_id: order.mch_id,
        out_trade_no: order.out_trade_no,
        notify_url: order.notify_url,
      }),
    refunded: (order, refund) =>
      book({
        kind: 'refund',
        api: refund.notify_api,
        mch_id: order.mch_id,
        out_trade_no: order.out_trade_no,
        out_refund_no: refund.out_refund_no,
        refund_state: refund.state,
        notify_url: refund.notify_url,
      }),
    all,
    pump,
    async redeliver(n: Notification): Promise<Attempt[]> {
      const running = flying.get(n.notification_id);
      if (running !== undefined) await running;
      return launch(n, false);
    },
    async settle(): Promise<void> {
      pump();
      while (flying.size > 0) {
        await Promise.all(flying.values());
        pump();
      }
    },
    async settleOrder(order: Order): Promise<void> {
      for (const n of all()) {
        if (n.mch_id === order.mch_id && n.out_trade_no === order.out_trade_no)
          await flying.get(n.notification_id);
      }
    },
    async advance(duration_ms: number): Promise<void> {
      const { clock, store } = getPlatform();
      const target_ms = clock.now() + duration_ms;
      await this.settle();
      for (;;) {
        const due = nextDue();
        if (due === null || due > target_ms) break;
        clock.jumpTo(due);
        await this.settle();
      }
      clock.jumpTo(target_ms);
      store.touch();
      pump();
    },
    forget(): void {
      pending = undefined;
      getPlatform().refunds.forget();
      pump();
    },
    async close(): Promise<void> {
      closed = true;
      for (const request of live) request.destroy(new Error('the simulator is closing'));
      await Promise.allSettled(flying.values());
      for (const agent of agents) agent.destroy();
    },
  };
}

/** Why a notify_url is not called, or undefined when it may be. */
export function whyBarred(url: string, allow_any: boolean): string | undefined {
  if (allow_any) return undefined;
  const { hostname } = new URL(url);
  if (hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname))
    return undefined;
  return `${hostname} is not this machine: the simulator calls only 127.0.0.1, localhost and [::1] unless started with --allow-any-notify-host`;
}
