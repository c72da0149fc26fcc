/** Tells whether the callbacks of Node, ticks and promises, have run since something was delivered. */
export class TickCount {
  #now = 0;
  #isDue = false;
  readonly #step = (): void => {
    this.#isDue = false;
    this.#now++;
  };

  /** A mark of this moment, which `isPresent` knows until the callbacks have run. */
  mark(): number {
    if (!this.#isDue) {
      this.#isDue = true;
      process.nextTick(this.#step);
    }
    return this.#now;
  }

  isPresent(mark: number): boolean {
    return this.#isDue && mark === this.#now;
  }
}
