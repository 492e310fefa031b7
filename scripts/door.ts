// npm run door: the notify addresses alone on a lean server, behind a reverse proxy that sends it /api/notify/.
// DOOR_HOST and DOOR_PORT say where (127.0.0.1:3001). Refuses to start on a wrong setting; SIGTERM finishes what has begun.
import { context } from '../lib/context.ts';
import { type Door, openDoor } from '../lib/door.ts';
import { loadEnvironmentFiles } from './environment_files.ts';
import { Fault, runScript } from './fault.ts';
import { live } from './life.ts';

const default_port = 3001;
const silently = <T>(_title: string, work: () => Promise<T>): Promise<T> => work();

await runScript(() => {
  loadEnvironmentFiles();
  const ctx = context();
  return live(async (life) => {
    life.onEnd('the database connections', ctx.close);
    const door = await open(process.env.DOOR_HOST || '127.0.0.1', portOf(process.env.DOOR_PORT));
    life.onEnd('the door', () => door.close());
    process.stdout.write(`door ${door.origin}\n`);
    process.send?.('ready');

    async function open(host: string, port: number): Promise<Door> {
      try {
        return await openDoor(ctx, host, port);
      } catch (cause) {
        throw new Fault(`The door cannot listen on ${host}:${port}: ${(cause as Error).message}`, { cause });
      }
    }
  }, silently);
});

function portOf(text: string | undefined): number {
  if (text === undefined || text === '') return default_port;
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new Fault(`DOOR_PORT must be a port number from 0 to 65535 (0 picks a free one), not "${text}".`);
}
