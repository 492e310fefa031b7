/**
 * The simulator's service provider as a counter's settings: the shop lives in the provider's official account and sells
 * for two sub-merchants, or in the account of the one sub-merchant who has its own.
 */
import type { SimulatorConfig } from './counter.ts';

export type PartnerHome = 'provider' | 'sub-merchant';

/** Who sells in each home; the first is the one goods and bare amounts belong to unless told. */
export const sellersOf = {
  provider: ['1900000302', '1900000303'],
  'sub-merchant': ['1900000301'],
} as const satisfies Record<PartnerHome, readonly string[]>;

export function partnerSettings(
  { merchants, other_accounts }: SimulatorConfig,
  home: PartnerHome,
): Record<string, string> {
  const provider = merchants.find(({ modes }) => modes.includes('partner'));
  if (provider === undefined) throw new Error('the simulator has no provider');
  const [seller] = sellersOf[home];
  const sub = provider.sub_merchants?.find(({ sub_mch_id }) => sub_mch_id === seller);
  const appid = home === 'provider' ? provider.appid : sub?.sub_appids[0];
  const account = other_accounts.find((each) => each.appid === appid);
  if (account === undefined) throw new Error(`no account ${appid}`);
  return {
    WECHAT_APPID: account.appid,
    WECHAT_APP_SECRET: account.secret,
    WECHAT_SP_APPID: home === 'provider' ? '' : provider.appid,
    WECHAT_MCH_ID: provider.mch_id,
    WECHAT_SUB_MERCHANTS: JSON.stringify(
      sellersOf[home].map((sub_mch_id) => ({ sub_mch_id, name: `店 ${sub_mch_id}` })),
    ),
    WECHAT_API_V2_KEY: provider.api_v2_key,
    WECHAT_API_V3_KEY: provider.api_v3_key,
    WECHAT_MERCHANT_CERTIFICATE: provider.merchant_cert_pem,
    WECHAT_MERCHANT_KEY: provider.merchant_key_pem,
    WECHAT_PAY_PUBLIC_KEY_ID: provider.platform_public_key_id,
    WECHAT_PAY_PUBLIC_KEY: provider.platform_public_key_pem,
  };
}
