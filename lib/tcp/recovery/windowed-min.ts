/**
 * The smallest of the samples of a time window, kept in constant space: the best three at the start, of
 * the second quarter and of the second half (K. Nichols' algorithm, as Linux's `lib/win_minmax.c` has it).
 */
export class WindowedMin {
  readonly #windowUs: number;
  #values = new Float64Array([Infinity, Infinity, Infinity]);
  #timesUs = new Float64Array(3);

  constructor(windowUs: number) {
    this.#windowUs = windowUs;
  }

  /** Infinity before the first sample. */
  get value(): number {
    return this.#values[0];
  }

  update(sample: number, nowUs: number): void {
    const values = this.#values;
    const times = this.#timesUs;
    if (sample <= values[0] || nowUs - times[2] > this.#windowUs) {
      this.#fill(0, sample, nowUs);
      return;
    }
    if (sample <= values[1]) this.#fill(1, sample, nowUs);
    else if (sample <= values[2]) this.#fill(2, sample, nowUs);
    const ageUs = nowUs - times[0];
    if (ageUs > this.#windowUs) {
      this.#shift(sample, nowUs);
      if (nowUs - times[0] > this.#windowUs) this.#shift(sample, nowUs);
    } else if (times[1] === times[0] && ageUs > this.#windowUs / 4) {
      this.#fill(1, sample, nowUs);
    } else if (times[2] === times[1] && ageUs > this.#windowUs / 2) {
      this.#fill(2, sample, nowUs);
    }
  }

  /** The sample is the best of all ranks from `rank` on. */
  #fill(rank: number, sample: number, nowUs: number): void {
    this.#values.fill(sample, rank);
    this.#timesUs.fill(nowUs, rank);
  }

  /** The best has grown too old: the others move up. */
  #shift(sample: number, nowUs: number): void {
    this.#values.copyWithin(0, 1);
    this.#timesUs.copyWithin(0, 1);
    this.#values[2] = sample;
    this.#timesUs[2] = nowUs;
  }
}
