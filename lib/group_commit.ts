/**
 * Group commit: what arrives in one turn of the event loop, or while commits are in flight, goes together in the next
 * one. No timer, so one item alone waits for nothing; each caller is answered only after the commit that holds its
 * item. It knows nothing of what the items are.
 */

export interface GroupCommitOptions {
  /** Items in one commit at the most. */
  most: number;
  /** Commits at the same time at the most. */
  in_flight: number;
}

interface Waiting<In, Out> {
  item: In;
  resolve: (out: Out) => void;
  reject: (cause: unknown) => void;
}

/** `commit` gets a batch and returns one result per item, in order. A failing batch is tried again item by item. */
export function createGroupCommit<In, Out>(
  commit: (batch: readonly In[]) => Promise<readonly Out[]>,
  { most, in_flight }: GroupCommitOptions = { most: 64, in_flight: 2 },
): (item: In) => Promise<Out> {
  const queue: Waiting<In, Out>[] = [];
  let running = 0;
  let planned = false;

  const settle = async (batch: readonly Waiting<In, Out>[]): Promise<void> => {
    try {
      const results = await commit(batch.map(({ item }) => item));
      if (results.length !== batch.length) {
        throw new Error(`${batch.length} items were committed, ${results.length} results came back`);
      }
      results.forEach((out, index) => {
        batch[index]?.resolve(out);
      });
    } catch (cause) {
      if (batch.length === 1) batch[0]?.reject(cause);
      else for (const one of batch) await settle([one]);
    }
  };

  const pump = (): void => {
    while (running < in_flight && queue.length > 0) {
      running += 1;
      void settle(queue.splice(0, most)).finally(() => {
        running -= 1;
        pump();
      });
    }
  };

  return (item) =>
    new Promise<Out>((resolve, reject) => {
      queue.push({ item, resolve, reject });
      if (planned) return;
      planned = true;
      // Under load a turn of the loop brings many requests; the first of them must not leave with a commit of its own.
      setImmediate(() => {
        planned = false;
        pump();
      });
    });
}
