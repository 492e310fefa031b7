// Talks to a PostgreSQL that may already run from a data folder: is it alive, is it that folder's, on which port?
// Starts and stops nothing.
import { spawnSync } from 'node:child_process';
import { readFileSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Fault } from './fault.ts';

export interface Login {
  user: string;
  password: string;
}

const patience_ms = 30_000;

export function databaseUrl({ user, password }: Login, port: number, database: string): string {
  return `postgresql://${user}:${password}@127.0.0.1:${port}/${database}`;
}

/**
 * The port of the server that runs from this cluster, once it takes logins; undefined if none runs. Waits for one
 * that is still starting, recovering or stopping.
 */
export async function findRunning(cluster: string, login: Login): Promise<number | undefined> {
  const give_up_at = Date.now() + patience_ms;
  for (;;) {
    const lock = readLock(cluster);
    if (lock === undefined || !isServerOf(cluster, lock.pid)) return undefined;
    if (lock.port !== undefined && (await answers(lock.port, login, cluster))) return lock.port;
    if (Date.now() > give_up_at) {
      throw new Fault(
        `A PostgreSQL (process ${lock.pid}) holds ${cluster} and does not answer. Stop it, then start this again.`,
      );
    }
    await sleep(200);
  }
}

/** True if a server process holds this cluster, whether it answers or not. */
export function isServing(cluster: string): boolean {
  const lock = readLock(cluster);
  return lock !== undefined && isServerOf(cluster, lock.pid);
}

/** Removes a lock file whose process number now belongs to a program that is no PostgreSQL of this cluster. */
export function forgetStranger(cluster: string): void {
  const lock = readLock(cluster);
  if (lock !== undefined && !isServerOf(cluster, lock.pid))
    rmSync(join(cluster, 'postmaster.pid'), { force: true });
}

/** Creates the database if the server has none of that name. */
export async function ensureDatabase(server_url: string, database: string): Promise<void> {
  const client = new pg.Client({ connectionString: server_url });
  await client.connect();
  try {
    const found = await client.query('select 1 from pg_database where datname = $1', [database]);
    if (found.rowCount === 0) await client.query(`create database ${client.escapeIdentifier(database)}`);
  } finally {
    await client.end();
  }
}

/** Lines of postmaster.pid, as PostgreSQL writes them: process, data folder, start, port, … */
function readLock(cluster: string): { pid: number; port: number | undefined } | undefined {
  let text: string;
  try {
    text = readFileSync(join(cluster, 'postmaster.pid'), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  const port = Number(lines[3]);
  return { pid, port: port > 0 ? port : undefined };
}

function isServerOf(cluster: string, pid: number): boolean {
  if (process.platform === 'win32') return isAlive(pid);
  // Shows the command also of another user's process; empty when there is no such process.
  const shown = spawnSync('ps', ['-ww', '-o', 'args=', '-p', String(pid)], { encoding: 'utf8' });
  if (shown.error !== undefined) return commandFromProc(pid)?.includes(cluster) ?? isAlive(pid);
  return shown.stdout.includes(cluster);
}

/** Small Linux images have no `ps`. */
function commandFromProc(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function answers(port: number, { user, password }: Login, cluster: string): Promise<boolean> {
  const address = { host: '127.0.0.1', port, user, password, database: 'postgres' };
  const client = new pg.Client({ ...address, connectionTimeoutMillis: 3_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const answer = await client.query<{ data_directory: string }>('show data_directory');
    return answer.rows[0]?.data_directory === realpathSync(cluster);
  } catch {
    // Not yet, or no longer: the caller asks again until its patience ends.
    return false;
  } finally {
    await client.end();
  }
}
