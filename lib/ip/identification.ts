/**
 * Identifications of datagrams that may be fragmented. Atomic datagrams carry 0 (RFC 6864 §4.1).
 *
 * IPv4: a counter for each bucket of (source, destination, protocol), so that an identification comes
 * back only after 65,536 datagrams (RFC 6864 §4.3), seen by each destination from a start of its own
 * that only the key knows: nobody can read our traffic off the identifications he gets (CVE-2019-10638).
 * IPv6: a random number each time (RFC 7739 §5.3).
 */
import type { Random } from '../base/random.js';
import { SipHash } from '../base/siphash.js';
import type { IpPath } from './path.js';

const BUCKETS = 1 << 14;

export class Identification {
  readonly #random: Random;
  readonly #hash: SipHash;
  readonly #counters = new Uint16Array(BUCKETS);
  readonly #words = new Int32Array(3);

  constructor(random: Random) {
    this.#random = random;
    this.#hash = new SipHash(random);
  }

  /** The identification of the next IPv4 datagram of a path. */
  next4(path: IpPath): number {
    const words = this.#words;
    words[0] = path.source.w3;
    words[1] = path.destination.w3;
    words[2] = path.protocol;
    const start = this.#hash.hash(words, 3);
    const bucket = (this.#hash.high >>> 0) & (BUCKETS - 1);
    const count = this.#counters[bucket]++;
    return (start + count) & 0xffff;
  }

  /** The identification of the next IPv6 datagram that is fragmented; never 0. */
  next6(): number {
    let value = this.#random.uint32();
    while (value === 0) value = this.#random.uint32();
    return value;
  }
}
