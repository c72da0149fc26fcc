/**
 * Randomness that repeats: xoshiro128** (D. Blackman, S. Vigna, "Scrambled linear pseudorandom number
 * generators", 2018), seeded through SplitMix32. For simulations and tests; never for secrets.
 */
import { ArgumentRangeError } from '../base/errors.js';
import type { Random } from '../base/random.js';

const rotl = (x: number, n: number): number => (x << n) | (x >>> (32 - n));

/** Randomness that repeats (xoshiro128**). For simulations and tests; never for secrets. */
export class SeededRandom implements Random {
  /** What it was made from; print it, and the run can be repeated. */
  readonly seed: number;
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /**
   * @param seed any safe integer
   * @throws ArgumentRangeError for another number
   */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed)) throw new ArgumentRangeError(`a seed is a safe integer, not ${seed}`);
    this.seed = seed;
    let mixed = (seed | 0) ^ Math.imul(Math.floor(seed / 0x1_0000_0000) | 0, 0x85eb_ca6b);
    const next = (): number => {
      mixed = (mixed + 0x9e37_79b9) | 0;
      let z = Math.imul(mixed ^ (mixed >>> 16), 0x21f0_aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a_2d97);
      return z ^ (z >>> 15);
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    // SplitMix32 gives each value once in its period, so the four words are never all zero.
    this.#d = next();
  }

  uint32(): number {
    const result = Math.imul(rotl(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const t = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = rotl(this.#d, 11);
    return result;
  }

  /**
   * Another generator, whose sequence depends only on this one's state and has nothing else in common
   * with it. Giving each part of a simulation its own keeps one part's draws out of another's.
   */
  fork(): SeededRandom {
    return new SeededRandom((this.uint32() & 0x1f_ffff) * 0x1_0000_0000 + this.uint32());
  }
}
