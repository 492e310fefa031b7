// The bridge script as a page gets it: one file, with its options baked in.

import { readFileSync } from 'node:fs';

const SCRIPT = readFileSync(new URL('./page/bridge.js', import.meta.url), 'utf8');

export type BridgeOptions = Record<string, string | number | boolean>;

/** The script with its options baked in; `base` is where it finds the doors above. */
export function bridgeScript(base: string, options: BridgeOptions): string {
  const baked = JSON.stringify({
    mode: 'sheet',
    ready: '',
    platform: '',
    openid: '',
    ...options,
    base,
  });
  return SCRIPT.replace('/*SIM_OPTIONS*/ {}', () => baked.replaceAll('<', '\\u003c'));
}
