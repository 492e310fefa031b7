// The walls between the rooms, checked by a machine: who may import whom, and where the environment may be read. It
// also fails when it looked at fewer modules than there are, since a checker that sees nothing finds nothing.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { Fault } from './fault.ts';
import { project_dir } from './paths.ts';
import { runNode } from './run_tool.ts';

export interface Breach {
  rule: string;
  from: string;
  to: string;
}

interface Cruise {
  modules: { source: string }[];
  summary: { violations: { from: string; to: string; rule: { name: string } }[] };
}

const rooms = ['app', 'lib', 'simulator', 'scripts', 'test'];
const configs = ['.dependency-cruiser.cjs', '.dependency-cruiser.browser.cjs'];
const is_module = /\.(ts|tsx|mts|cts|js|jsx|mjs|cjs)$/;
const not_looked_at = /^(test\/foreign|.*\/node_modules)\//;
/** The environment is read in one place of what is shipped; tools, tests and the simulator are not shipped. */
const reads_environment =
  /\bprocess\s*(\?\.|\.)\s*env\b|\bprocess\s*\[|['"](node:)?process['"]|\bimport\.meta\.env\b/;
const may_read_environment = 'lib/config.ts';

/** Every breach in a tree; `root` is the project or a copy of it. */
export async function findBreaches(root: string = project_dir): Promise<Breach[]> {
  const present = rooms.filter((room) => existsSync(join(root, room)));
  const cruises = await Promise.all(configs.map((config) => cruise(root, config, present)));
  const modules = present.flatMap((room) => modulesIn(root, room));
  const seen = new Set(cruises[0]?.modules.map(({ source }) => source));
  const unseen = modules.filter((module) => !seen.has(module));
  return [
    ...cruises.flatMap(({ summary }) =>
      summary.violations.map(({ from, to, rule }) => ({ rule: rule.name, from, to })),
    ),
    ...unseen.map((from) => ({
      rule: 'everything-is-looked-at',
      from,
      to: 'not seen by dependency-cruiser',
    })),
    ...modules
      .filter((module) => readsEnvironment(root, module))
      .map((from) => ({
        rule: 'only-config-reads-the-environment',
        from,
        to: 'process.env',
      })),
  ];
}

async function cruise(root: string, config: string, present: readonly string[]): Promise<Cruise> {
  const args = ['--config', config, '--output-type', 'json', ...present];
  const tool = 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs';
  const run = await runNode(tool, args, { cwd: root });
  try {
    return JSON.parse(run.output) as Cruise;
  } catch (cause) {
    throw new Fault(`dependency-cruiser did not answer:\n${run.output}`, { cause });
  }
}

function modulesIn(root: string, room: string): string[] {
  return readdirSync(join(root, room), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && is_module.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((module) => !not_looked_at.test(module));
}

function readsEnvironment(root: string, module: string): boolean {
  if (!/^(app|lib)\//.test(module) || module === may_read_environment) return false;
  return reads_environment.test(readFileSync(join(root, module), 'utf8'));
}
