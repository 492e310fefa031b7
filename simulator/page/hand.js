// What the payer's phone and face hand over: a payment code, a face, a mini-program's login, and the payment that an
// app or a mini-program starts with parameters somebody pastes here in its place.

import { $, both, el } from './dom.js';
import { holder } from './phone.js';
import { act, ask, world } from './talk.js';

const until = (iso) => both('', `until ${iso.slice(11, 19)}`);
/** Something to copy, whole at one click. */
const copied = (name, text) =>
  el('p', { class: 'copy' }, el('small', {}, name), el('code', { 'data-testid': `sim-${name}` }, text));

function show(id, ...parts) {
  $(id).replaceChildren(...parts);
  $(id).hidden = false;
}

$('show-code').addEventListener('click', () =>
  act(async () => {
    const { auth_code, expires_at } = await ask('payment_code', 'POST', { openid: holder() });
    show('payment-code', el('b', {}, auth_code.replace(/(\d{4})(?=\d)/g, '$1 ')), ...until(expires_at));
    $('payment-code').dataset.code = auth_code;
  }),
);

/** The accounts a face device may be set up with, the demo's first. */
export function drawAccounts() {
  const { merchants } = world.config;
  const appids = [
    ...new Set(merchants.flatMap((m) => [m.appid, ...(m.sub_merchants ?? []).flatMap((s) => s.sub_appids)])),
  ];
  if ($('face-appid').options.length === appids.length) return;
  $('face-appid').replaceChildren(...appids.map((appid) => el('option', { value: appid }, appid)));
}

$('show-face').addEventListener('click', () =>
  act(async () => {
    $('face').hidden = true;
    const appid = $('face-appid').value;
    const { face_code, openid, expires_at } = await ask('face_code', 'POST', { openid: holder(), appid });
    show('face', copied('face_code', face_code), copied('openid', openid), ...until(expires_at));
  }),
);

$('mini-login').addEventListener('click', () =>
  act(async () => {
    const { code } = await ask('mini_code', 'POST', { openid: holder() });
    show('mini-code', copied('code', code), ...both('', 'good once, for five minutes'));
  }),
);

/** What the shop's doorway answered, or the parameters alone; tells app and mini-program apart by their names. */
function callOf(text) {
  let given;
  try {
    given = JSON.parse(text);
  } catch (cause) {
    throw new Error(`参数不是 JSON · not JSON: ${cause.message}`);
  }
  const call = given?.app ?? given?.mini_program ?? given;
  const names = Object.keys(call ?? {}).map((name) => name.toLowerCase());
  if (names.includes('prepayid')) return ['app_pay', call];
  if (names.includes('paysign')) return ['mini_pay', { ...call, appid: call.appId ?? call.appid }];
  throw new Error(
    '这不是 APP 或小程序的调起参数 · neither PayReq (prepayid) nor wx.requestPayment (paySign) parameters',
  );
}

async function start(action) {
  $('client-answer').hidden = true;
  const [door, call] = callOf($('client-call').value);
  const answer = await ask(door, 'POST', { ...call, openid: holder(), action });
  const said = answer.errMsg ?? `errCode ${answer.errCode}`;
  show('client-answer', copied('answer', said), ...both('', `${answer.out_trade_no} ${answer.trade_state}`));
}

$('client').addEventListener('submit', (event) => {
  event.preventDefault();
  void act(() => start('pay'));
});
$('client-cancel').addEventListener('click', () => act(() => start('cancel')));
