// The page for people: asks the control door once a second and draws what it says. No framework, no build.
(() => {
  const $ = (id) => document.getElementById(id);
  const AS = 'sim-user';
  let config = { users: [], merchants: [] };
  let shown = '';
  let tab = 'ledger';

  function el(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
      else if (value !== undefined && value !== false)
        node.setAttribute(key, value === true ? '' : String(value));
    }
    node.append(...children.filter((c) => c !== undefined && c !== null));
    return node;
  }

  /** Chinese with English beneath. */
  const both = (zh, en) => [zh, el('small', { lang: 'en' }, en)];
  const yuan = (fen) => `¥${Math.floor(fen / 100)}.${String(fen % 100).padStart(2, '0')}`;

  /** `26 h 4 min`, `15 s`. */
  const span = (seconds) => {
    const parts = [
      [Math.floor(seconds / 3600), 'h'],
      [Math.floor((seconds % 3600) / 60), 'min'],
      [Math.floor(seconds % 60), 's'],
    ].filter(([count]) => count > 0);
    return parts
      .slice(0, 2)
      .map(([count, unit]) => `${count} ${unit}`)
      .join(' ');
  };

  /** Five past ten in Beijing, tomorrow: the bill of today is there. */
  const nextMorning = (now_ms) => {
    const beijing_ms = 8 * 3_600_000;
    const midnight = Math.floor((now_ms + beijing_ms) / 86_400_000) * 86_400_000 - beijing_ms;
    return midnight + 86_400_000 + (10 * 60 + 5) * 60_000;
  };

  async function ask(path, method = 'GET', body) {
    const response = await fetch(`/_sim/${path}`, {
      method,
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const answer = await response.json();
    if (!response.ok)
      throw new Error(`${answer.code} ${answer.message}${answer.why ? ` (${answer.why})` : ''}`);
    return answer;
  }

  /** Runs what a button does, shows what went wrong, draws anew. */
  async function act(work) {
    $('problem').hidden = true;
    try {
      await work();
    } catch (cause) {
      $('problem').textContent = cause.message;
      $('problem').hidden = false;
    }
    shown = '';
    await draw();
  }

  const me = () => config.users.find((u) => u.openid === localStorage.getItem(AS)) ?? config.users[0];

  function drawPayer() {
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

  function drawOrders(orders) {
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

  function drawPackets(packets) {
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

  const STATE = {
    SUCCESS: 'good',
    REFUND: 'mid',
    CLOSED: 'dull',
    REVOKED: 'dull',
    USERPAYING: 'mid',
    PAYERROR: 'bad',
    NOTPAY: 'mid',
    delivered: 'good',
    pending: 'mid',
    exhausted: 'bad',
    undeliverable: 'bad',
    withheld: 'bad',
  };
  const badge = (state) => el('span', { class: `state ${STATE[state] ?? 'dull'}` }, state);
  const head = (...names) =>
    el('thead', {}, el('tr', {}, ...names.map(([zh, en]) => el('th', { scope: 'col' }, ...both(zh, en)))));
  const table = (header, rows) => el('table', {}, header, el('tbody', {}, ...rows));
  const empty = (zh, en) => el('div', { class: 'empty' }, ...both(zh, en));
  const cell = (...inner) => el('td', {}, ...inner);

  async function ledgerPanel(orders) {
    const ledger = await ask('ledger');
    const paid = ledger.entries.filter((e) => e.kind === 'payment').length;
    const top = el(
      'p',
      {},
      ...both(
        `已收 ${yuan(ledger.paid_fen)}，${paid} 笔`,
        `${paid} payments, ${yuan(ledger.paid_fen)} in all`,
      ),
    );
    const rows = orders
      .slice()
      .reverse()
      .slice(0, 100)
      .map((o) =>
        el(
          'tr',
          {},
          cell(o.out_trade_no, el('small', {}, o.transaction_id ?? '')),
          cell(o.trade_type),
          cell(badge(o.trade_state)),
          el('td', { class: 'money' }, yuan(o.total_fen)),
          cell(config.users.find((u) => u.openid === o.openid)?.nickname ?? ''),
          cell((o.paid_at ?? o.made_at).slice(0, 19).replace('T', ' ')),
        ),
      );
    if (rows.length === 0) return [empty('还没有订单', 'No orders yet')];
    return [
      top,
      table(
        head(
          ['订单', 'order'],
          ['类型', 'type'],
          ['状态', 'state'],
          ['金额', 'amount'],
          ['付款人', 'payer'],
          ['时间', 'time'],
        ),
        rows,
      ),
    ];
  }

  async function notificationsPanel() {
    const { notifications } = await ask('notifications');
    if (notifications.length === 0) return [empty('还没有通知', 'No notifications yet')];
    const rows = notifications
      .slice()
      .reverse()
      .map((n) =>
        el(
          'tr',
          {},
          cell(n.out_trade_no, el('small', {}, n.notify_url)),
          cell(badge(n.state), el('small', {}, n.why)),
          cell(
            ...n.attempts.map((a) =>
              el(
                'details',
                {},
                el(
                  'summary',
                  { class: a.accepted ? 'good' : 'bad' },
                  `${a.at.slice(11, 19)} ${a.accepted ? '✓' : '✗'} ${a.status ?? ''} ${a.took_ms} ms ${a.fault ?? ''}`,
                ),
                el('pre', {}, a.request_body),
                el('pre', {}, a.answer ?? a.why),
              ),
            ),
            el(
              'small',
              {},
              n.next_attempt_at ? `下次 next ${n.next_attempt_at.slice(0, 19).replace('T', ' ')}` : '',
            ),
          ),
          cell(
            el(
              'button',
              {
                type: 'button',
                onclick: () => act(() => ask(`notifications/${n.notification_id}/redeliver`, 'POST')),
              },
              ...both('重发', 'redeliver'),
            ),
          ),
        ),
      );
    return [table(head(['订单', 'order'], ['状态', 'state'], ['发送', 'attempts'], ['', '']), rows)];
  }

  async function faultsPanel() {
    const { faults, armed } = await ask('faults');
    const others = Object.entries(armed).filter(([name]) => !faults.some((f) => f.name === name));
    const one = (name, zh, en, parameters) => {
      const now = armed[name];
      const live = now !== undefined && now.times !== 0;
      const field = el('input', {
        type: 'text',
        'aria-label': `${name} 参数 parameters`,
        placeholder: JSON.stringify({ times: 1, ...parameters }),
        value: now
          ? JSON.stringify({ ...(now.times === null ? {} : { times: now.times }), ...now.parameters })
          : '',
      });
      const toggle = el('input', {
        type: 'checkbox',
        role: 'switch',
        checked: live,
        'aria-label': `${zh} ${name}`,
        onchange: (event) =>
          act(() =>
            ask('faults', 'PUT', {
              [name]: event.target.checked ? JSON.parse(field.value || 'true') : false,
            }),
          ),
      });
      return el(
        'div',
        { class: 'fault' },
        toggle,
        el(
          'div',
          { class: 'words' },
          el('code', {}, name),
          ` ${zh}`,
          el('small', { lang: 'en' }, en, now ? ` — ${now.hits}×` : ''),
        ),
        field,
      );
    };
    return [
      ...others.map(([name, now]) => one(name, '', 'armed for one door', now.parameters)),
      ...faults.map((f) => one(f.name, f.zh, f.en, f.parameters)),
    ];
  }

  async function logPanel() {
    const { entries } = await ask('log?limit=100');
    if (entries.length === 0) return [empty('还没有请求', 'Nothing was asked yet')];
    return [
      table(
        head(['时间', 'time'], ['请求', 'call'], ['结果', 'outcome']),
        entries
          .slice()
          .reverse()
          .map((e) =>
            el(
              'tr',
              {},
              cell(e.at.slice(11, 19)),
              cell(
                el(
                  'details',
                  {},
                  el('summary', {}, `${e.method} ${e.path}`),
                  el('pre', {}, e.request || '—'),
                  el('pre', {}, e.answer || '—'),
                ),
                el('small', {}, [e.out_trade_no, ...e.faults].filter(Boolean).join(' · ')),
              ),
              cell(
                el(
                  'span',
                  { class: e.code === '' && e.why === '' ? 'good' : 'bad' },
                  e.code || (e.why ? '✗' : '✓'),
                ),
                el('small', {}, e.why),
              ),
            ),
          ),
      ),
    ];
  }

  const PANELS = {
    ledger: ledgerPanel,
    notifications: notificationsPanel,
    faults: faultsPanel,
    log: logPanel,
  };

  let drawing = false;
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
      config = fresh;
      $('now').textContent = clock.now.slice(0, 19).replace('T', ' ');
      $('ahead').textContent =
        clock.ahead_s > 0 ? `${span(clock.ahead_s)} ahead · 北京时间` : '北京时间 Beijing time';
      $('ahead-hint').hidden = clock.ahead_s < 600;
      drawPayer();
      const asked = tab;
      const parts = await PANELS[asked](orders);
      // Drawn only when something changed, so that an open detail or a half-typed field stays.
      const next = JSON.stringify([
        asked,
        orders.map((o) => [o.out_trade_no, o.trade_state]),
        red_packets.map((p) => [p.mch_billno, p.state, p.shares_left]),
        me()?.openid,
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
    } finally {
      drawing = false;
    }
  }

  function choose(name) {
    tab = name;
    for (const id of Object.keys(PANELS)) {
      const on = id === name;
      $(`tab-${id}`).setAttribute('aria-selected', String(on));
      $(`tab-${id}`).tabIndex = on ? 0 : -1;
      $(id).hidden = !on;
    }
    shown = '';
    void draw();
  }

  for (const id of Object.keys(PANELS)) {
    $(`tab-${id}`).addEventListener('click', () => choose(id));
    $(`tab-${id}`).addEventListener('keydown', (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step === undefined) return;
      const ids = Object.keys(PANELS);
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
  $('user').addEventListener('change', (event) => {
    localStorage.setItem(AS, event.target.value);
    void act(() =>
      fetch(`/_sim/as?openid=${encodeURIComponent(event.target.value)}`, { redirect: 'manual' }),
    );
  });
  $('device').addEventListener('change', drawPayer);
  $('show-code').addEventListener('click', () =>
    act(async () => {
      const { auth_code, expires_at } = await ask('payment_code', 'POST', { openid: me().openid });
      $('payment-code').replaceChildren(
        el('b', {}, auth_code.replace(/(\d{4})(?=\d)/g, '$1 ')),
        ...both('', `until ${expires_at.slice(11, 19)}`),
      );
      $('payment-code').dataset.code = auth_code;
      $('payment-code').hidden = false;
    }),
  );
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
  void draw();
  setInterval(draw, 1000);
})();
