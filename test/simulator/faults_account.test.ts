// The faults of the official account's API, each by its name.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorld, type World } from './world.ts';

let w: World;
beforeAll(async () => {
  w = await openWorld();
});
afterAll(() => w.close());

function fault(name: string, what: string, run: () => Promise<void>): void {
  it(`${name}: ${what}`, run);
}

describe('a call of the official account goes wrong', () => {
  fault('api_errcode', 'any errcode at one door, so often, and nothing was done', async () => {
    await w.faults({ stable_token_api_errcode: { errcode: 40164, times: 1 } });
    const { appid, secret } = w.config.official_account;
    const ask = async (): Promise<Record<string, unknown>> =>
      JSON.parse(
        await (
          await fetch(`${w.url}/cgi-bin/stable_token`, {
            method: 'POST',
            body: JSON.stringify({ grant_type: 'client_credential', appid, secret }),
          })
        ).text(),
      );
    expect(await ask()).toMatchObject({
      errcode: 40164,
      errmsg: expect.stringContaining('not in whitelist'),
    });
    expect(await ask()).toHaveProperty('access_token');
  });
});
