// The folder of one PostgreSQL cluster with its password, log and data. Chooses a place the server's account can
// reach; the project's data folder always names it (by being it, or by a link), so deleting that folder forgets it.
import { createHash } from 'node:crypto';
import { chownSync, existsSync, lstatSync, mkdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from './fault.ts';
import { type Account, runAs, system_dir } from './postgres_binaries.ts';

/** `<data_dir>/postgres`, made and owned as needed; for root perhaps a link to a folder below `system_dir`. */
export function postgresHome(data_dir: string, account: Account | undefined): string {
  const home = join(data_dir, 'postgres');
  if (account === undefined || canEnter(data_dir, account)) {
    makeHome(home, account);
    return realpathSync(home);
  }
  const elsewhere = join(
    system_dir,
    createHash('sha256').update(realpathSync(data_dir)).digest('hex').slice(0, 16),
  );
  if (isLink(home)) {
    makeHome(elsewhere, account);
    return elsewhere;
  }
  if (existsSync(home)) {
    throw new Fault(
      `PostgreSQL runs as the user ${account.name}, who cannot enter ${data_dir}. ` +
        `Move ${home} away, or name a folder in GUITAI_DATA_DIR that this user can enter.`,
    );
  }
  // No link leads there: what lies there belonged to a data folder that somebody deleted.
  rmSync(elsewhere, { recursive: true, force: true });
  makeHome(elsewhere, account);
  symlinkSync(elsewhere, home);
  return elsewhere;
}

/** True if the account may pass through every folder on the way to this one. */
export function canEnter(dir: string, account: Account): boolean {
  const tried = runAs(account, '/bin/sh', ['-c', 'cd "$1"', 'sh', dir]);
  if (tried.error !== undefined) {
    throw new Fault(
      `PostgreSQL does not run as root, and this root may not start a program as ${account.name} ` +
        `(${tried.error.message}). Start this as an ordinary user, or name a database in DATABASE_URL.`,
      { cause: tried.error },
    );
  }
  return tried.status === 0;
}

function makeHome(home: string, account: Account | undefined): void {
  mkdirSync(home, { recursive: true, mode: 0o711 });
  if (account !== undefined) chownSync(home, account.uid, account.gid);
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}
