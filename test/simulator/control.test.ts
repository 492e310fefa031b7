// The control door, the memory across restarts and the command line.

import { spawn } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSimulator } from '../../simulator/server.ts';
import { type Config, openWorld, type Told, type World } from './world.ts';

let w: World;
beforeAll(async () => {
  w = await openWorld();
});
afterAll(() => w.close());

describe('the configuration', () => {
  it('tells a client all it needs, with certificates that fit their keys', () => {
    expect(w.config.official_account.appid).toMatch(/^wx[0-9a-f]{16}$/);
    expect(w.merchant).toMatchObject({ mch_id: '1900000109', appid: w.config.official_account.appid });
    expect(w.merchant.api_v2_key).toHaveLength(32);
    expect(w.merchant.api_v3_key).toHaveLength(32);
    const certificate = new X509Certificate(w.merchant.merchant_cert_pem);
    expect(certificate.serialNumber).toBe(w.merchant.merchant_cert_serial);
    expect(certificate.checkPrivateKey(createPrivateKey(w.merchant.merchant_key_pem))).toBe(true);
    expect(w.config.users.length).toBeGreaterThanOrEqual(3);
    expect(w.config.now).toMatch(/\+08:00$/);
  });

  it('registers a shop later', async () => {
    const { body } = await w.control('PUT', 'shop', { origin: 'http://127.0.0.1:3000' });
    expect(body).toMatchObject({
      payment_directories: ['http://127.0.0.1:3000/pay/'],
      oauth_domains: ['127.0.0.1:3000'],
      js_domains: ['127.0.0.1:3000'],
    });
    const own = { payment_directories: ['https://a.com/'], oauth_domains: ['a.com'], js_domains: ['b.com'] };
    expect((await w.control('PUT', 'shop', own)).body).toMatchObject({
      origin: 'http://127.0.0.1:3000',
      ...own,
    });
    expect((await w.control('PUT', 'shop', { origin: 'http://a.com/x' })).status).toBe(400);
  });
});

/** One balance out of the ledger's list: the named user's, else the first. */
function purse(of: Told['users'], openid?: string): number {
  const one = of.find((p) => openid === undefined || p.openid === openid);
  if (one === undefined) throw new Error('no such purse');
  return one.balance_fen;
}

describe('the payer', () => {
  it('pays by number, prepay_id, code or link, and every fen is booked', async () => {
    const before = (await w.control('GET', 'ledger')).body;
    const jsapi = await w.place();
    const native = await w.place({ trade_type: 'NATIVE', product_id: 'p', openid: '' });
    const h5 = await w.place({ trade_type: 'MWEB', scene_info: '{}', openid: '' });
    expect((await w.pay({ prepay_id: jsapi.prepay_id })).body).toMatchObject({
      trade_state: 'SUCCESS',
      openid: w.user.openid,
    });
    expect((await w.pay({ code_url: native.code_url, openid: w.other.openid })).body.openid).toBe(
      w.other.openid,
    );
    expect((await w.pay({ h5_url: h5.mweb_url })).body).toMatchObject({
      out_trade_no: h5.out_trade_no,
      total_fen: 1288,
    });
    const after = (await w.control('GET', 'ledger')).body;
    expect(after.paid_fen - before.paid_fen).toBe(3 * 1288);
    expect(purse(after.merchants) - purse(before.merchants)).toBe(3 * 1288);
    const lost = (openid: string) => purse(before.users, openid) - purse(after.users, openid);
    expect(lost(w.user.openid)).toBe(2 * 1288);
    expect(lost(w.other.openid)).toBe(1288);
    expect(after.entries.at(-1)).toMatchObject({
      kind: 'payment',
      out_trade_no: h5.out_trade_no,
      amount_fen: 1288,
      cash_fen: 1288,
    });
  });

  it('is refused as he would see it, and nothing is booked', async () => {
    const { out_trade_no } = await w.place();
    const before = (await w.control('GET', 'ledger')).body.paid_fen;
    expect(await w.pay({ out_trade_no, openid: w.other.openid })).toMatchObject({
      status: 403,
      body: { code: 'BUYER_MISMATCH' },
    });
    expect(await w.pay({ out_trade_no, openid: 'oNobody' })).toMatchObject({
      status: 400,
      body: { code: 'PARAM_ERROR' },
    });
    expect(await w.pay({ out_trade_no: 'NOSUCH' })).toMatchObject({
      status: 404,
      body: { code: 'ORDERNOTEXIST' },
    });
    expect(await w.pay({ prepay_id: 'wx1' })).toMatchObject({ status: 404, body: { code: 'ORDERNOTEXIST' } });
    expect(await w.pay({})).toMatchObject({ status: 400, body: { code: 'BAD_REQUEST' } });
    expect(await w.pay({ out_trade_no, coupon_fen: 1288 })).toMatchObject({
      status: 400,
      body: { code: 'PARAM_ERROR' },
    });
    const short = await w.place({ openid: w.poor.openid });
    expect(await w.pay({ out_trade_no: short.out_trade_no })).toMatchObject({
      status: 402,
      body: { code: 'NOTENOUGH' },
    });
    expect((await w.control('GET', 'ledger')).body.paid_fen).toBe(before);
    await w.control('PUT', 'users', { openid: w.poor.openid, balance_fen: 5000 });
    expect((await w.pay({ out_trade_no: short.out_trade_no })).status).toBe(200);
    expect(await w.pay({ out_trade_no: short.out_trade_no })).toMatchObject({
      status: 409,
      body: { code: 'ORDERPAID' },
    });
  });

  it('cannot use a code older than two hours or an H5 link older than five minutes', async () => {
    const native = await w.place({ trade_type: 'NATIVE', product_id: 'p', openid: '' });
    const h5 = await w.place({ trade_type: 'MWEB', scene_info: '{}', openid: '' });
    await w.advance(301);
    expect(await w.pay({ h5_url: h5.mweb_url })).toMatchObject({
      status: 400,
      body: { code: 'INVALID_REQUEST' },
    });
    expect((await w.pay({ out_trade_no: h5.out_trade_no })).status).toBe(200);
    await w.advance(6900);
    expect(await w.pay({ code_url: native.code_url })).toMatchObject({
      status: 400,
      body: { code: 'INVALID_REQUEST' },
    });
  });

  it('twenty thumbs at once pay once', async () => {
    const { out_trade_no } = await w.place();
    const answers = await Promise.all(Array.from({ length: 20 }, () => w.pay({ out_trade_no })));
    expect(answers.map((a) => a.status).sort()).toEqual([200, ...Array(19).fill(409)]);
    const { entries } = (await w.control('GET', `ledger?out_trade_no=${out_trade_no}`)).body;
    expect(entries).toHaveLength(1);
  });
});

describe('the clock', () => {
  it('goes forward only', async () => {
    const before = (await w.control('GET', 'clock')).body.now_ms;
    const { body } = await w.advance(3600);
    expect(body.now_ms - before).toBeGreaterThanOrEqual(3_600_000);
    expect((await w.advance(-1)).status).toBe(400);
    expect((await w.control('POST', 'clock', {})).status).toBe(400);
  });

  it('is what transaction numbers, prepay_ids and time_end are made of', async () => {
    const placed = await w.place();
    const paid = (await w.pay({ out_trade_no: placed.out_trade_no })).body;
    const { now } = (await w.control('GET', 'clock')).body;
    const day = now.slice(0, 10).replaceAll('-', '');
    expect(placed.prepay_id.slice(2, 10)).toBe(day);
    expect(paid.transaction_id.slice(10, 18)).toBe(day);
    expect(paid.time_end.slice(0, 8)).toBe(day);
  });
});

describe('small manners', () => {
  it('the log tells request, answer and reason, and can be narrowed', async () => {
    await w.call('/pay/orderquery', { out_trade_no: 'LOGGED' });
    const { entries } = (await w.control('GET', 'log?out_trade_no=LOGGED')).body;
    expect(entries).toMatchObject([{ path: '/pay/orderquery', code: 'ORDERNOTEXIST', status: 200 }]);
    expect(entries[0]?.request).toContain('LOGGED');
    expect(entries[0]?.answer).toContain('ORDERNOTEXIST');
    expect((await w.control('GET', `log?since=${entries[0]?.log_id}`)).body.entries).toEqual([]);
  });

  it('wrong methods, broken bodies and giants are refused', async () => {
    expect((await w.control('GET', 'pay')).status).toBe(405);
    const broken = await fetch(`${w.url}/_sim/pay`, { method: 'POST', body: '{' });
    expect(broken.status).toBe(400);
    const giant = await fetch(`${w.url}/_sim/pay`, { method: 'POST', body: 'x'.repeat(1_100_000) });
    expect(giant.status).toBe(413);
    expect((await w.control('GET', 'nothing')).status).toBe(404);
  });

  it('the page for people is served with its style and script', async () => {
    for (const [path, type] of [
      ['', 'text/html'],
      ['page.css', 'text/css'],
      ['page.js', 'text/javascript'],
      ['bridge.js?mode=ok', 'text/javascript'],
    ] as const) {
      const answer = await fetch(`${w.url}/_sim/${path}`);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toContain(type);
      await answer.text();
    }
  });

  it('reset forgets orders and balances, and never repeats a number', async () => {
    const placed = await w.place();
    await w.pay({ out_trade_no: placed.out_trade_no });
    await w.settle();
    const last = (await w.notification(placed.out_trade_no)).notification_id;
    await w.control('POST', 'reset');
    expect((await w.control('GET', 'orders')).body.orders).toEqual([]);
    expect((await w.control('GET', 'ledger')).body.users[0]?.balance_fen).toBe(w.user.balance_fen);
    const next = await w.place();
    await w.pay({ out_trade_no: next.out_trade_no });
    expect(Number((await w.notification(next.out_trade_no)).notification_id)).toBeGreaterThan(Number(last));
  });
});

describe('memory', () => {
  it('a state file carries orders, balances, the clock and due notifications across a restart', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'simulator-'));
    const state_file = join(folder, 'state.json');
    try {
      const first = await openWorld({ state_file });
      const { out_trade_no } = await first.place({ notify_url: w.sink.url });
      await first.faults({ notify_late: 3600 });
      const paid = (await first.pay({ out_trade_no })).body;
      await first.advance(1800);
      await first.close();
      expect(JSON.parse(await readFile(state_file, 'utf8')).layout).toBe(1);
      const second = await openWorld({ state_file });
      expect((await second.query(out_trade_no)).fields.transaction_id).toBe(paid.transaction_id);
      expect((await second.control('GET', 'clock')).body.ahead_s).toBeGreaterThanOrEqual(1800);
      w.sink.arrivals.length = 0;
      await second.advance(1801);
      expect(w.sink.arrivals.map((a) => a.fields.out_trade_no)).toEqual([out_trade_no]);
      await second.close();
      await writeFile(state_file, '{"layout":0}');
      await expect(startSimulator({ state_file })).rejects.toThrow(/layout 1/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('the same seed gives the same ids and keys', async () => {
    const run = async (seed: string) => {
      const world = await openWorld({ seed });
      const { prepay_id } = await world.place({ out_trade_no: 'SEEDED' });
      const { api_v2_key, merchant_key_pem } = world.merchant;
      await world.close();
      return [prepay_id.slice(16), api_v2_key, merchant_key_pem];
    };
    const [one, again, other] = [await run('a'), await run('a'), await run('b')];
    expect(again).toEqual(one);
    expect(other.some((value, i) => value === one[i])).toBe(false);
  });
});

describe('the command line', () => {
  const main = (args: string[]) =>
    spawn(process.execPath, ['simulator/main.ts', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });

  it('prints one JSON object, then READY, and ends cleanly on SIGTERM', async () => {
    const child = main(['--port', '0', '--json', '--shop-origin', 'http://127.0.0.1:3000/']);
    let out = '';
    child.stdout.on('data', (part) => {
      out += part;
    });
    await expect.poll(() => out, { timeout: 20_000 }).toMatch(/READY\n$/);
    const printed = JSON.parse(out.split('\n')[0] ?? '') as {
      simulator: string;
      phone: string;
      config: Config;
    };
    expect(printed.config.base_url).toBe(printed.simulator);
    expect(printed.phone).toMatch(/^http:\/\/localhost:/);
    expect(printed.config.payment_directories).toEqual(['http://127.0.0.1:3000/pay/']);
    expect((await fetch(`${printed.simulator}/_sim/clock`)).status).toBe(200);
    child.kill('SIGTERM');
    expect(await new Promise((done) => child.on('exit', done))).toBe(0);
  });

  it.each([[['--port', 'x']], [['--nonsense']]])('refuses %j with a reason and exit 1', async (args) => {
    const child = main(args);
    let err = '';
    child.stderr.on('data', (part) => {
      err += part;
    });
    expect(await new Promise((done) => child.on('exit', done))).toBe(1);
    expect(err).not.toBe('');
    expect(err).not.toContain('    at ');
  });
});
