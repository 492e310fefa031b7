/** What the README tells an owner to type is true: its product goes on sale at the price it names. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Counter, openCounter } from '../setup/counter.ts';

let counter: Counter;
beforeAll(async () => {
  counter = await openCounter();
});
afterAll(() => counter.close());

test('the product of the README can be bought for 98 yuan', async () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const [, statement = ''] = /```sql\n([^`]+)```/.exec(readme) ?? [];
  expect(statement).toContain('INSERT INTO product');
  await counter.ctx.db.$executeRawUnsafe(statement);
  const shopper = counter.shopper();
  await shopper.signIn();
  expect(await shopper.order('biluochun')).toMatchObject({ total_fen: 9_800 });
});
