// How the control door shows things: orders and notifications in WeChat's words with amounts in fen and Beijing
// times, and the whole configuration. It changes nothing.

import { settledByTime } from './orders.ts';
import type { Platform } from './platform.ts';
import type { Notification, Order } from './records.ts';
import { merchantCertificate, platformCertificate as platformCertificateOf, publicKeyId } from './sign_v3.ts';
import { beijing14, beijingIso } from './time.ts';

/** An order as the control door shows it: WeChat's words, amounts in fen, times in Beijing. */
export function showOrder(platform: Platform, given: Order) {
  const order = settledByTime(platform, given);
  const { payment } = order;
  return {
    mch_id: order.mch_id,
    appid: order.appid,
    out_trade_no: order.out_trade_no,
    trade_type: order.trade_type,
    trade_state: order.state,
    total_fee: order.total_fen,
    total_fen: order.total_fen,
    body: order.body,
    attach: order.attach,
    sign_type: order.sign_type,
    notify_url: order.notify_url,
    openid: payment?.openid ?? order.openid,
    prepay_id: order.prepays.at(-1)?.prepay_id,
    code_url: order.prepays.at(-1)?.code_url,
    h5_url: order.prepays.at(-1)?.h5_url,
    made_at: beijingIso(order.made_at_ms),
    expires_at: beijingIso(order.expires_at_ms),
    closed_by: order.closed_by,
    prompt: order.prompt && { ...order.prompt, until: beijingIso(order.prompt.until_ms) },
    revoked_at: order.revoked_at_ms === undefined ? undefined : beijingIso(order.revoked_at_ms),
    sub_mch_id: order.sub_mch_id,
    sub_appid: order.sub_appid,
    ...(payment === undefined
      ? {}
      : {
          transaction_id: payment.transaction_id,
          paid_at: beijingIso(payment.paid_at_ms),
          time_end: beijing14(payment.paid_at_ms),
          bank_type: payment.bank_type,
          cash_fen: payment.cash_fen,
          coupon_fen: payment.coupon_fen,
        }),
  };
}

export function showNotification(n: Notification) {
  return {
    ...n,
    made_at: beijingIso(n.made_at_ms),
    next_attempt_at: n.next_attempt_at_ms === null ? null : beijingIso(n.next_attempt_at_ms),
    attempts: n.attempts.map((a) => ({ ...a, at: beijingIso(a.at_ms) })),
  };
}

/** The whole configuration, so that a client in any language can set itself up from it. */
export function showConfig(platform: Platform) {
  const { state } = platform.store;
  const [account] = state.accounts;
  const { keyring } = platform;
  const platformCertificate = platformCertificateOf(platform);
  const merchants = state.merchants.map((m) => {
    const own = merchantCertificate(platform, m.mch_id);
    return {
      mch_id: m.mch_id,
      appid: m.appid,
      name: m.name,
      ...(m.sub_merchants === undefined
        ? {}
        : {
            sub_mch_id: m.sub_merchants[0]?.sub_mch_id,
            sub_appid: m.sub_merchants[0]?.sub_appids[0],
            sub_merchants: m.sub_merchants,
          }),
      api_v2_key: m.api_v2_key,
      api_v3_key: m.api_v3_key,
      sign_type: m.sign_type,
      merchant_cert_pem: own.cert_pem,
      merchant_key_pem: own.key_pem,
      merchant_cert_serial: own.serial,
      // As WeChat's apiclient_cert.p12: opened with the merchant number.
      merchant_p12_base64: keyring.bundle(own, m.mch_id).toString('base64'),
      platform_cert_pem: platformCertificate.cert_pem,
      platform_cert_serial: platformCertificate.serial,
      platform_public_key_id: publicKeyId(m.mch_id),
      platform_public_key_pem: keyring.publicPem('platform public key'),
      products: m.products,
      balance_fen: m.balance_fen,
      modes: m.modes,
      mode: m.mode,
      refund_notify_url: m.refund_notify_url,
    };
  });
  return {
    base_url: platform.addresses.url,
    tls_url: platform.addresses.tls_url,
    ca_pem: keyring.authority().cert_pem,
    certificate_required: platform.certificate_required,
    phone_url: platform.addresses.phone_url,
    official_account: account && {
      appid: account.appid,
      secret: account.secret,
      token: account.token,
      encoding_aes_key: account.encoding_aes_key,
      name: account.name,
      server_url: state.official.server_url,
      server_mode: state.official.server_mode,
      ip_whitelist: state.official.ip_whitelist,
      templates: state.official.templates,
    },
    mini_program: state.accounts.find((a) => a.kind === 'mini_program'),
    app: state.accounts.find((a) => a.kind === 'app'),
    other_accounts: state.accounts.slice(1),
    shop_origin: state.shop_origin,
    payment_directories: state.payment_directories,
    oauth_domains: state.oauth_domains,
    js_domains: state.js_domains,
    merchants,
    users: state.users.map((u) => ({
      openid: u.openid,
      nickname: u.nickname,
      balance_fen: u.balance_fen,
      is_subscribe: u.is_subscribe,
      openids: u.openids,
    })),
    strict: platform.strict,
    now: beijingIso(platform.clock.now()),
    now_ms: platform.clock.now(),
  };
}
