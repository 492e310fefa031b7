/**
 * What the pay page posts to the server, and how an answer, or none, comes back. It knows no state of the page.
 */

/** The answer to a wish to pay, one way or another; `{}` when nothing came or nothing could be read. */
export interface Asked {
  ok: boolean;
  body: {
    out_trade_no?: string;
    jsapi?: {
      timeStamp: string;
      nonceStr: string;
      package: string;
      signType: string;
      paySign: string;
    };
    h5_url?: string;
    code_url?: string;
    code_svg?: string;
    renew_in_ms?: number;
    error?: { code?: string; message?: string; support_id?: string };
  };
}

/** Longer than the server's own patience with WeChat, so that its answer is heard. */
const timeout_ms = 25_000;

export type Post = (door: string, body: unknown, signal?: AbortSignal) => Promise<Response>;

export function createPost(address: string, language: string): Post {
  return (door, body, signal) =>
    fetch(address + door, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Accept-Language': language },
      body: JSON.stringify(body),
      keepalive: signal === undefined,
      ...(signal === undefined ? {} : { signal }),
    });
}

/** Asks to pay this way; calls back once. */
export function askToPay(post: Post, trade_type: string, then: (asked: Asked) => void): void {
  const own = new AbortController();
  const slow = setTimeout(() => own.abort(), timeout_ms);
  const done = (asked: Asked): void => {
    clearTimeout(slow);
    then(asked);
  };
  post('/pay', { trade_type }, own.signal)
    .then((answer) => answer.json().then((body) => ({ ok: answer.ok, body })))
    .then(done, () => done({ ok: false, body: {} }));
}
