// `npm run reconcile -- --date YYYY-MM-DD [--json]`: fetches and compares one day's bill by hand, telling how far it
// is. A second run of a day changes nothing. Exit 0: equal; 1: differences; 2: no bill to compare.
import './small_heap.ts';
import { parseArgs } from 'node:util';
import { ConfigError, readConfig } from '../lib/config.ts';
import { AppError, explain } from '../lib/errors.ts';
import { reconcileDay } from '../lib/statements.ts';
import { loadEnvironmentFiles } from './environment_files.ts';
import { createContextOnItsClock } from './simulated_clock.ts';

const usage = 'usage: npm run reconcile -- --date YYYY-MM-DD [--json]';

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { date: { type: 'string' }, json: { type: 'boolean' } } });
  if (values.date === undefined) {
    console.error(usage);
    return 2;
  }
  loadEnvironmentFiles();
  const ctx = await createContextOnItsClock(readConfig(process.env));
  const started = performance.now();
  try {
    const result = await reconcileDay(ctx, values.date, (step) => {
      if (!values.json)
        console.log(`${((performance.now() - started) / 1_000).toFixed(1).padStart(6)} s  ${step}`);
    });
    if (values.json) console.log(JSON.stringify(result));
    else {
      console.log(
        `${result.bill_date}: ${result.state}, ${result.rows} rows, ${result.settled} settled by the bill, ` +
          `${result.differences} open differences${result.problem === '' ? '' : `; ${result.problem}`}`,
      );
    }
    if (result.state === 'WAITING' || result.state === 'REFUSED') return 2;
    return result.differences === 0 ? 0 : 1;
  } finally {
    await ctx.close();
  }
}

try {
  process.exitCode = await main();
} catch (thrown) {
  if (thrown instanceof AppError) console.error(explain(thrown, 'en'));
  else if (thrown instanceof ConfigError) console.error(thrown.message);
  else throw thrown;
  process.exitCode = 2;
}
