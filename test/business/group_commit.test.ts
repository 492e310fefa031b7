/** Group commit by itself, without a database: what goes together, what waits for what, and who hears of a failure. */
import { expect, test } from 'vitest';
import { createGroupCommit } from '../../lib/group_commit.ts';

/** A commit that ends when it is told to, and remembers what it was given. */
function heldCommits() {
  const batches: string[][] = [];
  const ends: (() => void)[] = [];
  const commit = (batch: readonly string[]): Promise<string[]> => {
    batches.push([...batch]);
    return new Promise((resolve) => {
      ends.push(() => resolve(batch.map((item) => `${item}!`)));
    });
  };
  return { batches, end: (nth: number) => ends[nth]?.(), commit };
}
const turnOfTheLoop = () => new Promise((resolve) => setImmediate(resolve));

test('what arrives in one turn of the loop is one commit, and one item alone leaves with that turn', async () => {
  const { batches, end, commit } = heldCommits();
  const add = createGroupCommit(commit);
  const first = add('a');
  await Promise.resolve();
  const second = add('b');
  await turnOfTheLoop();
  expect(batches).toEqual([['a', 'b']]);
  end(0);
  expect(await Promise.all([first, second])).toEqual(['a!', 'b!']);
  const third = add('c');
  await turnOfTheLoop();
  expect(batches).toEqual([['a', 'b'], ['c']]);
  end(1);
  expect(await third).toBe('c!');
});

test('while as many commits as may are in flight the rest waits, and then goes together', async () => {
  const { batches, end, commit } = heldCommits();
  const add = createGroupCommit(commit, { most: 3, in_flight: 2 });
  const answers: Promise<string>[] = [];
  for (const item of ['a', 'b', 'c', 'd', 'e', 'f']) {
    answers.push(add(item));
    await turnOfTheLoop();
  }
  expect(batches).toEqual([['a'], ['b']]);
  end(1);
  await answers[1];
  await turnOfTheLoop();
  expect(batches).toEqual([['a'], ['b'], ['c', 'd', 'e']]);
  end(0);
  await answers[0];
  await turnOfTheLoop();
  expect(batches.at(-1)).toEqual(['f']);
  end(2);
  end(3);
  expect(await Promise.all(answers)).toEqual(['a!', 'b!', 'c!', 'd!', 'e!', 'f!']);
});

test('a batch that fails is tried item by item, and only the item at fault hears of it', async () => {
  const add = createGroupCommit(async (batch: readonly string[]) => {
    if (batch.includes('poison')) throw new Error('not this one');
    return batch;
  });
  const settled = await Promise.allSettled(['a', 'poison', 'b'].map(add));
  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

test('fewer results than items are a failure, not silence', async () => {
  const add = createGroupCommit(async () => [] as string[]);
  await expect(add('a')).rejects.toThrow('1 items were committed, 0 results came back');
});
