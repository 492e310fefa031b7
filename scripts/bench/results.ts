// What a bench found out and what it promised, and whether the one keeps the other.

export interface Party {
  name: string;
  /** Median over the rounds. */
  figure: number;
  rounds: number[];
  /** Further medians, by name with their unit. */
  details: Record<string, number>;
}

export interface Comparison {
  /** Whom we are compared with. */
  peer: string;
  /** Median over the rounds of ours ÷ theirs. */
  ratio: number;
  /** Missing when the figure is only information. */
  goal?: { relation: '≥' | '≤'; ratio: number };
}

export interface Measure {
  id: string;
  title: string;
  unit: string;
  /** The first party is ours. */
  parties: Party[];
  comparisons: Comparison[];
  /** What was sent, how often, on which settings: enough to repeat it. */
  conditions: string;
}

export type Outcome = 'pass' | 'fail' | 'information';

export function outcomeOf({ ratio, goal }: Comparison): Outcome {
  if (goal === undefined) return 'information';
  const kept = goal.relation === '≥' ? ratio >= goal.ratio : ratio <= goal.ratio;
  return kept ? 'pass' : 'fail';
}

export function allKept(measures: readonly Measure[]): boolean {
  return measures.every(({ comparisons }) =>
    comparisons.every((comparison) => outcomeOf(comparison) !== 'fail'),
  );
}
