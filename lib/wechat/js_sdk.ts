/**
 * The signature of `wx.config`, for pages that use the JS-SDK. Paying by the bridge does not need it. Fetches and
 * caches nothing: the ticket comes in.
 *
 * Source: WeChat Official Accounts, JS-SDK 说明文档, 附录1.
 */
import { hash } from 'node:crypto';
import type { Ports } from './types.ts';

export interface JsSdkConfig {
  appId: string;
  /** Seconds. */
  timestamp: number;
  nonceStr: string;
  signature: string;
}

/** Signs the page's full address as its browser has it; from `#` on it does not count. */
export function signJsSdk(parts: {
  jsapi_ticket: string;
  noncestr: string;
  timestamp: number;
  url: string;
}): string {
  const url = parts.url.split('#', 1)[0];
  return hash(
    'sha1',
    `jsapi_ticket=${parts.jsapi_ticket}&noncestr=${parts.noncestr}&timestamp=${parts.timestamp}&url=${url}`,
    'hex',
  );
}

/** What the page hands to `wx.config`, but for `jsApiList`. */
export function jsSdkConfig(
  page: { appid: string; jsapi_ticket: string; url: string },
  ports: Pick<Ports, 'now' | 'nonce'>,
): JsSdkConfig {
  const timestamp = Math.floor(ports.now().getTime() / 1000);
  const noncestr = ports.nonce(16);
  return {
    appId: page.appid,
    timestamp,
    nonceStr: noncestr,
    signature: signJsSdk({ jsapi_ticket: page.jsapi_ticket, noncestr, timestamp, url: page.url }),
  };
}
