/**
 * The pay page's behaviour: one small script without a framework, inlined into the page, so that a shopper can pay
 * before anything else has loaded. It believes neither the bridge nor itself: what it shows as an outcome is what
 * the server said last. It writes only into regions that React leaves alone.
 */
import type { PageState } from '../../../lib/states.ts';
import { fill } from '../fill.client.ts';
import { type Asked, askToPay, createPost } from './ask.client.ts';
import { createCashier, notBegun, visit } from './bridge.client.ts';
import { createCode } from './code.client.ts';
import { copyLink, forgetCheckout, watchConnection } from './leftovers.client.ts';
import { confirmPlan, createPolls, type Plan, type Status, watchPlan } from './poll.client.ts';
import { describe, type Facts, firstState, type PayData } from './view.client.ts';

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
  'returned',
  'cancelled',
  'failed',
];
/** Answers to a tap: their heading takes the focus that the hidden button lost. */
const spoken: readonly PageState[] = ['returned', 'cancelled', 'failed', 'still_unknown'];
const final: readonly PageState[] = ['paid', 'closed', 'expired', 'refunded'];

const byId = (id: string): HTMLElement | null => document.getElementById(id);

function begin(data: PayData): void {
  const { order_no, place, way, words } = data;
  const address = `/api/orders/${order_no}`;
  const post = createPost(address, data.language);
  let facts: Facts = data.facts;
  let shown = firstState(place, facts, data);
  let busy = false;
  let turn = 0;
  /** What an unpaid order is called after the question under way, and how long to ask. */
  let after: PageState = 'cancelled';
  let problem = '';
  const polls = createPolls(address, data.language, told);
  const { follow } = polls;
  const cashier = createCashier(data.js_sdk === true, () => {
    if (shown === 'no_bridge' || shown === 'waiting_for_bridge') show('ready');
  });
  const code = createCode(
    (then) => askToPay(post, 'NATIVE', then),
    words.network,
    () => follow(watchPlan()),
  );

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
    forgetCheckout(order_no, state);
    // A trade begun in the last second may still be paid; once more for a minute, without a word.
    if (state === 'expired' && polls.plan() === undefined) follow(asking(99));
  }

  /** In a browser outside WeChat, whoever comes back says that he may have paid. */
  function asking(limit: number, end?: Plan['end']): Plan {
    return { ...confirmPlan(limit, end), mode: way === 'MWEB' ? 'returned' : 'confirm' };
  }

  /** Hears each answer of the server; tells whether there is more to ask. */
  function told(status: Status, { mode }: Plan): boolean {
    facts = status;
    const expired = status.state === 'NOTPAY' && status.expired && idle.indexOf(shown) >= 0;
    const over = status.state !== 'NOTPAY' || (expired && mode !== 'watch');
    if (over) follow(undefined);
    if (over || expired) show(firstState(place, facts, data));
    else code.told(status.open_way);
    return !over;
  }

  /** Asks the server before anything is called unpaid. */
  function confirmThen(state: PageState, limit: number): void {
    after = state;
    show('confirming');
    follow(
      asking(limit, (answered) => {
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

  function tap(): void {
    if (busy) return;
    if (shown === 'returned') {
      confirmThen('cancelled', briefly);
      return;
    }
    if (window.__wxjs_environment === 'miniprogram') {
      fail(words.mini_text);
      return;
    }
    busy = true;
    problem = '';
    turn += 1;
    const mine = turn;
    const current = (then: () => void) => () => {
      if (mine === turn && busy) then();
    };
    follow(undefined);
    show('invoking');
    if (way === 'MWEB') order(mine);
    else cashier.ready(current(() => order(mine)));
  }

  function order(mine: number): void {
    askToPay(post, way ?? 'JSAPI', ({ ok, body }) => {
      if (mine !== turn || !busy) return;
      if (!ok) refused(body.error ?? {});
      // The page's own origin goes along as Referer, which WeChat's page insists on.
      else if (body.h5_url) location.href = body.h5_url;
      else invoke(body, mine);
    });
  }

  function refused({ code: reason, message, support_id }: NonNullable<Asked['body']['error']>): void {
    // Who is looking has changed; the server draws another page for them.
    if (reason === 'openid_required' || reason === 'other_payer' || reason === 'not_found') {
      location.reload();
      return;
    }
    const support = support_id === undefined ? '' : `\n${fill(words.support, { id: support_id })}`;
    const text = (message ?? words.network) + support;
    if (reason === 'order_paid' || reason === 'order_closed' || reason === 'order_expired') {
      problem = text;
      confirmThen('failed', briefly);
    } else {
      fail(text);
    }
  }

  function invoke({ out_trade_no = '', jsapi }: Asked['body'], mine: number): void {
    if (jsapi === undefined) {
      fail(words.network);
      return;
    }
    let heard = false;
    const hear = (said: string, why?: string): void => {
      // Some versions call back once before the real result.
      if (heard || /^pre_verify/.test(said)) return;
      heard = true;
      const err_msg = (why ? `${said} ${why}` : said).slice(0, 200) || 'none';
      post('/bridge', { out_trade_no, err_msg, ...visit() }).catch(() => undefined);
      if (mine !== turn || !busy) {
        if (polls.plan() === undefined && final.indexOf(shown) < 0) quietly();
      } else if (/:ok$/.test(said)) {
        confirmThen('still_unknown', 99);
      } else if (/:cancel$/.test(said)) {
        confirmThen('cancelled', briefly);
      } else if (notBegun.test(said)) {
        busy = false;
        show('no_bridge');
      } else {
        const reason = /denied|permission|verifying/.test(said) ? words.denied : words.bridge_failed;
        problem = `${reason}\n${fill(words.support, { id: out_trade_no })}`;
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
    cashier.pay(jsapi, hear);
  }

  /** One question that changes nothing unless the order has moved. */
  function quietly(): void {
    follow(asking(1));
  }

  function wake(returned: boolean): void {
    if (document.hidden) return;
    if (shown === 'invoking' && way === 'MWEB') {
      // Back from WeChat's page: only the payer knows whether he has paid, and only the server decides.
      turn += 1;
      busy = false;
      show('returned');
    } else if (returned && shown === 'invoking') {
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

  const taps: Record<string, () => void> = {
    'pay-button': tap,
    'pay-refresh': refresh,
    'pay-done': () => confirmThen('still_unknown', 99),
    'pay-code-again': code.begin,
    'pay-copy': () => copyLink(words),
  };
  document.addEventListener('click', (event) => {
    const target = event.target instanceof Element ? event.target.closest('button') : null;
    if (target !== null) taps[target.id]?.();
  });
  document.addEventListener('visibilitychange', () => wake(false));
  window.addEventListener('pageshow', (event) => {
    if (event.persisted) wake(true);
  });
  watchConnection(() => wake(false));

  if (final.indexOf(shown) >= 0) {
    forgetCheckout(order_no, shown);
    if (shown === 'expired') follow(place === 'wechat' ? asking(99) : watchPlan());
    return;
  }
  setTimeout(
    () => {
      if (idle.indexOf(shown) >= 0) wake(false);
    },
    Math.min(data.expires_in_ms + 500, 2_147_483_647),
  );
  if (shown === 'watching') {
    // An order that is being paid another way is not taken over by opening a page.
    if (way === 'NATIVE' && (!data.open_way || data.open_way === way)) code.begin();
    else {
      if (way === 'NATIVE') byId('pay')?.setAttribute('data-code', 'replaced');
      follow(watchPlan());
    }
    return;
  }
  if (way !== 'MWEB') {
    cashier.ready((found) => {
      if (shown === 'waiting_for_bridge') show(found ? 'ready' : 'no_bridge');
    });
  }
  if (place === 'wechat_desktop') follow(watchPlan());
  else if (data.open_way) quietly();
}

const source = byId('pay-data');
if (source?.textContent) begin(JSON.parse(source.textContent) as PayData);
