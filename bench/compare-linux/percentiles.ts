/** Percentiles of many times, in 10 µs steps up to 10 s: a histogram, so that nothing is kept or sorted. */
const STEP_US = 10;
const STEPS = 1_000_000;

export class Percentiles {
  readonly #counts = new Uint32Array(STEPS);
  #total = 0;

  add(us: number): void {
    this.#counts[Math.max(0, Math.min(STEPS - 1, Math.floor(us / STEP_US)))]++;
    this.#total++;
  }

  /** The time that `share` of all lie at or below, µs; 0 when there are none. */
  at(share: number): number {
    let left = share * this.#total;
    for (let i = 0; i < STEPS && this.#total > 0; i++) {
      left -= this.#counts[i];
      if (left <= 0) return i * STEP_US;
    }
    return 0;
  }
}
