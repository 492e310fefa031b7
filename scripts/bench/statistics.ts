// The few numbers a bench may draw from its rounds. Medians only: one bad round on a shared machine must not decide.

/** The middle value; of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Linear between the two nearest values; NaN of nothing. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * part;
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}

/**
 * The median of the rounds' own ratios. Both figures of a round were taken within seconds of each other, so a machine
 * that gets slower during the run slows both.
 */
export function ratioOfRounds(ours: readonly number[], theirs: readonly number[]): number {
  const ratios = ours.flatMap((value, round) => {
    const other = theirs[round];
    return other === undefined ? [] : [value / other];
  });
  return median(ratios);
}

/** `ours, peer, …` in one round, the other way round in the next: what comes first has no lasting advantage. */
export function turnsOf<T>(parties: readonly T[], round: number): T[] {
  return round % 2 === 0 ? [...parties] : [...parties].reverse();
}
