// Each wall is attacked once, in a small tree of its own, and must be seen to hold.
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { project_dir } from '../../scripts/paths.ts';
import { type Breach, findBreaches } from '../../scripts/walls.ts';

const configs = ['.dependency-cruiser.cjs', '.dependency-cruiser.browser.cjs'];

/** One forbidden thing per rule: the file that does it, and its text. */
const attacks: { rule: string; file: string; text: string }[] = [
  { rule: 'no-cycles', file: 'lib/planted_round.ts', text: "export * from './planted_about.ts';" },
  { rule: 'no-cycles', file: 'lib/planted_about.ts', text: "export * from './planted_round.ts';" },
  { rule: 'resolvable', file: 'lib/planted_nowhere.ts', text: "import './planted_missing.ts';" },
  {
    rule: 'protocol-knows-nobody',
    file: 'lib/wechat/planted_money.ts',
    text: "import type { Config } from '../config.ts';\nexport type { Config };",
  },
  { rule: 'protocol-knows-nobody', file: 'lib/wechat/planted_next.ts', text: "import 'next/headers';" },
  {
    rule: 'protocol-has-one-door',
    file: 'lib/planted_back_door.ts',
    text: "export * from './wechat/xml.ts';",
  },
  { rule: 'only-db-opens-prisma', file: 'lib/planted_prisma.ts', text: "import '@prisma/client';" },
  {
    rule: 'only-db-opens-prisma',
    file: 'scripts/planted_prisma.ts',
    text: "import '../generated/prisma/client.ts';",
  },
  { rule: 'lib-never-imports-app', file: 'lib/planted_page.ts', text: "import '../app/planted.ts';" },
  {
    rule: 'app-touches-no-database-and-no-protocol',
    file: 'app/planted.ts',
    text: "import type { Db } from '../lib/db.ts';\nexport type { Db };",
  },
  {
    rule: 'app-touches-no-database-and-no-protocol',
    file: 'app/planted_protocol.ts',
    text: "export * from '../lib/wechat/index.ts';",
  },
  { rule: 'app-keeps-to-its-rooms', file: 'app/planted_script.ts', text: "import '../scripts/paths.ts';" },
  { rule: 'browser-code-is-light', file: 'app/planted.client.ts', text: "import '../lib/config.ts';" },
  {
    rule: 'browser-code-stays-light',
    file: 'app/planted_far.client.ts',
    text: "import './planted_carrier.ts';",
  },
  { rule: 'simulator-is-a-stranger', file: 'simulator/planted.ts', text: "import '../lib/money.ts';" },
  {
    rule: 'nobody-knows-the-simulator',
    file: 'lib/planted_friend.ts',
    text: "import '../simulator/server.ts';",
  },
  { rule: 'tests-are-not-shipped', file: 'scripts/planted_test.ts', text: "import '../test/setup/rows.ts';" },
  {
    rule: 'only-config-reads-the-environment',
    file: 'app/planted_environment.ts',
    text: 'export const where = process.env.DATABASE_URL;',
  },
  {
    rule: 'only-config-reads-the-environment',
    file: 'lib/planted_environment.ts',
    text: "import { env } from 'node:process';\nexport const where = env.DATABASE_URL;",
  },
];
/** What the attackers want to reach, and one module between a browser and the settings. */
const bystanders = [
  { file: 'app/planted_carrier.ts', text: "import '../lib/config.ts';" },
  ...['lib/config.ts', 'lib/db.ts', 'lib/money.ts', 'lib/wechat/index.ts', 'lib/wechat/xml.ts'],
  ...['scripts/paths.ts', 'simulator/server.ts', 'test/setup/rows.ts', 'generated/prisma/client.ts'],
].map((each) =>
  typeof each === 'string' ? { file: each, text: 'export type Db = 1;\nexport type Config = 1;' } : each,
);

function smallTree(): string {
  const root = mkdtempSync(join(tmpdir(), 'guitai-walls-'));
  for (const file of ['tsconfig.json', 'package.json', ...configs])
    cpSync(join(project_dir, file), join(root, file));
  symlinkSync(join(project_dir, 'node_modules'), join(root, 'node_modules'));
  for (const { file, text } of [...bystanders, ...attacks]) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), `${text}\n`);
  }
  return root;
}

describe('the walls', { timeout: 120_000 }, () => {
  let root = '';
  let breaches: Breach[] = [];

  beforeAll(async () => {
    root = smallTree();
    breaches = await findBreaches(root);
  });

  afterAll(() => rmSync(root, { recursive: true, force: true }));

  it.each(attacks)('$rule is red for $file', ({ rule, file }) => {
    // A cycle is told once, from one of its ends.
    const about = breaches.filter(({ from, to }) => from === file || (rule === 'no-cycles' && to === file));
    expect(about.map((breach) => breach.rule)).toContain(rule);
  });

  it('nothing else is red', () => {
    const planted = new Set(attacks.map(({ file }) => file));
    expect(breaches.filter(({ from }) => !planted.has(from))).toEqual([]);
  });

  it('every rule there is has been attacked', async () => {
    const rules = new Set<string>();
    for (const file of configs) {
      const config = (await import(join(project_dir, file))) as {
        default: { forbidden: { name: string }[] };
      };
      for (const { name } of config.default.forbidden) rules.add(name);
    }
    expect([...rules].filter((rule) => !attacks.some((attack) => attack.rule === rule))).toEqual([]);
  });

  it('says so when dependency-cruiser sees fewer modules than there are', async () => {
    const blind = join(root, '.dependency-cruiser.cjs');
    writeFileSync(blind, "module.exports = { forbidden: [], options: { includeOnly: '^lib/' } };\n");
    const unseen = (await findBreaches(root)).filter(({ rule }) => rule === 'everything-is-looked-at');
    expect(unseen.map(({ from }) => from)).toContain('simulator/server.ts');
  });
});
