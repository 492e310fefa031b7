// npm run worker: works on the queues until it is told to stop; then takes no new job, finishes the running ones
// within ten seconds, and leaves the rest to another worker. Refuses to start on a wrong setting.
import './small_heap.ts';
import { context } from '../lib/context.ts';
import { startWorker } from '../lib/jobs.ts';
import { loadEnvironmentFiles } from './environment_files.ts';
import { runScript } from './fault.ts';
import { live } from './life.ts';

const silently = <T>(_title: string, work: () => Promise<T>): Promise<T> => work();

await runScript(() => {
  loadEnvironmentFiles();
  const ctx = context();
  return live(async (life) => {
    life.onEnd('the database connections', ctx.close);
    const worker = await startWorker(ctx);
    life.onEnd('the worker', worker.stop);
    ctx.log.info('worker ready');
    process.send?.('ready');
  }, silently);
});
