// One embedded PostgreSQL per data folder: made, started, reused when it already runs, stopped. It listens on the
// loopback address only and asks for a random password, so other users of the machine stay outside.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from './fault.ts';
import type { Environment } from './paths.ts';
import { freePort } from './ports.ts';
import { type Binaries, postgresAccount, postgresBinaries, system_dir } from './postgres_binaries.ts';
import { postgresHome } from './postgres_home.ts';
import { databaseUrl, ensureDatabase, findRunning, forgetStranger, isServing } from './postgres_running.ts';

export interface Postgres {
  /** The address of a database of this server, with user and password. */
  url(database: string): string;
  /** True if it ran before we came. */
  reused: boolean;
  /** Where its data lie. */
  home: string;
  stop(): Promise<void>;
}

export interface PostgresOptions {
  /** Created if it does not exist. */
  database: string;
  /** Settings written when the cluster is made, such as `fsync=off` for tests. */
  settings?: readonly string[];
  /** Where root puts a copy of the programs if it needs one. */
  copy_dir?: string;
}

const database_user = 'guitai';
const start_attempts = 3;

/** Starts the PostgreSQL of a data folder, or finds it running. A Fault says in a sentence why it cannot. */
export async function startPostgres(data_dir: string, options: PostgresOptions): Promise<Postgres> {
  const account = postgresAccount(join(data_dir, 'postgres', 'cluster'));
  const home = postgresHome(data_dir, account);
  const binaries = postgresBinaries(account, options.copy_dir ?? system_dir);
  const cluster = join(home, 'cluster');
  if (!existsSync(join(cluster, 'PG_VERSION'))) await createCluster(home, binaries, options.settings ?? []);
  const password = readFileSync(join(home, 'password'), 'utf8').trim();
  const login = { user: database_user, password };

  const running = await findRunning(cluster, login);
  const port = running ?? (await startServer(home, binaries));
  const server: Postgres = {
    url: (database) => databaseUrl(login, port, database),
    reused: running !== undefined,
    home,
    stop: () => stopServer(home, binaries),
  };
  await ensureDatabase(server.url('postgres'), options.database);
  return server;
}

/** The address of a database of the server that runs from this folder now, if one does. */
export async function runningPostgres(data_dir: string, database: string): Promise<string | undefined> {
  const home = join(data_dir, 'postgres');
  if (!existsSync(join(home, 'cluster', 'postmaster.pid'))) return undefined;
  const login = { user: database_user, password: readFileSync(join(home, 'password'), 'utf8').trim() };
  const port = await findRunning(join(home, 'cluster'), login);
  return port === undefined ? undefined : databaseUrl(login, port, database);
}

/** The data folder appears whole or not at all: it is made beside its place and moved there when done. */
async function createCluster(home: string, binaries: Binaries, settings: readonly string[]): Promise<void> {
  const unfinished = join(home, 'cluster.new');
  const cluster = join(home, 'cluster');
  const password_file = join(home, 'password');
  rmSync(unfinished, { recursive: true, force: true });
  rmSync(cluster, { recursive: true, force: true });
  rmSync(password_file, { force: true });
  writeFileSync(password_file, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 });
  const { account } = binaries;
  if (account !== undefined) chownSync(password_file, account.uid, account.gid);
  const always = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=200'];
  const done = await run(home, binaries, binaries.initdb, [
    `--pgdata=${unfinished}`,
    `--username=${database_user}`,
    `--pwfile=${password_file}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--no-instructions',
    ...[...always, ...settings].flatMap((setting) => ['--set', setting]),
  ]);
  if (done.code !== 0) {
    rmSync(unfinished, { recursive: true, force: true });
    throw new Fault(`PostgreSQL could not make its data folder. ${reasonIn(done.output)}`);
  }
  renameSync(unfinished, cluster);
}

async function startServer(home: string, binaries: Binaries): Promise<number> {
  const cluster = join(home, 'cluster');
  const log = join(home, 'postgres.log');
  forgetStranger(cluster);
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    rmSync(log, { force: true });
    const start = ['start', '-D', cluster, '-l', log, '-w', '-t', '60', '-s', '-o', `-p ${port}`];
    const started = await run(home, binaries, binaries.pg_ctl, start);
    if (started.code === 0) return port;
    const said = existsSync(log) ? readFileSync(log, 'utf8') : started.output;
    const lost_the_port = said.includes('could not bind') || said.includes('Address already in use');
    if (!lost_the_port || attempt === start_attempts) {
      throw new Fault(`PostgreSQL did not start from ${home}. ${reasonIn(said)}`);
    }
  }
}

async function stopServer(home: string, binaries: Binaries): Promise<void> {
  const cluster = join(home, 'cluster');
  const stop = (mode: string, seconds: string): Promise<Ended> =>
    run(home, binaries, binaries.pg_ctl, ['stop', '-D', cluster, '-m', mode, '-w', '-t', seconds, '-s']);
  const stopped = await stop('fast', '20');
  if (stopped.code === 0 || !isServing(cluster)) return;
  const forced = await stop('immediate', '10');
  if (forced.code !== 0) throw new Fault(`PostgreSQL in ${home} did not stop. ${reasonIn(forced.output)}`);
}

interface Ended {
  code: number;
  output: string;
}

/** Detached, so that Ctrl-C in the terminal reaches only us and we stop things in our own order. */
function run(home: string, { account }: Binaries, program: string, args: string[]): Promise<Ended> {
  const identity = account === undefined ? {} : { uid: account.uid, gid: account.gid };
  const { PATH, SystemRoot, TEMP } = process.env;
  const environment: Environment = { PATH, SystemRoot, TEMP, LC_ALL: 'C', TZ: 'UTC' };
  const settings = {
    ...identity,
    cwd: home,
    env: environment as NodeJS.ProcessEnv,
    detached: process.platform !== 'win32',
  };
  return new Promise((resolve, reject) => {
    execFile(program, args, { ...settings, windowsHide: true }, (error, stdout, stderr) => {
      const output = `${stdout}${stderr}`;
      if (error === null) resolve({ code: 0, output });
      else if (typeof error.code === 'number') resolve({ code: error.code, output });
      else reject(new Fault(`${program} did not run: ${error.message}`, { cause: error }));
    });
  });
}

/** What a person needs to know from the server's own words. */
function reasonIn(output: string): string {
  if (/No space left on device/i.test(output)) return 'No space is left on the disk.';
  if (/Permission denied/i.test(output)) {
    return `Its user lacks a permission: ${lastLines(output, /Permission denied/i)}`;
  }
  if (/incompatible with server/i.test(output)) {
    return 'Its data were made by another version of PostgreSQL. Move the folder away to begin with an empty shop.';
  }
  if (/Address already in use/i.test(output)) return 'Other programs took every port it tried.';
  return `It said:\n${lastLines(output)}`;
}

function lastLines(output: string, about = /./): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '' && about.test(line));
  return lines.slice(-8).join('\n');
}
