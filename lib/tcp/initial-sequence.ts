/** Initial sequence numbers (RFC 6528) and timestamp offsets (RFC 7323 §7.1), from keyed hashes. */
import type { Random } from '../base/random.js';
import { type Seq, seq } from '../base/seq.js';
import { SipHash } from '../base/siphash.js';
import { TUPLE_WORDS, type Tuple, tupleWords } from './tuple.js';

export class InitialSequence {
  readonly #sequenceHash: SipHash;
  readonly #offsetHash: SipHash;
  readonly #words = new Int32Array(TUPLE_WORDS);

  /** Both keys are drawn here, live only in this object, and are never written anywhere (RFC 6528 §4). */
  constructor(random: Random) {
    this.#sequenceHash = new SipHash(random);
    this.#offsetHash = new SipHash(random);
  }

  /** ISN = M + F(tuple, key), M ticking every 4 µs (RFC 6528 §3). */
  next(tuple: Tuple, nowUs: number): Seq {
    tupleWords(tuple, this.#words);
    const ticks = Math.floor(nowUs / 4) % 0x1_0000_0000;
    return seq(ticks + this.#sequenceHash.hash(this.#words, TUPLE_WORDS));
  }

  /** What is added to the clock in TSval: the same for every connection of one tuple. */
  timestampOffset(tuple: Tuple): number {
    tupleWords(tuple, this.#words);
    return this.#offsetHash.hash(this.#words, TUPLE_WORDS);
  }
}
