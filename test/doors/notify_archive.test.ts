/** What stays of messages nobody believed: their beginning, so many a minute, for a month. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { handlers } from '../../lib/jobs.ts';
import { type Counter, openCounter } from '../setup/counter.ts';
import { knock } from '../setup/host.ts';

let counter: Counter;
beforeAll(async () => {
  counter = await openCounter();
});
afterAll(() => counter.close());
beforeEach(() => counter.ctx.db.notification.deleteMany());

const post = (body: string, path = 'v2/payment') =>
  knock(new Request(`${counter.host.origin}/api/notify/${path}`, { method: 'POST', body }));

test.each(['v2/payment', 'v2/refund', 'v3/payment', 'v3/refund'])(
  'of a long forgery at %s the beginning is kept, with length and digest of the whole',
  async (path) => {
    const body = `<xml><a>${'柜台'.repeat(8_000)}</a></xml>`;
    expect((await post(body, path)).status).toBe(200);
    const [row, ...more] = await counter.ctx.db.notification.findMany();
    expect(more).toEqual([]);
    const bytes = Buffer.from(body);
    expect(row).toMatchObject({
      body_bytes: bytes.length,
      body_sha256: createHash('sha256').update(bytes).digest('hex'),
    });
    expect(Buffer.from(row?.body ?? [])).toEqual(bytes.subarray(0, 2_048));
  },
);

test('a flood is answered FAIL to its end, and leaves so many rows and a count', async () => {
  const answers = await Promise.all(
    Array.from({ length: 150 }, async (_, nth) => {
      const answer = await post(`<xml><nth>${nth}</nth></xml>`);
      return `${answer.status} ${(await answer.text()).includes('FAIL')}`;
    }),
  );
  expect(new Set(answers)).toEqual(new Set(['200 true']));
  const rows = await counter.ctx.db.notification.count();
  const tallies = await counter.ctx.db.tally.findMany({ where: { name: 'notify unbelieved' } });
  // Usually one minute's; two when the test ran over a full minute.
  expect(rows).toBe(tallies.reduce((sum, { count }) => sum + Math.min(120, count), 0) - 4);
  expect(tallies.reduce((sum, { count }) => sum + count, 0)).toBe(154);
});

test('the sweep forgets forgeries after a month and keeps what was believed', async () => {
  await counter.ctx.db.tally.deleteMany();
  await post('<xml><a>forged</a></xml>');
  const [forged] = await counter.ctx.db.notification.findMany();
  if (forged === undefined) throw new Error('the forgery left no row');
  const { headers, ...columns } = forged;
  await counter.ctx.db.notification.create({
    data: { ...columns, headers: headers ?? {}, id: crypto.randomUUID(), verdict: 'mismatch' },
  });
  counter.advance(29 * 86_400);
  await handlers.sweep(counter.ctx, {});
  expect(await counter.ctx.db.notification.count()).toBe(2);
  counter.advance(2 * 86_400);
  await handlers.sweep(counter.ctx, {});
  expect((await counter.ctx.db.notification.findMany()).map(({ verdict }) => verdict)).toEqual(['mismatch']);
});
