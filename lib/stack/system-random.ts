/** The host's CSPRNG, drawn in pools so that a word costs no system call. */
import { randomFillSync } from 'node:crypto';
import { StackError } from '../base/errors.js';
import type { Random } from '../base/random.js';

/** Words drawn at a time. */
const POOL_WORDS = 1024;

/** The CSPRNG of the host, drawn in pools so that a word costs no system call. */
export class SystemRandom implements Random {
  readonly #fill: (words: Uint32Array) => unknown;
  readonly #pool = new Uint32Array(POOL_WORDS);
  #next = POOL_WORDS;

  /**
   * Draws the first pool at once: where there is no entropy, nothing starts.
   * @param fill fills the array with random bits; `crypto.randomFillSync` by default
   * @throws what `fill` throws, or `EAGAIN` when it left the array all zero
   */
  constructor(fill: (words: Uint32Array) => unknown = randomFillSync) {
    this.#fill = fill;
    this.#refill();
  }

  uint32(): number {
    if (this.#next === POOL_WORDS) this.#refill();
    const word = this.#pool[this.#next];
    // A word that was handed out may be a key: it is kept nowhere else.
    this.#pool[this.#next++] = 0;
    return word;
  }

  /** A failure leaves the pool used up, so that every later call fails too until the source recovers. */
  #refill(): void {
    this.#fill(this.#pool);
    // 32,768 zero bits do not happen; a source that did nothing does.
    if (this.#pool.every((word) => word === 0)) throw new StackError('EAGAIN', 'getrandom');
    this.#next = 0;
  }
}
