/**
 * What a server process of ours does before its first request: it checks every setting. One with a wrong setting must
 * not stay up answering 500: it says what is wrong, all of it, and leaves.
 */
import { ConfigError, config } from './lib/config.ts';
import { createLog } from './lib/log.ts';
import { tellRuleFindings } from './lib/platform_rules.ts';

try {
  const settings = config();
  // What only looks wrong beside WeChat's consoles is a warning: who is right is WeChat's to say.
  tellRuleFindings(settings, createLog(settings.LOG_LEVEL));
} catch (thrown) {
  if (!(thrown instanceof ConfigError)) throw thrown;
  console.error(thrown.message);
  process.exit(1);
}
