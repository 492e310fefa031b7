/**
 * The pay page's behaviour: one small script without a framework, inlined into the page, so that a shopper can pay
 * before anything else has loaded. It believes neither the bridge nor itself: what it shows as an outcome is what
 * the server said last. It writes only into regions that React leaves alone.
 */
import type { PageState } from '../../../lib/states.ts';
import { fill } from '../fill.client.ts';
import { confirmPlan, createPolls, type Status, watchPlan } from './poll.client.ts';
import { describe, type Facts, firstState, type PayData } from './view.client.ts';

interface Bridge {
  invoke: (name: string, parameters: unknown, callback: (result?: { err_msg?: string }) => void) => void;
}

declare global {
  interface Window {
    WeixinJSBridge?: Bridge;
    __wxjs_environment?: string;
  }
}

const bridgePatience_ms = 3_000;
/** Longer than the server's own patience with WeChat, so that its answer is heard. */
const payTimeout_ms = 25_000;
/** A callback may never come; from here on the server is asked quietly, then the shopper may ask. */
const quietAfter_ms = 5_000;
const slowAfter_ms = 15_000;
/** Checks after a cancel or a failure before the page calls the order unpaid. */
const briefly = 3;

const idle: readonly PageState[] = [
  'waiting_for_bridge',
  'ready',
  'no_bridge',
  'watching',
  'cancelled',
  'failed',
];
/** Answers to a tap: their heading takes the focus that the hidden button lost. */
const spoken: readonly PageState[] = ['cancelled', 'failed', 'still_unknown'];
const final: readonly PageState[] = ['paid', 'closed', 'expired', 'refunded'];

const byId = (id: string): HTMLElement | null => document.getElementById(id);

function begin(data: PayData): void {
  const { order_no, place, words } = data;
  const address = `/api/orders/${order_no}`;
  let facts: Facts = data.facts;
  let shown = firstState(place, facts);
  let busy = false;
  let turn = 0;
  /** What an unpaid order is called after the question under way, and how long to ask. */
  let after: PageState = 'cancelled';
  let problem = '';
  const polls = createPolls(address, data.language, told);
  const { follow } = polls;
  const waiting: ((bridge?: Bridge) => void)[] = [];

  function show(state: PageState): void {
    const root = byId('pay');
    if (root === null) return;
    const changed = state !== shown;
    shown = state;
    const view = describe(state, facts, words, problem);
    root.setAttribute('data-state', state);
    root.removeAttribute('data-slow');
    for (const part of ['title', 'text', 'note'] as const) {
      const region = byId(`pay-${part}`);
      if (region !== null && region.textContent !== view[part]) region.textContent = view[part];
    }
    const button = byId('pay-button') as HTMLButtonElement | null;
    if (button !== null) {
      button.disabled = state === 'invoking';
      if (view.button !== '') button.textContent = view.button;
    }
    if (!changed) return;
    if (final.indexOf(state) >= 0) arrive(state);
    else if (spoken.indexOf(state) >= 0) byId('pay-title')?.focus();
    if (place === 'wechat_desktop' && idle.indexOf(state) >= 0) follow(watchPlan());
  }

  /** The end of this order for the page: nothing payable is left behind, here or in the shop. */
  function arrive(state: PageState): void {
    busy = false;
    byId('pay-title')?.focus();
    history.replaceState(history.state, '', location.pathname + location.search);
    forgetCheckout(state);
    // A trade begun in the last second may still be paid; once more for a minute, without a word.
    if (state === 'expired' && polls.plan() === undefined) follow(confirmPlan(99));
  }

  function forgetCheckout(state: PageState): void {
    try {
      const kept = JSON.parse(sessionStorage.getItem('guitai_checkout') ?? '{}') as { order_no?: string };
      if (kept.order_no !== order_no) return;
      if (state === 'paid' || state === 'refunded') sessionStorage.removeItem('guitai_checkout');
      else
        sessionStorage.setItem(
          'guitai_checkout',
          JSON.stringify({ ...kept, key: undefined, order_no: undefined }),
        );
    } catch {
      // Without storage there is no checkout to forget.
    }
  }

  /** Hears each answer of the server; tells whether there is more to ask. */
  function told(status: Status, { mode }: { mode: string }): boolean {
    facts = status;
    const expired = status.state === 'NOTPAY' && status.expired && idle.indexOf(shown) >= 0;
    const over = status.state !== 'NOTPAY' || (expired && mode === 'confirm');
    if (over) follow(undefined);
    if (over || expired) show(firstState(place, facts));
    return !over;
  }

  /** Asks the server before anything is called unpaid. */
  function confirmThen(state: PageState, limit: number): void {
    after = state;
    show('confirming');
    follow(
      confirmPlan(limit, (answered) => {
        busy = false;
        if (!answered || state === 'still_unknown') show('still_unknown');
        else show(facts.expired ? 'expired' : state);
      }),
    );
  }

  function fail(text: string): void {
    busy = false;
    problem = text;
    show('failed');
  }

  /** Calls back once: with the bridge as soon as it is there, with nothing when patience is over. */
  function whenBridge(then: (bridge?: Bridge) => void): void {
    if (window.WeixinJSBridge) {
      then(window.WeixinJSBridge);
      return;
    }
    let called = false;
    const once = (bridge?: Bridge): void => {
      if (called) return;
      called = true;
      then(bridge);
    };
    waiting.push(once);
    setTimeout(() => once(window.WeixinJSBridge), bridgePatience_ms);
  }

  function tap(): void {
    if (busy) return;
    if (window.__wxjs_environment === 'miniprogram') {
      fail(words.mini_text);
      return;
    }
    busy = true;
    problem = '';
    turn += 1;
    const mine = turn;
    follow(undefined);
    show('invoking');
    whenBridge((bridge) => {
      if (mine !== turn || !busy) return;
      if (bridge === undefined) {
        busy = false;
        show('no_bridge');
      } else {
        order(bridge, mine);
      }
    });
  }

  function order(bridge: Bridge, mine: number): void {
    const own = new AbortController();
    const slow = setTimeout(() => own.abort(), payTimeout_ms);
    post('/pay', { trade_type: 'JSAPI' }, own.signal)
      .then((answer) => answer.json().then((body) => ({ ok: answer.ok, body })))
      .then(
        ({ ok, body }) => {
          clearTimeout(slow);
          if (mine !== turn || !busy) return;
          if (ok) invoke(bridge, body, mine);
          else refused(body.error ?? {});
        },
        () => {
          clearTimeout(slow);
          if (mine === turn && busy) fail(words.network);
        },
      );
  }

  function refused({
    code,
    message,
    support_id,
  }: {
    code?: string;
    message?: string;
    support_id?: string;
  }): void {
    // Who is looking has changed; the server draws another page for them.
    if (code === 'openid_required' || code === 'other_payer' || code === 'not_found') {
      location.reload();
      return;
    }
    const support = support_id === undefined ? '' : `\n${fill(words.support, { id: support_id })}`;
    const text = (message ?? words.network) + support;
    if (code === 'order_paid' || code === 'order_closed' || code === 'order_expired') {
      problem = text;
      confirmThen('failed', briefly);
    } else {
      fail(text);
    }
  }

  function invoke(bridge: Bridge, started: { out_trade_no: string; jsapi: unknown }, mine: number): void {
    let heard = false;
    const hear = (said: string): void => {
      // Some versions call back once before the real result.
      if (heard || /^pre_verify/.test(said)) return;
      heard = true;
      post('/bridge', { out_trade_no: started.out_trade_no, err_msg: said.slice(0, 200) || 'none' }).catch(
        () => undefined,
      );
      if (mine !== turn || !busy) {
        if (polls.plan() === undefined && final.indexOf(shown) < 0) quietly();
      } else if (/:ok$/.test(said)) {
        confirmThen('still_unknown', 99);
      } else if (/:cancel$/.test(said)) {
        confirmThen('cancelled', briefly);
      } else {
        const reason = /denied|permission|verifying/.test(said) ? words.denied : words.bridge_failed;
        problem = `${reason}\n${fill(words.support, { id: started.out_trade_no })}`;
        confirmThen('failed', briefly);
      }
    };
    const still = (then: () => void) => () => {
      if (mine === turn && shown === 'invoking' && !heard) then();
    };
    setTimeout(
      still(() => follow(watchPlan())),
      quietAfter_ms,
    );
    setTimeout(
      still(() => byId('pay')?.setAttribute('data-slow', '')),
      slowAfter_ms,
    );
    try {
      bridge.invoke('getBrandWCPayRequest', started.jsapi, (result) => hear(result?.err_msg ?? ''));
    } catch (thrown) {
      hear(`threw: ${thrown}`);
    }
  }

  function post(door: string, body: unknown, signal?: AbortSignal): Promise<Response> {
    return fetch(address + door, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Accept-Language': data.language },
      body: JSON.stringify(body),
      keepalive: signal === undefined,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** One question that changes nothing unless the order has moved. */
  function quietly(): void {
    follow(confirmPlan(1));
  }

  function wake(returned: boolean): void {
    if (document.hidden) return;
    if (returned && shown === 'invoking') {
      // Back from the page cache: what was in flight belongs to another life.
      turn += 1;
      confirmThen('cancelled', briefly);
    } else if (polls.plan() !== undefined) {
      polls.resume(returned);
    } else if (shown === 'invoking') {
      follow(watchPlan());
    } else if (shown === 'still_unknown' || idle.indexOf(shown) >= 0) {
      quietly();
    }
  }

  function refresh(): void {
    turn += 1;
    if (shown === 'still_unknown') confirmThen(after, after === 'still_unknown' ? 1 : briefly);
    else confirmThen('cancelled', briefly);
  }

  function copy(): void {
    const link = byId('pay-link') as HTMLInputElement | null;
    const button = byId('pay-copy');
    if (link === null || button === null) return;
    const tell = (copied: boolean): void => {
      button.textContent = copied ? words.copied : words.copy_by_hand;
    };
    const byHand = (): void => {
      link.focus();
      link.select();
      tell(document.execCommand('copy'));
    };
    if (navigator.clipboard) navigator.clipboard.writeText(link.value).then(() => tell(true), byHand);
    else byHand();
  }

  function connection(): void {
    const root = byId('pay');
    if (navigator.onLine === false) root?.setAttribute('data-offline', '');
    else {
      root?.removeAttribute('data-offline');
      wake(false);
    }
  }

  document.addEventListener('click', (event) => {
    const target = event.target instanceof Element ? event.target.closest('button') : null;
    if (target === null) return;
    if (target.id === 'pay-button') tap();
    else if (target.id === 'pay-refresh') refresh();
    else if (target.id === 'pay-copy') copy();
  });
  document.addEventListener('WeixinJSBridgeReady', () => {
    const bridge = window.WeixinJSBridge;
    if (bridge === undefined) return;
    for (const then of waiting.splice(0)) then(bridge);
    if (shown === 'no_bridge' || shown === 'waiting_for_bridge') show('ready');
  });
  document.addEventListener('visibilitychange', () => wake(false));
  window.addEventListener('pageshow', (event) => {
    if (event.persisted) wake(true);
  });
  window.addEventListener('online', connection);
  window.addEventListener('offline', connection);
  if (navigator.onLine === false) connection();

  if (final.indexOf(shown) >= 0) {
    forgetCheckout(shown);
    if (shown === 'expired') follow(place === 'wechat' ? confirmPlan(99) : watchPlan());
    return;
  }
  setTimeout(
    () => {
      if (idle.indexOf(shown) >= 0) wake(false);
    },
    Math.min(data.expires_in_ms + 500, 2_147_483_647),
  );
  if (shown === 'watching') {
    follow(watchPlan());
    return;
  }
  whenBridge((bridge) => {
    if (shown === 'waiting_for_bridge') show(bridge === undefined ? 'no_bridge' : 'ready');
  });
  if (place === 'wechat_desktop') follow(watchPlan());
  else if (data.open_trade) quietly();
}

const source = byId('pay-data');
if (source?.textContent) begin(JSON.parse(source.textContent) as PayData);
