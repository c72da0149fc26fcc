/**
 * The smallest of the samples of a time window, kept in constant space: the best three at the start, of
 * the second quarter and of the second half (K. Nichols' algorithm, as Linux's `lib/win_minmax.c` has it).
 */
import type { Tape } from '../../base/tape.js';

export class WindowedMin {
  readonly #windowUs: number;
  #best = Number.POSITIVE_INFINITY;
  #second = Number.POSITIVE_INFINITY;
  #third = Number.POSITIVE_INFINITY;
  #bestAtUs = 0;
  #secondAtUs = 0;
  #thirdAtUs = 0;

  constructor(windowUs: number) {
    this.#windowUs = windowUs;
  }

  /** Infinity before the first sample. */
  get value(): number {
    return this.#best;
  }

  update(sample: number, nowUs: number): void {
    if (sample <= this.#best || nowUs - this.#thirdAtUs > this.#windowUs) {
      this.#setBest(sample, nowUs);
      return;
    }
    if (sample <= this.#second) this.#setSecond(sample, nowUs);
    else if (sample <= this.#third) this.#setThird(sample, nowUs);
    const ageUs = nowUs - this.#bestAtUs;
    if (ageUs > this.#windowUs) {
      this.#shift(sample, nowUs);
      if (nowUs - this.#bestAtUs > this.#windowUs) this.#shift(sample, nowUs);
    } else if (this.#secondAtUs === this.#bestAtUs && ageUs > this.#windowUs / 4) {
      this.#setSecond(sample, nowUs);
    } else if (this.#thirdAtUs === this.#secondAtUs && ageUs > this.#windowUs / 2) {
      this.#setThird(sample, nowUs);
    }
  }

  fold(tape: Tape): void {
    this.#best = tape.number(this.#best, Number.POSITIVE_INFINITY);
    this.#bestAtUs = tape.number(this.#bestAtUs, 0);
    this.#second = tape.number(this.#second, this.#best);
    this.#secondAtUs = tape.number(this.#secondAtUs, this.#bestAtUs);
    this.#third = tape.number(this.#third, this.#second);
    this.#thirdAtUs = tape.number(this.#thirdAtUs, this.#secondAtUs);
  }

  #setBest(sample: number, nowUs: number): void {
    this.#best = sample;
    this.#bestAtUs = nowUs;
    this.#setSecond(sample, nowUs);
  }

  #setSecond(sample: number, nowUs: number): void {
    this.#second = sample;
    this.#secondAtUs = nowUs;
    this.#setThird(sample, nowUs);
  }

  #setThird(sample: number, nowUs: number): void {
    this.#third = sample;
    this.#thirdAtUs = nowUs;
  }

  /** The best has grown too old: the others move up. */
  #shift(sample: number, nowUs: number): void {
    this.#best = this.#second;
    this.#bestAtUs = this.#secondAtUs;
    this.#second = this.#third;
    this.#secondAtUs = this.#thirdAtUs;
    this.#setThird(sample, nowUs);
  }
}
