// How a port is chosen: a default gives way, a number that somebody asked for does not.
import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { choosePort, freePort, isFree } from '../../scripts/ports.ts';

const setting = 'TEST_PORT_SETTING';
let holder: Server | undefined;

afterEach(() => {
  delete process.env[setting];
  holder?.close();
  holder = undefined;
});

async function take(port: number): Promise<void> {
  const server = createServer();
  holder = server;
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
}

describe('choosePort', () => {
  it('takes the default when it is free', async () => {
    const port = await freePort();
    expect(await choosePort(setting, port)).toEqual({ port, moved: false });
  });

  it('moves away from a default that is taken, and says so', async () => {
    const port = await freePort();
    await take(port);
    const chosen = await choosePort(setting, port);
    expect(chosen.moved).toBe(true);
    expect(await isFree(chosen.port)).toBe(true);
  });

  it('0 picks a free one', async () => {
    process.env[setting] = '0';
    const { port } = await choosePort(setting, 3000);
    expect(port).toBeGreaterThan(1024);
    expect(await isFree(port)).toBe(true);
  });

  it('refuses a number that is taken, naming the setting', async () => {
    const port = await freePort();
    await take(port);
    process.env[setting] = String(port);
    await expect(choosePort(setting, 3000)).rejects.toThrow(`${setting}=${port}`);
  });

  it.each(['http', '70000', '-1', '80.5'])('refuses %s', async (text) => {
    process.env[setting] = text;
    await expect(choosePort(setting, 3000)).rejects.toThrow(text);
  });
});
