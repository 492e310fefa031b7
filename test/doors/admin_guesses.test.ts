/** Guessing an operator's password: it stops the address that guesses and never the operator who is guessed at. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { POST as login } from '../../app/api/admin/login/route.ts';
import { setAdmin, signIn } from '../../lib/admin_account.ts';
import { delayAfter, forgiveGuesses } from '../../lib/admin_guesses.ts';
import { AppError } from '../../lib/errors.ts';
import { addressOf } from '../../lib/tally.ts';
import { type Counter, openCounter } from '../setup/counter.ts';

let counter: Counter;
let password: string;
beforeAll(async () => {
  counter = await openCounter();
  password = await setAdmin(counter.ctx.db, 'operator', counter.ctx.now());
});
afterAll(() => counter.close());
beforeEach(() => counter.ctx.db.login_attempt.deleteMany());

interface Tried {
  code: string;
  waited_ms: number;
  device_cookie: string;
}

/** One attempt, told how long it was kept waiting instead of waiting. */
async function attempt(guess: string, ip: string, cookie = '', username = 'operator'): Promise<Tried> {
  let waited_ms = 0;
  const request = new Request(counter.host.origin, { headers: { cookie } });
  const wait = async (ms: number): Promise<void> => {
    waited_ms += ms;
  };
  try {
    const begun = await signIn(counter.ctx, { username, password: guess }, { ip, request, wait });
    return { code: 'in', waited_ms, device_cookie: begun.device_cookie.split(';')[0] ?? '' };
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    return { code: thrown.code, waited_ms, device_cookie: '' };
  }
}

/** A stranger with many addresses, who keeps to each address's share. */
async function besiege(guesses: number): Promise<void> {
  for (let nth = 0; nth < guesses; nth += 1) {
    expect(await attempt('nonsense', `10.1.${nth}.1`)).toMatchObject({ code: 'wrong_login' });
  }
}

describe('a name guessed at from a hundred addresses', () => {
  test('still opens to its operator, on a new device after a wait, on one used before at once', async () => {
    const { device_cookie } = await attempt(password, '10.9.0.1');
    await besiege(30);
    expect(await attempt(password, '10.9.0.2')).toMatchObject({ code: 'in', waited_ms: 8_000 });
    expect(await attempt(password, '10.9.0.2', device_cookie)).toMatchObject({ code: 'in', waited_ms: 0 });
  });

  test('keeps the stranger waiting longer each time, whether or not the name exists', async () => {
    for (const username of ['operator', 'nobody']) {
      const waits: number[] = [];
      for (let nth = 0; nth < 18; nth += 1) {
        waits.push((await attempt('nonsense', `10.2.${nth}.1`, '', username)).waited_ms);
      }
      expect(waits.slice(0, 11).every((ms) => ms === 0)).toBe(true);
      expect(waits.slice(11)).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 8_000]);
    }
    expect(delayAfter(1_000)).toBe(8_000);
  });

  test('another operator’s device, a forged and a cut cookie are kept waiting', async () => {
    const other = await setAdmin(counter.ctx.db, 'other', counter.ctx.now());
    const { device_cookie } = await attempt(other, '10.9.0.1', '', 'other');
    await besiege(20);
    for (const cookie of [device_cookie, `${device_cookie.slice(0, -2)}~2x`, 'guitai_device=x']) {
      expect((await attempt('nonsense', '10.9.0.3', cookie)).waited_ms).toBeGreaterThan(0);
    }
  });

  test('a device that two operators used is known to both', async () => {
    const other = await setAdmin(counter.ctx.db, 'other', counter.ctx.now());
    const first = await attempt(password, '10.9.0.1');
    const second = await attempt(other, '10.9.0.1', first.device_cookie, 'other');
    await besiege(15);
    expect((await attempt(password, '10.9.0.2', second.device_cookie)).waited_ms).toBe(0);
  });
});

describe('an address that guesses', () => {
  test('is refused after five at one name and twenty at any, with the right password too, others are not', async () => {
    for (let nth = 0; nth < 5; nth += 1) await attempt('nonsense', '10.0.0.1');
    expect((await attempt(password, '10.0.0.1')).code).toBe('too_many_attempts');
    expect((await attempt(password, '10.0.0.2')).code).toBe('in');
    for (let nth = 0; nth < 20; nth += 1) await attempt('nonsense', '10.0.0.3', '', `name${nth}`);
    expect((await attempt(password, '10.0.0.3')).code).toBe('too_many_attempts');
  });

  test('is a whole /64 of IPv6, however it is written', async () => {
    expect(addressOf('2001:db8::1')).toBe('2001:db8:0:0::/64');
    expect(addressOf('2001:0DB8:0:0:ffff::9')).toBe('2001:db8:0:0::/64');
    expect(addressOf('2001:db8:0:1::1')).toBe('2001:db8:0:1::/64');
    expect(addressOf('64:ff9b::192.0.2.33')).toBe('64:ff9b:0:0::/64');
    expect(addressOf('::1')).toBe('0:0:0:0::/64');
    expect(addressOf('203.0.113.9')).toBe('203.0.113.9');
    for (let nth = 1; nth <= 5; nth += 1) await attempt('nonsense', `2001:db8::${nth}`);
    expect((await attempt(password, '2001:db8::ffff')).code).toBe('too_many_attempts');
    expect((await attempt(password, '2001:db8:0:1::1')).code).toBe('in');
  });

  test('is let in again when its guesses are forgiven, or the operator gets a new password', async () => {
    const shut = async (): Promise<void> => {
      for (let nth = 0; nth < 5; nth += 1) await attempt('nonsense', '10.0.0.1');
      expect((await attempt(password, '10.0.0.1')).code).toBe('too_many_attempts');
    };
    await shut();
    expect(await forgiveGuesses(counter.ctx.db, 'operator')).toBe(5);
    expect((await attempt(password, '10.0.0.1')).code).toBe('in');
    await shut();
    expect(await forgiveGuesses(counter.ctx.db)).toBe(5);
    await shut();
    password = await setAdmin(counter.ctx.db, 'operator', counter.ctx.now());
    expect((await attempt(password, '10.0.0.1')).code).toBe('in');
  });
});

test('the command forgives the guesses at a name, and leaves the others', async () => {
  for (let nth = 0; nth < 3; nth += 1) {
    await attempt('nonsense', '10.0.0.1');
    await attempt('nonsense', '10.0.0.1', '', 'other');
  }
  const script = new URL('../../scripts/admin.ts', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(process.execPath, [script, '--unlock', 'operator'], {
    env: { ...process.env, DATABASE_URL: counter.settings.DATABASE_URL },
  });
  expect(stdout).toBe('forgot 3 wrong guess(es)\n');
  expect(await counter.ctx.db.login_attempt.count({ where: { username: 'other' } })).toBe(3);
});

test('signing in leaves two cookies, and the device’s alone opens nothing', async () => {
  const answer = await login(
    new Request(`${counter.host.origin}/api/admin/login`, {
      method: 'POST',
      body: JSON.stringify({ username: 'operator', password }),
      headers: { 'content-type': 'application/json', origin: counter.host.origin },
    }),
  );
  const cookies = answer.headers.getSetCookie();
  expect(cookies.map((cookie) => cookie.split('=')[0])).toEqual(['guitai_admin', 'guitai_device']);
  expect(cookies[1]).toMatch(/HttpOnly; SameSite=Strict/);
});
