// The embedded PostgreSQL: made once, found again, and not confused by what a crash leaves behind.
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Postgres, runningPostgres, startPostgres } from '../../scripts/postgres.ts';

let data_dir: string;
let home: string;
let server: Postgres | undefined;
let stranger: ChildProcess | undefined;

beforeEach(() => {
  data_dir = mkdtempSync(join(tmpdir(), 'guitai-postgres-'));
  chmodSync(data_dir, 0o711);
});

afterEach(async () => {
  await server?.stop();
  server = undefined;
  stranger?.kill();
  stranger = undefined;
  rmSync(home, { recursive: true, force: true });
  rmSync(data_dir, { recursive: true, force: true });
});

async function start(): Promise<Postgres> {
  const settings = ['fsync=off'];
  server = await startPostgres(data_dir, {
    database: 'shop',
    settings,
    copy_dir: join(data_dir, 'programs'),
  });
  home = server.home;
  return server;
}

async function ask(url: string, sql: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<{ answer: unknown }>(sql)).rows[0]?.answer;
  } finally {
    await client.end();
  }
}

function pidFile(): string {
  return join(home, 'cluster', 'postmaster.pid');
}

// A busy machine takes its time to make a cluster.
describe('an embedded PostgreSQL', { timeout: 180_000 }, () => {
  it('speaks UTF-8, sorts by bytes, listens on loopback alone and asks for a password', async () => {
    const { url } = await start();
    expect(
      await ask(
        url('shop'),
        "select concat(current_setting('server_encoding'), ' ', datcollate) as answer from pg_database where datname = 'shop'",
      ),
    ).toBe('UTF8 C');
    expect(await ask(url('shop'), "select current_setting('listen_addresses') as answer")).toBe('127.0.0.1');
    const stolen = new URL(url('shop'));
    stolen.password = 'guess';
    await expect(ask(stolen.href, 'select 1 as answer')).rejects.toThrow(/password authentication failed/);
    expect(statSync(join(home, 'password')).mode & 0o077).toBe(0);
  });

  it('keeps its data over a stop, and is found again while it runs', async () => {
    const first = await start();
    await ask(first.url('shop'), 'create table kept as select 1 as answer');
    await first.stop();
    expect(await runningPostgres(data_dir, 'shop')).toBeUndefined();
    const second = await start();
    expect(second.reused).toBe(false);
    const third = await startPostgres(data_dir, { database: 'shop' });
    expect(third.reused).toBe(true);
    expect(third.url('shop')).toBe(second.url('shop'));
    expect(await runningPostgres(data_dir, 'shop')).toBe(second.url('shop'));
    expect(await ask(third.url('shop'), 'select answer from kept')).toBe(1);
  });

  it('starts again after it was killed', async () => {
    const first = await start();
    await ask(first.url('shop'), 'create table kept as select 1 as answer');
    process.kill(Number(readFileSync(pidFile(), 'utf8').split('\n')[0]), 'SIGKILL');
    const second = await start();
    expect(await ask(second.url('shop'), 'select answer from kept')).toBe(1);
  });

  it('starts although its old process number now belongs to another program', async () => {
    const first = await start();
    await first.stop();
    stranger = spawn('sleep', ['60']);
    writeFileSync(pidFile(), `${stranger.pid}\n${join(home, 'cluster')}\n1\n5999\n\n127.0.0.1\n\n`);
    const second = await start();
    expect(second.reused).toBe(false);
    expect(stranger.exitCode).toBeNull();
  });

  it('starts although its making was interrupted once', async () => {
    await (await start()).stop();
    rmSync(join(home, 'cluster'), { recursive: true });
    mkdirSync(join(home, 'cluster.new'));
    writeFileSync(join(home, 'cluster.new', 'half'), '');
    const second = await start();
    expect(await ask(second.url('shop'), 'select 1 as answer')).toBe(1);
    expect(existsSync(join(home, 'cluster.new'))).toBe(false);
  });

  it('says in a sentence that its data are another version’s', async () => {
    await (await start()).stop();
    writeFileSync(join(home, 'cluster', 'PG_VERSION'), '15\n');
    server = undefined;
    await expect(start()).rejects.toThrow(/another version of PostgreSQL/);
  });
});
