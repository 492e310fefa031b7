// The page for people: asks the control door once a second and draws what it says. No framework, no build.

import { $, span } from './dom.js';
import { drawAccounts } from './hand.js';
import { panels } from './panels.js';
import { drawOrders, drawPackets, drawPayer, holder } from './phone.js';
import { act, ask, redrawBy, world } from './talk.js';

let shown = '';
let tab = 'ledger';

/** Five past ten in Beijing, tomorrow: the bill of today is there. */
const nextMorning = (now_ms) => {
  const beijing_ms = 8 * 3_600_000;
  const midnight = Math.floor((now_ms + beijing_ms) / 86_400_000) * 86_400_000 - beijing_ms;
  return midnight + 86_400_000 + (10 * 60 + 5) * 60_000;
};

let drawing = false;
/** The platform did not answer the last time. */
let silent = false;
async function draw() {
  if (drawing) return;
  drawing = true;
  try {
    const [fresh, { orders }, clock, { red_packets }] = await Promise.all([
      ask('config'),
      ask('orders?limit=300'),
      ask('clock'),
      ask('red_packets'),
    ]);
    if (silent) $('problem').hidden = true;
    silent = false;
    world.config = fresh;
    $('now').textContent = clock.now.slice(0, 19).replace('T', ' ');
    $('ahead').textContent =
      clock.ahead_s > 0 ? `${span(clock.ahead_s)} ahead · 北京时间` : '北京时间 Beijing time';
    $('ahead-hint').hidden = clock.ahead_s < 600;
    drawPayer();
    drawAccounts();
    const asked = tab;
    const parts = await panels[asked](orders);
    // Drawn only when something changed, so that an open detail or a half-typed field stays.
    const next = JSON.stringify([
      asked,
      orders.map((o) => [o.out_trade_no, o.trade_state]),
      red_packets.map((p) => [p.mch_billno, p.state, p.shares_left]),
      holder(),
      parts.map((p) => p.outerHTML),
    ]);
    if (next !== shown && asked === tab) {
      shown = next;
      drawOrders(orders);
      drawPackets(red_packets);
      $(asked).replaceChildren(...parts);
    }
  } catch (cause) {
    $('problem').textContent = `模拟器没有应答 · The simulator does not answer: ${cause.message}`;
    $('problem').hidden = false;
    silent = true;
  } finally {
    drawing = false;
  }
}

function choose(name) {
  tab = name;
  for (const id of Object.keys(panels)) {
    const on = id === name;
    $(`tab-${id}`).setAttribute('aria-selected', String(on));
    $(`tab-${id}`).tabIndex = on ? 0 : -1;
    $(id).hidden = !on;
  }
  shown = '';
  void draw();
}

for (const id of Object.keys(panels)) {
  $(`tab-${id}`).addEventListener('click', () => choose(id));
  $(`tab-${id}`).addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    const ids = Object.keys(panels);
    const next = ids[(ids.indexOf(id) + step + ids.length) % ids.length];
    choose(next);
    $(`tab-${next}`).focus();
  });
}
for (const button of document.querySelectorAll('[data-advance]')) {
  button.addEventListener('click', () =>
    act(() => ask('clock', 'POST', { advance_s: Number(button.dataset.advance) })),
  );
}
$('morning').addEventListener('click', () =>
  act(async () => {
    const { now_ms } = await ask('clock');
    await ask('clock', 'POST', { advance_s: Math.ceil((nextMorning(now_ms) - now_ms) / 1000) });
  }),
);
$('reset').addEventListener('click', () => {
  const asked =
    '清空全部订单、账本与时钟？商店自己的账不会清空：它的订单在平台上将查不到，未付的到期后关闭。\n' +
    'Forget all orders, the ledger and the clock? The shop keeps its own books, and the platform will not know its orders any more.';
  if (window.confirm(asked)) void act(() => ask('reset', 'POST'));
});
redrawBy(() => {
  shown = '';
  return draw();
});
void draw();
setInterval(draw, 1000);
