// TCP ports on the loopback address: which are free, and which number a setting asks for.
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { Fault } from './fault.ts';

const host = '127.0.0.1';

// Below the range from which systems hand out ports by themselves: nothing takes one by chance before its use.
const lowest = 20_000;
const highest = 32_000;

/** A port nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = randomInt(lowest, highest);
    if (await isFree(port)) return port;
  }
  throw new Fault(`No free port was found between ${lowest} and ${highest} on ${host}.`);
}

export async function isFree(port: number): Promise<boolean> {
  try {
    await listenOnce(port);
    return true;
  } catch (error) {
    if (
      error instanceof Error &&
      'code' in error &&
      (error.code === 'EADDRINUSE' || error.code === 'EACCES')
    ) {
      return false;
    }
    throw error;
  }
}

/**
 * The port for a setting such as PORT. Unset: the default, or a free one if that is taken (`moved` is then true).
 * `0`: a free one. Any other number must be free; otherwise a Fault names the setting.
 */
export async function choosePort(
  name: string,
  default_port: number,
): Promise<{ port: number; moved: boolean }> {
  const asked = process.env[name]?.trim();
  if (asked === undefined || asked === '') {
    if (await isFree(default_port)) return { port: default_port, moved: false };
    return { port: await freePort(), moved: true };
  }
  if (!/^\d{1,5}$/.test(asked) || Number(asked) > 65_535) {
    throw new Fault(`${name} must be a port number from 0 to 65535 (0 picks a free one), not "${asked}".`);
  }
  if (asked === '0') return { port: await freePort(), moved: false };
  const port = Number(asked);
  if (await isFree(port)) return { port, moved: false };
  throw new Fault(
    `${name}=${port}: another program listens on ${host}:${port}, or this user may not. ` +
      `Stop it, or choose another number; ${name}=0 picks a free one.`,
  );
}

function listenOnce(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()));
  });
}
