/**
 * The settings that say how people may pay: opened products, the accounts of mini-program and APP, the keys of APP
 * servers. Shapes only; the table they stand in, and reading the environment, is the business of `config.ts`.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';

/** WeChat's products by the name a trade has; a mini-program's is JSAPI there, and a product of its own here. */
export const products = ['JSAPI', 'NATIVE', 'MWEB', 'APP', 'MINIPROGRAM', 'MICROPAY', 'FACEPAY'] as const;
export type Product = (typeof products)[number];

const list = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

export const productList = z
  .string()
  .default('JSAPI')
  .transform(list)
  .pipe(
    z.array(z.enum(products, `some of ${products.join(', ')}, with commas between`)).min(1, 'at least one'),
  );

/** A server that may order for its APP's users. Only the key's hash is kept. */
export interface AppClient {
  name: string;
  key_sha256: Buffer;
}

const appKey = /^([a-z0-9-]{1,32}):([A-Za-z0-9_-]{32,128})$/;

/** `name:key,name:key`; one name may have two keys while the key is changed. */
export const appClients = z
  .string()
  .transform((text, issues): AppClient[] => {
    const clients = list(text).flatMap((part) => {
      const [, name, key] = appKey.exec(part) ?? [];
      if (name === undefined || key === undefined) return [];
      return [{ name, key_sha256: createHash('sha256').update(key).digest() }];
    });
    if (clients.length > 0 && clients.length === list(text).length) return clients;
    issues.addIssue({ code: 'custom', message: 'name:key, the key of 32 to 128 letters, digits, _ or -' });
    return z.NEVER;
  })
  .optional();

interface WaySettings {
  WECHAT_PRODUCTS?: readonly Product[];
  WECHAT_MINI_APPID?: string | undefined;
  WECHAT_MINI_SECRET?: string | undefined;
  WECHAT_APP_APPID?: string | undefined;
  APP_API_KEYS?: readonly AppClient[] | undefined;
  RED_PACKET_DAILY_LIMIT_FEN?: number;
  WECHAT_SUB_MERCHANTS?: readonly unknown[] | undefined;
  WECHAT_API_V2_KEY?: string | undefined;
  WECHAT_MERCHANT_CERTIFICATE?: string | undefined;
  WECHAT_MERCHANT_KEY?: string | undefined;
}

/** What an opened product needs beside itself. */
export function checkWays(
  config: WaySettings,
  fault: (setting: keyof WaySettings, text: string) => void,
): void {
  const needed = {
    MINIPROGRAM: ['WECHAT_MINI_APPID', 'WECHAT_MINI_SECRET'],
    APP: ['WECHAT_APP_APPID', 'APP_API_KEYS'],
  } as const;
  for (const product of ['MINIPROGRAM', 'APP'] as const) {
    if (config.WECHAT_PRODUCTS?.includes(product) !== true) continue;
    for (const name of needed[product]) {
      if (config[name] === undefined)
        fault(name, `is missing; WECHAT_PRODUCTS opens ${product}, which needs it`);
    }
  }
  // Whoever charges at a counter must be able to reverse, and reversals and red packets want the certificate.
  const at_counter = config.WECHAT_PRODUCTS?.find((each) => each === 'MICROPAY' || each === 'FACEPAY');
  const packets = (config.RED_PACKET_DAILY_LIMIT_FEN ?? 0) > 0;
  const wants =
    at_counter === undefined
      ? packets
        ? 'RED_PACKET_DAILY_LIMIT_FEN'
        : undefined
      : `WECHAT_PRODUCTS ${at_counter}`;
  for (const name of ['WECHAT_API_V2_KEY', 'WECHAT_MERCHANT_CERTIFICATE', 'WECHAT_MERCHANT_KEY'] as const) {
    if (wants !== undefined && config[name] === undefined) fault(name, `is missing; ${wants} needs it`);
  }
  if (packets && config.WECHAT_SUB_MERCHANTS !== undefined) {
    fault(
      'RED_PACKET_DAILY_LIMIT_FEN',
      'must be 0 beside WECHAT_SUB_MERCHANTS: whose money a provider’s red packet is cannot be said here',
    );
  }
}
