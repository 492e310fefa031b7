/**
 * The second way to pay inside WeChat: the JS-SDK's wx.chooseWXPay, for where the bridge never comes. Loads the SDK,
 * has this page's address signed and starts the payment; what it reports is WeChat's word to the page and proves nothing.
 */

/** What `POST /api/orders/…/pay` answers as `jsapi`. */
export interface JsapiParameters {
  timeStamp: string;
  nonceStr: string;
  package: string;
  signType: string;
  paySign: string;
}

export interface JsSdkAnswer {
  outcome: 'ok' | 'cancel' | 'fail';
  /** WeChat's own words, `chooseWXPay:ok`, `config:invalid signature`, or ours where it never came so far. */
  err_msg: string;
}

interface Told {
  errMsg?: string;
}

interface JsSdk {
  config: (settings: Record<string, unknown>) => void;
  ready: (then: () => void) => void;
  error: (then: (told: Told) => void) => void;
  chooseWXPay: (options: Record<string, unknown>) => void;
}

declare global {
  interface Window {
    wx?: JsSdk;
  }
}

/** Until the payment may start: the signature, the script, the check. */
const patience_ms = 10_000;

/** iPhones compare the signature with the address that was loaded, whatever the page has called itself since. */
const loaded_url = location.href;

/** Calls back once; never, where WeChat shows its sheet and does not come back. */
export function payByJsSdk(jsapi: JsapiParameters, done: (answer: JsSdkAnswer) => void): void {
  let ended = false;
  const end = (outcome: JsSdkAnswer['outcome'], err_msg: string): void => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    done({ outcome, err_msg });
  };
  const timer = setTimeout(() => end('fail', 'js_sdk:timeout'), patience_ms);
  const failed = (): void => end('fail', 'js_sdk:not loaded');
  const url = /iPhone|iPad|iPod/.test(navigator.userAgent) ? loaded_url : location.href;
  fetch(`/api/wechat/jssdk?url=${encodeURIComponent(url.split('#')[0] ?? '')}`, { cache: 'no-store' })
    .then((answer) => {
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      return answer.json() as Promise<{ script_url: string } & Record<string, unknown>>;
    })
    .then(({ script_url, ...settings }) => {
      withSdk(script_url, failed, (wx) => {
        if (ended) return;
        wx.error((told) => end('fail', told.errMsg ?? 'config:fail'));
        // Comes after a refusal as well, as the SDK does it.
        wx.ready(() => {
          if (ended) return;
          clearTimeout(timer);
          choose(wx, jsapi, end);
        });
        wx.config({ ...settings, debug: false });
      });
    })
    .catch(failed);
}

function choose(
  wx: JsSdk,
  jsapi: JsapiParameters,
  end: (outcome: JsSdkAnswer['outcome'], err_msg: string) => void,
): void {
  const told = (outcome: JsSdkAnswer['outcome']) => (answer?: Told) =>
    end(outcome, answer?.errMsg ?? `chooseWXPay:${outcome}`);
  wx.chooseWXPay({
    // Spelled with a small s here, and signed with a capital one.
    timestamp: jsapi.timeStamp,
    nonceStr: jsapi.nonceStr,
    package: jsapi.package,
    signType: jsapi.signType,
    paySign: jsapi.paySign,
    success: told('ok'),
    cancel: told('cancel'),
    fail: told('fail'),
  });
}

function withSdk(script_url: string, failed: () => void, then: (wx: JsSdk) => void): void {
  if (window.wx !== undefined) {
    then(window.wx);
    return;
  }
  const script = document.createElement('script');
  script.src = script_url;
  script.onload = () => {
    if (window.wx === undefined) failed();
    else then(window.wx);
  };
  script.onerror = () => {
    script.remove();
    failed();
  };
  document.head.appendChild(script);
}
