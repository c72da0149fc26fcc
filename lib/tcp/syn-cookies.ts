/**
 * SYN cookies (RFC 4987 §3.6): when no more half-open connections can be kept, everything that must be
 * known is put into the ISN, and window scale and SACK into the timestamp, as Linux does. Nothing is
 * kept until the handshake's last ACK brings it back.
 */
import type { Random } from '../base/random.js';
import { type Seq, seq } from '../base/seq.js';
import { SipHash } from '../base/siphash.js';
import type { IpFamily } from '../wire/ip-address.js';
import { TUPLE_WORDS, type Tuple, tupleWords } from './tuple.js';

/** A cookie lives for the minute in which it was made and the next. */
const PERIOD_US = 60e6;
const MAX_AGE = 2;

const COUNT_BITS = 8;
const DATA_BITS = 32 - COUNT_BITS;
const DATA_MASK = (1 << DATA_BITS) - 1;

/** Segment sizes a cookie can remember; a peer's is rounded down. */
const MSS_V4: readonly number[] = [536, 1300, 1440, 1460];
const MSS_V6: readonly number[] = [1220, 1420, 1440, 8940];

/** Low bits of TSval: four of window scale (15: none), one of SACK, one of ECN. */
const TS_BITS = 6;
const TS_MASK = (1 << TS_BITS) - 1;
const NO_SCALE = 0xf;
const SACK_BIT = 0x10;
const ECN_BIT = 0x20;

export interface CookieOptions {
  /** -1 for none. */
  readonly windowScale: number;
  readonly sack: boolean;
  /** Classic feedback of congestion marks. */
  readonly ecn: boolean;
}

export class SynCookies {
  readonly #base: SipHash;
  readonly #dated: SipHash;
  readonly #words = new Int32Array(TUPLE_WORDS + 1);

  constructor(random: Random) {
    this.#base = new SipHash(random);
    this.#dated = new SipHash(random);
  }

  /** The ISN that stands for a SYN. */
  make(tuple: Tuple, irs: Seq, mssBytes: number, nowUs: number): Seq {
    const count = Math.floor(nowUs / PERIOD_US);
    const table = mssTable(tuple.local.family);
    let index = table.length - 1;
    while (index > 0 && table[index] > mssBytes) index--;
    const data = (this.#hashDated(tuple, count) + index) & DATA_MASK;
    return seq(this.#hashBase(tuple) + irs + (count << DATA_BITS) + data);
  }

  /** The segment size a cookie stands for; 0 when it is none of ours or too old. */
  check(tuple: Tuple, cookie: Seq, irs: Seq, nowUs: number): number {
    const count = Math.floor(nowUs / PERIOD_US);
    const rest = (cookie - this.#hashBase(tuple) - irs) | 0;
    const age = (count - (rest >>> DATA_BITS)) & ((1 << COUNT_BITS) - 1);
    if (age >= MAX_AGE) return 0;
    const index = (rest - this.#hashDated(tuple, count - age)) & DATA_MASK;
    return mssTable(tuple.local.family)[index] ?? 0;
  }

  /** The clock of a TSval, before its offset, with the peer's options in its low bits. */
  static stamp(clock: number, options: CookieOptions): number {
    const scale = options.windowScale < 0 ? NO_SCALE : Math.min(options.windowScale, NO_SCALE - 1);
    const bits = scale | (options.sack ? SACK_BIT : 0) | (options.ecn ? ECN_BIT : 0);
    const stamped = (clock & ~TS_MASK) | bits;
    // Never ahead of the clock, so that later stamps do not seem older.
    return ((stamped - clock) | 0) > 0 ? (stamped - (1 << TS_BITS)) | 0 : stamped;
  }

  /** The options in an echoed clock value. */
  static unstamp(clock: number): CookieOptions {
    const scale = clock & NO_SCALE;
    return {
      windowScale: scale === NO_SCALE ? -1 : scale,
      sack: (clock & SACK_BIT) !== 0,
      ecn: (clock & ECN_BIT) !== 0,
    };
  }

  #hashBase(tuple: Tuple): number {
    tupleWords(tuple, this.#words);
    return this.#base.hash(this.#words, TUPLE_WORDS);
  }

  #hashDated(tuple: Tuple, count: number): number {
    tupleWords(tuple, this.#words);
    this.#words[TUPLE_WORDS] = count | 0;
    return this.#dated.hash(this.#words, TUPLE_WORDS + 1);
  }
}

const mssTable = (family: IpFamily): readonly number[] => (family === 4 ? MSS_V4 : MSS_V6);
