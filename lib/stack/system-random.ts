/** The host's CSPRNG, drawn in pools so that a word costs no system call. */
import { randomFillSync } from 'node:crypto';
import type { Random } from '../base/random.js';
import { WordPool } from '../base/word-pool.js';

/** The CSPRNG of the host, drawn in pools so that a word costs no system call. */
export class SystemRandom implements Random {
  readonly #pool: WordPool;

  /**
   * Draws the first pool at once: where there is no entropy, nothing starts.
   * @param fill fills the array with random bits; `crypto.randomFillSync` by default
   * @throws what `fill` throws, or `EAGAIN` when it left the array all zero
   */
  constructor(fill: (words: Uint32Array) => unknown = randomFillSync) {
    this.#pool = new WordPool(fill);
  }

  uint32(): number {
    return this.#pool.uint32();
  }
}
