// What the desk beside the phone shows: the ledger, notifications with their attempts, faults with switches, the log.

import { both, el, yuan } from './dom.js';
import { act, ask, world } from './talk.js';

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
    ...both(`已收 ${yuan(ledger.paid_fen)}，${paid} 笔`, `${paid} payments, ${yuan(ledger.paid_fen)} in all`),
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
        cell(world.config.users.find((u) => u.openid === o.openid)?.nickname ?? ''),
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

export const panels = {
  ledger: ledgerPanel,
  notifications: notificationsPanel,
  faults: faultsPanel,
  log: logPanel,
};
