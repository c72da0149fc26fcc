/**
 * From two endpoints to a row. The hash is keyed, so that nobody outside can make flows collide. Rows are numbered by
 * the owner; a key is ten words: the address on our side, that of the other side, both ports, and one word more by
 * which the owner tells apart what has the same endpoints: a protocol, a link. What is not used is zero.
 */
import { invariant } from './errors.js';
import { HashSlots } from './hash-slots.js';
import type { Random } from './random.js';
import { TableHash } from './siphash.js';

/** Words of a key, and where they lie: two addresses, IPv4 in mapped form, both ports, and what else. */
const KEY_WORDS = 10;
export const KeyWord = { NEAR: 0, FAR: 4, PORTS: 8, EXTRA: 9 } as const;

const FIRST_ROWS = 32;

export class EndpointIndex {
  /** The key looked for, or to be inserted: filled by the caller. */
  readonly probe = new Int32Array(KEY_WORDS);
  readonly #hash: TableHash;
  readonly #slots = new HashSlots();
  #keys = new Int32Array(FIRST_ROWS * KEY_WORDS);

  constructor(random: Random) {
    this.#hash = new TableHash(random);
  }

  get size(): number {
    return this.#slots.size;
  }

  /** The row whose key is in `probe`; -1 for none. */
  find(): number {
    return this.#find(this.#hashOf());
  }

  /** Gives `row` the key in `probe`, which no other has. */
  insert(row: number): void {
    const hash = this.#hashOf();
    invariant(this.#find(hash) < 0, 'a key has one row');
    while ((row + 1) * KEY_WORDS > this.#keys.length) this.#growKeys();
    this.#keys.set(this.probe, row * KEY_WORDS);
    this.#slots.add(row, hash);
  }

  /** Takes a row out that is in. */
  remove(row: number): void {
    this.#slots.remove(row);
  }

  /** Word `i` of the key of a row that is in. */
  word(row: number, i: number): number {
    return this.#keys[row * KEY_WORDS + i];
  }

  /** Fills `probe` with the key of a row that is in. */
  recall(row: number): void {
    for (let i = 0; i < KEY_WORDS; i++) this.probe[i] = this.#keys[row * KEY_WORDS + i];
  }

  /** As that of `HashSlots`. */
  get longestRun(): number {
    return this.#slots.longestRun;
  }

  #find(hash: number): number {
    const slots = this.#slots;
    let row = slots.first(hash);
    while (row >= 0 && !this.#equals(row)) row = slots.next(row);
    return row;
  }

  #equals(row: number): boolean {
    const keys = this.#keys;
    const { probe } = this;
    const at = row * KEY_WORDS;
    return (
      keys[at] === probe[0] &&
      keys[at + 1] === probe[1] &&
      keys[at + 2] === probe[2] &&
      keys[at + 3] === probe[3] &&
      keys[at + 4] === probe[4] &&
      keys[at + 5] === probe[5] &&
      keys[at + 6] === probe[6] &&
      keys[at + 7] === probe[7] &&
      keys[at + 8] === probe[8] &&
      keys[at + 9] === probe[9]
    );
  }

  /**
   * IPv4 needs one word of each address. IPv6 takes all words, so that no folding of ours can be exploited. The last
   * word of the key is not hashed: few share all others, and who looks with one and then another looks in one place.
   */
  #hashOf(): number {
    const words = this.probe;
    const hash = this.#hash;
    const high = words[0] | words[1] | words[4] | words[5];
    if (high === 0 && isMarked(words[2]) && isMarked(words[6])) {
      return hash.hash3(words[3], words[7], words[8]);
    }
    const front = hash.hash3(words[0], words[1], words[2]);
    const middle = hash.hash3(front, words[3], words[4]);
    return hash.hash3(hash.hash3(middle, words[5], words[6]), words[7], words[8]);
  }

  #growKeys(): void {
    const keys = new Int32Array(this.#keys.length * 2);
    keys.set(this.#keys);
    this.#keys = keys;
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
