/**
 * A list that is filled and emptied over and over: unlike an array whose length is set to zero, it keeps
 * its memory, so that filling it again allocates nothing.
 */
export class WorkList<Item> {
  #items: (Item | undefined)[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** The `i`-th item, 0 .. count-1. */
  at(i: number): Item {
    return this.#items[i] as Item;
  }

  push(item: Item): void {
    if (this.#count < this.#items.length) this.#items[this.#count] = item;
    else this.#items.push(item);
    this.#count++;
  }

  /** Empties it; what was in it is not held any longer. */
  clear(): void {
    for (let i = 0; i < this.#count; i++) this.#items[i] = undefined;
    this.#count = 0;
  }
}
