// One short text that changes when any of some files does. Reads, and writes nothing.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { project_dir } from './paths.ts';

/** Of files and whole folders, given relative to the project; what does not exist counts as absent. */
export function fingerprint(parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of parts.flatMap(filesIn).sort()) {
    const bytes = readFileSync(join(project_dir, file));
    hash.update(`${file}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest('hex');
}

function filesIn(part: string): string[] {
  const path = join(project_dir, part);
  if (!existsSync(path)) return [];
  if (statSync(path).isFile()) return [part];
  return readdirSync(path, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(project_dir, join(entry.parentPath, entry.name)).split(sep).join('/'));
}
