/**
 * What a server needs for TCP Fast Open (RFC 7413): cookies that prove a client to own its address, and a
 * limit on how many connections may be open on the strength of a cookie alone.
 */
import type { Random } from '../base/random.js';
import { SipHash } from '../base/siphash.js';
import type { TcpSegment } from './segment.js';
import { TUPLE_WORDS, type Tuple, tupleWords } from './tuple.js';

/** Cookies have 4 to 16 bytes (RFC 7413 §4.1.1); like Linux we make 8, one SipHash. */
export const COOKIE_BYTES = 8;

/** Words of a tuple that are addresses; a cookie is for all ports of a server. */
const ADDRESS_WORDS = TUPLE_WORDS - 1;

/** How long a place that was reset goes on to count, µs (RFC 7413 §5.1; Linux `reqsk_fastopen_remove`). */
export const RESET_COUNTS_US = 60e6;

/** What became of a cookie. */
export const CookieCheck = {
  Wrong: 0,
  Current: 1,
  /** Made with the key before this one: good, and due to be replaced. */
  Old: 2,
} as const;
export type CookieCheck = (typeof CookieCheck)[keyof typeof CookieCheck];

/** Cookies: MACs of both addresses under a key that changes, the one before still counting (RFC 7413 §4.1.2). */
export class FastOpenCookies {
  readonly #random: Random;
  readonly #lifetimeUs: number;
  readonly #words = new Int32Array(TUPLE_WORDS);
  #key: SipHash;
  #oldKey: SipHash | undefined;
  #keyEndsUs: number;

  /** @param lifetimeUs how long each key makes cookies; it accepts them as long again */
  constructor(random: Random, lifetimeUs: number, nowUs: number) {
    this.#random = random;
    this.#lifetimeUs = lifetimeUs;
    this.#key = new SipHash(random);
    this.#keyEndsUs = nowUs + lifetimeUs;
  }

  make(tuple: Tuple, nowUs: number): Uint8Array {
    this.#rotate(nowUs);
    this.#hash(this.#key, tuple);
    const cookie = new Uint8Array(COOKIE_BYTES);
    const view = new DataView(cookie.buffer);
    view.setInt32(0, this.#key.low);
    view.setInt32(4, this.#key.high);
    return cookie;
  }

  /** Looks at the cookie in the options of a SYN. */
  check(tuple: Tuple, { options, view }: TcpSegment, nowUs: number): CookieCheck {
    if (options.cookieBytes !== COOKIE_BYTES) return CookieCheck.Wrong;
    this.#rotate(nowUs);
    const low = view.getInt32(options.cookieAt);
    const high = view.getInt32(options.cookieAt + 4);
    if (this.#holds(this.#key, tuple, low, high)) return CookieCheck.Current;
    if (this.#oldKey === undefined) return CookieCheck.Wrong;
    return this.#holds(this.#oldKey, tuple, low, high) ? CookieCheck.Old : CookieCheck.Wrong;
  }

  #rotate(nowUs: number): void {
    if (nowUs < this.#keyEndsUs) return;
    // Where nobody asked for a whole lifetime, the key before this one has had its time too.
    this.#oldKey = nowUs < this.#keyEndsUs + this.#lifetimeUs ? this.#key : undefined;
    this.#key = new SipHash(this.#random);
    this.#keyEndsUs = nowUs + this.#lifetimeUs;
  }

  #holds(key: SipHash, tuple: Tuple, low: number, high: number): boolean {
    this.#hash(key, tuple);
    return ((key.low ^ low) | (key.high ^ high)) === 0;
  }

  #hash(key: SipHash, tuple: Tuple): void {
    tupleWords(tuple, this.#words);
    key.hash(this.#words, ADDRESS_WORDS);
  }
}

/**
 * How many connections of a listener are open and have not completed their handshake. Who sends SYNs in the name
 * of others learns their cookies perhaps, but not how to free places: one that the true owner of an address
 * resets goes on to count until its SYN-ACK would have timed out (RFC 7413 §5.1).
 */
export class FastOpenQueue {
  /** Places taken, those that were reset among them. */
  pending = 0;
  /** When places that were reset no longer count, µs, the first first. */
  readonly #resets: number[] = [];

  /**
   * A place among `limit`; undefined when all are taken.
   * @param synAckRetries retransmissions of a SYN-ACK that are granted without Fast Open
   */
  enter(limit: number, synAckRetries: number, nowUs: number): FastOpenPlace | undefined {
    while (this.#resets.length > 0 && this.#resets[0] <= nowUs) {
      this.#resets.shift();
      this.pending--;
    }
    if (this.pending >= limit) return undefined;
    this.pending++;
    return new FastOpenPlace(this, synAckRetries + 1);
  }

  leave(): void {
    this.pending--;
  }

  /** A place is given up, and counts for a while. */
  keep(nowUs: number): void {
    this.#resets.push(nowUs + RESET_COUNTS_US);
  }
}

/** The place of one connection in its listener's queue, from its SYN until its handshake is complete. */
export class FastOpenPlace {
  readonly #queue: FastOpenQueue;
  /** How often the SYN-ACK is repeated: once more than others, as on Linux. */
  readonly synAckRetries: number;
  #isLeft = false;

  constructor(queue: FastOpenQueue, synAckRetries: number) {
    this.#queue = queue;
    this.synAckRetries = synAckRetries;
  }

  /** The handshake is complete, or the connection is over. */
  leave(): void {
    if (this.#isLeft) return;
    this.#isLeft = true;
    this.#queue.leave();
  }

  /** The peer has reset the connection. */
  reset(nowUs: number): void {
    if (this.#isLeft) return;
    this.#isLeft = true;
    this.#queue.keep(nowUs);
  }
}
