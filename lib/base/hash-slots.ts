/**
 * Rows by their hash: open addressing with linear probing over typed arrays, in which nothing is allocated to look.
 * Rows are numbered by the owner, who makes the hash, with a key nobody outside knows, and compares what it is of.
 */
const FIRST_PLACES = 64;
const FIRST_ROWS = 32;

export class HashSlots {
  /** Row + 1 in each place; 0 for none. Half of the places are free at least. */
  #places = new Int32Array(FIRST_PLACES);
  #mask = FIRST_PLACES - 1;
  #hashes = new Int32Array(FIRST_ROWS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The first row with a hash; -1 for none. */
  first(hash: number): number {
    return this.#search(hash, hash & this.#mask);
  }

  /** The next one with the hash of a row that was found; -1 for none. */
  next(row: number): number {
    return this.#search(this.#hashes[row], (this.#placeOf(row) + 1) & this.#mask);
  }

  /** Adds a row that is not in. */
  add(row: number, hash: number): void {
    if (2 * (this.#size + 1) > this.#places.length) this.#growPlaces();
    while (row >= this.#hashes.length) this.#growRows();
    this.#hashes[row] = hash;
    this.#place(row, hash);
    this.#size++;
  }

  /** Takes a row out that is in. */
  remove(row: number): void {
    this.#closeGap(this.#placeOf(row));
    this.#size--;
  }

  /** Places in a row that are taken, at most: how far a search may go. Looks at all of them; for tools. */
  get longestRun(): number {
    let longest = 0;
    let run = 0;
    for (const entry of this.#places) {
      run = entry === 0 ? 0 : run + 1;
      longest = Math.max(longest, run);
    }
    return longest;
  }

  #search(hash: number, from: number): number {
    const places = this.#places;
    const hashes = this.#hashes;
    const mask = places.length - 1;
    let place = from;
    let row = places[place] - 1;
    while (row >= 0 && hashes[row] !== hash) {
      place = (place + 1) & mask;
      row = places[place] - 1;
    }
    return row;
  }

  #placeOf(row: number): number {
    let place = this.#hashes[row] & this.#mask;
    while (this.#places[place] !== row + 1) place = (place + 1) & this.#mask;
    return place;
  }

  #place(row: number, hash: number): void {
    let place = hash & this.#mask;
    while (this.#places[place] !== 0) place = (place + 1) & this.#mask;
    this.#places[place] = row + 1;
  }

  /** Removes the entry at `start` and moves up those behind it that probed past it. */
  #closeGap(start: number): void {
    const places = this.#places;
    let gap = start;
    let next = (gap + 1) & this.#mask;
    while (places[next] !== 0) {
      const home = this.#hashes[places[next] - 1] & this.#mask;
      if (((next - home) & this.#mask) >= ((next - gap) & this.#mask)) {
        places[gap] = places[next];
        gap = next;
      }
      next = (next + 1) & this.#mask;
    }
    places[gap] = 0;
  }

  #growPlaces(): void {
    const old = this.#places;
    this.#places = new Int32Array(old.length * 2);
    this.#mask = this.#places.length - 1;
    for (const entry of old) if (entry !== 0) this.#place(entry - 1, this.#hashes[entry - 1]);
  }

  #growRows(): void {
    const hashes = new Int32Array(this.#hashes.length * 2);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
  }
}

/** Numbers of rows, those given back before new ones: never more than were taken at once. */
export class RowNumbers {
  readonly #free: number[] = [];
  #next = 0;

  take(): number {
    return this.#free.pop() ?? this.#next++;
  }

  give(row: number): void {
    this.#free.push(row);
  }
}
