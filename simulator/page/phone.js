// The payer's phone: who holds it, what waits to be paid and the thumb on it, what is scanned.

import { $, both, el, yuan } from './dom.js';
import { act, ask, world } from './talk.js';

const AS = 'sim-user';
const me = () =>
  world.config.users.find((u) => u.openid === localStorage.getItem(AS)) ?? world.config.users[0];

export const holder = () => me()?.openid;

export function drawPayer() {
  const { config } = world;
  const user = me();
  const select = $('user');
  if (select.options.length !== config.users.length) {
    select.replaceChildren(...config.users.map((u) => el('option', { value: u.openid }, u.nickname)));
  }
  if (user) select.value = user.openid;
  $('balance').textContent = user ? yuan(user.balance_fen) : '';
  const phone = config.shop_origin ? config.phone_url : '';
  $('open-phone').hidden = phone === '';
  $('no-shop').hidden = phone !== '';
  $('open-phone').href =
    phone && user
      ? `${phone}/_sim/as?openid=${encodeURIComponent(user.openid)}&device=${$('device').value}&to=/`
      : '#';
}

/** One thing on the phone: what, how much, and what the thumb can do about it. */
const entry = (what, number, fen, ...buttons) =>
  el(
    'li',
    {},
    el(
      'div',
      { class: 'row' },
      el('span', {}, what, el('small', {}, number)),
      fen === undefined ? undefined : el('b', {}, yuan(fen)),
    ),
    el('div', { class: 'do' }, ...buttons),
  );
const thumb = (zh, en, work, more = {}) =>
  el('button', { type: 'button', ...more, onclick: () => act(work) }, ...both(zh, en));

export function drawOrders(orders) {
  const counter = (o) => o.trade_type === 'MICROPAY' || o.trade_type === 'FACEPAY';
  const waiting = orders.filter((o) => o.trade_state === 'USERPAYING').reverse();
  const open = orders.filter((o) => o.trade_state === 'NOTPAY' && !counter(o)).reverse();
  const named = (o) => ({ out_trade_no: o.out_trade_no, mch_id: o.mch_id });
  const items = [
    ...waiting.map((o) =>
      entry(
        `${o.body}（需要密码 password）`,
        o.out_trade_no,
        o.total_fen,
        thumb('输入密码', 'confirm', () => ask('password', 'POST', { ...named(o), answer: 'confirm' }), {
          class: 'pay',
          'data-testid': 'sim-password-confirm',
        }),
        thumb('拒绝', 'refuse', () => ask('password', 'POST', { ...named(o), answer: 'refuse' }), {
          'data-testid': 'sim-password-refuse',
        }),
      ),
    ),
    ...open.map((o) =>
      entry(
        o.body,
        o.out_trade_no,
        o.total_fen,
        thumb('支付', 'pay', () => ask('pay', 'POST', { ...named(o), openid: me().openid }), {
          class: 'pay',
        }),
        thumb('放弃', 'cancel', () => ask('cancel', 'POST', named(o))),
      ),
    ),
  ];
  $('open-orders').replaceChildren(
    ...(items.length
      ? items
      : [el('li', { class: 'empty' }, ...both('没有待支付的订单', 'Nothing is waiting'))]),
  );
}

export function drawPackets(packets) {
  const mine = packets.filter(
    (p) =>
      p.state === 'SENT' &&
      (p.hb_type === 'GROUP' || Object.values(me()?.openids ?? {}).includes(p.re_openid)),
  );
  $('packets-title').hidden = mine.length === 0;
  $('open-packets').replaceChildren(
    ...mine.map((p) =>
      entry(
        p.wishing,
        `${p.send_name} ${p.mch_billno}`,
        undefined,
        thumb(
          '拆开',
          'open',
          () =>
            ask('red_packets/open', 'POST', {
              mch_billno: p.mch_billno,
              mch_id: p.mch_id,
              openid: me().openid,
            }),
          { class: 'pay', 'data-testid': 'sim-open-packet' },
        ),
      ),
    ),
  );
}

$('user').addEventListener('change', (event) => {
  localStorage.setItem(AS, event.target.value);
  void act(() => fetch(`/_sim/as?openid=${encodeURIComponent(event.target.value)}`, { redirect: 'manual' }));
});
$('device').addEventListener('change', drawPayer);
$('scan').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('scan-text').value.trim();
  const how = text.startsWith('weixin:')
    ? 'code_url'
    : text.startsWith('http')
      ? 'h5_url'
      : text.startsWith('wx') && text.length === 36
        ? 'prepay_id'
        : 'out_trade_no';
  void act(async () => {
    await ask('pay', 'POST', { [how]: text, openid: me().openid });
    $('scan-text').value = '';
  });
});
