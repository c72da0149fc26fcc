/** The windowed maxima of BBR: of bandwidth over two probing cycles, of aggregation over some rounds. */

/** The maximum of this probing cycle and the one before (draft-ietf-ccwg-bbr-06 §5.5.3, §5.5.6). */
export class MaxBandwidthFilter {
  /** The maximum of this cycle alone. */
  #currentBps = 0;
  /** BBR.max_bw, bytes per second; 0 before the first sample. */
  maxBps = 0;

  add(rateBps: number): void {
    if (rateBps > this.#currentBps) this.#currentBps = rateBps;
    if (rateBps > this.maxBps) this.maxBps = rateBps;
  }

  /** A cycle ends. One without any sample has nothing to say against the one before. */
  advance(): void {
    if (this.#currentBps === 0) return;
    this.maxBps = this.#currentBps;
    this.#currentBps = 0;
  }
}

/**
 * The maximum over a sliding window, as Kathleen Nichols' filter tracks it: the best, second and third best
 * sample, each later than the one before it (draft-ietf-ccwg-bbr-06 §5.5.5, [KN_FILTER]).
 */
export class WindowedMax {
  #first = 0;
  #second = 0;
  #third = 0;
  #firstAt = 0;
  #secondAt = 0;
  #thirdAt = 0;

  get max(): number {
    return this.#first;
  }

  /** Takes a sample made at `time`; the window, in the same unit, ends there. */
  add(value: number, time: number, window: number): void {
    if (value >= this.#first || time - this.#thirdAt > window) {
      this.#setFirst(value, time);
    } else if (value >= this.#second) {
      this.#second = this.#third = value;
      this.#secondAt = this.#thirdAt = time;
    } else if (value >= this.#third) {
      this.#third = value;
      this.#thirdAt = time;
    }
    this.#expire(value, time, window);
  }

  #setFirst(value: number, time: number): void {
    this.#first = this.#second = this.#third = value;
    this.#firstAt = this.#secondAt = this.#thirdAt = time;
  }

  #expire(value: number, time: number, window: number): void {
    const age = time - this.#firstAt;
    if (age > window) {
      // The best has left the window: the others move up, and this sample is the last resort.
      this.#first = this.#second;
      this.#firstAt = this.#secondAt;
      this.#second = this.#third;
      this.#secondAt = this.#thirdAt;
      this.#third = value;
      this.#thirdAt = time;
      if (time - this.#firstAt > window) {
        this.#first = this.#second;
        this.#firstAt = this.#secondAt;
        this.#second = value;
        this.#secondAt = time;
      }
    } else if (this.#secondAt === this.#firstAt && age > window / 4) {
      // A quarter without a second best: take one, so that there is one when the best leaves.
      this.#second = this.#third = value;
      this.#secondAt = this.#thirdAt = time;
    } else if (this.#thirdAt === this.#secondAt && age > window / 2) {
      this.#third = value;
      this.#thirdAt = time;
    }
  }
}
