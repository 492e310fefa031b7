// The other merchants of the demo world, one for each kind a client must be able to serve: API v2 only, API v3 only,
// each identity of WeChat's, and a service provider with merchants of its own. Nothing here is a real credential.

import type { Account, Merchant, Product, SubMerchant } from './registers.ts';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ALL: readonly Product[] = ['JSAPI', 'NATIVE', 'MWEB', 'APP', 'MICROPAY', 'FACEPAY', 'REDPACK'];

type Draw = (what: string, alphabet: string, length: number) => string;

/**
 * `shop_appid` is the demo account, which all ordinary merchants are bound to; `client_appids` are the demo mini-program
 * and app, which the provider and its first sub-merchant may use as well.
 */
export function otherMerchants(
  draw: Draw,
  account: (what: string, name: string) => Account,
  shop_appid: string,
  client_appids: readonly string[],
): { accounts: Account[]; merchants: Merchant[] } {
  const provider = account('provider account', '演示服务商公众号');
  const sub_account = account('sub account', '特约商户甲公众号');
  const merchant = (mch_id: string, name: string, own: Partial<Merchant>): Merchant => ({
    mch_id,
    name,
    appid: shop_appid,
    appids: [shop_appid],
    api_v2_key: draw(`v2 key ${mch_id}`, BASE62, 32),
    api_v3_key: draw(`v3 key ${mch_id}`, BASE62, 32),
    sign_type: 'HMAC-SHA256',
    products: [...ALL],
    balance_fen: 0,
    modes: ['merchant'],
    mode: 'public_key',
    refund_notify_url: '',
    ...own,
  });
  const sub = (sub_mch_id: string, name: string, own: Partial<SubMerchant> = {}): SubMerchant => ({
    sub_mch_id,
    name,
    sub_appids: [],
    products: ALL.filter((p) => p !== 'REDPACK'),
    balance_fen: 0,
    ...own,
  });
  return {
    accounts: [provider, sub_account],
    merchants: [
      merchant('1900000201', '只有 APIv2、只开通 JSAPI 的商户', {
        mode: 'v2',
        api_v3_key: '',
        sign_type: 'MD5',
        products: ['JSAPI'],
      }),
      merchant('1900000202', '只有 APIv3、平台证书的商户', { mode: 'certificate', api_v2_key: '' }),
      merchant('1900000203', '只有 APIv3、微信支付公钥的商户', { mode: 'public_key', api_v2_key: '' }),
      merchant('1900000204', '正在由平台证书切换到公钥的商户', { mode: 'switching' }),
      merchant('1900000205', '切换后又回退到平台证书的商户', { mode: 'certificate' }),
      merchant('1900000300', '演示服务商', {
        appid: provider.appid,
        appids: [provider.appid, ...client_appids],
        products: [],
        modes: ['partner'],
        sub_merchants: [
          sub('1900000301', '特约商户甲（有自己的公众号）', {
            sub_appids: [sub_account.appid, ...client_appids],
            products: [...ALL],
          }),
          sub('1900000302', '特约商户乙（用服务商的公众号）'),
          sub('1900000303', '特约商户丙（只开通 JSAPI）', { products: ['JSAPI'] }),
        ],
      }),
    ],
  };
}
