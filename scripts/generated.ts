// Makes what the sources need but git does not keep: the Prisma client and the pay page's script as a text. Works
// without a network, does nothing when all is fresh.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { rolldown } from 'rolldown';
import { Fault } from './fault.ts';
import { fingerprint } from './fingerprint.ts';
import { inProject } from './paths.ts';
import { runNode, type ToolOptions } from './run_tool.ts';

const schema = 'prisma/schema.prisma';
const stamp_file = inProject('generated', 'prisma.stamp');
const pay_source = inProject('app', '(shop)', 'pay', 'pay.client.ts');
const pay_script = inProject('generated', 'pay-script.ts');

/** Brings the folder `generated` up to date. */
export async function ensureGenerated(options: ToolOptions = {}): Promise<void> {
  mkdirSync(inProject('generated'), { recursive: true });
  await generatePrisma(options);
  await bundlePayScript();
}

async function generatePrisma(options: ToolOptions): Promise<void> {
  const stamp = fingerprint([schema, 'prisma.config.ts', 'node_modules/prisma/package.json']);
  const client = inProject('generated', 'prisma', 'client.ts');
  if (existsSync(client) && existsSync(stamp_file) && readFileSync(stamp_file, 'utf8') === stamp) return;
  rmSync(stamp_file, { force: true });
  const environment = {
    ...process.env,
    // Named so that Prisma does not download one; generating never calls it.
    PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
    PRISMA_HIDE_UPDATE_MESSAGE: '1',
    CHECKPOINT_DISABLE: '1',
  };
  const arguments_ = ['generate', '--schema', inProject(schema), '--no-hints'];
  const made = await runNode('node_modules/prisma/build/index.js', arguments_, { ...options, environment });
  if (made.code !== 0) throw new Fault(`Prisma could not generate its client:\n${made.output}`);
  writeFileSync(stamp_file, stamp);
}

/** For old phones: ES2019, one self-contained function. Written only when it changed, so builds stay fresh. */
async function bundlePayScript(): Promise<void> {
  if (!existsSync(pay_source)) return;
  const complaints: string[] = [];
  const bundle = await rolldown({
    input: pay_source,
    platform: 'browser',
    transform: { target: 'es2019' },
    onLog: (_level, log) => complaints.push(log.message),
  });
  const { output } = await bundle.generate({ format: 'iife', minify: true });
  await bundle.close();
  const [chunk, ...others] = output;
  if (complaints.length > 0 || others.length > 0) {
    throw new Fault(
      `app/(shop)/pay/pay.client.ts does not bundle cleanly to one script:\n${complaints.join('\n')}`,
    );
  }
  const text = [
    '// Made by scripts/generate.ts from app/(shop)/pay/pay.client.ts; not kept in git, not edited.',
    `export const payScript: string = ${JSON.stringify(chunk.code.trim())};\n`,
  ].join('\n');
  if (!existsSync(pay_script) || readFileSync(pay_script, 'utf8') !== text) writeFileSync(pay_script, text);
}
