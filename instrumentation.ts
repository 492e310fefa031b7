/**
 * Next runs this once before the first request. A process with a wrong setting must not stay up answering 500: it
 * says what is wrong, all of it, and leaves.
 */
export async function register(): Promise<void> {
  // Next compiles this file for its edge runtime too, which has no files to read settings from.
  if (process.env.NEXT_RUNTIME !== 'nodejs') return;
  const { config, ConfigError } = await import('./lib/config.ts');
  try {
    config();
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    console.error(thrown.message);
    process.exit(1);
  }
}
