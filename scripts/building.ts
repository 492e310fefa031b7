// The production build, made again only when something it is made of has changed.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Fault } from './fault.ts';
import { fingerprint } from './fingerprint.ts';
import { inProject, project_dir } from './paths.ts';
import { runNode, type ToolOptions } from './run_tool.ts';

const stamp_file = inProject('.next', 'guitai.stamp');
const folders = ['app', 'lib', 'public', 'generated'];
/** Settings of tools that only test, lint or describe. */
const without_effect = /^(vitest\.config|biome|tsconfig\.tsbuildinfo|next-env|README|LICENSE|\.)/;

/** True if the build in `.next` was made from the files as they are now. */
export function isBuilt(): boolean {
  return existsSync(stamp_file) && readFileSync(stamp_file, 'utf8') === sourcesNow();
}

/** `next build`; a Fault carries its output. */
export async function build(options: ToolOptions = {}): Promise<void> {
  const stamp = sourcesNow();
  rmSync(stamp_file, { force: true });
  const environment = { ...process.env, NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1' };
  const built = await runNode('node_modules/next/dist/bin/next', ['build'], { ...options, environment });
  if (built.code !== 0) throw new Fault(`The production build failed:\n${built.output}`);
  writeFileSync(stamp_file, stamp);
}

function sourcesNow(): string {
  const root_files = readdirSync(project_dir, { withFileTypes: true })
    .filter((entry) => entry.isFile() && !without_effect.test(entry.name))
    .map((entry) => entry.name);
  return fingerprint([...folders, ...root_files]);
}
