/** What the simulator saw, heard and did: its log and its notifications, typed as far as the tests read them. */
import type { Counter } from './counter.ts';

export interface SeenCall {
  path: string;
  request: string;
  status: number;
  code: string;
  why: string;
  faults: string[];
}

/** The calls of one trade, oldest first; `path` narrows them to one door. */
export async function callsOf(
  counter: Counter,
  out_trade_no: string,
  path: '' | '/pay/unifiedorder' | '/pay/orderquery' | '/pay/closeorder' = '',
): Promise<SeenCall[]> {
  const query = new URLSearchParams({ out_trade_no, path, limit: '1000' });
  const { entries } = await counter.control<{ entries: (SeenCall & { kind: string })[] }>(`log?${query}`);
  return entries.filter(({ kind }) => kind === 'call');
}

export interface SeenAttempt {
  status?: number;
  answer?: string;
  accepted: boolean;
  why: string;
  fault?: string;
  request_headers: Record<string, string>;
  request_body: string;
}

export interface SeenNotification {
  notification_id: string;
  state: 'pending' | 'delivered' | 'exhausted' | 'withheld' | 'undeliverable';
  attempts: SeenAttempt[];
}

export async function notificationsOf(counter: Counter, out_trade_no: string): Promise<SeenNotification[]> {
  const { notifications } = await counter.control<{ notifications: SeenNotification[] }>(
    `notifications?out_trade_no=${out_trade_no}`,
  );
  return notifications;
}

/** The trade's notification once its first attempt is over. */
export async function attempted(counter: Counter, out_trade_no: string): Promise<SeenNotification> {
  for (let look = 0; look < 200; look += 1) {
    const [found] = await notificationsOf(counter, out_trade_no);
    if (found !== undefined && found.attempts.length > 0) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`no notification of ${out_trade_no} was attempted within two seconds`);
}
