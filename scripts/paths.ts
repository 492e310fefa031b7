// Where the project lies and where what it makes on this machine is kept. Creates only the data folder.
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What a child process is given; Next's own type of it wants NODE_ENV to be there. */
export type Environment = Record<string, string | undefined>;

export const project_dir = fileURLToPath(new URL('..', import.meta.url)).replace(/[/\\]$/, '');

/** A path inside the project. */
export function inProject(...parts: string[]): string {
  return join(project_dir, ...parts);
}

/** The folder for databases and secrets of this machine: GUITAI_DATA_DIR, else `.data` in the project. */
export function dataDir(environment: Environment = process.env): string {
  const named = environment.GUITAI_DATA_DIR;
  const dir = named === undefined || named === '' ? inProject('.data') : resolve(named);
  // Others may pass through (PostgreSQL may run as another user than root) but not look around.
  mkdirSync(dir, { recursive: true, mode: 0o711 });
  return dir;
}
