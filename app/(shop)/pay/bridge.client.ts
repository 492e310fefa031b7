/**
 * The two ways a page inside WeChat reaches the cashier: WeChat's own bridge, and the JS-SDK where the bridge never
 * comes or the shop prefers it. What either reports is WeChat's word to the page and proves nothing.
 */
import { type JsapiParameters, payByJsSdk } from './js_sdk.client.ts';

interface Invocable {
  invoke: (
    name: string,
    parameters: unknown,
    callback: (result?: { err_msg?: string; err_desc?: string }) => void,
  ) => void;
}

declare global {
  interface Window {
    WeixinJSBridge?: Invocable;
    __wxjs_environment?: string;
  }
}

const patience_ms = 3_000;

/** What `hear` is told when neither way could even begin. */
export const notBegun = /^(js_sdk|config):/;

export interface Cashier {
  /** Calls back once: with true as soon as a way is there, with false when patience with the bridge is over. */
  ready: (then: (found: boolean) => void) => void;
  /** Opens the cashier; `hear` gets WeChat's words and sometimes its reason, perhaps more than once, perhaps never. */
  pay: (jsapi: JsapiParameters, hear: (said: string, why?: string) => void) => void;
}

/** Which page was loaded, and which one asks: WeChat judges the one on an iPhone, the other on Android. */
export function visit(): { first_url: string; current_url: string } {
  const current_url = location.href.slice(0, 2_048);
  const [loaded] = performance.getEntriesByType('navigation');
  return { first_url: loaded?.name.slice(0, 2_048) ?? current_url, current_url };
}

/** `appeared` is called when the bridge comes, however late. */
export function createCashier(js_sdk_only: boolean, appeared: () => void): Cashier {
  const waiting: (() => void)[] = [];
  const present = (): boolean => js_sdk_only || window.WeixinJSBridge !== undefined;
  document.addEventListener('WeixinJSBridgeReady', () => {
    if (!present()) return;
    for (const then of waiting.splice(0)) then();
    appeared();
  });
  return {
    ready(then) {
      if (present()) {
        then(true);
        return;
      }
      let called = false;
      const once = (): void => {
        if (called) return;
        called = true;
        then(present());
      };
      waiting.push(once);
      setTimeout(once, patience_ms);
    },
    pay(jsapi, hear) {
      const bridge = window.WeixinJSBridge;
      if (js_sdk_only || bridge === undefined) {
        payByJsSdk(jsapi, ({ err_msg }) => hear(err_msg));
        return;
      }
      try {
        bridge.invoke('getBrandWCPayRequest', jsapi, (result) =>
          hear(result?.err_msg ?? '', result?.err_desc),
        );
      } catch (thrown) {
        hear(`threw: ${thrown}`);
      }
    },
  };
}
