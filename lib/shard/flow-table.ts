/**
 * Which shard has which connection: a table in shared memory that all shards write and read at once, without
 * locks. It holds a tag of 24 bits for a connection, not its ends: a tag that fits by accident sends a stray
 * segment to the wrong shard, which then answers it as its own.
 */
import type { Random } from '../base/random.js';
import { TableHash } from '../base/siphash.js';

/** Entries of a bucket; a connection is in its own bucket or in that one's neighbour. */
const BUCKET = 8;
const SHARD_BITS = 8;
const SHARD_MASK = (1 << SHARD_BITS) - 1;

export class FlowTable {
  readonly #entries: Int32Array;
  readonly #buckets: number;
  readonly #hash: TableHash;
  /** Where the connection asked about last belongs, and its tag. */
  #at = 0;
  #tag = 0;

  /**
   * @param entries shared memory, as many as a power of two, 16 at least; zero where nobody is
   * @param random gives the keys, the same to all shards
   */
  constructor(entries: Int32Array, random: Random) {
    this.#entries = entries;
    this.#buckets = entries.length / BUCKET;
    this.#hash = new TableHash(random);
  }

  /** The shard that has the connection of a tuple's nine words; -1 for none. */
  find(words: Int32Array, at: number): number {
    this.#aim(words, at);
    for (let i = 0; i < 2 * BUCKET; i++) {
      const entry = Atomics.load(this.#entries, this.#place(i));
      if (entry !== 0 && entry >>> SHARD_BITS === this.#tag) return (entry & SHARD_MASK) - 1;
    }
    return -1;
  }

  /** Notes that a shard has a connection. @returns false when there is no room for it */
  add(words: Int32Array, at: number, shard: number): boolean {
    this.#aim(words, at);
    const entry = this.#entry(shard);
    for (let i = 0; i < 2 * BUCKET; i++) {
      if (Atomics.compareExchange(this.#entries, this.#place(i), 0, entry) === 0) return true;
    }
    return false;
  }

  /** Forgets it. Entries that look alike are worth the same: any of them goes. */
  remove(words: Int32Array, at: number, shard: number): void {
    this.#aim(words, at);
    const entry = this.#entry(shard);
    for (let i = 0; i < 2 * BUCKET; i++) {
      if (Atomics.compareExchange(this.#entries, this.#place(i), entry, 0) === entry) return;
    }
  }

  /** Forgets everything a shard had. */
  removeAll(shard: number): void {
    const entries = this.#entries;
    for (let i = 0; i < entries.length; i++) {
      const entry = Atomics.load(entries, i);
      if ((entry & SHARD_MASK) === shard + 1) Atomics.compareExchange(entries, i, entry, 0);
    }
  }

  /** A tag is never 0 with a shard, which counts from 1 here. */
  #entry(shard: number): number {
    return (this.#tag << SHARD_BITS) | (shard + 1);
  }

  #place(i: number): number {
    return (this.#at ^ (i & BUCKET)) + (i & (BUCKET - 1));
  }

  #aim(words: Int32Array, at: number): void {
    const hash = this.#hash;
    const local = hash.hash3(words[at] ^ words[at + 2], words[at + 1], words[at + 3]);
    const remote = hash.hash3(words[at + 4] ^ local, words[at + 5], words[at + 6]);
    const first = hash.hash3(remote, words[at + 7], words[at + 8]);
    this.#tag = hash.hash3(first, local, remote) >>> SHARD_BITS;
    this.#at = ((first >>> 0) % this.#buckets) * BUCKET;
  }
}
