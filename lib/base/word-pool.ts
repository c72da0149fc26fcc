/** Random words drawn many at a time, so that one costs no call of the host. */
import { StackError } from './errors.js';

/** Words drawn at a time. */
const POOL_WORDS = 1024;

export class WordPool {
  readonly #fill: (words: Uint32Array<ArrayBuffer>) => unknown;
  readonly #words = new Uint32Array(POOL_WORDS);
  #next = POOL_WORDS;

  /**
   * Draws the first pool at once: where there is no entropy, nothing starts.
   * @param fill fills the array with random bits
   * @throws what `fill` throws, or `EAGAIN` when it left the array all zero
   */
  constructor(fill: (words: Uint32Array<ArrayBuffer>) => unknown) {
    this.#fill = fill;
    this.#refill();
  }

  uint32(): number {
    if (this.#next === POOL_WORDS) this.#refill();
    const word = this.#words[this.#next];
    // A word that was handed out may be a key: it is kept nowhere else.
    this.#words[this.#next++] = 0;
    return word;
  }

  /** A failure leaves the pool used up, so that every later call fails too until the source recovers. */
  #refill(): void {
    this.#fill(this.#words);
    // 32,768 zero bits do not happen; a source that did nothing does.
    if (this.#words.every((word) => word === 0)) throw new StackError('EAGAIN', 'getrandom');
    this.#next = 0;
  }
}
