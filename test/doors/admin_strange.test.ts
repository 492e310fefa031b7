/** Strange addresses and texts from a signed-in operator: a coded 4xx or the unfiltered list, never a 500. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { POST as explain } from '../../app/api/admin/differences/[id]/resolve/route.ts';
import { POST as login } from '../../app/api/admin/login/route.ts';
import { POST as refund } from '../../app/api/admin/orders/[order_no]/refund/route.ts';
import { GET as listAll } from '../../app/api/admin/orders/route.ts';
import { POST as reconcile } from '../../app/api/admin/statements/[date]/route.ts';
import { setAdmin } from '../../lib/admin_account.ts';
import { auditFilter, listAudit } from '../../lib/admin_audit.ts';
import { listRefunds, refundFilter } from '../../lib/admin_refunds.ts';
import { beginSession } from '../../lib/sessions.ts';
import { type Counter, openCounter } from '../setup/counter.ts';
import { makeTrade } from '../setup/rows.ts';

let counter: Counter;
let cookie: string;
beforeAll(async () => {
  counter = await openCounter();
  await setAdmin(counter.ctx.db, 'operator', counter.ctx.now());
  const { id } = await counter.ctx.db.admin.findUniqueOrThrow({ where: { username: 'operator' } });
  const { set_cookie } = await beginSession(counter.ctx, 'admin', { admin_id: id });
  cookie = set_cookie.split(';')[0] ?? '';
  await makeTrade(counter.ctx.db);
});
afterAll(() => counter.close());

const post = (body: unknown) =>
  new Request(`${counter.host.origin}/x`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', origin: counter.host.origin, cookie },
  });

test.each([
  ['after', '9999999999999999_20261123183007ABCDEFGHJKMNPQRS'],
  ['after', '8640000000000001_20261123183007ABCDEFGHJKMNPQRS'],
  ['after', '8640000000000000_20261123183007ABCDEFGHJKMNPQRS'],
  ['from', '0000-01-01'],
  ['from', '0001-01-01'],
  ['to', '9999-12-31'],
  ['q', '\u0000\u0000\u0000\u0000'],
  ['q', '\ud800\ud800\ud800\ud800'],
])('orders with %s=%j are the unfiltered list', async (name, value) => {
  const query = new URLSearchParams({ [name]: value });
  const answer = await listAll(
    new Request(`${counter.host.origin}/api/admin/orders?${query}`, { headers: { cookie } }),
  );
  expect(answer.status).toBe(200);
  expect(((await answer.json()) as { orders: unknown[] }).orders).toHaveLength(1);
});

test.each(['9999999999999999_1', '8640000000000001_1', '8640000000000000_999999999999999999'])(
  'audit and refunds after %s begin with the first page',
  async (after) => {
    const { ctx } = counter;
    expect(auditFilter.parse({ after }).after).toBeUndefined();
    expect(refundFilter.parse({ after }).after).toBeUndefined();
    await expect(listAudit(ctx, auditFilter.parse({ after }))).resolves.toBeDefined();
    await expect(listRefunds(ctx, refundFilter.parse({ after }))).resolves.toBeDefined();
  },
);

describe.each([
  ['NUL', '退\u0000货'],
  ['half a character', '退\ud83d货'],
])('%s', (_name, text) => {
  const refused = { error: { code: 'bad_request' } };

  test('in a refund’s reason is refused by name, and nothing is reserved', async () => {
    const paid = { order_state: 'SUCCESS', trade_state: 'SUCCESS' } as const;
    const { order_no, out_trade_no } = await makeTrade(counter.ctx.db, paid);
    const wish = { out_trade_no, refund_fen: 1, reason: text, command_key: crypto.randomUUID() };
    const answer = await refund(post(wish), { params: Promise.resolve({ order_no }) });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { code: 'bad_request', field: 'reason' } });
    expect(await counter.ctx.db.refund.count({ where: { out_trade_no } })).toBe(0);
  });

  test('in a difference’s note and in a user name is refused', async () => {
    const note = await explain(post({ note: text }), { params: Promise.resolve({ id: '1' }) });
    expect(note.status).toBe(400);
    expect(await note.json()).toMatchObject(refused);
    const name = await login(post({ username: text, password: 'nonsense' }));
    expect(name.status).toBe(400);
    expect(await name.json()).toMatchObject(refused);
  });
});

test.each(['0000-01-01', '9999-12-31', '2026-02-30', 'x'])('no statement is made of %s', async (date) => {
  const answer = await reconcile(post({}), { params: Promise.resolve({ date }) });
  expect(answer.status).toBeGreaterThanOrEqual(400);
  expect(answer.status).toBeLessThan(500);
});
