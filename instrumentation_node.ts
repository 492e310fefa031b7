/**
 * What a server process of ours does before its first request: it checks every setting. One with a wrong setting must
 * not stay up answering 500: it says what is wrong, all of it, and leaves.
 */
import { ConfigError, config } from './lib/config.ts';

try {
  config();
} catch (thrown) {
  if (!(thrown instanceof ConfigError)) throw thrown;
  console.error(thrown.message);
  process.exit(1);
}
