// What every measure is given: a life that stops what it starts, repeatable chance, and folders.
import type { Life } from '../life.ts';
import type { Random } from './random.ts';

export interface Bench {
  life: Life;
  random: Random;
  /** Goes away with the run. */
  dir: string;
  /** Where the servers' logs go; they stay. */
  log_dir: string;
  /** Set when profiles of our servers are wanted. */
  profile_dir?: string;
}
