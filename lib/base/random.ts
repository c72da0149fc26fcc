/** Randomness, injected. A stack in service is given the system's CSPRNG, a test a seeded generator. */
export interface Random {
  /** Uniform over 0 .. 2^32-1. */
  uint32(): number;
}

/** Uniform integer in `0 .. bound-1`, without modulo bias. `bound` is 1 .. 2^32. */
export function randomBelow(random: Random, bound: number): number {
  const usable = 0x1_0000_0000 - (0x1_0000_0000 % bound);
  let value = random.uint32();
  while (value >= usable) value = random.uint32();
  return value % bound;
}

/** Uniform double in [0, 1) with 32 bits of resolution. */
export const randomFraction = (random: Random): number => random.uint32() / 0x1_0000_0000;
