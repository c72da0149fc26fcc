/**
 * From two endpoints to a row: a hash table by open addressing with linear probing over typed arrays. The
 * hash is keyed, so that nobody outside can make flows collide. Rows are numbered by the owner; a key is
 * ten words: the protocol, the address on our side, that of the other side, and both ports. Keys of one
 * endpoint leave the other side zero.
 */
import { invariant } from '../base/errors.js';
import type { Random } from '../base/random.js';
import { TableHash } from '../base/siphash.js';

/** Words of a key, and where they lie: the protocol, two addresses, both ports. */
export const KEY_WORDS = 10;
export const KeyWord = { PROTOCOL: 0, NEAR: 1, FAR: 5, PORTS: 9 } as const;

const FIRST_PLACES = 64;
const FIRST_ROWS = 32;

export class EndpointIndex {
  /** The key looked for, or to be inserted: filled by the caller. */
  readonly probe = new Int32Array(KEY_WORDS);
  readonly #hash: TableHash;
  /** Row + 1 in each place; 0 for none. */
  #places = new Int32Array(FIRST_PLACES);
  #mask = FIRST_PLACES - 1;
  #keys = new Int32Array(FIRST_ROWS * KEY_WORDS);
  #hashes = new Int32Array(FIRST_ROWS);
  #size = 0;

  constructor(random: Random) {
    this.#hash = new TableHash(random);
  }

  get size(): number {
    return this.#size;
  }

  /** The row whose key is in `probe`; -1 for none. */
  find(): number {
    const hash = this.#hashOf();
    let place = hash & this.#mask;
    for (;;) {
      const row = this.#places[place] - 1;
      if (row < 0) return -1;
      if (this.#hashes[row] === hash && this.#equals(row)) return row;
      place = (place + 1) & this.#mask;
    }
  }

  /** Gives `row` the key in `probe`, which no other has. */
  insert(row: number): void {
    invariant(this.find() < 0, 'a key has one row');
    if (2 * (this.#size + 1) > this.#places.length) this.#growPlaces();
    while (row >= this.#hashes.length) this.#growRows();
    const hash = this.#hashOf();
    this.#keys.set(this.probe, row * KEY_WORDS);
    this.#hashes[row] = hash;
    this.#place(row, hash);
    this.#size++;
  }

  /** Takes a row out that is in. */
  remove(row: number): void {
    let place = this.#hashes[row] & this.#mask;
    while (this.#places[place] !== row + 1) place = (place + 1) & this.#mask;
    this.#closeGap(place);
    this.#size--;
  }

  /** Word `i` of the key of a row that is in. */
  word(row: number, i: number): number {
    return this.#keys[row * KEY_WORDS + i];
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

  #equals(row: number): boolean {
    const keys = this.#keys;
    const probe = this.probe;
    const at = row * KEY_WORDS;
    for (let i = KEY_WORDS - 1; i >= 0; i--) if (keys[at + i] !== probe[i]) return false;
    return true;
  }

  /**
   * IPv4 needs one word of each address. What is the same for two protocols shares a place, which makes a few
   * of them at most. IPv6 takes all words, so that no folding of ours can be exploited.
   */
  #hashOf(): number {
    const { probe } = this;
    const isFour =
      (probe[1] | probe[2] | probe[5] | probe[6]) === 0 && isMarked(probe[3]) && isMarked(probe[7]);
    if (isFour) return this.#hash.hash3(probe[4], probe[8], probe[9]);
    return this.#hash.hashWords(probe, KEY_WORDS);
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
    const keys = new Int32Array(this.#keys.length * 2);
    keys.set(this.#keys);
    this.#keys = keys;
    const hashes = new Int32Array(this.#hashes.length * 2);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
  }
}

/** Whether a third word is that of an IPv4 address in mapped form, or of none. */
const isMarked = (word: number): boolean => word === 0xffff || word === 0;

/** Copies the four words of an address into a key. */
export function putAddress(probe: Int32Array, at: number, address: AddressWords): void {
  probe[at] = address.w0;
  probe[at + 1] = address.w1;
  probe[at + 2] = address.w2;
  probe[at + 3] = address.w3;
}

/** An address as words, IPv4 in mapped form. An `IpAddress` is one. */
export interface AddressWords {
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
}

/** Numbers of rows, those given back before new ones. */
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
