/**
 * How many ICMP errors may go: all together, and to each destination (RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f)).
 */
import type { Random } from '../base/random.js';
import { randomBelow } from '../base/random.js';
import { TableHash } from '../base/siphash.js';
import type { IpPacket } from '../wire/ip-packet.js';
import type { IpOptions } from './options.js';

const SECOND_US = 1_000_000;
/** Destinations remembered, in sets by hash. */
const SLOTS = 1024;
const WAYS = 8;
const SETS = SLOTS / WAYS;

export class IcmpRateLimit {
  readonly #random: Random;
  readonly #hash: TableHash;
  readonly #options: IpOptions;
  #credit: number;
  #filledUs = 0;
  readonly #words = new Int32Array(4 * SLOTS);
  /** Time each destination has saved up, µs, and when that was. */
  readonly #savedUs = new Float64Array(SLOTS);
  readonly #savedAtUs = new Float64Array(SLOTS).fill(-1);

  constructor(random: Random, options: IpOptions) {
    this.#random = random;
    this.#hash = new TableHash(random);
    this.#options = options;
    this.#credit = options.icmpErrorBurst;
  }

  /**
   * Whether one more error may go to the source of `packet`. Only what passes the limit of its destination
   * uses up the global credit, so that one destination cannot use up all of it.
   */
  allows(packet: IpPacket): boolean {
    return this.#allowsDestination(packet) && this.allowsGlobally(packet.nowUs);
  }

  /**
   * The global bucket. Each error takes 0, 1 or 2 of its credit, one on average: how much is left tells
   * nobody how many errors others have caused (CVE-2020-25705).
   */
  allowsGlobally(nowUs: number): boolean {
    const { icmpErrorsPerSecond: rate, icmpErrorBurst: burst } = this.#options;
    const gained = Math.floor(((nowUs - this.#filledUs) * rate) / SECOND_US);
    if (gained > 0) {
      this.#credit = Math.min(burst, this.#credit + gained);
      this.#filledUs = nowUs;
    }
    if (this.#credit <= 0) return false;
    this.#credit = Math.max(0, this.#credit - randomBelow(this.#random, 3));
    return true;
  }

  #allowsDestination(packet: IpPacket): boolean {
    const { s0, s1, s2, s3, nowUs } = packet;
    const intervalUs = this.#options.icmpDestinationMs * 1000;
    if (intervalUs === 0) return true;
    const mostUs = intervalUs * this.#options.icmpDestinationBurst;
    const first = (this.#hash.hash3(s0 ^ s1, s2, s3) & (SETS - 1)) * WAYS;
    let slot = this.#find(first, packet);
    if (slot < 0) {
      slot = this.#vacate(first, nowUs, mostUs);
      this.#settle(slot, packet, mostUs);
    }
    const saved = Math.min(mostUs, this.#savedUs[slot] + nowUs - this.#savedAtUs[slot]);
    this.#savedAtUs[slot] = nowUs;
    this.#savedUs[slot] = saved >= intervalUs ? saved - intervalUs : saved;
    return saved >= intervalUs;
  }

  #find(first: number, packet: IpPacket): number {
    for (let slot = first; slot < first + WAYS; slot++) if (this.#isAt(slot, packet)) return slot;
    return -1;
  }

  /**
   * The slot of a set that a newcomer gets: one whose destination has saved up all it may, which loses
   * nothing by being forgotten; else any. Were it always the same, a host that had used up its own limit
   * could see by its next error whether one went to another destination of the same hash.
   */
  #vacate(first: number, nowUs: number, mostUs: number): number {
    for (let slot = first; slot < first + WAYS; slot++) {
      const at = this.#savedAtUs[slot];
      if (at < 0 || this.#savedUs[slot] + nowUs - at >= mostUs) return slot;
    }
    return first + randomBelow(this.#random, WAYS);
  }

  #isAt(slot: number, packet: IpPacket): boolean {
    const words = this.#words;
    const at = slot * 4;
    return (
      this.#savedAtUs[slot] >= 0 &&
      words[at] === packet.s0 &&
      words[at + 1] === packet.s1 &&
      words[at + 2] === packet.s2 &&
      words[at + 3] === packet.s3
    );
  }

  #settle(slot: number, packet: IpPacket, mostUs: number): void {
    const words = this.#words;
    const at = slot * 4;
    words[at] = packet.s0;
    words[at + 1] = packet.s1;
    words[at + 2] = packet.s2;
    words[at + 3] = packet.s3;
    this.#savedUs[slot] = mostUs;
    this.#savedAtUs[slot] = packet.nowUs;
  }
}
