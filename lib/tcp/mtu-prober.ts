/**
 * Packetization-layer path MTU discovery for one connection (RFC 4821): which size of segments is known
 * to arrive, when a larger one is tried, and how far to fall where segments vanish without a word.
 * It is told what was sent, acknowledged and lost, and answers sizes.
 *
 * All sizes are text bytes of a full segment. What the path is known to refuse by other means (ICMP, the
 * link, the peer's MSS) is the limit of the search.
 */
import { type Seq, seqAdd, seqGe, seqLe } from '../base/seq.js';

/** When searching ends: a gain of fewer bytes is not worth a probe (Linux `tcp_probe_threshold`). */
const LEAST_GAIN_BYTES = 8;

/** After the search has ended, µs, it begins anew: the path may have become wider (RFC 4821 §7.3, Linux `tcp_probe_interval`). */
const PROBE_INTERVAL_US = 600_000_000;

/** A size is given up when so many probes of it in a row were lost: one may be lost for other reasons. */
const TRIES = 2;

/** Segments behind a probe that show its loss before a time-out would: three duplicates and one more (RFC 4821 §7.4). */
const FOLLOWERS = 4;

/** Probing waits for a congestion window of so many segments, of which recovery can live (RFC 4821 §7.4, as Linux). */
const LEAST_WINDOW_SEGMENTS = 11;

export interface MtuProberSizes {
  /** What path and peer allow, and what is used until something is known to be wrong with it. */
  readonly limitBytes: number;
  /** Where a search begins, and what is used first where larger segments vanish. */
  readonly baseBytes: number;
  /** Below this it never falls. */
  readonly floorBytes: number;
}

/** What a sender has to say before it asks for a probe. One object, filled anew each time. */
export class ProbeConditions {
  unsentBytes = 0;
  /** Bytes beyond SND.NXT that the peer's window admits. */
  windowBytes = 0;
  cwndBytes = 0;
  inFlightBytes = 0;
  nowUs = 0;
}

export class MtuProber {
  /** Full segments carry so much. */
  mssBytes: number;
  readonly now = new ProbeConditions();
  /** The probe in flight, 0 for none; and the number behind it. */
  probeBytes = 0;
  probeEnd = 0 as Seq;
  readonly #baseBytes: number;
  readonly #floorBytes: number;
  /** Largest size that may arrive, and one that is known to (`search_high`, `search_low`). */
  #highBytes: number;
  #lowBytes: number;
  #limitBytes: number;
  /** The first probe of a search tries the whole: most black holes are outages that have passed. */
  #largestFirst = false;
  /** Probes of `#triedBytes` lost in a row. */
  #tries = 0;
  #triedBytes = 0;
  /** `mssBytes` was raised, and is to be proven by a window of data up to `#verifyEnd`. */
  #isVerifying = false;
  #verifyEnd = 0 as Seq;
  /** When the search that has ended begins anew, µs; 0 while one is under way. */
  #againAtUs = 0;

  /** Begins with what the limit allows, or where `fromBase` with the base. */
  constructor(sizes: MtuProberSizes, fromBase: boolean) {
    this.#limitBytes = sizes.limitBytes;
    this.#highBytes = sizes.limitBytes;
    this.#floorBytes = Math.min(sizes.floorBytes, sizes.limitBytes);
    this.#baseBytes = Math.max(this.#floorBytes, Math.min(sizes.baseBytes, sizes.limitBytes));
    this.#lowBytes = fromBase ? this.#baseBytes : sizes.limitBytes;
    this.mssBytes = this.#lowBytes;
  }

  /** Bounds of the search: what is known to arrive, and the most that may. */
  get lowBytes(): number {
    return this.#lowBytes;
  }

  get highBytes(): number {
    return this.#highBytes;
  }

  /** The size in use is not yet proven by a whole window of data. */
  get isVerifying(): boolean {
    return this.#isVerifying;
  }

  /** There is no size that is known to work better: what is below is tried in need only. */
  get isAtBase(): boolean {
    return !this.#isVerifying && this.mssBytes <= this.#baseBytes;
  }

  /** Path or peer allow something else now. @returns whether a probe in flight is too large for it */
  limitChanged(limitBytes: number): boolean {
    // A ceiling that probes have found stands until the search begins anew.
    const isOpen = this.#highBytes === this.#limitBytes;
    if (limitBytes < this.#highBytes || isOpen) this.#highBytes = limitBytes;
    if (isOpen) this.#againAtUs = 0;
    this.#limitBytes = limitBytes;
    this.#lowBytes = Math.min(this.#lowBytes, limitBytes);
    this.mssBytes = Math.min(this.mssBytes, limitBytes);
    if (this.mssBytes <= this.#lowBytes) this.#isVerifying = false;
    const refused = this.probeBytes > limitBytes;
    if (refused) this.inconclusive();
    return refused;
  }

  /** Size of the probe to send `now`; 0 when there is nothing to find out, or this is not the time for it. */
  nextProbe(): number {
    const { mssBytes, now } = this;
    if (this.probeBytes > 0 || this.#isVerifying) return 0;
    const size = this.#candidate(now.nowUs);
    if (size === 0) return 0;
    const needed = size + FOLLOWERS * mssBytes;
    if (now.unsentBytes < needed || now.windowBytes < needed) return 0;
    if (now.cwndBytes < LEAST_WINDOW_SEGMENTS * mssBytes) return 0;
    // The probe must fit what congestion control allows, with a segment behind it.
    return now.inFlightBytes + size + mssBytes > now.cwndBytes ? 0 : size;
  }

  /** What the search would try next; 0 when it has ended, and it is not yet time for another. */
  #candidate(nowUs: number): number {
    if (this.#againAtUs > 0 && nowUs >= this.#againAtUs) {
      this.#highBytes = this.#limitBytes;
      this.#againAtUs = 0;
      this.#tries = 0;
    }
    const gain = this.#highBytes - this.#lowBytes;
    const isOpen = this.#highBytes === this.#limitBytes;
    if (gain < LEAST_GAIN_BYTES) {
      // Nothing has refused the limit itself: the last bytes are a probe away.
      if (gain > 0 && isOpen) return this.#highBytes;
      if (this.#againAtUs === 0) this.#againAtUs = nowUs + PROBE_INTERVAL_US;
      return 0;
    }
    if (this.#largestFirst && isOpen) return this.#highBytes;
    return this.#lowBytes + (gain >> 1);
  }

  /** The probe left, as `[start, end)`. */
  probeSent(start: Seq, end: Seq): void {
    this.probeBytes = (end - start) | 0;
    this.probeEnd = end;
  }

  /**
   * SND.UNA is `una` now. A probe it passes has arrived; a size that carried `windowBytes` beyond
   * `sndNxt` is proven.
   * @returns whether full segments have another size now
   */
  acknowledged(una: Seq, sndNxt: Seq, windowBytes: number): boolean {
    if (this.#isVerifying && seqGe(una, this.#verifyEnd)) {
      this.#isVerifying = false;
      this.#lowBytes = this.mssBytes;
    }
    if (this.probeBytes === 0 || !seqLe(this.probeEnd, una)) return false;
    // RFC 4821 §7.6.1: it is at least as large as the probe; a window of data is to prove it (§7.8).
    this.mssBytes = this.probeBytes;
    this.probeBytes = 0;
    this.#tries = 0;
    this.#isVerifying = true;
    this.#verifyEnd = seqAdd(sndNxt, windowBytes);
    return true;
  }

  /**
   * The probe was lost, and nothing else: that says something of its size, and nothing of congestion
   * (RFC 4821 §7.6.2).
   */
  probeLost(): void {
    const size = this.probeBytes;
    this.probeBytes = 0;
    if (size === 0) return;
    this.#tries = this.#triedBytes === size ? this.#tries + 1 : 1;
    this.#triedBytes = size;
    if (this.#tries < TRIES) return;
    this.#highBytes = size - 1;
    this.#tries = 0;
    this.#largestFirst = false;
  }

  /** What becomes of the probe will say nothing (RFC 4821 §7.6.4). */
  inconclusive(): void {
    this.probeBytes = 0;
  }

  /** What full segments carry after `blackHole()`; the same when they cannot become smaller. */
  get fallbackBytes(): number {
    if (this.mssBytes > this.#lowBytes) return this.#lowBytes;
    if (this.mssBytes > this.#baseBytes) return this.#baseBytes;
    return Math.min(this.mssBytes, Math.max(this.#floorBytes, this.mssBytes >> 1));
  }

  /** Full segments vanish: smaller ones may not (RFC 4821 §7.7). The search for what arrives begins anew. */
  blackHole(): void {
    this.probeBytes = 0;
    if (this.#isVerifying) {
      // Probes may take another way than the rest, where several lead to the peer (RFC 4821 §7.8).
      this.#isVerifying = false;
      this.#highBytes = Math.max(this.#lowBytes, this.mssBytes - 1);
      this.mssBytes = this.#lowBytes;
      return;
    }
    this.mssBytes = this.fallbackBytes;
    this.#lowBytes = this.mssBytes;
    this.#highBytes = this.#limitBytes;
    this.#largestFirst = true;
    this.#tries = 0;
    this.#againAtUs = 0;
  }
}
