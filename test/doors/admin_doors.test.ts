/** The operator's doorways: shut to everybody without a living session, and what they answer to an operator. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { GET as countWaiting } from '../../app/api/admin/attention/route.ts';
import { POST as explain } from '../../app/api/admin/differences/[id]/resolve/route.ts';
import { POST as login } from '../../app/api/admin/login/route.ts';
import { POST as logout } from '../../app/api/admin/logout/route.ts';
import { POST as close } from '../../app/api/admin/orders/[order_no]/close/route.ts';
import { POST as requery } from '../../app/api/admin/orders/[order_no]/query/route.ts';
import { POST as refund } from '../../app/api/admin/orders/[order_no]/refund/route.ts';
import { GET as readOne } from '../../app/api/admin/orders/[order_no]/route.ts';
import { GET as listAll } from '../../app/api/admin/orders/route.ts';
import { GET as whoAmI } from '../../app/api/admin/session/route.ts';
import { POST as reconcile } from '../../app/api/admin/statements/[date]/route.ts';
import { setAdmin } from '../../lib/admin_account.ts';
import type { pageView } from '../../lib/admin_views.ts';
import { beginSession } from '../../lib/sessions.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';
import { makeTrade } from '../setup/rows.ts';

let counter: Counter;
let shopper: Shopper;
let password: string;
beforeAll(async () => {
  counter = await openCounter();
  shopper = counter.shopper();
  await shopper.signIn();
  password = await setAdmin(counter.ctx.db, 'operator', counter.ctx.now());
});
afterAll(() => counter.close());
beforeEach(() => counter.ctx.db.login_attempt.deleteMany());

function ask(path: string, cookie = '', init: RequestInit = {}): Request {
  const headers = new Headers(init.headers);
  if (cookie !== '') headers.set('cookie', cookie);
  return new Request(counter.host.origin + path, { ...init, headers });
}
function post(path: string, body: unknown, cookie = '', headers: Record<string, string> = {}): Request {
  return ask(path, cookie, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', origin: counter.host.origin, ...headers },
  });
}
const route = (order_no: string) => ({ params: Promise.resolve({ order_no }) });

const tryLogin = (username: string, guess: string, ip = '10.0.0.1') =>
  login(post('/api/admin/login', { username, password: guess }, '', { 'x-forwarded-for': ip }));

async function signedIn(): Promise<string> {
  const answer = await tryLogin('operator', password);
  expect(answer.status).toBe(200);
  return answer.headers.getSetCookie()[0]?.split(';')[0] ?? '';
}

async function told(answer: Response): Promise<{ status: number; code: string | undefined }> {
  const { error } = (await answer.json()) as { error?: { code: string } };
  return { status: answer.status, code: error?.code };
}

/** Doorways that change something, each knocked on with something new to change. */
const writes: [string, (cookie: string, headers?: Record<string, string>) => Promise<Response>][] = [
  [
    'POST refund',
    async (cookie, headers) => {
      const paid = { order_state: 'SUCCESS', trade_state: 'SUCCESS' } as const;
      const { order_no, out_trade_no } = await makeTrade(counter.ctx.db, paid);
      const wish = { out_trade_no, refund_fen: 1, reason: '退货', command_key: crypto.randomUUID() };
      return refund(post(`/api/admin/orders/${order_no}/refund`, wish, cookie, headers), route(order_no));
    },
  ],
  [
    'POST close',
    async (cookie, headers) => {
      const { order_no } = await makeTrade(counter.ctx.db, { trade_state: 'CLOSED' });
      return close(post(`/api/admin/orders/${order_no}/close`, {}, cookie, headers), route(order_no));
    },
  ],
  [
    'POST resolve',
    async (cookie, headers) => {
      const { id } = await counter.ctx.db.difference.create({
        data: {
          mch_id: counter.ctx.pay.mch_id,
          bill_date: new Date('2026-01-02T00:00:00Z'),
          kind: 'fee',
          subject: crypto.randomUUID(),
          ours: {},
          theirs: {},
          found_at: counter.ctx.now(),
        },
      });
      const request = post(`/api/admin/differences/${id}/resolve`, { note: '已核实' }, cookie, headers);
      return explain(request, { params: Promise.resolve({ id: String(id) }) });
    },
  ],
  [
    'POST statement',
    (cookie, headers) => {
      const request = post('/api/admin/statements/2026-01-02', {}, cookie, headers);
      return reconcile(request, { params: Promise.resolve({ date: '2026-01-02' }) });
    },
  ],
];

const doors: [string, (cookie: string) => Promise<Response>][] = [
  ['GET orders', (cookie) => listAll(ask('/api/admin/orders', cookie))],
  [
    'GET one order',
    async (cookie) => {
      const { order_no } = await makeTrade(counter.ctx.db);
      return readOne(ask(`/api/admin/orders/${order_no}`, cookie), route(order_no));
    },
  ],
  [
    'POST query',
    async (cookie) => {
      const { order_no } = await makeTrade(counter.ctx.db);
      return requery(post(`/api/admin/orders/${order_no}/query`, {}, cookie), route(order_no));
    },
  ],
  ['GET attention', (cookie) => countWaiting(ask('/api/admin/attention', cookie))],
  ...writes,
];

describe.each(doors)('%s', (_, knock) => {
  const refused = { status: 401, code: 'sign_in_required' };

  test('opens to an operator, and no cache keeps the answer', async () => {
    const answer = await knock(await signedIn());
    expect(answer.status).toBe(200);
    expect(answer.headers.get('cache-control')).toBe('private, no-store');
  });

  test('is shut without a session', async () => {
    expect(await told(await knock(''))).toEqual(refused);
  });

  test('is shut to a shopper, under either cookie’s name', async () => {
    const cookie = shopper.cookies.get('guitai_shopper') ?? '';
    expect(cookie).not.toBe('');
    expect(await told(await knock(`guitai_shopper=${cookie}`))).toEqual(refused);
    expect(await told(await knock(`guitai_admin=${cookie}`))).toEqual(refused);
  });

  test('is shut to a copy of the cookie after logging out', async () => {
    const cookie = await signedIn();
    const out = await logout(post('/api/admin/logout', {}, cookie));
    expect(out.status).toBe(200);
    expect(out.headers.getSetCookie()[0]).toMatch(/guitai_admin=;.*Max-Age=0/i);
    expect(await told(await knock(cookie))).toEqual(refused);
  });

  test('is shut when the session’s row has run out, however fresh its cookie', async () => {
    const admin = await counter.ctx.db.admin.findUniqueOrThrow({ where: { username: 'operator' } });
    const { session, set_cookie } = await beginSession(counter.ctx, 'admin', { admin_id: admin.id });
    const cookie = set_cookie.split(';')[0] ?? '';
    expect((await knock(cookie)).status).toBe(200);
    await counter.ctx.db.session.update({
      where: { id: session.id },
      data: { expires_at: counter.ctx.now() },
    });
    expect(await told(await knock(cookie))).toEqual(refused);
  });

  test('is shut to a cookie with one character changed, cut short, or made up', async () => {
    const cookie = await signedIn();
    const middle = Math.floor(cookie.length / 2);
    const other = cookie[middle] === 'A' ? 'B' : 'A';
    for (const forged of [
      cookie.slice(0, middle) + other + cookie.slice(middle + 1),
      cookie.slice(0, middle),
      'guitai_admin=Fe26.2*1*x*y*z*1*2*3~2',
      'guitai_admin=',
    ]) {
      expect(await told(await knock(forged))).toEqual(refused);
    }
  });

  test('is shut to an operator who was disabled, and to sessions of an old password', async () => {
    const own = await setAdmin(counter.ctx.db, 'leaver', counter.ctx.now());
    const cookieOf = async (word: string) =>
      (await tryLogin('leaver', word)).headers.getSetCookie()[0]?.split(';')[0] ?? '';
    const first = await cookieOf(own);
    expect((await knock(first)).status).toBe(200);
    const changed = await setAdmin(counter.ctx.db, 'leaver', counter.ctx.now());
    expect(await told(await knock(first))).toEqual(refused);
    const second = await cookieOf(changed);
    await counter.ctx.db.admin.update({ where: { username: 'leaver' }, data: { disabled: true } });
    expect(await told(await knock(second))).toEqual(refused);
  });
});

describe.each(writes)('%s', (_, knock) => {
  test('is shut to another site’s page, a missing origin and a form, and nothing is written down', async () => {
    const cookie = await signedIn();
    const before = await counter.ctx.db.audit.count();
    for (const origin of ['https://evil.example', 'null', '']) {
      expect(await told(await knock(cookie, { origin }))).toEqual({ status: 403, code: 'foreign_origin' });
    }
    expect((await knock(cookie, { 'content-type': 'text/plain' })).status).toBe(415);
    expect(await counter.ctx.db.audit.count()).toBe(before);
  });

  test('leaves a row in the operators’ book with who and from where', async () => {
    const { _max } = await counter.ctx.db.audit.aggregate({ _max: { id: true } });
    expect((await knock(await signedIn(), { 'x-forwarded-for': '10.9.8.7' })).status).toBe(200);
    const rows = await counter.ctx.db.audit.findMany({ where: { id: { gt: _max.id ?? 0n } } });
    expect(rows).toMatchObject([{ username: 'operator', ip: '10.9.8.7' }]);
  });
});

describe('login', () => {
  test('a wrong password and a name that does not exist are answered alike', async () => {
    const wrong = await tryLogin('operator', 'nonsense');
    const nobody = await tryLogin('nobody', 'nonsense');
    expect(wrong.status).toBe(401);
    expect(await wrong.text()).toBe(await nobody.text());
    expect(wrong.headers.getSetCookie()).toEqual([]);
  });

  test('after five wrong guesses from one address even the right password is refused there, not elsewhere', async () => {
    for (let nth = 0; nth < 5; nth += 1) expect((await tryLogin('operator', 'nonsense')).status).toBe(401);
    expect(await told(await tryLogin('operator', password))).toEqual({
      status: 429,
      code: 'too_many_attempts',
    });
    expect((await tryLogin('operator', password, '10.0.0.2')).status).toBe(200);
  });

  test('another site’s form, a missing origin and a form’s content type do not sign in', async () => {
    const body = { username: 'operator', password };
    for (const origin of ['https://evil.example', 'null']) {
      expect((await login(post('/api/admin/login', body, '', { origin }))).status).toBe(403);
    }
    const form = post('/api/admin/login', body, '', { 'content-type': 'text/plain' });
    expect((await login(form)).status).toBe(415);
  });

  test('the page can ask who is signed in', async () => {
    expect(await (await whoAmI(ask('/api/admin/session'))).json()).toEqual({ username: null });
    expect(await (await whoAmI(ask('/api/admin/session', await signedIn()))).json()).toEqual({
      username: 'operator',
    });
  });
});

describe('an order', () => {
  test('one that was never made is a coded 404, as is a number that is none', async () => {
    const cookie = await signedIn();
    for (const number of ['20261123183007ABCDEFGHJKMNPQRS', 'x', "'; DROP TABLE trade; --"]) {
      const one = await readOne(ask('/api/admin/orders/x', cookie), route(number));
      expect(await told(one)).toEqual({ status: 404, code: 'not_found' });
      const asked = await requery(post('/api/admin/orders/x/query', {}, cookie), route(number));
      expect(await told(asked)).toEqual({ status: 404, code: 'not_found' });
    }
  });

  test('neither list nor order shows a whole openid, a signature or the stored request', async () => {
    const cookie = await signedIn();
    const { order_no } = await shopper.order();
    const { out_trade_no } = await shopper.pay(order_no);
    await counter.control('pay', { out_trade_no });
    await requery(post('/x', {}, cookie), route(order_no));
    const one = await (await readOne(ask('/x', cookie), route(order_no))).text();
    const all = await (await listAll(ask('/api/admin/orders', cookie))).text();
    expect(one).toContain(out_trade_no);
    expect(one).toContain('/pay/orderquery');
    for (const text of [one, all]) {
      expect(text).not.toContain(shopper.openid);
      expect(text).not.toMatch(/[0-9A-F]{64}/);
      expect(text).not.toContain('payer_client_ip');
    }
    const page = JSON.parse(all) as ReturnType<typeof pageView>;
    expect(page.orders.find((order) => order.order_no === order_no)?.out_trade_no).toBe(out_trade_no);
  });
});

describe('closing an order', () => {
  const shut = async (order_no: string, cookie: string) =>
    close(post(`/api/admin/orders/${order_no}/close`, {}, cookie), route(order_no));
  const actionsOn = async (target: string) =>
    (await counter.ctx.db.audit.findMany({ where: { target }, orderBy: { id: 'asc' } })).map(
      ({ action, data }) => ({ action, data }),
    );

  test('an unpaid one is closed at WeChat and here, with what stood before and after', async () => {
    const cookie = await signedIn();
    const { order_no } = await shopper.order();
    const { out_trade_no } = await shopper.pay(order_no);
    expect(await (await shut(order_no, cookie)).json()).toEqual({
      before: 'NOTPAY',
      after: 'CLOSED',
      outcome: 'closed',
    });
    await expect(counter.control('pay', { out_trade_no })).rejects.toThrow(/ORDERCLOSED|ORDER_CLOSED/);
    expect(await actionsOn(order_no)).toMatchObject([{ action: 'close', data: { outcome: 'closed' } }]);
  });

  test('one the shopper has paid, unknown to us, ends as paid', async () => {
    const cookie = await signedIn();
    const { order_no } = await shopper.order();
    const { out_trade_no } = await shopper.pay(order_no);
    await counter.control('faults', { notify_never: {} }, 'PUT');
    await counter.control('pay', { out_trade_no });
    await counter.control('faults', undefined, 'DELETE');
    expect(await (await shut(order_no, cookie)).json()).toEqual({
      before: 'NOTPAY',
      after: 'SUCCESS',
      outcome: 'paid',
    });
  });

  test('money that arrives while the order is being closed wins', async () => {
    const cookie = await signedIn();
    const { order_no } = await shopper.order();
    await shopper.pay(order_no);
    const openid = shopper.openid;
    await counter.control('faults', { notify_never: {}, close_order_paid: { times: 1, openid } }, 'PUT');
    const answer = (await (await shut(order_no, cookie)).json()) as { after: string };
    await counter.control('faults', undefined, 'DELETE');
    expect(answer).toMatchObject({ after: 'SUCCESS', outcome: 'paid' });
  });

  test('a paid and a closed one are refused with their codes, and the attempts are written down', async () => {
    const cookie = await signedIn();
    const paid = await makeTrade(counter.ctx.db, { order_state: 'SUCCESS', trade_state: 'SUCCESS' });
    const closed = await makeTrade(counter.ctx.db, { order_state: 'CLOSED', trade_state: 'CLOSED' });
    for (const [{ order_no }, code] of [
      [paid, 'order_paid'],
      [closed, 'order_closed'],
    ] as const) {
      expect(await told(await shut(order_no, cookie))).toEqual({ status: 409, code });
      expect(await actionsOn(order_no)).toEqual([{ action: 'close_refused', data: { code } }]);
    }
    for (const number of ['20261123183007ABCDEFGHJKMNPQRS', '../x']) {
      expect((await shut(number, cookie)).status).toBe(404);
    }
  });
});

describe('asking WeChat again', () => {
  interface Told {
    outcome: string;
    said?: string;
    out_trade_no: string;
    before: { trade_state: string; order_state: string };
    after: { trade_state: string; order_state: string };
  }
  const again = async (order_no: string, cookie: string, body: object = {}) =>
    (await (await requery(post('/x', body, cookie), route(order_no))).json()) as Told;

  test('finds the payment whose notification was lost, shows before and after, and signs the timeline', async () => {
    const cookie = await signedIn();
    const { order_no } = await shopper.order();
    const { out_trade_no } = await shopper.pay(order_no);
    expect(await again(order_no, cookie)).toMatchObject({ outcome: 'told', said: 'NOTPAY', out_trade_no });
    await counter.control('faults', { notify_never: {} }, 'PUT');
    await counter.control('pay', { out_trade_no });
    await counter.control('faults', undefined, 'DELETE');
    counter.advance(5);
    const found = await again(order_no, cookie);
    expect(found).toMatchObject({
      outcome: 'told',
      said: 'SUCCESS',
      before: { trade_state: 'NOTPAY', order_state: 'NOTPAY' },
      after: { trade_state: 'SUCCESS', order_state: 'SUCCESS' },
    });
    const events = await counter.ctx.db.event.findMany({ where: { order_no, kind: 'query' } });
    expect(events.map(({ source }) => source)).toEqual(['operator', 'operator']);
  });

  test('twice at once is one question', async () => {
    const cookie = await signedIn();
    const { order_no } = await shopper.order();
    await shopper.pay(order_no);
    const outcomes = await Promise.all([again(order_no, cookie), again(order_no, cookie)]);
    expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(['recently', 'told']);
  });

  test('a number WeChat never heard of changes nothing', async () => {
    const cookie = await signedIn();
    const { order_no } = await makeTrade(counter.ctx.db);
    await counter.ctx.db.trade.updateMany({
      where: { order_no },
      data: { appid: counter.ctx.config.WECHAT_APPID, mch_id: counter.ctx.config.WECHAT_MCH_ID },
    });
    const answer = await again(order_no, cookie);
    expect(answer).toMatchObject({ outcome: 'not_found', before: { trade_state: 'NOTPAY' } });
    expect(answer.after).toEqual(answer.before);
  });

  test('another order’s number, and a page of another site, are refused', async () => {
    const cookie = await signedIn();
    const { order_no } = await makeTrade(counter.ctx.db);
    const { out_trade_no } = await makeTrade(counter.ctx.db);
    expect(await told(await requery(post('/x', { out_trade_no }, cookie), route(order_no)))).toEqual({
      status: 404,
      code: 'not_found',
    });
    const foreign = post('/x', {}, cookie, { origin: 'https://evil.example' });
    expect((await requery(foreign, route(order_no))).status).toBe(403);
  });
});
