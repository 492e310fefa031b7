/**
 * The process's log: JSON lines, keys and openids never in them. What is not on the safe list of a call is not
 * logged: callers name fields one by one.
 */
import { type Logger, pino } from 'pino';

export type { Logger };

/** `level` from the configuration. Redaction is the second line of defence; the first is not to pass secrets. */
export function createLog(level: string): Logger {
  return pino({
    level,
    base: undefined,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: {
      paths: [
        'openid',
        '*.openid',
        'sign',
        '*.sign',
        'paySign',
        'cookie',
        'authorization',
        '*.secret',
        '*.key',
      ],
      censor: '[hidden]',
    },
  });
}

/** `oUpF…S6o`: enough to tell two shoppers apart, not enough to address one. */
export function maskOpenid(openid: string): string {
  return openid.length < 9 ? '…' : `${openid.slice(0, 4)}…${openid.slice(-3)}`;
}
