/** Which numbers of packets have come, so that none is taken twice (RFC 6479). */

/** Packets may overtake each other by as many; what is older is refused. */
const WINDOW = 2048;
const WORD = 32;

export class ReplayWindow {
  readonly #seen = new Uint32Array(WINDOW / WORD + 1);
  #highest = -1;

  /** Notes a number. Ask only once the packet has proved to be genuine. @returns false when it came before, or may have */
  take(counter: number): boolean {
    const words = this.#seen.length;
    const word = Math.floor(counter / WORD);
    if (counter > this.#highest) {
      const from = Math.floor(this.#highest / WORD);
      // Words that come into the window have nothing in them yet.
      for (let i = Math.max(from + 1, word - words + 1); i <= word; i++) this.#seen[i % words] = 0;
      this.#highest = counter;
    } else if (this.#highest - counter >= WINDOW) {
      return false;
    }
    const bit = 1 << (counter % WORD);
    if ((this.#seen[word % words] & bit) !== 0) return false;
    this.#seen[word % words] |= bit;
    return true;
  }
}
