// Chance that can be repeated: the same seed gives the same numbers. For test data only, never for secrets.

export interface Random {
  /** From 0 up to, not including, `below`. */
  whole(below: number): number;
  /** So many characters of the alphabet. */
  text(length: number, alphabet: string): string;
  shuffle<T>(items: T[]): T[];
}

/** Mulberry32. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const whole = (below: number): number => Math.floor(next() * below);
  return {
    whole,
    text: (length, alphabet) => {
      let text = '';
      for (let at = 0; at < length; at += 1) text += alphabet[whole(alphabet.length)] ?? '';
      return text;
    },
    shuffle: (items) => {
      const mixed = [...items];
      for (let at = mixed.length - 1; at > 0; at -= 1) {
        const other = whole(at + 1);
        const [a, b] = [mixed[at], mixed[other]];
        if (a === undefined || b === undefined) continue;
        mixed[at] = b;
        mixed[other] = a;
      }
      return mixed;
    },
  };
}
