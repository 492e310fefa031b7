// npm run bench: measures the shop beside its peers, in turns, in one run, and holds the results against the goals.
// --quick for a few minutes, --only NAME for one measure, --json or --markdown for another shape, --seed N to repeat.
// Ends with 1 when a goal is missed or a server answered wrongly.
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { measureBill } from './bench/bill.ts';
import { measureNotifications } from './bench/notifications.ts';
import { measurePayPage } from './bench/pay_page.ts';
import { createRandom } from './bench/random.ts';
import { asJson, asMarkdown, asText } from './bench/report.ts';
import { allKept, type Measure } from './bench/results.ts';
import { createSite, type Site } from './bench/site.ts';
import { Fault, runScript } from './fault.ts';
import { liveWhile } from './life.ts';
import { dataDir } from './paths.ts';
import { note } from './progress.ts';

type Run = (site: Site, quick: boolean) => Promise<Measure>;

const measures: Record<string, Run> = {
  notifications: (site, quick) =>
    measureNotifications(site, quick ? { rounds: 5, turn_s: 2.5 } : { rounds: 9, turn_s: 6 }),
  bill: (site, quick) =>
    measureBill(site, quick ? { rows: 100_000, rounds: 3 } : { rows: 1_000_000, rounds: 3 }),
  pay_page: (site, quick) => measurePayPage(site, { rounds: quick ? 7 : 21 }),
};

await runScript(() => {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      seed: { type: 'string', default: '1' },
      // For whoever makes it faster: our servers write CPU profiles there.
      profile: { type: 'string' },
    },
  });
  const chosen = values.only ?? Object.keys(measures);
  for (const name of chosen) {
    if (measures[name] === undefined) {
      throw new Fault(`There is no measure "${name}"; there are ${Object.keys(measures).join(', ')}.`);
    }
  }
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(seed)) throw new Fault(`--seed must be a whole number, not "${values.seed}".`);

  return liveWhile(async (life) => {
    const dir = mkdtempSync(join(tmpdir(), 'guitai-bench-'));
    // PostgreSQL may run as another user than root.
    chmodSync(dir, 0o711);
    life.onEnd('and removing the temporary folder', async () =>
      rmSync(dir, { recursive: true, force: true }),
    );
    const log_dir = join(dataDir(), 'logs');
    mkdirSync(log_dir, { recursive: true });
    const site = await createSite({
      life,
      dir,
      log_dir,
      random: createRandom(seed),
      ...(values.profile === undefined ? {} : { profile_dir: resolve(values.profile) }),
    });
    note(`seed ${seed}; logs of the servers in ${log_dir}`);
    const [busy = 0] = loadavg();
    if (busy > 0.5)
      note(`others keep the machine busy (load ${busy.toFixed(1)}): figures will be low and ratios rough`);
    const results: Measure[] = [];
    for (const name of chosen) {
      const measure = measures[name];
      if (measure !== undefined) results.push(await measure(site, values.quick));
    }
    const report = {
      command: `npm run bench --${values.quick ? ' --quick' : ''}${seed === 1 ? '' : ` --seed ${seed}`}`,
      machine: `${availableParallelism()} processor cores, ${process.platform} ${process.arch}, Node ${process.versions.node}, load ${busy.toFixed(1)} before it began`,
      measures: results,
    };
    const shape = values.json ? asJson : values.markdown ? asMarkdown : asText;
    process.stdout.write(`${shape(report)}\n`);
    return allKept(results) ? 0 : 1;
  });
});
