/**
 * How large a window to offer: silly-window avoidance (RFC 9293 §3.8.6.2.2), and a buffer that grows
 * with what the application reads in a round trip (dynamic right-sizing; Fisk and Feng, 2001).
 */

export interface WindowLimits {
  readonly windowBytes: number;
  readonly maxBufferBytes: number;
  readonly clampBytes: number;
  readonly windowShift: number;
}

export class WindowTuner {
  /** Bytes the buffer may hold now. */
  limitBytes: number;
  readonly #maxBytes: number;
  readonly #unit: number;
  /** What the application read in the round trip under way, and in the best one before. */
  #consumedBytes = 0;
  #bestBytes: number;
  #roundStartUs = 0;
  #rttUs = 0;

  constructor(limits: WindowLimits) {
    const clamp = limits.clampBytes > 0 ? limits.clampBytes : Number.POSITIVE_INFINITY;
    this.#maxBytes = Math.min(limits.maxBufferBytes, clamp, 0xffff * 2 ** limits.windowShift);
    this.limitBytes = Math.min(limits.windowBytes, this.#maxBytes);
    this.#bestBytes = this.limitBytes / 2;
    this.#unit = 1 << limits.windowShift;
  }

  /**
   * Bytes that are never exceeded: the limit, and beyond it what rounding the window up to its unit may
   * offer, once for the limit itself and a little with each ACK while the window fills.
   */
  get hardLimitBytes(): number {
    return this.limitBytes + this.limitBytes / 16 + 2 * this.#unit;
  }

  /** Fixes the size: the application chose it. */
  fix(bytes: number): void {
    this.limitBytes = Math.min(bytes, this.#maxBytes);
    this.#bestBytes = Number.POSITIVE_INFINITY;
  }

  /** The application took `bytes`. */
  consumed(bytes: number): void {
    this.#consumedBytes += bytes;
  }

  /** A round-trip time seen by the receiver, µs; smoothed, as data carries echoes of one tick's grain. */
  measured(rttUs: number): void {
    this.#rttUs = this.#rttUs === 0 ? rttUs : this.#rttUs + (rttUs - this.#rttUs) / 8;
  }

  /** Called as data arrives: once in a round trip it grows the buffer where the reader keeps up. */
  adjust(nowUs: number): void {
    if (this.#roundStartUs === 0) this.#roundStartUs = nowUs;
    if (this.#rttUs === 0 || nowUs - this.#roundStartUs < this.#rttUs) return;
    if (this.#consumedBytes > this.#bestBytes) {
      this.#bestBytes = this.#consumedBytes;
      // Twice what was read in a round trip lets the sender double its window in the next.
      const wanted = Math.min(this.#maxBytes, 2 * this.#consumedBytes + 65_536);
      if (wanted > this.limitBytes) this.limitBytes = wanted;
    }
    this.#consumedBytes = 0;
    this.#roundStartUs = nowUs;
  }

  /**
   * The window to offer, bytes, where `current` is still open and `occupied` bytes wait to be read.
   * It stays closed until a segment or half the buffer can be offered, then opens in whole segments.
   */
  offer(current: number, occupied: number, mssBytes: number): number {
    const free = Math.max(0, this.limitBytes - occupied);
    const mss = Math.min(mssBytes, this.limitBytes);
    if (free < Math.max(this.limitBytes / 16, Math.min(mss, this.limitBytes / 2))) return 0;
    // The right edge moves by a full segment or half the buffer at least (RFC 9293 §3.8.6.2.2).
    if (free < current + Math.min(this.limitBytes / 2, mss)) return current;
    // Scaled windows are coarse: rounding up to the unit keeps a small one from vanishing.
    return Math.ceil(free / this.#unit) * this.#unit;
  }
}
