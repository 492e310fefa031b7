// The servers a bench compares: each a process of its own with only the settings it is given, on 127.0.0.1, stopped
// by its own number at the end.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, startChild } from '../children.ts';
import { Fault } from '../fault.ts';
import type { Life } from '../life.ts';
import type { Environment } from '../paths.ts';

const start_patience_ms = 60_000;

export interface ServerPlan {
  name: string;
  /** Of the project. */
  script: string;
  args?: string[];
  environment: Environment;
  port: number;
  log_dir: string;
}

/** Starts a server and waits until its port is open. It is stopped with the life it is given. */
export async function startServer(life: Life, plan: ServerPlan): Promise<Child> {
  life.signal.throwIfAborted();
  const { PATH, HOME, SystemRoot, TEMP } = process.env;
  const child = startChild({
    ...plan,
    environment: {
      PATH,
      HOME,
      SystemRoot,
      TEMP,
      NODE_ENV: 'production',
      NEXT_TELEMETRY_DISABLED: '1',
      ...plan.environment,
    },
    onDeath: life.fail,
  });
  life.onEnd(plan.name, child.stop);
  const give_up_at = Date.now() + start_patience_ms;
  while (!(await isOpen(plan.port))) {
    life.signal.throwIfAborted();
    if (Date.now() > give_up_at) throw new Fault(`${plan.name} did not open port ${plan.port}.`);
    await sleep(100);
  }
  return child;
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Milliseconds of processor time a process has used so far; undefined where the system does not tell. */
export function cpuOf(pid: number | undefined): number | undefined {
  if (pid === undefined || process.platform !== 'linux') return undefined;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // After the name in parentheses: state is field 3, utime and stime are 14 and 15, in hundredths of a second.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
