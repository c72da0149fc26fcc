/** The ports of one outside address and protocol: which are in use, and which one a new mapping gets. */
import { type Random, randomBelow } from '../base/random.js';

const WORDS = 65_536 / 32;
const EVEN = 0x5555_5555;
const ODD = EVEN << 1;

/** Ports below are a class of their own (RFC 4787 §4.2.1 REQ-3 a). */
const FIRST_HIGH_PORT = 1024;

/** Which ports somebody else has. */
export interface OthersPorts {
  /** A bit for each port that is kept for port forwards, in words of 32. */
  readonly kept: Int32Array;
  /** Whether nobody has a port that is not kept. */
  isFree(port: number): boolean;
}

/** The words of a set of all ports. */
export const newPortSet = (): Int32Array => new Int32Array(WORDS);

/** The bit of the lowest one in a word that has one. */
const lowestBit = (word: number): number => 31 - Math.clz32(word & -word);

export class PortPool {
  /** One bit for each port in use. */
  readonly #used = newPortSet();
  readonly #random: Random;
  readonly #first: number;
  readonly #last: number;
  readonly #keepsClass: boolean;
  #count = 0;

  /**
   * @param range ports to choose from
   * @param keepsClass whether a port below 1024 stays below 1024; identifiers of echo requests have no classes
   */
  constructor(random: Random, range: readonly [number, number], keepsClass: boolean) {
    this.#random = random;
    this.#first = range[0];
    this.#last = range[1];
    this.#keepsClass = keepsClass;
  }

  /** Ports in use. */
  get count(): number {
    return this.#count;
  }

  isUsed(port: number): boolean {
    return (this.#used[port >>> 5] & (1 << (port & 31))) !== 0;
  }

  /** Marks a port as used. */
  use(port: number): void {
    if (this.isUsed(port)) return;
    this.#used[port >>> 5] |= 1 << (port & 31);
    this.#count++;
  }

  release(port: number): void {
    if (!this.isUsed(port)) return;
    this.#used[port >>> 5] &= ~(1 << (port & 31));
    this.#count--;
  }

  /**
   * A free port that nobody else has: `wanted` itself; else a random one of its class and parity
   * (RFC 4787 §4.2.2 REQ-4, RFC 6056 §3.3.1), then one of its class; one above 1023 where those below are taken.
   * @returns -1 when there is none
   */
  choose(wanted: number, others: OthersPorts): number {
    const isLow = this.#keepsClass && wanted < FIRST_HIGH_PORT;
    const low = isLow ? this.#chooseWithin([1, FIRST_HIGH_PORT - 1], wanted, others) : -1;
    return low >= 0 ? low : this.#chooseWithin([this.#first, this.#last], wanted, others);
  }

  #chooseWithin(range: readonly [number, number], wanted: number, others: OthersPorts): number {
    const own = wanted >= range[0] && wanted <= range[1] ? this.#scan(wanted, wanted, -1, others) : -1;
    if (own >= 0) return own;
    const same = this.#search(range, (wanted & 1) === 0 ? EVEN : ODD, others);
    return same >= 0 ? same : this.#search(range, -1, others);
  }

  /** Goes once through all ports of a range that a mask selects, from a random one on. */
  #search([first, last]: readonly [number, number], mask: number, others: OthersPorts): number {
    const start = first + randomBelow(this.#random, last - first + 1);
    const upper = this.#scan(start, last, mask, others);
    return upper >= 0 ? upper : this.#scan(first, start - 1, mask, others);
  }

  #scan(first: number, last: number, mask: number, others: OthersPorts): number {
    for (let at = first; at <= last; at = (at | 31) + 1) {
      const taken = this.#used[at >>> 5] | others.kept[at >>> 5];
      let free = ~taken & mask & (-1 << (at & 31));
      while (free !== 0) {
        const port = (at & ~31) + lowestBit(free);
        if (port > last) return -1;
        if (others.isFree(port)) return port;
        free &= free - 1;
      }
    }
    return -1;
  }
}
