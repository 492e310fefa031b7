// What a merchant's console holds: its mode, its addresses, its H5 domains, what it has opened, its balance. A part
// of the control door under /_sim/.

import { BadRequest, bodyOf, guarded, text, texts } from './control.ts';
import { type Answer, type Call, type Family, json } from './http.ts';
import { merchantOf, type Platform } from './platform.ts';
import { MERCHANT_MODES, type Merchant, type Product } from './registers.ts';

const PRODUCTS: readonly Product[] = ['JSAPI', 'NATIVE', 'MWEB', 'APP', 'MICROPAY', 'FACEPAY', 'REDPACK'];

/** A switch to the public key that is not rolled back ends by itself. */
const SWITCH_MS = 7 * 24 * 3600 * 1000;

function shown(m: Merchant) {
  return {
    mch_id: m.mch_id,
    mode: m.mode,
    refund_notify_url: m.refund_notify_url,
    native_callback_url: m.native_callback_url ?? '',
    h5_domains: m.h5_domains ?? null,
    h5_check_ip: m.h5_check_ip === true,
    products: m.products,
    balance_fen: m.balance_fen,
  };
}

/** An address of the merchant's, empty to take it away; undefined when it is not spoken of. */
function address(body: Record<string, unknown>, name: string): string | undefined {
  const url = typeof body[name] === 'string' ? body[name] : undefined;
  if (url !== undefined && url !== '' && !URL.canParse(url)) throw new BadRequest(`${name} is no address`);
  return url;
}

function merchant(platform: Platform, call: Call): Answer {
  const { state } = platform.store;
  if (call.method === 'GET')
    return json(200, { merchants: state.merchants.map((m) => shown(merchantOf(platform, m.mch_id) ?? m)) });
  const body = bodyOf(call);
  const mch_id = text(body, 'mch_id') ?? state.merchants[0]?.mch_id ?? '';
  const found = merchantOf(platform, mch_id);
  if (found === undefined) throw new BadRequest(`mch_id ${mch_id} is unknown here`);
  const mode = text(body, 'mode');
  const known = MERCHANT_MODES.find((m) => m === mode);
  if (mode !== undefined && known === undefined)
    throw new BadRequest(`mode is one of ${MERCHANT_MODES.join(', ')}`);
  const refund_notify_url = address(body, 'refund_notify_url');
  const native_callback_url = address(body, 'native_callback_url');
  const h5_domains = texts(body, 'h5_domains');
  const opened = texts(body, 'products');
  const products = PRODUCTS.filter((p) => opened?.includes(p));
  if (opened !== undefined && products.length !== opened.length)
    throw new BadRequest(`products are of ${PRODUCTS.join(', ')}`);
  const { balance_fen } = body;
  if (
    balance_fen !== undefined &&
    (typeof balance_fen !== 'number' || !Number.isSafeInteger(balance_fen) || balance_fen < 0)
  ) {
    throw new BadRequest('balance_fen must be a whole number of fen');
  }
  if (known !== undefined) {
    found.mode = known;
    delete found.switch_ends_at_ms;
    if (known === 'switching') found.switch_ends_at_ms = platform.clock.now() + SWITCH_MS;
  }
  if (refund_notify_url !== undefined) found.refund_notify_url = refund_notify_url;
  if (native_callback_url !== undefined) found.native_callback_url = native_callback_url;
  if (h5_domains !== undefined) found.h5_domains = h5_domains;
  if (typeof body.h5_check_ip === 'boolean') found.h5_check_ip = body.h5_check_ip;
  if (opened !== undefined) found.products = products;
  if (typeof balance_fen === 'number') found.balance_fen = balance_fen;
  platform.store.touch();
  return json(200, shown(found));
}

export const controlMerchant: Family = {
  name: 'control_merchant',
  logged: false,
  doors: { '/_sim/merchant': guarded('GET,PUT', merchant) },
};
