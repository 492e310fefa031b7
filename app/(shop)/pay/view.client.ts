/**
 * What the pay page says in each of its states: one table, read by the server for the first picture and by the
 * page's script for every later one, so that the two cannot disagree. It decides no state of an order.
 */
import { formatFen } from '../../../lib/money.ts';
import type { OrderState, PageState } from '../../../lib/states.ts';
import type { Moments } from '../../../lib/words.ts';
import { fill } from '../fill.client.ts';

/** The order as the server last told it. */
export interface Facts {
  state: OrderState;
  expired: boolean;
  total_fen: number;
  refunded_fen: number;
  surplus_fen: number;
}

/** Where the page is open: decided on the server by the User-Agent. */
export type Place = 'wechat' | 'wechat_desktop' | 'mini_program' | 'phone' | 'desktop';

/** What a web page can begin: in WeChat, by a code on a desktop, in a phone's other browser. */
export type PageWay = 'JSAPI' | 'NATIVE' | 'MWEB';

/** Everything the script needs, embedded in the page as JSON. */
export interface PayData {
  order_no: string;
  place: Place;
  facts: Facts;
  /** How the page itself pays; absent where it can only show the way to WeChat. */
  way?: PageWay;
  /** Inside WeChat: the JS-SDK instead of the bridge. */
  js_sdk?: boolean;
  /** The payer was sent back here by WeChat's H5 page, paid or not. */
  returned?: boolean;
  /** The way of the trade that is open: WeChat may know more than we do, so the page asks once on arrival. */
  open_way: string | null;
  expires_in_ms: number;
  language: string;
  words: Moments;
}

/** The state of a page that has not done anything yet. */
export function firstState(
  place: Place,
  { state, expired, refunded_fen }: Facts,
  { way, returned }: Pick<PayData, 'way' | 'returned'> = {},
): PageState {
  if (state === 'REFUND' || (state === 'SUCCESS' && refunded_fen > 0)) return 'refunded';
  if (state === 'SUCCESS') return 'paid';
  if (state === 'CLOSED') return 'closed';
  if (expired) return 'expired';
  if (way === 'MWEB') return returned === true ? 'returned' : 'ready';
  return place === 'wechat' || place === 'wechat_desktop' ? 'waiting_for_bridge' : 'watching';
}

export interface View {
  title: string;
  text: string;
  note: string;
  /** Label of the pay button; CSS hides the button where a state has none. */
  button: string;
}

/** The words of a state. `problem` replaces the text where something exact is known of a failure. */
export function describe(state: PageState, facts: Facts, words: Moments, problem = ''): View {
  const amount = formatFen(facts.total_fen);
  const refunded = formatFen(facts.refunded_fen);
  const pay = fill(words.pay, { amount });
  const again = fill(words.pay_again, { amount });
  const note = facts.surplus_fen > 0 ? fill(words.surplus, { surplus: formatFen(facts.surplus_fen) }) : '';
  const view = (title: string, text: string, button = ''): View => ({
    title,
    text: fill(text, { amount, refunded }),
    note,
    button,
  });
  switch (state) {
    case 'waiting_for_bridge':
    case 'ready':
    case 'watching':
      return view('', '', pay);
    case 'no_bridge':
      return view(words.no_bridge_title, words.no_bridge_text, words.retry);
    case 'invoking':
      return view('', '', words.paying);
    case 'returned':
      return view(words.returned_title, words.returned_text, words.returned_again);
    case 'confirming':
      return view(words.confirming_title, words.confirming_text);
    case 'cancelled':
      return view(words.unpaid_title, words.unpaid_text, again);
    case 'failed':
      return view(words.unpaid_title, problem || words.bridge_failed, again);
    case 'still_unknown':
      return view(words.unknown_title, words.unknown_text);
    case 'paid':
      return view(words.paid_title, words.paid_text);
    case 'closed':
      return view(words.closed_title, words.closed_text);
    case 'expired':
      return view(words.expired_title, words.expired_text);
    case 'refunded':
      if (facts.refunded_fen === 0) return view(words.refunding_title, words.refunding_text);
      if (facts.refunded_fen < facts.total_fen) return view(words.part_title, words.part_text);
      return view(words.refunded_title, words.refunded_text);
  }
}
