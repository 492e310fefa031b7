// Reads `.env` files for the commands that are not Next's own, in Next's order; what is set already wins.
import { existsSync } from 'node:fs';
import { inProject } from './paths.ts';

export function loadEnvironmentFiles(): void {
  for (const name of ['.env.production.local', '.env.local', '.env.production', '.env']) {
    const file = inProject(name);
    if (existsSync(file)) process.loadEnvFile(file);
  }
}
